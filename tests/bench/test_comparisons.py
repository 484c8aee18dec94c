"""The exact and the entropic comparison: their committed rows, their lists, and a trial."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import pytest

from otdist import bench
from otdist.bench.methods import METHODS, find_obstacle, parse_method

ROOT = Path(__file__).parents[2]
FOLDERS = ("exact", "sinkhorn")


@pytest.fixture
def script(monkeypatch):
    """Import a module of benchmarks by name; methods that it adds are removed afterwards."""
    monkeypatch.syspath_prepend(str(ROOT))
    before = dict(METHODS)
    yield lambda name: importlib.import_module(f"benchmarks.{name}")
    METHODS.clear()
    METHODS.update(before)


@pytest.fixture
def adapters(script):
    """The methods that the entropic comparison adds."""
    importlib.reload(script("sinkhorn.vs_peers"))


@pytest.mark.parametrize("folder", FOLDERS)
class TestCommitted:
    def test_all_tables_are_made_of_the_committed_rows(self, script, folder):
        rows = bench.Runs.load(ROOT / f"benchmarks/results/{folder}_vs_peers.json").rows
        tables = script(f"{folder}.tables").tables(rows)
        kinds = {row["kind"] for row in rows}
        assert tables.count("###") >= len(kinds)
        assert tables.count("\n| ") > 60

    def test_rows_belong_to_the_listed_questions_and_methods(self, script, adapters, folder):
        rows = json.loads((ROOT / f"benchmarks/results/{folder}_vs_peers.json").read_text())["rows"]
        listed = {
            (one.name, method)
            for one in script(f"{folder}.questions").comparisons()
            for ladder in one.ladders
            for method in ladder
        }
        keys = [(row["question"], row["method"]) for row in rows if row["kind"] != "start"]
        assert len(set(keys)) == len(keys)
        assert set(keys) <= listed

    def test_every_method_is_known_and_every_question_is_one(self, script, adapters, folder):
        for one in script(f"{folder}.questions").comparisons():
            made = one.make(0.005)
            made.pop("facts")
            question = bench.Question(one.name, **made, max_seconds=one.limit)
            assert any(
                find_obstacle(parse_method(method)[0], question) is None
                for ladder in one.ladders
                for method in ladder
            )


@pytest.fixture
def measured(script, monkeypatch):
    """Methods that were asked, with their repeats; what is called slow runs out of time."""
    comparison = script("common.comparison")
    asked = []

    def run(question, methods, repeats, patience, path):
        asked.append((tuple(methods), repeats, question.max_seconds))
        known = comparison.get_known(path)
        for method in methods:
            known = [row for row in known if row["method"] != method]
            row = {"question": question.name, "method": method, "budget": question.max_seconds, "seed": None}
            row |= {"value": 1.0, "seconds": 1.0, "memory": 1, "run_seconds": [1.0] * repeats, "status": "ok"}
            row |= {"other_cores": [0.9] * repeats, "reason": ""}
            row["status"] = "timeout" if "slow" in method else "ok"
            known.append(row | question.facts)
        runs = bench.Runs(known)
        runs.save(path)
        return runs

    monkeypatch.setattr(comparison, "run", run)
    return asked


class TestSession:
    def compare(self, script, path, ladders, repeats=3, **more):
        comparison = script("common.comparison")
        options = {"scale": 1.0, "limit": 60.0, "memory": 1.0, "patience": 0.0} | more
        session = comparison.Session(
            path, argparse.Namespace(**options), lambda rows: [r["method"] for r in rows]
        )
        clouds = script("exact.clouds")
        one = comparison.Comparison(
            "q", "small", lambda scale: clouds.gauss(30, 2, True, scale), ladders, repeats=repeats
        )
        session.measure(one, ladders)
        return session

    def test_a_ladder_ends_where_time_does_and_the_others_are_run_again_in_turn(
        self, script, measured, tmp_path
    ):
        path = tmp_path / "rows.json"
        ladders = (("a k=1", "a k=2"), ("slow k=1", "slow k=2"), ("b",))
        self.compare(script, path, ladders)
        once = [(("a k=1",), 1), (("a k=2",), 1), (("slow k=1",), 1), (("b",), 1)]
        assert [key[:2] for key in measured] == [*once, (("a k=1", "a k=2", "b"), 3)]
        assert {limit for *_, limit in measured} == {60.0}
        del measured[:]
        self.compare(script, path, ladders)  # nothing is missing
        assert measured == []

    def test_rows_that_are_forgotten_are_measured_again(self, script, measured, tmp_path):
        path = tmp_path / "rows.json"
        session = self.compare(script, path, (("a",), ("b",)), repeats=1)
        session.forget(lambda row: row["method"] == "a")
        del measured[:]
        self.compare(script, path, (("a",), ("b",)), repeats=1)
        assert measured == [(("a",), 1, 60.0)]


@pytest.mark.slow  # a process for each method
def test_a_pass_over_all_pairs_is_the_same_fused_and_not(script, adapters):
    question = bench.Question.of(
        "q", **{k: script("exact.clouds").gauss(300, 2, False, 1.0)[k] for k in "xy"}
    )
    fused, plain = bench.run(question, ["otdist pass eps=0.1", "torch pass eps=0.1"], budget=60).rows
    assert fused["value"] == pytest.approx(plain["value"], rel=1e-4)
