"""Measuring methods: rows that fail are rows, errors are true, and nothing is measured twice."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

import otdist
from otdist import bench
from otdist.bench import runs
from otdist.bench.methods import METHODS, is_cheap, parsed, python_of, suggested
from otdist.bench.report import proved
from otdist.bench.scatter import Errors
from otdist.errors import InputError

ADAPTER = """
import time
import numpy as np

def solve(name, x, y, options):
    if name == "planted slow" and len(x) > 60:
        time.sleep(60)
    if name == "planted greedy" and len(x) > 60:
        np.ones(2**31)
    if name == "planted loud" and len(x) > 60:
        print("{not json")
        raise ValueError("planted trouble")
    if name == "planted liar":
        return {"value": 3.0, "lower": 2.9, "upper": 3.1}
    return {"value": float("nan")}
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Methods that fail, each in its own way."""
    path = tmp_path / "planted.py"
    path.write_text(ADAPTER)
    for name in ("slow", "greedy", "loud", "liar", "nan"):
        monkeypatch.setitem(METHODS, f"planted {name}", (str(path.with_suffix("")), "numpy"))


@pytest.mark.slow
def test_every_failure_is_a_row(planted):
    methods = [f"planted {name}" for name in ("slow", "greedy", "loud", "liar", "nan")]
    runs = bench.run("moved grid n=100 d=2", methods, budget=2, memory=2e9)
    rows = {row["method"].removeprefix("planted "): row for row in runs.rows}
    assert (rows["slow"]["status"], rows["slow"]["reason"]) == ("timeout", "ended after 2 s")
    assert rows["greedy"]["status"] == "memory"
    assert rows["loud"]["status"] == "error"
    assert "planted trouble" in rows["loud"]["reason"]
    assert rows["liar"]["status"] == "ok"
    assert rows["liar"]["error"] == pytest.approx(4 / 7)  # the grid has moved by 7
    assert rows["liar"]["wrong_bound"]
    assert rows["nan"]["error"] is None
    for told in ("timeout: ", "memory: ", "error: ValueError: planted trouble"):
        assert told in str(runs)


@pytest.mark.alone
def test_a_method_that_does_not_even_start_is_told_from_a_slow_one(tmp_path, monkeypatch):
    path = tmp_path / "heavy.py"
    path.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setitem(METHODS, "heavy", (str(path.with_suffix("")), "numpy"))
    row = runs.measured(bench.question("ties n=20"), "heavy", 0.5, None, start=2.0)
    assert row["status"] == "timeout"
    assert row["reason"].startswith("not ready after 2.5 s")


def test_what_is_not_installed_is_a_row(monkeypatch):
    monkeypatch.setitem(METHODS, "pyemd", ("of_pyemd", "no_such_package"))
    (row,) = bench.run("shift n=20 d=2", ["pyemd"]).rows
    assert (row["status"], row["reason"]) == ("missing", "no_such_package is not installed")


def test_an_environment_of_its_own_is_asked(monkeypatch):
    monkeypatch.setenv("OTDIST_BENCH_PYEMD", "/somewhere/python")
    assert python_of("pyemd") == "/somewhere/python"


@pytest.mark.slow  # a process for each method
def test_rows_are_kept_and_not_measured_again(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    methods = ["otdist", "scipy assignment"]
    first = bench.run(["ties n=40 d=2"], methods[:1], budget=20, path=path)
    both = bench.run(["ties n=40 d=2"], methods, budget=20, path=path)
    assert both.rows[0] == first.rows[0]
    assert len(both.rows) == 2
    assert both.rows[1]["value"] == pytest.approx(both.rows[0]["value"])
    monkeypatch.setattr("otdist.bench.runs.measured", lambda *_: pytest.fail("measured again"))
    again = bench.run(["ties n=40 d=2"], methods, budget=20, path=path)
    assert again.rows == both.rows == bench.Runs.load(path).rows


@pytest.mark.slow  # a process for each method
def test_samples_of_the_caller_get_intervals_and_memory():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), rng.normal(size=(70, 3)) + 1
    runs = bench.run((x, y), ["otdist", "otdist sinkhorn tol=0.05"], budget=20)
    exact, near = runs.rows
    assert exact["value"] == pytest.approx(float(otdist.w1(x, y)))
    assert near["lower"] <= exact["value"] <= near["upper"]
    assert (exact["n"], exact["m"], exact["d"]) == (90, 70, 3)
    assert exact["memory"] is None or exact["memory"] >= 0
    assert exact["seconds"] > 0
    assert not exact["wrong_bound"] and not near["wrong_bound"]


@pytest.fixture
def asked_in_order(monkeypatch):
    """What would have been measured, in turn; a clock that goes on by two seconds each time."""
    seen, clock = [], [0.0]

    def measured(one, method, budget, memory, start):
        assert 10 <= start <= 60
        seen.append((one.name, method))
        clock[0] += 2.0
        return {"status": "ok", "value": 1.0, "seconds": 1.0, "memory": 1, **runs.sizes(one)}

    monkeypatch.setattr(runs, "measured", measured)
    monkeypatch.setattr(runs.time, "monotonic", lambda: clock[0])
    return seen


TWO = ["ties n=20 d=2", "shift n=30 d=2"]


def test_cheap_methods_are_asked_about_all_questions_before_any_other(asked_in_order):
    methods = ["otdist critic", "otdist", "otdist sinkhorn tol=0.001", "scipy assignment"]
    rows = bench.run(TWO, methods).rows
    cheap = [(name, method) for method in ("otdist", "scipy assignment") for name in TWO]
    dear = [(name, method) for method in ("otdist critic", "otdist sinkhorn tol=0.001") for name in TWO]
    assert asked_in_order == cheap + dear
    assert [(row["question"], row["method"]) for row in rows] == [(q, m) for q in TWO for m in methods]


def test_what_there_is_no_time_for_is_said_and_measured_later(asked_in_order, tmp_path):
    methods, path = ["otdist critic", "otdist"], tmp_path / "rows.json"
    short = bench.run(TWO, methods, max_seconds=5, path=path)  # time for three of four
    assert [row["status"] for row in short.rows] == ["ok", "ok", "not started", "ok"]
    assert short.unstarted(TWO[0]) == [] and short.unstarted(TWO[1]) == ["otdist critic"]
    assert "shift n=30 d=2: not started: otdist critic" in str(short)
    critic = next(row for row in short.medians() if row["question"] == TWO[1] and not row["runs"])
    assert (critic["failed"], critic["status"], critic["n"]) == (0, "not started", 30)
    for text in (short.report(tmp_path / "page.html").read_text(), str(short)):
        assert text.count("otdist critic") > 1
    assert bench.Runs.load(path).rows == short.rows
    del asked_in_order[:]
    assert all(row["status"] == "ok" for row in bench.run(TWO, methods, path=path).rows)
    assert asked_in_order == [(TWO[1], "otdist critic")]


def test_a_seed_without_time_does_not_hide_the_others():
    rows = [made(method="m", seed=0), made(method="m", seed=1, status="not started", reason="no time")]
    joined = bench.Runs(rows)
    (row,) = joined.medians()
    assert (row["runs"], row["failed"], row["status"]) == (1, 0, "ok")
    assert joined.unstarted("q") == ["m"]


def made(question="q", **more):
    row = {"question": question, "method": "m", "budget": 1.0, "seed": 0, "status": "ok", "value": 1.0}
    return row | {"n": 5, "m": 5, "d": 2, "seconds": 1.0, "memory": 10, "known": 1.0, "reason": ""} | more


class TestTable:
    def test_the_front_holds_what_nothing_beats(self):
        rows = [
            made(method="exact", seconds=3.0),
            made(method="near", seconds=1.0, value=1.1),
            made(method="worse", seconds=2.0, value=1.2),
            made(method="failed", seconds=0.1, value=5.0, status="error", reason="why"),
            made(method="rough", seconds=0.5, value=0.5, memory=1),
            made("other", method="elsewhere", seconds=0.01),
        ]
        runs = bench.Runs(rows)
        assert [row["method"] for row in runs.front("q")] == ["rough", "near", "exact"]
        assert [row["method"] for row in runs.front("q", "memory")] == ["rough", "exact"]
        with pytest.raises(InputError, match="cost: 'money'"):
            runs.front("q", "money")

    def test_seeds_are_joined_by_medians_and_failures_counted(self):
        rows = [made(seed=k, seconds=float(k), value=1.0 + k / 10) for k in range(3)]
        rows.append(made(seed=3, status="timeout", reason="ended after 1 s"))
        (row,) = bench.Runs(rows).medians()
        assert (row["runs"], row["failed"], row["seconds"], row["status"]) == (4, 1, 1.0, "timeout")
        assert row["error"] == pytest.approx(0.1)
        assert row["seconds_range"] == [0.0, 2.0]

    def test_truth_is_what_the_tightest_interval_proves(self):
        rows = [
            made(known=None, method="wide", value=1.5, lower=0.5, upper=2.0),
            made(known=None, method="tight", value=1.2, lower=1.2, upper=1.2000001),
            made(known=None, method="peer", value=1.8),
        ]
        wide, tight, peer = bench.Runs(rows).rows
        assert peer["error"] == pytest.approx(0.5, rel=1e-6)
        assert not (wide["wrong_bound"] or tight["wrong_bound"])
        alone = bench.Runs([made(known=None, lower=0.5, upper=2.0)]).rows[0]
        assert alone["error"] is None
        assert bench.Runs([made(known=None)]).rows[0]["error"] is None  # nobody proves anything

    def test_json_and_parquet_hold_all_rows(self, tmp_path):
        from pyarrow import parquet

        runs = bench.Runs([made(), made("other", status="error", reason="why", extra={"a": 1})])
        path = runs.save(tmp_path / "rows.parquet")
        table = parquet.read_table(path).to_pylist()
        assert [row["question"] for row in table] == ["q", "other"]
        assert json.loads(table[1]["extra"]) == {"a": 1}
        assert bench.Runs.load(runs.save(tmp_path / "rows.json")).rows == runs.rows
        with pytest.raises(InputError, match=r"path: 'rows\.csv'"):
            runs.save(tmp_path / "rows.csv")
        (tmp_path / "foreign.json").write_text("[]")
        for name, said in (("none.json", "is not there"), ("foreign.json", "no measurements")):
            with pytest.raises(InputError, match=said):
                bench.Runs.load(tmp_path / name)
        assert not list(tmp_path.glob("*.part"))


class TestMethods:
    def test_names_hold_options(self):
        assert parsed("otdist sinkhorn tol=0.01") == ("otdist", {"tol": 0.01, "method": "sinkhorn"})
        assert parsed("otdist max-sliced") == ("otdist max-sliced", {})
        assert parsed("POT sinkhorn_log reg=0.1") == ("POT sinkhorn_log", {"reg": 0.1})
        for name in ("POT", "otdist no such", "emd"):
            with pytest.raises(InputError, match=r"methods: .* is unknown"):
                parsed(name)

    @pytest.mark.parametrize(("n", "d"), [(100, 1), (100, 5), (3000, 16), (100_000, 2)])
    def test_what_is_suggested_is_known_and_installed(self, n, d):
        names = suggested(n, d)
        assert names[0] == "otdist"
        assert all(python_of(parsed(name)[0]) for name in names)

    @pytest.mark.parametrize(
        ("method", "cheap"),
        [
            ("otdist", True),
            ("otdist tol=0.01", True),
            ("otdist sinkhorn tol=0.1", True),
            ("otdist sinkhorn tol=0.01", False),
            ("otdist sinkhorn", False),
            ("otdist critic", False),
            ("otdist method=critic", False),
            ("POT emd2", True),
            ("POT sinkhorn reg=0.01", False),
            ("WGAN-GP critic", False),
        ],
    )
    def test_what_is_cheap_goes_first(self, method, cheap):
        assert is_cheap(method) == cheap

    def test_large_questions_are_not_put_to_methods_with_a_matrix(self):
        assert not any(name.startswith(("POT", "scipy", "lapx")) for name in suggested(100_000, 2))

    @pytest.mark.parametrize("budget", [0, -1, math.inf, math.nan, "1"])
    def test_budgets_that_are_none(self, budget):
        with pytest.raises(InputError, match="budget"):
            bench.run("shift n=20 d=2", budget=budget)


class TestPage:
    def runs(self):
        rows = [
            made(method="otdist", seconds=3.0, lower=1.0, upper=1.0),
            made(method="peer <b>", seconds=1.0, value=1.001),
            made(method="rough", seconds=0.1, value=1.4),
            made(method="gone", status="timeout", reason="ended after 1 s"),
        ]
        return bench.Runs(rows)

    def test_advice_is_the_quickest_within_tolerance_and_says_what_it_lacks(self):
        from otdist.bench.report import advice

        assert advice(self.runs(), "q", 0.5).startswith("Use rough: 0.1 s, error 40%.")
        near = advice(self.runs(), "q", 0.01)
        assert near.startswith("Use peer <b>: 1 s, error 0.1%. Exact: otdist, 3 s.")
        assert "proves nothing" in near
        assert advice(self.runs(), "q", 1e-6) == "Use otdist: 3 s, exact."
        none = bench.Runs([made(method="rough", value=1.4)])
        assert "No method came within" in advice(none, "q", 0.01)

    def test_the_page_holds_every_row_and_no_script(self, tmp_path):
        text = self.runs().report(tmp_path / "bench.html").read_text()
        for told in ("otdist", "peer &lt;b&gt;", "rough", "timeout: ended after 1 s", "<title>"):
            assert told in text
        assert "<script" not in text
        assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")

    def test_intervals_are_rounded_outwards(self):
        row = {"lower": 2.00639, "upper": 2.01041}
        assert proved(row) == "[2.006, 2.011]"
        assert proved(row | {"upper": None}) == "≥ 2.006"
        assert proved({"lower": None}) == "–"

    def test_exact_values_have_a_row_of_their_own_below_all_errors(self):
        axis = Errors.of([0.0, 3e-12, 2e-3, 0.4])
        places = [axis.place(value) for value in (0.0, 3e-12, 1e-8, 2e-3, 0.4)]  # downwards on a screen
        assert places[0] == places[1] > axis.place(1e-3) > places[3] > places[4]
        assert axis.ticks() == [0.0, 1e-3, 1e-2, 1e-1, 1.0]
        assert 0.0 not in Errors.of([2e-3, 0.4]).ticks()
        wild = Errors.of([0.0, math.inf])
        assert wild.place(math.inf) == wild.place(1e3)

    def test_stairs_are_explained_where_there_are_some(self, tmp_path):
        page = self.runs().report(tmp_path / "bench.html").read_text()
        assert "dashed: " in page and "curve front" in page
        one = bench.Runs([made(method="otdist", lower=1.0, upper=1.0), made(method="slow", seconds=2.0)])
        page = one.report(tmp_path / "one.html").read_text()
        assert "dashed: " not in page and 'class="curve front' not in page
        assert 'class="reason">' not in page  # nothing failed

    def test_another_quantity_is_named_and_has_no_error(self, tmp_path):
        rows = [
            made(method="otdist", seconds=3.0, lower=1.0, upper=1.0),
            made(method="otdist sliced n_projections=20", seconds=0.1, value=0.42, lower=0.4),
        ]
        runs = bench.Runs(rows)
        assert [row["method"] for row in runs.front("q")] == ["otdist"]
        text = runs.report(tmp_path / "bench.html").read_text()
        assert "sliced W1: 42% of W1" in text and "58%" not in text and 'class="mark ref hollow"' in text
        line = bench.Runs([row | {"d": 1} for row in rows])  # on the line it is W1, and this one is wrong
        assert "58%" in line.report(tmp_path / "line.html").read_text()

    def test_each_point_has_a_label_that_is_read_without_a_pointer(self, tmp_path):
        names = [f"method {k}" for k in range(12)]
        runs = bench.Runs([made(method=m, seconds=1 + k / 50, value=1.5) for k, m in enumerate(names)])
        text = runs.report(tmp_path / "bench.html").read_text()
        drawing = re.search(r"<svg.*?</svg>", text, re.S)[0]
        told = set(re.findall(r"<text[^>]*>([^<]*)</text>", drawing))
        for number, name in enumerate(names, 1):
            assert told & {name, str(number)}, name
            assert f'<span class="number">{number}</span>' in text

    def test_the_title_says_what_is_asked(self, tmp_path):
        text = self.runs().report(tmp_path / "one.html").read_text()
        assert "<title>Which method for q? · otdist</title>" in text
        two = bench.Runs([made("q"), made("r")]).report(tmp_path / "two.html").read_text()
        assert "<h1>Which method? 1 method on 2 problems</h1>" in two and 'href="#q2"' in two

    def test_a_folder_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match="path"):
            self.runs().report(tmp_path / "no" / "bench.html")
