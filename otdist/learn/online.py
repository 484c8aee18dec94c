"""A critic that follows moving samples: what a learned loss is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.constraints.checks import at_rest
from otdist.learn.critics.anchors import Anchors
from otdist.learn.critics.contenders import MEMBERS, centres, rate_of
from otdist.learn.critics.orthogonal import Orthogonal, units
from otdist.learn.critics.penalised import CONSTRAINTS, Penalised
from otdist.learn.critics.pieces import Pieces
from otdist.learn.critics.processes import of_first
from otdist.learn.critics.training import COOLEST, WARMEST, Training, divisor
from otdist.learn.own import own_critic, require_holdable
from otdist.learn.pooled import Batches

FAMILIES = ("orthogonal", "anchors", "pieces", *CONSTRAINTS)
HALF = 0.5  # of the schedule: the temperature and half the step of a critic that is never finished


@dataclass(frozen=True)
class Choice:
    """Which critic, and how it learns; see :class:`otdist.learn.W1Loss`."""

    family: str | None = "orthogonal"
    own: tuple[nn.Module, ...] = ()
    seed: int = 0
    anchors: int = 256
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.family not in (None, *FAMILIES):
            raise InputError("family", f"{self.family!r} is unknown", f"use one of {list(FAMILIES)}")
        if self.own:
            require_holdable(self.own[0], self.family)
        require_count("anchors", self.anchors)
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise InputError("rate", f"{self.rate!r} is no size of a step", "give a number above 0, as 0.01")


def require_count(name: str, count: Any) -> None:
    """Raise InputError unless it is a whole number from 1 on."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(name, f"{count!r} is no number of them", "give a whole number from 1 on")


class Online(nn.Module):
    """Critic of features ``(z - centre) / unit``, trained a few steps at a time.

    Parameters
    ----------
    real, fake : Tensor, shape (n, d)
        First batches: centre and unit are taken from them, and anchors start there.
    shape : tuple of int
        Shape of one point, for a critic of the caller's.
    choice : Choice
        What to make.
    """

    centre: Tensor
    unit: Tensor

    def __init__(self, real: Tensor, fake: Tensor, shape: tuple[int, ...], choice: Choice) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(choice.seed)
        both = torch.cat([real, fake]).detach().float()
        others = both[torch.randperm(len(both), generator=generator).to(both.device)]
        distances = (both - others).norm(dim=1)
        # The spread of distances, as for a critic of samples; one point repeated has none.
        unit = float(distances.std()) if len(both) > 2 else 0.0
        unit = unit if unit > 0 and math.isfinite(unit) else (float(distances.mean()) or 1.0)
        self.register_buffer("centre", both.mean(0))
        self.register_buffer("unit", torch.tensor(unit, device=both.device))
        starts = [self.features(part.detach()) for part in (real, fake)]
        module = own_critic(choice.own[0], shape, choice.family, generator) if choice.own else None
        self.critic: nn.Module = (module or _made(starts, choice, generator)).to(both.device)
        of_first(*self.critic.parameters(), *self.critic.buffers())
        self.rate = choice.rate
        self._training = self._new_training()

    def features(self, points: Tensor) -> Tensor:
        """Points on the scale of the critic, float32; gradients pass."""
        return (points.float() - self.centre) / self.unit

    def gap(self, batches: Batches) -> Tensor:
        """``mean f(real) - mean f(fake)`` in the units of the points; gradients reach the points only.

        On several processes the part that the points of this one have in it.
        """
        held = [p for p in self.critic.parameters() if p.requires_grad]
        fakes, reals = batches.counts
        for p in held:
            p.requires_grad_(False)
        try:
            # At rest: a critic that is not trained does not change, and cones are computed to all digits.
            with at_rest(self.critic):
                high = self.critic(self.features(batches.real)).sum() / reals
                low = self.critic(self.features(batches.fake)).sum() / fakes
        finally:
            for p in held:
                p.requires_grad_(True)
        return (high - low) * (self.unit / divisor(self.critic))

    def ascend(self, batches: Batches, steps: int) -> None:
        """Train on two batches, which are constants."""
        if isinstance(self.critic, Penalised) and self.critic.constraint in ("gp", "lp"):
            batches = batches.paired()  # the penalty looks at lines from one to the other
        z = self.features(torch.cat([batches.real, batches.fake]).detach())
        fakes, reals = batches.counts
        signs = z.new_full((len(z),), 1.0 / reals)
        signs[len(batches.real) :] = -1.0 / fakes
        shared = batches.shards is not None
        with torch.enable_grad():
            for _ in range(steps):
                if not self._training.step(z, signs, HALF, shared):
                    what = "gave a critic whose values are not finite"
                    raise InputError("fake", what, "lower the step size")

    def get_extra_state(self) -> dict[str, Any]:
        """State of the optimiser and of the penalty, so that training goes on as it would have."""
        one = self._training
        draws = getattr(self.critic, "draws", 0)
        return {"optimiser": one.optimiser.state_dict(), "steps": one.steps, "draws": draws}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state of the optimiser and of the penalty."""
        self._training = self._new_training()
        self._training.optimiser.load_state_dict(state["optimiser"])
        self._training.steps = state["steps"]
        if hasattr(self.critic, "draws"):
            self.critic.draws = state["draws"]

    def make_room(self, saved: dict[str, Tensor]) -> None:
        """Take over how many anchors there are from saved parameters of the critic."""
        for name, p in list(self.critic.named_parameters(recurse=False)):
            if name in saved and saved[name].shape != p.shape:
                setattr(self.critic, name, nn.Parameter(torch.zeros_like(saved[name])))

    def _new_training(self) -> Training:
        if hasattr(self.critic, "tau"):  # a critic that was loaded and does not train has its own values
            self.critic.tau = WARMEST * (COOLEST / WARMEST) ** HALF
        return Training("online", self.critic, self.rate or rate_of(self.critic))


def _made(starts: list[Tensor], choice: Choice, generator: torch.Generator) -> nn.Module:
    """Critic of a family, from features of the two first batches."""
    d = starts[0].shape[1]
    if choice.family == "anchors":
        half = max(1, choice.anchors // 2)
        found = [centres(part, half, generator) for part in starts]
        fewest = min(len(part) for part in found)
        return Anchors(torch.cat([part[:fewest] for part in found]), poles="both")
    if choice.family == "pieces":
        seeds = centres(starts[0], choice.anchors, generator)
        return Pieces(seeds.cpu(), members=min(2 ** (d + 2), MEMBERS), generator=generator)
    if choice.family == "orthogonal":
        network = Orthogonal(d, width=units(d), generator=generator).to(starts[0].device)
        network.settle(*starts, generator)
        return network
    return Penalised(d, choice.family, generator=generator)  # type: ignore[arg-type]
