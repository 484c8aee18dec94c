"""Several processes that train one critic, by torch.distributed; a single one passes straight through."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from otdist.errors import InputError


def rank_and_world() -> tuple[int, int]:
    """Which of how many processes this is."""
    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def own(size: int) -> range:
    """Places in a batch that belong to this process."""
    rank, world = rank_and_world()
    return range(rank, size, world)


@torch.no_grad()
def of_first(*tensors: Tensor) -> None:
    """Put into tensors, in place, what the first process has there."""
    if rank_and_world()[1] > 1:
        for tensor in tensors:
            shared = tensor.contiguous()  # a source may store points by columns
            dist.broadcast(shared, 0)
            tensor.copy_(shared)


def numbers_of_first(values: Iterable[float], device: torch.device) -> list[float]:
    """Numbers of the first process: clocks differ, and what follows from them must not."""
    given = list(values)
    if rank_and_world()[1] == 1:
        return given
    shared = torch.tensor(given, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return [float(value) for value in shared.tolist()]


def array_of_first(points: NDArray[Any], device: torch.device) -> NDArray[Any]:
    """Points of the first process."""
    if rank_and_world()[1] == 1:
        return points
    shared = torch.tensor(points, device=device)
    dist.broadcast(shared, 0)
    return shared.cpu().numpy()


@torch.no_grad()
def add_up(tensors: Iterable[Tensor | None]) -> None:
    """Replace tensors, in place, by their sums over all processes, in one message."""
    present = [tensor for tensor in tensors if tensor is not None]
    flat = torch.cat([tensor.reshape(-1) for tensor in present])
    dist.all_reduce(flat)
    for tensor, total in zip(present, flat.split([t.numel() for t in present]), strict=True):
        tensor.copy_(total.view_as(tensor))


def require_alike(device: torch.device, given: dict[str, Any]) -> None:
    """Raise InputError, on every process, where arguments differ between them."""
    if rank_and_world()[1] == 1:
        return
    for name, row in zip(given, _marks(given.values(), device), strict=True):
        for rank, mark in enumerate(row):
            if mark != row[0]:
                raise InputError(name, f"differs between processes 0 and {rank}", "give all the same")


def require_other_points(device: torch.device, given: dict[str, NDArray[Any]]) -> None:
    """Raise InputError, on every process, where two of them have drawn the same random points."""
    rank, world = rank_and_world()
    if world == 1:
        return
    # A law of one point gives the same everywhere, and rightly so.
    drawn = [points if (points != points[0]).any() else rank for points in given.values()]
    for name, row in zip(given, _marks(drawn, device), strict=True):
        if len(set(row)) < world:
            raise InputError(
                name, "gives the same points on several processes", "seed the source by the process's rank"
            )


def _marks(values: Iterable[Any], device: torch.device) -> list[tuple[int, ...]]:
    """Checksums, one tuple over all processes for each value."""
    readable = (
        np.ascontiguousarray(v).data if isinstance(v, np.ndarray) else repr(v).encode() for v in values
    )
    sums = [zlib.crc32(value) for value in readable]
    mine = torch.tensor(sums, dtype=torch.int64, device=device)
    table = [torch.empty_like(mine) for _ in range(rank_and_world()[1])]
    dist.all_gather(table, mine)
    return list(zip(*(row.tolist() for row in table), strict=True))
