"""Questions with weights, metrics and limits; rows of several runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import otdist
from otdist import bench
from otdist.bench import runs
from otdist.bench.methods import METHODS, find_obstacle
from otdist.errors import InputError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 2)), RNG.normal(size=(30, 2)) + 1
A, B = RNG.random(40), RNG.random(30)
EQUAL = bench.Question("equal", X[:30], Y)


def make_question(**fields):
    return bench.Question("q", X, Y, **fields)


class TestQuestion:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"a": np.ones(3)}, r"a: must have shape \(40,\), got \(3,\)"),
            ({"b": -np.ones(30)}, "b: must be"),
            ({"a": np.full(40, math.nan)}, "a: must be finite"),
            ({"b": np.zeros(30)}, "b: must"),
            ({"metric": "cosine"}, "metric: must be 'euclidean', .*, got 'cosine'"),
            ({"metric": None}, "metric: must be"),
            ({"known": -1.0}, "known: must be"),
            ({"known": math.nan}, "known: must be"),
            ({"laws": "1"}, "laws: must be"),
            ({"max_seconds": 0.0}, "max_seconds: must be"),
            ({"max_bytes": -5}, "max_bytes: must be"),
            ({"facts": {"seconds": 3}}, r"facts: must not name entries of every row, got \['seconds'\]"),
            ({"facts": ["kind"]}, "facts: must be a dict with strings for keys"),
            ({"facts": {"kind": math.inf}}, "facts: must be what JSON can hold"),
            ({"facts": {"kind": np.ones(2)}}, "facts: must be what JSON can hold"),
        ],
    )
    def test_bad_fields_are_refused(self, fields, message):
        for make in (make_question, lambda **fields: bench.Question.of("q", X, Y, **fields)):
            with pytest.raises(InputError, match=message if "metric" not in fields else "metric: must be"):
                make(**fields)

    def test_weights_of_the_caller_are_read_like_those_of_w1(self):
        question = bench.Question.of("q", X.tolist(), Y.tolist(), A.tolist(), metric="cityblock")
        np.testing.assert_array_equal(question.a, A)
        assert question.b is None and question.metric == "cityblock"
        row = runs.describe_question(question)
        assert (row["weighted"], row["metric"]) == (True, "cityblock")
        assert not runs.describe_question(bench.question("shift n=20"))["weighted"]


class TestObstacles:
    @pytest.mark.parametrize(
        ("name", "question", "reason"),
        [
            ("lapx", make_question(), "needs equally many points in x and y"),
            ("scipy assignment", bench.Question("q", X[:30], Y, b=B), "needs equal weights"),
            ("POT lazy", make_question(metric="chebyshev"), "does not know the metric chebyshev"),
            ("GeomLoss", make_question(metric="cityblock"), "does not know the metric cityblock"),
            ("WGAN-GP critic", make_question(a=A), "needs equal weights"),
        ],
    )
    def test_a_method_that_cannot_answer_has_a_row_that_says_so(self, name, question, reason):
        (row,) = bench.run(question, [name]).rows
        assert (row["status"], row["reason"]) == ("unfit", reason)

    def test_nothing_hinders_a_plain_question(self):
        assert not any(find_obstacle(name, EQUAL) for name in METHODS)

    def test_what_is_unfit_is_not_suggested(self, requests):
        methods = [row["method"] for row in bench.run(make_question(a=A, metric="chebyshev")).rows]
        assert "otdist" in methods and not {"scipy assignment", "otdist sliced", "GeomLoss blur=0.05"} & {
            *methods
        }


@pytest.mark.slow  # a process for each method
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev", "sqeuclidean"])
def test_all_methods_answer_the_same_weighted_question(metric):
    question = make_question(a=A, b=B, metric=metric, facts={"kind": "test"})
    names = ["otdist", "otdist sparse", "POT emd2", "scipy linear programme"]
    if metric == "euclidean":
        names += ["POT lazy", "ortools", "wasserstein", "pyemd"]
    exact = float(otdist.w1(X, Y, A, B, metric=metric, method="dense"))
    answered = [row for row in bench.run(question, names, budget=60).rows if row["status"] == "ok"]
    assert len(answered) >= 3
    for row in answered:
        assert row["value"] == pytest.approx(exact, rel=1e-8), row["method"]
        assert (row["kind"], row["weighted"], row["metric"]) == ("test", True, metric)
    sparse = next(row for row in answered if row["method"] == "otdist sparse")
    assert 0 < sparse["reached"]["1e-09"] <= 2 * sparse["seconds_range"][1] + 1
    assert {"numpy", "otdist"} <= sparse["versions"].keys() and "commit" in sparse


@pytest.mark.slow
@pytest.mark.parametrize("method", ["POT sinkhorn_log reg=0.5", "GeomLoss blur=0.5", "OTT-JAX epsilon=0.5"])
def test_entropic_methods_weigh_a_point_as_if_it_were_repeated(method):
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])
    weighted = bench.Question("weighted", x, y, a=np.array([2.0, 1.0]))
    repeated = bench.Question("repeated", x[[0, 0, 1]], y)  # with the same mean cost
    row, other = bench.run([weighted, repeated], [method], budget=60).rows
    if row["status"] == "missing":
        pytest.skip(row["reason"])
    assert row["value"] == pytest.approx(other["value"], rel=1e-5)
    assert row["value"] != pytest.approx(bench.run((x, y), [method]).rows[0]["value"], rel=1e-2)
    assert 0 <= row["residual"] < 1
    assert row["residual"] == pytest.approx(other["residual"], rel=1e-3, abs=1e-6)


PLANTED = """
import time
import numpy as np

prepared = []

def prepare(name, samples, options):
    prepared.append(len(samples.x))

def solve(name, samples, options):
    if name == "planted slow" and len(samples.x) > 20:
        time.sleep(60)
    if name == "planted greedy" and len(samples.x) > 20:
        np.ones(2**31)
    return {"value": samples.shares[0].sum(), "prepared": lambda: list(prepared)}
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)
    for name in ("slow", "greedy", "plain"):
        monkeypatch.setitem(METHODS, f"planted {name}", (str(path.with_suffix("")), "numpy"))


@pytest.mark.slow
def test_limits_of_a_question_take_the_place_of_those_of_the_run(planted):
    question = make_question(max_seconds=1.0, max_bytes=2e9, a=A)
    methods = [f"planted {name}" for name in ("slow", "greedy", "plain")]
    slow, greedy, plain = bench.run(question, methods, budget=30).rows
    assert (slow["status"], slow["reason"], slow["budget"]) == ("timeout", "ended after 1 s", 1.0)
    assert greedy["status"] == "memory"
    assert plain["value"] == pytest.approx(1.0)
    assert plain["prepared"] == [40]  # once, for the whole question, after the first call


@pytest.fixture
def requests(monkeypatch):
    """Requested measurements in order; their answers are taken from ``answers``, or take a second."""
    calls = Requests()

    def measure(question, method, budget, memory, start):
        calls.append((question.name, method, budget, memory))
        answer = calls.answers.pop(0) if calls.answers else {}
        sizes = runs.describe_question(question)
        return sizes | {"status": "ok", "value": 1.0, "seconds": 1.0, "memory": 1, "reason": ""} | answer

    monkeypatch.setattr(runs, "measure", measure)
    monkeypatch.setattr(
        runs.OtherWork, "share", lambda work: math.nan
    )  # else other programs decide what counts
    return calls


class Requests(list):
    answers = ()


class TestRepeats:
    def test_methods_run_in_turn_and_their_median_counts(self, requests):
        requests.answers = [{"seconds": s, "memory": m} for s, m in ((1, 5), (9, 1), (3, 7), (8, 1), (2, 6))]
        row, other = bench.run(EQUAL, ["otdist", "lapx"], repeats=3).rows
        assert [method for _, method, *_ in requests] == ["otdist", "lapx"] * 3
        assert (row["run_seconds"], row["seconds"], row["seconds_range"]) == ([1, 3, 2], 2.0, [1, 3])
        assert (row["memory"], row["same_value"]) == (7, True)
        assert len(other["run_seconds"]) == 3

    def test_long_runs_and_failures_are_not_repeated(self, requests):
        requests.answers = [{"seconds": 20.0}, {"status": "error", "reason": "why"}]
        long, failed = bench.run(EQUAL, ["otdist", "lapx"], repeats=3).rows
        assert len(requests) == 2
        assert (long["run_seconds"], failed["status"]) == ([20.0], "error")

    def test_a_run_that_fails_or_differs_later_shows(self, requests):
        requests.answers = [{}, {}, {"value": 2.0}, {"status": "timeout", "reason": "slow"}]
        differs, failed = bench.run(EQUAL, ["otdist", "lapx"], repeats=2).rows
        assert not differs["same_value"] and differs["value"] == 1.0
        assert (failed["status"], failed["reason"]) == ("timeout", "slow")

    def test_a_file_is_gone_on_with(self, requests, tmp_path):
        path = tmp_path / "rows.json"
        bench.run(EQUAL, ["otdist"], path=path)
        (row,) = bench.run(EQUAL, ["otdist"], path=path, repeats=3).rows
        assert len(requests) == 3 and row["run_seconds"] == [1.0, 1.0, 1.0]
        assert bench.run(EQUAL, ["otdist"], path=path, repeats=2).rows == [row]
        assert len(requests) == 3

    def test_a_row_of_an_older_file_counts_as_one_run(self, requests, tmp_path):
        path = tmp_path / "rows.json"
        old = {"question": "equal", "method": "otdist", "budget": 60.0, "seed": None, "status": "ok"}
        old |= {"value": 1.0, "seconds": 3.0, "memory": 1}
        bench.Runs([old]).save(path)
        (row,) = bench.run(EQUAL, ["otdist"], path=path, repeats=2).rows
        assert row["run_seconds"] == [3.0, 1.0] and row["other_cores"][0] is None

    def test_what_was_not_installed_is_asked_again(self, requests, tmp_path):
        path = tmp_path / "rows.json"
        requests.answers = [{"status": "missing", "reason": "otdist is not installed"}]
        (first,) = bench.run(EQUAL, ["otdist"], path=path).rows
        (second,) = bench.run(EQUAL, ["otdist"], path=path).rows
        assert (first["status"], second["status"], second["reason"]) == ("missing", "ok", "")

    def test_disturbed_runs_are_left_out_unless_there_are_no_others(self, requests, monkeypatch):
        shares = iter([0.9, 0.1, 0.7, 0.0, 0.8, 0.2])
        waits = []
        monkeypatch.setattr(runs, "wait_for_quiet", waits.append)
        monkeypatch.setattr(runs.OtherWork, "share", lambda self: next(shares))
        requests.answers = [{"seconds": s} for s in (9.0, 1.0, 8.0, 2.0, 7.0, 3.0)]
        mixed, quiet = bench.run(EQUAL, ["otdist", "lapx"], repeats=3, patience=5).rows
        assert (mixed["other_cores"], mixed["seconds"]) == ([0.9, 0.7, 0.8], 8.0)
        assert (quiet["seconds"], quiet["seconds_range"]) == (1.5, [1.0, 2.0])
        assert waits == [5.0] * 6

    def test_a_repeat_that_has_too_little_time_keeps_the_row(self, requests):
        requests.answers = [{"seconds": 19.0}]
        (row,) = bench.run(EQUAL, ["otdist"], repeats=2, max_seconds=30).rows
        assert len(requests) == 1 and (row["status"], row["run_seconds"]) == ("ok", [19.0])

    def test_patience_ends_with_the_time(self, requests, monkeypatch):
        waits = []
        monkeypatch.setattr(runs, "wait_for_quiet", waits.append)
        bench.run(EQUAL, ["otdist"], patience=3600, max_seconds=30)
        assert 0 < waits[0] <= 30

    def test_limits_and_facts_reach_the_rows(self, requests):
        question = bench.Question("q", X, Y, max_seconds=5, max_bytes=7, facts={"kind": "small"})
        (row,) = bench.run([question], ["otdist"], budget=60, memory=100).rows
        assert requests == [("q", "otdist", 5.0, 7)]
        assert (row["budget"], row["kind"]) == (5.0, "small")

    @pytest.mark.parametrize("repeats", [0, -1, 1.5, "2", True])
    def test_repeats_that_are_none(self, repeats):
        with pytest.raises(InputError, match="repeats: must be an integer >= 1"):
            bench.run(EQUAL, repeats=repeats)

    @pytest.mark.parametrize("patience", [-1, math.nan, math.inf, "1"])
    def test_patience_that_is_none(self, patience):
        with pytest.raises(InputError, match="patience"):
            bench.run(EQUAL, patience=patience)


def test_bounds_without_an_end_do_not_spoil_the_truth(tmp_path):
    rows = [{"question": "q", "method": "m", "budget": 1.0, "seed": 0, "status": "ok", "seconds": 1.0}]
    rows[0] |= {"value": 1.0, "memory": 1, "lower": 0.5, "upper": "inf"}
    loaded = bench.Runs.load(bench.Runs(rows).save(tmp_path / "rows.json"))
    assert loaded.rows[0]["truth"] is None


def test_work_of_others_is_seen():
    work = runs.OtherWork()
    sum(range(10**6))
    share = work.share()
    assert math.isnan(share) or -0.5 < share < 1000
