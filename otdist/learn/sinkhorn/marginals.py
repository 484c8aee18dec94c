"""Penalties of the marginals of a plan, in the dual problem.

The dual is ``max <a, gain(f)> + <b, gain(g)> - eps <a b^T, exp((f + g - c) / eps) - 1>``:

==========  ===========================  ==============================  =======================
marginals   penalty of the row masses r  gain(f)                         update, from s = softmin
==========  ===========================  ==============================  =======================
exact       0 if r = a, else infinite    f                               s
"kl"        rho KL(r | a)                rho (1 - exp(-f / rho))         s rho / (rho + eps)
"tv"        rho sum_i |r_i - a_i|        f, within -rho <= f <= rho      s, cut to [-rho, rho]
==========  ===========================  ==============================  =======================
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class MarginalPenalty:
    """Penalty of both marginals, with its name and rho of shape (B, 1) in units of the cost."""

    penalty: str = "exact"
    rho: Tensor | None = None

    def update(self, s: Tensor, eps: Tensor) -> Tensor:
        """Return the optimal potential for the other one fixed, from its soft minimum."""
        if self.rho is None:
            return s
        if self.penalty == "kl":
            return s * (self.rho / (self.rho + eps))
        return self.clamp(s)

    def clamp(self, f: Tensor) -> Tensor:
        """Clamp a potential to the domain of the dual."""
        if self.rho is None or self.penalty == "kl":
            return f
        return torch.minimum(torch.maximum(f, -self.rho), self.rho)

    def gain(self, f: Tensor) -> Tensor:
        """Return the contribution to the dual of a unit of mass with potential f."""
        if self.rho is None or self.penalty == "tv":
            return f
        return -self.rho * torch.expm1(-f / self.rho)

    def curvature(self, f: Tensor) -> Tensor:
        """Return minus the second derivative of the gain."""
        if self.rho is None or self.penalty == "tv":
            return torch.zeros_like(f)
        return torch.exp(-f / self.rho) / self.rho

    def is_free(self, s: Tensor) -> Tensor:
        """Return a mask of the potentials that are not clamped.

        It depends on the soft minimum s, not on the potential, since averaged updates approach the bound from
        inside.
        """
        if self.rho is None or self.penalty == "kl":
            return torch.ones_like(s, dtype=torch.bool)
        return s.abs() < self.rho
