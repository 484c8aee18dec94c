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
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from otdist.typing import Array

REPEAT_BELOW_SECONDS = 0.5  # shorter runs are repeated, and the median is reported
MAX_WARMUP_POINTS = 1100  # of the first call: some methods switch algorithm at 1,000 points
STARTED_LINE = "started"  # printed before the measured call
MEAN_COST_POINTS = 4000  # of each sample, whose mean cost is the unit of regularisations
RESIDUAL_ROWS = 500  # of a plan, whose marginals are summed together
MIN_COLUMNS_BY_PRODUCT = 32  # from which POT's Euclidean distances, by a matrix product, take less time


@dataclass(frozen=True, eq=False)
class Samples:
    """Two weighted samples, as adapters get them.

    Attributes
    ----------
    x, y : ndarray, shape (n, d), (m, d)
        The points.
    a, b : ndarray or None
        Their weights. None: all equal.
    metric : str
        Name of the cost, as scipy's cdist has it.
    """

    x: Array
    y: Array
    a: Array | None = None
    b: Array | None = None
    metric: Literal["euclidean", "cityblock", "chebyshev", "sqeuclidean"] = "euclidean"

    @property
    def shares(self) -> tuple[Array, Array]:
        """Weights with sum 1."""
        a = np.ones(len(self.x)) if self.a is None else self.a
        b = np.ones(len(self.y)) if self.b is None else self.b
        return a / a.sum(), b / b.sum()

    @cached_property
    def mean_cost(self) -> float:
        """Mean cost between the first points of both samples, the unit of regularisations."""
        few = Samples(self.x[:MEAN_COST_POINTS], self.y[:MEAN_COST_POINTS], metric=self.metric)
        return float(few.compute_costs().mean())

    def compute_costs(self) -> Array:
        """Compute the cost matrix by scipy, or by POT where that takes less time."""
        if self.metric == "euclidean" and self.x.shape[1] >= MIN_COLUMNS_BY_PRODUCT:
            with contextlib.suppress(ImportError):
                import ot

                costs: Array = ot.dist(self.x, self.y, metric="euclidean")
                return costs
        from scipy.spatial.distance import cdist

        return cdist(self.x, self.y, self.metric)

    def take_first(self, count: int) -> Samples:
        """Return the first points of both samples, with their weights unless these are all 0."""
        a, b = (None if w is None or not w[:count].any() else w[:count] for w in (self.a, self.b))
        return Samples(self.x[:count], self.y[:count], a, b, self.metric)

    def compute_residual(self, f: Array, g: Array, eps: float) -> float:
        """Compute the L1 error of the marginals of the plan ``a b exp((f + g - cost) / eps)``."""
        a, b = self.shares
        columns, residual = np.zeros(len(b)), 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(a), RESIDUAL_ROWS):
                part = slice(first, first + RESIDUAL_ROWS)
                cost = Samples(self.x[part], self.y, metric=self.metric).compute_costs()
                plan = np.exp((f[part, None] + g - cost) / eps) * a[part, None] * b
                residual += np.abs(plan.sum(axis=1) - a[part]).sum()
                columns += plan.sum(axis=0)
        return float(residual + np.abs(columns - b).sum())


def measure_call(call: Callable[[], dict[str, object]], limit: float) -> dict[str, object]:
    """Run a call; return its result with seconds, and with processor seconds and bytes of the first run."""
    gc.collect()
    _set_limits(limit)
    baseline = _reset_peak()
    cpu_start, start = time.process_time(), time.perf_counter()
    answer = call()
    seconds = [time.perf_counter() - start]
    answer["cpu_seconds"] = time.process_time() - cpu_start
    peak = None if baseline is None else _read_status("VmHWM")
    answer["peak"], answer["memory"] = peak, None if peak is None else max(peak - (baseline or 0), 0)
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


def _to_plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _load_adapter(path: str) -> ModuleType:
    """Load an adapter by path, so that no folder is searched and no name shadows a package."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _find_versions(packages: list[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed for this Python."""
    versions = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def main() -> None:
    """Run the method on the question of a specification file."""
    question = json.loads(Path(sys.argv[1]).read_text())
    name, options, limit = question["name"], question["options"], question["limit"]
    with np.load(question["points"]) as file:
        samples = Samples(file["x"], file["y"], file.get("a"), file.get("b"), question["metric"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _set_limits(limit + question["start"], question["memory"])
            adapter = _load_adapter(question["adapter"])
            if hasattr(adapter, "add_time_limit"):
                options = adapter.add_time_limit(name, options, question["budget"])
            warmup_options = options | ({"max_seconds": 1.0} if "max_seconds" in options else {})
            # Equally many points of both samples, for assignments.
            n_warmup = max(min(len(samples.x), len(samples.y), 2 * MAX_WARMUP_POINTS) // 2, 1)
            adapter.solve(name, samples.take_first(n_warmup), warmup_options)
            if hasattr(adapter, "prepare"):
                adapter.prepare(name, samples, options)
            caught.clear()
            os.write(1, f"\n{STARTED_LINE}\n".encode())
            answer = measure_call(lambda: adapter.solve(name, samples, options), limit)
            # What an adapter returns as a function is computed after the measurement.
            answer = {key: value() if callable(value) else value for key, value in answer.items()}
            answer["status"] = "ok"
        except ModuleNotFoundError as error:  # an optional part of the package
            answer = {"status": "missing", "reason": f"{error.name} is not installed"}
        except BaseException as error:
            out_of_memory = (
                isinstance(error, MemoryError)
                or "alloc" in str(error)
                or "RESOURCE_EXHAUSTED" in str(error)
                or type(error).__name__ in ("BudgetError", "OutOfMemoryError")
            )
            text = " ".join(str(error).split())
            answer = {
                "status": "memory" if out_of_memory else "error",
                "reason": f"{type(error).__name__}: {text}",
            }
    answer["warnings"] = sorted({" ".join(str(warning.message).split()) for warning in caught})
    answer["versions"] = _find_versions(question["packages"])
    sys.stdout.flush()
    os.write(1, ("\n" + json.dumps(_to_plain(answer)) + "\n").encode())


if __name__ == "__main__":
    main()
