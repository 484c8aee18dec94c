"""Measures of a generator: distances, neighbourhoods, copies, diversity, and a table of all."""

from otdist.learn.evaluation.copies import Duplicates, Memorisation, duplicate_share, memorisation
from otdist.learn.evaluation.evaluate import evaluate
from otdist.learn.evaluation.kernels import KernelDistance, kernel_distance, median_distance, vendi_score
from otdist.learn.evaluation.manifold import (
    Neighbourhoods,
    density_coverage,
    neighbourhoods,
    precision_recall,
)
from otdist.learn.evaluation.moments import frechet_distance
from otdist.learn.evaluation.report import Evaluation, Measure

__all__ = [
    "Duplicates",
    "Evaluation",
    "KernelDistance",
    "Measure",
    "Memorisation",
    "Neighbourhoods",
    "density_coverage",
    "duplicate_share",
    "evaluate",
    "frechet_distance",
    "kernel_distance",
    "median_distance",
    "memorisation",
    "neighbourhoods",
    "precision_recall",
    "vendi_score",
]
