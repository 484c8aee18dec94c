"""Optimal transport as a loss, and constraints of critics, for torch."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('otdist.learn needs torch: pip install "otdist[torch]"') from error

from otdist.learn.constraints import (
    checked_critic,
    clip_weights,
    corrected_gap,
    gradient_penalty,
    lipschitz_constant,
    spectral_norm,
)
from otdist.learn.critic import Critic
from otdist.learn.critics import Anchors, Orthogonal, Penalised, Pieces
from otdist.learn.divergence import divergence
from otdist.learn.loss import SinkhornLoss
from otdist.learn.sharded import sharded_divergence
from otdist.learn.w1loss import W1Loss

__all__ = [
    "Anchors",
    "Critic",
    "Orthogonal",
    "Penalised",
    "Pieces",
    "SinkhornLoss",
    "W1Loss",
    "checked_critic",
    "clip_weights",
    "corrected_gap",
    "divergence",
    "gradient_penalty",
    "lipschitz_constant",
    "sharded_divergence",
    "spectral_norm",
]
