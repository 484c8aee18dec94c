"""Points from which critics with many parts start: their check, and k-means centres."""

from __future__ import annotations

import torch
from torch import Tensor

from otdist.errors import InputError

LLOYD_ITERATIONS = 10


def require_points(points: Tensor, name: str, min_count: int = 1) -> None:
    """Raise InputError unless there are enough points, one a row."""
    if points.ndim != 2 or len(points) < min_count:
        problem = f"must have shape (K, d) with K >= {min_count}, got {tuple(points.shape)}"
        raise InputError(name, problem, "give more points, one a row")


def kmeans_centres(points: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Return at most ``count`` k-means centres, by Lloyd's algorithm from random points."""
    order = torch.randperm(len(points), generator=generator).to(points.device)
    centres = points[order[:count]].clone()
    for _ in range(LLOYD_ITERATIONS):
        nearest = torch.cdist(points, centres).argmin(1)
        total = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, total / counts.clamp_min(1), centres)
    return centres
