"""What prompts and notebooks show: one line, escaped HTML, and DataFrames."""

from __future__ import annotations

import builtins
import math
import re
import sys

import numpy as np
import pytest

import otdist
from otdist.batch import ResultBatch
from otdist.pages.notebook import MAX_TABLE_ROWS, render_line, render_table
from otdist.stats import NoiseFloor, NullTest
from otdist.tables import frame

HOSTILE = "<script>alert(1)</script>\n\x1b[31m"


def result(value=1.0, **fields):
    return otdist.Result(value, **{"lower": value, "upper": value, "method": "none"} | fields)


def is_safe(html):
    """Whether a hostile name was neither obeyed nor dropped."""
    return "<script" not in html and "\x1b" not in html and "&lt;script&gt;" in html


def rows_of(html):
    return html.count("<tr>") - 1


class TestNotebook:
    def test_long_tables_are_cut_and_counted(self):
        html = render_table(("a", "b"), [(str(k), k) for k in range(MAX_TABLE_ROWS + 7)])
        assert rows_of(html) == MAX_TABLE_ROWS and "and 7 more" in html
        assert "more" not in render_table(("a",), [("x",)] * MAX_TABLE_ROWS)

    def test_everything_is_escaped(self):
        assert (
            is_safe(render_line(HOSTILE, HOSTILE, HOSTILE, HOSTILE))
            and render_line(*[HOSTILE] * 4).count("&lt;script") == 4
        )
        html = render_table((HOSTILE,), [(HOSTILE,)], caption=HOSTILE, notes=[HOSTILE])
        assert is_safe(html) and html.count("&lt;script") == 4

    def test_no_colour_is_set_so_that_both_themes_are_legible(self):
        html = render_line("a", "b", "c", "d") + render_table(("a",), [("x",)], bold=[True])
        assert not re.search(r"#[0-9a-f]{3}|rgb\(|[^-]color:", html)


class TestBatch:
    @pytest.fixture
    def batch(self):
        parts = [result(1.0), result(2.0, lower=1.5), result(math.nan), result(3.0, converged=False)]
        return ResultBatch(tuple(parts))

    def test_it_is_one_line(self, batch):
        text = "<ResultBatch: 4 results, W1 from 1 to 3, 1 exact, 1 NOT CONVERGED>"
        assert repr(batch) == text
        assert repr(batch[:1]) == "<ResultBatch: 1 result, W1 from 1 to 1, all exact>"
        assert repr(batch[:0]) == "<ResultBatch: no results>" and str(batch[:0]) == ""
        assert repr(batch[2:3]) == "<ResultBatch: 1 result, W1 nan, 0 exact>"

    def test_it_has_rows(self, batch):
        assert len(batch) == 4 and [float(r) for r in batch][:2] == [1.0, 2.0] and batch[-1] in list(batch)

    @pytest.mark.parametrize("package", ["pandas", "polars"])
    def test_it_is_a_frame_of_the_package_that_is_imported(self, batch, monkeypatch, package):
        module = pytest.importorskip(package)
        for other in {"pandas", "polars"} - {package}:
            monkeypatch.delitem(sys.modules, other, raising=False)
        table = batch.to_frame()
        assert isinstance(table, module.DataFrame) and table.shape == (4, 12)
        assert list(table["value"])[:2] == [1.0, 2.0] and math.isnan(list(table["value"])[2])
        assert list(table["converged"]) == [True, True, True, False]
        assert batch[:0].to_frame().shape == (0, 12)

    def test_without_either_it_says_what_to_install(self, batch, monkeypatch):
        load = builtins.__import__

        def refuse(name, *rest, **more):
            if name.split(".")[0] in ("pandas", "polars"):
                raise ImportError(name)
            return load(name, *rest, **more)

        for name in ("pandas", "polars"):
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(otdist.InputError, match="pip install pandas"):
            batch.to_frame()

    def test_html(self, batch):
        assert rows_of(batch._repr_html_()) == 4 and "NOT CONVERGED" in batch._repr_html_()
        assert is_safe(ResultBatch((result(metric=HOSTILE),))._repr_html_())
        assert rows_of(ResultBatch((result(),) * 100)._repr_html_()) == MAX_TABLE_ROWS


class TestTests:
    def test_a_test_is_one_line(self, rng):
        null = np.arange(1, 100) / 100
        test = NullTest(result(1.016), 0.01, null)
        text = "W1 = 1.016 (exact), p = 0.010 (99 relabellings); 95 % of relabellings give at most 0.95"
        assert str(test) == text and repr(test) == f"<NullTest: {text}>"
        assert (null <= 0.95).mean() >= 0.95
        assert "m (exact)" in str(NullTest(result(unit="m"), 0.01, null)) and "0.95 m" in str(
            NullTest(result(unit="m"), 0.01, null)
        )

    def test_a_missing_value_is_said(self):
        test = otdist.stats.permutation_test([math.nan], [1.0], nan_policy="propagate")
        assert str(test) == "W1 = nan, p = nan (a value is missing)" and "nan" in test._repr_html_()

    @pytest.mark.parametrize(("count", "text"), [(1, "1 relabelling)"), (999, "999 relab"), (1000, "1,000 ")])
    def test_p_has_the_digits_of_its_smallest_value(self, count, text):
        test = NullTest(result(), 1 / (1 + count), np.zeros(count))
        assert text in str(test) and float(re.search(r"p = (\S+)", str(test))[1]) > 0

    def test_a_floor_is_one_line(self):
        floor = NoiseFloor(np.arange(1, 200) / 100, 50, 40, "s")
        text = "W1 by chance = 1 s on average, 95 % of 199 draws give at most 1.9 s, n=50/40"
        assert str(floor) == text and repr(floor) == f"<NoiseFloor: {text}>"

    def test_html_is_escaped(self):
        hostile = result(metric=HOSTILE, unit=HOSTILE)
        assert is_safe(NullTest(hostile, 0.5, np.ones(3))._repr_html_())
        assert is_safe(NoiseFloor(np.ones(3), 2, 2, HOSTILE)._repr_html_())
        assert str(NullTest(hostile, 0.5, np.ones(3))).isprintable()


class TestRecommendation:
    def test_it_repeats_what_was_asked(self):
        choice = otdist.recommend(300, 2, m=200, max_bytes=4 * 10**9)
        assert str(choice).startswith("n=300/200, d=2: dense: ")
        assert repr(choice).startswith("<Recommendation: n=300/200, d=2: dense: ") and "\n" not in repr(
            choice
        )
        assert all(f"n=300/200, d=2: {one.method}" in str(one) for one in choice.alternatives)

    def test_html(self):
        choice = otdist.recommend(50_000, 16, max_bytes=4 * 10**9)
        html = choice._repr_html_()
        assert rows_of(html) == 1 + len(choice.alternatives) and "n=50000/50000, d=16" in html
        assert "not dense" in html and choice.why in html


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    before = {
        HOSTILE: rng.normal(size=40),
        "b": ["u", "v"] * 20,
        "fixed": np.ones(40),
        "gone": [None] * 40,
    }
    after = {
        HOSTILE: rng.normal(3, 1, 30),
        "b": ["u", "w"] * 15,
        "fixed": np.ones(30),
        "gone": [1.0] * 30,
    }
    return otdist.compare(before, after, n_resamples=199, test_rows=20, max_rows=20)


class TestComparison:
    @pytest.mark.parametrize("package", ["pandas", "polars"])
    def test_frame(self, report, monkeypatch, package):
        module = pytest.importorskip(package)
        for other in {"pandas", "polars"} - {package}:
            monkeypatch.delitem(sys.modules, other, raising=False)
        table = frame.to_frame(report)
        assert isinstance(table, module.DataFrame) and len(table) == len(report.columns)
        assert list(table["name"]) == [column.name for column in report.columns]
        for name in ("w1", "scaled", "floor", "pvalue", "qvalue"):
            np.testing.assert_array_equal(list(table[name]), [getattr(c, name) for c in report.columns])
        assert table["pvalue"].dtype in (np.float64, getattr(module, "Float64", None))
        assert "sketch" not in table.columns and next(iter(table["moved"]))

    def test_summary_is_one_line(self, report):
        text = frame.format_summary_line(report)
        assert text.startswith("<Comparison: reference -> current, 40 -> 30 rows: ") and text.isprintable()

    def test_html(self, report):
        html = frame.to_html(report)
        assert is_safe(html) and rows_of(html) == len(report.columns) and "joint W1 = " in html
        for column in report.columns:
            one = frame.column_to_html(column)
            assert "W1 = " in one and "<script" not in one
        assert ">not measured, missing values 100% → 0%<" in frame.column_to_html(report["gone"])
