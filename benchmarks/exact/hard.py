"""Hard instances for the exact comparison: ties, nothing to tell near from far, extreme weights and units."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.exact.clouds import Points, make_points, shrunk

Fields = dict[str, Any]

N = 5000
TRUTH = {  # with distances and with their squares
    "grid_shift_half": (0.5, 0.25),
    "all_same_pt": (0.0, 0.0),
    "equal_sets": (0.0, 0.0),
    "star": (1.0, 1.0),
    "simplex_equal_dist": (2**0.5, 2.0),
}
ONLY_W1 = ("tinyscale", "bigscale")  # their squares are no float64


def make_large(name: str, scale: float) -> Points:
    """One of the large ones, by its number as a seed; in a trial with fewer points."""
    sizes, draw = LARGE[name]
    seed = min(list(LARGE).index(name) + 1, 10)  # both units have the same points
    return make_points(**draw(np.random.default_rng(seed), *(shrunk(n, scale) for n in sizes)))


def _translate(rng: np.random.Generator, n: int) -> Fields:
    x = rng.normal(size=(n, 2))
    return {"x": x, "y": rng.permutation(x + np.array([3.0, 4.0])), "known": 5.0}


def _draw_hub(rng: np.random.Generator, n: int) -> Fields:
    x, y = rng.normal(size=(n, 64)), rng.normal(size=(n, 64))
    y[: max(n // 100, 1)] *= 0.1
    return {"x": x, "y": y}


def _move_one(rng: np.random.Generator, n: int) -> Fields:
    x = rng.normal(size=(n, 3))
    y = x.copy()
    y[n // 2] += [3.0, 0.0, 4.0]
    return {"x": x, "y": y, "known": float(np.linalg.norm(y[n // 2] - x[n // 2])) / n}


def _weigh(rng: np.random.Generator, n: int) -> Fields:
    a, b = 10 ** rng.uniform(-12, 0, size=(2, n))
    return _shift(rng, n) | {"a": a, "b": b}


def _shift(rng: np.random.Generator, n: int, m: int = 0, unit: float = 1.0, origin: float = 0.0) -> Fields:
    """Normal samples in the plane, in other units or far from the origin."""
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m or n, 2)) + 0.3
    return {"x": x * unit + origin, "y": y * unit + origin}


LARGE: dict[str, tuple[tuple[int, ...], Callable[..., Fields]]] = {
    # Two clusters: across the way the problem is one-dimensional and nearly flat.
    "far clusters": (
        (10_000,),
        lambda rng, n: {
            "x": 0.3 * rng.normal(size=(n, 2)),
            "y": 0.5 * rng.normal(size=(n, 2)) + [3.0, 0.0],
        },
    ),
    "translation": ((N,), _translate),  # in another order: every plan along the shift ties with every other
    "hub d=64": ((N,), _draw_hub),  # one in a hundred of y is near the centre, nearest to nearly all of x
    # There are only a few distances.
    "lattice d=8": ((N,), lambda rng, n: {side: rng.integers(4, size=(n, 8)).astype(float) for side in "xy"}),
    "equal but for one point": ((N,), _move_one),  # which is 5 away
    "weights over 12 orders": ((N,), _weigh),
    "n=100 m=50000": ((100, 50_000), _shift),
    # Most of the cost is in a few points.
    "Cauchy tails": (
        (N,),
        lambda rng, n: {"x": rng.standard_cauchy((n, 2)), "y": rng.standard_cauchy((n, 2)) + 0.3},
    ),
    "offset 1e8": ((N,), partial(_shift, origin=1e8)),
    "scale 1e-9": ((N,), partial(_shift, unit=1e-9)),
    "scale 1e150": ((N,), partial(_shift, unit=1e150)),
}


def small(name: str, power: int, scale: float) -> Points:
    """One of the nasty ones, with distances (power 1) or their squares for costs."""
    x, y, a, b = _nasty()[name]
    truth = TRUTH[name][power - 1] if name in TRUTH else None
    return make_points(x, y, a, b, metric="euclidean" if power == 1 else "sqeuclidean", known=truth)


@cache
def _nasty() -> dict[str, tuple]:
    """All of shared/lab/exact/mkinst.py, drawn in its order."""
    rng = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(-1, 2).astype(float)
    turn = np.arange(100) / 100 * 6.2831853

    def plane(n: int) -> np.ndarray:
        return rng.random((n, 2))

    def on_axis(n: int, shift: float = 0.0) -> np.ndarray:
        return np.column_stack([rng.random(n) + shift, np.zeros(n)])

    def clusters(n: int, m: int) -> np.ndarray:
        return np.concatenate([rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 1e4])

    made = {
        "grid_shift_half": (grid, grid + np.array([0.5, 0])),
        "grid_random_w": (grid, grid, rng.random(144), rng.random(144)),
        "grid_perm": (grid, grid[rng.permutation(144)] + [3, 0]),
        "grid_sparse_disjoint": (grid[::2], grid[1::2]),
        "dup": (np.repeat(plane(30), 5, 0), np.repeat(plane(50), 3, 0)),
        "all_same_pt": (np.zeros((40, 2)), np.zeros((60, 2))),
        "one_pt_vs_many": (np.zeros((1, 3)), rng.normal(size=(100, 3))),
        "collinear": (on_axis(150), on_axis(150, 0.3)),
        "collinear_far": (on_axis(150), on_axis(150, 30.0)),
        "two_clusters_far": (clusters(70, 70), clusters(60, 80)),
        "heavy": (plane(120), plane(120), np.r_[1e6, np.ones(119)], np.ones(120)),
        "heavy_tail_w": (plane(120), plane(130), *(rng.pareto(0.6, n) + 1e-12 for n in (120, 130))),
        "n_ne_m": (plane(97), plane(160)),
        "offset1e8": (plane(100) + 1e8, plane(100) + 1e8),
        "tinyscale": (plane(100) * 1e-150, plane(100) * 1e-150),
        "bigscale": (plane(100) * 1e150, plane(100) * 1e150),
        "equal_sets": (grid, grid.copy()),
        "star": (np.zeros((100, 2)), np.column_stack([np.cos(turn), np.sin(turn)])),
        "tiny_w": (plane(100), plane(100), np.r_[np.full(50, 1e-17), np.ones(50)], np.ones(100)),
        "d50": (rng.normal(size=(150, 50)), rng.normal(size=(150, 50))),
        "simplex_equal_dist": (np.eye(120)[:60], np.eye(120)[60:]),
    }
    return {name: (*given, None, None)[:4] for name, given in made.items()}


SMALL = tuple(_nasty())
