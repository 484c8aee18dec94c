"""Soft maxima of cones: the arithmetic of anchor critics, with its gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FAINT = 60.0  # scores this far below the best one count as that far: subnormal weights are ten times slower
NEAREST = 1e-6  # squared distance below which a point counts as its anchor: the kink has gradient 0 there


class Cones(torch.autograd.Function):
    """``tau * logsumexp_k((o_k - |z - a_k|) / tau)``, with distances from a matrix product.

    Autograd would keep and walk five (n, K) arrays; written out there are two. The product form loses digits
    near an anchor, which costs the training nothing; values that are reported come from :func:`cones`.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, anchors: Tensor, offsets: Tensor, tau: float) -> Tensor:
        """Values (n,) at points z (n, d)."""
        square = torch.addmm(anchors.square().sum(1), z, anchors.T, alpha=-2.0)
        distance = square.add_(z.square().sum(1, keepdim=True)).clamp_min_(NEAREST).sqrt_()
        scores = (offsets - distance).mul_(1.0 / tau)
        top = scores.amax(1, keepdim=True)
        weights = torch.softmax(torch.maximum(scores, top - FAINT, out=scores), 1)
        ctx.save_for_backward(z, anchors, distance, weights)
        # The largest weight is 1 / sum_k exp(s_k - top): no second pass for the sum.
        return (top[:, 0] - weights.amax(1).log_()) * tau

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Gradients in points, anchors and offsets."""
        require_once()
        z, anchors, distance, weights = ctx.saved_tensors
        weights = weights * upstream[:, None]
        of_offsets = weights.sum(0)
        pull = weights.div_(distance)
        of_anchors = torch.addcmul(pull.T @ z, pull.sum(0)[:, None], anchors, value=-1.0)
        of_points = None
        if ctx.needs_input_grad[0]:
            of_points = pull @ anchors - pull.sum(1, keepdim=True) * z
        return of_points, of_anchors, of_offsets, None


def require_once() -> None:
    """Raise RuntimeError where a written gradient is to be differentiated.

    ``once_differentiable`` raises only if the upstream gradient requires one, and lets a constant pass else.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this gradient is written out and has no derivative")


def cones(z: Tensor, anchors: Tensor, offsets: Tensor, tau: float, order: float) -> Tensor:
    """Soft maximum of ``o_k - d(z, a_k)`` for a norm of an order, from direct differences."""
    distance = torch.cdist(z, anchors, p=order, compute_mode="donot_use_mm_for_euclid_dist")
    return soft_max(offsets - distance, tau)


def soft_max(scores: Tensor, tau: float) -> Tensor:
    """``tau * logsumexp(scores / tau)`` over the last axis: 1-Lipschitz in the largest change of a score."""
    return tau * torch.logsumexp(scores / tau, -1)
