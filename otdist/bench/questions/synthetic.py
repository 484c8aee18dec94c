"""Synthetic samples: from distributions with known W1, or of kinds that are hard for solvers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from otdist.bench import problems
from otdist.bench.problems import Pair
from otdist.bench.questions.samples import Question


def question_factory_from_pair(make_pair: Callable[[int], Pair]) -> Callable[[str, int, int, int], Question]:
    """Return a factory of questions sampled from a pair of distributions with known W1."""

    def make_question(name: str, n: int, d: int, rng: int) -> Question:
        pair = make_pair(d)
        x, y = pair.sample(n, rng=rng)
        return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)

    return make_question


def make_line(name: str, n: int, d: int, rng: int) -> Question:
    """Draw a normal and a Laplace sample in one column."""
    pair = problems.laws_1d(stats.norm(0, 1), stats.laplace(0.5, 1))
    x, y = pair.sample(n, rng=rng)
    return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)


def make_moved_grid(name: str, n: int, d: int, rng: int) -> Question:
    """Draw integer points and translate them along the first axis; the translation is an optimal plan."""
    points = np.random.default_rng(rng).integers(0, 1000, size=(n, d)).astype(float)
    step = np.zeros(d)
    step[0] = 7.0
    order = np.random.default_rng([rng, 1]).permutation(n)
    return Question(name, points, points[order] + step, known=7.0)


def make_ties(name: str, n: int, d: int, rng: int) -> Question:
    """Draw points of a small grid, many of them equal."""
    random = np.random.default_rng(rng)
    x, y = (random.integers(0, 6, size=(n, d)).astype(float) for _ in range(2))
    return Question(name, x, y)


def make_clusters(name: str, n: int, d: int, rng: int) -> Question:
    """Draw tight clusters far apart, with different shares in both samples: much mass travels far."""
    random = np.random.default_rng(rng)
    centres = random.uniform(0, 100, size=(8, d))
    shares = random.dirichlet(np.ones(8), size=2)
    samples = (
        centres[random.choice(8, size=n, p=share)] + 0.1 * random.normal(size=(n, d)) for share in shares
    )
    x, y = samples
    return Question(name, x, y)


def make_heavy_tails(name: str, n: int, d: int, rng: int) -> Question:
    """Draw from Student's t with 1.5 degrees of freedom: few points carry most of the cost."""
    random = np.random.default_rng(rng)
    x, y = (random.standard_t(1.5, size=(n, d)) for _ in range(2))
    return Question(name, x, y + 1.0)
