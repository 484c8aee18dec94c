"""Critics of distances to fixed points, for metrics that have no gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.learn.critics.families.anchors import Orientation
from otdist.learn.critics.families.cones import soft_max


class Landmarks(nn.Module):
    r"""Soft maximum of ``o_k - d_k``, soft minimum of ``o_k + d_k``, or both, from given distances ``d_k``.

    Like :class:`~otdist.learn.critics.Anchors`, but with fixed anchors: the input are the distances to
    them, and the Lipschitz constant is 1 for any metric.

    Parameters
    ----------
    count : int
        Number K of distances per point.
    orientation : {"max", "min", "both"}
        Cones that fall off ("max"), cones that rise ("min"), or both.
    tau : float
        Temperature.
    """

    offsets: nn.Parameter
    tau: float

    def __init__(self, count: int, *, orientation: Orientation = "max", tau: float = 0.02) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(2, count))
        self.orientation: Orientation = orientation
        self.tau = float(tau)

    def forward(self, distances: Tensor) -> Tensor:
        """Return values (n,) for distances (n, K)."""
        high = soft_max(self.offsets[0] - distances, self.tau)
        low = -soft_max(-self.offsets[1] - distances, self.tau)
        if self.orientation == "max":
            return high
        return low if self.orientation == "min" else -soft_max(-torch.stack([high, low], -1), self.tau)

    def lipschitz(self) -> float:
        """Return the Lipschitz constant with respect to the metric, 1."""
        return 1.0

    def retract(self) -> None:
        """Do nothing: the critic is 1-Lipschitz for all parameters."""
