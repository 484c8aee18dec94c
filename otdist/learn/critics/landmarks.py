"""Critics of distances to fixed points, for metrics that have no gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otdist.learn.critics.anchors import Poles
from otdist.learn.critics.cones import soft_max


class Landmarks(nn.Module):
    r"""Soft maximum of ``o_k - d_k``, soft minimum of ``o_k + d_k``, or both, from given distances ``d_k``.

    The same as :class:`~otdist.learn.critics.Anchors` but for the anchors, which stay where they are: its
    input are distances, and the constant is 1 for any metric.

    Parameters
    ----------
    count : int
        Distances a point, K.
    poles : {"max", "min", "both"}
        Which cones.
    tau : float
        Temperature.
    """

    def __init__(self, count: int, *, poles: Poles = "max", tau: float = 0.02) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(2, count))
        self.poles: Poles = poles
        self.tau = float(tau)

    def forward(self, distances: Tensor) -> Tensor:
        """Values (n,) from distances (n, K)."""
        high = soft_max(self.offsets[0] - distances, self.tau)
        low = -soft_max(-self.offsets[1] - distances, self.tau)
        if self.poles == "max":
            return high
        return low if self.poles == "min" else -soft_max(-torch.stack([high, low], -1), self.tau)

    def lipschitz(self) -> float:
        """Constant with respect to the metric: 1."""
        return 1.0

    def retract(self) -> None:
        """Nothing to restore: every choice of parameters is 1-Lipschitz."""
