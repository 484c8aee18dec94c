"""Cases 5 to 12 and 19: large, small, far and tied numbers."""

from __future__ import annotations

import math
import warnings

import numpy as np
import oracles
import pytest
from cases import (
    COST,
    DISTANCES,
    PUBLIC,
    at,
    case,
    each,
    exact_line,
    samples,
)
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otdist
from otdist import PrecisionWarning, metrics

NAN, INF = math.nan, math.inf
SCALES = range(-300, 301, 50)
TINY = 5e-324


class TestMagnitude:
    @case(5)
    @each(DISTANCES)
    def test_the_smallest_number_is_not_zero(self, f, d):
        assert f(at(d, TINY, TINY), at(d, 0, 0)) == TINY

    @case(6)
    @each(DISTANCES)
    def test_numbers_near_the_largest_have_a_finite_distance(self, f, d):
        assert f(at(d, 8e307, 8e307), at(d, -8e307, -8e307)) == 1.6e308
        assert f(at(d, 1e308, 0), at(d, 0, 1e308)) == 0.0
        assert f(at(d, 1e308, 1.0), at(d, 1e308, 1e308)) == pytest.approx(1e308 / 2 ** (1 / f.p), rel=1e-15)

    @case(6)
    @each([f for f in DISTANCES if f is not COST])
    def test_a_distance_beyond_the_largest_number_is_infinity_and_says_so(self, f, d):
        with pytest.warns(PrecisionWarning, match="largest float64"):
            assert f(at(d, 1e308, 1e308), at(d, -1e308, -1e308)) == INF

    @case(6)
    def test_an_overflowing_noise_floor_says_so(self):
        with pytest.warns(PrecisionWarning):
            otdist.stats.noise_floor(np.array([1.7e308, -1.7e308] * 3), 3, 3, n_resamples=9, rng=0)

    @case(7)
    @each(DISTANCES)
    @pytest.mark.parametrize("k", SCALES)
    def test_a_distance_follows_the_scale(self, f, d, k):
        x, y = samples(d)
        s = 10.0**k
        assert f(s * x, s * y) / s == pytest.approx(f(x, y), rel=1e-12)

    @case(7)
    @pytest.mark.parametrize("p", [1.5, 10, 40, 200])
    @pytest.mark.parametrize("k", [-300, -10, 10, 300])
    @pytest.mark.parametrize(("d", "method"), [(1, "line"), (1, "dense"), (2, "dense")])
    def test_a_distance_of_high_order_follows_the_scale(self, d, method, k, p):
        x, y = samples(d)
        s = 10.0**k
        scaled = otdist.wasserstein(s * x, s * y, p=p, method=method).value / s
        assert scaled == pytest.approx(otdist.wasserstein(x, y, p=p, method=method).value, rel=1e-11)

    @case(7)
    @pytest.mark.parametrize("k", SCALES)
    @pytest.mark.parametrize("metric", ["gower", "angular", "cosine"])
    def test_a_metric_without_unit_ignores_the_scale(self, metric, k):
        x, y = samples(2)
        scaled = otdist.w1(10.0**k * x, 10.0**k * y, metric=metric)
        assert scaled.value == pytest.approx(otdist.w1(x, y, metric=metric).value, rel=1e-12)

    @case(7)
    @pytest.mark.parametrize("k", SCALES)
    @pytest.mark.parametrize("d", [1, 2])
    def test_a_torus_follows_the_scale(self, d, k):
        x, y = samples(d)
        s = 10.0**k
        scaled = otdist.w1(s * x, s * y, metric=metrics.periodic(9 * s)).value / s
        assert scaled == pytest.approx(otdist.w1(x, y, metric=metrics.periodic(9.0)).value, rel=1e-12)

    @case(7, 12)
    @pytest.mark.parametrize("k", SCALES)
    @pytest.mark.parametrize("scale", ["std", "iqr", "mad", "range"])
    def test_a_scaled_report_ignores_the_scale(self, scale, k):
        def scaled(s):
            tables = [{"v": s * points} for points in samples()]
            return otdist.compare(*tables, scale=scale, n_resamples=9).columns[0].scaled

        assert scaled(10.0**k) == pytest.approx(scaled(1.0), rel=1e-12)

    @case(8)
    @each(PUBLIC)
    @pytest.mark.parametrize("offset", [1e6, -1e8, 1e12])
    def test_a_common_offset_changes_nothing(self, f, d, offset):
        x, y = samples(d)  # quarters, which float64 holds at 1e12
        assert f(x + offset, y + offset) == pytest.approx(f(x, y), rel=1e-15)

    @case(9)
    @pytest.mark.parametrize("distance", [0.0, 2.0, 1e15])
    def test_a_far_outlier_leaves_the_other_points_with_their_optimal_plan(self, distance):
        rng = np.random.default_rng(5)
        x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
        x[0], y[0] = (1e16, 0), (1e16 + distance, 0)
        rest = cdist(x[1:], y[1:])
        best = rest[linear_sum_assignment(rest)].sum()
        r = otdist.w1(x, y, method="dense")
        assert (best + distance) / 30 == pytest.approx(float(r), rel=1e-14) and r.gap < 1e-9
        rows, cols = r.plan.coords
        near = (rows > 0) & (cols > 0)
        plan = r.plan.data[near]
        assert plan @ cdist(x, y)[rows[near], cols[near]] == pytest.approx(best / 30, rel=1e-9)

    @case(9)
    def test_an_outlier_on_one_side_leaves_the_others_with_their_optimal_plan(self):
        rng = np.random.default_rng(6)
        x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
        x[0] = 1e16, 0
        with warnings.catch_warnings():  # it may say that float64 cannot prove it
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)
            plan = otdist.w1(x, y, method="dense").plan.toarray()
        partner = int(plan[0].argmax())
        rest = cdist(x[1:], np.delete(y, partner, axis=0))
        cost = (np.delete(plan[1:], partner, axis=1) * rest).sum() * 30
        assert cost == pytest.approx(rest[linear_sum_assignment(rest)].sum(), rel=1e-9)

    @case(9)
    @pytest.mark.parametrize("far", [1e20, 1e160, 1e200, 1e308])
    @pytest.mark.parametrize("step", [1.0, 1e-100])
    @pytest.mark.parametrize(("d", "method"), [(1, "line"), (1, "dense"), (2, "dense")])
    @pytest.mark.parametrize("p", [1, 2])
    def test_a_shared_far_point_does_not_make_the_interval_false(self, d, method, p, far, step):
        x, y = at(d, far, 0.0), at(d, far, step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)  # wide is allowed, false is not
            r = otdist.wasserstein(x, y, p=p, method=method)
        true = step / 2 ** (1 / p)
        assert r.lower <= true * (1 + 1e-15) and true <= r.upper * (1 + 1e-15)

    @case(9)
    def test_huge_costs_that_no_plan_needs_leave_it_optimal(self):
        # https://github.com/PythonOT/POT/issues/229
        cost = oracles.FORBIDDEN
        a = oracles.FORBIDDEN_MASS
        best = 0.125 * (1.51751540e-03 + 1.37109800e-01 + 2.46506283e00 + 5.26223432e00)
        best += 0.125 * (3.84690152e01 + 8.09465684e01 + 3.33064175e02)
        r = otdist.emd(cost, a, a)
        assert r.value == pytest.approx(best, rel=1e-12) and r.lower <= best * (1 + 1e-14)


class TestTies:
    @case(10)
    @each(DISTANCES)
    def test_equal_measures_with_duplicates_are_at_exactly_zero(self, f, d):
        assert f(at(d, 1, 1, 2, 2, 2, 5), at(d, 2, 1, 5, 2, 1, 2)) == 0.0
        assert f(at(d, 1, 1, 2, 2), at(d, 1, 2)) == 0.0
        assert f(at(d, 3, 3, 3, 3, 3), at(d, 3, 3, 3)) == 0.0

    @case(10)
    @each(DISTANCES)
    def test_half_of_the_points_tied(self, f, d):
        x, y = [0.0, 0, 0, 0, 1, 2, 3, 4], [0.0, 0, 0, 0, 0, 7, 7, 9]
        if f.p == 1:
            assert f(at(d, *x), at(d, *y)) == pytest.approx(float(exact_line(x, y)), rel=1e-15)
        assert f(at(d, 3, 3, 3, 3, 3), at(d, 4, 4, 4)) == 1.0

    @case(10, 12)
    def test_a_constant_sample_has_no_noise(self):
        assert not otdist.stats.noise_floor(np.full(9, 3.3), 4, 4, n_resamples=9, rng=0).draws.any()

    @case(11)
    @each(DISTANCES)
    def test_a_sample_is_at_positive_zero_of_itself_in_any_order(self, f, d):
        x = 0.1 * samples(d)[0]
        for y in (x, x.copy(), x[::-1], x[[3, 0, 4, 1, 2]]):
            value = f(x, y)
            assert value == 0.0 and not np.signbit(value)

    @case(19)
    @each(DISTANCES)
    def test_minus_zero_is_zero(self, f, d):
        assert f(at(d, -0.0, 1.0), at(d, 0.0, 1.0)) == 0.0
        assert f(-at(d, 0.0, 0.0), at(d, 0.0)) == 0.0
