"""Six calls take no more instructions than benchmarks/results/instructions.json says."""

from __future__ import annotations

import importlib
import json
import platform
from importlib import metadata
from pathlib import Path

import pytest

from otdist.runtime.versions import read_cpu_model

ROOT = Path(__file__).parents[2]
BASELINE = json.loads((ROOT / "benchmarks/results/instructions.json").read_text())


@pytest.fixture(scope="module")
def instructions():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("benchmarks.small.instructions")


def why_not(instructions):
    """What makes a count here incomparable with those of the file."""
    if lacking := instructions.missing():
        return f"{lacking} is missing"
    here = {"python": platform.python_version(), "cpu": read_cpu_model()}
    here |= {name: metadata.version(name) for name in ("numpy", "numba", "scipy")}
    there = BASELINE["machine"] | BASELINE["versions"]
    other = [
        f"{name} {version}, not {there[name]}" for name, version in here.items() if version != there[name]
    ]
    return "; ".join(other)


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_no_call_takes_more_instructions_than_before(instructions):
    if reason := why_not(instructions):
        pytest.skip(f"counts of the file are not comparable: {reason}")
    before = {row["call"]: row["instructions"] for row in BASELINE["rows"]}
    counts = instructions.counted()
    assert set(counts) == set(before)
    assert not instructions.worse(counts, before), "mend it, or run benchmarks.small.instructions --write"


def test_three_per_cent_more_are_seen_and_one_is_not(instructions):
    before = {"line": 1_000_000, "sparse": 1_000_000}
    [told] = instructions.worse({"line": 1_010_000, "sparse": 1_030_000}, before)
    assert told.startswith("sparse") and "1.030 times" in told
