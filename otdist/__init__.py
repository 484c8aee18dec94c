"""Optimal-transport distances between samples, each with the interval that proves it."""

from otdist import closed, metrics, stats
from otdist.atlas import Recommendation, recommend
from otdist.batch import ResultBatch
from otdist.distance import emd, w1, wasserstein
from otdist.divergence import sinkhorn_divergence
from otdist.errors import BudgetError, ConvergenceError, ConvergenceWarning, InputError, PrecisionWarning
from otdist.lines import wasserstein_1d
from otdist.result import Result, SlicedResult
from otdist.sliced import max_sliced_w1, sliced_w1
from otdist.tables import compare
from otdist.unbalanced import partial_w1, unbalanced_w1

__all__ = [
    "BudgetError",
    "ConvergenceError",
    "ConvergenceWarning",
    "InputError",
    "PrecisionWarning",
    "Recommendation",
    "Result",
    "ResultBatch",
    "SlicedResult",
    "closed",
    "compare",
    "emd",
    "max_sliced_w1",
    "metrics",
    "partial_w1",
    "recommend",
    "sinkhorn_divergence",
    "sliced_w1",
    "stats",
    "unbalanced_w1",
    "w1",
    "wasserstein",
    "wasserstein_1d",
]
