"""Training state of a run: networks, optimisers, random streams, and the steps of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from otdist.learn.constraints import CertifiedCritic, clip_weights, gradient_penalty, lipschitz_constant
from otdist.learn.constraints.certified import get_orthogonal_matrices, read_bound, retract_parts
from otdist.learn.constraints.penalty import squared_grad_norms
from otdist.learn.distributed import rank_and_world_size, sum_over_processes
from otdist.learn.wgan.average import MovingAverage
from otdist.learn.wgan.columns.generator import Assembly
from otdist.learn.wgan.networks import (
    DEFAULT_WIDTH,
    USER_RATE,
    default_critic,
    default_generator,
    network_sizes,
    point_size,
    prepare_critic,
    prepare_generator,
    resolve_settings,
)
from otdist.learn.wgan.objectives import PAIRED_OBJECTIVES, critic_loss, generator_loss
from otdist.learn.wgan.settings import DEFAULT_CRITIC_STEPS, PRECISIONS, Settings
from otdist.learn.wgan.step_numbers import StepNumbers, count_steps

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
        Gaps of the critic on training batches since the last check; they are on the device until then.
    rate_scale : float
        Factor of the learning rates, halved by each rollback.
    device : torch.device
        Device of the networks.
    train : Tensor or None
        Training points of the last step of the critic.
    failed_at : Tensor, shape ()
        Step in which values were not finite for the first time, infinity if they are finite. From then on no
        step changes a weight, so the host need not look after each.
    runs_ahead : bool
        Whether the device computes while the host prepares later steps, as all do but the CPU. Random numbers
        are then copied for many steps at once, and no step reads a value.
    """

    generator: nn.Module
    critic: nn.Module
    settings: Settings
    d: int
    seed: int
    device: torch.device
    step: int = 0
    n_critic: int = 0
    rate_scale: float = 1.0
    train: Tensor | None = None
    average: MovingAverage = field(init=False)
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
        self.average = MovingAverage(self.generator, s.average)
        self.optimisers = {
            "generator": _make_adam(self.generator, self.rates["generator"]),
            "critic": _make_adam(self.critic, self.rates["critic"]),
        }
        # On the CPU, so that all devices have the same numbers.
        self.streams = {
            name: torch.Generator().manual_seed(self.seed * 8 + k) for k, name in enumerate(STREAM_NAMES)
        }
        self.failed_at: Tensor = torch.full((), math.inf, device=self.device)
        self.runs_ahead = self.device.type != "cpu"
        self._numbers: dict[str, StepNumbers] = {}
        self._gaps: tuple[list[float], list[Tensor]] = [], []  # read, and still on the device

    def __getstate__(self) -> dict[str, object]:
        """Return the attributes for copies, without numbers that are drawn ahead: they are drawn again."""
        for numbers in self._numbers.values():
            numbers.rewind()
        self._numbers.clear()
        return dict(self.__dict__)

    @property
    def gaps(self) -> list[float]:
        """Gaps of the critic on training batches since the last check; waits for the device."""
        values, pending = self._gaps
        if pending:
            values += torch.stack(pending).tolist()
            pending.clear()
        return values

    @gaps.setter
    def gaps(self, values: list[float]) -> None:
        self._gaps = values, []

    def is_finite(self) -> bool:
        """Return True if all values since the last rollback were finite; waits for the device."""
        return math.isinf(float(self.failed_at))

    def critic_step(self, train: Tensor) -> bool:
        """Take a step of the critic; return False, without a change, if values are known not to be finite.

        On the CPU it is always known. Where a device runs ahead, :meth:`is_finite` says so: reading it in
        every step would make the device wait.
        """
        s, self.train = self.settings, train
        real, fake = self.pack(self.batch(train)), self.pack(self.fakes(s.batch_size))
        self.critic.train()
        scores = self.scores(torch.cat([real, fake]))
        count = s.batch_size // s.packing  # over all processes
        loss = critic_loss(s.objective, *scores.split([len(real), len(fake)])) / count
        gap = (scores[: len(real)].sum() - scores[len(real) :].sum()).detach() / count
        if s.constraint in ("gp", "lp"):
            loss = loss + self._gradient_penalty(real, fake) * (len(real) / count)
        if any(s.zero_centred_weights):
            loss = loss + self._zero_centred_penalty(real, fake) / count
        if not self._optimiser_step("critic", loss, gap):
            return False
        if s.is_certified:
            retract_parts(self.critic)
        elif s.constraint == "clip":
            clip_weights(self.critic, WEIGHT_CLIP)
        self._gaps[1].append(gap)
        return True

    def generator_step(self) -> bool:
        """Take a step of the generator against the fixed critic, and update the moving average."""
        s = self.settings
        self.critic.requires_grad_(False)
        try:
            scores = self.scores(self.pack(self.fakes(s.batch_size, grad=True)))
            real = self._real_scores()
            loss = generator_loss(s.objective, scores, real) / (s.batch_size // s.packing)
            moved = self._optimiser_step("generator", loss)
        finally:
            self.critic.requires_grad_(True)
        if moved:
            self.average.update_parameters(self.generator)
            self.step += 1
        return moved

    def batch(self, points: Tensor) -> Tensor:
        """Draw rows with replacement, and return the part of this process of the common batch, on the device.

        Points on the CPU are copied to the device for many steps at once.
        """

        def draw() -> Tensor:
            size = (self.settings.batch_size,)
            return self._local_rows(torch.randint(len(points), size, generator=self.streams["data"]))

        if points.device == self.device:
            return points[self._next_numbers("data", draw, (len(points),))]
        key = (len(points), points.data_ptr())
        point_bytes = points[0].numel() * points.element_size()
        return self._next_numbers("data", draw, key, gather=points.__getitem__, bytes_per_number=point_bytes)

    def noise(self, size: int) -> Tensor:
        """Draw latent numbers for this process's part of a batch."""

        def draw() -> Tensor:
            return self._local_rows(torch.randn(size, self.latent, generator=self.streams["latent"]))

        return self._next_numbers("latent", draw, (size,))

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
        if isinstance(self.critic, CertifiedCritic):
            return max(read_bound(self.critic.lipschitz, "critic", "lipschitz()"), 1.0)
        shape = (self.d * self.settings.packing,)
        return max(lipschitz_constant(self.critic, shape) * ROUND_UP, 1.0)

    def set_rates(self, factor: float) -> None:
        """Set both learning rates to a multiple of the initial ones."""
        for name, rate in self.rates.items():
            for group in self.optimisers[name].param_groups:
                group["lr"] = rate * group["factor"] * max(factor, MIN_RATE_SHARE) * self.rate_scale

    def get_random_states(self) -> dict[str, Tensor]:
        """Return the states of all streams after the numbers used so far."""
        return {
            name: self._numbers[name].get_state() if name in self._numbers else stream.get_state()
            for name, stream in self.streams.items()
        }

    def set_random_states(self, states: dict[str, Tensor]) -> None:
        """Set the states of all streams."""
        self._numbers.clear()
        for name, stream in self.streams.items():
            stream.set_state(states[name])

    def draw_singly(self, streams: dict[str, torch.Generator]) -> None:
        """Draw numbers of each step from other streams, when they are needed."""
        self.streams, self._numbers, self.runs_ahead = streams, {}, False

    def _next_numbers(
        self,
        name: str,
        draw: Callable[[], Tensor],
        key: tuple[object, ...],
        *,
        gather: Callable[[Tensor], Tensor] | None = None,
        bytes_per_number: int = 0,
    ) -> Tensor:
        """Return random numbers of a step, on the device."""
        if not self.runs_ahead:
            numbers = draw()
            return (numbers if gather is None else gather(numbers)).to(self.device)
        stream = self._numbers.get(name)
        if stream is None or stream.key != key:
            if stream is not None:
                stream.rewind()
            size = bytes_per_number or (self.latent * 4 if name == "latent" else 8)
            n_steps = count_steps(self.settings.batch_size * size)
            stream = StepNumbers(self.streams[name], draw, self.device, n_steps, key, gather)
            self._numbers[name] = stream
        return stream.next()

    def _optimiser_step(self, name: str, loss: Tensor, *extra: Tensor) -> bool:
        """Take a step of an optimiser, on the device only if the loss is finite and all were before."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        loss = loss.detach()
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
        if rank_and_world_size()[1] > 1:
            sum_over_processes([loss, *extra, *gradients])
        first_failure = self.failed_at.clamp(max=self.step)
        self.failed_at = torch.where(torch.isfinite(loss), self.failed_at, first_failure)
        # A fused Adam does not change anything where this is 1, as for overflows of a GradScaler.
        optimiser.found_inf = torch.isfinite(self.failed_at).float()
        optimiser.step()
        return self.runs_ahead or self.is_finite()

    def _gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the gradient penalty on lines between real and fake points."""
        s = self.settings
        count = s.batch_size // s.packing

        def draw() -> Tensor:
            return self._local_rows(torch.rand(count, 1, generator=self.streams["penalty"]), 1)

        points_between = fake + self._next_numbers("penalty", draw, ()) * (real - fake)
        sided = "two" if s.constraint == "gp" else "one"
        return gradient_penalty(
            self.critic, points_between, points_between, weight=s.weight, sided=sided, between="x"
        )

    def _zero_centred_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the penalties of gradient norms at real points and at fakes, summed over the points."""
        pairs = zip(self.settings.zero_centred_weights, (real, fake), strict=True)
        parts = [
            weight / 2 * squared_grad_norms(self.critic, points).sum() for weight, points in pairs if weight
        ]
        return torch.stack(parts).sum()

    @torch.no_grad()
    def _real_scores(self) -> Tensor | None:
        """Return scores of a new batch of real points, for objectives that compare fakes with them."""
        if self.settings.objective not in PAIRED_OBJECTIVES:
            return None
        assert self.train is not None  # a round starts with a step of the critic
        return self.scores(self.pack(self.batch(self.train)))

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


def _make_adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    """Make a fused Adam, which takes a tenth of the time for small layers.

    Orthogonal matrices that a critic names have rates by their size: a step then turns all by one angle.
    """
    matrices = get_orthogonal_matrices(module)
    matrix_ids = {id(p) for p in matrices}
    rest = [p for p in module.parameters() if id(p) not in matrix_ids]
    groups: list[dict[str, Any]] = [{"params": rest, "factor": 1.0}] if rest else []
    groups += [{"params": [p], "factor": DEFAULT_WIDTH / math.sqrt(p.numel())} for p in matrices]
    return torch.optim.Adam(groups, rate, ADAM_BETAS, fused=True)


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
