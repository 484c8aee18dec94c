"""Questions to put to estimators of W1: two samples each, some of laws whose W1 is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from otdist.arrays import Array, read
from otdist.bench import problems
from otdist.bench.problems import Pair
from otdist.errors import InputError

SIDE = 2.0  # how far apart the two laws of a shift are


@dataclass(frozen=True, eq=False)
class Question:
    """Two samples, all points of equal weight.

    Attributes
    ----------
    name : str
        What it is called in results.
    x, y : ndarray, shape (n, d), (m, d)
        The samples.
    known : float or None
        W1 between these samples, where a formula gives it.
    laws : float or None
        W1 between the laws they were drawn from. What samples of n points are apart is another number.
    """

    name: str
    x: Array
    y: Array
    known: float | None = None
    laws: float | None = None

    @classmethod
    def of(cls, name: str, x: ArrayLike, y: ArrayLike) -> Question:
        """Question about the caller's samples; they are judged as :func:`otdist.w1` judges them."""
        from otdist.problem import Problem

        problem = Problem.of(x, y)
        if problem.verdict is not None:
            raise InputError("x", "and y hold values that are not finite", "drop such rows first")
        return cls(name, _rows(x, "x"), _rows(y, "y"))


def question(name: str, *, rng: int = 0) -> Question:
    """Question by name, such as ``"shift n=1000 d=16"``.

    Parameters
    ----------
    name : str
        A kind of KINDS, the number of points ``n`` and, where the kind leaves it open, of columns ``d``.
    rng : int
        Seed of the samples.

    Returns
    -------
    Question
        The samples, and what is known about them.

    Raises
    ------
    InputError
        If the kind is unknown, or sizes are missing or make no sense.
    """
    words = name.split()
    kind = " ".join(word for word in words if "=" not in word)
    sizes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            if key not in ("n", "d") or not value.isdigit() or int(value) < 1:
                raise InputError("questions", f"{word!r} in {name!r} is no size", "write n=1000 d=16")
            sizes[key] = int(value)
    if kind not in KINDS:
        raise InputError("questions", f"{name!r} is unknown", f"use some of {sorted(KINDS)}, with n= and d=")
    if "n" not in sizes:
        raise InputError("questions", f"{name!r} has no n", "write n=1000")
    return KINDS[kind](name, sizes["n"], sizes.get("d", 2), rng)


def _laws(make: Callable[[int], Pair]) -> Callable[[str, int, int, int], Question]:
    """Samples of a pair of laws with known W1."""

    def asked(name: str, n: int, d: int, rng: int) -> Question:
        pair = make(d)
        x, y = pair.sample(n, rng=rng)
        return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)

    return asked


def _line(name: str, n: int, d: int, rng: int) -> Question:
    pair = problems.laws_1d(stats.norm(0, 1), stats.laplace(0.5, 1))
    x, y = pair.sample(n, rng=rng)
    return Question(name, np.asarray(x, float), np.asarray(y, float), laws=pair.w1)


def _moved_grid(name: str, n: int, d: int, rng: int) -> Question:
    """Whole numbers, all moved along the first axis: no plan is cheaper than moving each as far."""
    points = np.random.default_rng(rng).integers(0, 1000, size=(n, d)).astype(float)
    step = np.zeros(d)
    step[0] = 7.0
    order = np.random.default_rng([rng, 1]).permutation(n)
    return Question(name, points, points[order] + step, known=7.0)


def _ties(name: str, n: int, d: int, rng: int) -> Question:
    """Points of a small grid, many of them equal."""
    random = np.random.default_rng(rng)
    x, y = (random.integers(0, 6, size=(n, d)).astype(float) for _ in range(2))
    return Question(name, x, y)


def _clusters(name: str, n: int, d: int, rng: int) -> Question:
    """Tight groups far apart, in other shares on each side: much mass has far to go."""
    random = np.random.default_rng(rng)
    middles = random.uniform(0, 100, size=(8, d))
    shares = random.dirichlet(np.ones(8), size=2)
    sides = (
        middles[random.choice(8, size=n, p=share)] + 0.1 * random.normal(size=(n, d)) for share in shares
    )
    x, y = sides
    return Question(name, x, y)


def _heavy(name: str, n: int, d: int, rng: int) -> Question:
    """Student's t with 1.5 degrees of freedom: a few points carry most of the cost."""
    random = np.random.default_rng(rng)
    x, y = (random.standard_t(1.5, size=(n, d)) for _ in range(2))
    return Question(name, x, y + 1.0)


def _penguins(name: str, n: int, d: int, rng: int) -> Question:
    """Four measures of Adelie and Chinstrap penguins, standardised, drawn with replacement."""
    from otdist.tables.files import read_file

    with resources.as_file(resources.files("otdist") / "data" / "penguins.csv") as path:
        table = read_file(str(path)).to_pydict()
    names = [key for key in table if key.endswith(("_mm", "_g"))]
    rows = np.array([[np.nan if v is None else v for v in table[key]] for key in names], dtype=float).T
    species = np.array(table["species"])[np.isfinite(rows).all(1)]
    rows = rows[np.isfinite(rows).all(1)]
    rows = (rows - rows.mean(0)) / rows.std(0)
    random = np.random.default_rng(rng)
    sides = (rows[species == kind] for kind in ("Adelie", "Chinstrap"))
    x, y = (random.choice(side, size=n) for side in sides)
    return Question(name, x, y)


KINDS: dict[str, Callable[[str, int, int, int], Question]] = {
    "shift": _laws(lambda d: problems.shift(np.full(d, SIDE / d**0.5))),
    "radial": _laws(problems.radial),
    "funnels": _laws(lambda d: problems.funnels(d, 16, rng=0)),
    "min_max": _laws(lambda d: problems.min_max(d, 16, rng=0)),
    "line": _line,
    "moved grid": _moved_grid,
    "ties": _ties,
    "clusters": _clusters,
    "heavy tails": _heavy,
    "penguins": _penguins,
}


def _rows(points: Any, name: str) -> Array:
    values = read(points, name).values
    return values[:, None] if values.ndim == 1 else values
