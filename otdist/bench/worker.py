"""Measurement of one run in this process. Run by path, in any Python with numpy: it does not import otdist.

``python worker.py SPEC.json`` prints one line of JSON. The method is first called on few points, so that
imports and compilation at the first call are done, then on the question.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import math
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

REPEAT_BELOW_SECONDS = 0.5  # shorter runs are repeated, and the median is reported
MAX_WARMUP_POINTS = 1100  # of the first call: some methods switch algorithm at 1,000 points
STARTED_LINE = "started"  # printed before the measured call


def measure_call(call: Any, limit: float) -> dict[str, Any]:
    """Run a call; return its result with seconds, and with processor seconds and bytes of the first run."""
    gc.collect()
    _set_limits(limit)
    baseline = _reset_peak()
    cpu_start, start = time.process_time(), time.perf_counter()
    answer: dict[str, Any] = call()
    seconds = [time.perf_counter() - start]
    answer["cpu_seconds"] = time.process_time() - cpu_start
    answer["memory"] = None if baseline is None else max(_read_status("VmHWM") - baseline, 0)
    _set_limits(0)
    while seconds[0] < REPEAT_BELOW_SECONDS and sum(seconds) < 2 * REPEAT_BELOW_SECONDS and len(seconds) < 9:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return answer | {"seconds": float(np.median(seconds)), "seconds_range": [min(seconds), max(seconds)]}


def _set_limits(seconds: float, memory: int | None = None) -> None:
    """Limit this process: end it after so many seconds, and bound its memory in bytes."""
    with contextlib.suppress(ImportError):  # on Windows the parent process enforces the limit
        import resource
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds)
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))


def _reset_peak() -> int | None:
    """Reset the peak of resident memory and return the current bytes; None if not reported."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _read_status("VmRSS")
    except OSError:
        return None


def _read_status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _load_adapter(path: str) -> Any:
    """Load an adapter by path, so that no folder is searched and no name shadows a package."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run the method on the question of a specification file."""
    question = json.loads(Path(sys.argv[1]).read_text())
    name, options, limit = question["name"], question["options"], question["limit"]
    with np.load(question["points"]) as file:
        x, y = file["x"], file["y"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _set_limits(limit + question["start"], question["memory"])
            adapter = _load_adapter(question["adapter"])
            if hasattr(adapter, "add_time_limit"):
                options = adapter.add_time_limit(name, options, question["budget"])
            warmup_options = options | ({"max_seconds": 1.0} if "max_seconds" in options else {})
            # Equally many points of both samples, for assignments.
            n_warmup = max(min(len(x), len(y), 2 * MAX_WARMUP_POINTS) // 2, 1)
            adapter.solve(name, x[:n_warmup], y[:n_warmup], warmup_options)
            if hasattr(adapter, "prepare"):
                adapter.prepare(x, y, options)
            caught.clear()
            os.write(1, f"\n{STARTED_LINE}\n".encode())
            answer = measure_call(lambda: adapter.solve(name, x, y, options), limit)
            answer["status"] = "ok"
        except BaseException as error:
            out_of_memory = (
                isinstance(error, MemoryError)
                or "alloc" in str(error)
                or type(error).__name__ == "BudgetError"
            )
            text = " ".join(str(error).split())
            answer = {
                "status": "memory" if out_of_memory else "error",
                "reason": f"{type(error).__name__}: {text}",
            }
    answer["warnings"] = sorted({" ".join(str(warning.message).split()) for warning in caught})
    sys.stdout.flush()
    os.write(1, ("\n" + json.dumps(_to_plain(answer)) + "\n").encode())


if __name__ == "__main__":
    main()
