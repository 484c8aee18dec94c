"""Hard instances for the exact comparison: ties, nothing to tell near from far, extreme weights and units."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.exact.clouds import Points, make_points, shrunk

N = 5000
TRUTH = {  # with distances and with their squares
    "grid_shift_half": (0.5, 0.25),
    "all_same_pt": (0.0, 0.0),
    "equal_sets": (0.0, 0.0),
    "star": (1.0, 1.0),
    "simplex_equal_dist": (2**0.5, 2.0),
}
ONLY_W1 = ("tinyscale", "bigscale")  # their squares are no float64


def far_clusters(scale: float) -> Points:
    """Two clusters far apart in the plane: across the way, the problem is one-dimensional and nearly flat."""
    n = shrunk(10_000, scale)
    rng = np.random.default_rng(1)
    return make_points(0.3 * rng.normal(size=(n, 2)), 0.5 * rng.normal(size=(n, 2)) + [3.0, 0.0])


def translation(scale: float) -> Points:
    """A cloud and its translate, in another order: every plan along the shift ties with every other."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(shrunk(N, scale), 2))
    return make_points(x, rng.permutation(x + np.array([3.0, 4.0])), known=5.0)


def hub(scale: float) -> Points:
    """One in a hundred points of y lies near the centre, and so nearest to nearly all of x."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(n, 64)), rng.normal(size=(n, 64))
    y[: max(n // 100, 1)] *= 0.1
    return make_points(x, y)


def lattice(scale: float) -> Points:
    """Random points of a lattice in d = 8: there are only a few distances."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(4)
    return make_points(rng.integers(4, size=(n, 8)).astype(float), rng.integers(4, size=(n, 8)).astype(float))


def one_apart(scale: float) -> Points:
    """Equal sets but for one point, which is 5 away."""
    n = shrunk(N, scale)
    x = np.random.default_rng(5).normal(size=(n, 3))
    y = x.copy()
    y[n // 2] += [3.0, 0.0, 4.0]
    return make_points(x, y, known=float(np.linalg.norm(y[n // 2] - x[n // 2])) / n)


def wide_weights(scale: float) -> Points:
    """Weights over 12 orders of magnitude."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(6)
    a, b = 10 ** rng.uniform(-12, 0, size=(2, n))
    return make_points(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 0.3, a, b)


def uneven(scale: float) -> Points:
    """Few points against many."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(shrunk(100, scale), 2)), rng.normal(size=(shrunk(50_000, scale), 2))
    return make_points(x, y + 0.3)


def tails(scale: float) -> Points:
    """Cauchy samples: most of the cost is in a few points."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(8)
    return make_points(rng.standard_cauchy((n, 2)), rng.standard_cauchy((n, 2)) + 0.3)


def offset(scale: float) -> Points:
    """Far from the origin."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(9)
    return make_points(rng.normal(size=(n, 2)) + 1e8, rng.normal(size=(n, 2)) + 0.3 + 1e8)


def in_units(unit: float, scale: float) -> Points:
    """Ordinary data in extreme units."""
    n = shrunk(N, scale)
    rng = np.random.default_rng(10)
    return make_points(rng.normal(size=(n, 2)) * unit, (rng.normal(size=(n, 2)) + 0.3) * unit)


LARGE = {
    "far clusters": far_clusters,
    "translation": translation,
    "hub d=64": hub,
    "lattice d=8": lattice,
    "equal but for one point": one_apart,
    "weights over 12 orders": wide_weights,
    "n=100 m=50000": uneven,
    "Cauchy tails": tails,
    "offset 1e8": offset,
    "scale 1e-9": lambda scale: in_units(1e-9, scale),
    "scale 1e150": lambda scale: in_units(1e150, scale),
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
        "heavy_tail_w": (
            plane(120),
            plane(130),
            rng.pareto(0.6, 120) + 1e-12,
            rng.pareto(0.6, 130) + 1e-12,
        ),
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
