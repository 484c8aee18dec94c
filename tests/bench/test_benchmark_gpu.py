"""A dry run of the benchmark for GPUs on the CPU, and what it does with parts that fail."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


@pytest.fixture
def gpu(monkeypatch):
    """The benchmark, with the root of the repository on the path."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    before = set(sys.modules)
    yield importlib.import_module("benchmarks.gpu")
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "benchmarks":
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["critics", "losses", "sinkhorn", "training"])
def test_a_device_that_is_the_cpu_agrees_with_it(gpu, part):
    rows = list(gpu.PARTS[part][0]("cpu", True))
    compared = [row for row in rows if "difference" in row]
    assert compared and all(row["agrees"] and row["difference"] == 0 for row in compared)
    assert all(row["cpu_ms"] > 0 and row["device_ms"] > 0 for row in compared)
    assert all(gpu.format_row({"part": part} | row).count(" | ") == 7 for row in rows)


@pytest.mark.slow
def test_the_command_writes_what_it_prints(gpu, monkeypatch, tmp_path, capsys):
    arguments = ["gpu", "--device", "cpu", "--quick", "--out", str(tmp_path), "--parts", "tests", "sinkhorn"]
    monkeypatch.setattr(sys, "argv", arguments)
    gpu.main()
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "gpu.json").read_text())
    rows = record["rows"]["rows"]
    assert {row["part"] for row in rows} == {"tests", "sinkhorn"} and rows[0]["agrees"]
    assert all(gpu.format_row(row) in printed for row in rows)
    assert record["commit"] is not None and record["rows"]["about"]["device"] == "cpu"


@pytest.mark.slow
def test_parts_that_fail_or_take_too_long_are_rows(gpu):
    (row,) = gpu.run_part("sinkhorn", "nonsense", True, 60.0)
    assert row["part"] == "sinkhorn" and row["agrees"] is False and "device" in row["reason"]
    rows = gpu.run_part("training", "cpu", False, 0.0)
    assert rows[-1]["reason"] == "ended after 0 s"


def test_the_whole_ends_in_time(gpu):
    assert sum(limit for _, limit in gpu.PARTS.values()) <= gpu.TOTAL_SECONDS <= 540
