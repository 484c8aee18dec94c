"""What it costs if the marginals of the plan are not a and b, seen from the dual side.

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
class Marginals:
    """Penalty of both marginals: its name, and rho of shape (B, 1) in units of the cost."""

    penalty: str = "exact"
    rho: Tensor | None = None

    def update(self, s: Tensor, eps: Tensor) -> Tensor:
        """Best potential where the other one is fixed, from its soft minimum."""
        if self.rho is None:
            return s
        if self.penalty == "kl":
            return s * (self.rho / (self.rho + eps))
        return self.allowed(s)

    def allowed(self, f: Tensor) -> Tensor:
        """Bring a potential back to where the dual is finite."""
        if self.rho is None or self.penalty == "kl":
            return f
        return torch.minimum(torch.maximum(f, -self.rho), self.rho)

    def gain(self, f: Tensor) -> Tensor:
        """What a unit of mass with potential f adds to the dual."""
        if self.rho is None or self.penalty == "tv":
            return f
        return -self.rho * torch.expm1(-f / self.rho)

    def curvature(self, f: Tensor) -> Tensor:
        """Minus the second derivative of the gain."""
        if self.rho is None or self.penalty == "tv":
            return torch.zeros_like(f)
        return torch.exp(-f / self.rho) / self.rho

    def moving(self, f: Tensor) -> Tensor:
        """Whether a small change of the data moves the potential: not where it is cut."""
        if self.rho is None or self.penalty == "kl":
            return torch.ones_like(f, dtype=torch.bool)
        return f.abs() < self.rho
