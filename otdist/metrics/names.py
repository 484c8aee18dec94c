"""From what the caller passed as ``metric`` to a Metric."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.metrics.base import Metric
from otdist.metrics.vectors import NAMED

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def resolve(metric: str | Metric | Callable[..., float]) -> Metric:
    """Find or make the metric; raises InputError."""
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric in NAMED:
            return NAMED[metric]
        hints = {
            "precomputed": "pass the matrix to otdist.emd(cost, a, b)",
            "minkowski": "use metric=otdist.metrics.minkowski(3)",
            "periodic": "use metric=otdist.metrics.periodic([360.0, None])",
            "mixed": "use metric='gower' or otdist.metrics.mixed(...)",
        }
        known = ", ".join(repr(name) for name in [*NAMED, "gower"])
        raise InputError(
            "metric", f"{metric!r} is not a known name", hints.get(metric, f"use one of {known}")
        )
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, partial(_by_callable, metric))
    raise InputError("metric", f"{metric!r} is neither a name nor a function", "use metric='euclidean'")


def _by_callable(function: Callable[..., float], x: Array, y: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, lambda u, v: float(function(u, v))))


def require_costs(cost: Array, name: str, rows: Index, cols: Index) -> None:
    """Raise InputError unless the costs of these pairs are finite and non-negative."""
    if cost.min() >= 0 and cost.max() < np.inf:  # false for NaN
        return
    i, j = np.argwhere(~(cost >= 0) | np.isinf(cost))[0]
    raise InputError(
        "metric",
        f"{name} returned {cost[i, j]} for points x[{rows[i]}] and y[{cols[j]}]",
        "return a finite, non-negative float",
    )
