"""Two batches, checked once, and those of several processes as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.critics.processes import rank_and_world
from otdist.learn.sharded import Shard


@dataclass(frozen=True, eq=False)
class Batches:
    """Points of this process, and how many all processes have.

    Attributes
    ----------
    fake, real : Tensor, shape (n, d) and (m, d)
        Points of this process.
    shape : tuple of int
        Shape of one point, as the caller has it.
    shards : pair of Shard, or None
        Which rows of all fakes and of all reals lie here; None: there are no others.
    """

    fake: Tensor
    real: Tensor
    shape: tuple[int, ...]
    shards: tuple[Shard, Shard] | None

    @property
    def counts(self) -> tuple[int, int]:
        """Number of fake and of real points on all processes."""
        if self.shards is None:
            return len(self.fake), len(self.real)
        return sum(self.shards[0].sizes), sum(self.shards[1].sizes)

    def whole(self) -> tuple[Tensor, Tensor]:
        """Fake and real points of all processes; gradients reach those of this one."""
        if self.shards is None:
            return self.fake, self.real
        return _gathered(self.fake, self.shards[0]), _gathered(self.real, self.shards[1])

    def paired(self) -> Batches:
        """As many fake as real points on each process."""
        count = min(len(self.fake), len(self.real))
        if self.shards is None:
            return Batches(self.fake[:count], self.real[:count], self.shape, None)
        sizes = tuple(min(pair) for pair in zip(*(shard.sizes for shard in self.shards), strict=True))
        shard = Shard(sizes, self.shards[0].rank, None)
        return Batches(self.fake[:count], self.real[:count], self.shape, (shard, shard))

    def agreed(self, value: Tensor, *, summed: bool) -> Tensor:
        """One value on all processes, ready for gradients to be averaged over them.

        With ``summed`` each process has given a part of it, else all have given the whole.
        """
        if self.shards is None:
            return value
        total = value.detach().clone()
        if summed:
            dist.all_reduce(total)
        # Averaging divides by the number of processes what each has for its own rows.
        return total + len(self.shards[0].sizes) * (value - value.detach())


def read_batches(fake: Any, real: Any, *, together: bool) -> Batches:
    """Batches of this process; with ``together`` all processes go on, or all raise."""
    here, world = rank_and_world()
    if not together or world == 1:
        return _read(fake, real)
    error: InputError | None = None
    device = fake.device if isinstance(fake, Tensor) else torch.device("cpu")
    says = torch.zeros(3, dtype=torch.int64, device=device)
    try:
        one = _read(fake, real)
        says = torch.tensor([len(one.fake), len(one.real), one.fake.shape[1]], device=device)
    except InputError as found:  # raised below, when the other processes know
        error = found
    table = [torch.empty_like(says) for _ in range(world)]
    dist.all_gather(table, says)
    rows = [row.tolist() for row in table]
    if error is not None:
        raise error
    for rank, row in enumerate(rows):
        if row[0] == 0:
            raise InputError("fake", f"cannot be used on process {rank}", "see the error there")
        if row[2] != rows[0][2]:
            what = f"has points of {row[2]} numbers on process {rank}, of {rows[0][2]} on 0"
            raise InputError("fake", what, "give all processes alike")
    sizes = [tuple(row[k] for row in rows) for k in range(2)]
    return Batches(one.fake, one.real, one.shape, (Shard(sizes[0], here, None), Shard(sizes[1], here, None)))


def _gathered(points: Tensor, shard: Shard) -> Tensor:
    everyone = shard.gather(points[None])[0]
    start = sum(shard.sizes[: shard.rank])
    return torch.cat([everyone[:start], points, everyone[start + len(points) :]])


def _read(fake: Any, real: Any) -> Batches:
    points = _points(fake, "fake"), _points(real, "real")
    if points[0].shape[1] != points[1].shape[1]:
        what = f"has points of {points[0].shape[1]} numbers, real of {points[1].shape[1]}"
        raise InputError("fake", what, "give both the same shape but for the first axis")
    return Batches(*points, tuple(fake.shape[1:]), None)


def _points(batch: Any, name: str) -> Tensor:
    if not isinstance(batch, Tensor) or not batch.is_floating_point():
        what = f"dtype {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise InputError(name, f"is {what}, not points", "give a float tensor of points, not labels")
    if batch.ndim < 2 or 0 in batch.shape:
        raise InputError(name, f"has shape {tuple(batch.shape)}", "give points of shape (n, d)")
    if not bool(torch.isfinite(batch.detach()).all()):
        row = int(torch.nonzero(~torch.isfinite(batch.detach().flatten(1)).all(1))[0])
        raise InputError(name, f"row {row} is not finite", "look for the step that made it so")
    points = batch.flatten(1)
    # Half precision has three digits: too few for differences of distances, and numpy has no bfloat16.
    return points if points.element_size() >= 4 else points.float()
