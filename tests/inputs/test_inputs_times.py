"""Dates, times and durations: answers in seconds, exact to the tick, in every container."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from cases import refused
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import PrecisionWarning, metrics

T = np.array(["2024-01-01T00:00", "2024-01-02T12:00"], "M8[ns]")
STEP = np.timedelta64(50, "ns")
HOUR = np.timedelta64(1, "h")
zone = dt.timezone(dt.timedelta(hours=2))


def python(times):
    return [t.astype("M8[us]").item() for t in times]


CONTAINERS = {
    **{unit: (lambda t, unit=unit: t.astype(f"M8[{unit}]")) for unit in ("h", "s", "ms", "us", "ns", "10m")},
    "big-endian": lambda t: t.astype(">M8[ns]"),
    "object of datetime64": lambda t: np.array([*t], dtype=object),
    "datetimes": python,
    "Timestamps": lambda t: [pd.Timestamp(item) for item in t],
    "masked": lambda t: np.ma.array(t),
    "pandas": pd.Series,
    "pandas seconds": lambda t: pd.Series(t.astype("M8[s]")),
    "pandas Index": pd.DatetimeIndex,
    "pandas arrow": lambda t: pd.Series(t).astype("timestamp[ns][pyarrow]"),
    "pandas table": lambda t: pd.DataFrame({"t": t}),
    "polars": pl.Series,
    "polars table": lambda t: pl.DataFrame({"t": t}),
    "pyarrow": pa.array,
    "pyarrow table": lambda t: pa.table({"t": t}),
}
AWARE = {
    "datetimes": lambda t: [item.replace(tzinfo=dt.UTC) for item in python(t)],
    "other zone": lambda t: [item.replace(tzinfo=dt.UTC).astimezone(zone) for item in python(t)],
    "pandas": lambda t: pd.Series(t).dt.tz_localize("UTC"),
    "pandas, other zone": lambda t: pd.Series(t).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "pandas Index": lambda t: pd.DatetimeIndex(t).tz_localize("UTC"),
    "pandas seconds": lambda t: pd.Series(t.astype("M8[s]")).dt.tz_localize("UTC"),
    "polars": lambda t: pl.Series(t).dt.replace_time_zone("UTC"),
    "pyarrow": lambda t: pa.array(t, pa.timestamp("ns", "UTC")),
}


class TestContainers:
    @pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
    def test_an_hour_is_3600_seconds(self, make):
        r = otdist.w1(make(T), make(T + 25 * HOUR))
        assert r.value == 90_000.0 and r.unit == "s" and r.gap < 1e-13 and " s (exact)" in str(r)
        assert otdist.w1(make(T), T + STEP).value == 5e-8 == otdist.w1(T + STEP, make(T)).value

    @pytest.mark.parametrize("make", AWARE.values(), ids=AWARE)
    @pytest.mark.parametrize("other", AWARE.values(), ids=AWARE)
    def test_times_with_zones_are_points_in_time(self, make, other):
        assert otdist.w1(make(T), other(T + HOUR)).value == 3600.0

    @pytest.mark.parametrize("make", AWARE.values(), ids=AWARE)
    def test_naive_against_aware_is_refused(self, make):
        refused(otdist.w1, "y", make(T), T, says=("without a time zone", "with a time zone"))
        refused(otdist.w1, "y", T, make(T), says=("without a time zone", "with a time zone"))
        refused(otdist.wasserstein_1d, "y", T, make(T))

    def test_dates(self):
        day, later = dt.date(2024, 2, 28), dt.date(2024, 3, 1)
        for make in (list, pl.Series, pa.array, lambda v: np.array(v, "M8[D]")):
            assert otdist.w1(make([day]), make([later])).value == 2 * 86_400.0

    def test_durations(self):
        for make in (list, pd.Series, pl.Series, pa.array, lambda v: np.array(v, "m8[us]")):
            r = otdist.w1(make([dt.timedelta(hours=1)]), make([dt.timedelta(hours=3)]))
            assert r.value == 7200.0 and r.unit == "s"
        refused(otdist.w1, "y", T, T - T[0], says=("durations",))
        refused(otdist.w1, "x", np.array([1], "m8[M]"), np.array([2], "m8[M]"), says=("months",))

    def test_months_are_their_first_days(self):
        months = np.array(["2024-01", "2024-02"], "M8[M]")
        assert otdist.w1(months, months + 1).value == (31 + 29) / 2 * 86_400

    def test_a_missing_time_follows_nan_policy(self):
        holed = np.append(T, np.datetime64("NaT"))
        for make in (pd.Series, pl.Series, pa.array, np.asarray, lambda v: [pd.Timestamp(t) for t in v]):
            refused(otdist.w1, "x", make(holed), T, says=(2,))
            assert otdist.w1(make(holed), T, nan_policy="omit").value == 0.0
            assert math.isnan(otdist.w1(make(holed), T, nan_policy="propagate").value)

    def test_zones_within_a_list_are_all_or_none(self):
        mixed = [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=zone)]
        refused(otdist.w1, "x", mixed, T, says=(1,))
        refused(otdist.w1, "x", [dt.datetime(2024, 1, 1), 3.0], T, says=(1,))

    def test_the_first_day_of_the_calendar(self):
        x = [dt.datetime(1, 1, 1, tzinfo=zone), dt.datetime(2024, 1, 1, tzinfo=zone)]
        assert otdist.w1(x, x[1:]).value == 738_885 / 2 * 86_400

    def test_times_beyond_nanoseconds_of_int64(self):
        x, y = np.array(["200000-01-01"], "M8[D]"), np.array(["2024-01-01T00:00:00.000000001"], "M8[ns]")
        with pytest.warns(PrecisionWarning, match="times"):  # 6e21 of the second's ticks
            r = otdist.w1(x, y)
        assert r.lower <= (np.datetime64("200000-01-01") - np.datetime64("2024-01-01")).astype(int) * 86_400
        assert r.gap < 1e-13

    @pytest.mark.parametrize("numbers", [[1.0, 2.0], torch.tensor([1.0, 2.0]), pd.Series([1.0, 2.0])])
    def test_times_against_numbers_are_refused(self, numbers):
        refused(otdist.w1, "y", T, numbers, says=("plain numbers",))
        refused(otdist.w1, "y", numbers, T, says=("plain numbers",))

    def test_a_table_of_times_and_numbers_has_no_common_unit(self):
        frame = pd.DataFrame({"t": T, "v": [1.0, 2.0]})
        assert "'t'" in refused(otdist.w1, "x", frame, np.ones((2, 2))).argument
        both = pd.DataFrame({"t": T, "u": T})
        assert otdist.w1(both, both + 3 * HOUR).value == pytest.approx(10_800 * math.sqrt(2), rel=1e-15)
        mixed = pd.DataFrame({"t": T, "u": pd.Series(T).dt.tz_localize("UTC")})
        assert "'u'" in refused(otdist.w1, "x", mixed, mixed).argument


class TestFunctions:
    @pytest.mark.parametrize(
        ("call", "power"),
        [
            (otdist.wasserstein_1d, None),
            (lambda x, y: otdist.w1(x, y, method="dense"), 1),
            (lambda x, y: otdist.wasserstein(x, y, p=2, method="dense"), 1),
            (lambda x, y: otdist.w1(x, y, metric="sqeuclidean"), 2),
            (lambda x, y: otdist.w1(x, y, metric=metrics.periodic(86_400)), 1),
            (lambda x, y: otdist.w1(x, y, metric=lambda u, v: abs(u[0] - v[0])), 0),
            (lambda x, y: otdist.w1(x, y, metric="gower"), 0),
            (lambda x, y: otdist.sliced_w1(x, y), 1),
            (lambda x, y: otdist.max_sliced_w1(x, y, p=2), 1),
            (lambda x, y: otdist.unbalanced_w1(x, y, reach=3600.0), 1),
            (lambda x, y: otdist.unbalanced_w1(x, y, reach=3600.0, p=2), 2),
            (lambda x, y: otdist.partial_w1(x, y, moved=0.5), 1),
            (lambda x, y: otdist.sinkhorn_divergence(x, y, p=2), 2),
            (lambda x, y: otdist.sinkhorn_divergence(x, y, eps_abs=500.0), 1),
            (lambda x, y: otdist.stats.permutation_test(x, y, n_resamples=3, rng=0).result, 1),
        ],
    )
    def test_every_function_gives_what_it_gives_for_seconds(self, call, power):
        x, y = T, np.append(T, T[:1] + HOUR) + HOUR
        seconds = [(z - T[0]) / np.timedelta64(1, "s") for z in (x, y)]
        r, expected = call(x, y), call(*seconds)
        assert float(r) == pytest.approx(float(expected), rel=1e-6 if "sinkhorn" in str(r) else 1e-9)
        if power is not None:
            assert r.unit == {0: "", 1: "s", 2: "s^2"}[power] and expected.unit == ""
            loose = 1e-4 if r.method == "sinkhorn" else 1e-9  # its bounds come from float32 sums
            assert (r.lower, r.upper) == pytest.approx((expected.lower, expected.upper), rel=loose)

    def test_null_distances_are_in_seconds(self):
        x, y = T[0] + np.arange(9) * HOUR, T[0] + np.arange(7) * 2 * HOUR
        seconds = [(z - T[0]) / np.timedelta64(1, "s") for z in (x, y)]
        few = {"n_resamples": 9, "rng": 0}
        nulls = [otdist.stats.permutation_test(*pair, **few).null for pair in ((x, y), seconds)]
        assert nulls[0] == pytest.approx(nulls[1], rel=1e-12)
        floors = [otdist.stats.noise_floor(z, 3, 4, **few) for z in (x, seconds[0])]
        assert floors[0].draws == pytest.approx(floors[1].draws, rel=1e-12) and floors[0].unit == "s"

    def test_potentials_and_critic_take_times(self):
        r = otdist.w1(T, T + STEP)
        f, g = r.potentials
        assert r.lower <= (f.mean() + g.mean()) * (1 + 1e-15) and f.mean() + g.mean() == pytest.approx(5e-8)
        assert r.critic(pd.Series(T)) == pytest.approx(f) == r.critic(T.astype("M8[s]"))
        assert np.abs(r.critic(T - HOUR) - f) == pytest.approx([3600.0, 3600.0])
        refused(r.critic, "z", [1.0], says=("plain numbers",))
        refused(r.critic, "z", pd.Series(T).dt.tz_localize("UTC"))
        refused(otdist.w1([1.0], [2.0]).critic, "z", T)

    def test_a_matrix_of_durations_is_a_cost(self):
        r = otdist.emd(np.array([[1, 3], [4, 1]], "m8[m]"))
        assert (r.value, r.unit) == (60.0, "s")
        refused(otdist.emd, "cost", T[None])

    def test_weights_and_directions_are_no_times(self):
        refused(otdist.w1, "a", [1.0, 2.0], [3.0], T, says=("datetime64[ns]",))
        refused(otdist.sliced_w1, "directions", np.ones((2, 1)), [[3.0]], directions=T[:, None])
        weights = torch.ones(2, requires_grad=True)
        refused(otdist.w1, "a", T, T, weights, says=("gradient",))

    def test_the_unit_is_in_the_dictionary(self):
        assert otdist.w1(T, T).to_dict()["unit"] == "s" and otdist.w1([1.0], [1.0]).to_dict()["unit"] == ""


class TestPrecision:
    def test_whole_seconds_over_centuries_are_exact_in_nanoseconds(self):
        x = np.array(["1700-01-01", "2024-06-01T00:00:07"], "M8[ns]")
        assert otdist.w1(x, x + np.timedelta64(3, "s")).value == 3.0

    def test_nanoseconds_over_centuries_warn(self):
        x = np.array(["1700-01-01", "2024-06-01T00:00:00.000000001"], "M8[ns]")
        with pytest.warns(PrecisionWarning, match="^x: times"):
            otdist.w1(x, x[:1] + STEP)

    def test_fractions_of_seconds_for_a_metric_in_seconds_warn(self):
        with pytest.warns(PrecisionWarning, match="times"):
            otdist.w1(T, T + HOUR + STEP, metric=metrics.periodic(86_400))

    @given(
        st.lists(st.integers(0, 10**15), min_size=1, max_size=6),
        st.integers(0, 10**12),
        st.sampled_from(["s", "ms", "us", "ns"]),
    )
    def test_the_interval_holds_the_exact_seconds(self, ticks, shift, unit):
        offset = np.int64(10**9)
        x = (offset + np.array(ticks)).astype(f"M8[{unit}]")
        r = otdist.w1(x, x + np.timedelta64(shift, unit))
        places = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        assert r.lower * places <= shift * (1 + 1e-15) and shift <= r.upper * places * (1 + 1e-15)
        assert r.value == pytest.approx(shift / places, rel=1e-13, abs=1e-300)
