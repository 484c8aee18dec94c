"""Communication between processes that train one critic, by torch.distributed; no-ops for one process."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from otdist.errors import InputError
from otdist.typing import Array


def rank_and_world_size() -> tuple[int, int]:
    """Return the rank of this process and the number of processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def local_rows(size: int) -> range:
    """Return the indices in a batch that belong to this process."""
    rank, world = rank_and_world_size()
    return range(rank, size, world)


@torch.no_grad()
def broadcast_from_first(*tensors: Tensor) -> None:
    """Replace tensors, in place, by those of the first process."""
    if rank_and_world_size()[1] > 1:
        for tensor in tensors:
            shared = tensor.contiguous()  # a source may store points by columns
            dist.broadcast(shared, 0)
            tensor.copy_(shared)


def broadcast_numbers(values: Iterable[float], device: torch.device) -> list[float]:
    """Return the numbers of the first process, since clocks differ and decisions must not."""
    values = list(values)
    if rank_and_world_size()[1] == 1:
        return values
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return [float(value) for value in shared.tolist()]


def broadcast_array(points: Array, device: torch.device) -> Array:
    """Return the points of the first process."""
    if rank_and_world_size()[1] == 1:
        return points
    shared = torch.tensor(points, device=device)
    dist.broadcast(shared, 0)
    return shared.cpu().numpy()


@torch.no_grad()
def sum_over_processes(tensors: Iterable[Tensor | None]) -> None:
    """Replace tensors, in place, by their sums over all processes, in one message."""
    present = [tensor for tensor in tensors if tensor is not None]
    flat = torch.cat([tensor.reshape(-1) for tensor in present])
    dist.all_reduce(flat)
    for tensor, total in zip(present, flat.split([t.numel() for t in present]), strict=True):
        tensor.copy_(total.view_as(tensor))


def require_equal(device: torch.device, values: Mapping[str, object]) -> None:
    """Raise InputError, on every process, if arguments differ between processes."""
    if rank_and_world_size()[1] == 1:
        return
    for name, row in zip(values, _gather_checksums(values.values(), device), strict=True):
        for rank, checksum in enumerate(row):
            if checksum != row[0]:
                raise InputError(
                    name,
                    f"must be the same on all processes, differs between 0 and {rank}",
                    "give all the same",
                )


def require_distinct_points(device: torch.device, values: dict[str, Array]) -> None:
    """Raise InputError, on every process, if two processes have drawn the same random points."""
    rank, world = rank_and_world_size()
    if world == 1:
        return
    # A distribution of one point gives the same points on all processes.
    points_or_rank = [points if (points != points[0]).any() else rank for points in values.values()]
    for name, row in zip(values, _gather_checksums(points_or_rank, device), strict=True):
        if len(set(row)) < world:
            raise InputError(
                name, "must give other points on each process", "seed the source by the process's rank"
            )


def _gather_checksums(values: Iterable[object], device: torch.device) -> list[tuple[int, ...]]:
    """Gather checksums: for each value a tuple over all processes."""
    readable = (
        np.ascontiguousarray(v).data if isinstance(v, np.ndarray) else repr(v).encode() for v in values
    )
    checksums = [zlib.crc32(value) for value in readable]
    local = torch.tensor(checksums, dtype=torch.int64, device=device)
    table = [torch.empty_like(local) for _ in range(rank_and_world_size()[1])]
    dist.all_gather(table, local)
    return list(zip(*(row.tolist() for row in table), strict=True))
