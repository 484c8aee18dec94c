"""Adaptive over-relaxation with rollback.

All decisions are made on the device, for each problem of a batch separately, without synchronisation.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_OMEGA = 1.98  # below 2, where over-relaxation diverges


class Relaxation:
    """Over-relaxation ``f + omega (T(g) - f)`` with omega from the observed rate.

    Successive over-relaxation of alternating updates that contract with rate eta contracts with rate lambda,
    ``(lambda + omega - 1)^2 = lambda omega^2 eta``; the best omega is ``2 / (1 + sqrt(1 - eta))`` with rate
    ``omega - 1``. This holds near the solution only. So each check compares the dual with the last one, and
    if it has decreased, the potentials are set back to the last good ones, and omega to 1.

    Source: Lehmann, von Renesse, Sambale, Uschmajew (2021). Differs in that eta is estimated at every check
    instead of once, with the dual as a safeguard as in Thibault et al. (2021).
    """

    omega: Tensor
    error: Tensor
    dual: Tensor

    def __init__(self, rounding_error: Tensor, dtype: torch.dtype) -> None:
        self.omega = torch.ones_like(rounding_error, dtype=dtype)
        self.rounding_error = rounding_error  # (B, 1), of the dual
        self.error = torch.full_like(rounding_error, torch.inf)
        self.dual = torch.full_like(rounding_error, -torch.inf)
        self.good_state: tuple[Tensor, ...] = ()

    def update(
        self, state: tuple[Tensor, ...], error: Tensor, dual: Tensor, sweeps: int
    ) -> tuple[Tensor, ...]:
        """Update omega by marginal error and dual, (B, 1), after some sweeps; return the next state."""
        has_fallen = ~(dual >= self.dual - self.rounding_error)  # NaN counts as a decrease
        rate = (error / self.error) ** (1.0 / sweeps)
        eta = (rate + self.omega - 1).square() / (rate * self.omega.square())
        optimal_omega = 2 / (1 + (1 - eta).clamp(min=0).sqrt())
        # If omega is too large, the rate is omega - 1 and does not depend on eta.
        is_informative = (rate < 1) & (rate > self.omega - 1) & torch.isfinite(optimal_omega)
        omega = torch.where(
            is_informative, torch.maximum(optimal_omega.clamp(max=MAX_OMEGA), self.omega), self.omega
        )
        self.omega = torch.where(has_fallen, torch.ones_like(omega), omega).to(self.omega.dtype)
        if self.good_state:
            state = tuple(
                torch.where(has_fallen, old, new) for old, new in zip(self.good_state, state, strict=True)
            )
        self.good_state = state
        self.error = torch.where(has_fallen, torch.full_like(error, torch.inf), error)
        self.dual = torch.where(has_fallen, self.dual, dual)
        return state
