"""Soft minima of shifted costs over all pairs of points, without holding all pairs.

``rows(h, eps)_i = -eps log sum_j exp(h_j - c_ij / eps)``: the one pass that entropic transport is made of.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.costs import blocks, costs

BLOCK_CPU = 2**18  # pairs in a tile: 1 MB of float32, so that it stays in cache
BLOCK_ELSEWHERE = 2**24
KEPT = 2**22  # pairs up to which the costs are kept between passes, since a kept tile is several times faster
UNROLLED = 32  # coordinates that a compiled tile unrolls
ENGINES = ("auto", "torch", "compile", "triton")


class Passes(Protocol):
    """What the solver asks of a pair of clouds, on one process or on several."""

    def rows(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over y for each x, (B, n), from h (B, m) and eps (B, 1)."""

    def cols(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over x for each y, (B, m), from h (B, n) and eps (B, 1)."""

    def means(self, b: Tensor) -> Tensor:
        """``sum_j b_j c_ij`` for each x, (B, n)."""


class Pair:
    """Two clouds of points (B, n, d) and (B, m, d) on one device.

    Parameters
    ----------
    x, y : Tensor
        Points; detached, on a scale where no power overflows.
    p : float
        Order: the cost is the distance to the power p.
    engine : {"auto", "torch", "compile", "triton"}
        Who computes a pass; ``"auto"`` is torch.
    block : int, optional
        Pairs in a tile.
    """

    def __init__(
        self, x: Tensor, y: Tensor, p: float, engine: str = "auto", block: int | None = None
    ) -> None:
        self.x, self.y, self.p = x, y, p
        self.engine = _engine(engine, x, p)
        self.block = block if block is not None else block_of(x)
        pairs = x.shape[0] * x.shape[1] * y.shape[1]
        keep = self.engine == "torch" and pairs <= (KEPT if block is None else block)
        self.kept = costs(x, y, p) if keep else None
        # The transpose is laid out anew: sums along rows are faster, and have the same bits on any process.
        self.kept_across = self.kept if x is y or self.kept is None else self.kept.mT.contiguous()

    def rows(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over y for each x."""
        if self.kept is not None:
            return _softmin(self.kept, h, eps)
        return self._streamed(self.x, self.y, h, eps)

    def cols(self, h: Tensor, eps: Tensor) -> Tensor:
        """Soft minimum over x for each y."""
        if self.kept_across is not None:
            return _softmin(self.kept_across, h, eps)
        return self._streamed(self.y, self.x, h, eps)

    def means(self, b: Tensor) -> Tensor:
        """``sum_j b_j c_ij`` for each x."""
        if self.kept is not None:
            return (self.kept * b[:, None]).sum(-1)
        x, width = self.x, self.y.shape[0] * self.y.shape[1]
        parts = [
            (costs(x[:, run], self.y, self.p) * b[:, None]).sum(-1)
            for run in blocks(x.shape[1], width, self.block)
        ]
        return torch.cat(parts, 1)

    def _streamed(self, x: Tensor, y: Tensor, h: Tensor, eps: Tensor) -> Tensor:
        if self.engine == "triton":
            from otdist.learn.kernel import softmin_rows

            return softmin_rows(x, y, h, eps, self.p)
        tile = _compiled() if self.engine == "compile" and x.shape[-1] <= UNROLLED else _tile
        width = y.shape[0] * y.shape[1]
        parts = [tile(x[:, run], y, h, eps, self.p) for run in blocks(x.shape[1], width, self.block)]
        return torch.cat(parts, 1)


def block_of(x: Tensor) -> int:
    """Pairs in a tile on the device of x."""
    return BLOCK_CPU if x.device.type == "cpu" else BLOCK_ELSEWHERE


def _softmin(cost: Tensor, h: Tensor, eps: Tensor) -> Tensor:
    return -eps * torch.logsumexp(torch.addcmul(h[:, None], cost, -1 / eps[..., None]), -1)


def _tile(x: Tensor, y: Tensor, h: Tensor, eps: Tensor, p: float) -> Tensor:
    return _softmin(costs(x, y, p), h, eps)


@cache
def _compiled() -> Any:
    # Costs, exponents and sums in one loop: 1 ns a pair instead of 3 in the plane, 2.6 instead of 5 in
    # 16 columns, on one CPU core, after about 20 s.
    return torch.compile(_tile, dynamic=True)


def _engine(name: str, x: Tensor, p: float) -> str:
    if name not in ENGINES:
        raise InputError("engine", f"{name!r} is not known", f"use one of {', '.join(ENGINES)}")
    fits = x.dtype == torch.float32 and p in (1, 2)
    if name == "auto":
        return "torch"  # on CUDA, too, until the kernel has been run on one
    if name == "triton" and not (fits and _has_triton()):
        raise InputError("engine", "triton needs float32, p of 1 or 2, and the package", "use engine='torch'")
    return name


@cache
def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True
