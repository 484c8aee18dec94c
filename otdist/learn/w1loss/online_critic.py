"""Critic that is trained along with moving samples, for learned losses."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

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
MAX_WIDTH = (
    192  # of any family: with 256 units an orthogonal critic learned as much per call, at twice the cost
)
FLOAT32_EPS = 2.0**-23
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

    Its parameters require a gradient during its own steps only, so that neither the caller's backward pass
    nor an optimiser, DistributedDataParallel or the clipping of gradients outside sees one.

    Parameters
    ----------
    real, fake : Tensor, shape (n, d)
        First batches, which determine centre, unit and initial anchors.
    shape : tuple of int
        Shape of one point, for a critic of the caller.
    options : CriticOptions
        Options of the critic.

    Attributes
    ----------
    is_shared : bool
        True once all processes have the state of the first one.
    """

    rate: float | None
    is_shared: bool

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
        # None requires one in a network that was the critic of another loss.
        every = dict(self.critic.named_parameters())
        self._trained = {name for name, p in every.items() if p.requires_grad} or set(every)
        self.rate = options.rate
        self._training = self._new_training()
        self.is_shared = False

    def share(self) -> None:
        """Give all processes the state of the first one; all of them have to call this."""
        if not self.is_shared:
            broadcast_from_first(*self.parameters(), *self.buffers())
            self.is_shared = True

    def features(self, points: Tensor) -> Tensor:
        """Return float32 points on the scale of the critic, with gradient."""
        return (points.float() - self.centre) / self.unit

    def gap(self, batches: Batches) -> Tensor:
        """Return ``mean f(real) - mean f(fake)`` in the points' units, without the constant of f.

        The gradient is that of points and weights. With several processes it is the contribution of this one.
        """
        self.critic.requires_grad_(False)  # the caller may have changed it
        # In eval mode buffers do not change, and cones are computed from direct differences.
        with eval_mode(self.critic):
            fake_values, real_values = (
                self.critic(self.features(points)) for points in (batches.fake, batches.real)
            )
        fake_mean, real_mean = batches.means(fake_values, real_values)
        return (real_mean - fake_mean) * self.unit

    def constant_bound(self) -> Tensor | float:
        """Return a divisor that makes the critic 1-Lipschitz, if possible without waiting for the device."""
        if not isinstance(self.critic, Orthogonal):
            return divisor(self.critic)
        bound = self.critic.lipschitz_bound().clamp_min(1.0) * (1.0 + FLOAT32_EPS)
        return bound.to(self.unit)  # in float32, where rounding down is made up for

    def constant(self) -> float:
        """Return a divisor that makes the critic 1-Lipschitz, from singular values."""
        return divisor(self.critic)

    @training_mode()
    def ascend(self, batches: Batches, steps: int) -> Tensor:
        """Train on two batches, which are constants of the gradient.

        Returns whether all values were finite, shape (). Otherwise :meth:`restore` the state before.
        """
        if isinstance(self.critic, Penalised) and self.critic.constraint in ("gp", "lp"):
            batches = batches.pair_rows()  # the penalty is evaluated on lines between pairs
            if not batches.counts[0]:
                problem = "must have rows where real has rows, got none there: no lines from one to the other"
                raise InputError("fake", problem, "give at least one process rows of both")
        z = self.features(torch.cat([batches.real, batches.fake]).detach())
        fake_mass, real_mass = batches.masses()
        signs = torch.cat([real_mass, -fake_mass]).to(z)
        with self._requiring_gradients():
            return self._training.take_steps(z, signs, steps, SCHEDULE_SHARE, batches.shards is not None)

    @torch.no_grad()
    def save(self) -> dict[str, Any]:
        """Return a copy of the state, for :meth:`restore`."""
        state = copy.deepcopy(self.get_extra_state())
        tensors = [tensor.clone() for tensor in (*self.parameters(), *self.buffers())]
        return {"extra": state, "tensors": tensors}

    @torch.no_grad()
    def restore(self, saved: dict[str, Any]) -> None:
        """Restore a state of :meth:`save`."""
        for tensor, value in zip((*self.parameters(), *self.buffers()), saved["tensors"], strict=True):
            tensor.copy_(value)
        self.set_extra_state(saved["extra"])

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state of optimiser and penalty, so that training can be continued exactly."""
        training = self._training
        draws = getattr(self.critic, "draws", 0)
        return {"optimiser": training.optimiser.state_dict(), "steps": training.steps, "draws": draws}

    @training_mode()
    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state of optimiser and penalty."""
        self._training = self._new_training()
        # A copy, since an optimiser of torch goes on in the tensors that it is given.
        self._training.optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self._training.steps = state["steps"]
        if hasattr(self.critic, "draws"):
            self.critic.draws = state["draws"]

    def resize_parameters(self, saved: dict[str, Tensor]) -> None:
        """Resize the parameters of the critic to the shapes of saved ones."""
        for name, p in list(self.critic.named_parameters(recurse=False)):
            if name in saved and saved[name].shape != p.shape:
                setattr(self.critic, name, nn.Parameter(torch.zeros_like(saved[name])))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the critic with its optimiser between devices; both stay in float32."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        super()._apply(move, recurse)
        for state in self._training.optimiser.state.values():
            state.update({name: move(value) for name, value in state.items() if isinstance(value, Tensor)})
        return self

    def _new_training(self) -> Training:
        if hasattr(self.critic, "tau"):
            self.critic.tau = TAU_START * (TAU_END / TAU_START) ** SCHEDULE_SHARE
        with self._requiring_gradients():
            return Training("online", self.critic, self.rate or default_rate(self.critic))

    @contextmanager
    def _requiring_gradients(self) -> Iterator[None]:
        """Require gradients of the parameters that are trained, within the block."""
        for name, p in self.critic.named_parameters():
            p.requires_grad_(name in self._trained)
        try:
            yield
        finally:
            self.critic.requires_grad_(False)


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
        network = Orthogonal(d, width=min(default_width(d), MAX_WIDTH), generator=generator).to(
            starts[0].device
        )
        network.initialise(*starts, generator)
        return network
    assert options.family is not None  # only None with a critic of the user
    return Penalised(d, options.family, width=min(max(2 * d, 128), MAX_WIDTH), generator=generator)
