"""One critic on its way: steps, temperatures, and what it proves on points it has not seen."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from otdist.learn.critics.ascent import Ascent
from otdist.learn.critics.penalised import Penalised
from otdist.learn.critics.processes import add_up

ROWS = 2**22  # numbers in a block when a critic is evaluated
COOLEST = 0.008  # temperature at the end, in units of the spread of distances
WARMEST = 0.08


@dataclass(eq=False)
class Training:
    """A critic, its optimiser, and the best state it had on the validation points.

    Attributes
    ----------
    name : str
        Which kind of critic.
    module : Module
        Maps features (n, d) to values (n,). Its ``lipschitz()`` bounds the constant, its ``retract()``
        restores the constraint after a step.
    rate : float
        First size of a step.
    precision : torch.dtype
        In which products are computed during training.
    """

    name: str
    module: nn.Module
    rate: float
    precision: torch.dtype = torch.float32
    steps: int = 0
    best: float = -math.inf
    kept: dict[str, Any] = field(default_factory=dict)
    optimiser: Ascent = field(init=False)

    def __post_init__(self) -> None:
        self.optimiser = Ascent(self.module, self.rate, self.precision)

    def step(self, z: Tensor, signs: Tensor, share: float, shared: bool) -> bool:
        """Ascend on a batch, at a share of the schedule; returns False where values are not finite."""
        self._cool(share)
        self.module.train()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(z.device.type, self.precision, enabled=self.precision != torch.float32):
            values = self.module(z)
        loss = -(values.float() @ signs)
        if isinstance(self.module, Penalised):
            price = self.module.penalty(z)
            # In several processes gradients are added up: each pays for its share of the batch.
            loss = loss if price is None else loss + price * signs.abs().sum() / 2
        loss.backward()
        loss = loss.detach()
        if shared:  # the loss as well: all processes stop where values of one are not finite
            add_up([loss, *(p.grad for p in self.module.parameters())])
        if not math.isfinite(float(loss)):
            return False
        self.optimiser.step()
        self.module.retract()
        self.steps += 1
        return True

    def keep(self, score: float) -> bool:
        """Remember this state if it is the best one so far."""
        if not score > self.best:
            return False
        self.best = score
        self.kept = copy.deepcopy(self.module.state_dict())
        self.kept_tau = getattr(self.module, "tau", None)
        return True

    def restore(self) -> None:
        """Go back to the best state."""
        if self.kept:
            self.module.load_state_dict(self.kept)
            if self.kept_tau is not None:
                self.module.tau = self.kept_tau

    def _cool(self, share: float) -> None:
        rate = self.rate * (1 + math.cos(math.pi * min(share, 1.0))) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if hasattr(self.module, "tau"):
            self.module.tau = WARMEST * (COOLEST / WARMEST) ** min(share, 1.0)


def divisor(module: nn.Module) -> float:
    """What values are divided by: the constant, or 1 for kinds that only a penalty or clipping holds back."""
    return max(float(module.lipschitz()), 1.0) if getattr(module, "certain", True) else 1.0


def width(module: nn.Module, d: int) -> int:
    """Numbers that a module holds for one point, at most."""
    return max([d] + [math.prod(p.shape[:-1]) if p.ndim > 1 else len(p) for p in module.parameters()])
