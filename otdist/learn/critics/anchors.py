"""Critics made of distances to learned points: 1-Lipschitz for any metric, at any temperature."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.cones import Cones, cones, soft_max

Poles = Literal["max", "min", "both"]
ORDERS = {"euclidean": 2.0, "cityblock": 1.0, "chebyshev": float("inf")}


class Anchors(nn.Module):
    r"""Soft maximum of cones that fall off from learned anchors, soft minimum of cones that rise, or both.

    .. math:: A(z) = \tau \log \sum_k e^{(o_k - d(z, a_k)) / \tau}, \qquad
              B(z) = -\tau \log \sum_k e^{-(o_k + d(z, a_k)) / \tau}

    and ``f = A`` ("max"), ``f = B`` ("min"), or the soft minimum of both ("both").

    Parameters
    ----------
    anchors : Tensor, shape (K, d)
        Points to start at. With ``poles="both"`` the first half belongs to A, the rest to B.
    poles : {"max", "min", "both"}
        "max": mass of the first sample lies at the tips, "min": mass of the second one.
    metric : {"euclidean", "cityblock", "chebyshev"}
        The distance d.
    tau : float
        Temperature, in units of the points.

    Notes
    -----
    ``z -> d(z, a_k)`` is 1-Lipschitz for every metric, and a soft maximum does not change more than its
    scores do: the constant is 1, whatever the parameters. Every 1-Lipschitz function is a limit of such
    ones (McShane 1934: ``f(z) = max_s f(s) - d(z, s)``); c-transforms, entropic potentials and the witness
    of the energy distance are of this form.

    Cost: O(n K d) for n points. The gradient is written out and cannot be differentiated once more.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Anchors
    >>> critic = Anchors(torch.tensor([[0.0, 0.0], [4.0, 0.0]]), tau=1e-3)
    >>> critic(torch.tensor([[3.0, 0.0], [0.0, 2.0]])).tolist()
    [-1.0, -2.0]
    """

    def __init__(
        self, anchors: Tensor, *, poles: Poles = "max", metric: str = "euclidean", tau: float = 0.02
    ) -> None:
        super().__init__()
        if poles not in ("max", "min", "both"):
            raise InputError("poles", f"{poles!r} is unknown", "use 'max', 'min' or 'both'")
        if metric not in ORDERS:
            raise InputError("metric", f"{metric!r} has no learned anchors", f"use one of {sorted(ORDERS)}")
        least = 2 if poles == "both" else 1
        if anchors.ndim != 2 or len(anchors) < least:
            raise InputError("anchors", f"have shape {tuple(anchors.shape)}", "give points of shape (K, d)")
        if not tau > 0:
            raise InputError("tau", f"{tau!r} is not positive", "give a temperature above 0")
        self.anchors = nn.Parameter(anchors.detach().clone())
        self.offsets = nn.Parameter(anchors.new_zeros(len(anchors)))
        self.poles: Poles = poles
        self.metric, self.tau = metric, float(tau)

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        if self.poles == "max":
            return self._peaks(z, self.anchors, self.offsets)
        if self.poles == "min":
            return -self._peaks(z, self.anchors, -self.offsets)
        half = len(self.anchors) // 2
        high = self._peaks(z, self.anchors[:half], self.offsets[:half])
        low = -self._peaks(z, self.anchors[half:], -self.offsets[half:])
        return -soft_max(-torch.stack([high, low], -1), self.tau)

    def lipschitz(self) -> float:
        """Constant with respect to the metric: 1."""
        return 1.0

    def retract(self) -> None:
        """Nothing to restore: every choice of parameters is 1-Lipschitz."""

    def _peaks(self, z: Tensor, anchors: Tensor, offsets: Tensor) -> Tensor:
        if self.training and self.metric == "euclidean" and z.dtype == torch.float32:
            return Cones.apply(z, anchors, offsets, self.tau)
        return cones(z, anchors, offsets, self.tau, ORDERS[self.metric])
