"""Cases 2 and 21 to 30: weights and mass."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from cases import COST, DISTANCES, case, each, each_weight, exact_line, refused, samples, weights
from optional import torch

import otdist

NAN, INF = math.nan, math.inf
weighted = each(DISTANCES, takes="weights")


def given_weights(d, side, w):
    """Samples with one side weighted."""
    given = [*samples(d), *weights()]
    given[2 + side] = w
    return given


def spoiled(side, i, value):
    w = weights()[side]
    w[i] = value
    return w


class TestRefused:
    @case(2)
    @weighted
    @each_weight
    @pytest.mark.parametrize("bad", [NAN, INF, -INF])
    def test_a_weight_that_is_not_finite(self, f, d, side, bad):
        refused(f, "ab"[side], *given_weights(d, side, spoiled(side, 2, bad)), says=(2, bad))

    @case(2)
    @each([f for f in DISTANCES if "nan_policy" in f.takes], takes="weights")
    @pytest.mark.parametrize("policy", ["omit", "propagate"])
    def test_no_nan_policy_normalises_by_nan(self, f, d, policy):
        refused(f, "a", *given_weights(d, 0, spoiled(0, 2, NAN)), nan_policy=policy, says=(2,))

    @case(2, 18)
    @weighted
    def test_a_masked_or_missing_weight(self, f, d):
        w = weights()[0]
        refused(f, "a", *given_weights(d, 0, np.ma.masked_array(w, [0, 0, 1, 0, 0])), says=(2,))
        refused(f, "a", *given_weights(d, 0, [1.0, None, 1.0, 1.0, 1.0]), says=(1,))

    @case(22)
    @weighted
    @each_weight
    @pytest.mark.parametrize("bad", [-1.0, -1e-17, -5e-324, -1e308])
    def test_a_negative_weight_with_its_index(self, f, d, side, bad):
        refused(f, "ab"[side], *given_weights(d, side, spoiled(side, 3, bad)), says=(3, bad))

    @case(23)
    @weighted
    @each_weight
    def test_weights_that_are_all_zero(self, f, d, side):
        error = refused(f, "ab"[side], *given_weights(d, side, np.zeros(5 - side)))
        assert "zero" in error.problem or "no mass" in error.problem

    @case(30)
    @weighted
    @each_weight
    @pytest.mark.parametrize("count", [1, 3, 6])
    def test_a_wrong_number_of_weights_with_both_lengths(self, f, d, side, count):
        refused(f, "ab"[side], *given_weights(d, side, np.ones(count)), says=(count, 5 - side))

    @case(30)
    @weighted
    @pytest.mark.parametrize(
        "w", [np.ones((5, 2)), 1.0, np.ones((5, 5)), "ab", []], ids=["5x2", "scalar", "5x5", "str", "empty"]
    )
    def test_weights_of_a_wrong_shape(self, f, d, w):
        refused(f, "a", *given_weights(d, 0, w))


class TestNormalised:
    @case(21)
    @weighted
    def test_no_weights_and_equal_weights_are_the_same(self, f, d):
        x, y = samples(d)
        plain = f(x, y)
        assert f(x, y, np.ones(5), np.ones(4)) == pytest.approx(plain, rel=1e-15)
        assert f(x, y, np.full(5, 1 / 5), np.full(4, 1 / 4)) == pytest.approx(plain, rel=1e-15)
        assert f(x, y, None, np.full(4, 7.3)) == pytest.approx(plain, rel=1e-15)

    @case(24)
    @weighted
    @pytest.mark.parametrize("ghost", [0.0, -0.0])
    def test_a_zero_weight_is_an_absent_point(self, f, d, ghost):
        (x, y), (a, b) = samples(d), weights()
        a[1] = b[2] = ghost
        keep = [0, 2, 3, 4], [0, 1, 3]
        present = f(x[keep[0]], y[keep[1]], a[keep[0]], b[keep[1]])
        assert f(x, y, a, b) == pytest.approx(present, rel=1e-15)

    @case(24)
    @each([f for f in DISTANCES if f is not COST], takes="weights")
    @pytest.mark.parametrize("absent", [NAN, INF])
    def test_a_point_with_zero_weight_may_have_any_place(self, f, d, absent):
        (x, y), (a, b) = samples(d), weights()
        a[1] = 0.0
        expected = f(x, y, a, b)
        x[1] = absent
        assert f(x, y, a, b) == pytest.approx(expected, rel=1e-15)

    @case(25)
    @weighted
    def test_each_side_is_divided_by_its_sum(self, f, d):
        (x, y), (a, b) = samples(d), weights()
        a, b = a / a.sum(), b / b.sum()
        expected = pytest.approx(f(x, y, a, b), rel=1e-14)
        for s in (1 + 1e-8, 0.5, 0.5 + 1e-8, 1.1, 3.7e300, 1e-300):
            assert f(x, y, s * a, b) == expected == f(x, y, a, s * b)

    @case(25)
    @each(DISTANCES, takes="mass")
    def test_strict_refuses_different_sums_and_shows_both(self, f, d):
        (x, y), (a, b) = samples(d), weights()
        a, b = a / a.sum(), b / b.sum()
        refused(f, "mass", x, y, a, 1.1 * b, mass="strict", says=(1, 1.1))
        error = refused(f, "mass", x, y, a, b * (1 + 1e-5), mass="strict")
        assert len({word for word in error.problem.split() if word[0].isdigit()}) == 2, error.problem

    @case(25)
    @each(DISTANCES, takes="mass")
    def test_strict_allows_rounding(self, f, d):
        (x, y), (a, b) = samples(d), weights()
        a, b = a / a.sum(), b / b.sum()
        assert f(x, y, a, b * (1 + 1e-8), mass="strict") == pytest.approx(f(x, y, a, b), rel=1e-14)

    @case(25, 27)
    @each(DISTANCES, takes="mass")
    def test_strict_compares_sums_beyond_the_largest_number(self, f, d):
        x, y = samples(d)
        a, b = np.full(5, 1.6e308), np.full(4, 1.6e308)
        assert f(x, x[::-1], a, a, mass="strict") == 0.0
        refused(f, "mass", x, y, a, b, mass="strict")


class TestRange:
    @case(26)
    @pytest.mark.parametrize("method", ["line", "dense"])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_weights_from_1e_300_to_1_keep_a_proved_and_narrow_interval(self, method, reverse):
        rng = np.random.default_rng(4)
        x, y = rng.normal(size=40), rng.normal(size=30)
        a, b = np.exp(np.linspace(-690, 0, 40)), np.exp(np.linspace(-300, 0, 30))
        if reverse:
            x, a = x[::-1], a[::-1]
        r = otdist.w1(x, y, a, b, method=method)
        true = float(exact_line(x, y, a, b))
        assert r.lower <= true * (1 + 1e-15) and true <= r.upper * (1 + 1e-15) and r.gap < 1e-9
        assert r.value == pytest.approx(true, rel=1e-12)

    @case(26)
    def test_mass_of_1e_300_that_alone_must_move_is_not_zero(self):
        for method in ("line", "dense"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", otdist.ConvergenceWarning)  # wide is allowed, false is not
                r = otdist.w1([0.0, 1.0], [0.0, 2.0], [1.0, 1e-300], [1.0, 1e-300], method=method)
            assert r.lower <= 1e-300 <= r.upper and r.value == pytest.approx(1e-300, rel=1e-6), method

    @case(27)
    @weighted
    @pytest.mark.parametrize("size", [1e308, 1.7e308, 1e-320, 5e-324])
    def test_huge_and_denormal_weights(self, f, d, size):
        x, y = samples(d)
        expected = pytest.approx(f(x, y), rel=1e-15)
        assert f(x, y, np.full(5, size), None) == expected == f(x, y, np.full(5, size), np.full(4, size))

    @case(27)
    @weighted
    def test_huge_beside_small_weights(self, f, d):
        (x, y), b = samples(d), weights()[1]
        a = np.array([1e308, 1e308, 1e-300, 0.0, 5e-324])
        assert f(x, y, a, b) == pytest.approx(f(x[:2], y, None, b), rel=1e-12)


class TestTypes:
    @case(28)
    @weighted
    def test_float32_weights_against_float64(self, f, d):
        x, y = samples(d)
        a = np.full(5, 0.2, dtype="f4")
        assert f(x, y, a, np.full(4, 0.25)) == pytest.approx(f(x, y), rel=1e-15)
        a = np.linspace(0.1, 0.9, 5, dtype="f4")
        assert f(x, y, a, weights()[1]) == f(x, y, a.astype(float), weights()[1])

    @case(28)
    @weighted
    def test_torch_and_float16_weights(self, f, d):
        (x, y), (a, b) = samples(d), weights()
        expected = f(x, y, a, b)
        assert f(x, y, a.astype("f2"), b.astype("f2")) == expected  # they are dyadic
        assert f(x, y, torch.tensor(a), torch.tensor(b)) == pytest.approx(expected, rel=1e-15)

    @case(29)
    @weighted
    @pytest.mark.parametrize("dtype", ["i8", "u1", "i4"])
    def test_counts_are_masses(self, f, d, dtype):
        x, y = samples(d)
        a, b = np.array([3, 1, 0, 2, 200], dtype=dtype), np.array([1, 255, 1, 4], dtype=dtype)
        value = f(x, y, a, b)
        assert isinstance(value, float) and value == f(x, y, a.astype(float), b.astype(float))
        assert value == pytest.approx(f(x, y, a / a.sum(), b / b.sum()), rel=1e-14)

    @case(29)
    @weighted
    def test_a_boolean_mask_selects(self, f, d):
        x, y = samples(d)
        mask = np.array([True, False, True, True, False])
        assert f(x, y, mask) == pytest.approx(f(x[mask], y), rel=1e-15)

    @case(29)
    def test_a_plan_of_counts_has_shares(self):
        plan = otdist.w1([0.0, 1.0], [2.0, 5.0], [3, 1], [2, 2], method="dense").plan.toarray()
        assert plan.sum(axis=1) == pytest.approx([0.75, 0.25]) and plan.sum(axis=0) == pytest.approx(
            [0.5, 0.5]
        )

    @case(30)
    @each(DISTANCES, takes="mass")  # in wasserstein_1d a second axis numbers the samples
    def test_a_column_of_weights_is_read(self, f, d):
        (x, y), (a, b) = samples(d), weights()
        assert f(x, y, a[:, None], b[None, :]) == f(x, y, a, b)
