"""Runs of methods: failures are rows, errors are true errors, and nothing is measured twice."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from bench_rows import make_row

import otdist
from otdist import bench
from otdist.bench import runs
from otdist.bench.methods import METHODS, find_python, is_cheap, parse_method, suggest_methods
from otdist.bench.report import format_row_interval
from otdist.bench.scatter import ErrorAxis
from otdist.errors import InputError

ADAPTER = """
import time
import numpy as np

def solve(name, samples, options):
    if name == "planted slow" and len(samples.x) > 60:
        time.sleep(60)
    if name == "planted greedy" and len(samples.x) > 60:
        np.ones(2**31)
    if name == "planted loud" and len(samples.x) > 60:
        print("{not json")
        raise ValueError("planted trouble")
    if name == "planted liar":
        return {"value": 3.0, "lower": 2.9, "upper": 3.1}
    return {"value": float("nan")}
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Methods that fail in different ways."""
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
    for part in ("timeout: ", "memory: ", "error: ValueError: planted trouble"):
        assert part in str(runs)


@pytest.mark.alone
def test_a_method_that_does_not_even_start_is_told_from_a_slow_one(tmp_path, monkeypatch):
    path = tmp_path / "heavy.py"
    path.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setitem(METHODS, "heavy", (str(path.with_suffix("")), "numpy"))
    row = runs.measure(bench.question("ties n=20"), "heavy", 0.5, None, start=2.0)
    assert row["status"] == "timeout"
    assert row["reason"].startswith("not ready after 2.5 s")


def test_what_is_not_installed_is_a_row(monkeypatch):
    monkeypatch.setitem(METHODS, "pyemd", ("of_pyemd", "no_such_package"))
    (row,) = bench.run("shift n=20 d=2", ["pyemd"]).rows
    assert (row["status"], row["reason"]) == ("missing", "no_such_package is not installed")


def test_an_environment_of_its_own_is_asked(monkeypatch):
    monkeypatch.setenv("OTDIST_BENCH_PYEMD", "/somewhere/python")
    assert find_python("pyemd") == "/somewhere/python"


@pytest.mark.slow  # a process for each method
def test_rows_are_kept_and_not_measured_again(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    methods = ["otdist", "scipy assignment"]
    first = bench.run(["ties n=40 d=2"], methods[:1], budget=20, path=path)
    both = bench.run(["ties n=40 d=2"], methods, budget=20, path=path)
    assert both.rows[0] == first.rows[0]
    assert len(both.rows) == 2
    assert both.rows[1]["value"] == pytest.approx(both.rows[0]["value"])
    monkeypatch.setattr("otdist.bench.runs.measure", lambda *_: pytest.fail("measured again"))
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
def requests(monkeypatch):
    """Requested measurements in order, with a clock that advances by two seconds each."""
    calls, clock = [], [0.0]

    def measure(question, method, budget, memory, start):
        assert 10 <= start <= 60
        calls.append((question.name, method))
        clock[0] += 2.0
        return {"status": "ok", "value": 1.0, "seconds": 1.0, "memory": 1, **runs.describe_question(question)}

    monkeypatch.setattr(runs, "measure", measure)
    monkeypatch.setattr(runs.time, "monotonic", lambda: clock[0])
    return calls


TWO = ["ties n=20 d=2", "shift n=30 d=2"]


def test_cheap_methods_are_asked_about_all_questions_before_any_other(requests):
    methods = ["otdist critic", "otdist", "otdist sinkhorn tol=0.001", "scipy assignment"]
    rows = bench.run(TWO, methods).rows
    cheap = [(name, method) for method in ("otdist", "scipy assignment") for name in TWO]
    dear = [(name, method) for method in ("otdist critic", "otdist sinkhorn tol=0.001") for name in TWO]
    assert requests == cheap + dear
    assert [(row["question"], row["method"]) for row in rows] == [(q, m) for q in TWO for m in methods]


def test_what_there_is_no_time_for_is_said_and_measured_later(requests, tmp_path):
    methods, path = ["otdist critic", "otdist"], tmp_path / "rows.json"
    short = bench.run(TWO, methods, max_seconds=5, path=path)  # time for three of four
    assert [row["status"] for row in short.rows] == ["ok", "ok", "not started", "ok"]
    assert short.unstarted_methods(TWO[0]) == [] and short.unstarted_methods(TWO[1]) == ["otdist critic"]
    assert "shift n=30 d=2: not started: otdist critic" in str(short)
    critic = next(row for row in short.medians() if row["question"] == TWO[1] and not row["runs"])
    assert (critic["failed"], critic["status"], critic["n"]) == (0, "not started", 30)
    for text in (short.report(tmp_path / "page.html").read_text(), str(short)):
        assert text.count("otdist critic") > 1
    assert bench.Runs.load(path).rows == short.rows
    del requests[:]
    assert all(row["status"] == "ok" for row in bench.run(TWO, methods, path=path).rows)
    assert requests == [(TWO[1], "otdist critic")]


def test_a_seed_without_time_does_not_hide_the_others():
    rows = [
        make_row(method="m", seed=0),
        make_row(method="m", seed=1, status="not started", reason="no time"),
    ]
    runs = bench.Runs(rows)
    (row,) = runs.medians()
    assert (row["runs"], row["failed"], row["status"]) == (1, 0, "ok")
    assert runs.unstarted_methods("q") == ["m"]


class TestTable:
    def test_the_front_holds_what_nothing_beats(self):
        rows = [
            make_row(method="exact", seconds=3.0),
            make_row(method="near", seconds=1.0, value=1.1),
            make_row(method="worse", seconds=2.0, value=1.2),
            make_row(method="failed", seconds=0.1, value=5.0, status="error", reason="why"),
            make_row(method="rough", seconds=0.5, value=0.5, memory=1),
            make_row("other", method="elsewhere", seconds=0.01),
        ]
        runs = bench.Runs(rows)
        assert [row["method"] for row in runs.front("q")] == ["rough", "near", "exact"]
        assert [row["method"] for row in runs.front("q", "memory")] == ["rough", "exact"]
        with pytest.raises(InputError, match="cost: must be 'seconds' or 'memory', got 'money'"):
            runs.front("q", "money")

    def test_seeds_are_joined_by_medians_and_failures_counted(self):
        rows = [make_row(seed=k, seconds=float(k), value=1.0 + k / 10) for k in range(3)]
        rows.append(make_row(seed=3, status="timeout", reason="ended after 1 s"))
        (row,) = bench.Runs(rows).medians()
        assert (row["runs"], row["failed"], row["seconds"], row["status"]) == (4, 1, 1.0, "timeout")
        assert row["error"] == pytest.approx(0.1)
        assert row["seconds_range"] == [0.0, 2.0]

    def test_truth_is_what_the_tightest_interval_proves(self):
        rows = [
            make_row(known=None, method="wide", value=1.5, lower=0.5, upper=2.0),
            make_row(known=None, method="tight", value=1.2, lower=1.2, upper=1.2000001),
            make_row(known=None, method="peer", value=1.8),
        ]
        wide, tight, peer = bench.Runs(rows).rows
        assert peer["error"] == pytest.approx(0.5, rel=1e-6)
        assert not (wide["wrong_bound"] or tight["wrong_bound"])
        row = bench.Runs([make_row(known=None, lower=0.5, upper=2.0)]).rows[0]
        assert row["error"] is None
        assert bench.Runs([make_row(known=None)]).rows[0]["error"] is None  # nobody proves anything

    def test_json_and_parquet_hold_all_rows(self, tmp_path):
        from pyarrow import parquet

        runs = bench.Runs([make_row(), make_row("other", status="error", reason="why", extra={"a": 1})])
        path = runs.save(tmp_path / "rows.parquet")
        table = parquet.read_table(path).to_pylist()
        assert [row["question"] for row in table] == ["q", "other"]
        assert json.loads(table[1]["extra"]) == {"a": 1}
        assert bench.Runs.load(runs.save(tmp_path / "rows.json")).rows == runs.rows
        with pytest.raises(InputError, match=r"path: must end in .*, got 'rows\.csv'"):
            runs.save(tmp_path / "rows.csv")
        (tmp_path / "foreign.json").write_text("[]")
        for name, message in (
            ("none.json", "must be an existing file"),
            ("foreign.json", "must hold measurements"),
        ):
            with pytest.raises(InputError, match=message):
                bench.Runs.load(tmp_path / name)
        assert not list(tmp_path.glob("*.part"))


class TestMethods:
    def test_names_hold_options(self):
        assert parse_method("otdist sinkhorn tol=0.01") == ("otdist", {"tol": 0.01, "method": "sinkhorn"})
        assert parse_method("otdist max-sliced") == ("otdist max-sliced", {})
        assert parse_method("POT sinkhorn_log reg=0.1") == ("POT sinkhorn_log", {"reg": 0.1})
        for name in ("POT", "otdist no such", "emd"):
            with pytest.raises(InputError, match=r"methods: must be a method of otdist\.bench\.METHODS, got"):
                parse_method(name)

    @pytest.mark.parametrize(("n", "d"), [(100, 1), (100, 5), (3000, 16), (100_000, 2)])
    def test_what_is_suggested_is_known_and_installed(self, n, d):
        names = suggest_methods(n, d)
        assert names[0] == "otdist"
        assert all(find_python(parse_method(name)[0]) for name in names)

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
        assert not any(name.startswith(("POT", "scipy", "lapx")) for name in suggest_methods(100_000, 2))

    @pytest.mark.parametrize("budget", [0, -1, math.inf, math.nan, "1"])
    def test_budgets_that_are_none(self, budget):
        with pytest.raises(InputError, match="budget"):
            bench.run("shift n=20 d=2", budget=budget)


class TestPage:
    def runs(self):
        rows = [
            make_row(method="otdist", seconds=3.0, lower=1.0, upper=1.0),
            make_row(method="peer <b>", seconds=1.0, value=1.001),
            make_row(method="rough", seconds=0.1, value=1.4),
            make_row(method="gone", status="timeout", reason="ended after 1 s"),
        ]
        return bench.Runs(rows)

    def test_advice_is_the_quickest_within_tolerance_and_says_what_it_lacks(self):
        from otdist.bench.report import advise

        assert advise(self.runs(), "q", 0.5).startswith("Use rough: 0.1 s, error 40%.")
        near = advise(self.runs(), "q", 0.01)
        assert near.startswith("Use peer <b>: 1 s, error 0.1%. Exact: otdist, 3 s.")
        assert "proves nothing" in near
        assert advise(self.runs(), "q", 1e-6) == "Use otdist: 3 s, exact."
        none = bench.Runs([make_row(method="rough", value=1.4)])
        assert "No method came within" in advise(none, "q", 0.01)

    def test_the_page_holds_every_row_and_no_script(self, tmp_path):
        text = self.runs().report(tmp_path / "bench.html").read_text()
        for part in ("otdist", "peer &lt;b&gt;", "rough", "timeout: ended after 1 s", "<title>"):
            assert part in text
        assert "<script" not in text
        assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")

    def test_intervals_are_rounded_outwards(self):
        row = {"lower": 2.00639, "upper": 2.01041}
        assert format_row_interval(row) == "[2.006, 2.011]"
        assert format_row_interval(row | {"upper": None}) == "≥ 2.006"
        assert format_row_interval({"lower": None}) == "–"

    def test_exact_values_have_a_row_of_their_own_below_all_errors(self):
        axis = ErrorAxis.from_values([0.0, 3e-12, 2e-3, 0.4])
        positions = [
            axis.to_position(value) for value in (0.0, 3e-12, 1e-8, 2e-3, 0.4)
        ]  # downwards on a screen
        assert positions[0] == positions[1] > axis.to_position(1e-3) > positions[3] > positions[4]
        assert axis.compute_ticks() == [0.0, 1e-3, 1e-2, 1e-1, 1.0]
        assert 0.0 not in ErrorAxis.from_values([2e-3, 0.4]).compute_ticks()
        wild = ErrorAxis.from_values([0.0, math.inf])
        assert wild.to_position(math.inf) == wild.to_position(1e3)

    def test_stairs_are_explained_where_there_are_some(self, tmp_path):
        page = self.runs().report(tmp_path / "bench.html").read_text()
        assert "dashed: " in page and "curve front" in page
        one = bench.Runs(
            [make_row(method="otdist", lower=1.0, upper=1.0), make_row(method="slow", seconds=2.0)]
        )
        page = one.report(tmp_path / "one.html").read_text()
        assert "dashed: " not in page and 'class="curve front' not in page
        assert 'class="reason">' not in page  # nothing failed

    def test_another_quantity_is_named_and_has_no_error(self, tmp_path):
        rows = [
            make_row(method="otdist", seconds=3.0, lower=1.0, upper=1.0),
            make_row(method="otdist sliced n_projections=20", seconds=0.1, value=0.42, lower=0.4),
        ]
        runs = bench.Runs(rows)
        assert [row["method"] for row in runs.front("q")] == ["otdist"]
        text = runs.report(tmp_path / "bench.html").read_text()
        assert "sliced W1: 42% of W1" in text and "58%" not in text and 'class="mark ref hollow"' in text
        line = bench.Runs([row | {"d": 1} for row in rows])  # on the line it is W1, and this one is wrong
        assert "58%" in line.report(tmp_path / "line.html").read_text()

    def test_each_point_has_a_label_that_is_read_without_a_pointer(self, tmp_path):
        names = [f"method {k}" for k in range(12)]
        runs = bench.Runs([make_row(method=m, seconds=1 + k / 50, value=1.5) for k, m in enumerate(names)])
        text = runs.report(tmp_path / "bench.html").read_text()
        drawing = re.search(r"<svg.*?</svg>", text, re.S)[0]
        labels = set(re.findall(r"<text[^>]*>([^<]*)</text>", drawing))
        for number, name in enumerate(names, 1):
            assert labels & {name, str(number)}, name
            assert f'<span class="number">{number}</span>' in text

    def test_the_title_says_what_is_asked(self, tmp_path):
        text = self.runs().report(tmp_path / "one.html").read_text()
        assert "<title>Which method for q? · otdist</title>" in text
        two = bench.Runs([make_row("q"), make_row("r")]).report(tmp_path / "two.html").read_text()
        assert "<h1>Which method? 1 method on 2 problems</h1>" in two and 'href="#q2"' in two

    def test_a_folder_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match="path"):
            self.runs().report(tmp_path / "no" / "bench.html")
