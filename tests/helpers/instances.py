"""Transport problems by recipe: random ones of every kind, and those that are hard for a solver."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import otdist
from otdist.solvers.pairs import hierarchy

Array = np.ndarray
Law = tuple[Array, Array, Array, Array]  # x, y, a, b

SHAPES = ["grid", "normal", "clusters", "cauchy", "copies", "collinear", "offset"]
WEIGHTS = ["none", "counts", "random", "wild"]
KERNELS = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]


def points(rng: np.random.Generator, shape: str, n: int, d: int) -> Array:
    """Points of one kind; ties and coincident points in "grid" and "copies"."""
    if shape == "grid":
        return rng.integers(-3, 4, (n, d)).astype(float)
    if shape == "clusters":
        return rng.normal(size=(n, d)) + 1e6 * rng.integers(0, 3, (n, 1))
    if shape == "cauchy":
        return rng.standard_cauchy((n, d))
    if shape == "copies":
        return np.random.default_rng(d).normal(size=(9, d))[rng.integers(0, 9, n)]
    if shape == "collinear":
        return rng.random((n, 1)) @ np.ones((1, d))
    return rng.normal(size=(n, d)) + (2.0**27 if shape == "offset" else 0.0)


def weights(rng: np.random.Generator, kind: str, n: int) -> Array:
    """Weights of one kind."""
    if kind == "counts":
        return rng.integers(1, 6, n).astype(float)
    if kind == "random":
        return rng.random(n) + 1e-3
    return 10.0 ** rng.uniform(-12, 0, n) if kind == "wild" else np.ones(n)


def law(rng: np.random.Generator, n: int, m: int, d: int | None = None) -> Law:
    """Draw two weighted clouds."""
    d = int(rng.integers(1, 6)) if d is None else d
    shape, kind = rng.choice(SHAPES), rng.choice(WEIGHTS)
    return points(rng, shape, n, d), points(rng, shape, m, d), weights(rng, kind, n), weights(rng, kind, m)


@contextmanager
def base(size: int) -> Iterator[None]:
    """Let the coarsest copy have so many points, so that small problems have many levels."""
    with mock.patch.object(hierarchy, "COARSEST_POINTS", size):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Leave it to the test what it makes of an interval that is too wide."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        yield


def both(question: Callable[..., otdist.Result], *given: Any, **options: Any) -> otdist.Result:
    """Ask both exact methods, assert that they agree, and return the sparse answer."""
    with quiet():
        sparse, dense = (question(*given, method=method, **options) for method in ("sparse", "dense"))
    require_same(sparse, dense)
    return sparse


def require_same(sparse: otdist.Result, dense: otdist.Result) -> None:
    """Assert that two intervals meet, and that the sparse one is as narrow as it has to be."""
    assert sparse.method == "sparse" and dense.method == "dense"
    assert sparse.lower <= sparse.value <= sparse.upper
    assert sparse.lower <= dense.upper and dense.lower <= sparse.upper, (str(sparse), str(dense))
    assert sparse.converged >= dense.converged, (str(sparse), str(dense))
    if dense.converged:
        assert sparse.gap <= 1e-9
        assert math.isclose(sparse.value, dense.value, rel_tol=1e-9), (str(sparse), str(dense))


def _grid(side: int, d: int = 2) -> Array:
    axes = np.meshgrid(*[np.arange(side)] * d)
    return np.stack(axes, axis=-1).reshape(-1, d).astype(float)


def hard(name: str) -> Law:
    """One of the hard problems; the first 21 are those of shared/lab/exact/mkinst.py."""
    rng = np.random.default_rng(7)
    made = HARD[name](rng)
    x, y = (np.asarray(z, float) for z in made[:2])
    a, b = made[2:] if len(made) == 4 else (np.ones(len(x)), np.ones(len(y)))
    return x, y, a, b


def _shuffled(rng: np.random.Generator) -> tuple[Array, ...]:
    grid = _grid(12)
    return grid, grid[rng.permutation(144)] + [3, 0]


def _far_apart(rng: np.random.Generator, sizes: tuple[int, ...], others: tuple[int, ...], d: int = 2) -> Any:
    centres = 1e4 * np.arange(len(sizes))[:, None] * np.ones(d)
    return tuple(
        rng.normal(size=(sum(count), d)) + np.repeat(centres, count, axis=0) for count in (sizes, others)
    )


def _moved_one(rng: np.random.Generator) -> tuple[Array, ...]:
    x = rng.normal(size=(500, 2))
    y = x.copy()
    y[123] += [0.25, -0.5]
    return x, y


def _hub(rng: np.random.Generator) -> tuple[Array, ...]:
    y = rng.normal(size=(300, 64))
    y[0] = 0.0  # nearest to everything in high dimension
    return rng.normal(size=(300, 64)), y


def _uniform(rng: np.random.Generator, n: int = 100, d: int = 2) -> tuple[Array, Array]:
    return rng.random((n, d)), rng.random((n, d))


AWAY = np.array([3.0, -4.0])
TURN = 2 * np.pi * np.arange(100) / 100

HARD: dict[str, Callable[[np.random.Generator], tuple[Array, ...]]] = {
    "grid, half a step": lambda r: (_grid(12), _grid(12) + np.array([0.5, 0.0])),
    "grid, random weights": lambda r: (_grid(12), _grid(12), r.random(144), r.random(144)),
    "grid, shuffled": _shuffled,
    "grid, disjoint halves": lambda r: (_grid(12)[::2], _grid(12)[1::2]),
    "repeated points": lambda r: (np.repeat(r.random((30, 2)), 5, 0), np.repeat(r.random((50, 2)), 3, 0)),
    "all in one place": lambda r: (np.zeros((40, 2)), np.zeros((60, 2))),
    "one against many": lambda r: (np.zeros((1, 3)), r.normal(size=(100, 3))),
    "collinear": lambda r: (np.c_[r.random(150), np.zeros(150)], np.c_[r.random(150) + 0.3, np.zeros(150)]),
    "collinear, far": lambda r: (
        np.c_[r.random(150), np.zeros(150)],
        np.c_[r.random(150) + 30, np.zeros(150)],
    ),
    "two far clusters": lambda r: _far_apart(r, (70, 70), (60, 80)),
    "one heavy point": lambda r: (*_uniform(r, 120), np.r_[1e6, np.ones(119)], np.ones(120)),
    "heavy-tailed weights": lambda r: (
        *_uniform(r, 120),
        r.pareto(0.6, 120) + 1e-12,
        r.pareto(0.6, 120) + 1e-12,
    ),
    "unequal sizes": lambda r: (r.random((97, 2)), r.random((160, 2))),
    "offset 1e8": lambda r: tuple(z + 1e8 for z in _uniform(r)),
    "scale 1e-150": lambda r: tuple(z * 1e-150 for z in _uniform(r)),
    "scale 1e150": lambda r: tuple(z * 1e150 for z in _uniform(r)),
    "equal sets": lambda r: (_grid(12), _grid(12)),
    "star": lambda r: (np.zeros((100, 2)), np.c_[np.cos(TURN), np.sin(TURN)]),
    "tiny weights": lambda r: (*_uniform(r), np.r_[np.full(50, 1e-17), np.ones(50)], np.ones(100)),
    "d = 50": lambda r: tuple(r.normal(size=(2, 150, 50))),
    "all distances equal": lambda r: (np.eye(120)[:60], np.eye(120)[60:]),
    "far clusters in the plane": lambda r: _far_apart(
        r, (60,) * 10, (60, 61, 59, 60, 60, 50, 70, 60, 55, 65)
    ),
    "far clusters, balanced": lambda r: _far_apart(r, (75,) * 8, (75,) * 8),
    "pure translation": lambda r: (z := r.normal(size=(500, 2)), z + AWAY),
    "grid, translated": lambda r: (_grid(20), _grid(20) + AWAY),
    "hub in d = 64": _hub,
    "lattice in d = 8": lambda r: tuple(r.integers(0, 3, (2, 400, 8))),
    "equal but for one point": _moved_one,
    "weights over 12 orders": lambda r: (*_uniform(r, 300), *10.0 ** r.uniform(-12, 0, (2, 300))),
    "ten against many": lambda r: (r.random((10, 2)), r.random((2000, 2))),
    "many against ten": lambda r: (r.random((2000, 3)), r.random((10, 3)), r.random(2000), r.random(10)),
    "Cauchy tails": lambda r: tuple(r.standard_cauchy((2, 500, 2))),
    "scale 1e-9": lambda r: tuple(z * 1e-9 for z in _uniform(r, 300)),
    "offset 1e8, rounded": lambda r: tuple(np.round(z, 3) + 2.0**27 for z in _uniform(r, 300, 3)),
}
