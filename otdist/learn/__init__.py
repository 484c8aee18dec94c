"""Optimal transport as a loss, for torch: on any device, in batches, over several processes."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('otdist.learn needs torch: pip install "otdist[torch]"') from error

from otdist.learn.divergence import divergence
from otdist.learn.loss import SinkhornLoss
from otdist.learn.sharded import sharded_divergence

__all__ = ["SinkhornLoss", "divergence", "sharded_divergence"]
