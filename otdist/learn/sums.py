"""Sums over the plan, streamed in tiles: what gradients are made of.

``e_ij = exp((f_i + g_j - c_ij) / eps)`` is the density of the plan with respect to a b^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from otdist.learn.costs import blocks, costs, smooth_costs
from otdist.learn.marginals import Marginals
from otdist.learn.softmin import block_of

LARGEST = 80.0  # exponents are cut here; only pairs of two points without mass come so far


@dataclass(frozen=True, eq=False)
class Law:
    """The cost, eps of shape (B, 1), the penalty, and the size of a tile."""

    p: float
    eps: Tensor
    marginals: Marginals
    block: int | None

    def limit(self, x: Tensor) -> int:
        """Pairs in a tile."""
        return block_of(x) if self.block is None else self.block


@torch.no_grad()
def density_sums(law: Law, x: Tensor, y: Tensor, f: Tensor, g: Tensor, v: Tensor) -> Tensor:
    """``sum_j e_ij v_j`` for each i."""
    eps = law.eps[..., None]
    parts = []
    for run in blocks(x.shape[1], y.shape[0] * y.shape[1], law.limit(x)):
        exponent = (f[:, run, None] + g[:, None] - costs(x[:, run], y, law.p)) / eps
        parts.append((exponent.clamp_(max=LARGEST).exp_() * v[:, None]).sum(-1))
    return torch.cat(parts, 1)


def plan_sums(
    law: Law, x: Tensor, y: Tensor, f: Tensor, g: Tensor, factors: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """``sum_j e_ij <left_i, right_j> dc_ij/dx_i``, (B, n, d), and ``sum_j e_ij w_j``, (B, n).

    ``factors`` are left (B, n, k), right (B, m, k) and w (B, m). Differentiable in all tensors; tiles are
    then computed again in the backward pass, so that memory stays that of one tile.
    """
    left, right, w = factors
    # The differences themselves are held here, d numbers a pair.
    limit = max(1, law.limit(x) // x.shape[-1])
    points, masses = [], []
    for run in blocks(x.shape[1], y.shape[0] * y.shape[1], limit):
        args = (x[:, run], y, f[:, run], g, left[:, run], right, w, law.eps, law.p)
        if torch.is_grad_enabled():
            point, mass = checkpoint(_tile_sums, *args, use_reentrant=False, preserve_rng_state=False)
        else:
            point, mass = _tile_sums(*args)
        points.append(point)
        masses.append(mass)
    return torch.cat(points, 1), torch.cat(masses, 1)


def _tile_sums(
    x: Tensor,
    y: Tensor,
    f: Tensor,
    g: Tensor,
    left: Tensor,
    right: Tensor,
    w: Tensor,
    eps: Tensor,
    p: float,
) -> tuple[Tensor, Tensor]:
    cost, slope = smooth_costs(x[:, :, None] - y[:, None], p)
    exponent = (f[:, :, None] + g[:, None] - cost) / eps[..., None]
    density = torch.exp(exponent.clamp(max=LARGEST))
    share = sum(left[:, :, None, k] * right[:, None, :, k] for k in range(left.shape[-1]))
    return ((density * share)[..., None] * slope).sum(2), (density * w[:, None]).sum(2)
