"""What the first call costs: import, compiling, and loading what was compiled before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from harness import commit

START = "start"
CODE = """
import json, time
began = time.perf_counter()
import otdist
times = [time.perf_counter() - began]
import numpy as np
rng = np.random.default_rng(0)
x, y = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2)) + 0.3
for _ in range(2):
    began = time.perf_counter()
    result = otdist.w1(x, y, method="sparse")
    times.append(time.perf_counter() - began)
print(json.dumps(times + [result.value]))
"""
WARM_RUNS = 3
Rows = dict[tuple[str, str], dict[str, Any]]


def start_rows(again: bool, known: Rows) -> Iterator[dict[str, Any]]:
    """Seconds of import, of the first call with an empty and with a filled cache, of the next."""
    if (START, "import") in known and not again:
        return
    with tempfile.TemporaryDirectory() as cache:
        empty = _times(cache)
        warm = [_times(cache) for _ in range(WARM_RUNS)]
    yield _row("import", [times[0] for times in warm])
    yield _row("first call, nothing compiled", [empty[1]])
    yield _row("first call, compiled before", [times[1] for times in warm])
    yield _row("second call", [times[2] for times in warm])


def _times(cache: str) -> list[float]:
    where = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", CODE], env=where, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _row(method: str, runs: list[float]) -> dict[str, Any]:
    return {
        "problem": START,
        "kind": START,
        "method": method,
        "status": "ok",
        "runs": runs,
        "seconds": float(np.median(runs)),
        "range": [min(runs), max(runs)],
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
