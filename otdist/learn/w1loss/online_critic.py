"""Critic that is trained along with moving samples, for learned losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice, check_integer, check_number, set_option
from otdist.learn.constraints.checks import eval_mode
from otdist.learn.critics.candidates import MAX_MEMBERS, default_rate, kmeans_centres
from otdist.learn.critics.families.affine import Pieces
from otdist.learn.critics.families.anchors import Anchors
from otdist.learn.critics.families.orthogonal import Orthogonal, default_width
from otdist.learn.critics.families.penalised import CONSTRAINTS, Penalised
from otdist.learn.critics.training import TAU_END, TAU_START, Training, divisor
from otdist.learn.distributed import broadcast_from_first
from otdist.learn.modes import training_mode
from otdist.learn.w1loss.batches import Batches
from otdist.learn.w1loss.user_critic import prepare_user_critic, require_compatible

Family = Literal["orthogonal", "anchors", "pieces", "spectral", "gp", "lp", "clip"]
ONLINE_FAMILIES = ("orthogonal", "anchors", "pieces", *CONSTRAINTS)
SCHEDULE_SHARE = 0.5  # fixed place in the schedule, since training has no end: temperature and half the step


@dataclass(frozen=True)
class CriticOptions:
    """Options of the critic and its training; see :class:`otdist.learn.W1Loss`."""

    family: Family | None = "orthogonal"
    user_critic: tuple[nn.Module, ...] = ()
    seed: int = 0
    anchors: int = 256
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.family is not None:
            check_choice(self.family, "family", ONLINE_FAMILIES)
        if self.user_critic:
            require_compatible(self.user_critic[0], self.family)
        set_option(self, "anchors", check_integer(self.anchors, "anchors"))
        if self.rate is not None:
            rate = check_number(self.rate, "rate", above=0.0, remedy="give the size of a step, as 0.01")
            set_option(self, "rate", rate)


class OnlineCritic(nn.Module):
    """Critic of features ``(z - centre) / unit``, trained a few steps at a time.

    Parameters
    ----------
    real, fake : Tensor, shape (n, d)
        First batches, which determine centre, unit and initial anchors.
    shape : tuple of int
        Shape of one point, for a critic of the caller.
    options : CriticOptions
        Options of the critic.
    """

    rate: float | None

    centre: Tensor
    unit: Tensor

    def __init__(self, real: Tensor, fake: Tensor, shape: tuple[int, ...], options: CriticOptions) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(options.seed)
        pool = torch.cat([real, fake]).detach().float()
        shuffled = pool[torch.randperm(len(pool), generator=generator).to(pool.device)]
        distances = (pool - shuffled).norm(dim=1)
        # The spread of distances, as for a critic of samples; it is 0 if all points coincide.
        unit = float(distances.std()) if len(pool) > 2 else 0.0
        unit = unit if unit > 0 and math.isfinite(unit) else (float(distances.mean()) or 1.0)
        self.register_buffer("centre", pool.mean(0))
        self.register_buffer("unit", torch.tensor(unit, device=pool.device))
        starts = [self.features(part.detach()) for part in (real, fake)]
        module = (
            prepare_user_critic(options.user_critic[0], shape, options.family, generator)
            if options.user_critic
            else None
        )
        self.critic: nn.Module = (module or _build_critic(starts, options, generator)).to(pool.device)
        broadcast_from_first(*self.critic.parameters(), *self.critic.buffers())
        self.rate = options.rate
        self._training = self._new_training()

    def features(self, points: Tensor) -> Tensor:
        """Return float32 points on the scale of the critic, with gradient."""
        return (points.float() - self.centre) / self.unit

    def gap(self, batches: Batches) -> Tensor:
        """Return ``mean f(real) - mean f(fake)`` in the points' units, with gradient in the points only.

        With several processes it is the contribution of the points of this one.
        """
        trainable = [p for p in self.critic.parameters() if p.requires_grad]
        fakes, reals = batches.counts
        for p in trainable:
            p.requires_grad_(False)
        try:
            # In eval mode buffers do not change, and cones are computed from direct differences.
            with eval_mode(self.critic):
                high = self.critic(self.features(batches.real)).sum() / reals
                low = self.critic(self.features(batches.fake)).sum() / fakes
        finally:
            for p in trainable:
                p.requires_grad_(True)
        return (high - low) * (self.unit / divisor(self.critic))

    @training_mode()
    def ascend(self, batches: Batches, steps: int) -> None:
        """Train on two batches, which are constants of the gradient."""
        if isinstance(self.critic, Penalised) and self.critic.constraint in ("gp", "lp"):
            batches = batches.pair_rows()  # the penalty is evaluated on lines between pairs
            if not batches.counts[0]:
                problem = "must have rows where real has rows, got none there: no lines from one to the other"
                raise InputError("fake", problem, "give at least one process rows of both")
        z = self.features(torch.cat([batches.real, batches.fake]).detach())
        fakes, reals = batches.counts
        signs = z.new_full((len(z),), 1.0 / reals)
        signs[len(batches.real) :] = -1.0 / fakes
        shared = batches.shards is not None
        for _ in range(steps):
            if not self._training.step(z, signs, SCHEDULE_SHARE, shared):
                problem = "led to a critic whose values are not finite"
                raise InputError("fake", problem, "lower the step size")

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state of optimiser and penalty, so that training can be continued exactly."""
        training = self._training
        draws = getattr(self.critic, "draws", 0)
        return {"optimiser": training.optimiser.state_dict(), "steps": training.steps, "draws": draws}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state of optimiser and penalty."""
        self._training = self._new_training()
        self._training.optimiser.load_state_dict(state["optimiser"])
        self._training.steps = state["steps"]
        if hasattr(self.critic, "draws"):
            self.critic.draws = state["draws"]

    def resize_parameters(self, saved: dict[str, Tensor]) -> None:
        """Resize the parameters of the critic to the shapes of saved ones."""
        for name, p in list(self.critic.named_parameters(recurse=False)):
            if name in saved and saved[name].shape != p.shape:
                setattr(self.critic, name, nn.Parameter(torch.zeros_like(saved[name])))

    def _new_training(self) -> Training:
        if hasattr(self.critic, "tau"):
            self.critic.tau = TAU_START * (TAU_END / TAU_START) ** SCHEDULE_SHARE
        return Training("online", self.critic, self.rate or default_rate(self.critic))


def _build_critic(starts: list[Tensor], options: CriticOptions, generator: torch.Generator) -> nn.Module:
    """Build a critic of a family, from features of the first two batches."""
    d = starts[0].shape[1]
    if options.family == "anchors":
        half = max(1, options.anchors // 2)
        centres = [kmeans_centres(part, half, generator) for part in starts]
        count = min(len(part) for part in centres)
        return Anchors(torch.cat([part[:count] for part in centres]), orientation="both")
    if options.family == "pieces":
        seeds = kmeans_centres(starts[0], options.anchors, generator)
        return Pieces(seeds.cpu(), members=min(2 ** (d + 2), MAX_MEMBERS), generator=generator)
    if options.family == "orthogonal":
        network = Orthogonal(d, width=default_width(d), generator=generator).to(starts[0].device)
        network.initialise(*starts, generator)
        return network
    assert options.family is not None  # only None with a critic of the user
    return Penalised(d, options.family, generator=generator)
