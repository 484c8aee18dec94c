"""What ``compare`` makes of awkward tables: cases 4, 12, 36 and 38 to 41."""

from __future__ import annotations

import datetime
import json
import math
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import case, refused

import otdist

quick = {"n_resamples": 9}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}
each_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


def compare(reference, current, **options):
    report = otdist.compare(reference, current, **{**quick, **options})
    json.loads(report.to_json())  # whatever the table holds, the report can be written
    str(report)
    return report


class TestMissing:
    @case(4)
    @each_frame
    def test_a_column_without_values_is_reported_and_the_others_are_computed(self, frame):
        before = frame({"gone": [math.nan] * 4, "kept": [1.0, 2.0, 3.0, 4.0]})
        after = frame({"gone": [math.nan] * 3, "kept": [2.0, 3.0, 4.0]})
        report = compare(before, after)
        assert report["gone"].status == "all_missing" and math.isnan(report["gone"].w1)
        assert report["kept"].status == "ok" and report["kept"].w1 == 0.5
        assert report.joint.columns == ("kept",)

    @case(4)
    @each_frame
    def test_a_column_that_is_empty_on_one_side_says_which(self, frame):
        values, nothing = [1.0, 2.0, 3.0], [math.nan] * 3
        report = compare(frame({"v": values}), frame({"v": nothing}))
        assert report["v"].status == "all_missing" and "current" in report["v"].note
        report = compare(frame({"v": nothing}), frame({"v": values}))
        assert report["v"].status == "all_missing" and "reference" in report["v"].note
        assert report.joint is None

    @case(4, 39)
    @each_frame
    def test_a_column_of_nulls_has_the_kind_of_the_other_side(self, frame):
        report = compare(frame({"s": ["a", "b"]}), frame({"s": [None, None]}))
        assert (report["s"].status, report["s"].kind) == ("all_missing", "categorical")
        report = compare(frame({"s": [None, None]}), frame({"s": [None, None]}))
        assert report["s"].status == "all_missing"

    @case(38)
    @each_frame
    def test_nulls_are_counted_and_left_out(self, frame):
        before = frame({"n": [1, None, 3, 5], "s": ["a", None, "b", "b"], "t": [True, None, False, True]})
        after = frame({"n": [2, 4, 6, None], "s": ["a", "b", "b", None], "t": [True, True, False, None]})
        report = compare(before, after)
        assert [c.kind for c in report.columns] == ["numeric", "categorical", "boolean"]
        assert [c.w1 for c in report.columns] == pytest.approx([1.0, 0.0, 0.0])
        assert (
            {c.missing_reference for c in report.columns}
            == {0.25}
            == {c.missing_current for c in report.columns}
        )

    @case(38)
    @pytest.mark.parametrize(
        "dtype", ["Int64", "Float64", "Int8", "int64[pyarrow]", "double[pyarrow]", "object"]
    )
    def test_nullable_numbers(self, dtype):
        before = pd.DataFrame({"v": pd.Series([1, 2, None, 4], dtype=dtype)})
        report = compare(before, {"v": [2.0, 3.0, 5.0]})
        assert report["v"].w1 == pytest.approx(1.0) and report["v"].missing_reference == 0.25

    @case(38)
    @pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", "object"])
    def test_nullable_booleans(self, dtype):
        before = pd.DataFrame({"v": pd.Series([True, None, False, True, False], dtype=dtype)})
        report = compare(before, {"v": [True, True]})
        assert (report["v"].kind, report["v"].w1) == ("boolean", 0.5)

    @case(38)
    @each_frame
    def test_dates_with_nulls(self, frame):
        days = [datetime.datetime(2026, 1, k) for k in (1, 2, 5)]
        later = [day + datetime.timedelta(days=1.5) for day in days]
        report = compare(frame({"t": [*days, None]}), frame({"t": later}))
        column = report["t"]
        assert (column.kind, column.w1, column.unit, column.missing_reference) == (
            "datetime",
            1.5,
            "days",
            0.25,
        )

    @case(15)
    @each_frame
    def test_integers_beyond_2_53_warn(self, frame):
        table = frame({"id": [2**53 + 1, 2**53 + 3, 0]})
        with pytest.warns(otdist.PrecisionWarning, match="id"):
            compare(table, table)


class TestConstant:
    @case(12)
    @each_frame
    @pytest.mark.parametrize("scale", ["std", "iqr", "mad", "range"])
    def test_a_constant_column_has_distance_zero_or_no_scale(self, frame, scale):
        before = frame({"same": [0.1] * 5, "moved": [0.1] * 5, "other": [1.0, 2.0, 3.0, 4.0, 5.0]})
        after = frame({"same": [0.1] * 4, "moved": [0.4] * 4, "other": [1.0, 2.0, 3.0, 4.0]})
        report = compare(before, after, scale=scale)
        assert (report["same"].status, report["same"].w1, report["same"].scaled) == ("ok", 0.0, 0.0)
        assert (report["moved"].status, report["moved"].scaled) == ("undefined_scale", math.inf)
        assert report["moved"].w1 == pytest.approx(0.3)
        assert "other" in report.joint.columns and "moved" in report.joint.note

    @case(12)
    def test_without_scale_the_scaled_distance_is_the_distance(self):
        report = compare({"v": [0.1] * 5}, {"v": [0.4] * 4}, scale="none")
        assert report["v"].status == "ok" and report["v"].scaled == report["v"].w1

    @case(12)
    def test_a_column_that_is_mostly_constant_has_no_quartile_scale_but_a_status(self):
        before, after = {"v": [0.0] * 9 + [1.0]}, {"v": [0.0] * 8 + [1.0] * 2}
        report = compare(before, after, scale="iqr")
        assert (report["v"].status, report["v"].scaled) == ("undefined_scale", math.inf)


class TestLabels:
    @case(39)
    def test_labels_have_total_variation_and_unseen_ones_are_counted(self):
        before = pd.DataFrame({"s": pd.Categorical(list("aabb"), categories=list("abcz"))})
        after = pd.DataFrame({"s": pd.Categorical(list("abcc"), categories=list("cab"))})
        column = compare(before, after)["s"]
        assert (column.kind, column.w1, column.unit) == ("categorical", 0.5, "share")
        assert "1 label not in the reference (2 rows)" in column.note and "gone" not in column.note

    @case(39)
    @pytest.mark.parametrize(
        ("dtype", "kind"),
        [
            (pl.String, "categorical"),
            (pl.Categorical, "categorical"),
            (pl.Enum(["a", "b", "unused"]), "ordinal"),  # polars and Arrow call it ordered
        ],
        ids=str,
    )
    def test_polars_labels(self, dtype, kind):
        before = pl.DataFrame({"s": pl.Series(["a", "a", "b", None], dtype=dtype)})
        after = pl.DataFrame({"s": pl.Series(["b", "a", "b"], dtype=dtype)})
        assert compare(before, after)["s"].kind == kind
        column = compare(before, after, categorical=["s"])["s"]
        assert column.kind == "categorical" and column.w1 == pytest.approx(1 / 3)

    @case(39)
    def test_dictionary_encoded_arrow_labels(self):
        before, after = (pa.table({"s": pa.array(list(v)).dictionary_encode()}) for v in ("aab", "abb"))
        assert compare(before, after)["s"].w1 == pytest.approx(1 / 3)

    @case(39)
    @pytest.mark.parametrize("frame", [pd.DataFrame, dict], ids=["pandas", "dict"])
    def test_a_column_of_mixed_types_is_read_as_labels(self, frame):
        before = frame({"v": np.array(["a", 1, 2.5, None, (1, 2)], dtype=object)})
        after = frame({"v": np.array(["a", 1, "b", 2.5], dtype=object)})
        column = compare(before, after)["v"]
        assert column.kind == "categorical" and column.w1 == pytest.approx(0.25)

    @pytest.mark.slow
    @case(39)
    @each_frame
    def test_labels_against_numbers_are_a_row_and_the_others_are_computed(self, frame):
        before, after = frame({"v": [1.0, 2.0], "u": [1.0, 2.0]}), frame({"v": ["a", "b"], "u": [3.0, 4.0]})
        for tables, note in (
            ((before, after), "numeric -> categorical"),
            ((after, before), "categorical -> numeric"),
        ):
            report = compare(*tables)
            column = report["v"]
            assert (column.verdict, column.note, column.moved) == ("retyped", note, True)
            assert math.isnan(column.w1) and math.isnan(column.qvalue)
            assert report["u"].w1 == 2.0 and report.joint.columns == ("u",)
            assert f"1 column is of another kind: v ({note})." in " ".join(str(report).split())
        assert compare(before, after, columns=["v"])["v"].verdict == "retyped"
        assert compare(before, after, categorical=["v"])["v"].w1 == 1.0

    @case(39)
    @pytest.mark.parametrize("frame", [pl.DataFrame, pa.table], ids=["polars", "pyarrow"])
    def test_a_column_of_lists_is_a_row_that_says_its_type_even_if_it_is_the_only_one(self, frame):
        table, only = frame({"v": [[1.0], [2.0]], "u": [1.0, 2.0]}), frame({"v": [[1.0], [2.0]]})
        report = compare(table, table)
        assert [(c.name, c.verdict) for c in report.columns] == [("v", "unreadable"), ("u", "not moved")]
        for alone in (report, compare(table, table, columns=["v"]), compare(only, only)):
            column = alone["v"]
            assert column.verdict == "unreadable" and column.moved and math.isnan(column.w1)
            assert re.fullmatch(r"reference has type (\S*list.*) and current has type \1", column.note, re.I)
            assert (alone.n_reference, alone.n_current) == (2, 2)
            assert "1 column is not readable: v." in " ".join(str(alone).split())
        assert "No column could be compared." in str(alone) and alone.tests == 0 and alone.joint is None
        longer = frame({"v": [1.0, 2.0, 3.0]})
        assert compare(only, longer)["v"].note.startswith("reference has type ")
        assert (compare(only, longer).n_reference, compare(only, longer).n_current) == (2, 3)
        renamed = frame({"w": [[1.0], [2.0]]})
        refused(otdist.compare, "reference", only, renamed, says=("v", "w", "no column that can be compared"))


class TestNames:
    @case(36)
    @each_frame
    def test_another_order_is_noted_and_unshared_columns_are_rows(self, frame):
        before = frame({"u": [1.0, 2.0], "v": [3.0, 4.0], "old": [0.0, 1.0]})
        after = frame({"v": [3.0, 4.0], "new": [0.0, 1.0], "u": [2.0, 3.0]})
        report = compare(before, after)
        assert [c.name for c in report.columns] == ["u", "v", "old", "new"]
        assert [report[name].w1 for name in "uv"] == [1.0, 0.0]
        assert [(report[name].verdict, report[name].note) for name in ("old", "new")] == [
            ("gone", "not in the current table"),
            ("new", "not in the reference"),
        ]
        assert all(report[name].moved and math.isnan(report[name].w1) for name in ("old", "new"))
        assert "1 column is gone: old. 1 column is new: new." in " ".join(str(report).split())
        assert report.notes == ("columns of current stand in another order; matched by name",)

    @case(36)
    @each_frame
    def test_missing_columns_are_listed(self, frame):
        before, after = frame({"u": [1.0, 2.0], "v": [1.0, 2.0]}), frame({"u": [1.0, 2.0]})
        for tables in ((before, after), (after, before)):
            names = ["u", "v", "w"]
            refused(
                otdist.compare, "columns", *tables, columns=names, says=("['w'] in neither", "['u', 'v']")
            )
        report = compare(before, after, columns=["u", "v"])
        assert [(c.name, c.verdict) for c in report.columns] == [("u", "not moved"), ("v", "gone")]
        assert report["v"].note == "not in the current table"
        refused(otdist.compare, "current", before, frame({"x": [1.0, 2.0]}), says=("'x'", "'u'"))

    @case(32, 36)
    def test_no_columns_are_refused(self):
        table = {"v": [1.0, 2.0]}
        refused(otdist.compare, "columns", table, table, columns=[])

    @case(40)
    def test_keys_that_read_the_same_are_refused(self):
        refused(otdist.compare, "reference", {1: [1.0], "1": [2.0]}, {"1": [1.0]}, says=("'1'",))

    @case(40)
    def test_a_column_that_stands_twice_is_refused_by_name(self):
        twice = pd.DataFrame(np.eye(2), columns=["u", "u"])
        refused(
            otdist.compare, "reference", twice, pd.DataFrame(np.eye(2), columns=["u", "v"]), says=("'u'",)
        )
        refused(otdist.compare, "current", pd.DataFrame(np.eye(2), columns=["u", "v"]), twice, says=("'u'",))
        arrow = pa.table([[1.0], [2.0]], names=["u", "u"])
        refused(otdist.compare, "reference", arrow, pa.table({"u": [1.0]}), says=("'u'",))

    @case(40)
    @pytest.mark.parametrize("frame", [pd.DataFrame, dict], ids=["pandas", "dict"])
    def test_names_that_are_no_strings(self, frame):
        before = frame({0: [1.0, 2.0], 1: [5.0, 6.0], 2.5: [0.0, 1.0], ("a", 1): [1.0, 1.5]})
        after = frame({0: [2.0, 3.0], 1: [5.0, 6.0], 2.5: [0.0, 1.0], ("a", 1): [1.0, 1.5]})
        report = compare(before, after)
        assert [c.name for c in report.columns] == ["0", "1", "2.5", "('a', 1)"]
        assert [c.w1 for c in report.columns] == [1.0, 0.0, 0.0, 0.0]

    @pytest.mark.slow
    @case(40)
    @each_frame
    def test_hostile_names_and_labels_are_written_as_text(self, frame, tmp_path):
        names = ["<script>alert(1)</script>", "a\x00b", "naïve 列", "../../x", "", "{{7*7}}"]
        before = frame({name: ["<b>x</b>", "y"] for name in names})
        after = frame({name: ["y", "\x00<i>"] for name in names})
        report = compare(before, after)
        assert [c.name for c in report.columns] == names
        page = report.report(tmp_path / "report.html").read_text(encoding="utf-8")
        assert "&lt;script&gt;" in page and "{{7*7}}" in page and "列" in page
        assert not any(bad in page for bad in ("<script>alert", "<b>x", "<i>", "\x00"))
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


class TestTables:
    @case(41)
    def test_a_lazy_frame_is_refused_with_collect_as_remedy(self):
        table = pl.DataFrame({"v": [1.0, 2.0]})
        assert "collect" in refused(otdist.compare, "current", table, table.lazy()).remedy

    @case(16, 41)
    @pytest.mark.parametrize(
        "thing", ["table.csv", {}, None, 3.0, object(), {"v": None}, {"v": "abc"}], ids=repr
    )
    def test_what_is_no_table_is_refused(self, thing):
        refused(otdist.compare, "reference", thing, {"v": [1.0, 2.0]})
        refused(otdist.compare, "current", {"v": [1.0, 2.0]}, thing)

    @case(32)
    @each_frame
    def test_a_table_without_rows_is_refused(self, frame):
        table = frame({"v": [1.0, 2.0]})
        refused(otdist.compare, "reference", frame({"v": []}), table)
        refused(otdist.compare, "current", table, frame({"v": []}))

    @case(33)
    @each_frame
    def test_one_row_a_side_is_enough(self, frame):
        report = compare(frame({"v": [1.0], "s": ["a"]}), frame({"v": [3.0], "s": ["b"]}))
        assert (report["v"].w1, report["s"].w1) == (2.0, 1.0)

    @case(6)
    def test_numbers_near_the_largest(self):
        report = compare({"v": [1e308, -1e308, 0.0]}, {"v": [1e308, -1e308, 1e308]})
        assert report["v"].w1 == pytest.approx(1e308 / 3)

    @pytest.mark.slow
    @case(37, 42)
    def test_a_dict_of_any_arrays_is_read_and_not_modified(self):
        torch = pytest.importorskip("torch")
        makers = [list, np.array, pd.Series, pl.Series, pa.array, torch.tensor, tuple]
        expected = otdist.compare({"v": [1.0, 2.0, 4.0]}, {"v": [1.0, 3.0, 4.0]}, **quick)["v"].w1
        for make in makers:
            column = make([1.0, 2.0, 4.0])
            before = repr(column)
            assert compare({"v": column}, {"v": make([1.0, 3.0, 4.0])})["v"].w1 == expected
            assert repr(column) == before
