"""What the network starts from: nested order, whole masses, first plans."""

from __future__ import annotations

from fractions import Fraction

import instances
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import otdist
from otdist.solvers.pairs.integer_masses import TOTAL_BITS, integer_masses
from otdist.solvers.pairs.kd_order import kd_order, merge_pairs, sum_pairs
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.pairs.pairwise_costs import Arcs, Dual, cheapest_pairs
from otdist.solvers.pairs.point_costs import KIND_OF_METRIC, PointCosts
from otdist.solvers.sparse.initial_plans import (
    CANDIDATES_PER_POINT,
    greedy_plan,
    northwest_corner,
    refine_plan,
    send_greedily,
)
from otdist.solvers.sparse.smoothing import smooth_potentials


def whole(rng, n, largest=9):
    return rng.integers(1, largest, n)


def balanced(rng, n, m, largest=9):
    a, b = whole(rng, n, largest), whole(rng, m, largest)
    surplus = int(a.sum() - b.sum())
    (b if surplus > 0 else a)[-1] += abs(surplus)
    return a, b


def require_forest(rows, cols, n):
    """Assert that the cells, as arcs, close no cycle."""
    parent = list(range(n + int(max(cols, default=0)) + 1))

    def top(u):
        while parent[u] != u:
            u = parent[u]
        return u

    for i, j in zip(rows, cols, strict=True):
        u, v = top(int(i)), top(n + int(j))
        assert u != v
        parent[u] = v


def require_plan(rows, cols, flow, a, b):
    assert (flow >= 0).all()
    sent, received = np.zeros(len(a), np.int64), np.zeros(len(b), np.int64)
    np.add.at(sent, rows, flow)
    np.add.at(received, cols, flow)
    np.testing.assert_array_equal(sent, a)
    np.testing.assert_array_equal(received, b)


class TestOrder:
    @pytest.mark.parametrize("shape", instances.SHAPES)
    @pytest.mark.parametrize("d", [1, 2, 5])
    def test_a_permutation_whose_runs_are_cells(self, shape, d, rng):
        for n in (1, 2, 3, 4, 5, 17, 64, 100, 333):
            x = instances.points(rng, shape, n, d)
            order = kd_order(x)
            assert sorted(order) == list(range(n))
            self.require_nested(x[order], 0, n)

    def require_nested(self, x, low, high):
        """Every cell is split at a power of two, by a plane across the side on which it extends furthest."""
        if high - low <= 2:
            return
        left = 1
        while 2 * left < high - low:
            left *= 2
        cell = x[low:high]
        extent = cell.max(axis=0) - cell.min(axis=0)
        widest = np.flatnonzero(extent == extent.max())
        assert any(cell[:left, c].max() <= cell[left:, c].min() for c in widest)
        self.require_nested(x, low, low + left)
        self.require_nested(x, low + left, high)

    def test_neighbours_are_near_at_every_scale(self, rng):
        x = rng.random((1024, 2))
        x = x[kd_order(x)]
        for size in (2, 4, 16, 64):
            cells = x.reshape(-1, size, 2)
            spread = np.linalg.norm(cells.max(axis=1) - cells.min(axis=1), axis=1)
            assert spread.mean() < 2.5 * (size / 1024) ** 0.5

    @pytest.mark.parametrize("n", [1, 2, 7, 1000, 20000])
    def test_equal_and_sorted_points_take_no_longer(self, n):
        for x in (np.zeros((n, 2)), np.arange(n)[:, None] * 1.0, -np.arange(n)[:, None] * 1.0):
            assert sorted(kd_order(x)) == list(range(n))
        assert sorted(kd_order(np.arange(n)[:, None] % 2 * 1.0)) == list(range(n))

    def test_pairs_add_up_and_meet_in_their_mean(self, rng):
        for n in (1, 2, 3, 8, 9):
            x, a = rng.normal(size=(n, 3)), whole(rng, n)
            sums, means = sum_pairs(a), merge_pairs(x, a)
            assert len(sums) == len(means) == -(-n // 2) and sums.sum() == a.sum()
            np.testing.assert_allclose(sums @ means, a @ x, rtol=1e-12)
            assert n % 2 == 0 or (means[-1] == x[-1]).all()


class TestWholeMasses:
    def require(self, a, b):
        left, right, k, moved = integer_masses(np.asarray(a, float), np.asarray(b, float))
        assert left.dtype == right.dtype == np.int64
        assert min(left.min(), right.min()) >= 1
        assert int(left.sum()) == int(right.sum()) < 2**TOTAL_BITS
        unit = Fraction(2) ** -k
        off = [
            sum(abs(int(w) * unit - Fraction(float(v))) for w, v in zip(new, old, strict=True))
            for new, old in ((left, a), (right, b))
        ]
        assert sum(off) <= Fraction(moved) * (1 + Fraction(2) ** -50)
        return left, right, k, moved

    @given(st.data())
    def test_any_masses_with_nearly_equal_totals(self, data):
        scale = 10.0 ** data.draw(st.integers(-200, 200))
        sizes = [data.draw(st.integers(1, 30)) for _ in range(2)]
        exponents = st.floats(-20, 0, allow_nan=False)
        sides = [10.0 ** np.array(data.draw(st.lists(exponents, min_size=k, max_size=k))) for k in sizes]
        a, b = (scale * side / side.sum() for side in sides)
        left, _, k, moved = self.require(a, b)
        # No more is lost than sums of so many masses round, and one unit a point.
        assert moved <= scale * (2.0**-50 + sum(sizes) * 2.0**-58)
        big = np.ldexp(left.astype(float), -k)
        np.testing.assert_allclose(big, a, atol=scale * 2.0**-50)

    @given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.integers(-30, 30))
    def test_whole_numbers_are_exact_and_small(self, numbers, power):
        a = np.array(numbers) * 2.0**power
        left, right, k, moved = self.require(a, [a.sum()])
        assert moved == 0.0
        np.testing.assert_array_equal(left * 2.0**-k, a)
        assert right[0] == left.sum() and ((left % 2).any() or right[0] % 2)  # over their common power of two

    def test_common_powers_of_two_are_taken_out_of_both_sides(self):
        left, right, k, _ = self.require([4.0, 8.0], [6.0, 6.0])
        assert left.tolist() == [2, 4] and right.tolist() == [3, 3] and k == -1
        left, right, k, _ = self.require([1.0], [0.5, 0.5])
        assert left.tolist() == [2] and right.tolist() == [1, 1] and k == 1

    def test_the_smallest_masses_are_not_lost(self):
        left, _, _, moved = self.require([1.0, 1e-300], [0.5, 0.5])
        assert left[1] == 1 and 2.0**-61 < moved < 1e-15

    def test_a_surplus_goes_to_the_largest_mass_of_the_other_side(self):
        left, right, _, moved = self.require([0.7, 0.3], [0.2, 0.8 - 2.0**-40])
        assert moved >= 2.0**-40 * 0.999
        assert right[1] / left.sum() == pytest.approx(0.8, rel=1e-15)

    def test_a_million_masses(self, rng):
        a, b = rng.random(50_000), rng.random(70_000)
        left, right, _, moved = integer_masses(a / a.sum(), b / b.sum())
        assert left.sum() == right.sum() and moved < 1e-13


class TestFirstPlans:
    @given(st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
    def test_the_corner_rule(self, n, m, random):
        rng = np.random.default_rng(random.randrange(2**30))
        a, b = balanced(rng, n, m)
        rows, cols, flow = northwest_corner(a.copy(), b.copy())
        require_plan(rows, cols, flow, a, b)
        assert (flow > 0).all() and len(flow) < n + m
        assert (np.diff(rows) >= 0).all() and (np.diff(cols) >= 0).all()

    @given(st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
    def test_sending_along_any_arcs_leaves_a_forest(self, n, m, random):
        rng = np.random.default_rng(random.randrange(2**30))
        a, b = balanced(rng, n, m)
        rows, cols = np.nonzero(rng.random((n, m)) < 0.6)
        left, right, flow = a.copy(), b.copy(), np.zeros(len(rows), np.int64)
        send_greedily(rng.permutation(len(rows)), rows, cols, left, right, flow)
        require_plan(rows, cols, flow, a - left, b - right)
        require_forest(rows[flow > 0], cols[flow > 0], n)
        assert (np.minimum(left[rows], right[cols]) == 0).all()  # nothing more fits

    @pytest.mark.parametrize("name", [*sorted(KIND_OF_METRIC), "matrix"])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (9, 9), (50, 70), (200, 30)])
    def test_greedy_plans_are_feasible_forests_on_their_candidates(self, name, shape):
        rng = np.random.default_rng(shape)
        n, m = shape
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
        ground = (
            MatrixCosts.of(cdist(x, y)) if name == "matrix" else PointCosts.of(x, y, KIND_OF_METRIC[name])
        )
        cost = cdist(x, y, "euclidean" if name == "matrix" else name)
        a, b = balanced(rng, n, m)
        f, g = rng.normal(size=n) * 0.1, rng.normal(size=m) * 0.1
        arcs = greedy_plan(ground, a, b, Dual(f, g))
        require_plan(arcs.rows, arcs.cols, arcs.flow, a, b)
        require_forest(arcs.rows[arcs.flow > 0], arcs.cols[arcs.flow > 0], n)
        np.testing.assert_allclose(arcs.cost, cost[arcs.rows, arcs.cols], rtol=1e-14)
        reduced = cost - f[:, None] - g
        rank = np.minimum(reduced.argsort(axis=1).argsort(axis=1), reduced.argsort(axis=0).argsort(axis=0))
        wanted = set(zip(*np.nonzero(rank < CANDIDATES_PER_POINT), strict=True))
        assert wanted <= set(zip(arcs.rows, arcs.cols, strict=True))
        rows, cols, prices = cheapest_pairs(ground, f, g, CANDIDATES_PER_POINT)
        assert set(zip(rows, cols, strict=True)) == wanted and len(rows) == len(wanted)
        np.testing.assert_allclose(prices, cost[rows, cols], rtol=1e-14)

    def test_a_greedy_plan_sends_along_the_smallest_reduced_costs_first(self):
        cost = np.array([[0.0, 9.0], [9.0, 0.0]])
        arcs = greedy_plan(
            MatrixCosts.of(cost), np.array([3, 3]), np.array([3, 3]), Dual(np.zeros(2), np.zeros(2))
        )
        assert float(arcs.flow @ arcs.cost) == 0.0
        dear = Dual(np.array([9.0, 9.0]), np.array([-9.0, 0.0]))  # reduced costs 0, 0, 9, -9 by rows
        arcs = greedy_plan(MatrixCosts.of(cost), np.array([3, 3]), np.array([4, 2]), dear)
        sent = np.zeros((2, 2), int)
        sent[arcs.rows, arcs.cols] = arcs.flow
        assert sent.tolist() == [[3, 0], [1, 2]]

    @pytest.mark.parametrize("seed", range(4))
    def test_a_plan_of_a_copy_is_handed_down_to_the_points(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            n, m = rng.integers(1, 60, 2)
            a, b = balanced(rng, n, m, 2**40)
            halvings = [int(rng.integers(0, 5)) for _ in range(2)]
            coarse = [a, b]
            for side in range(2):
                for _ in range(halvings[side]):
                    coarse[side] = sum_pairs(coarse[side])
            order = [rng.permutation(len(c)) for c in coarse]
            i, j, flow = northwest_corner(coarse[0][order[0]], coarse[1][order[1]])
            cells = rng.permutation(len(i))
            i, j, flow = order[0][i][cells], order[1][j][cells], flow[cells]
            rows, cols, parts = refine_plan(Arcs(i, j, np.zeros(len(i)), flow), a, b)
            require_plan(rows, cols, parts, a, b)
            assert len(parts) <= len(i) + n + m
            table = np.zeros((len(coarse[0]), len(coarse[1])), np.int64)
            np.add.at(table, (i, j), flow)
            np.add.at(table, (rows >> halvings[0], cols >> halvings[1]), -parts)
            assert not table.any()  # every cell keeps its mass


class TestSmoothing:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_loose_potentials_come_near_the_optimum(self, weighted, rng):
        x, y = rng.normal(size=(60, 8)), rng.normal(0.3, 1, size=(50, 8))
        cost = cdist(x, y)
        a, b = (rng.integers(1, 9, k) if weighted else np.ones(k, np.int64) for k in (60, 50))
        a, b = a * b.sum(), b * a.sum()
        rows, cols = np.divmod(np.arange(cost.size), 50)
        f, g = smooth_potentials(rows, cols, cost.ravel(), a, b, np.zeros(60), np.zeros(50))
        total = float(a.sum())
        # The f that is given back is the c-transform of g, so the pair is feasible and proves a bound.
        assert (f[:, None] + g <= cost + 1e-12).all()
        optimum = otdist.emd(cost, a, b, method="dense").value
        assert 0.97 * optimum <= (a @ f + b @ g) / total <= optimum

    def test_tight_potentials_are_left_alone(self, rng):
        cost = rng.random((20, 20))
        dense = otdist.emd(cost, method="dense")
        rows, cols = np.divmod(np.arange(400), 20)
        ones = np.ones(20, np.int64)
        f, g = smooth_potentials(rows, cols, cost.ravel(), ones, ones, *dense.potentials)
        assert f is dense.potentials[0] and g is dense.potentials[1]

    def test_costs_of_nothing_are_no_scale(self, rng):
        cost = rng.random((20, 20)) + 1.0
        cost[:12] = 0.0
        rows, cols = np.divmod(np.arange(400), 20)
        ones = np.ones(20, np.int64)
        f, g = smooth_potentials(rows, cols, cost.ravel(), ones, ones, np.zeros(20), np.zeros(20))
        assert np.isfinite(f).all() and np.isfinite(g).all()
