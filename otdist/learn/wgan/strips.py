"""What a generator makes of the same few latent numbers while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from otdist.learn.wgan.state import State

MOST = 8  # checks that are kept
POINTS = 64  # of a check
FEWEST = 16
ENTRIES = 2**16  # numbers of a check, where points are long
SEED = 6  # beside the streams of training and the first weights: nothing that training draws
PREFIX = "strip."


@dataclass(eq=False)
class Strips:
    """Points (n, d) of the averaged generator at some checks, always from the same latent numbers.

    Attributes
    ----------
    checks : list of int
        Which checks: 0 is before training. The last one, and those before it at equal distances.
    steps : list of int
        Of the generator.
    points : list of Tensor, shape (n, d)
        On the scale of the networks.
    """

    checks: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    points: list[Tensor] = field(default_factory=list)

    def add(self, state: State, check: int) -> None:
        """Add a check; of those before, every second, fourth, ... is kept when they become too many."""
        every = 1
        while (check - 1) // every > MOST - 2:
            every *= 2
        kept = [k for k, known in enumerate(self.checks) if known < check and known % every == 0]
        for known in (self.checks, self.steps, self.points):
            known[:] = [known[k] for k in kept]
        self.checks.append(check)
        self.steps.append(state.step)
        self.points.append(_points(state))

    def tensors(self) -> dict[str, Tensor]:
        """Points by name, for a file."""
        return {f"{PREFIX}{check}": points for check, points in zip(self.checks, self.points, strict=True)}

    def facts(self) -> dict[str, Any]:
        """What is no tensor, for a file."""
        return {"checks": self.checks, "steps": self.steps}

    @classmethod
    def of(cls, facts: dict[str, Any], tensors: dict[str, Tensor]) -> Strips:
        """Strips from a file."""
        points = [tensors[f"{PREFIX}{check}"] for check in facts["checks"]]
        return cls(list(facts["checks"]), list(facts["steps"]), points)


@torch.no_grad()
def _points(state: State) -> Tensor:
    """Points for the same latent numbers each time; no stream of training moves."""
    size = min(POINTS, max(FEWEST, ENTRIES // state.d))
    # On the CPU, as the streams are: the same numbers on every device.
    z = torch.randn(size, state.latent, generator=torch.Generator().manual_seed(state.seed * 8 + SEED))
    state.average.eval()
    return state.average(z.to(state.device)).flatten(1).float().cpu()
