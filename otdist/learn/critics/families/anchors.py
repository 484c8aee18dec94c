"""Critics made of distances to learned points, 1-Lipschitz for any metric and temperature."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from otdist.inputs.arguments import check_choice, check_number
from otdist.learn.critics.families.cones import Cones, soft_max, soft_max_cones
from otdist.learn.critics.families.kmeans import require_points
from otdist.learn.modes import in_transform

Orientation = Literal["max", "min", "both"]
NORM_ORDERS = {"euclidean": 2.0, "cityblock": 1.0, "chebyshev": float("inf")}


class Anchors(nn.Module):
    r"""Soft maximum of cones that fall off from learned anchors, soft minimum of cones that rise, or both.

    .. math:: A(z) = \tau \log \sum_k e^{(o_k - d(z, a_k)) / \tau}, \qquad
              B(z) = -\tau \log \sum_k e^{-(o_k + d(z, a_k)) / \tau}

    and ``f = A`` ("max"), ``f = B`` ("min"), or the soft minimum of both ("both").

    Parameters
    ----------
    anchors : Tensor, shape (K, d)
        Initial anchors. With ``orientation="both"`` the first half belongs to A, the rest to B.
    orientation : {"max", "min", "both"}
        "max": the apexes lie at mass of the first sample, "min": of the second one.
    metric : {"euclidean", "cityblock", "chebyshev"}
        The distance d.
    tau : float
        Temperature, in units of the points.

    Notes
    -----
    ``z -> d(z, a_k)`` is 1-Lipschitz for every metric, and a soft maximum changes at most as much as
    its scores: the constant is 1 for all parameters. Every 1-Lipschitz function is a limit of such
    ones (McShane 1934: ``f(z) = max_s f(s) - d(z, s)``); c-transforms, entropic potentials and the witness
    of the energy distance are of this form.

    Cost: O(n K d) for n points. The gradient is explicit and cannot be differentiated again.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Anchors
    >>> critic = Anchors(torch.tensor([[0.0, 0.0], [4.0, 0.0]]), tau=1e-3)
    >>> critic(torch.tensor([[3.0, 0.0], [0.0, 2.0]])).tolist()
    [-1.0, -2.0]
    """

    anchors: nn.Parameter
    offsets: nn.Parameter
    metric: str
    tau: float

    def __init__(
        self,
        anchors: Tensor,
        *,
        orientation: Orientation = "max",
        metric: str = "euclidean",
        tau: float = 0.02,
    ) -> None:
        super().__init__()
        check_choice(orientation, "orientation", ("max", "min", "both"))
        check_choice(metric, "metric", NORM_ORDERS)
        require_points(anchors, "anchors", 2 if orientation == "both" else 1)
        check_number(tau, "tau", above=0, remedy="give a temperature such as 0.02")
        self.anchors = nn.Parameter(anchors.detach().clone())
        self.offsets = nn.Parameter(anchors.new_zeros(len(anchors)))
        self.orientation: Orientation = orientation
        self.metric, self.tau = metric, float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        if self.orientation == "max":
            return self._soft_maximum(z, self.anchors, self.offsets)
        if self.orientation == "min":
            return -self._soft_maximum(z, self.anchors, -self.offsets)
        half = len(self.anchors) // 2
        high = self._soft_maximum(z, self.anchors[:half], self.offsets[:half])
        low = -self._soft_maximum(z, self.anchors[half:], -self.offsets[half:])
        return -soft_max(-torch.stack([high, low], -1), self.tau)

    def lipschitz(self) -> float:
        """Return the Lipschitz constant with respect to the metric, 1."""
        return 1.0

    def retract(self) -> None:
        """Do nothing: the critic is 1-Lipschitz for all parameters."""

    def _soft_maximum(self, z: Tensor, anchors: Tensor, offsets: Tensor) -> Tensor:
        explicit = self.training and self.metric == "euclidean" and z.dtype == torch.float32
        if explicit and not in_transform():
            return Cones.apply(z, anchors, offsets, self.tau)
        return soft_max_cones(z, anchors, offsets, self.tau, NORM_ORDERS[self.metric])
