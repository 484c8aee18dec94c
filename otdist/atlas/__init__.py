"""Measured costs of methods, and recommendations for samples of a given size."""

from otdist.atlas.advice import Recommendation, recommend

__all__ = ["Recommendation", "recommend"]
