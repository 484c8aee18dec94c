"""Adapter of the methods of otdist."""

from __future__ import annotations

from typing import Any

import otdist
from otdist.typing import Array


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute the named estimator of otdist."""
    options = {
        key: int(v) if isinstance(v, float) and v.is_integer() and key != "tol" else v
        for key, v in options.items()
    }
    if name == "otdist sliced":
        result: Any = otdist.sliced_w1(x, y, **({"rng": 0} | options))
    elif name == "otdist max-sliced":
        result = otdist.max_sliced_w1(x, y, **({"rng": 0} | options))
    elif name == "otdist critic":
        result = otdist.w1(x, y, method="critic", **({"rng": 0} | options))
    else:
        result = otdist.w1(x, y, **options)
    # A sliced value is a lower bound of W1; its interval is one of the sliced distance.
    sliced = "sliced" in name
    bounds = {"lower": float(result)} if sliced else {"lower": result.lower, "upper": result.upper}
    return {"value": float(result), "converged": result.converged, "solver": result.method} | bounds


def add_time_limit(name: str, options: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the options with a time limit, for methods that accept one."""
    if name == "otdist critic" or (name == "otdist" and "tol" in options):
        return options if "max_seconds" in options else options | {"max_seconds": seconds}
    return options
