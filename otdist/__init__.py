"""Optimal-transport distances between samples, each with the interval that proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otdist import atlas, closed, metrics, solvers, stats, tables
from otdist.api.distance import w1, wasserstein
from otdist.api.divergence import sinkhorn_divergence
from otdist.api.emd import emd
from otdist.api.line import wasserstein_1d
from otdist.api.sliced import max_sliced_w1, sliced_w1
from otdist.api.unbalanced import partial_w1, unbalanced_w1
from otdist.atlas import Recommendation, recommend
from otdist.batch import ResultBatch
from otdist.errors import (
    BudgetError,
    ConvergenceError,
    ConvergenceWarning,
    InputError,
    MetricWarning,
    PrecisionWarning,
)
from otdist.result import Result, SlicedResult
from otdist.runtime.imports import import_when_asked
from otdist.tables import compare

if TYPE_CHECKING:
    from otdist import bench as bench
    from otdist import learn as learn

__all__ = [
    "BudgetError",
    "ConvergenceError",
    "ConvergenceWarning",
    "InputError",
    "MetricWarning",
    "PrecisionWarning",
    "Recommendation",
    "Result",
    "ResultBatch",
    "SlicedResult",
    "atlas",
    "closed",
    "compare",
    "emd",
    "max_sliced_w1",
    "metrics",
    "partial_w1",
    "recommend",
    "sinkhorn_divergence",
    "sliced_w1",
    "solvers",
    "stats",
    "tables",
    "unbalanced_w1",
    "w1",
    "wasserstein",
    "wasserstein_1d",
]

# One loads torch, both take time.
_LAZY = ("bench", "learn")
__getattr__ = import_when_asked(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY, *(name for name in globals() if name.startswith("__"))})
