"""Sums over the plan, computed in tiles, for gradients.

``e_ij = exp((f_i + g_j - c_ij) / eps)`` is the density of the plan with respect to a b^T.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from otdist.learn.sinkhorn.costs import compute_costs, compute_smooth_costs, row_blocks
from otdist.learn.sinkhorn.marginals import MarginalPenalty
from otdist.learn.sinkhorn.softmin import default_tile_pairs

MAX_PLAN_EXPONENT = 80.0  # larger exponents occur for pairs of points without mass only


@dataclass(frozen=True, eq=False)
class EntropicSettings:
    """Order of the cost, eps of shape (B, 1), penalty of the marginals, and pairs in a tile."""

    p: float
    eps: Tensor
    marginals: MarginalPenalty
    tile_pairs: int | None

    def choose_tile_pairs(self, x: Tensor) -> int:
        """Return the number of pairs in a tile, by default for the device of x."""
        return default_tile_pairs(x) if self.tile_pairs is None else self.tile_pairs


@torch.no_grad()
def density_sums(settings: EntropicSettings, x: Tensor, y: Tensor, f: Tensor, g: Tensor, v: Tensor) -> Tensor:
    """Compute ``sum_j e_ij v_j`` for each i."""
    eps = settings.eps[..., None]
    parts = []
    for rows in row_blocks(x.shape[1], y.shape[0] * y.shape[1], settings.choose_tile_pairs(x)):
        exponent = (f[:, rows, None] + g[:, None] - compute_costs(x[:, rows], y, settings.p)) / eps
        parts.append((exponent.clamp_(max=MAX_PLAN_EXPONENT).exp_() * v[:, None]).sum(-1))
    return torch.cat(parts, 1)


def plan_sums(
    settings: EntropicSettings,
    x: Tensor,
    y: Tensor,
    f: Tensor,
    g: Tensor,
    factors: tuple[Tensor, Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """Compute ``sum_j e_ij <left_i, right_j> dc_ij/dx_i``, (B, n, d), and ``sum_j e_ij w_j``, (B, n).

    ``factors`` are left (B, n, k), right (B, m, k) and w (B, m). Differentiable in all tensors; tiles are
    recomputed in the backward pass, so that the memory is that of one tile.
    """
    left, right, w = factors
    # Differences take d numbers per pair.
    tile_pairs = max(1, settings.choose_tile_pairs(x) // x.shape[-1])
    point_sums, mass_sums = [], []
    for rows in row_blocks(x.shape[1], y.shape[0] * y.shape[1], tile_pairs):
        arguments = (x[:, rows], y, f[:, rows], g, left[:, rows], right, w, settings.eps, settings.p)
        if torch.is_grad_enabled():
            point, mass = checkpoint(_tile_sums, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            point, mass = _tile_sums(*arguments)
        point_sums.append(point)
        mass_sums.append(mass)
    return torch.cat(point_sums, 1), torch.cat(mass_sums, 1)


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
    cost, slope = compute_smooth_costs(x[:, :, None] - y[:, None], p)
    exponent = (f[:, :, None] + g[:, None] - cost) / eps[..., None]
    density = torch.exp(exponent.clamp(max=MAX_PLAN_EXPONENT))
    share = sum(left[:, :, None, k] * right[:, None, :, k] for k in range(left.shape[-1]))
    return ((density * share)[..., None] * slope).sum(2), (density * w[:, None]).sum(2)
