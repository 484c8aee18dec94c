"""Pairs of distributions with known W1, Kantorovich potential and gradient, to evaluate estimators.

Each function returns a `Pair`, which draws any number of samples; `scores` evaluates a critic on it.
"""

from otdist.bench.problems.cones import funnels, min_max, w1bench
from otdist.bench.problems.lifted import cylinder, radial, ridge
from otdist.bench.problems.lines import laws_1d
from otdist.bench.problems.pair import Pair
from otdist.bench.problems.scoring import CriticScores, scores
from otdist.bench.problems.shifts import shift

__all__ = [
    "CriticScores",
    "Pair",
    "cylinder",
    "funnels",
    "laws_1d",
    "min_max",
    "radial",
    "ridge",
    "scores",
    "shift",
    "w1bench",
]
