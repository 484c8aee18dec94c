"""Derivatives of the potentials in the data, by the implicit function theorem and conjugate gradients.

At the optimum the derivatives of the dual with respect to f and g vanish. Divided by the weights, so that
points without mass have a potential as well, they are ``F_i = gain'(f_i) - sum_j b_j e_ij`` and likewise
``G_j``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otdist.autograd import Reason, refuse
from otdist.learn.sinkhorn.entropic import CHECK_EVERY_SWEEPS, sum_points
from otdist.learn.sinkhorn.sums import EntropicSettings, density_sums, plan_sums

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

MAX_IMPLICIT_STEPS = 500  # the number grows like 1 / sqrt(1 - contraction rate of the sweeps)

NO_THIRD_DERIVATIVES = Reason(
    "third derivatives of the Sinkhorn divergence are not computed, nor are products by double backward",
    "differentiate twice at most, and use torch.autograd.functional.vhp in place of hvp",
)


class ImplicitPotentials(torch.autograd.Function):
    """Potentials f and g as functions of x, y, a and b; once differentiable."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        y: Tensor,
        a: Tensor,
        b: Tensor,
        f: Tensor,
        g: Tensor,
        settings: EntropicSettings,
    ) -> tuple[Tensor, Tensor]:
        """Return f and g."""
        ctx.save_for_backward(x, y, a, b, f, g)
        ctx.settings = settings
        return f.clone(), g.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, grad_f: Tensor, grad_g: Tensor) -> tuple[Tensor | None, ...]:
        """Solve ``H (u, v) = (grad_f, grad_g)``, then differentiate ``<u, F> + <v, G>`` in the data."""
        x, y, a, b, f, g = ctx.saved_tensors
        with torch.no_grad():
            u, v = _solve(ctx.settings, (x, y, a, b, f, g), grad_f, grad_g)
            eps = ctx.settings.eps[..., None]
            left, right_side = torch.stack((u, a), -1) / eps, torch.stack((b, v), -1)
            x_gradient, a_gradient = plan_sums(ctx.settings, x, y, f, g, (left, right_side, v))
            y_gradient, b_gradient = plan_sums(ctx.settings, y, x, g, f, (right_side / eps, left * eps, u))
        gradients = x_gradient, y_gradient, -a_gradient, -b_gradient
        if torch.is_grad_enabled():
            gradients = tuple(
                refuse(NO_THIRD_DERIVATIVES, part, x, y, a, b, grad_f, grad_g) for part in gradients
            )
        return *gradients, None, None, None


def _solve(
    settings: EntropicSettings, data: tuple[Tensor, ...], grad_f: Tensor, grad_g: Tensor
) -> tuple[Tensor, Tensor]:
    """Eliminate u, and solve for v by conjugate gradients on the symmetrised Schur complement.

    ``h_f u + a E v / eps = grad_f`` and ``h_g v + b E^T u / eps = grad_g`` with ``(E v)_i = sum_j e_ij v_j``.
    """
    x, y, a, b, f, g = data
    eps = settings.eps

    def apply_density(v: Tensor) -> Tensor:
        return density_sums(settings, x, y, f, g, v)

    def apply_transpose(u: Tensor) -> Tensor:
        return density_sums(settings, y, x, g, f, u)

    rows, cols = apply_density(b), apply_transpose(a)
    is_free_f, is_free_g = (
        settings.marginals.is_free(f - eps * rows.log()),
        settings.marginals.is_free(g - eps * cols.log()),
    )
    inverse_f = is_free_f / (rows / eps + settings.marginals.curvature(f))
    diagonal_g = cols / eps + settings.marginals.curvature(g)
    # For points without mass v is explicit, and changes the right side.
    fixed = torch.where((b > 0) | ~is_free_g, 0.0, grad_g / diagonal_g)
    grad_f = grad_f - a * apply_density(fixed) / eps
    root_b = torch.where(is_free_g & (b > 0), b.sqrt(), 0.0)
    right_side = (
        torch.where(root_b > 0, grad_g / b.sqrt(), 0.0) - root_b * apply_transpose(inverse_f * grad_f) / eps
    )

    def schur(z: Tensor) -> Tensor:
        return diagonal_g * z - root_b * apply_transpose(inverse_f * a * apply_density(root_b * z)) / eps**2

    if settings.marginals.rho is None:
        # (f + t, g - t) are potentials, too: the constant is in the kernel, and is projected out.
        right_side = right_side - root_b * sum_points(root_b * right_side).to(root_b.dtype) / sum_points(
            root_b * root_b
        ).to(root_b.dtype)
    v = root_b * _conjugate_gradients(schur, right_side, diagonal_g) + fixed
    return inverse_f * (grad_f - a * (apply_density(v) - apply_density(fixed)) / eps), v


def _conjugate_gradients(apply: Callable[[Tensor], Tensor], right_side: Tensor, diagonal: Tensor) -> Tensor:
    rounding = 8 * torch.finfo(right_side.dtype).eps
    z, residual = torch.zeros_like(right_side), right_side
    direction = residual / diagonal
    norm = first_norm = sum_points(residual * direction)
    for k in range(MAX_IMPLICIT_STEPS):
        image = apply(direction)
        curvature = sum_points(direction * image)
        # Below rounding only the constant is left, which has no effect.
        is_active = (norm > rounding**2 * first_norm) & (curvature > rounding * norm)
        step_length = torch.where(is_active, norm / curvature, 0.0).to(right_side.dtype)
        z, residual = z + step_length * direction, residual - step_length * image
        preconditioned = residual / diagonal
        new_norm = sum_points(residual * preconditioned)
        direction = (
            preconditioned + torch.where(is_active, new_norm / norm, 0.0).to(right_side.dtype) * direction
        )
        norm = torch.where(is_active, new_norm, 0.0)
        if k % CHECK_EVERY_SWEEPS == CHECK_EVERY_SWEEPS - 1 and not bool((norm > 0).any()):
            break
    return z
