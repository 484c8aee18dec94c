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
        return Metric(name, partial(_by_callable, metric, name))
    raise InputError("metric", f"{metric!r} is neither a name nor a function", "use metric='euclidean'")


def _by_callable(function: Callable[..., float], name: str, x: Array, y: Array) -> Array:
    from scipy.spatial.distance import cdist

    matrix: Array = np.asarray(cdist(x, y, lambda u, v: float(function(u, v))))
    bad = ~(matrix >= 0) | np.isinf(matrix)  # "not >=" catches NaN too
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise InputError(
            "metric",
            f"{name} returned {matrix[i, j]} for points x[{i}] and y[{j}]",
            "return a finite, non-negative float",
        )
    return matrix
