"""Real and fake batches, checked once and shared between processes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.distributed import rank_and_world_size
from otdist.learn.modes import refuse_transforms
from otdist.learn.sinkhorn.sharded import Shard


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of this process, with the sizes on all processes.

    Attributes
    ----------
    fake, real : Tensor, shape (n, d) and (m, d)
        Points of this process.
    shape : tuple of int
        Shape of one point in the input.
    shards : pair of Shard, or None
        Shards of fake and real points; None for a single process.
    """

    fake: Tensor
    real: Tensor
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

    def pair_rows(self) -> Batches:
        """Truncate both batches to the same size on each process."""
        count = min(len(self.fake), len(self.real))
        if self.shards is None:
            return Batches(self.fake[:count], self.real[:count], self.shape, None)
        sizes = tuple(min(pair) for pair in zip(*(shard.sizes for shard in self.shards), strict=True))
        shard = Shard(sizes, self.shards[0].rank, None)
        return Batches(self.fake[:count], self.real[:count], self.shape, (shard, shard))

    def share_value(self, value: Tensor, *, is_part: bool) -> Tensor:
        """Return one value on all processes, scaled for gradients that are averaged over them.

        With ``is_part`` the values of the processes are summed, otherwise they are equal.
        """
        if self.shards is None:
            return value
        total = value.detach().clone()
        if is_part:
            dist.all_reduce(total)
        # Averaging divides the gradient of each process by their number.
        return total + len(self.shards[0].sizes) * (value - value.detach())


def read_batches(fake: Tensor, real: Tensor, *, together: bool) -> Batches:
    """Read the batches of this process; with ``together`` all processes continue, or all raise.

    With ``together`` some processes may have no rows, as in the last batch of a loader.
    """
    refuse_transforms(fake=fake, real=real)
    this_rank, world_size = rank_and_world_size()
    if not together or world_size == 1:
        return _read(fake, real)
    error: Exception | None = None
    device = fake.device if isinstance(fake, Tensor) else torch.device("cpu")
    status = torch.zeros(5, dtype=torch.int64, device=device)
    try:
        local_batches = _read(fake, real, min_rows=0)
        shape = zlib.crc32(repr(local_batches.shape).encode())
        status = torch.tensor(
            [1, len(local_batches.fake), len(local_batches.real), local_batches.fake.shape[1], shape],
            device=device,
        )
    except Exception as exception:  # raised below, after the other processes are informed
        error = exception
    table = [torch.empty_like(status) for _ in range(world_size)]
    dist.all_gather(table, status)
    rows = [row.tolist() for row in table]
    if error is not None:
        raise error
    for rank, row in enumerate(rows):
        if not row[0]:
            raise InputError("fake", f"cannot be used on process {rank}", "see the error there")
        if row[3:] != rows[0][3:]:
            problem = f"must have points of the shape on process 0, got another shape on process {rank}"
            if row[3] != rows[0][3]:
                problem = (
                    f"must have points of {rows[0][3]} numbers like process 0, got {row[3]} on process {rank}"
                )
            raise InputError("fake", problem, "give all processes the same")
    sizes = [tuple(row[k] for row in rows) for k in (1, 2)]
    for name, counts in zip(("fake", "real"), sizes, strict=True):
        if not sum(counts):
            raise InputError(
                name, "must have rows, got none on any process", "give at least one of them a row"
            )
    return Batches(
        local_batches.fake,
        local_batches.real,
        local_batches.shape,
        (Shard(sizes[0], this_rank, None), Shard(sizes[1], this_rank, None)),
    )


def _gather_rows(points: Tensor, shard: Shard) -> Tensor:
    all_rows = shard.gather(points[None])[0]
    start = sum(shard.sizes[: shard.rank])
    return torch.cat([all_rows[:start], points, all_rows[start + len(points) :]])


def _read(fake: Tensor, real: Tensor, min_rows: int = 1) -> Batches:
    points = _points(fake, "fake", min_rows), _points(real, "real", min_rows)
    if points[0].shape[1] != points[1].shape[1]:
        real_size, fake_size = points[1].shape[1], points[0].shape[1]
        problem = f"must have points of {real_size} numbers like real, got {fake_size}"
        raise InputError("fake", problem, "give both the same shape but for the first axis")
    return Batches(*points, tuple(fake.shape[1:]), None)


def _points(batch: Tensor, name: str, min_rows: int) -> Tensor:
    if not isinstance(batch, Tensor) or not batch.is_floating_point():
        problem = f"dtype {batch.dtype}" if isinstance(batch, Tensor) else type(batch).__name__
        raise InputError(name, f"must be a float tensor of points, got {problem}", "give points, not labels")
    if batch.ndim < 2 or len(batch) < min_rows or 0 in batch.shape[1:]:
        raise InputError(name, f"must have shape (n, d), got {tuple(batch.shape)}", "give such points")
    if not bool(torch.isfinite(batch.detach()).all()):
        row = int(torch.nonzero(~torch.isfinite(batch.detach().flatten(1)).all(1))[0])
        raise InputError(name, f"must be finite, row {row} is not", "find the step that made it so")
    points = batch.flatten(1)
    # Half precision has too few digits for differences of distances, and NumPy has no bfloat16.
    return points if points.element_size() >= 4 else points.float()
