"""Groups of points, from which critics with many parts start."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 10  # of Lloyd's algorithm


def centres(points: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Centres of at most ``count`` groups, by Lloyd's algorithm from random points."""
    order = torch.randperm(len(points), generator=generator).to(points.device)
    found = points[order[:count]].clone()
    for _ in range(ROUNDS):
        nearest = torch.cdist(points, found).argmin(1)
        total = torch.zeros_like(found).index_add_(0, nearest, points)
        members = torch.bincount(nearest, minlength=len(found))[:, None]
        found = torch.where(members > 0, total / members.clamp_min(1), found)
    return found
