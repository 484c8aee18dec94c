"""What a pipeline breaks most often is found, said first, and fails the gate; noise does not."""

from __future__ import annotations

import math
import signal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

import otdist
from otdist import cli
from otdist.tables.gate import Gate
from otdist.tables.summary import summarise_comparison

STRICT = Gate(p=0.01, above=0.2, missing=0.1)


def table(rng, rows=400, columns=4):
    return {name: rng.normal(size=rows) for name in "abcdefgh"[:columns]}


@pytest.fixture
def pair(rng):
    return table(rng), table(rng)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Compare two tables in the shell: (exit status, output, lines of the error output)."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)

    def call(before, after, *options):
        csv.write_csv(pa.table(before), "before.csv")
        csv.write_csv(pa.table(after), "after.csv")
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(["compare", "before.csv", "after.csv", *map(str, options)])
        out, err = capsys.readouterr()
        return stop.value.code, " ".join(out.split()), err.splitlines()

    yield call
    signal.signal(signal.SIGINT, handler)


class TestFindings:
    """Findings of a first use: each had passed the gate with "0 columns moved"."""

    @pytest.mark.parametrize("columns", [60, 120])
    @pytest.mark.parametrize("rows", [60, 500])
    def test_one_shifted_column_of_many_is_the_one_that_moved(self, columns, rows):
        rng = np.random.default_rng([1, columns, rows])
        before, after = rng.normal(size=(2, rows, columns))
        after[:, 7] += 100
        report = otdist.compare(before, after, joint=False)
        assert [column.name for column in report.moved] == ["x7"] and not report.undecided
        assert report["x7"].qvalue <= 0.05 and report["x7"].draws > 999
        assert report["x7"].shift == pytest.approx(100, abs=0.5)
        assert summarise_comparison(report).startswith(
            f"1 of {columns} columns moved beyond sampling noise: x7 +"
        )
        (line,) = Gate(p=0.05).violations(report)
        assert line.startswith("x7: q = ")
        assert any(line.startswith("x7: W1/scale ") for line in STRICT.violations(report))

    @pytest.mark.slow
    def test_a_column_that_loses_its_values_has_moved(self, run, pair):
        before, after = pair
        after["a"][: 6 * 40] = np.nan
        report = otdist.compare(before, after)
        lost = report["a"]
        assert (lost.verdict, lost.missing_verdict, lost.moved) == ("not moved", "moved", True)
        assert (lost.missing_reference, lost.missing_current) == (0, 0.6) and lost.missing_qvalue < 1e-9
        assert [column.name for column in report.moved] == ["a"]
        assert "Missing values changed in 1 column: a 0% → 60%." in summarise_comparison(report)
        # For shell: null, not the text "nan".
        gappy = {**after, "a": [None if math.isnan(v) else v for v in after["a"]]}
        for rule, words in (
            (["--fail"], "a: q of missing values (0% → 60%) = "),
            (["--fail-p", 0.01], "a: q of missing values (0% → 60%) = "),
            (["--fail-missing", 0.1], "a: missing values 0% → 60%, a change of more than 10%"),
        ):
            status, out, err = run(before, gappy, "--no-joint", *rule)
            assert status == 1 and "Missing values changed in 1 column: a 0% -> 60%." in out
            assert len(err) == 1 and err[0].startswith(f"otdist: FAILED: {words}")
        assert run(before, gappy, "--no-joint", "--fail-missing", 0.6)[::2] == (0, [])
        assert run(before, gappy, "--no-joint", "--fail-above", 0.5)[::2] == (0, [])

    @pytest.mark.slow
    def test_whole_rows_see_values_that_are_lost(self, rng):
        before, after = (rng.normal(size=(200, 2)) for _ in range(2))
        after[:120, 0] = np.nan
        report = otdist.compare(before, after)
        assert report.joint.verdict == "moved" and report.joint.n_current == 200

    @pytest.mark.slow
    @pytest.mark.parametrize("verdict", ["gone", "new", "renamed", "retyped"])
    def test_a_column_that_is_gone_new_renamed_or_retyped_has_moved(self, run, pair, verdict):
        before, after = pair
        broken = {
            "gone": (before, {k: v for k, v in after.items() if k != "b"}),
            "new": ({k: v for k, v in before.items() if k != "b"}, after),
            "renamed": (before, {k.replace("b", "B"): v for k, v in after.items()}),
            "retyped": (before, {**after, "b": [f"{v:.1f} EUR" for v in after["b"]]}),
        }[verdict]
        expected = {"renamed": {"b": "gone", "B": "new"}}.get(verdict, {"b": verdict})
        report = otdist.compare(*broken, joint=False)
        assert {column.name: column.verdict for column in report.moved} == expected
        status, out, err = run(*broken, "--no-joint", "--fail")
        assert status == 1 and len(err) == len(expected)
        for name, status in expected.items():
            words = {"gone": "gone: ", "new": "new: ", "retyped": "of another kind: "}[status]
            assert f"1 column is {words}{name}" in out and f"* {name} " in out
            assert any(line.startswith(f"otdist: FAILED: {name}: {status} (") for line in err)
        allowed = [f"--allow={status}" for status in set(expected.values())]
        assert run(*broken, "--no-joint", "--fail", *allowed)[::2] == (0, [])

    def test_a_column_of_lists_that_cannot_be_read_fails(self, pair):
        before, after = ({**side, "tags": pa.array([[1]] * 400)} for side in pair)
        report = otdist.compare(pa.table(before), pa.table(after), joint=False)
        assert [column.name for column in report.moved] == ["tags"]
        assert "1 column is not readable: tags." in summarise_comparison(report)
        (line,) = STRICT.violations(report)
        assert line.startswith("tags: unreadable (reference has type ") and "--allow unreadable" in line
        assert Gate(p=0.01, allowed=("unreadable",)).violations(report) == []

    @pytest.mark.slow
    def test_whole_rows_that_moved_alone_are_in_the_headline_and_fail(self, run, rng):
        before, after = rng.normal(size=(2, 150)), rng.normal(size=(2, 150))
        tables = {"a": before[0], "b": before[0]}, {"a": after[0], "b": after[1]}
        report = otdist.compare(*tables)
        assert report.moved == () and report.joint.verdict == "moved" and report.joint.qvalue <= 0.05
        assert "0 of 2 columns moved" in summarise_comparison(
            report
        ) and "Whole rows moved (" in summarise_comparison(report)
        status, out, err = run(*tables, "--fail")
        assert status == 1 and "Whole rows moved (" in out and "* whole rows: joint W1" in out
        rows, pair = err
        assert rows.startswith("otdist: FAILED: whole rows: q = ") and rows.endswith(" <= 0.05 (--fail-p)")
        assert pair.startswith("otdist: FAILED: a and b: change of correlation, q = ")
        assert run(*tables, "--fail", "--no-joint")[::2] == (0, [])

    @pytest.mark.slow
    def test_the_floor_of_identifiers_is_not_below_what_chance_shows(self):
        ids = [[str(k) for k in range(first, first + 1000)] for first in (0, 1000)]
        report = otdist.compare({"id": ids[0]}, {"id": ids[1]}, joint=False)["id"]
        assert (report.w1, report.verdict, report.identifier) == (1.0, "not moved", True)
        assert report.floor >= report.w1
        rng = np.random.default_rng(3)
        sample = [{"a": [str(k) for k in rng.integers(0, 3000, 2000)]} for _ in range(2)]
        many = otdist.compare(*sample, joint=False)["a"]
        assert many.verdict == "not moved" and many.floor > 0.98 * many.w1

    @pytest.mark.slow
    def test_three_rows_of_noise_do_not_fail(self, run):
        rng = np.random.default_rng(1)
        failed = 0
        for _ in range(40):
            sides = {"a": rng.normal(size=500)}, {"a": rng.normal(size=3)}
            report = otdist.compare(*sides, joint=False, n_resamples=99)
            assert report["a"].scaled > 0.2  # far above the threshold, by noise
            failed += bool(Gate(above=0.2).violations(report))
        assert failed <= 6  # 5 of 100 are expected; 3 standard errors
        shifted = {"a": rng.normal(size=500)}, {"a": rng.normal(5, 1, size=3)}
        status, _, err = run(*shifted, "--no-joint", "--fail-above", 0.2)
        assert status == 1 and err[0].startswith("otdist: FAILED: a: W1/scale ")
        assert err[0].endswith(" > 0.2 (--fail-above)")

    def test_every_rule_that_is_broken_is_a_line_with_the_figure(self, run, pair):
        before, after = pair
        after["a"] += 3
        after["b"][:200] += 2
        del after["d"]
        after["e"] = before["a"]
        report = otdist.compare(before, after, joint=False)
        status, _, err = run(before, after, "--no-joint", "--fail-p", 0.01, "--fail-above", 0.2)
        lines = STRICT.violations(report)
        assert status == 1 and len(lines) == 6
        assert [line.split(":")[0] for line in lines] == ["a", "a", "b", "b", "d", "e"]
        assert err == [f"otdist: FAILED: {line}" for line in lines]
        assert f"a: W1/scale {report['a'].scaled:.4g} > 0.2 (--fail-above)" in lines

    def test_a_column_that_cannot_be_measured_fails_every_rule(self, rng):
        before, after = {"a": np.append(rng.normal(size=9), np.inf)}, {"a": rng.normal(size=9)}
        report = otdist.compare(before, after)
        assert report["a"].verdict == "not measured" and "could not be tested: a" in summarise_comparison(
            report
        )
        for gate in (Gate(p=0.05), Gate(above=10.0), Gate(missing=1.0)):
            assert any(
                line.startswith("a: could not be measured (infinite") for line in gate.violations(report)
            )

    def test_a_column_without_values_on_both_sides_breaks_no_rule(self):
        empty = {"a": [np.nan] * 9, "b": range(9)}
        assert STRICT.violations(otdist.compare(empty, empty)) == []

    def test_without_a_rule_nothing_fails(self, run, pair):
        before, after = pair
        assert run(before, {"a": after["a"] + 100}, "--no-joint")[::2] == (0, [])
        assert Gate().violations(otdist.compare(before, {"a": after["a"] + 100}, joint=False)) == []


class TestShell:
    @pytest.mark.slow
    def test_options_reach_the_comparison(self, run, rng):
        before = {"hour": rng.uniform(0, 24, 60), "amount": rng.gamma(2, 2, 60), "w": np.ones(60)}
        after = {"hour": (before["hour"] + 24) % 48, "amount": before["amount"] + 1, "w": np.ones(60)}
        status, out, err = run(
            before,
            after,
            "--no-joint",
            "--periodic",
            "hour=24",
            "--units",
            "amount=EUR",
            "--weights",
            "w",
            "--names",
            "last week",
            "this week",
        )
        assert (status, err) == (0, []) and out.startswith("last week -> this week 60 -> 60 rows")
        assert "+1 EUR" in out and " w " not in out.split("W1/scale")[1].split("* moved")[0]
        hour = otdist.compare(before, after, periodic={"hour": 24}, weights="w", joint=False)["hour"]
        assert hour.w1 < 1e-9 and hour.verdict == "not moved"

    @pytest.mark.slow
    def test_groups_and_blocks_say_what_is_assumed(self, run, rng):
        before, after = ({"a": rng.normal(size=60), "who": np.repeat(np.arange(20), 3)} for _ in range(2))
        out = run(before, after, "--no-joint", "--groups", "who")[1]
        assert "groups of 'who' are independent: 20 and 20 of them are relabelled" in out
        out = run(before, after, "--no-joint", "--blocks", 7)[1]
        assert "blocks of 7 consecutive rows are independent: 9 and 9 of them are relabelled" in out
        assert "p-values assume that rows are independent" in run(before, after, "--no-joint")[1]

    @pytest.mark.slow
    def test_of_many_columns_those_that_moved_are_listed_and_the_rest_on_request(self, run, rng):
        before, after = ({f"c{k:02}": rng.normal(size=30) for k in range(50)} for _ in range(2))
        after["c07"] += 50
        out = run(before, after, "--no-joint")[1]
        assert "* c07 " in out and "and 49 columns that did not move" in out and "c08" not in out
        out = run(before, after, "--no-joint", "--every")[1]
        assert all(f" c{k:02} " in out for k in range(50)) and "did not move" not in out


class TestRelations:
    """Figures of a column but q do not depend on other columns."""

    FIGURES = ("w1", "scaled", "scale", "shift", "floor", "pvalue", "missing_pvalue")

    @staticmethod
    def mixed(rng, rows):
        gappy = rng.normal(size=rows)
        gappy[rng.random(rows) < 0.2] = np.nan
        return {
            "number": rng.normal(size=rows),
            "other": rng.gamma(2, 1, rows),
            "label": rng.choice(list("uvw"), rows),
            "truth": rng.random(rows) < 0.4,
            "count": rng.poisson(2, rows),
            "gappy": gappy,
        }

    @pytest.fixture
    def tables(self, rng):
        return self.mixed(rng, 80), self.mixed(rng, 60)

    def same(self, one, other, rel=1e-12):
        for figure in self.FIGURES:
            a, b = getattr(one, figure), getattr(other, figure)
            assert a == pytest.approx(b, rel=rel, abs=1e-13, nan_ok=True), (one.name, figure)
        assert (one.draws, one.n_reference, one.missing_current) == (
            other.draws,
            other.n_reference,
            other.missing_current,
        )

    @pytest.mark.parametrize("name", ["number", "other", "label", "truth", "count", "gappy"])
    def test_of_a_table_with_one_column_changed_exactly_that_one_moved(self, rng, name):
        before, after = self.mixed(rng, 300), self.mixed(rng, 300)
        still = otdist.compare(before, after, joint=False)
        assert still.moved == ()
        after[name] = {
            "label": lambda v: np.where(rng.random(300) < 0.5, "w", v),
            "truth": lambda v: v | (rng.random(300) < 0.5),
        }.get(name, lambda v: v + 1)(after[name])
        report = otdist.compare(before, after, joint=False)
        assert [column.name for column in report.moved] == [name]
        for column in report:
            if column.name != name:
                self.same(column, still[column.name])

    def test_dropping_reordering_and_renaming_other_columns_changes_nothing_but_q(self, tables):
        options = {"joint": False, "n_resamples": 499}
        whole = otdist.compare(*tables, **options)
        halves = [dict(list(tables[0].items())[k : k + 3]) for k in (0, 3)]
        for half in halves:
            part = otdist.compare(half, {name: tables[1][name] for name in half}, **options)
            for column in part:
                self.same(column, whole[column.name])
        flipped = [dict(reversed(side.items())) for side in tables]
        for column in otdist.compare(*flipped, **options):
            self.same(column, whole[column.name])
        renamed = [
            {name if name == "label" else f"{name}!": v for name, v in side.items()} for side in tables
        ]
        self.same(otdist.compare(*renamed, **options)["label"], whole["label"])

    @pytest.mark.slow
    def test_swapping_the_sides_keeps_distances_and_negates_shifts(self, tables):
        there, back = otdist.compare(*tables), otdist.compare(*tables[::-1])
        for column in there:
            other = back[column.name]
            assert other.w1 == pytest.approx(column.w1, rel=1e-12, abs=1e-15)
            assert -other.shift == pytest.approx(column.shift, rel=1e-9, abs=1e-12, nan_ok=True)
            assert abs(column.shift) <= column.w1 * (1 + 1e-9) or math.isnan(column.shift)
            # Two independent estimates of one p-value, of at least 20 exceedances or 999 draws.
            error = 5 * column.pvalue * math.sqrt(2 / 20) + 0.01
            assert other.pvalue == pytest.approx(column.pvalue, abs=error)
            assert other.missing_pvalue == pytest.approx(column.missing_pvalue, rel=1e-9, nan_ok=True)

    def test_duplicates_of_all_rows_leave_the_distances(self, tables):
        twice = [{name: np.tile(values, 2) for name, values in side.items()} for side in tables]
        once, double = (otdist.compare(*sides, joint=False) for sides in (tables, twice))
        for column in once:
            other = double[column.name]
            assert other.w1 == pytest.approx(column.w1, rel=1e-12)
            assert other.scaled == pytest.approx(column.scaled, rel=1e-12)
            assert other.shift == pytest.approx(column.shift, rel=1e-9, nan_ok=True)
            assert other.missing_current == column.missing_current

    @pytest.mark.parametrize("factor", [2.0**-40, 3.0, 1e6])
    def test_units_change_no_test(self, tables, factor):
        scaled = [{**side, "number": factor * side["number"] + 5 * factor} for side in tables]
        plain, other = (otdist.compare(*sides, joint=False) for sides in (tables, scaled))
        a, b = plain["number"], other["number"]
        assert (a.pvalue, a.draws, a.verdict) == (b.pvalue, b.draws, b.verdict)
        for figure in ("w1", "floor", "shift", "scale"):
            assert getattr(b, figure) == pytest.approx(factor * getattr(a, figure), rel=1e-9)
        assert b.scaled == pytest.approx(a.scaled, rel=1e-9)
        for name in ("other", "label", "gappy"):
            self.same(plain[name], other[name])

    @pytest.mark.slow
    def test_many_rows_are_grouped_and_told_as_well(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=15_000), rng.normal(size=12_000)
        report = otdist.compare({"a": x}, {"a": y}, joint=False, n_resamples=99)["a"]
        assert report.verdict == "not moved"
        moved = otdist.compare({"a": x}, {"a": y + 0.1}, joint=False, n_resamples=99)["a"]
        assert moved.verdict == "moved" and moved.w1 > moved.floor
        draws = [np.abs(np.sort(a) - np.sort(b)).mean() for a, b in rng.normal(size=(60, 2, 13_300))]
        assert report.floor == pytest.approx(np.quantile(draws, 0.95), rel=0.25)


@pytest.mark.slow
def test_a_label_that_appears_in_a_tenth_of_the_rows_fails_the_gate():
    """Total variation alone was as large by chance, beside the noise of three frequent labels."""
    failed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        old, new = (rng.choice(["web", "app", "shop"], 400, p=[0.5, 0.3, 0.2]) for _ in range(2))
        new = np.where(rng.random(400) < 0.1, "partner", new)
        others = {f"c{k}": (rng.normal(size=400), rng.normal(size=400)) for k in range(12)}
        tables = [
            {"channel": side} | {name: pair[k] for name, pair in others.items()}
            for k, side in enumerate((old, new))
        ]
        report = otdist.compare(*tables, joint=False, rng=seed)
        failed += report["channel"].verdict == "moved"
    assert failed == 20
