"""Real and fake batches, checked once and shared between processes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.distributed import rank_and_world_size
from otdist.learn.modes import refuse_transforms
from otdist.learn.sinkhorn.sharded import Shard
from otdist.typing import ArrayInput


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of this process, with the sizes on all processes.

    Attributes
    ----------
    fake, real : Tensor, shape (n, d) and (m, d)
        Points of this process.
    weights : pair of Tensor, shape (n,) and (m,), or None
        Weights of fake and real points of this process; None for equal ones.
    shape : tuple of int
        Shape of one point in the input.
    shards : pair of Shard, or None
        Shards of fake and real points; None for a single process.
    """

    fake: Tensor
    real: Tensor
    weights: tuple[Tensor | None, Tensor | None]
    shape: tuple[int, ...]
    shards: tuple[Shard, Shard] | None

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of fake and real points on all processes."""
        if self.shards is None:
            return len(self.fake), len(self.real)
        return sum(self.shards[0].sizes), sum(self.shards[1].sizes)

    def gather(self) -> tuple[Tensor, Tensor]:
        """Gather fake and real points of all processes; gradients flow to those of this one."""
        if self.shards is None:
            return self.fake, self.real
        return _gather_rows(self.fake, self.shards[0]), _gather_rows(self.real, self.shards[1])

    def gather_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Gather the weights of all processes; gradients flow to those of this one."""
        if self.shards is None:
            return self.weights
        a, b = (
            None if weights is None else _gather_rows(weights, shard)
            for weights, shard in zip(self.weights, self.shards, strict=True)
        )
        return a, b

    def gather_present(self) -> tuple[Tensor, Tensor]:
        """Gather the points of all processes whose weight is not 0, detached."""
        fake, real = (
            points.detach() if weights is None else points.detach()[weights > 0]
            for points, weights in zip(self.gather(), self.gather_weights(), strict=True)
        )
        return fake, real

    def masses(self) -> tuple[Tensor, Tensor]:
        """Return weights (n,) and (m,) of this process as shares of the sums on all processes, detached."""
        fake_mass, real_mass = (
            points.new_full((len(points),), 1.0 / max(count, 1))
            if weights is None
            else weights.detach()
            / self._sum(weights.detach().sum()).clamp_min(torch.finfo(weights.dtype).tiny)
            for points, weights, count in zip((self.fake, self.real), self.weights, self.counts, strict=True)
        )
        return fake_mass, real_mass

    def means(self, fake_values: Tensor, real_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parts of this process in the weighted means of values (n,) and (m,) at its points."""
        fake_mean, real_mean = (
            self._mean(*side)
            for side in zip((fake_values, real_values), self.masses(), self.weights, strict=True)
        )
        return fake_mean, real_mean

    def pair_rows(self) -> Batches:
        """Truncate both batches to the same size on each process."""
        count = min(len(self.fake), len(self.real))
        a, b = (None if weights is None else weights[:count] for weights in self.weights)
        shards = None
        if self.shards is not None:
            sizes = tuple(min(pair) for pair in zip(*(shard.sizes for shard in self.shards), strict=True))
            shard = Shard(sizes, self.shards[0].rank, None)
            shards = shard, shard
        return Batches(self.fake[:count], self.real[:count], (a, b), self.shape, shards)

    def share_value(self, value: Tensor, *, is_part: bool) -> Tensor:
        """Return one value on all processes, scaled for gradients that are averaged over them.

        With ``is_part`` the values of the processes are summed, otherwise they are equal.
        """
        if self.shards is None:
            return value
        total = self._sum(value.detach()) if is_part else value.detach()
        # Averaging divides the gradient of each process by their number.
        return total + len(self.shards[0].sizes) * (value - value.detach())

    def is_valid(self) -> Tensor:
        """Return whether all points and weights are valid, shape (), without a synchronisation."""
        flags = [torch.isfinite(points.detach()).all() for points in (self.fake, self.real)]
        for weights in self.weights:
            if weights is not None:
                flags += [_is_valid_weight(weights.detach()).all(), weights.detach().sum() > 0]
        return torch.stack(flags).all()

    def require_valid(self, *, is_part: bool = False) -> None:
        """Raise InputError for values that are not finite, and weights that are negative or sum to 0.

        The weights of a part, on one of several processes, may sum to 0.
        """
        if bool(self.is_valid()):
            return
        for name, points in (("real", self.real), ("fake", self.fake)):
            rows = torch.nonzero(~torch.isfinite(points.detach()).all(1))
            if len(rows):
                problem = f"must be finite, row {int(rows[0])} is not"
                raise InputError(name, problem, "find the step that made it so")
        for name, weights in zip("ab", self.weights, strict=True):
            if weights is None:
                continue
            rows = torch.nonzero(~_is_valid_weight(weights.detach()))
            if len(rows):
                value = float(weights[int(rows[0])])
                problem = f"must be finite and >= 0, got {value} at {int(rows[0])}"
                raise InputError(name, problem, "drop or repair it before the call")
            if not is_part:
                _require_mass(name, weights.detach().sum())

    def require_mass(self) -> None:
        """Raise InputError, on all processes, if weights sum to 0 over all of them."""
        for name, weights in zip("ab", self.weights, strict=True):
            if weights is not None:
                _require_mass(name, self._sum(weights.detach().sum()))

    def _sum(self, value: Tensor) -> Tensor:
        """Return the sum of a value over all processes."""
        if self.shards is None:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total

    def _mean(self, values: Tensor, mass: Tensor, weights: Tensor | None) -> Tensor:
        mean = values @ mass.to(values)  # a critic computes in float32
        if weights is None or not weights.requires_grad:
            return mean
        # d mean / d a_i = (f_i - mean) / sum(a), where mean and sum are those of all processes.
        deviation = values.detach() - self._sum(mean.detach())
        total = self._sum(weights.detach().sum())
        return mean + (deviation.to(weights) / total) @ (weights - weights.detach())


def read_batches(
    fake: Tensor,
    real: Tensor,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    together: bool,
    check_values: bool = True,
) -> Batches:
    """Read the batches of this process; with ``together`` all processes continue, or all raise.

    With ``together`` some processes may have no rows, as in the last batch of a loader. Without
    ``check_values`` a single process does not wait for the device: the caller evaluates
    :meth:`Batches.is_valid` with other flags.
    """
    refuse_transforms(fake=fake, real=real, a=a, b=b)
    if together and rank_and_world_size()[1] > 1:
        return _read_together(fake, real, a, b)
    batches = _read(fake, real, a, b)
    if check_values:
        batches.require_valid()
    return batches


def _read_together(fake: Tensor, real: Tensor, a: ArrayInput | None, b: ArrayInput | None) -> Batches:
    this_rank, world_size = rank_and_world_size()
    error: Exception | None = None
    batches: Batches | None = None
    status = torch.zeros(6, dtype=torch.int64, device=getattr(fake, "device", torch.device("cpu")))
    try:
        batches = _read(fake, real, a, b, min_rows=0)
        batches.require_valid(is_part=True)
        status = torch.tensor(_describe(batches), device=batches.fake.device)
    except Exception as exception:  # raised below, after the other processes are informed
        error = exception
    table = [torch.empty_like(status) for _ in range(world_size)]
    dist.all_gather(table, status)
    rows = [row.tolist() for row in table]
    if error is not None:
        raise error
    assert batches is not None
    _require_alike(rows)
    sizes = [tuple(row[k] for row in rows) for k in (1, 2)]
    for name, counts in zip(("fake", "real"), sizes, strict=True):
        if not sum(counts):
            raise InputError(
                name, "must have rows, got none on any process", "give at least one of them a row"
            )
    shards = (Shard(sizes[0], this_rank, None), Shard(sizes[1], this_rank, None))
    batches = replace(batches, shards=shards)
    batches.require_mass()
    return batches


def _describe(batches: Batches) -> list[int]:
    """Return what processes compare: sizes, columns, shape of a point, and whether sides have weights."""
    shape = zlib.crc32(repr(batches.shape).encode())
    weighted = sum(2**k for k, weights in enumerate(batches.weights) if weights is not None)
    return [1, len(batches.fake), len(batches.real), batches.fake.shape[1], shape, weighted]


def _require_alike(rows: list[list[int]]) -> None:
    """Raise InputError if descriptions of processes differ, or one is missing."""
    for rank, row in enumerate(rows):
        if not row[0]:
            raise InputError("fake", f"cannot be used on process {rank}", "see the error there")
        if row[3:5] != rows[0][3:5]:
            problem = f"must have points of the shape on process 0, got another shape on process {rank}"
            if row[3] != rows[0][3]:
                problem = (
                    f"must have points of {rows[0][3]} numbers like process 0, got {row[3]} on process {rank}"
                )
            raise InputError("fake", problem, "give all processes the same")
        if row[5] != rows[0][5]:
            name = "a" if (row[5] ^ rows[0][5]) & 1 else "b"
            problem = f"must be given on all processes or on none, differs between 0 and {rank}"
            raise InputError(name, problem, "give weights of 1 where all points count alike")


def _gather_rows(rows: Tensor, shard: Shard) -> Tensor:
    all_rows = shard.gather(rows[None])[0]
    start = sum(shard.sizes[: shard.rank])
    return torch.cat([all_rows[:start], rows, all_rows[start + len(rows) :]])


def _read(
    fake: Tensor, real: Tensor, a: ArrayInput | None, b: ArrayInput | None, min_rows: int = 1
) -> Batches:
    # The real points first: an example without fakes has them twice.
    real_points, fake_points = _points(real, "real", min_rows), _points(fake, "fake", min_rows)
    _require_same_shape(fake, real)
    if fake.device != real.device:
        raise InputError("real", f"must be on {fake.device} like fake, got {real.device}", "use .to(device)")
    weights = _weights(a, fake_points, "a"), _weights(b, real_points, "b")
    return Batches(fake_points, real_points, weights, tuple(fake.shape[1:]), None)


def _points(batch: Tensor, name: str, min_rows: int) -> Tensor:
    if not isinstance(batch, Tensor) or not batch.is_floating_point():
        problem = f"dtype {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise InputError(name, f"must be a float tensor of points, got {problem}", "give points, not labels")
    if batch.ndim < 2 or len(batch) < min_rows or 0 in batch.shape[1:]:
        raise InputError(name, f"must have shape (n, d), got {tuple(batch.shape)}", "give such points")
    points = batch.flatten(1)
    # Half precision has too few digits for differences of distances, and NumPy has no bfloat16.
    return points if points.element_size() >= 4 else points.float()


def _require_same_shape(fake: Tensor, real: Tensor) -> None:
    if fake.shape[1:] == real.shape[1:]:
        return
    problem = f"must have points of shape {tuple(real.shape[1:])} like real, got {tuple(fake.shape[1:])}"
    remedy = "give both the same shape but for the first axis"
    if fake.shape[1:].numel() == real.shape[1:].numel():
        name = "fake" if fake.ndim < real.ndim else "real"
        sizes = ", ".join(str(size) for size in (real if name == "fake" else fake).shape[1:])
        remedy = f"if their numbers are in one order, give {name}.reshape(-1, {sizes})"
    raise InputError("fake", problem, remedy)


def _weights(values: ArrayInput | None, points: Tensor, name: str) -> Tensor | None:
    if values is None:
        return None
    if isinstance(values, Tensor) and values.device != points.device:
        problem = f"must be on {points.device} like the points, got {values.device}"
        raise InputError(name, problem, "use .to(device)")
    weights = torch.as_tensor(values, device=points.device).to(points.dtype)
    if weights.shape != points.shape[:1]:
        problem = f"must have shape ({len(points)},), got {tuple(weights.shape)}"
        raise InputError(name, problem, "give a weight per point")
    return weights


def _is_valid_weight(weights: Tensor) -> Tensor:
    return torch.isfinite(weights) & (weights >= 0)


def _require_mass(name: str, total: Tensor) -> None:
    if not bool(total > 0):
        raise InputError(name, "must have a positive sum, got 0", "give at least one weight above 0")
