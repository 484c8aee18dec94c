"""Soft minima on CUDA in one kernel that keeps costs, exponents and sums of a tile on the chip.

Tested in Triton's interpreter against the tiles of ``otdist.learn.sinkhorn.softmin``; not yet run on a GPU.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE_ROWS, TILE_COLS = 32, 64
LOG2E = math.log2(math.e)


@triton.jit
def _softmin_kernel(
    x: tl.tensor,
    y: tl.tensor,
    h: tl.tensor,
    rate: tl.tensor,
    out: tl.tensor,
    n: int,
    m: int,
    d: int,
    use_root: tl.constexpr,
    rows: tl.constexpr,
    cols: tl.constexpr,
) -> None:
    batch = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * rows + tl.arange(0, rows)
    x += batch * n * d
    y += batch * m * d
    h += batch * m
    factor = tl.load(rate + batch)
    top = tl.full([rows], float("-inf"), tl.float32)
    total = tl.zeros([rows], tl.float32)
    for first in range(0, m, cols):
        j = first + tl.arange(0, cols)
        square = tl.zeros([rows, cols], tl.float32)
        for k in range(d):
            left = tl.load(x + i.to(tl.int64) * d + k, mask=i < n, other=0.0)
            right = tl.load(y + j.to(tl.int64) * d + k, mask=j < m, other=0.0)
            difference = left[:, None] - right[None, :]
            square += difference * difference
        cost = tl.sqrt(square) if use_root else square
        height = tl.load(h + j, mask=j < m, other=float("-inf"))
        power = height[None, :] - factor * cost
        higher = tl.maximum(top, tl.max(power, 1))
        # Columns without mass have a power of -infinity, and so have rows with no other columns so far.
        base = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp2(top - base) + tl.sum(tl.exp2(power - base[:, None]), 1)
        top = higher
    tl.store(out + batch * n + i, top + tl.log2(total), mask=i < n)


def softmin_rows(x: Tensor, y: Tensor, h: Tensor, eps: Tensor, p: float) -> Tensor:
    """Compute ``-eps log sum_j exp(h_j - |x_i - y_j|**p / eps)``, (B, n), in float32 for p of 1 or 2.

    Cost: O(n m d) time, and memory for the result only.
    """
    size, n, d = x.shape
    x, y, h = x.contiguous(), y.contiguous(), (h * LOG2E).contiguous()
    rate = (LOG2E / eps[:, 0]).contiguous()
    out = torch.empty((size, n), dtype=torch.float32, device=x.device)
    grid = (triton.cdiv(n, TILE_ROWS), size)
    _softmin_kernel[grid](x, y, h, rate, out, n, y.shape[1], d, p == 1, TILE_ROWS, TILE_COLS)
    return -eps * out / LOG2E
