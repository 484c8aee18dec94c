"""Optimal-transport distances between samples, each with the interval that proves it."""

from otdist import closed, metrics, stats
from otdist.distance import emd, w1, wasserstein
from otdist.errors import BudgetError, ConvergenceError, ConvergenceWarning, InputError, PrecisionWarning
from otdist.lines import wasserstein_1d
from otdist.result import Result, SlicedResult
from otdist.sliced import max_sliced_w1, sliced_w1
from otdist.tables import compare

__all__ = [
    "BudgetError",
    "ConvergenceError",
    "ConvergenceWarning",
    "InputError",
    "PrecisionWarning",
    "Result",
    "SlicedResult",
    "closed",
    "compare",
    "emd",
    "max_sliced_w1",
    "metrics",
    "sliced_w1",
    "stats",
    "w1",
    "wasserstein",
    "wasserstein_1d",
]
