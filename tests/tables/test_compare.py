"""Tables compared: each column by an independent formula, all libraries alike, and nothing left unsaid."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import (
    false_discovery_control,
    iqr,
    median_abs_deviation,
    rankdata,
    wasserstein_distance,
)

import otdist
from otdist.errors import InputError

SCALES = {"std": np.std, "iqr": iqr, "mad": median_abs_deviation, "range": np.ptp, "none": lambda x: 1.0}
LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table, "dict": dict}
DAYS = [dt.datetime(2024, 3, 30, 12) + dt.timedelta(days=k) for k in range(5)]  # over a clock change
LATER = [day + dt.timedelta(days=2, hours=6) for day in DAYS]


def compare(reference, current, **options):
    """``otdist.compare`` with few resamples and, unless asked for, without the rows."""
    return otdist.compare(reference, current, **{"n_resamples": 19, "joint": False, **options})


def one(reference, current, **options):
    """Report of a single column given as two sequences."""
    return compare({"a": reference}, {"a": current}, **options)["a"]


def table(rng, rows=60, shift=0.0):
    return {
        "length": rng.normal(shift, 2.0, rows),
        "mass": rng.gamma(2.0, 1.0, rows) + shift,
        "city": rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
        "member": rng.random(rows) < 0.3,
    }


@pytest.fixture
def pair(rng):
    return table(rng), table(rng, 45, shift=1.0)


class TestColumns:
    @pytest.mark.parametrize("scale", SCALES)
    def test_numbers_are_w1_over_the_scale_of_the_reference(self, rng, scale):
        x, y = rng.normal(5, 3, 80), rng.gamma(2, 3, 51)
        report = one(x, y, scale=scale)
        assert report.kind == "numeric" and report.status == "ok"
        assert report.w1 == pytest.approx(wasserstein_distance(x, y), rel=1e-12)
        assert report.scale == pytest.approx(SCALES[scale](x), rel=1e-12)
        assert report.scaled == pytest.approx(report.w1 / report.scale, rel=1e-12)

    @pytest.mark.slow
    @pytest.mark.parametrize("factor", [1e-200, 1e-5, 1e5, 1e200])
    @pytest.mark.parametrize("scale", ["std", "iqr", "mad", "range"])
    def test_the_scaled_distance_and_the_tests_do_not_depend_on_the_unit(self, rng, factor, scale):
        x, y = rng.normal(size=40), rng.normal(0.5, 1, 30)
        plain, other = (compare({"a": f * x}, {"a": f * y}, scale=scale, joint=True) for f in (1, factor))
        assert other["a"].w1 == pytest.approx(factor * plain["a"].w1, rel=1e-9)
        assert other["a"].floor == pytest.approx(factor * plain["a"].floor, rel=1e-9)
        assert other["a"].scaled == pytest.approx(plain["a"].scaled, rel=1e-9)
        assert (other["a"].pvalue, other["a"].status) == (plain["a"].pvalue, "ok")
        assert float(other.joint.result) == pytest.approx(float(plain.joint.result), rel=1e-9)

    def test_labels_are_the_total_variation(self):
        report = one(list("aaabbc"), list("abbdd"))
        assert report.kind == "categorical" and report.unit == "share"
        # |3/6 - 1/5| + |2/6 - 2/5| + |1/6 - 0| + |0 - 2/5|, halved
        assert report.w1 == report.scaled == pytest.approx((0.3 + 1 / 15 + 1 / 6 + 0.4) / 2, rel=1e-14)

    def test_unseen_and_lost_labels_are_counted(self):
        note = one(list("aabbcc"), list("aaxxxyz")).note
        assert "3 labels not in the reference (5 rows)" in note and "2 labels gone" in note
        assert "1 label not in the reference" in one(list("aab"), list("aac")).note
        assert one(list("aab"), list("abb")).note == ""

    def test_truth_values_are_the_difference_of_shares(self):
        report = one([True, False, False, False], [True, True, False])
        assert (report.kind, report.unit) == ("boolean", "share")
        assert report.w1 == report.scaled == pytest.approx(2 / 3 - 1 / 4, rel=1e-14)

    def test_truth_values_against_zeros_and_ones_are_numbers(self):
        report = one([True, False, False, False], [1, 1, 0])
        assert report.kind == "numeric" and report.w1 == pytest.approx(2 / 3 - 1 / 4, rel=1e-14)

    @pytest.mark.parametrize(
        "make",
        [
            pd.DataFrame,
            pl.DataFrame,
            pa.table,
            lambda t: {"t": np.array(t["t"], dtype="datetime64[s]")},
            lambda t: pd.DataFrame(t).assign(t=lambda f: f.t.dt.tz_localize("Australia/Perth")),
            lambda t: pl.DataFrame(t).with_columns(pl.col("t").dt.replace_time_zone("America/New_York")),
            lambda t: pa.table({"t": pa.array(t["t"], type=pa.timestamp("ms", "Asia/Kolkata"))}),
            lambda t: t,
            lambda t: pd.DataFrame({"t": pd.Series(t["t"], dtype=object)}),
        ],
        ids=[
            "pandas",
            "polars",
            "arrow",
            "numpy",
            "pandas-zone",
            "polars-zone",
            "arrow-zone",
            "list",
            "object",
        ],
    )
    @pytest.mark.parametrize("missing", [0, 2])
    def test_dates_are_compared_in_days(self, make, missing):
        report = compare(make({"t": DAYS + [None] * missing}), make({"t": LATER}))["t"]
        assert (report.kind, report.unit, report.status) == ("datetime", "days", "ok")
        assert report.w1 == pytest.approx(2.25, abs=1e-9)  # no clock changes in these zones in these days
        assert report.n_reference == 5 and report.missing_reference == missing / (5 + missing)

    @pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
    def test_the_hour_that_a_clock_change_takes_is_counted(self, library):
        frames = [pd.DataFrame({"t": side}) for side in (DAYS, LATER)]
        frames = [frame.assign(t=frame.t.dt.tz_localize("Europe/Berlin")) for frame in frames]
        read = {"pandas": pd.DataFrame, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}[library]
        # Only the first of the five days lies before the change: it is an hour closer.
        assert compare(*map(read, frames))["t"].w1 == pytest.approx(2.25 - 1 / 24 / 5, abs=1e-9)

    def test_the_same_instants_in_two_time_zones_are_no_distance_apart(self):
        utc = pd.DataFrame({"t": pd.to_datetime(DAYS).tz_localize("UTC")})
        local = utc.assign(t=utc.t.dt.tz_convert("Asia/Tokyo"))
        for other in (local, pl.from_pandas(local), pa.Table.from_pandas(local)):
            assert compare(utc, other)["t"].w1 == 0

    @pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
    def test_days_without_a_time_are_dates_in_every_library(self, make):
        days = [[day.date() for day in side] for side in (DAYS, LATER)]
        report = compare(make({"t": days[0]}), make({"t": days[1]}))["t"]
        assert (report.kind, report.w1) == ("datetime", 2.0)

    @pytest.mark.parametrize("day", [dt.date(9999, 12, 31), dt.date(1500, 1, 1)])
    def test_a_day_far_away_stays_far_away(self, day):
        near = [dt.date(2024, 1, 1)] * 3
        report = compare(pl.DataFrame({"t": near}), pl.DataFrame({"t": [day, *near[1:]]}))["t"]
        assert report.w1 == pytest.approx(abs((day - near[0]).days) / 3, rel=1e-12)

    @pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
    def test_durations_are_compared_in_days(self, make):
        hours = [[dt.timedelta(hours=h) for h in side] for side in ([1, 2, 3], [13, 14, 15])]
        report = compare(make({"t": hours[0]}), make({"t": hours[1]}))["t"]
        assert (report.kind, report.unit) == ("numeric", "days")
        assert report.w1 == pytest.approx(0.5, rel=1e-12)

    @pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
    def test_decimals_are_numbers_in_every_library(self, make):
        report = compare(
            make({"a": [Decimal("1.5"), Decimal("2")]}), make({"a": [Decimal("2.5"), Decimal("3")]})
        )
        assert (report["a"].kind, report["a"].w1) == ("numeric", 1.0)

    @pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
    def test_whole_numbers_that_float64_cannot_tell_apart_are_not_passed_over(self, make):
        for low in (2**53, 2**63 - 9):
            big = [low, low + 2, low + 4]
            report = compare(make({"a": big}), make({"a": [v + 1 for v in big]}))["a"]
            assert report.w1 == 1 and f"numbers less {low:,}"[:20] in report.note

    def test_numbers_too_far_apart_for_a_shift_are_warned_of(self):
        with pytest.warns(otdist.PrecisionWarning, match=r"2\*\*53"):
            compare({"a": [0, 2**53 + 1]}, {"a": [0, 2**53 + 3]})


class TestLibraries:
    @pytest.mark.slow
    def test_all_give_exactly_the_same_report(self, pair):
        makes = [dict, pd.DataFrame, pl.DataFrame, pa.table]
        answers = {compare(make(pair[0]), make(pair[1]), joint=True).to_json() for make in makes}
        mixed = compare(pd.DataFrame(pair[0]), pl.DataFrame(pair[1]), joint=True).to_json()
        assert answers == {mixed}

    def test_an_array_is_columns_x0_x1_and_so_on(self, rng):
        x, y = rng.normal(size=(20, 2)), rng.normal(size=(15, 2))
        named = [pl.DataFrame(z, schema=["x0", "x1"]) for z in (x, y)]
        assert compare(x, y).to_json() == compare(*named).to_json()
        assert compare(x[:, 0], y[:, 0])["x0"].w1 == compare(x, y)["x0"].w1

    @pytest.mark.parametrize(
        ("values", "dtype"),
        [
            ([1, None, 3], "Int64"),
            ([1.5, None, 3.0], "float64[pyarrow]"),
            ([True, None, False], "boolean"),
            (["x", None, "y"], "string"),
            (["x", None, "y"], "string[pyarrow]"),
            (["x", None, "y"], "category"),
            (["x", None, "y"], "object"),
            (["x", pd.NA, "y"], "object"),
        ],
    )
    def test_missing_is_missing_in_every_pandas_type(self, values, dtype):
        plain = [None if value is pd.NA else value for value in values]
        report = compare(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}), {"a": [v for v in plain if v]})[
            "a"
        ]
        expected = compare(pl.DataFrame({"a": plain}), {"a": [v for v in plain if v]})["a"]
        assert report.to_dict() == expected.to_dict()
        assert (report.n_reference, report.missing_reference) == (2, 1 / 3)


class TestMissingAndDegenerate:
    def test_missing_values_are_counted_and_left_out(self, rng):
        x, y = rng.normal(size=30), rng.normal(size=20)
        report = one(np.insert(x, [3, 9], np.nan), np.insert(y, 5, np.nan))
        assert report.w1 == pytest.approx(wasserstein_distance(x, y), rel=1e-12)
        assert (report.n_reference, report.n_current) == (30, 20)
        assert (report.missing_reference, report.missing_current) == (2 / 32, 1 / 21)

    @pytest.mark.parametrize("other", [[1.0, 2.0, 3.0], ["a", "b", "c"], [True, False, True]])
    def test_a_column_without_values_is_reported_and_the_others_computed(self, other):
        report = compare({"a": other, "b": [1, 2, 3]}, {"a": [None] * 3, "b": [2, 3, 4]}, joint=True)
        empty, other = report.columns
        assert empty.status == "all_missing" and empty.n_current == 0 and empty.missing_current == 1
        assert all(map(math.isnan, (empty.w1, empty.scaled, empty.floor, empty.pvalue, empty.qvalue)))
        assert other.w1 == 1 and other.qvalue == other.pvalue
        assert report.joint.columns == ("b",) and "without a" in report.joint.note

    def test_a_constant_column_that_stays_is_zero_and_ok(self):
        report = one([0.1] * 5, [0.1] * 3)
        assert (report.status, report.w1, report.scaled, report.floor, report.pvalue) == ("ok", 0, 0, 0, 1)

    def test_a_constant_column_that_moves_has_no_scale_and_says_so(self):
        report = compare({"a": [5.0] * 20, "b": range(20)}, {"a": [6.0] * 20, "b": range(20)}, joint=True)
        assert (report["a"].status, report["a"].w1, report["a"].scaled) == ("undefined_scale", 1, math.inf)
        # One of the C(40, 20) relabellings and its mirror image are as far apart: exact, without draws.
        assert report["a"].pvalue == pytest.approx(2 / math.comb(40, 20), rel=1e-9)
        assert (report["a"].draws, report["a"].verdict) == (0, "moved")
        assert report.joint.columns == ("b",) and report.joint.note == "rows without a (no scale)"
        assert report["a"].note == "reference is constant: no scale"
        assert one([5.0] * 20, [6.0] * 20, scale="none").scaled == 1

    def test_a_column_is_called_constant_only_if_it_is(self):
        spike, moved = [0.0] * 9 + [5.0], [0.0] * 7 + [5.0] * 3
        assert "constant" not in str(compare({"a": spike}, {"a": moved}, scale="iqr"))
        assert "constant" in str(compare({"a": [0.0] * 9}, {"a": moved}, scale="iqr"))

    def test_mass_that_must_go_to_infinity_is_an_infinite_distance(self):
        report = compare(
            {"a": [0, 1, 2.0], "b": [1, 2, 3]}, {"a": [0, 1, np.inf], "b": [1, 2, 4]}, joint=True
        )
        assert (report["a"].status, report["a"].w1) == ("infinite", math.inf)
        assert math.isnan(report["a"].pvalue) and report["b"].w1 == pytest.approx(1 / 3)
        assert report.joint.columns == ("b",)

    def test_mass_at_infinity_on_both_sides_has_no_distance_and_none_is_claimed(self):
        report = compare({"a": [0, np.inf]}, {"a": [1, np.inf]})
        assert report["a"].status == "infinite" and math.isnan(report["a"].w1)
        assert "W1 is infinite" not in str(report)

    def test_one_row_a_side_is_compared_without_a_floor(self):
        report = compare({"a": [1], "b": ["x"]}, {"a": [2], "b": ["x"]}, joint=True)
        assert report["a"].w1 == 1 and math.isnan(report["a"].floor) and report["b"].w1 == 0

    def test_one_complete_row_a_side_does_not_stop_the_columns(self):
        gappy = {"a": [1.0, 2.0, np.nan], "b": [np.nan, 2.0, 3.0]}
        assert [column.w1 for column in compare(gappy, gappy, joint=True).columns] == [0, 0]


class TestChance:
    def test_identical_tables_are_at_zero_with_p_one(self, pair):
        report = compare(pair[0], pair[0], joint=True)
        assert [(c.w1, c.scaled, c.pvalue, c.qvalue) for c in report.columns] == [(0, 0, 1, 1)] * 4
        assert (float(report.joint.result), report.joint.marginal, report.joint.pvalue) == (0, 0, 1)

    @pytest.mark.parametrize("joint", [False, True])
    def test_q_values_are_those_of_scipy_over_all_tests(self, rng, joint):
        before = {f"c{k}": rng.normal(size=40) for k in range(6)}
        after = {f"c{k}": rng.normal(0.15 * k, 1, 40) for k in range(6)}
        before["empty"], after["empty"] = np.full(40, np.nan), np.zeros(40)
        before["lost"], after["lost"] = rng.normal(size=40), rng.normal(size=30)
        after["lost"] = np.append(after["lost"], [np.nan] * 10)
        report = compare(before, after, n_resamples=199, joint=joint)
        figures = [(c.pvalue, c.qvalue) for c in report.columns if c.name != "empty"]
        figures += [(c.missing_pvalue, c.missing_qvalue) for c in report.columns[6:]]
        figures += [(of.pvalue, of.qvalue) for of in (report.joint, report.dependence) if of is not None]
        p, q = zip(*figures, strict=True)
        assert report.tests == len(p) == 9 + 2 * joint
        assert len(set(p)) > 5  # else scipy's rule was not put to use
        assert list(q) == list(false_discovery_control(p))
        assert math.isnan(report["empty"].qvalue) and report["empty"].verdict == "not measured"
        assert all(math.isnan(report[f"c{k}"].missing_qvalue) for k in range(6))

    def test_a_shift_stands_out_from_the_floor_and_its_absence_does_not(self, rng):
        before = {"a": rng.normal(size=400), "b": rng.choice(list("xyz"), 400)}
        same = compare(
            before, {"a": rng.normal(size=300), "b": rng.choice(list("xyz"), 300)}, n_resamples=199
        )
        moved = compare(
            before, {"a": rng.normal(1, 1, 300), "b": rng.choice(list("xxxyz"), 300)}, n_resamples=199
        )
        for k in range(2):
            assert same.columns[k].pvalue > 0.01 and same.columns[k].w1 < 2 * same.columns[k].floor
            assert moved.columns[k].pvalue == 1 / 200 and moved.columns[k].w1 > moved.columns[k].floor

    @pytest.mark.slow
    def test_the_floor_of_a_column_is_what_independent_samples_show(self):
        rng = np.random.default_rng(5)
        draws = [wasserstein_distance(rng.normal(size=300), rng.normal(size=150)) for _ in range(300)]
        floors = [one(rng.normal(size=300), rng.normal(size=150), rng=rng).floor for _ in range(20)]
        assert np.mean(floors) == pytest.approx(np.quantile(draws, 0.95), rel=0.12)
        draws = [
            np.abs(
                rng.multinomial(300, [0.5, 0.3, 0.2]) / 300 - rng.multinomial(150, [0.5, 0.3, 0.2]) / 150
            ).sum()
            for _ in range(300)
        ]
        labels = [rng.choice(list("abc"), 300, p=[0.5, 0.3, 0.2]) for _ in range(20)]
        floors = [one(x, x[:150], rng=rng).floor for x in labels]
        assert np.mean(floors) == pytest.approx(np.quantile(draws, 0.95) / 2, rel=0.12)

    @pytest.mark.slow
    def test_the_same_seed_gives_the_same_report_and_another_seed_another(self, pair):
        reports = [
            compare(*pair, rng=rng, joint=True).to_dict() for rng in (3, 3, np.random.default_rng(3), 4)
        ]
        assert [report.pop("seed") for report in reports] == [3, 3, None, 4]
        assert reports[0] == reports[1] == reports[2] != reports[3]

    @pytest.mark.parametrize("columns", [["length", "mass"], ["mass", "length"], ["city", "member"]])
    def test_figures_of_a_column_do_not_depend_on_the_columns_beside_it(self, pair, columns):
        # So many relabellings that none of the columns needs more of them.
        whole, part = (compare(*pair, columns=names, n_resamples=399) for names in (None, columns))
        assert max(column.draws for column in whole.columns) == 399
        for column in part.columns:
            alone, beside = column.to_dict(), whole[column.name].to_dict()
            assert {**alone, "qvalue": 0} == {**beside, "qvalue": 0}  # q alone counts the tests


class TestJoint:
    @pytest.mark.slow
    def test_it_is_w1_under_the_mean_of_scaled_differences(self, pair):
        report = compare(*pair, joint=True, columns=["length", "city", "member"])
        x, y = (
            np.column_stack([t["length"] / np.std(pair[0]["length"]), t["city"].view("u4"), t["member"]])
            for t in pair
        )
        cost = np.mean(
            [abs(x[:, None, 0] - y[:, 0]), x[:, None, 1] != y[:, 1], x[:, None, 2] != y[:, 2]], axis=0
        )
        assert float(report.joint.result) == pytest.approx(float(otdist.emd(cost)), rel=1e-9)
        assert report.joint.result.lower <= report.joint.result.upper * (1 + 1e-12)

    @pytest.mark.slow
    @pytest.mark.parametrize("scale", ["std", "mad"])
    def test_it_is_at_least_the_mean_of_the_columns(self, pair, scale):
        report = compare(*pair, joint=True, scale=scale)
        used = [report[name].scaled for name in report.joint.columns]
        assert report.joint.marginal == pytest.approx(np.mean(used), rel=1e-12)
        assert report.joint.marginal <= report.joint.result.upper * (1 + 1e-12)
        assert report.joint.result.lower <= float(report.joint.result) <= report.joint.result.upper

    @pytest.mark.parametrize("name", ["length", "city", "member"])
    def test_of_one_column_it_is_that_column(self, pair, name):
        report = compare(*pair, joint=True, columns=[name])
        assert float(report.joint.result) == pytest.approx(report[name].scaled, rel=1e-9)
        assert report.joint.marginal == pytest.approx(report[name].scaled, rel=1e-12)

    def test_it_sees_a_change_in_how_columns_go_together(self, rng):
        x = rng.normal(size=60)
        report = compare({"a": x, "b": x}, {"a": x, "b": -x}, joint=True, n_resamples=39)
        # b is symmetric up to noise, so its own distance is small; together they are far apart.
        assert float(report.joint.result) > 2 * report.joint.marginal
        assert float(report.joint.result) > report.joint.floor
        # Four tests, of which two can be small: 2 * 4 / (2 * 0.05) relabellings, none as far apart.
        assert (report.joint.draws, report.joint.pvalue) == (80, 1 / 81)
        assert report.joint.verdict == "moved" and report.moved == ()
        pair = report.dependence
        assert (pair.columns, pair.verdict, pair.draws, pair.pvalue) == (("a", "b"), "moved", 80, 1 / 81)
        a, b = rankdata(np.append(x, x)), rankdata(np.append(x, -x))
        before, after = (np.corrcoef(a[side], b[side])[0, 1] for side in (slice(60), slice(60, None)))
        assert (pair.before, pair.after) == pytest.approx((before, after), rel=1e-9)
        assert pair.before > 0.99 and pair.after < -0.99

    @pytest.mark.slow
    def test_its_floor_is_what_independent_samples_show_at_the_sizes_of_the_test(self):
        rng = np.random.default_rng(8)
        draws = [wasserstein_distance(rng.normal(size=50), rng.normal(size=40)) for _ in range(300)]
        sample = [(rng.normal(size=200), rng.normal(size=40)) for _ in range(12)]
        floors = [compare(x, y, joint=True, test_rows=50, rng=rng).joint.floor for x, y in sample]
        assert np.mean(floors) == pytest.approx(np.quantile(draws, 0.95), rel=0.12)

    def test_missing_values_count_as_a_value_of_their_own(self, rng):
        x, y = rng.normal(size=(12, 2)), rng.normal(size=(10, 2))
        gappy = np.vstack([x, [[np.nan, 1.0], [2.0, np.nan]]])
        report = compare(gappy, y, joint=True, scale="none")
        # A column with gaps is two: its values, gaps at the median of the reference, and whether it is one.
        gap = np.isnan(gappy)
        filled = np.where(gap, np.nanmedian(gappy, axis=0), gappy)
        coded = np.hstack([filled, gap]), np.hstack([y, np.zeros_like(y)])
        expected = float(otdist.w1(*coded, metric="cityblock")) / 4
        assert float(report.joint.result) == pytest.approx(expected, rel=1e-9)
        assert (report.joint.n_reference, report.joint.n_current) == (14, 10)  # no row is left out
        assert report.joint.note == "missing values count as values of their own (x0, x1)"

    @pytest.mark.slow
    def test_a_missing_label_is_a_label(self, rng):
        x, y = ({"a": rng.normal(size=n), "b": rng.choice(list("uvw"), n)} for n in (20, 15))
        named = [{**side, "b": np.where(side["b"] == "w", "missing", side["b"])} for side in (x, y)]
        gappy = [{**side, "b": [None if v == "w" else v for v in side["b"]]} for side in (x, y)]
        joints = [compare(*tables, joint=True).joint for tables in (named, gappy)]
        assert float(joints[0].result) == pytest.approx(float(joints[1].result), rel=1e-12)
        assert joints[0].marginal == pytest.approx(joints[1].marginal, rel=1e-12)

    @pytest.mark.slow
    def test_rows_and_resamples_that_were_sampled_are_reported(self, rng):
        x, y = rng.normal(size=(90, 2)), rng.normal(size=(70, 2))
        whole = compare(x, y, joint=True).joint
        part = compare(x, y, joint=True, max_rows=50, test_rows=20).joint
        assert (whole.note, whole.n_reference, whole.n_current, whole.n_test) == ("", 90, 70, 70)
        assert (part.n_reference, part.n_current, part.n_test) == (50, 50, 20)
        assert part.note == "W1 of 50 of 90 and 50 of 70 rows, at random; test on 20 and 20 of them"

    def test_there_is_none_where_it_is_not_asked_for_or_not_possible(self):
        assert compare([1.0, 2.0], [1.0, 3.0]).joint is None
        assert compare({"a": [1.0, 1.0]}, {"a": [2.0, 2.0]}, joint=True).joint is None
        # No row is complete, and all count.
        halves = {"a": [1.0, 2.0, None, None], "b": [None, None, 1.0, 2.0]}
        joint = compare(halves, halves, joint=True).joint
        assert (float(joint.result), joint.n_reference, joint.n_current) == (0, 4, 4)


class TestTables:
    def test_selected_columns_come_in_the_order_asked_for(self, pair):
        report = compare(*pair, columns=["member", "length"])
        assert [column.name for column in report.columns] == ["member", "length"]
        assert report.notes == ()

    def test_columns_are_matched_by_name_and_the_others_named(self, pair):
        after = {name: pair[1][name] for name in ("city", "length", "mass")} | {"extra": pair[1]["mass"]}
        report = compare(pair[0], after)
        assert [column.name for column in report.columns] == ["length", "mass", "city", "member", "extra"]
        assert [(report[name].verdict, report[name].note) for name in ("member", "extra")] == [
            ("gone", "not in the current table"),
            ("new", "not in the reference"),
        ]
        assert report["member"].moved and report["extra"].moved
        assert all(math.isnan(report[name].w1) for name in ("member", "extra"))
        assert report.notes == ("columns of current stand in another order; matched by name",)
        assert report["length"].w1 == compare(*pair)["length"].w1

    def test_a_column_that_cannot_be_read_does_not_stand_in_the_way_of_others(self):
        frame = pl.DataFrame({"a": [1, 2], "nested": [[1], [2]]})
        for columns in (None, ["a", "nested"]):
            report = compare(frame, frame, columns=columns)
            nested = report["nested"]
            assert (nested.verdict, nested.status, nested.moved) == ("unreadable", "unreadable", True)
            assert nested.note == "reference has type List(Int64) and current has type List(Int64)"
            assert report["a"].w1 == 0 and report.tests == 1
            assert "1 column is not readable: nested." in " ".join(str(report).split())
        assert compare(frame, frame, columns=["a"])["a"].w1 == 0

    def test_a_column_that_one_side_alone_cannot_read_says_which(self):
        nested, plain = pl.DataFrame({"a": [1, 2], "b": [[1], [2]]}), {"a": [1, 2], "b": [1, 2]}
        for tables, side in (((nested, plain), "reference"), ((plain, nested), "current")):
            report = compare(*tables)["b"]
            assert (report.verdict, report.note) == ("unreadable", f"{side} has type List(Int64)")

    @pytest.mark.parametrize(
        ("before", "after", "kinds"),
        [
            (["x", "y"], [1.0, 2.0], ("categorical", "numeric")),
            ([1.0, 2.0], [True, "y"], ("numeric", "categorical")),
            (np.array(DAYS, "M8[s]"), [1.0] * 5, ("datetime without a time zone", "numeric")),
            (np.array(DAYS, "M8[s]"), list("abcde"), ("datetime without a time zone", "categorical")),
            (np.array([1, 2], "m8[D]"), [1.0, 2.0], ("numeric (days)", "numeric")),
            (
                np.array([1, 2], "m8[D]"),
                np.array(DAYS[:2], "M8[s]"),
                ("numeric (days)", "datetime without a time zone"),
            ),
        ],
    )
    def test_two_kinds_are_a_row_that_says_from_what_to_what(self, before, after, kinds):
        for x, y, (old, new) in ((before, after, kinds), (after, before, kinds[::-1])):
            report = compare({"a": x, "b": range(len(x))}, {"a": y, "b": range(len(y))}, joint=True)
            column = report["a"]
            assert (column.verdict, column.note, column.moved) == ("retyped", f"{old} -> {new}", True)
            assert (column.n_reference, column.n_current) == (len(x), len(y))
            assert all(
                map(math.isnan, (column.w1, column.scaled, column.floor, column.pvalue, column.qvalue))
            )
            assert report["b"].w1 == 0 and report.tests == 2 and report.joint.columns == ("b",)
            assert f"1 column is of another kind: a ({old} -> {new})." in " ".join(str(report).split())

    def test_no_shared_column_is_an_error_that_shows_both_sides(self):
        with pytest.raises(InputError, match=r"shares no column .*\['b'\].*\['a'\]"):
            compare({"a": [1, 2]}, {"b": [1, 2]})

    def test_a_column_in_neither_table_is_an_error_that_lists_those_that_are(self):
        with pytest.raises(InputError, match=r"^columns: \['z'\] in neither table; .*\['a', 'b'\]"):
            compare({"a": [1]}, {"b": [1]}, columns=["a", "z"])

    def test_a_column_of_one_table_alone_may_be_asked_for(self):
        for verdict, tables in (("new", ({"a": [1]}, {"z": [1]})), ("gone", ({"z": [1]}, {"a": [1]}))):
            report = compare(*tables, columns=["z"], joint=True)
            assert [(column.name, column.verdict) for column in report.columns] == [("z", verdict)]
            assert report.joint is None and report.tests == 0

    def test_no_column_asked_for_is_an_error(self, pair):
        with pytest.raises(InputError, match="columns"):
            compare(*pair, columns=[])

    def test_columns_of_different_lengths_are_an_error(self):
        with pytest.raises(InputError, match="'b'"):
            compare({"a": [1, 2], "b": [1, 2, 3]}, {"a": [1, 2], "b": [1, 2]})

    def test_an_unknown_scale_is_an_error_that_lists_the_known_ones(self):
        with pytest.raises(InputError, match=r"^scale: must be .*std.*iqr.*, got 'sd'"):
            one([1, 2], [3, 4], scale="sd")

    def test_the_report_is_strict_json_whatever_is_infinite_or_missing(self, rng):
        before = {
            "a": [0.0, 1, 2],
            "b": [np.nan] * 3,
            "c": [5.0] * 3,
            "d": list("xyz"),
            'e"\x00\n': [1, 2, 3],
        }
        after = {"a": [0, 1, np.inf], "b": [1, 2, 3], "c": [6.0] * 3, "d": list("xyw"), 'e"\x00\n': [2, 3, 9]}
        report = compare(before, after, joint=True)

        def refuse(name):
            raise AssertionError(f"{name} is not JSON")

        read = json.loads(report.to_json(), parse_constant=refuse)
        assert [column["name"] for column in read["columns"]] == list(before)
        assert read["columns"][0]["w1"] == "inf" and read["columns"][1]["w1"] is None
        assert read["columns"][2]["scaled"] == "inf"
        assert read["joint"]["w1"] == float(report.joint.result)
        assert read["joint"]["result"]["lower"] <= read["joint"]["w1"] <= read["joint"]["result"]["upper"]
