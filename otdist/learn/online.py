"""A critic that follows moving samples: what a learned loss is made of."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.anchors import Anchors
from otdist.learn.critics.contenders import centres, rate_of
from otdist.learn.critics.orthogonal import Orthogonal, units
from otdist.learn.critics.penalised import CONSTRAINTS, Penalised
from otdist.learn.critics.training import Training, divisor

FAMILIES = ("orthogonal", "anchors", *CONSTRAINTS)
HALF = 0.5  # of the schedule: the temperature and half the step of a critic that is never finished


class Online(nn.Module):
    """Critic of features ``(z - centre) / unit``, trained a few steps at a time.

    Parameters
    ----------
    real, fake : Tensor, shape (n, d)
        First batches: centre and unit are taken from them, and anchors start there.
    family : str
        One of FAMILIES.
    anchors : int
        Number of anchors.
    seed : int
        For the first parameters.
    """

    centre: Tensor
    unit: Tensor

    def __init__(self, real: Tensor, fake: Tensor, family: Any, anchors: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        both = torch.cat([real, fake]).detach().float()
        others = both[torch.randperm(len(both), generator=generator).to(both.device)]
        distances = (both - others).norm(dim=1)
        # The spread of distances, as for a critic of samples; one point repeated has none.
        unit = float(distances.std()) if len(both) > 2 else 0.0
        unit = unit if unit > 0 and math.isfinite(unit) else (float(distances.mean()) or 1.0)
        self.register_buffer("centre", both.mean(0))
        self.register_buffer("unit", torch.tensor(unit, device=both.device))
        d = both.shape[1]
        module: nn.Module
        if family == "anchors":
            half = max(1, anchors // 2)
            starts = [centres(self.features(part), half, generator) for part in (real, fake)]
            fewest = min(len(start) for start in starts)
            module = Anchors(torch.cat([start[:fewest] for start in starts]), poles="both")
        elif family == "orthogonal":
            module = Orthogonal(d, width=units(d), generator=generator)
        else:
            module = Penalised(d, family, generator=generator)
        self.critic = module.to(both.device)
        self._training: Training | None = None

    def features(self, points: Tensor) -> Tensor:
        """Points on the scale of the critic, float32; gradients pass."""
        return (points.float() - self.centre) / self.unit

    def gap(self, real: Tensor, fake: Tensor) -> Tensor:
        """``mean f(real) - mean f(fake)`` in the units of the points; gradients reach the points only."""
        held = [p for p in self.critic.parameters() if p.requires_grad]
        for p in held:
            p.requires_grad_(False)
        try:
            values = [self.critic(self.features(points)).mean() for points in (real, fake)]
        finally:
            for p in held:
                p.requires_grad_(True)
        return (values[0] - values[1]) * (self.unit / divisor(self.critic))

    def ascend(self, real: Tensor, fake: Tensor, steps: int) -> None:
        """Train on two batches, which are constants."""
        if self._training is None:
            self._training = Training("online", self.critic, rate_of(self.critic))
        count = min(len(real), len(fake))
        z = self.features(torch.cat([real[:count], fake[:count]]).detach())
        signs = torch.cat([torch.ones(count), -torch.ones(count)]).to(z.device) / count
        for _ in range(steps):
            if not self._training.step(z, signs, HALF, False):
                raise InputError("fake", "gave a critic whose values are not finite", "lower the step size")

    def get_extra_state(self) -> dict[str, Any]:
        """State of the optimiser, so that training goes on as it would have."""
        one = self._training
        return {} if one is None else {"optimiser": one.optimiser.state_dict(), "steps": one.steps}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state of the optimiser."""
        if state:
            self._training = Training("online", self.critic, rate_of(self.critic))
            self._training.optimiser.load_state_dict(state["optimiser"])
            self._training.steps = state["steps"]
