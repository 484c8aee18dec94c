"""The linear programme against independent solvers, and where others go wrong."""

from __future__ import annotations

import warnings

import numpy as np
import oracles
import ot
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import otdist
from otdist.bounds import c_transform, dual_bound, round_plan
from otdist.problem import Problem
from otdist.solvers import Dense
from otdist.solvers.linear.pot import load_solver
from otdist.solvers.linear.simplex import transport_cost


class TestOracles:
    @given(s.laws(), st.sampled_from([1, 2]))
    def test_highs_lies_in_the_interval(self, law, p):
        (x, a), (y, b) = law
        cost = cdist(x, y) ** p
        truth = oracles.highs(cost, s.shares(a, len(x)), s.shares(b, len(y)))
        r = otdist.emd(cost, a, b)
        slack = 1e-7 * (cost.max() + 1e-300)  # HiGHS meets its constraints to 1e-7
        assert r.lower - slack <= truth <= r.upper + slack
        assert r.gap <= 1e-9

    @pytest.mark.parametrize("n", [1, 2, 3, 6])
    def test_best_permutation_of_equal_samples(self, rng, n):
        x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
        r = otdist.w1(x, y, np.ones(n), np.ones(n))
        assert r.value == pytest.approx(oracles.best_permutation(cdist(x, y)), rel=1e-14)

    @pytest.mark.parametrize(
        ("n", "m", "d"), [(30, 30, 2), (50, 20, 5), (200, 7, 1), (5, 960, 3), (292, 2, 2)]
    )
    def test_pot_where_pot_is_right(self, rng, n, m, d):
        x, y, a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)), rng.random(n), rng.random(m)
        r = otdist.w1(x, y, a, b, method="dense")
        assert r.converged
        assert r.value == pytest.approx(ot.emd2(a / a.sum(), b / b.sum(), cdist(x, y)), rel=1e-12)

    @given(st.integers(1, 6), st.integers(1, 6), st.randoms(use_true_random=False))
    def test_whole_number_problems_have_exact_answers(self, n, m, random):
        cost = np.array([[random.randint(0, 9) for _ in range(m)] for _ in range(n)], dtype=float)
        r = otdist.emd(cost)
        value = r.value * np.lcm(n, m)
        assert value == pytest.approx(round(value), abs=1e-12)
        truth = oracles.highs(cost, np.full(n, 1 / n), np.full(m, 1 / m))
        assert r.value == pytest.approx(truth, abs=1e-7 * 9)


class TestHardData:
    def test_forbidden_pairs_at_1e32(self):
        # https://github.com/PythonOT/POT/issues/229: 88.5 from POT, which calls it converged.
        cost = oracles.FORBIDDEN
        mass = oracles.FORBIDDEN_MASS
        r = otdist.emd(cost, mass, mass)
        assert r.converged
        assert r.value == pytest.approx(57.5432, abs=1e-4)
        assert r.value == pytest.approx(oracles.highs(np.minimum(cost, 1e4), mass, mass), rel=1e-6)

    @pytest.mark.parametrize("seed", range(20))
    def test_random_forbidden_pairs(self, seed):
        rng = np.random.default_rng(seed)
        cost = rng.uniform(1, 100, size=(5, 5))
        forbidden = rng.random((5, 5)) < 0.5
        forbidden[np.arange(5), rng.permutation(5)] = False
        r = otdist.emd(np.where(forbidden, 1e32, cost))
        assert r.converged
        assert r.value == pytest.approx(oracles.best_permutation(np.where(forbidden, 1e4, cost)), rel=1e-12)

    def test_one_far_outlier_does_not_spoil_the_rest(self, rng):
        x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
        rest = otdist.w1(x, y)
        far = np.array([[1e16, 0.0]])
        both = otdist.w1(np.concatenate([x, far]), np.concatenate([y, far + np.array([[0.0, 4.0]])]))
        assert both.converged
        assert both.value == pytest.approx((20 * rest.value + 4) / 21, rel=1e-9)

    def test_an_outlier_on_one_side_leaves_an_optimal_plan_for_the_rest(self, rng):
        x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
        x[0] = [1e16, 0.0]
        plan = otdist.w1(x, y).plan.toarray()
        cost = cdist(x, y)
        target = int(np.argmax(plan[0]))
        others = np.delete(np.arange(20), target)
        least = oracles.highs(cost[1:][:, others], np.full(19, 1 / 20), np.full(19, 1 / 20))
        used = float((plan * cost)[1:].sum())
        assert used == pytest.approx(least, rel=1e-6)

    @pytest.mark.parametrize("scale", [1e-300, 1e-15, 1e-13, 1e-7, 1e7, 1e300])
    def test_tiny_and_huge_costs(self, rng, scale):
        cost = rng.random((30, 30))
        r = otdist.emd(cost * scale)
        assert r.converged
        assert r.value == pytest.approx(otdist.emd(cost).value * scale, rel=1e-12)

    def test_offset_of_1e8(self, rng):
        x, y = np.round(rng.normal(size=(2, 40, 3)), 3)
        assert otdist.w1(x + 2.0**27, y + 2.0**27).value == pytest.approx(otdist.w1(x, y).value, rel=1e-6)

    def test_weights_from_1e_300_to_1(self, rng):
        x, y = rng.normal(size=(2, 12, 2))
        r = otdist.w1(x, y, 10.0 ** np.linspace(-300, 0, 12), None)
        assert r.converged
        np.testing.assert_allclose(r.plan.sum(axis=0), 1 / 12, rtol=1e-12)

    @pytest.mark.parametrize("side", [4, 12])
    def test_grid_full_of_ties(self, side):
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)
        r = otdist.w1(grid, grid + np.array([1.0, 0.0]))
        # The overlap stays; one column of the grid travels its whole width.
        assert r.value == pytest.approx(1.0, rel=1e-14)
        assert r.converged

    def test_all_points_in_one_place(self):
        assert otdist.w1(np.ones((5, 2)), np.ones((3, 2))).value == 0.0
        assert otdist.w1(np.ones((5, 2)), np.zeros((3, 2))).value == pytest.approx(2**0.5)


class TestStopping:
    def test_a_cap_gives_an_interval_and_a_warning(self, rng):
        x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
        truth = otdist.w1(x, y)
        with pytest.warns(otdist.ConvergenceWarning, match="max_iter"):
            r = otdist.w1(x, y, method="dense", max_iter=30)
        assert not r.converged
        assert r.lower <= truth.lower <= truth.upper <= r.upper
        assert 0 < r.gap < 1

    def test_or_an_error_that_carries_the_interval(self, rng):
        x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
        with pytest.raises(otdist.ConvergenceError) as caught:
            otdist.w1(x, y, method="dense", max_iter=30, on_fail="raise")
        assert caught.value.result.lower <= otdist.w1(x, y).value <= caught.value.result.upper

    def test_a_time_limit_is_kept(self, rng):
        import time

        x, y = rng.normal(size=(1500, 2)), rng.normal(size=(1500, 2))
        start = time.monotonic()
        with pytest.warns(otdist.ConvergenceWarning):
            r = otdist.w1(x, y, method="dense", max_seconds=0.01)
        assert time.monotonic() - start < 20  # generous: the limit is about pivots, not a timed test
        assert r.lower <= r.value <= r.upper

    def test_with_enough_time_it_is_exact(self, rng):
        x, y = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
        r = otdist.w1(x, y, max_seconds=60)
        assert r.converged
        assert r.value == pytest.approx(otdist.w1(x, y).value, rel=1e-13)

    def test_memory_is_asked_for_before_it_is_taken(self, rng):
        x = rng.normal(size=(1000, 2))
        with pytest.raises(otdist.BudgetError, match=r"41 MB"):
            otdist.w1(x, x + 1, method="dense", max_bytes=10**6)


class TestCertificates:
    def test_potentials_of_absent_columns_beside_costs_that_overflow(self):
        cost = np.zeros((5, 4))
        cost[0, 2], cost[4, 3] = 1e293, np.finfo(float).max
        result = otdist.emd(cost, b=[0.0, 0.0, 1.0, 0.0])
        f, g = result.potentials
        assert result.value == pytest.approx(2e292) and result.converged
        assert (f[:, None] / 2 + g / 2 <= cost / 2 + 1e280).all()

    @given(st.integers(1, 8), st.integers(1, 8), st.randoms(use_true_random=False))
    def test_any_matrix_rounds_to_a_plan(self, n, m, random):
        rows, cols = np.divmod(np.arange(n * m), m)
        mass = np.array([random.random() ** 4 for _ in range(n * m)])
        a = np.array([random.random() + 0.01 for _ in range(n)])
        b = np.array([random.random() + 0.01 for _ in range(m)])
        a, b = a / a.sum(), b / b.sum()
        i, j, mass = round_plan(rows, cols, mass, a, b)
        assert mass.min() >= 0
        np.testing.assert_allclose(np.bincount(i, mass, n), a, atol=1e-14)
        np.testing.assert_allclose(np.bincount(j, mass, m), b, atol=1e-14)

    @given(s.laws(), st.randoms(use_true_random=False))
    def test_any_potential_bounds_from_below(self, law, random):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        g = np.array([random.uniform(-9, 9) for _ in y])
        f, raised, bound = dual_bound(cdist(x, y), a, b, g)
        assert (f[:, None] + raised <= cdist(x, y) + 1e-11).all()
        assert bound <= otdist.emd(cdist(x, y), a, b).upper + 1e-11
        assert bound >= a @ c_transform(cdist(x, y), g) + b @ g - 1e-11

    def test_the_c_transform_in_blocks_is_the_c_transform(self, rng, monkeypatch):
        cost, g = rng.random((70, 9)), rng.random(9)
        monkeypatch.setattr("otdist.metrics.base.BLOCK_ENTRIES", 20)
        np.testing.assert_array_equal(c_transform(cost, g), np.nextafter((cost - g).min(axis=1), -np.inf))

    def test_a_wrong_solver_makes_a_loose_interval_not_a_wrong_one(self, rng, monkeypatch):
        def uniform(a, b, cost, *rest):
            return np.outer(a, b) / a.sum(), 0.0, np.zeros(len(a)), rng.normal(size=len(b)), 1

        x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
        truth = otdist.w1(x, y)
        monkeypatch.setattr(load_solver(), "emd_c", uniform)
        r = Dense()(Problem.of(x, y))
        assert not r.converged
        assert r.lower < truth.lower and truth.upper < r.upper

    def test_resampling_costs_equal_certified_ones(self, rng):
        cost = rng.random((12, 17))
        assert transport_cost(cost) == pytest.approx(otdist.emd(cost).value, rel=1e-13)

    def test_the_callers_matrix_is_left_alone(self, rng):
        cost = rng.random((4, 4)) * 1e9
        before = cost.copy()
        otdist.emd(cost)
        np.testing.assert_array_equal(cost, before)


class TestReviewed:
    def test_tiny_masses_that_a_plan_misses_are_in_the_interval(self):
        # Exact rational answer; the missing mass vanishes in the sum of all masses.
        x, y, w = [0.0, 1e5], [1.4033155414223673e-09, 1.0], [1.0, 8.6027132461308e-15]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)
            r = otdist.w1(x, y, w, w, method="dense")
        assert r.lower <= 2.26357826e-9 <= r.upper

    def test_weights_that_agree_only_after_rounding_are_not_taken_for_equal(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)
            r = otdist.wasserstein([-1.0, 1], [1.0, -1], [1e2, 1e-3], [1e-12, 1e-7])
        assert r.upper >= 1.31e-11

    @pytest.mark.parametrize("method", ["line", "dense"])
    def test_a_result_does_not_follow_its_inputs_when_they_change(self, rng, method):
        x, y = rng.normal(size=20), rng.normal(size=15)
        a = np.append(rng.random(19), 0.0)
        expected = otdist.w1(x.copy(), y.copy(), a.copy(), method=method)
        r = otdist.w1(x, y, a, method=method)
        x *= 10
        y += 7
        a[:] = 1.0
        for k in range(2):
            np.testing.assert_array_equal(r.potentials[k], expected.potentials[k])
        np.testing.assert_array_equal(r.plan.toarray(), expected.plan.toarray())
        np.testing.assert_array_equal(r.critic([0.0, 1.0]), expected.critic([0.0, 1.0]))

    def test_an_emd_does_not_follow_its_matrix_when_it_changes(self, rng):
        cost, a = rng.random((5, 4)), [1.0, 0.0, 2.0, 3.0, 1.0]
        expected = otdist.emd(cost.copy(), a).potentials
        r = otdist.emd(cost, a)
        cost *= 9
        np.testing.assert_array_equal(r.potentials[0], expected[0])

    def test_a_distance_beyond_proof_is_not_called_converged(self):
        with pytest.warns(otdist.ConvergenceWarning, match="tiny"):
            r = otdist.wasserstein([0, 1e9], [1e-9, 3], [1, 1e-17], [1, 1.3e-17])
        assert not r.converged

    def test_an_endless_time_limit_is_none(self, rng):
        x, y = rng.normal(size=(2, 30, 2))
        assert otdist.w1(x, y, max_seconds=float("inf")).value == otdist.w1(x, y).value
