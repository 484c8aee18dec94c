"""Cases 36, 38 and 40: series and tables with nulls and names."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import POINTS, STRICT, TABLES, case, refused, samples

import otdist

READERS = [*STRICT, TABLES]  # everything that takes containers of points
NAMES = ["u", "v"]
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": lambda columns: pa.table({k: list(v) for k, v in columns.items()}),
}
each_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


def columns(points):
    return dict(zip(NAMES, np.reshape(points, (len(points), -1)).T, strict=False))


NULLABLE = {
    "Int64": lambda v: pd.Series(v, dtype="Int64"),
    "Float64": lambda v: pd.Series(v, dtype="Float64"),
    "boolean": lambda v: pd.Series([w if w is None else bool(w) for w in v], dtype="boolean"),
    "float64": lambda v: pd.Series(v, dtype="float64"),
    "object": lambda v: pd.Series(v, dtype="object"),
    "int64[pyarrow]": lambda v: pd.Series(v, dtype="int64[pyarrow]"),
    "double[pyarrow]": lambda v: pd.Series(v, dtype="double[pyarrow]"),
    "bool[pyarrow]": lambda v: pd.Series([w if w is None else bool(w) for w in v], dtype="bool[pyarrow]"),
    "polars Int64": lambda v: pl.Series(v, dtype=pl.Int64),
    "polars UInt8": lambda v: pl.Series(v, dtype=pl.UInt8),
    "polars Float32": lambda v: pl.Series(v, dtype=pl.Float32),
    "polars Boolean": lambda v: pl.Series([w if w is None else bool(w) for w in v]),
    "polars Decimal": lambda v: pl.Series(v, dtype=pl.Decimal(10, 2)),
    "pyarrow array": lambda v: pa.array(v, pa.int64()),
    "pyarrow chunked": lambda v: pa.chunked_array(
        [pa.array(v[:2], pa.float64()), pa.array(v[2:], pa.float64())]
    ),
}
each_nullable = pytest.mark.parametrize("make", NULLABLE.values(), ids=NULLABLE)
FLAT = [f for f in POINTS if 1 in f.dims]


class TestNulls:
    @case(38)
    @each_nullable
    @pytest.mark.parametrize("f", FLAT, ids=lambda f: f.name)
    def test_a_null_in_a_series_follows_nan_policy(self, f, make):
        holed, full, y = make([0, None, 1, 1]), make([0, 1, 1]), np.array([0.0, 0.5])
        expected = f(np.array([0.0, 1.0, 1.0]), y)
        assert f(full, y) == expected
        refused(f, "x", holed, y, says=(1,))
        assert f(holed, y, nan_policy="omit") == pytest.approx(expected, rel=1e-15)
        assert np.isnan(f(holed, y, nan_policy="propagate"))

    @case(38)
    @each_frame
    @pytest.mark.parametrize("f", [f for f in POINTS if 2 in f.dims], ids=lambda f: f.name)
    def test_a_null_in_a_table_follows_nan_policy(self, f, frame):
        holed = frame({"u": [1.0, 2.0, None, 4.0], "v": [1, None, 3, 4]})
        y = samples(2)[1]
        refused(f, "x", holed, y, says=(2, 1))
        expected = f(np.array([[1.0, 1.0], [4.0, 4.0]]), y)
        assert f(holed, y, nan_policy="omit") == pytest.approx(expected, rel=1e-15)

    @case(15, 38)
    @each_frame
    def test_integers_beyond_2_53_warn_also_beside_a_null(self, frame):
        for column in ([2**53 + 1, 0], [2**53 + 1, None]):
            table = frame({"u": pd.array(column, dtype="Int64") if frame is pd.DataFrame else column})
            with pytest.warns(otdist.PrecisionWarning):
                otdist.w1(table, [0, 1], nan_policy="omit")

    @case(16, 39)
    @each_frame
    def test_columns_that_are_no_numbers_are_refused_by_name(self, frame):
        for bad in (["a", "b"], [datetime.date(2026, 1, 1)] * 2, [[1.0], [2.0]], [1j, 2j]):
            if bad == [1j, 2j] and frame is not pd.DataFrame:
                continue
            error = refused(otdist.w1, "x", frame({"u": [1.0, 2.0], "bad": bad}), np.ones((2, 2)))
            assert "bad" in error.argument


class TestColumns:
    @case(32)
    @each_frame
    @pytest.mark.parametrize("f", READERS, ids=lambda f: f.name)
    def test_an_empty_table_is_refused(self, f, frame):
        for rows in ({}, {"u": np.empty(0), "v": np.empty(0)}):
            refused(f, f.sides[0], frame(rows), samples(2)[1])

    @case(36)
    @each_frame
    @pytest.mark.parametrize("f", [f for f in [*POINTS, TABLES] if 2 in f.dims], ids=lambda f: f.name)
    def test_columns_in_another_order_are_matched_by_name(self, f, frame):
        x, y = samples(2)
        table = columns(y)
        shuffled = frame({name: table[name] for name in reversed(table)})
        assert f(frame(columns(x)), shuffled) == pytest.approx(f(x, y), rel=1e-15)
        assert f(FRAMES["polars"](columns(x)), shuffled) == pytest.approx(f(x, y), rel=1e-15)

    @case(36)
    @each_frame
    @pytest.mark.parametrize("f", [f for f in POINTS if 2 in f.dims], ids=lambda f: f.name)
    def test_columns_that_one_side_lacks_are_listed(self, f, frame):
        x, y = (columns(z) for z in samples(2))
        refused(f, "y", frame(x), frame({"u": y["u"], "w": y["v"]}), says=("v", "w"))

    @case(36, 40)
    @each_frame
    def test_a_table_against_an_array_is_matched_by_position(self, frame):
        x, y = samples(2)
        assert (
            otdist.w1(frame(columns(x)), y).value
            == otdist.w1(x, y).value
            == otdist.w1(x, frame(columns(y))).value
        )

    @case(40)
    @pytest.mark.parametrize(
        "names", [[0, 1], [("a", 1), ("a", 2)], [1.5, None], [1, "1"], ["", " "], ["a\x00", "列"]]
    )
    def test_any_column_names_are_read(self, names):
        x, y = samples(2)
        tables = [pd.DataFrame(z, columns=pd.Index(names, tupleize_cols=False)) for z in (x, y)]
        assert otdist.w1(*tables).value == otdist.w1(x, y).value

    @case(40)
    def test_a_column_that_stands_twice_is_refused_by_name(self):
        x, y = samples(2)
        once, twice = pd.DataFrame(x, columns=NAMES), pd.DataFrame(y, columns=["u", "u"])
        refused(otdist.w1, "y", once, twice, says=("'u'",))
        refused(otdist.w1, "x", twice, twice, says=("'u'",))
        refused(otdist.w1, "y", x, pa.table([y[:, 0], y[:, 1]], names=["u", "u"]), says=("'u'",))
