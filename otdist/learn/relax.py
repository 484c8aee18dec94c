"""How far to step: over-relaxation that adapts to the rate that was seen, and takes steps back.

All decisions are made on the device, for each problem of a batch on its own, so the host never waits.
"""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 1.98  # at 2 nothing converges any more


class Relaxation:
    """Over-relaxation ``f + omega (T(g) - f)`` with omega from the observed rate.

    Successive over-relaxation of alternating updates that contract with rate eta contracts with rate lambda,
    ``(lambda + omega - 1)^2 = lambda omega^2 eta``; the best omega is ``2 / (1 + sqrt(1 - eta))`` with rate
    ``omega - 1``. This holds near the solution only. So every check compares the dual with the last one, and
    where it has fallen, the potentials go back to the last ones that were good, and omega to 1.

    Source: Lehmann, von Renesse, Sambale, Uschmajew (2021); there eta is estimated once, here it is
    estimated at every check, and the dual guards it as in Thibault et al. (2021).
    """

    def __init__(self, slack: Tensor, dtype: torch.dtype) -> None:
        self.omega = torch.ones_like(slack, dtype=dtype)
        self.slack = slack  # (B, 1), what rounding may do to the dual
        self.error = torch.full_like(slack, torch.inf)
        self.dual = torch.full_like(slack, -torch.inf)
        self.good: tuple[Tensor, ...] = ()

    def look(self, state: tuple[Tensor, ...], error: Tensor, dual: Tensor, gap: int) -> tuple[Tensor, ...]:
        """Judge the last ``gap`` sweeps by marginal error and dual, (B, 1); the state to go on from."""
        fell = ~(dual >= self.dual - self.slack)  # NaN counts as fallen
        rate = (error / self.error) ** (1.0 / gap)
        seen = (rate + self.omega - 1).square() / (rate * self.omega.square())
        best = 2 / (1 + (1 - seen).clamp(min=0).sqrt())
        # Where omega is too large already, the rate is omega - 1 and says nothing about eta.
        informed = (rate < 1) & (rate > self.omega - 1) & torch.isfinite(best)
        better = torch.where(informed, torch.maximum(best.clamp(max=LARGEST), self.omega), self.omega)
        self.omega = torch.where(fell, torch.ones_like(better), better).to(self.omega.dtype)
        if self.good:
            state = tuple(torch.where(fell, old, new) for old, new in zip(self.good, state, strict=True))
        self.good = state
        self.error = torch.where(fell, torch.full_like(error, torch.inf), error)
        self.dual = torch.where(fell, self.dual, dual)
        return state
