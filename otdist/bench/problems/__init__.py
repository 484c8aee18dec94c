"""Pairs of laws whose W1, Kantorovich potential and its gradient are known, to judge estimators by.

Each function makes a `Pair`, which draws samples without end; `scores` holds a critic against it.
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
