"""Samples made by recipe: of laws whose W1 is known, or of kinds that methods find hard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from otdist.bench import problems
from otdist.bench.problems import Pair
from otdist.bench.questions.samples import Question


def of_laws(make: Callable[[int], Pair]) -> Callable[[str, int, int, int], Question]:
    """Samples of a pair of laws with known W1."""

    def asked(name: str, n: int, d: int, rng: int) -> Question:
        pair = make(d)
        x, y = pair.sample(n, rng=rng)
        return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)

    return asked


def line(name: str, n: int, d: int, rng: int) -> Question:
    """Normal and Laplace, in one column."""
    pair = problems.laws_1d(stats.norm(0, 1), stats.laplace(0.5, 1))
    x, y = pair.sample(n, rng=rng)
    return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)


def moved_grid(name: str, n: int, d: int, rng: int) -> Question:
    """Whole numbers, all moved along the first axis: no plan is cheaper than moving each as far."""
    points = np.random.default_rng(rng).integers(0, 1000, size=(n, d)).astype(float)
    step = np.zeros(d)
    step[0] = 7.0
    order = np.random.default_rng([rng, 1]).permutation(n)
    return Question(name, points, points[order] + step, known=7.0)


def ties(name: str, n: int, d: int, rng: int) -> Question:
    """Points of a small grid, many of them equal."""
    random = np.random.default_rng(rng)
    x, y = (random.integers(0, 6, size=(n, d)).astype(float) for _ in range(2))
    return Question(name, x, y)


def clusters(name: str, n: int, d: int, rng: int) -> Question:
    """Tight groups far apart, in other shares on each side: much mass has far to go."""
    random = np.random.default_rng(rng)
    middles = random.uniform(0, 100, size=(8, d))
    shares = random.dirichlet(np.ones(8), size=2)
    sides = (
        middles[random.choice(8, size=n, p=share)] + 0.1 * random.normal(size=(n, d)) for share in shares
    )
    x, y = sides
    return Question(name, x, y)


def heavy_tails(name: str, n: int, d: int, rng: int) -> Question:
    """Student's t with 1.5 degrees of freedom: a few points carry most of the cost."""
    random = np.random.default_rng(rng)
    x, y = (random.standard_t(1.5, size=(n, d)) for _ in range(2))
    return Question(name, x, y + 1.0)
