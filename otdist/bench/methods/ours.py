"""Adapter of the methods of otdist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import otdist
from otdist.result import Result

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, OnInterval, Options


GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-9)  # relative ones, whose times are recorded
OBSERVED_SOLVERS = ("sparse", "sinkhorn")


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute the named estimator of otdist."""
    arguments: dict[str, Any] = {
        key: int(v) if isinstance(v, float) and v.is_integer() and key != "tol" else v
        for key, v in options.items()
    }
    given = (samples.x, samples.y, samples.a, samples.b)
    if name in ("otdist sliced", "otdist max-sliced"):
        estimator = otdist.sliced_w1 if name == "otdist sliced" else otdist.max_sliced_w1
        sliced: Result = estimator(*given, **({"rng": 0} | arguments))
        # A sliced value is a lower bound of W1; its interval is one of the sliced distance.
        return _describe(sliced) | {"lower": float(sliced)}
    if name == "otdist critic":
        arguments = {"method": "critic", "rng": 0} | arguments
    reached: dict[str, float] = {}
    if arguments.get("method") in OBSERVED_SOLVERS:
        arguments["on_interval"] = _make_recorder(reached)
    result = otdist.w1(*given, metric=samples.metric, **arguments)
    answer = _describe(result) | {"lower": result.lower, "upper": result.upper, "gap": result.gap}
    return answer | ({"reached": reached} if reached else {})


def add_time_limit(name: str, options: Options, seconds: float) -> Options:
    """Return the options with a time limit, for methods that accept one."""
    if name == "otdist critic" or (name == "otdist" and "tol" in options):
        return options if "max_seconds" in options else options | {"max_seconds": seconds}
    return options


def _describe(result: Result) -> Answer:
    info = {key: value for key, value in result.info.items() if isinstance(value, int | float)}
    answer: Answer = {"value": float(result), "converged": result.converged, "solver": result.method}
    return answer | {"message": result.message, "info": info}


def _make_recorder(reached: dict[str, float]) -> OnInterval:
    """Return an observer that records the seconds after which each of GAPS was reached."""
    start = time.perf_counter()

    def record(lower: float, upper: float, seconds: float) -> None:
        for gap in GAPS:
            if upper - lower <= gap * upper:
                reached.setdefault(f"{gap:.0e}", time.perf_counter() - start)

    return record
