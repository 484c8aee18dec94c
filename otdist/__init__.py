"""Optimal-transport distances between samples, each with the interval that proves it."""

from otdist import closed, metrics, stats
from otdist.distance import emd, w1, wasserstein
from otdist.errors import BudgetError, ConvergenceError, ConvergenceWarning, InputError, PrecisionWarning
from otdist.lines import wasserstein_1d
from otdist.result import Result
from otdist.tables import compare

__all__ = [
    "BudgetError",
    "ConvergenceError",
    "ConvergenceWarning",
    "InputError",
    "PrecisionWarning",
    "Result",
    "closed",
    "compare",
    "emd",
    "metrics",
    "stats",
    "w1",
    "wasserstein",
    "wasserstein_1d",
]
