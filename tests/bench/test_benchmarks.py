"""Smoke tests of the benchmarks of training, and tests of their committed results."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import a benchmark of training by name, with the root of the repository on the path."""
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    before = set(sys.modules)
    yield lambda name: importlib.import_module(f"benchmarks.wgan.{name}")
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "benchmarks":
            del sys.modules[name]


def results(name):
    return json.loads((FOLDER / f"results/{name}.json").read_text())["rows"]


class TestSmoke:
    @pytest.mark.slow
    @pytest.mark.parametrize("task", ["ring", "grid", "swiss roll", "digits"])
    @pytest.mark.parametrize("method", ["real", "otdist"])
    def test_modes(self, script, task, method):
        row = {"task": task, "method": method, "seed": 100, "steps": 5}
        row["settings"] = {"width": 16, "batch_size": 32, "check_points": 16}
        record = script("modes").measure(row)
        assert record["w1"] > 0
        if method == "real" and task != "swiss roll":
            assert record["modes"] == script("laws").TASKS[task].count
        if method == "real" and task in ("ring", "grid"):
            assert record["quality"] == pytest.approx(0.989, abs=0.01)  # within three sigma, in the plane

    def test_modes_that_are_missing_are_not_counted(self, script):
        laws = script("laws")
        heldout = laws.GRID(np.random.default_rng(0), 500)
        points = np.repeat(laws.GRID.means[:3], 100, axis=0)
        points[:30] += 10 * laws.GRID.spread
        record = script("modes").judge(laws.TASKS["grid"], points, heldout)
        assert (record["modes"], record["quality"]) == (3, pytest.approx(0.9))
        assert record["reverse_kl"] > 1.5

    @pytest.mark.slow
    def test_alarms(self, script):
        alarms = script("alarms")
        assert len(alarms.FAULTS) >= 12
        assert all(sum(row["fault"] == fault for row in alarms.ROWS) >= 4 for fault in alarms.FAULTS)
        run = alarms.train("generator with tanh, data beyond", "moons", 0, steps=3)
        assert {alarm.name for alarm in run.alarms} & {"data"}
        healthy = alarms.train("", "moons", 0, steps=3)
        assert not healthy.alarms

    @pytest.mark.slow
    def test_bracket(self, script, monkeypatch):
        bracket = script("bracket")
        monkeypatch.setitem(bracket.CHECKS, 64, 20)
        row = bracket.measure({"law": list(bracket.LAWS)[1], "n": 64})
        assert row["holds"] >= 0.8 and row["lower"] <= 1 <= row["upper"]

    @pytest.mark.slow
    def test_stop(self, script, monkeypatch):
        stop = script("stop")
        for name, value in {"STEPS": 12, "EVERY": 4, "LOOKS": 4, "PAIRS": 2, "N": 50}.items():
            monkeypatch.setattr(stop, name, value)
        row = stop.measure({"data": "ring", "seed": 0, "critic": 1})
        assert len(row["curve"]) == 3 and row["best"] <= row["last"] and row["steps"] <= 12

    @pytest.mark.slow
    def test_agreement(self, script, monkeypatch):
        agreement = script("agreement")
        for name, value in {"STEPS": 8, "CHECKS": 4, "POINTS": 50, "MORE": 2}.items():
            monkeypatch.setattr(agreement, name, value)
        told = agreement.measure({"task": "ring", "method": "w1", "seed": 0})
        record = told.pop("curves")
        assert all(len(values) == 4 for values in record.values())
        assert all(lower <= upper for lower, upper in zip(record["lower"], record["averaged"], strict=True))
        assert set(told) == set(agreement.FIGURES)

    @pytest.mark.slow
    def test_cost(self, script, monkeypatch):
        cost = script("cost")
        monkeypatch.setattr(cost, "STEPS", 10)
        record = cost.measure({"task": "ring", "seed": 0})
        assert record["checks"] >= 1 and 0 < record["share"]["wall"] <= 1


class TestRows:
    """One runner for all: what is chosen, measured apart, kept, and not measured twice."""

    @pytest.fixture
    def study(self, script, monkeypatch, tmp_path):
        rows = script("rows")
        harness = importlib.import_module("benchmarks.common.harness")
        monkeypatch.setattr(rows, "load", lambda name: harness.load(name, tmp_path))
        monkeypatch.setattr(rows, "save", lambda name, done: harness.save(name, done, tmp_path))
        apart = {"status": "ok", "value": 0.5}
        monkeypatch.setattr(
            rows, "apart", lambda command, limit: apart | {"seed": json.loads(command[-1])["seed"]}
        )
        plan = rows.cross(task=["ring", "grid"], seed=range(2))
        return rows.Study("wgan_trial", ("task", "seed"), plan, lambda row: {}, lambda done: str(len(done)))

    def run(self, script, study, monkeypatch, *options):
        monkeypatch.setattr(sys, "argv", ["trial", *options])
        script("rows").run(study)

    def test_it_goes_on_where_it_was_stopped_in_the_order_of_the_study(
        self, script, study, monkeypatch, capsys
    ):
        self.run(script, study, monkeypatch, "--only", "grid")
        assert list(study.read()) == ["grid seed=0", "grid seed=1"]
        self.run(script, study, monkeypatch, "--limit", "1")
        assert list(study.read()) == ["ring seed=0", "grid seed=0", "grid seed=1"]
        self.run(script, study, monkeypatch, "--list")
        assert capsys.readouterr().out.splitlines()[-1] == "ring seed=1"
        self.run(script, study, monkeypatch)
        with pytest.raises(SystemExit, match="nothing is missing"):
            self.run(script, study, monkeypatch)
        row = study.read()["ring seed=1"]
        assert row["value"] == 0.5 and row.keys() >= {"others", "commit", "date", "threads"}
        self.run(script, study, monkeypatch, "--table")
        assert capsys.readouterr().out.splitlines()[-1] == "4"

    def test_values_that_are_not_finite_are_an_answer(self, script, study, monkeypatch, capsys):
        def fail(row):
            raise FloatingPointError(f"seed {row['seed']}")

        study = dataclasses.replace(study, measure=fail)
        self.run(script, study, monkeypatch, "--row", '{"task": "ring", "seed": 3}')
        told = json.loads(capsys.readouterr().out)
        assert (told["status"], told["reason"]) == ("not finite", "seed 3")


KEYS = ("part", "task", "method", "fault", "data", "law", "n", "critic", "case", "setting", "rate", "speed")
KEYS += ("n_critic", "seed")
TABLES = ["modes", "alarms", "bracket", "stop", "agreement", "cost", "claims"]


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_made_of_the_committed_rows(script, name):
    rows = results(f"wgan_{name}")
    table = script(name).table(rows)
    assert table.count("\n") > 2
    keyed = {tuple(str(row.get(part)) for part in KEYS) for row in rows}
    assert len(keyed) == len(rows)


class TestQuoted:
    """Figures of training in the documentation agree with the committed rows."""

    @pytest.mark.parametrize(
        ("task", "count", "divergence"), [("ring", 8, 0.05), ("grid", 25, 0.05), ("stacked", 1000, 0.15)]
    )
    def test_modes(self, task, count, divergence):
        rows = [row for row in results("wgan_modes") if (row["task"], row["method"]) == (task, "otdist")]
        assert sorted(row["seed"] for row in rows) == list(range(3 if task == "stacked" else 5))
        assert all(row["modes"] == count and row["reverse_kl"] < divergence / 3 + 0.01 for row in rows)
        assert task == "stacked" or all(row["quality"] > 0.9 for row in rows)

    def test_agreement(self):
        rows = [row for row in results("wgan_agreement") if row["method"] == "w1"]
        assert len(rows) == 12 and all(len(row["curves"]["exact"]) == 60 for row in rows)
        assert min(row["refreshed_gap"] for row in rows) == pytest.approx(0.971, abs=5e-4)
        assert min(row["lower"] for row in rows) == pytest.approx(0.949, abs=5e-4)
        gaps = [row["heldout_gap"] for row in rows]
        assert (round(min(gaps), 2), round(max(gaps), 2)) == (-0.34, 0.81)

    def test_bracket(self):
        rows = results("wgan_bracket")
        assert sum(row["checks"] for row in rows) == 4000 and min(row["holds"] for row in rows) >= 0.955
        n_holding = sum(row["checks"] * row["holds"] for row in rows)
        assert round(n_holding / 4000, 3) == 0.982

    def test_alarms(self):
        rows = results("wgan_alarms")
        planted = [row for row in rows if not row["healthy"]]
        healthy = [row for row in rows if row["healthy"]]
        assert (len(planted), sum(row["found"] for row in planted)) == (56, 52)
        assert (len(healthy), sum(bool(row["alarms"]) for row in healthy)) == (26, 1)

    def test_stop(self, script):
        rows = results("wgan_stop")
        assert (len(rows), sum(map(script("stop").is_within, rows))) == (10, 9)
        assert round(float(np.median([row["saved"] for row in rows])), 2) == 0.32

    def test_cost(self):
        assert max(row["share"]["processor"] for row in results("wgan_cost")) < 0.105
