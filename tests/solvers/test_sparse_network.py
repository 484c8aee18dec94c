"""The network simplex that grows: its basis after every window, its answers against HiGHS."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
import trees
from scipy.spatial.distance import cdist

from otdist.solvers.sparse.initial_plans import northwest_corner

FLAVOURS = ["integer costs", "random costs", "zero flow", "wide masses"]


def masses(rng, flavour, n, m):
    """Positive whole masses with one total; "zero flow": every one the same, so bases are degenerate."""
    if flavour == "zero flow":
        return np.full(n, m, np.int64), np.full(m, n, np.int64)
    largest = 2.0**45 if flavour == "wide masses" else 9.0
    a, b = (1 + (largest ** rng.random(k)).astype(np.int64) for k in (n, m))
    surplus = int(a.sum() - b.sum())
    (b if surplus > 0 else a)[0] += abs(surplus)
    return a, b


def costs(rng, flavour, n, m):
    if flavour in ("integer costs", "zero flow"):
        return rng.integers(0, 6, (n, m)).astype(float)
    return rng.random((n, m))


def some(rng, n, m, share):
    return np.nonzero(rng.random((n, m)) < share)


def arcs(made):
    return made._source[: made.count], made._sink[: made.count] - made.n, made._cost[: made.count]


def require_optimal(made, a, b, tol):
    """Assert that plan and potentials prove each other, and that HiGHS finds the same."""
    rows, cols, cost = arcs(made)
    f, g = made.potentials()
    assert (cost - f[rows] - g[cols]).min() >= -2 * tol
    plan = made.plan()
    np.testing.assert_array_equal(np.bincount(plan.rows, plan.flow, made.n), a)
    np.testing.assert_array_equal(np.bincount(plan.cols, plan.flow, made.m), b)
    value = float((plan.flow / a.sum()) @ plan.cost)
    assert value == pytest.approx((a / a.sum()) @ f + (b / b.sum()) @ g, abs=2 * tol + 1e-12)
    if min(a.min(), b.min()) > 1e-6 * a.sum():  # HiGHS takes smaller masses for errors of rounding
        truth = oracles.highs_on(rows, cols, cost, a / a.sum(), b / b.sum())
        assert value == pytest.approx(truth, abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_window_leaves_a_strongly_feasible_tree(flavour, seed):
    rng = np.random.default_rng([seed, FLAVOURS.index(flavour)])
    for _ in range(12):
        n, m = rng.integers(1, 16, 2)
        a, b = masses(rng, flavour, n, m)
        cost = costs(rng, flavour, n, m)
        begin = rng.normal(size=n), rng.normal(size=m)
        made = trees.started(a, b, cost, *some(rng, n, m, 0.4), int(rng.integers(1, 5)), begin)
        trees.checked(made, a, b, tol=1e-12)
        require_optimal(made, a, b, 1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_arcs_may_be_added_to_a_basis(seed):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        n, m = rng.integers(2, 18, 2)
        flavour = rng.choice(FLAVOURS)
        a, b = masses(rng, flavour, n, m)
        cost = costs(rng, flavour, n, m)
        made = trees.started(a, b, cost, *some(rng, n, m, 0.1), pivots=2)
        for share in (0.1, 0.3, 1.0):
            first = made.count
            trees.checked(made, a, b, tol=1e-12, first=first if share < 1 else 0)
            rows, cols = some(rng, n, m, share)
            numbers = made.add(rows, cols, cost[rows, cols])
            np.testing.assert_array_equal(numbers, np.arange(first, first + len(rows)))
            trees.require_tree(made, a, b, fresh=True)  # arcs outside of the tree change nothing in it
        trees.checked(made, a, b, tol=1e-12)
        require_optimal(made, a, b, 1e-12)
        assert made.count > len(a) * len(b)


@pytest.mark.slow
@pytest.mark.parametrize("pivots", [1, 2, 3, 7, 30])
def test_windows_of_any_length_reach_the_same_value(pivots):
    rng = np.random.default_rng(pivots)
    for _ in range(4):
        n, m = rng.integers(10, 30, 2)
        a, b = masses(rng, "random costs", n, m)
        cost = rng.random((n, m))
        values = []
        for size in (pivots, None):
            made = trees.started(a, b, cost, *some(rng, n, m, 1.0), size)
            windows = trees.checked(made, a, b)
            assert size is None or windows >= made.pivots // size
            plan = made.plan()
            values.append(plan.flow @ plan.cost)
        assert values[0] == pytest.approx(values[1], rel=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_long_windows_cut_the_tree_into_many_pieces(seed):
    rng = np.random.default_rng(seed)
    for pivots in (15, 40, 90):
        n, m = rng.integers(40, 70, 2)
        a, b = masses(rng, "random costs", n, m)
        cost = cdist(rng.random((n, 2)), rng.random((m, 2)))
        made = trees.started(a, b, cost, *some(rng, n, m, 0.5), pivots)
        assert trees.checked(made, a, b, tol=1e-12) >= 2
        require_optimal(made, a, b, 1e-12)


def test_a_pause_leaves_a_feasible_basis_to_go_on_from(rng):
    n, m = 20, 25
    a, b = masses(rng, "random costs", n, m)
    cost = rng.random((n, m))
    made = trees.started(a, b, cost, *some(rng, n, m, 1.0), pivots=2)
    values = []
    for _ in range(12):
        trees.checked(made, a, b, limit=1)
        plan = made.plan()
        values.append(float(plan.flow @ plan.cost))
    assert made.pivots == 24
    assert (np.diff(values) <= 0).all() and values[-1] < values[0]  # a pivot never makes it dearer
    assert trees.checked(made, a, b) > 0
    require_optimal(made, a, b, 1e-12)


def test_ties_everywhere_do_not_cycle():
    n = 24
    a = b = np.ones(n, np.int64)
    chequered = np.indices((n, n)).sum(axis=0) % 2
    for cost, least in ((np.zeros((n, n)), 0), (np.ones((n, n)), n), (chequered, 0), (1 - chequered, 0)):
        made = trees.started(a, b, cost.astype(float), *np.nonzero(np.ones((n, n))), pivots=3)
        trees.checked(made, a, b)
        assert made.pivots < 20 * n
        plan = made.plan()
        assert plan.flow @ plan.cost == least


def test_the_potentials_a_component_came_with_are_kept():
    # Two components that no arc joins: each hangs on the root by its own connector.
    made = trees.network(2, 2)
    arcs_in_use = made.add(np.array([0, 1]), np.array([0, 1]), np.array([1.0, 5.0]))
    made.start(arcs_in_use, np.array([3, 4]), np.array([0.5, -70.0]), np.array([0.5, 9.0]))
    a = b = np.array([3, 4])
    trees.require_tree(made, a, b, fresh=True)
    f, g = made.potentials()
    np.testing.assert_array_equal(f + g, [1.0, 5.0])
    assert f[0] == 0.5 and f[1] == -70.0


@pytest.mark.parametrize("seed", range(4))
def test_a_hung_forest_keeps_its_flow(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        n, m = rng.integers(1, 12, 2)
        a, b = masses(rng, "zero flow" if rng.random() < 0.5 else "integer costs", n, m)
        order, other = rng.permutation(n), rng.permutation(m)
        i, j, flow = northwest_corner(a[order], b[other])
        made = trees.network(n, m)
        numbers = made.add(order[i], other[j], rng.random(len(i)))
        begin = rng.normal(size=n), rng.normal(size=m)
        made.start(numbers, flow, *begin)
        trees.require_tree(made, a, b, fresh=True)
        plan = made.plan()
        sent = np.zeros((n, m), np.int64)
        sent[plan.rows, plan.cols] = plan.flow
        np.testing.assert_array_equal(sent[order[i], other[j]], flow)
        assert sent.sum() == a.sum()


@pytest.mark.slow
def test_the_root_may_be_moved_by_shifts_of_the_complement(rng):
    # One large component of which almost all is moved: potentials are those of the tree all the same.
    for _ in range(20):
        a, b = masses(rng, "random costs", 3, 40)
        cost = rng.random((3, 40)) + 1000.0
        made = trees.started(a, b, cost, *some(rng, 3, 40, 1.0), pivots=4)
        trees.checked(made, a, b)
        require_optimal(made, a, b, 1e-11)
