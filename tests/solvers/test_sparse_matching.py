"""The auction for equal masses: its matchings against scipy's, and who takes over when it gives up."""

from __future__ import annotations

from unittest import mock

import instances
import numpy as np
import oracles
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otdist
from otdist.solvers.pairs.distance_tiles import EUCLIDEAN
from otdist.solvers.pairs.hierarchy import Level
from otdist.solvers.pairs.kd_order import kd_order
from otdist.solvers.pairs.pairwise_costs import Arcs
from otdist.solvers.pairs.point_costs import PointCosts
from otdist.solvers.sparse import column_generation, matching
from otdist.solvers.sparse.matching import Matching

FLAVOURS = ["integers", "uniform", "points", "one row costs nothing", "far"]


def costs(rng, flavour, n):
    if flavour == "integers":
        return rng.integers(0, 5, (n, n)).astype(float)
    cost = (
        cdist(rng.normal(size=(n, 5)), rng.normal(size=(n, 5))) if flavour == "points" else rng.random((n, n))
    )
    if flavour == "one row costs nothing":
        cost[0] = 0.0
    if flavour == "far":
        cost[:, n // 2 :] += 1e9
    return cost


def begun(rng, cost, share, unit=3):
    """Matching on some arcs and a random plan."""
    n = len(cost)
    mate = rng.permutation(n)
    rows, cols = np.nonzero(rng.random((n, n)) < share)
    made = Matching(n)
    plan = np.concatenate([np.zeros(len(rows), np.int64), np.full(n, unit)])
    rows, cols = np.concatenate([rows, np.arange(n)]), np.concatenate([cols, mate])
    made.begin(Arcs(rows, cols, cost[rows, cols], plan), rng.normal(size=n), rng.normal(size=n))
    return made, rows, cols


def require_optimal(made, cost, rows, cols, tol, unit=3):
    n = len(cost)
    f, g = made.potentials()
    assert (cost[rows, cols] - f[rows] - g[cols]).min() >= -2 * tol
    plan = made.plan()
    assert np.array_equal(np.sort(plan.rows), np.arange(n)) and np.array_equal(
        np.sort(plan.cols), np.arange(n)
    )
    assert (plan.flow == unit).all()
    np.testing.assert_array_equal(plan.cost, cost[plan.rows, plan.cols])
    assert plan.cost.mean() == pytest.approx(f.mean() + g.mean(), abs=2 * tol + 1e-15 * cost.max())
    even = np.full(n, 1 / n)
    truth = oracles.highs_on(rows, cols, cost[rows, cols], even, even)
    assert plan.cost.mean() == pytest.approx(truth, abs=2 * tol + 1e-9 * cost.max())


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_optimal_on_its_arcs_and_on_those_added(flavour):
    for seed in range(12):
        rng = np.random.default_rng([seed, FLAVOURS.index(flavour)])
        n = int(rng.integers(1, 30))
        cost = costs(rng, flavour, n)
        tol = 2.0**-40 * cost.max()
        made, rows, cols = begun(rng, cost, 0.2)
        assert made.solve(0, tol, lambda: False)
        require_optimal(made, cost, rows, cols, tol)
        for share in (0.1, 0.02, 1.0):
            first = made.count
            more = np.nonzero(rng.random((n, n)) < share)
            made.add(*more, cost[more])
            rows, cols = np.concatenate([rows, more[0]]), np.concatenate([cols, more[1]])
            assert made.count == len(rows)
            assert made.solve(first, tol, lambda: False)
            require_optimal(made, cost, rows, cols, tol)
        best = linear_sum_assignment(cost)
        assert made.plan().cost.sum() == pytest.approx(cost[best].sum(), abs=2 * n * tol)


def test_few_new_arcs_are_left_to_the_simplex(rng):
    cost = rng.random((100, 100))
    made, _, _ = begun(rng, cost, 0.3)
    made.solve(0, 1e-12, lambda: False)
    assert made._simplex is None
    made.add(np.arange(3), np.arange(3), cost[np.arange(3), np.arange(3)])
    made.solve(made.count - 3, 1e-12, lambda: False)
    assert made._simplex is not None


@pytest.mark.parametrize("trait", ["too many bids", "large prices"])
def test_the_simplex_takes_over(rng, trait):
    cost = rng.random((40, 40))
    made, rows, cols = begun(rng, cost, 0.5)
    if trait == "large prices":
        made._auction.price[:] += 1e9
    with mock.patch.object(
        matching, "MAX_BIDS_PER_ROW", -1 if trait == "too many bids" else matching.MAX_BIDS_PER_ROW
    ):
        assert made.solve(0, 1e-12, lambda: False)
    assert made._simplex is not None
    require_optimal(made, cost, rows, cols, 1e-12 if trait == "too many bids" else 1e-6)


def test_a_pause_leaves_a_whole_plan(rng):
    cost = rng.random((60, 60))
    made, rows, cols = begun(rng, cost, 0.5)
    before = made.plan().cost.sum()
    with mock.patch.object(matching, "BIDS_PER_WINDOW", 5):
        assert not made.solve(0, 1e-12, lambda: True)
        assert made.plan().cost.sum() == before
        looks = iter(range(100))
        assert not made.solve(0, 1e-12, lambda: next(looks) == 60)
        plan = made.plan()
        assert np.array_equal(np.sort(plan.cols), np.arange(60)) and plan.cost.sum() <= before
        assert made.solve(0, 1e-12, lambda: False)
    require_optimal(made, cost, rows, cols, 1e-12)


def test_it_gives_up_and_is_still_exact(rng):
    x, y = rng.normal(size=(2, 300, 5))
    with mock.patch.object(matching, "MAX_BIDS_PER_ROW", -1):
        given_up = otdist.w1(x, y, method="sparse")
    result = otdist.w1(x, y, method="sparse")
    assert given_up.value == pytest.approx(result.value, rel=1e-12)
    assert max(result.gap, given_up.gap) <= 1e-12


@pytest.mark.parametrize("n", [65, 127, 129, 200, 333])
def test_copies_of_equal_masses_have_equal_masses(rng, n):
    x, y = rng.normal(size=(2, n, 4))
    even = np.full(n, 6, np.int64)
    level = Level(PointCosts.of(x, y, EUCLIDEAN), even, even.copy())
    with instances.base(8):
        while level.size > 8:
            level = level.coarsen()
            assert len(level.a) == level.ground.shape[0]
            assert (level.a == level.a[0]).all() and (level.b == level.a[0]).all()
        assert (even == 6).all()
        instances.both(otdist.w1, x, y)
        anytime = otdist.w1(x, y, method="sparse", tol=0.05)
    assert anytime.gap <= 0.05 and anytime.lower <= otdist.w1(x, y).value <= anytime.upper
    plan = anytime.plan.toarray()
    np.testing.assert_allclose(plan.sum(axis=0), 1 / n, rtol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / n, rtol=1e-12)


@pytest.mark.parametrize("heavier", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("n", [9, 17, 33, 66])
def test_a_last_point_of_another_mass(rng, n, heavier):
    x, y = rng.normal(size=(2, n, 3))
    order = kd_order(x), kd_order(y)
    a, b = np.ones(n), np.ones(n)
    a[order[0][-1]] = b[order[1][-1]] = heavier
    with instances.base(2):
        exact = instances.both(otdist.w1, x, y, a, b)
        for tol in (0.5, 0.1, 0.01):
            anytime = otdist.w1(x, y, a, b, method="sparse", tol=tol)
            assert anytime.lower <= exact.upper and exact.lower <= anytime.upper
            plan = anytime.plan.toarray()
            np.testing.assert_allclose(plan.sum(axis=1), a / a.sum(), rtol=1e-12)
            np.testing.assert_allclose(plan.sum(axis=0), b / b.sum(), rtol=1e-12)


def test_who_is_asked(rng):
    def kind(n, m, d, weights=None):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
        made = []
        begin = column_generation.ColumnGeneration.__init__

        def noted(self, *given):
            begin(self, *given)
            made.append(type(self.network).__name__)

        with mock.patch.object(column_generation.ColumnGeneration, "__init__", noted):
            otdist.w1(x, y, weights, method="sparse")
        return made[-1]

    assert kind(70, 70, 3) == "Matching"
    assert kind(70, 71, 3) == kind(70, 70, 2) == kind(70, 70, 3, np.arange(1.0, 71.0)) == "Network"
