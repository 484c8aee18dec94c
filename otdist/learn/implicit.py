"""How the potentials move with the data: the implicit function theorem, by conjugate gradients.

At the optimum the derivatives of the dual with respect to f and g vanish. Divided by the weights, so that
points without mass keep a potential, they are ``F_i = gain'(f_i) - sum_j b_j e_ij`` and likewise ``G_j``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from otdist.learn.entropic import EVERY, total
from otdist.learn.sums import Law, density_sums, plan_sums

STEPS = 500  # of conjugate gradients at most; their number grows like 1 / sqrt(1 - rate of the sweeps)


class MovingPotentials(torch.autograd.Function):
    """Potentials f and g as functions of x, y, a and b; once differentiable."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, law: Law
    ) -> tuple[Tensor, Tensor]:
        """Pass f and g through."""
        ctx.save_for_backward(x, y, a, b, f, g)
        ctx.law = law
        return f.clone(), g.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cf: Tensor, cg: Tensor) -> tuple[Tensor | None, ...]:
        """Solve ``H (u, v) = (cf, cg)``, then differentiate ``<u, F> + <v, G>`` in the data."""
        x, y, a, b, f, g = ctx.saved_tensors
        u, v = _solve(ctx.law, (x, y, a, b, f, g), cf, cg)
        eps = ctx.law.eps[..., None]
        left, right = torch.stack((u, a), -1) / eps, torch.stack((b, v), -1)
        of_x, of_a = plan_sums(ctx.law, x, y, f, g, (left, right, v))
        of_y, of_b = plan_sums(ctx.law, y, x, g, f, (right / eps, left * eps, u))
        return of_x, of_y, -of_a, -of_b, None, None, None


def _solve(law: Law, data: tuple[Tensor, ...], cf: Tensor, cg: Tensor) -> tuple[Tensor, Tensor]:
    """Eliminate u; v by conjugate gradients on what is left, scaled to be symmetric.

    ``h_f u + a E v / eps = cf`` and ``h_g v + b E^T u / eps = cg`` with ``(E v)_i = sum_j e_ij v_j``.
    """
    x, y, a, b, f, g = data
    eps = law.eps

    def e(v: Tensor) -> Tensor:
        return density_sums(law, x, y, f, g, v)

    def et(u: Tensor) -> Tensor:
        return density_sums(law, y, x, g, f, u)

    move_f, move_g = law.marginals.moving(f), law.marginals.moving(g)
    inverse_f = move_f / (e(b) / eps + law.marginals.curvature(f))
    diagonal_g = et(a) / eps + law.marginals.curvature(g)
    # Without mass, v is known at once, and moves the rest.
    fixed = torch.where((b > 0) | ~move_g, 0.0, cg / diagonal_g)
    cf = cf - a * e(fixed) / eps
    root = torch.where(move_g & (b > 0), b.sqrt(), 0.0)
    right = torch.where(root > 0, cg / b.sqrt(), 0.0) - root * et(inverse_f * cf) / eps

    def schur(z: Tensor) -> Tensor:
        return diagonal_g * z - root * et(inverse_f * a * e(root * z)) / eps**2

    if law.marginals.rho is None:
        # (f + t, g - t) are potentials too: the constant is in the kernel, and rounding must not feed it.
        right = right - root * total(root * right).to(root.dtype) / total(root * root).to(root.dtype)
    v = root * _conjugate_gradients(schur, right, diagonal_g) + fixed
    return inverse_f * (cf - a * (e(v) - e(fixed)) / eps), v


def _conjugate_gradients(apply: Any, right: Tensor, diagonal: Tensor) -> Tensor:
    rounding = 8 * torch.finfo(right.dtype).eps
    z, rest = torch.zeros_like(right), right
    step = rest / diagonal
    size = first = total(rest * step)
    for k in range(STEPS):
        image = apply(step)
        curved = total(step * image)
        # At a quotient of rounding only the constant is left, along which nothing changes.
        going = (size > rounding**2 * first) & (curved > rounding * size)
        length = torch.where(going, size / curved, 0.0).to(right.dtype)
        z, rest = z + length * step, rest - length * image
        ready = rest / diagonal
        new = total(rest * ready)
        step = ready + torch.where(going, new / size, 0.0).to(right.dtype) * step
        size = torch.where(going, new, 0.0)
        if k % EVERY == EVERY - 1 and not bool((size > 0).any()):
            break
    return z
