"""What the first call costs: import, compiling, and loading what was compiled before."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.comparison import get_known
from benchmarks.common.first_calls import time_first_calls
from otdist.bench import Runs
from otdist.bench.machine import describe_machine

START = "start"
WARM_RUNS = 3


def measure_starts(path: Path, again: bool) -> None:
    """Measure seconds of import, of the first call with an empty and with a filled cache, and of the next."""
    rows = [row for row in get_known(path) if row["question"] != START or not again]
    if any(row["question"] == START for row in rows):
        return
    with tempfile.TemporaryDirectory() as cache:
        empty = _times(cache)
        warm = [_times(cache) for _ in range(WARM_RUNS)]
    found = {"import": [times[0] for times in warm], "first call, nothing compiled": [empty[1]]}
    found |= {"first call, compiled before": [times[1] for times in warm]}
    found |= {"second call": [times[2] for times in warm]}
    Runs([*rows, *(_row(method, runs) for method, runs in found.items())]).save(path)


def _times(cache: str) -> list[float]:
    return time_first_calls(1000, 2, 0.3, {"method": "sparse"}, cache=cache)


def _row(method: str, runs: list[float]) -> dict[str, Any]:
    place = {"question": START, "kind": START, "method": method, "budget": None, "seed": None}
    times = {"run_seconds": runs, "seconds": float(np.median(runs)), "seconds_range": [min(runs), max(runs)]}
    return place | times | {"status": "ok", "date": time.strftime("%Y-%m-%d")} | describe_machine()
