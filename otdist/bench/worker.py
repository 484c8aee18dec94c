"""One run in this process, measured. Run by path, in any Python that has numpy: it does not import otdist.

``python worker.py SPEC.json`` prints one line of JSON. The method is called once on a few points, for imports
and for code that is compiled at the first call, then on the question.
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

BRIEF = 0.5  # seconds: what is shorter is run again, and the median counts
SMALL = 1100  # points of the first call, at most: some methods take other ways from 1,000 on
STARTED = "started"  # said when the question itself is put


def measured(call: Any, limit: float) -> dict[str, Any]:
    """Seconds of each time, processor seconds and bytes added by the first, and what it returned."""
    gc.collect()
    _limit(limit)
    before = _reset_peak()
    busy, start = time.process_time(), time.perf_counter()
    answer: dict[str, Any] = call()
    seconds = [time.perf_counter() - start]
    answer["cpu_seconds"] = time.process_time() - busy
    answer["memory"] = None if before is None else max(_status("VmHWM") - before, 0)
    _limit(0)
    while seconds[0] < BRIEF and sum(seconds) < 2 * BRIEF and len(seconds) < 9:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return answer | {"seconds": float(np.median(seconds)), "seconds_range": [min(seconds), max(seconds)]}


def _limit(seconds: float, memory: int | None = None) -> None:
    """End this process after so many seconds, whatever it is doing; refuse it more than so many bytes."""
    with contextlib.suppress(ImportError):  # on Windows the parent ends it
        import resource
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds)
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))


def _reset_peak() -> int | None:
    """Resident bytes now, from where the peak is counted; None where the system does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _load(path: str) -> Any:
    """Adapter in a file: by path, so that no folder is searched and no name shadows a package."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer the question of a file."""
    question = json.loads(Path(sys.argv[1]).read_text())
    name, options, limit = question["name"], question["options"], question["limit"]
    with np.load(question["points"]) as file:
        x, y = file["x"], file["y"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _limit(limit + question["start"], question["memory"])
            adapter = _load(question["adapter"])
            if hasattr(adapter, "limited"):
                options = adapter.limited(name, options, question["budget"])
            warm = options | ({"max_seconds": 1.0} if "max_seconds" in options else {})
            first = max(min(len(x), len(y), 2 * SMALL) // 2, 1)  # of both: an assignment needs as many
            adapter.solve(name, x[:first], y[:first], warm)
            if hasattr(adapter, "prepare"):
                adapter.prepare(x, y, options)
            caught.clear()
            os.write(1, f"\n{STARTED}\n".encode())
            answer = measured(lambda: adapter.solve(name, x, y, options), limit)
            answer["status"] = "ok"
        except BaseException as error:
            short = (
                isinstance(error, MemoryError)
                or "alloc" in str(error)
                or type(error).__name__ == "BudgetError"
            )
            text = " ".join(str(error).split())
            answer = {"status": "memory" if short else "error", "reason": f"{type(error).__name__}: {text}"}
    answer["warnings"] = sorted({" ".join(str(warning.message).split()) for warning in caught})
    sys.stdout.flush()
    os.write(1, ("\n" + json.dumps(_plain(answer)) + "\n").encode())


if __name__ == "__main__":
    main()
