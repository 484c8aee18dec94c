"""Integers beyond 2**53 and long doubles: shifted before they are rounded, in every container."""

from __future__ import annotations

import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from cases import exact_line
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import PrecisionWarning, metrics

NANOSECONDS = [1_704_067_200_000_000_000, 1_704_153_600_000_000_000]  # two midnights
CONTAINERS = {
    "list": list,
    "int64": lambda v: np.array(v, np.int64),
    "uint64": lambda v: np.array(v, np.uint64),
    "big-endian": lambda v: np.array(v, ">i8"),
    "object": lambda v: np.array(v, object),
    "Decimal": lambda v: [Decimal(item) for item in v],
    "Fraction": lambda v: [Fraction(item) for item in v],
    "masked": lambda v: np.ma.array(v),
    "torch": torch.tensor,
    "torch uint64": lambda v: torch.tensor(v, dtype=torch.uint64),
    "pandas": pd.Series,
    "pandas Int64": lambda v: pd.Series(v, dtype="Int64"),
    "pandas array": lambda v: pd.array(v, dtype="Int64"),
    "pandas arrow": lambda v: pd.Series(v, dtype="int64[pyarrow]"),
    "pandas table": lambda v: pd.DataFrame({"t": v}),
    "polars": pl.Series,
    "polars table": lambda v: pl.DataFrame({"t": v}),
    "pyarrow": pa.array,
    "pyarrow table": lambda v: pa.table({"t": v}),
    "longdouble": lambda v: np.array(v, np.longdouble),
}
each_container = pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)


@each_container
class TestContainers:
    def test_a_shift_is_exact_and_silent(self, make):
        x, y = make(NANOSECONDS), make([t + 50 for t in NANOSECONDS])
        r = otdist.w1(x, y)
        assert r.value == 50.0 and r.lower <= 50 <= r.upper and r.gap < 1e-14
        assert otdist.wasserstein(x, y, p=2).value == 50.0

    def test_against_any_other_container(self, make):
        y = np.array([t + 50 for t in NANOSECONDS])
        assert otdist.w1(make(NANOSECONDS), y).value == 50.0 == otdist.w1(y, make(NANOSECONDS)).value


class TestFunctions:
    X, Y = np.array(NANOSECONDS), np.array(NANOSECONDS) + 50

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            (otdist.wasserstein_1d, 50.0),
            (lambda x, y: otdist.w1(x, y, method="dense").value, 50.0),
            (lambda x, y: otdist.w1(x, y, metric="gower").value, 50 / (NANOSECONDS[1] + 50 - NANOSECONDS[0])),
            (lambda x, y: otdist.w1(x, y, metric=metrics.periodic(1e6)).value, 50.0),
            (lambda x, y: otdist.sliced_w1(x, y).value, 50.0),
            (lambda x, y: otdist.max_sliced_w1(x, y).value, 50.0),
            (lambda x, y: otdist.unbalanced_w1(x, y, reach=1e9).value, 50.0),
            (lambda x, y: otdist.partial_w1(x, y).value, 50.0),
            (lambda x, y: round(float(otdist.sinkhorn_divergence(x, y, eps_abs=1e12)), 1), 50.0),
            (lambda x, y: otdist.stats.permutation_test(x, y, n_resamples=3, rng=0).result.value, 50.0),
            (
                lambda x, y: otdist.stats.noise_floor(
                    np.append(x, y), 1, 1, n_resamples=99, rng=0
                ).draws.min(),
                50,
            ),
        ],
    )
    def test_every_function_shifts(self, call, expected):
        assert float(call(self.X, self.Y)) == pytest.approx(expected, rel=1e-9)

    def test_two_columns_have_an_offset_each(self):
        x = np.stack([self.X, -self.X], axis=1)
        r = otdist.w1(x, x + np.array([3, 4]))
        assert r.value == 5.0 and r.lower <= 5 <= r.upper and r.gap < 1e-14

    def test_a_table_with_other_columns(self):
        x = pd.DataFrame({"t": NANOSECONDS, "v": [0.5, 0.25]})
        y = pd.DataFrame({"v": [1.5, 1.25], "t": NANOSECONDS})
        assert otdist.w1(x, y).value == 1.0

    def test_pairs_of_samples_have_an_offset_each(self):
        x = np.array([NANOSECONDS, [1, 2]])
        assert otdist.wasserstein_1d(x, x + np.array([[50], [7]])).tolist() == [50.0, 7.0]
        assert otdist.wasserstein_1d(x.T, (x + 1).T, axis=0).tolist() == [1.0, 1.0]
        assert otdist.wasserstein_1d(x[0], x)[0] == 0.0

    def test_nulls_stay_missing(self):
        x = pd.Series([*NANOSECONDS, None], dtype="Int64")
        assert otdist.w1(x, self.Y, nan_policy="omit").value == 50.0
        assert np.isnan(otdist.w1(x, self.Y, nan_policy="propagate").value)
        assert otdist.w1(pa.array([*NANOSECONDS, None]), self.Y, nan_policy="omit").value == 50.0

    def test_potentials_and_critic_are_at_the_caller_s_numbers(self):
        r = otdist.w1(self.X, self.Y)
        f, g = r.potentials
        assert r.critic(self.X) == pytest.approx(f) and -r.critic(self.Y) == pytest.approx(g)
        below = self.X - 3  # the first is smaller than the origin, which is the smallest number of both
        assert np.abs(r.critic(below) - f) == pytest.approx([3.0, 3.0])

    def test_floats_on_the_other_side(self):
        near = [float(NANOSECONDS[0])]
        assert otdist.w1(near, NANOSECONDS[:1]).value == abs(int(near[0]) - NANOSECONDS[0])
        assert otdist.w1(np.array([2.0**60]), [2**60 + 3]).value == 3.0

    @pytest.mark.parametrize(
        ("x", "y", "expected"),
        [
            (np.array([2**64 - 1], np.uint64), np.array([2**64 - 9], np.uint64), 8.0),
            (np.array([2**63], np.uint64), np.array([2**63 - 1], np.int64), 1.0),
            (np.array([-(2**63)]), np.array([-(2**63) + 5]), 5.0),
            ([2**200, 2**200 + 7], [2**200 + 7, 2**200 + 21], 10.5),
        ],
    )
    def test_the_ends_of_the_types(self, x, y, expected):
        assert otdist.w1(x, y).value == expected

    @pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="long double is double here")
    def test_a_long_double_keeps_its_digits(self):
        x = np.array(NANOSECONDS, np.longdouble)
        assert otdist.w1(x, x + np.longdouble(0.25)).value == 0.25

    def test_tensors_with_gradient_are_not_shifted(self):
        x = torch.tensor([2.0**60, 2.0**60 + 512], dtype=torch.float64, requires_grad=True)
        with pytest.warns(PrecisionWarning, match="^y"):
            value = otdist.w1(x, np.array([2**60 + 1, 2**60 + 3])).value
        value.backward()
        assert x.grad.isfinite().all()

    @pytest.mark.parametrize("metric", ["cosine", "angular", lambda u, v: abs(u[0] - v[0])])
    def test_a_metric_that_sees_the_origin_gets_rounded_numbers_and_a_warning(self, metric):
        with pytest.warns(PrecisionWarning, match="^x"):
            otdist.w1([[2**60 + 1, 1]], [[2**60, 1]], metric=metric)


numbers = st.integers(-(2**63), 2**63 - 1)


class TestExactly:
    @pytest.mark.slow
    @given(st.lists(numbers, min_size=1, max_size=5), st.lists(numbers, min_size=1, max_size=5))
    def test_the_interval_holds_the_integers_or_there_is_a_warning(self, x, y):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            r = otdist.w1(np.array(x), np.array(y))
        true = exact_line([Fraction(v) for v in x], [Fraction(v) for v in y])
        if not caught:
            assert r.lower <= true * (1 + 2.0**-50) and true <= r.upper * (1 + 2.0**-50)
        assert abs(Fraction(r.value) - true) <= 2**11  # a rounding of the largest

    @given(numbers, st.lists(st.integers(0, 2**40), min_size=1, max_size=6), st.integers(0, 2**40))
    def test_near_numbers_anywhere_are_exact(self, offset, steps, shift):
        offset = min(offset, 2**63 - 2**42)
        x = np.array([offset + step for step in steps])
        r = otdist.w1(x, x + shift)
        assert r.lower <= shift * (1 + 2.0**-50) and shift <= r.upper * (1 + 2.0**-50)
        assert r.value == pytest.approx(shift, rel=1e-14)
