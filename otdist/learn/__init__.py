"""Optimal transport losses, Lipschitz constraints of critics, and measures of generators, for torch."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('otdist.learn needs torch: pip install "otdist[torch]"') from error

from otdist.learn.constraints import (
    CertifiedCritic,
    checked_critic,
    clip_weights,
    corrected_gap,
    gradient_penalty,
    lipschitz_constant,
    spectral_norm,
)
from otdist.learn.critic import Critic
from otdist.learn.critics import Anchors, Folds, Orthogonal, OrthogonalConv, Penalised, Pieces, Subspace
from otdist.learn.evaluation import (
    Duplicates,
    Evaluation,
    KernelDistance,
    Measure,
    Memorisation,
    Neighbourhoods,
    density_coverage,
    duplicate_share,
    evaluate,
    frechet_distance,
    kernel_distance,
    median_distance,
    memorisation,
    neighbourhoods,
    precision_recall,
    vendi_score,
)
from otdist.learn.sinkhorn.divergence import divergence
from otdist.learn.sinkhorn.loss import SinkhornLoss
from otdist.learn.sinkhorn.sharded import sharded_divergence
from otdist.learn.w1loss.loss import W1Loss
from otdist.learn.wgan import WGAN, fit_wgan
from otdist.runtime.imports import import_when_asked

__all__ = [
    "WGAN",
    "Anchors",
    "CertifiedCritic",
    "Critic",
    "Duplicates",
    "Evaluation",
    "Folds",
    "KernelDistance",
    "Measure",
    "Memorisation",
    "Neighbourhoods",
    "Orthogonal",
    "OrthogonalConv",
    "Penalised",
    "Pieces",
    "SinkhornLoss",
    "Subspace",
    "W1Loss",
    "checked_critic",
    "clip_weights",
    "corrected_gap",
    "density_coverage",
    "divergence",
    "duplicate_share",
    "evaluate",
    "fit_wgan",
    "frechet_distance",
    "gradient_penalty",
    "kernel_distance",
    "lipschitz_constant",
    "median_distance",
    "memorisation",
    "neighbourhoods",
    "precision_recall",
    "sharded_divergence",
    "spectral_norm",
    "vendi_score",
]

__getattr__ = import_when_asked(__name__, ("w1metric",))  # it needs torchmetrics
