"""Timing in turn, peak memory in a fresh process, and results on disk with the machine and the commit."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from otdist.bench.machine import describe_machine, read_commit

RESULTS = Path(__file__).parents[1] / "results"


def paired(contestants: dict[str, Callable[[], Any]], runs: int) -> dict[str, list[float]]:
    """Time every contestant once a round, in turn, so that drift of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for function in contestants.values():  # caches, lazy imports
        function()
    for _ in range(runs):
        for name, function in contestants.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return times


def summary(times: dict[str, list[float]], reference: str) -> dict[str, Any]:
    """Medians, and the median, lowest and highest of each round's ratio to the reference."""
    base = np.array(times[reference])
    rows = {}
    for name, values in times.items():
        ratio = np.array(values) / base
        rows[name] = {
            "seconds": float(np.median(values)),
            "ratio": float(np.median(ratio)),
            "ratio_range": [float(ratio.min()), float(ratio.max())],
        }
    return rows


def peak_memory(setup: str, statement: str) -> int:
    """Bytes that a statement adds to the peak of a fresh process, after its setup."""
    code = f"""
import resource, sys
{setup}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = resident()
{statement}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(peak - before)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def commit() -> str:
    """Commit of the code as it is; with a plus where otdist differs from it."""
    return read_commit() or ""


def load(name: str, folder: Path = RESULTS) -> Any:
    """Rows that were saved before, or None."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else None


def save(name: str, rows: Any, folder: Path = RESULTS) -> Path:
    """Write results with the machine, versions and commit they were measured on."""
    machine = describe_machine()
    record = {
        "machine": {key: machine[key] for key in ("cpu", "cores")}
        | {"system": platform.system(), "python": machine["python"]},
        "versions": machine["versions"],
        "commit": machine["commit"],
        "date": time.strftime("%Y-%m-%d"),
        "rows": rows,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    whole = path.with_suffix(".part")  # a run that is stopped while it writes loses nothing
    whole.write_text(json.dumps(record, indent=1) + "\n")
    whole.replace(path)
    return path
