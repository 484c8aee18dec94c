"""Training state of a run: networks, optimisers, random streams, and the steps of training."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from otdist.learn.constraints import clip_weights, gradient_penalty, lipschitz_constant
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.distributed import rank_and_world_size, sum_over_processes
from otdist.learn.wgan.columns.generator import Assembly
from otdist.learn.wgan.networks import (
    USER_RATE,
    default_critic,
    default_generator,
    network_sizes,
    point_size,
    prepare_critic,
    prepare_generator,
    resolve_settings,
)
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.settings import DEFAULT_CRITIC_STEPS, PRECISIONS, Settings

ADAM_BETAS = (0.0, 0.9)  # no momentum, since the generator moves (Gulrajani et al. 2017)
STREAM_NAMES = ("data", "latent", "penalty", "check")
WEIGHT_CLIP = 0.01  # largest absolute value of a clipped weight
ROUND_UP = 1.0 + 1e-12  # covers the rounding error of a singular value
MIN_RATE_SHARE = 0.01  # smallest factor of the learning rates


@dataclass(eq=False)
class State:
    """Networks, optimisers, random streams and counters.

    Attributes
    ----------
    generator, critic : Module
        Networks from latent numbers (n, latent) to points, and from packed points to scores.
    settings : Settings
        Settings of the run.
    d : int
        Number of entries of a point.
    seed : int
        Seed of all streams; the global generators of torch and numpy are not used.
    gaps : list of float
        Gaps of the critic on training batches since the last check.
    rate_scale : float
        Factor of the learning rates, halved by each rollback.
    device : torch.device
        Device of the networks.
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
        # With labels or classes, the input of the generator has normal numbers that choose them as well.
        self.latent: int = getattr(self.generator, "n_inputs", network_sizes(s, self.d)[0])
        self.rates: dict[str, float] = {
            "generator": s.learning_rate or USER_RATE,
            "critic": s.critic_rate or USER_RATE,
        }
        self.n_critic = self.n_critic or (s.n_critic if isinstance(s.n_critic, int) else DEFAULT_CRITIC_STEPS)
        self.generator, self.critic = self.generator.to(self.device), self.critic.to(self.device)
        self.average = AveragedModel(self.generator, multi_avg_fn=MovingAverage(s.average), use_buffers=True)
        self.optimisers = {
            "generator": _make_adam(self.generator, self.rates["generator"]),
            "critic": _make_adam(self.critic, self.rates["critic"]),
        }
        # On the CPU, so that all devices have the same numbers.
        self.streams = {
            name: torch.Generator().manual_seed(self.seed * 8 + k) for k, name in enumerate(STREAM_NAMES)
        }

    def critic_step(self, train: Tensor) -> bool:
        """Take a step of the critic; return False, without a change, if values are not finite."""
        s = self.settings
        real, fake = self.pack(self.batch(train)), self.pack(self.fakes(s.batch_size))
        self.critic.train()
        scores = self.scores(torch.cat([real, fake]))
        count = s.batch_size // s.packing  # over all processes
        loss = critic_loss(s.objective, *scores.split([len(real), len(fake)])) / count
        gap = (scores[: len(real)].sum() - scores[len(real) :].sum()).detach() / count
        if s.constraint in ("gp", "lp"):
            loss = loss + self._gradient_penalty(real, fake) * (len(real) / count)
        if not self._optimiser_step("critic", loss, gap):
            return False
        if isinstance(self.critic, Orthogonal):
            self.critic.retract()
        elif s.constraint == "clip":
            clip_weights(self.critic, WEIGHT_CLIP)
        self.gaps.append(float(gap))
        return True

    def generator_step(self) -> bool:
        """Take a step of the generator against the fixed critic, and update the moving average."""
        s = self.settings
        self.critic.requires_grad_(False)
        try:
            scores = self.scores(self.pack(self.fakes(s.batch_size, grad=True)))
            loss = generator_loss(s.objective, scores) / (s.batch_size // s.packing)
            moved = self._optimiser_step("generator", loss)
        finally:
            self.critic.requires_grad_(True)
        if moved:
            self.average.update_parameters(self.generator)
            self.step += 1
        return moved

    def batch(self, points: Tensor, stream: str = "data", size: int | None = None) -> Tensor:
        """Draw rows with replacement, and return the part of this process of the common batch."""
        size = self.settings.batch_size if size is None else size
        rows = torch.randint(len(points), (size,), generator=self.streams[stream])
        return points[self._local_rows(rows).to(points.device)]

    def noise(self, size: int, stream: str = "latent") -> Tensor:
        """Draw latent numbers for this process's part of a batch."""
        z = torch.randn(size, self.latent, generator=self.streams[stream])
        return self._local_rows(z).to(self.device)

    def fakes(self, size: int, *, grad: bool = False) -> Tensor:
        """Return points (n, d) of the current generator."""
        self.generator.train()
        with torch.set_grad_enabled(grad), self._autocast():
            return self.generator(self.noise(size)).flatten(1).float()

    def scores(self, packed: Tensor) -> Tensor:
        """Return scores (n,) of the critic."""
        with self._autocast():
            return self.critic(packed).reshape(len(packed), -1)[:, 0].float()

    def pack(self, points: Tensor) -> Tensor:
        """Concatenate every ``packing`` points."""
        return points.reshape(len(points) // self.settings.packing, -1)

    def constant(self) -> float:
        """Return an upper bound of the critic's Lipschitz constant, at least 1; infinite if unknown."""
        if not self.settings.is_certified:
            return math.inf
        if isinstance(self.critic, Orthogonal):
            return max(self.critic.lipschitz(), 1.0)
        shape = (self.d * self.settings.packing,)
        return max(lipschitz_constant(self.critic, shape) * ROUND_UP, 1.0)

    def set_rates(self, factor: float) -> None:
        """Set both learning rates to a multiple of the initial ones."""
        for name, rate in self.rates.items():
            for group in self.optimisers[name].param_groups:
                group["lr"] = rate * max(factor, MIN_RATE_SHARE) * self.rate_scale

    def _optimiser_step(self, name: str, loss: Tensor, *extra: Tensor) -> bool:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        loss = loss.detach()
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
        if rank_and_world_size()[1] > 1:
            sum_over_processes([loss, *extra, *gradients])
        if not math.isfinite(float(loss)):
            return False
        optimiser.step()
        return True

    def _gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the gradient penalty on lines between real and fake points."""
        s = self.settings
        count = s.batch_size // s.packing
        t = self._local_rows(torch.rand(count, 1, generator=self.streams["penalty"]), 1)
        points_between = fake + t.to(real.device) * (real - fake)
        sided = "two" if s.constraint == "gp" else "one"
        return gradient_penalty(
            self.critic, points_between, points_between, weight=s.weight, sided=sided, between="x"
        )

    def _local_rows(self, batch: Tensor, packing: int | None = None) -> Tensor:
        """Return the part of a batch for this process, in whole packs."""
        rank, world = rank_and_world_size()
        if world == 1:
            return batch
        packs = batch.unflatten(0, (-1, self.settings.packing if packing is None else packing))
        return packs[rank::world].flatten(0, 1)

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.settings.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


@dataclass(frozen=True)
class MovingAverage:
    """Moving average of weights, with a shorter memory in the first steps."""

    decay: float

    @torch.no_grad()
    def __call__(self, averages: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        """Update the averages in place."""
        weight = 1 - min(self.decay, (1 + float(count)) / (10 + float(count)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, weight)
        else:  # integer buffers have no average
            for old, new in zip(averages, current, strict=True):
                old.copy_(new)


def _make_adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    """Make a fused Adam, which takes a tenth of the time for small layers."""
    return torch.optim.Adam(module.parameters(), rate, ADAM_BETAS, fused=True)


def build_state(
    settings: Settings,
    shape: tuple[int, ...],
    seed: int,
    generator: nn.Module | None,
    critic: nn.Module | None,
    device: torch.device,
    assembly: Assembly | None = None,
) -> State:
    """Build the initial training state, with default networks or the caller's."""
    n_classes = 0 if assembly is None else assembly.n_classes
    d = point_size(shape, n_classes)
    settings = resolve_settings(settings, shape, (generator is not None, critic is not None), n_classes)
    rng = torch.Generator().manual_seed(seed * 8 + 7)
    prepared_generator = (
        default_generator(settings, shape, rng, n_classes)
        if generator is None
        else prepare_generator(generator, settings, math.prod(shape), n_classes)
    )
    if critic is None:
        prepared_critic = default_critic(settings, shape, rng, n_classes)
    else:
        prepared_critic = prepare_critic(critic, settings, (d,) if n_classes else shape, rng)
    if assembly is not None:
        prepared_generator = assembly.wrap(prepared_generator, network_sizes(settings, d)[0])
    return State(prepared_generator, prepared_critic, settings, d, seed, device)
