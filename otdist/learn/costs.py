"""Costs between points, in tiles: ``c_ij = |x_i - y_j|**p``.

Distances come from differences, never from ``|x|^2 - 2xy + |y|^2`` alone, which cancels: close points
would come out at a distance of 1e-4 of the extent of the data in float32, and far worse in TF32. Only on a
CPU and in many dimensions is that form used, and what it finds close is computed again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

LOOPED = 4  # coordinates one by one up to here: measured on a CPU, torch.cdist is faster from 5 on
PRODUCTS = 16  # and a matrix product is faster than torch.cdist from here on
CLOSE = 1e-2  # squared distance, as a share of |x|^2 + |y|^2, below which a product has lost digits


def costs(x: Tensor, y: Tensor, p: float) -> Tensor:
    """Tile of costs, shape (B, n, m), from points (B, n, d) and (B, m, d); not for autograd."""
    d = x.shape[-1]
    if d <= LOOPED or torch.compiler.is_compiling():
        return _power_of_square(squares(x, y), p)
    if d > PRODUCTS and _products_are_exact(x):
        return _power_of_square(_by_products(x, y), p)
    distance = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return distance if p == 1 else distance**p


def squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances, one coordinate after the other, so that only one tile is held."""
    total = (x[..., 0, None] - y[..., None, :, 0]).square()
    for k in range(1, x.shape[-1]):
        difference = x[..., k, None] - y[..., None, :, k]
        total.addcmul_(difference, difference)
    return total


def smooth_costs(differences: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Costs and ``dc/dx`` for differences x_i - y_j, (..., d), differentiable once more.

    The kink of ``|x - y|`` at 0 gets the derivative 0, as do all higher ones: a masked square keeps
    autograd from multiplying 0 by infinity.
    """
    square = differences.square().sum(-1)
    apart = square > 0
    safe = torch.where(apart, square, 1.0)
    cost = torch.where(apart, safe ** (p / 2), 0.0)
    rate = torch.where(apart, p * safe ** (p / 2 - 1), 0.0)
    return cost, rate[..., None] * differences


def blocks(count: int, width: int, limit: int) -> Iterator[slice]:
    """Rows in runs of at most ``limit`` pairs, or single rows."""
    step = max(1, limit // max(width, 1))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _power_of_square(square: Tensor, p: float) -> Tensor:
    if p == 2:
        return square
    return square.sqrt() if p == 1 else square ** (p / 2)


def _products_are_exact(x: Tensor) -> bool:
    # Elsewhere recomputing the close pairs would make the host wait, and TF32 or bfloat16 may be allowed.
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == torch.float64 or torch.get_float32_matmul_precision() == "highest"


def _by_products(x: Tensor, y: Tensor) -> Tensor:
    centre = y.mean(1, keepdim=True)
    u, v = x - centre, y - centre
    size = u.square().sum(-1)[..., None] + v.square().sum(-1)[..., None, :]
    square = torch.baddbmm(size, u, v.mT, alpha=-2.0)
    batch, row, column = torch.nonzero(square <= CLOSE * size, as_tuple=True)
    if len(batch) > square.numel() // 8:
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()
    square[batch, row, column] = (x[batch, row] - y[batch, column]).square().sum(-1)
    return square
