"""Value of entropic transport as a function of points and weights, with its derivatives.

By the envelope theorem the potentials are constants in the first derivative. In the second they are
differentiated implicitly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otdist.autograd import Reason, refuse
from otdist.learn.sinkhorn.costs import count_coincident_pairs
from otdist.learn.sinkhorn.entropic import sum_points
from otdist.learn.sinkhorn.implicit import ImplicitPotentials
from otdist.learn.sinkhorn.sums import EntropicSettings, plan_sums

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

COINCIDENT = Reason(
    "second derivatives in the points are infinite where points coincide and 1 < p < 2",
    "use p=1 or p=2, or move the points apart",
)


class EntropicValue(torch.autograd.Function):
    """Dual value at its maximum f, g, shape (B,), as a function of x, y, a and b; twice differentiable."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, dual: Tensor, f: Tensor, g: Tensor, settings: EntropicSettings, *data: Tensor
    ) -> Tensor:
        """Return the dual value."""
        ctx.save_for_backward(*data, f, g)
        ctx.settings, ctx.is_self = settings, data[0] is data[1]
        return dual.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients as sums over the plan, with a graph if the caller asks for one."""
        x, y, a, b, f, g = ctx.saved_tensors
        settings, needs_gradient = ctx.settings, ctx.needs_input_grad[4:]
        if torch.is_grad_enabled():
            f, g = ImplicitPotentials.apply(x, y, a, b, f, g, settings)
        x_gradient = y_gradient = a_gradient = b_gradient = None
        if needs_gradient[0] or needs_gradient[2]:
            x_gradient, a_gradient = dual_gradients(settings, x, y, (a, b), f, g)
            x_gradient, a_gradient = (
                x_gradient * grad_output[:, None, None].to(x.dtype),
                a_gradient * grad_output[:, None].to(x.dtype),
            )
        if needs_gradient[1] or needs_gradient[3]:
            y_gradient, b_gradient = dual_gradients(settings, y, x, (b, a), g, f)
            y_gradient, b_gradient = (
                y_gradient * grad_output[:, None, None].to(x.dtype),
                b_gradient * grad_output[:, None].to(x.dtype),
            )
        if torch.is_grad_enabled() and _has_infinite_curvature(settings, x, y, ctx.is_self):
            x_gradient, y_gradient = (
                part if part is None else refuse(COINCIDENT, part, x, y) for part in (x_gradient, y_gradient)
            )
        return None, None, None, None, x_gradient, y_gradient, a_gradient, b_gradient


def _has_infinite_curvature(settings: EntropicSettings, x: Tensor, y: Tensor, is_self: bool) -> bool:
    """Return True if points coincide and 1 < p < 2; pairs of a point with itself cancel."""
    if not 1 < settings.p < 2:
        return False
    count = count_coincident_pairs(x, y, settings.choose_tile_pairs(x))
    return count > (x.shape[0] * x.shape[1] if is_self else 0)


def dual_gradients(
    settings: EntropicSettings, x: Tensor, y: Tensor, weights: tuple[Tensor, Tensor], f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of the dual in points x and weights a, at fixed potentials."""
    a, b = weights
    x_gradient, mass = plan_sums(settings, x, y, f, g, (a[..., None], b[..., None], b))
    return x_gradient, settings.marginals.gain(f) - settings.eps * (mass - sum_points(b).to(b.dtype))
