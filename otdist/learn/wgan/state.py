"""Everything that training moves, and the two steps that move it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from otdist.learn.constraints import clip_weights, gradient_penalty, lipschitz_constant
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.processes import add_up, rank_and_world
from otdist.learn.wgan.networks import (
    OWN_RATE,
    default_critic,
    default_generator,
    judged_critic,
    judged_generator,
    settled,
    sizes,
)
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.settings import AUTO, PRECISIONS, Settings

BETAS = (0.0, 0.9)  # momentum carries a critic past a generator that has moved (Gulrajani et al. 2017)
STREAMS = ("data", "latent", "penalty", "check")
CLIP = 0.01
UP = 1.0 + 1e-12  # rounding of a singular value
FLOOR = 0.01  # of the learning rates at the end


@dataclass(eq=False)
class State:
    """Networks, optimisers, random streams and counters.

    Attributes
    ----------
    generator, critic : Module
        From latent numbers (n, latent) to points, from packed points to scores.
    settings : Settings
        Choices of the run.
    d : int
        Numbers of a point.
    seed : int
        Of all streams; torch's and numpy's global generators are never used.
    gaps : list of float
        Of the critic's training batches since the last check.
    rate_scale : float
        Halved whenever training had to go back.
    device : torch.device
        Where networks are.
    """

    generator: nn.Module
    critic: nn.Module
    settings: Settings
    d: int
    seed: int
    device: torch.device
    step: int = 0
    n_critic: int = 0
    gaps: list[float] = field(default_factory=list)
    rate_scale: float = 1.0
    average: AveragedModel = field(init=False)
    optimisers: dict[str, torch.optim.Adam] = field(init=False)
    streams: dict[str, torch.Generator] = field(init=False)

    def __post_init__(self) -> None:
        s = self.settings
        self.latent = sizes(s, self.d)[0]
        self.rates = {"generator": s.learning_rate or OWN_RATE, "critic": s.critic_rate or OWN_RATE}
        self.n_critic = self.n_critic or (s.n_critic if isinstance(s.n_critic, int) else AUTO)
        self.generator, self.critic = self.generator.to(self.device), self.critic.to(self.device)
        self.average = AveragedModel(self.generator, multi_avg_fn=_rolling(s.average), use_buffers=True)
        self.optimisers = {
            "generator": _adam(self.generator, self.rates["generator"]),
            "critic": _adam(self.critic, self.rates["critic"]),
        }
        # On the CPU wherever the networks are: the same numbers on every device.
        self.streams = {
            name: torch.Generator().manual_seed(self.seed * 8 + k) for k, name in enumerate(STREAMS)
        }

    def critic_step(self, train: Tensor) -> bool:
        """One ascent of the critic; returns False where values are not finite, with nothing moved."""
        s = self.settings
        real, fake = self.pack(self.batch(train)), self.pack(self.fakes(s.batch_size))
        self.critic.train()
        scores = self.scores(torch.cat([real, fake]))
        count = s.batch_size // s.packing  # of all processes
        loss = critic_loss(s.objective, *scores.split([len(real), len(fake)])) / count
        gap = (scores[: len(real)].sum() - scores[len(real) :].sum()).detach() / count
        if s.constraint in ("gp", "lp"):
            loss = loss + self._penalty(real, fake) * (len(real) / count)
        if not self._descend("critic", loss, gap):
            return False
        if isinstance(self.critic, Orthogonal):
            self.critic.retract()
        elif s.constraint == "clip":
            clip_weights(self.critic, CLIP)
        self.gaps.append(float(gap))
        return True

    def generator_step(self) -> bool:
        """One step of the generator against the critic as it is, and of the average."""
        s = self.settings
        self.critic.requires_grad_(False)
        try:
            scores = self.scores(self.pack(self.fakes(s.batch_size, grad=True)))
            loss = generator_loss(s.objective, scores) / (s.batch_size // s.packing)
            moved = self._descend("generator", loss)
        finally:
            self.critic.requires_grad_(True)
        if moved:
            self.average.update_parameters(self.generator)
            self.step += 1
        return moved

    def batch(self, points: Tensor, stream: str = "data", size: int | None = None) -> Tensor:
        """Rows drawn with replacement; of several processes each gets its own part of a common batch."""
        size = self.settings.batch_size if size is None else size
        rows = torch.randint(len(points), (size,), generator=self.streams[stream])
        return points[self._own(rows).to(points.device)]

    def noise(self, size: int, stream: str = "latent") -> Tensor:
        """Latent numbers for this process's part of a batch."""
        z = torch.randn(size, self.latent, generator=self.streams[stream])
        return self._own(z).to(self.device)

    def fakes(self, size: int, *, grad: bool = False) -> Tensor:
        """Points (n, d) of the generator as it is."""
        self.generator.train()
        with torch.set_grad_enabled(grad), self._cast():
            return self.generator(self.noise(size)).flatten(1).float()

    def scores(self, packed: Tensor) -> Tensor:
        """Scores (n,) of the critic."""
        with self._cast():
            return self.critic(packed).reshape(len(packed), -1)[:, 0].float()

    def pack(self, points: Tensor) -> Tensor:
        """Put ``packing`` points behind each other."""
        return points.reshape(len(points) // self.settings.packing, -1)

    def constant(self) -> float:
        """Bound of the critic's Lipschitz constant, at least 1; infinite if unknown."""
        if not self.settings.certain:
            return math.inf
        if isinstance(self.critic, Orthogonal):
            return max(self.critic.lipschitz(), 1.0)
        shape = (self.d * self.settings.packing,)
        return max(lipschitz_constant(self.critic, shape) * UP, 1.0)

    def set_rates(self, factor: float) -> None:
        """Both learning rates, as a share of the first ones."""
        for name, rate in self.rates.items():
            for group in self.optimisers[name].param_groups:
                group["lr"] = rate * max(factor, FLOOR) * self.rate_scale

    def _descend(self, name: str, loss: Tensor, *told: Tensor) -> bool:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        loss = loss.detach()
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
        if rank_and_world()[1] > 1:
            add_up([loss, *told, *gradients])
        if not math.isfinite(float(loss)):
            return False
        optimiser.step()
        return True

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Price on slopes on the lines between real and fake points."""
        s = self.settings
        count = s.batch_size // s.packing
        t = self._own(torch.rand(count, 1, generator=self.streams["penalty"]), 1)
        places = fake + t.to(real.device) * (real - fake)
        sided = "two" if s.constraint == "gp" else "one"
        return gradient_penalty(self.critic, places, places, weight=s.weight, sided=sided, between="x")

    def _own(self, batch: Tensor, packing: int | None = None) -> Tensor:
        """Part of a batch that this process computes: whole packs."""
        rank, world = rank_and_world()
        if world == 1:
            return batch
        packs = batch.unflatten(0, (-1, self.settings.packing if packing is None else packing))
        return packs[rank::world].flatten(0, 1)

    def _cast(self) -> Any:
        dtype = PRECISIONS[self.settings.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def _rolling(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Moving average that begins as a mean of few: a constant decay would hold on to the first weights."""

    @torch.no_grad()
    def update(averages: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        weight = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, weight)
        else:  # counts of batches and the like have no average
            for old, new in zip(averages, current, strict=True):
                old.copy_(new)

    return update


def _adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    """Adam in one kernel: a tenth of a step's time where layers are small."""
    return torch.optim.Adam(module.parameters(), rate, BETAS, fused=True)


def state_of(
    settings: Settings,
    shape: tuple[int, ...],
    seed: int,
    generator: nn.Module | None,
    critic: nn.Module | None,
    device: torch.device,
) -> State:
    """Networks, the caller's or ours, and all that goes with them, before the first step."""
    d = math.prod(shape)
    settings = settled(settings, shape, (generator is not None, critic is not None))
    source = torch.Generator().manual_seed(seed * 8 + 7)
    made = (
        default_generator(settings, shape, source)
        if generator is None
        else judged_generator(generator, settings, d)
    )
    if critic is None:
        judge = default_critic(settings, shape, source)
    else:
        judge = judged_critic(critic, settings, shape, source)
    return State(made, judge, settings, d, seed, device)
