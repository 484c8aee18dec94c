"""Columns of tables: the kind that the type states, in every library that states it."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import otdist
from otdist.errors import InputError
from otdist.inputs.frames import get_collect_call
from otdist.tables.columns import RetypedError, align_kinds, read_columns

UTC_PLUS_2 = dt.timezone(dt.timedelta(hours=2))
SIZES = ["small", "mid", "large"]


def compare(reference, current, **options):
    return otdist.compare(reference, current, **{"n_resamples": 9, "joint": False, **options})


def one(reference, current, **options):
    return compare({"a": reference}, {"a": current}, **options)["a"]


def column(values):
    columns, others = read_columns({"a": values}, "reference")
    assert not others
    return columns["a"]


class TestLabels:
    @pytest.mark.parametrize(
        "make",
        [
            pd.Categorical,
            lambda v: pd.Series(v, dtype="category"),
            lambda v: pa.array(v).dictionary_encode(),
            lambda v: pd.Series(pd.Categorical([float(item) for item in v])),
            lambda v: [str(item) for item in v],
            lambda v: np.array([str(item).encode() for item in v]),
            lambda v: pl.Series([str(item) for item in v], dtype=pl.Categorical),
            lambda v: np.array([str(item) for item in v], dtype=np.dtypes.StringDType()),
            lambda v: pa.array([str(item).encode() for item in v]),
            lambda v: pa.array([str(item) for item in v], pa.string_view()),
            lambda v: pa.chunked_array([[str(item)] for item in v]).dictionary_encode(),
            lambda v: [v[0], *map(str, v[1:])],
        ],
    )
    def test_categories_of_numbers_are_labels_in_every_type(self, make):
        plain = ["1", "2", "3", "3"], ["1", "2", "3", "9"]
        expected = one(*plain)
        report = one(make([1, 2, 3, 3]), make([1, 2, 3, 9]))
        assert report.to_dict() | {"note": ""} == expected.to_dict() | {"note": ""}
        assert (report.kind, report.w1) == ("categorical", 0.25)
        assert one(make([1, 2, 3, 3]), plain[0]).w1 == 0

    def test_labels_of_chunks_with_their_own_dictionaries_are_one_list(self):
        parts = [pa.array(side).dictionary_encode() for side in (["b", "a"], ["a", None], ["c"])]
        result = column(pa.chunked_array(parts))
        texts = [None if np.isnan(v) else result.labels[int(v)] for v in result.values]
        assert texts == ["b", "a", "a", None, "c"]

    def test_a_null_within_the_dictionary_is_missing(self):
        array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1]), pa.array(["x", None]))
        assert column(array).missing.tolist() == [False, True, True]

    def test_a_category_without_rows_is_not_reported_as_lost(self):
        frame = pd.Categorical(["a", "b"], categories=["a", "b", "never"])
        report = one(frame, ["a", "b"])
        assert report.note == "" and set(report.sketch.labels) == {"a", "b"}

    def test_a_dictionary_column_makes_no_python_object_a_row(self):
        codes = np.random.default_rng(0).integers(0, 3, 300_000).astype(np.int8)
        array = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b", "c"]))
        calls = []
        import sys

        sys.setprofile(lambda *event: calls.append(1))
        try:
            result = column(array)
        finally:
            sys.setprofile(None)
        assert np.array_equal(result.values, codes)
        assert len(calls) < 10_000


class TestOrder:
    @pytest.mark.parametrize(
        "make",
        [
            lambda v: pd.Series(pd.Categorical(v, SIZES, ordered=True)),
            lambda v: pl.Series(v, dtype=pl.Enum(SIZES)),
            lambda v: pa.Table.from_pandas(pd.DataFrame({"a": pd.Categorical(v, SIZES, ordered=True)}))["a"],
        ],
        ids=["pandas", "polars", "arrow"],
    )
    def test_ordered_labels_are_measured_in_steps(self, make):
        report = one(make(["small", "small", "large"]), make(["large", "mid", "large"]), scale="none")
        assert (report.kind, report.unit, report.w1) == ("ordinal", "steps", 1.0)

    def test_a_part_of_an_order_keeps_it(self):
        part = pd.Categorical(["small", "large"], ["small", "large"], ordered=True)
        whole = pd.Categorical(["large", "large"], SIZES, ordered=True)
        for x, y in ((part, whole), (whole, part)):
            assert one(x, y).w1 == 1.0 and one(x, y).kind == "ordinal"

    @pytest.mark.parametrize("other", [SIZES[::-1], ["small", "mid"], None])
    def test_labels_without_one_order_are_compared_without_it_and_that_is_said(self, other):
        x = pd.Categorical(["small", "large"], ["small", "large"], ordered=True)
        y = pd.Categorical(["small", "mid"], other, ordered=True) if other else ["small", "mid"]
        report = one(x, y)
        assert (report.kind, report.w1) == ("categorical", 0.5)
        assert "without an order" in report.note


class TestTimes:
    @pytest.mark.parametrize("dtype", [object, "M8[ns]", "M8[D]"])
    def test_numpy_days_are_days_in_every_container(self, dtype):
        x = np.array([np.datetime64("2024-01-01"), np.datetime64("2024-01-02")], dtype=dtype)
        y = np.array([np.datetime64("2024-01-02"), np.datetime64("2024-01-03")], dtype=dtype)
        gap = np.array([*y, np.datetime64("NaT")], dtype=dtype)
        assert (one(x, y).kind, one(x, y).w1) == ("datetime", 1.0)
        assert one(x, gap).missing_current == 1 / 3 and one(x, gap).w1 == 1.0

    def test_periods_are_compared_by_their_starts(self):
        x, y = (pd.period_range(start, periods=4, freq="M") for start in ("2024-01", "2024-02"))
        for make in (list, pd.Series, lambda v: v, lambda v: pd.DataFrame({"a": v})["a"]):
            report = one(make(x), make(y))
            assert (report.kind, report.w1) == ("datetime", (31 + 29 + 31 + 30) / 4)
            assert "start" in report.note

    @pytest.mark.parametrize(
        "make",
        [
            list,
            pl.Series,
            pa.array,
            pd.Series,
            lambda v: pa.array(v, pa.time32("s")),
            lambda v: pa.array(v, pa.time32("ms")),
            lambda v: pa.array(v, pa.time64("ns")),
        ],
    )
    def test_times_of_day_are_hours(self, make):
        x, y = make([dt.time(1), dt.time(2, 30), None]), make([dt.time(2), dt.time(3, 30), None])
        report = one(x, y)
        assert (report.kind, report.unit, report.w1) == ("numeric", "hours", 1.0)
        assert report.missing_reference == 1 / 3 and "midnight" in report.note

    @pytest.mark.parametrize("make", [pd.Series, pl.from_pandas, pa.array, lambda v: list(v)])
    def test_times_with_and_without_a_zone_are_two_types(self, make):
        naive = pd.Series(pd.to_datetime(["2024-01-01 12:00"] * 2))
        aware = naive.dt.tz_localize("Asia/Tokyo")
        for x, y in ((naive, aware), (aware, naive)):
            report = one(make(x), make(y))
            ends = ["without a time zone", "with a time zone"][:: 1 if x is naive else -1]
            assert (report.verdict, report.w1 == report.w1) == ("retyped", False)
            assert report.note == " -> ".join(f"datetime {end}" for end in ends)

    def test_the_first_day_with_an_offset_is_read(self):
        x = [dt.datetime(1, 1, 1, tzinfo=UTC_PLUS_2), dt.datetime(2024, 1, 1, tzinfo=UTC_PLUS_2)]
        assert one(x, [x[1]] * 2).w1 == pytest.approx(738885 / 2, rel=1e-12)


class TestContainers:
    @pytest.mark.parametrize(
        "make",
        [
            lambda t: pa.RecordBatch.from_pydict(t),
            lambda t: np.rec.fromarrays(list(t.values()), names=list(t)),
            lambda t: rows_of(t),
            lambda t: Stream(pa.table(t)),
            lambda t: {name: pd.Series(values) for name, values in t.items()},
            lambda t: {name: pa.array(values) for name, values in t.items()},
        ],
        ids=["batch", "record", "dicts", "stream", "dict of Series", "dict of Arrow"],
    )
    def test_tables_of_every_sort_give_the_report_of_the_dict(self, make):
        tables = [{"x": np.array([1.0, 2, 3]), "g": np.array(list("abb"))} for _ in range(2)]
        tables[1]["x"] = tables[1]["x"] + 1
        assert compare(*map(make, tables)).to_json() == compare(*tables).to_json()

    @pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series, pa.array])
    def test_labels_alone_are_a_table_of_one_column(self, make):
        report = compare(make(["a", "b"]), make(["a", "a"]))
        assert [(c.name, c.kind, c.w1) for c in report.columns] == [("x0", "categorical", 0.5)]

    @pytest.mark.parametrize("method", ["toArrow", "toPandas"])
    def test_a_frame_of_spark_is_read_by_its_arrow_door_or_names_its_own(self, method):
        data = {"x": [1.0, 2.0]}
        spark = type("DataFrame", (), {"__module__": "pyspark.sql", method: lambda self: pa.table(data)})
        if method == "toArrow":
            assert compare(spark(), data)["x"].w1 == 0
        else:
            assert get_collect_call(spark()) == ".toPandas()"

    def test_a_key_that_a_row_lacks_is_missing(self):
        report = compare([{"a": 1}, {"b": "x"}], [{"a": 1, "b": "x"}])
        assert (report["a"].missing_reference, report["b"].missing_reference) == (0.5, 0.5)

    def test_a_frame_that_is_not_yet_computed_names_its_own_remedy(self):
        with pytest.raises(InputError, match=r"\.collect\(\)"):
            compare(pl.LazyFrame({"a": [1]}), pl.DataFrame({"a": [1]}))

    @pytest.mark.parametrize("values", [[[1], [2]], [{"k": 1}, {"k": 2}], [1j, 2j]])
    def test_a_column_of_containers_is_left_out_in_every_library(self, values):
        complex_ = values == [1j, 2j]
        for make in (pd.DataFrame, dict if complex_ else pl.DataFrame, rows_of):
            columns, others = read_columns(make({"a": values, "b": [1, 2]}), "reference")
            assert list(columns) == ["b"] and list(others) == ["a"]


def rows_of(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class Stream:
    """A table that can be read by Arrow's interface alone."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class TestMatched:
    @pytest.mark.parametrize(
        ("before", "after", "change"),
        [
            (["x", "y"], [1.0, 2.0], "categorical -> numeric"),
            ([1.0, 2.0], ["x", "y"], "numeric -> categorical"),
            ([dt.timedelta(1)], [1.0], "numeric (days) -> numeric"),
            ([dt.time(1)], [dt.timedelta(1)], "numeric (hours) -> numeric (days)"),
            ([True], [dt.timedelta(1)], "boolean -> numeric (days)"),
            ([dt.date(2024, 1, 1)], ["x"], "datetime without a time zone -> categorical"),
        ],
    )
    def test_two_kinds_are_an_error_that_says_from_what_to_what(self, before, after, change):
        with pytest.raises(RetypedError) as caught:
            align_kinds(column(before), column(after))
        assert caught.value.change == change
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    def test_both_sides_get_one_list_of_labels(self):
        x, y = align_kinds(column(["a", "b"]), column(["c", "b", None]))
        assert x.labels == y.labels == ("a", "b", "c")
        assert x.values.tolist() == [0, 1] and y.values[:2].tolist() == [2, 1] and np.isnan(y.values[2])

    def test_a_side_without_values_takes_the_kind_of_the_other(self):
        for other in (["a"], [1.0], [dt.timedelta(1)], pd.Categorical(["a"], ordered=True)):
            for x, y in (
                align_kinds(column([None]), column(other)),
                align_kinds(column(other), column([None])),
            ):
                assert (x.kind, x.unit, x.labels) == (y.kind, y.unit, y.labels)


class TestStated:
    def test_numbers_that_are_labels(self):
        for x, y in (([1, 2, 3, 3], [1, 2, 3, 9]), ([1.0, 2, 3, 3], ["1", "2", "3", "9"])):
            report = one(x, y, categorical=["a"])
            assert (report.kind, report.w1) == ("categorical", 0.25)

    def test_identifiers_beyond_float64_stay_apart(self):
        ids = [2**53, 2**53 + 1]
        assert one(ids, [ids[0]] * 2, categorical=["a"]).w1 == 0.5

    def test_missing_stays_missing(self):
        for values in ([1.0, None], [True, None], [dt.date(2024, 1, 1), None], ["x", None]):
            report = one(values, values, categorical=["a"])
            assert (report.kind, report.missing_reference, report.n_reference) == ("categorical", 0.5, 1)

    def test_an_order_can_be_put_aside(self):
        x = pd.Categorical(["small", "large"], SIZES, ordered=True)
        assert one(x, x, categorical=["a"]).kind == "categorical"

    @pytest.mark.parametrize(
        ("before", "after", "w1", "unit"),
        [
            (["1.234,50"], ["1.235,50"], 1, ""),
            (["12,5 %", "-"], ["13 %"], 0.5, "%"),
            (["€ 3.50"], ["€ 4"], 0.5, "€"),
            (["007"], ["9"], 2, ""),
            ([1, 2], [2, 3], 1, ""),
        ],
    )
    def test_text_that_is_numbers(self, before, after, w1, unit):
        report = one(before, after, numeric=["a"])
        assert (report.kind, report.w1, report.unit) == ("numeric", w1, unit)

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            (["1", "unknown"], "'unknown' is not a number"),
            (["€ 1", "$ 2"], "two units"),
            (["1,234"], "may be two numbers"),
            (["1,5", "1.5"], "two decimal marks"),
            ([dt.date(2024, 1, 1)], "holds times"),
        ],
    )
    def test_text_that_is_not(self, values, problem):
        with pytest.raises(InputError, match=problem):
            one(values, values, numeric=["a"])

    def test_two_currencies_are_two_units(self):
        report = one(["€ 1"], ["$ 1"], numeric=["a"])
        assert (report.verdict, report.note) == ("retyped", "numeric (€) -> numeric ($)")

    def test_a_column_that_is_not_there_or_named_twice(self):
        for options in ({"numeric": ["z"]}, {"categorical": ["z"]}, {"categorical": "a"}):
            with pytest.raises(InputError, match=next(iter(options))):
                one([1], [2], **options)
        with pytest.raises(InputError, match="in categorical as well"):
            one([1], [2], numeric=["a"], categorical=["a"])

    def test_numbers_can_be_names(self):
        frame = pd.DataFrame(np.arange(6.0).reshape(3, 2))
        assert compare(frame, frame + 1, columns=[0], categorical=[1])["0"].w1 == 1


class TestHints:
    @pytest.mark.parametrize("make", [list, pd.Series, pl.Series, np.array])
    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (["1.234,50", "2"], "looks like numbers"),
            (["10 %", "20 %"], "looks like numbers"),
            (["1,234", "2,345"], "decimal mark"),
            (["1", "2", "unknown"], "'unknown'"),
            (["2024-01-01", "2024-01-02"], "looks like dates"),
            (["2024-01-01", "2024-01-02", "unknown"], "dates but for 'unknown'"),
            (["03.11.2025"], "looks like dates"),
            (["01/02/2025"], "state its format"),
        ],
    )
    def test_labels_that_look_like_something_else_are_said_to(self, make, values, words):
        report = one(make(values), make(values))
        assert report.kind == "categorical" and words in report.note

    def test_both_sides_are_hinted_at_once(self):
        assert one(["1,5"], ["2,5"]).note.count("looks like numbers") == 1

    @pytest.mark.parametrize("values", [["a", "b"], ["01067", "10115"], ["1a", "2b"], ["a1", "7"]])
    def test_labels_are_just_labels(self, values):
        assert one(values, values).note == ""
