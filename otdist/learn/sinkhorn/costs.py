"""Costs between points, in tiles: ``c_ij = |x_i - y_j|**p``.

Distances are computed from differences, since ``|x|^2 - 2xy + |y|^2`` cancels: close points would have a
distance of 1e-4 of the extent of the data in float32, and far more in TF32. The product form is used only on
a CPU and in many dimensions, and close pairs are recomputed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MAX_LOOPED_COLUMNS = 4  # up to which a loop over coordinates is faster than torch.cdist, on a CPU
MIN_PRODUCT_COLUMNS = 16  # above which a matrix product is faster than torch.cdist
CANCELLATION_SHARE = 1e-2  # of |x|^2 + |y|^2; smaller squared distances are recomputed


def compute_costs(x: Tensor, y: Tensor, p: float) -> Tensor:
    """Compute costs (B, n, m) of points (B, n, d) and (B, m, d), without autograd."""
    d = x.shape[-1]
    if d <= MAX_LOOPED_COLUMNS or torch.compiler.is_compiling():
        return _power_of_square(squared_distances(x, y), p)
    if d > MIN_PRODUCT_COLUMNS and _products_are_exact(x):
        return _power_of_square(_squares_by_products(x, y), p)
    distance = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return distance if p == 1 else distance**p


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute squared distances coordinate by coordinate, in the memory of one tile."""
    total = (x[..., 0, None] - y[..., None, :, 0]).square()
    for k in range(1, x.shape[-1]):
        difference = x[..., k, None] - y[..., None, :, k]
        total.addcmul_(difference, difference)
    return total


def compute_smooth_costs(differences: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Compute costs and ``dc/dx`` for differences x_i - y_j, (..., d), twice differentiable.

    At 0 all derivatives are set to 0; a masked square keeps autograd from multiplying 0 by infinity. For
    1 < p < 2 the second derivative at 0 is infinite, so callers must check for such pairs.
    """
    square = differences.square().sum(-1)
    if p == 2:
        return square, 2 * differences
    is_apart = square > 0
    safe_square = torch.where(is_apart, square, 1.0)
    cost = torch.where(is_apart, safe_square ** (p / 2), 0.0)
    rate = torch.where(is_apart, p * safe_square ** (p / 2 - 1), 0.0)
    return cost, rate[..., None] * differences


def count_coincident_pairs(x: Tensor, y: Tensor, limit: int) -> int:
    """Count pairs of equal points, in tiles of ``limit`` pairs."""
    blocks = row_blocks(x.shape[1], y.shape[0] * y.shape[1], max(1, limit // x.shape[-1]))
    return sum(int((x[:, block, None] == y[:, None]).all(-1).sum()) for block in blocks)


def row_blocks(count: int, width: int, limit: int) -> Iterator[slice]:
    """Iterate over blocks of rows of at most ``limit`` pairs, or single rows; at least one block."""
    step = max(1, limit // max(width, 1))
    for start in range(0, max(count, 1), step):
        yield slice(start, min(start + step, count))


def _power_of_square(square: Tensor, p: float) -> Tensor:
    if p == 2:
        return square
    return square.sqrt() if p == 1 else square ** (p / 2)


def _products_are_exact(x: Tensor) -> bool:
    # On a GPU the recomputation would synchronise with the host, and TF32 or bfloat16 may be allowed.
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == torch.float64 or torch.get_float32_matmul_precision() == "highest"


def _squares_by_products(x: Tensor, y: Tensor) -> Tensor:
    centre = y.mean(1, keepdim=True)
    u, v = x - centre, y - centre
    norms = u.square().sum(-1)[..., None] + v.square().sum(-1)[..., None, :]
    square = torch.baddbmm(norms, u, v.mT, alpha=-2.0)
    batch, row, column = torch.nonzero(square <= CANCELLATION_SHARE * norms, as_tuple=True)
    if len(batch) > square.numel() // 8:
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square_()
    square[batch, row, column] = (x[batch, row] - y[batch, column]).square().sum(-1)
    return square
