"""What methods cost, as measured, and which to take for samples of a given size."""

from otdist.atlas.advice import Recommendation, recommend

__all__ = ["Recommendation", "recommend"]
