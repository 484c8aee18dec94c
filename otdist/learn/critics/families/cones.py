"""Soft maxima of cones, the values of anchor critics, with an explicit gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

# Gaps to the best score are capped here: arithmetic with subnormal weights is ten times slower.
MAX_SCORE_GAP = 60.0
MIN_SQUARED_DISTANCE = 1e-6  # below it a point counts as its anchor, where the gradient is 0


class Cones(torch.autograd.Function):
    """``tau * logsumexp_k((o_k - |z - a_k|) / tau)``, with distances from a matrix product.

    Autograd would store five (n, K) arrays, the explicit gradient stores two. The product form loses digits
    near an anchor, which does not matter in training; reported values come from :func:`soft_max_cones`.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor, anchors: Tensor, offsets: Tensor, tau: float) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        square = torch.addmm(anchors.square().sum(1), z, anchors.T, alpha=-2.0)
        distance = square.add_(z.square().sum(1, keepdim=True)).clamp_min_(MIN_SQUARED_DISTANCE).sqrt_()
        scores = (offsets - distance).mul_(1.0 / tau)
        top = scores.amax(1, keepdim=True)
        weights = torch.softmax(torch.maximum(scores, top - MAX_SCORE_GAP, out=scores), 1)
        ctx.save_for_backward(z, anchors, distance, weights)
        # The largest weight is 1 / sum_k exp(s_k - top): no second pass for the sum.
        return (top[:, 0] - weights.amax(1).log_()) * tau

    @staticmethod
    def backward(
        ctx: FunctionCtx, grad_output: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Return the gradients in points, anchors and offsets."""
        refuse_second_derivative()
        z, anchors, distance, weights = ctx.saved_tensors
        weights = weights * grad_output[:, None]
        offset_gradient = weights.sum(0)
        scaled_weights = weights.div_(distance)
        anchor_gradient = torch.addcmul(
            scaled_weights.T @ z, scaled_weights.sum(0)[:, None], anchors, value=-1.0
        )
        point_gradient = None
        if ctx.needs_input_grad[0]:
            point_gradient = scaled_weights @ anchors - scaled_weights.sum(1, keepdim=True) * z
        return point_gradient, anchor_gradient, offset_gradient, None


def refuse_second_derivative() -> None:
    """Raise RuntimeError if an explicit gradient is differentiated.

    ``once_differentiable`` raises only if the upstream gradient requires a gradient itself.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this gradient is explicit and has no derivative")


def soft_max_cones(z: Tensor, anchors: Tensor, offsets: Tensor, tau: float, p: float) -> Tensor:
    """Return the soft maximum of ``o_k - |z - a_k|_p``, with distances from direct differences."""
    distance = torch.cdist(z, anchors, p=p, compute_mode="donot_use_mm_for_euclid_dist")
    return soft_max(offsets - distance, tau)


def soft_max(scores: Tensor, tau: float) -> Tensor:
    """Return ``tau * logsumexp(scores / tau)`` over the last axis, 1-Lipschitz in the maximum norm."""
    return tau * torch.logsumexp(scores / tau, -1)
