"""Reduced costs of all pairs against brute force: nothing that would help is overlooked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from otdist.bounds import UNIT_ROUNDOFF
from otdist.solvers.pairs import distance_tiles
from otdist.solvers.pairs.kd_order import kd_order, sum_pairs
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.pairs.pairwise_costs import Dual
from otdist.solvers.pairs.point_costs import KIND_OF_METRIC, PointCosts
from otdist.solvers.sparse.multiscale import _extend_dual

NAMES = sorted(KIND_OF_METRIC)
DIMENSIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33, 64]
SIZES = [(1, 1), (1, 300), (7, 255), (19, 256), (8, 257), (300, 5), (33, 513), (9, 700)]


def exact(name, x, y):
    """Costs in extended precision: what float64 rounds is seen."""
    t = np.abs(x[:, None].astype(np.longdouble) - y[None])
    if name == "cityblock":
        return t.sum(axis=-1)
    if name == "chebyshev":
        return t.max(axis=-1)
    squared = (t * t).sum(axis=-1)
    return np.sqrt(squared) if name == "euclidean" else squared


def require_smallest(answer, cost, f, g, k, below, error):
    """Assert that these are the k smallest reduced costs of every row; ``error``: of one of them."""
    cols, costs = answer
    reduced = cost - (f[:, None].astype(np.longdouble) + g)
    n, m = cost.shape
    assert cols.shape == costs.shape == (n, k)
    given = cols >= 0
    assert (given[:, 1:] <= given[:, :-1]).all() and (costs[:, 1:] >= costs[:, :-1]).all()
    assert np.isinf(costs[~given]).all() and (costs[given] < below).all()
    i, place = np.nonzero(given)
    slack = np.broadcast_to(error, (n, m))
    at = cols[i, place]
    assert (np.abs(costs[i, place] - reduced[i, at]) <= slack[i, at]).all()
    taken = np.zeros((n, m), int)
    np.add.at(taken, (i, at), 1)
    assert taken.max() <= 1
    # What is not returned is not below the limit, or not below the last of a full list.
    last = np.where(given[:, -1], costs[:, -1], below)
    assert (reduced[taken == 0] >= (last[:, None] - slack)[taken == 0]).all()


def judged(name, x, y, f, g, k, below=np.inf, flip=False, cost=None):
    pairs = PointCosts.of(x, y, KIND_OF_METRIC[name])
    cost = exact(name, x, y) if cost is None else cost
    d = x.shape[1]
    # The cost is rounded relative to itself, and so are f + g and the difference.
    error = (d + 8) * UNIT_ROUNDOFF * (cost + np.abs(f[:, None].astype(np.longdouble) + g))
    found = pairs.smallest(f, g, k, below, flip=flip)
    if flip:
        cost, f, g, error = cost.T, g, f, error.T
    require_smallest(found, cost, f, g, k, below, error)
    return found


def optimal_for_rows(rng, cost, delta=0.0):
    """Potentials at which the smallest reduced cost of every row is ``-delta``, up to rounding."""
    g = np.asarray(rng.normal(size=cost.shape[1]) * cost.max() / 4, np.float64)
    return np.asarray((cost - g).min(axis=1) + delta, np.float64), g


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_all_kinds_dimensions_and_sizes(name, d):
    rng = np.random.default_rng([d, NAMES.index(name)])
    for n, m in SIZES:
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
        x, y = x[kd_order(x)], y[kd_order(y)]
        cost = exact(name, x, y)
        f, g = optimal_for_rows(rng, cost, delta=0.1)
        for k, below in ((1, np.inf), (4, 0.0), (8, np.inf), (3, -0.05)):
            flip = bool(rng.random() < 0.5)
            judged(name, x, y, f, g, min(k, n if flip else m), below, flip, cost)


@pytest.mark.parametrize("name", NAMES)
def test_many_rows_go_to_threads(name, rng):
    x, y = rng.normal(size=(700, 9)), rng.normal(size=(300, 9))
    judged(name, x, y, *optimal_for_rows(rng, exact(name, x, y), 0.2), 4, 0.0)


def test_lists_longer_than_a_row_end_with_nothing(rng):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(3, 2))
    cols, costs = PointCosts.of(x, y, distance_tiles.EUCLIDEAN).smallest(np.zeros(5), np.zeros(3), 4)
    assert (np.sort(cols[:, :3]) == [0, 1, 2]).all() and (cols[:, 3] == -1).all()
    assert np.isinf(costs[:, 3]).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("digits", range(6, 13))
def test_near_ties_that_only_float64_can_tell(name, digits):
    # Every row has one pair that would help, by far less than float32 resolves: the margin decides.
    rng = np.random.default_rng([digits, NAMES.index(name)])
    for d in (1, 2, 5, 12, 40):
        x, y = rng.normal(size=(40, d)), rng.normal(size=(270, d))
        cost = exact(name, x, y)
        tiny = 10.0**-digits * float(cost.max())
        f, g = optimal_for_rows(rng, cost, tiny)
        cols, _ = judged(name, x, y, f, g, 1, 0.0, cost=cost)
        assert (cols[:, 0] >= 0).all()
        assert (cols[:, 0] == (cost - g).argmin(axis=1)).all() or digits > 11
        assert (judged(name, x, y, f - 2 * tiny, g, 1, 0.0, cost=cost)[0] == -1).all()


@pytest.mark.parametrize("name", NAMES)
def test_small_distances_between_large_potentials(name):
    # Two clusters: their own distances are rounding errors of float32 beside the extent.
    rng = np.random.default_rng(3)
    for spread in (1e-3, 1e-6, 1e-8):
        x, y = (spread * rng.normal(size=(k, 3)) + rng.integers(0, 2, (k, 1)) for k in (80, 300))
        cost = exact(name, x, y)
        g = np.asarray(rng.normal(size=300) * spread + 7.0, np.float64)
        f = np.asarray((cost - g).min(axis=1), np.float64) + spread * rng.choice([1e-3, -1e-3], 80)
        judged(name, x, y, f, g, 4, 0.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [1e2, 1e4, 1e6])
def test_potentials_far_larger_than_costs(name, shift):
    # Components of a basis may be shifted against each other by any amount: float32 sees little else.
    rng = np.random.default_rng(13)
    for d in (1, 2, 4):
        x, y = rng.normal(size=(60, d)), rng.normal(size=(290, d))
        cost = exact(name, x, y)
        f, g = optimal_for_rows(rng, cost, 1e-6)
        f, g = f - shift, g + shift
        cols, _ = judged(name, x, y, f, g, 2, 0.0, cost=cost)
        assert (cols[:, 0] >= 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_scales_and_offsets(name, scale, offset):
    rng = np.random.default_rng(5)
    x, y = (scale * (rng.normal(size=(k, 2)) + offset) for k in (70, 300))
    cost = exact(name, x, y)
    for delta in (1e-3, 1e-9):
        judged(name, x, y, *optimal_for_rows(rng, cost, delta * float(cost.max())), 4, 0.0)
    judged(name, x, y, *optimal_for_rows(rng, cost), 2, flip=True)


@pytest.mark.parametrize("name", NAMES)
def test_points_that_coincide(name, rng):
    x = np.repeat(rng.integers(0, 3, (9, 2)).astype(float), 5, axis=0)
    y = np.repeat(x, 7, axis=0)
    judged(name, x, y, np.zeros(45), np.zeros(315), 6)
    judged(name, x, y, np.zeros(45), np.zeros(315), 6, 1e-150)
    one = np.ones((3, 2))
    judged(name, one, one, np.zeros(3), np.zeros(3), 2)


@pytest.mark.parametrize("name", NAMES)
def test_runs_are_excluded_only_when_nothing_in_them_is_small(name):
    # Tight clusters in separate runs, one of them with potentials that make up for its distance.
    rng = np.random.default_rng(11)
    centres = 100.0 * np.arange(4)[:, None] * np.ones(2)
    y = np.repeat(centres, distance_tiles.TILE, axis=0) + rng.normal(size=(4 * distance_tiles.TILE, 2))
    x = np.repeat(centres, 10, axis=0) + rng.normal(size=(40, 2))
    cost = exact(name, x, y)
    for raised in range(4):
        g = np.zeros(len(y))
        g[raised * distance_tiles.TILE + rng.integers(distance_tiles.TILE)] = 0.999 * float(cost.max())
        f = np.asarray((cost - g).min(axis=1), np.float64) + rng.choice([0.5, -0.5], 40)
        judged(name, x, y, f, g, 4, 0.0, cost=cost)
        judged(name, x, y, f, g, 8, cost=cost)


@pytest.mark.parametrize("name", NAMES)
def test_costs_of_pairs_and_of_parts(name, rng):
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    pairs, cost = PointCosts.of(x, y, KIND_OF_METRIC[name]), cdist(x, y, name)
    rows, cols = rng.integers(0, 30, 50), rng.integers(0, 20, 50)
    np.testing.assert_allclose(pairs.costs(rows, cols), cost[rows, cols], rtol=1e-14)
    part = pairs.subset(rows[:7], cols[:9])
    np.testing.assert_allclose(
        part.c_transform(np.zeros(9)), cost[rows[:7]][:, cols[:9]].min(axis=1), rtol=1e-14
    )
    assert pairs.extent >= cost.max() and pairs.lipschitz == (name != "sqeuclidean")


@pytest.mark.parametrize("name", [*NAMES, "matrix"])
@pytest.mark.parametrize("shape", [(90, 70), (7, 130), (129, 3)])
def test_potentials_of_a_copy_become_feasible_for_all_pairs(name, shape, rng):
    x, y = (rng.normal(size=(k, 3)) for k in shape)
    x, y = x[kd_order(x)], y[kd_order(y)]
    a, b = (rng.integers(1, 9, k) for k in shape)
    fine = MatrixCosts.of(cdist(x, y)) if name == "matrix" else PointCosts.of(x, y, KIND_OF_METRIC[name])
    coarse = fine.coarsen(a, b if shape[1] > 60 else None)
    assert coarse.shape == (-(-shape[0] // 2), -(-shape[1] // 2) if shape[1] > 60 else shape[1])
    g = rng.normal(size=coarse.shape[1])
    dual = _extend_dual(fine, coarse, Dual(np.zeros(coarse.shape[0]), g))
    cost = cdist(x, y, "euclidean" if name == "matrix" else name)
    assert (dual.f[:, None] + dual.g <= cost + dual.slack).all()
    assert dual.slack < 1e-11
    nearest = (cost - dual.g).min(axis=1) - dual.f  # and no slack is given away without need
    assert name in ("matrix", "sqeuclidean") or np.median(nearest) < 2.0
    if name not in ("matrix", "sqeuclidean"):
        steps = np.abs(dual.f[:, None] - dual.f)
        assert (steps <= cdist(x, x, name) + 1e-12).all()


def test_a_copy_has_the_weighted_means_of_neighbours(rng):
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(2, 2))
    a = np.array([1, 3, 2**60, 2**60, 7])
    assert (sum_pairs(a[[0, 1, 4]]) == [4, 7]).all()
    coarse = PointCosts.of(x, y, distance_tiles.EUCLIDEAN).coarsen(a[[0, 1, 1, 1, 4]], None)
    expected = [(x[0] + 3 * x[1]) / 4, (x[2] + x[3]) / 2, x[4]]
    np.testing.assert_allclose(coarse.x.points, expected, rtol=1e-14)
    np.testing.assert_array_equal(coarse.y.points, y)
    coarse = PointCosts.of(x, y, distance_tiles.EUCLIDEAN).coarsen(a, np.array([1, 1]))
    np.testing.assert_allclose(coarse.x.points[1], (x[2] + x[3]) / 2, rtol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (70, 129), (200, 190)])
def test_a_matrix_is_searched_like_points(shape, rng):
    cost = rng.random(shape) * 10.0 ** rng.integers(-3, 4, shape)
    cost[rng.random(shape) < 0.2] = 1.0
    ground = MatrixCosts.of(cost)
    rows, cols = ground.order()
    assert sorted(rows) == list(range(shape[0])) and sorted(cols) == list(range(shape[1]))
    for part, table in (
        (ground, cost),
        (ground.subset(rows, cols), cost[rows][:, cols]),
        (ground.subset(rows[::3], cols[1::2] if shape[1] > 1 else cols), None),
    ):
        table = cost[rows[::3]][:, cols[1::2] if shape[1] > 1 else cols] if table is None else table
        n, m = part.shape
        f, g = optimal_for_rows(rng, table, 0.1)
        error = 4 * UNIT_ROUNDOFF * (table + np.abs(f[:, None]) + np.abs(g))
        for k, below in ((1, np.inf), (4, 0.0), (3, -0.05), (8, np.inf)):
            small = part.smallest(f, g, min(k, m), below)
            require_smallest(small, table, f, g, min(k, m), below, error)
            turned = part.smallest(f, g, min(k, n), below, flip=True)
            require_smallest(turned, table.T, g, f, min(k, n), below, error.T)
        at = rng.integers(0, n, 9), rng.integers(0, m, 9)
        np.testing.assert_array_equal(part.costs(*at), table[at])


def test_the_matrix_is_searched_without_a_copy(rng):
    cost = rng.random((40, 50))
    assert MatrixCosts.of(cost).coarsen(np.ones(40, int), np.ones(50, int)).matrix is cost
