"""Lipschitz constraints of critics: penalties, clipping, normalisation, and bounds of the constant."""

from otdist.learn.constraints.certified import CertifiedCritic
from otdist.learn.constraints.checks import checked_critic
from otdist.learn.constraints.clipping import clip_weights
from otdist.learn.constraints.correction import corrected_gap
from otdist.learn.constraints.lipschitz import lipschitz_constant
from otdist.learn.constraints.penalty import gradient_penalty
from otdist.learn.constraints.spectral import spectral_norm

__all__ = [
    "CertifiedCritic",
    "checked_critic",
    "clip_weights",
    "corrected_gap",
    "gradient_penalty",
    "lipschitz_constant",
    "spectral_norm",
]
