"""The value of entropic transport as a function of points and weights, with its derivatives.

By the envelope theorem the potentials may be held fixed in the first derivative. In the second they move:
there they are differentiated implicitly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from otdist.learn.entropic import total
from otdist.learn.implicit import MovingPotentials
from otdist.learn.sums import Law, plan_sums


class EntropicValue(torch.autograd.Function):
    """The dual at its maximum f, g, shape (B,), as a function of x, y, a and b; twice differentiable."""

    @staticmethod
    def forward(ctx: Any, dual: Tensor, f: Tensor, g: Tensor, law: Law, *data: Tensor) -> Tensor:
        """Pass the dual through."""
        ctx.save_for_backward(*data, f, g)
        ctx.law = law
        return dual.clone()

    @staticmethod
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, ...]:
        """Sums over the plan; they carry a graph where the caller asks for one."""
        x, y, a, b, f, g = ctx.saved_tensors
        law, wanted = ctx.law, ctx.needs_input_grad[4:]
        if torch.is_grad_enabled():
            f, g = MovingPotentials.apply(x, y, a, b, f, g, law)
        of_x = of_y = of_a = of_b = None
        if wanted[0] or wanted[2]:
            of_x, of_a = slopes(law, x, y, (a, b), f, g)
            of_x, of_a = of_x * up[:, None, None].to(x.dtype), of_a * up[:, None].to(x.dtype)
        if wanted[1] or wanted[3]:
            of_y, of_b = slopes(law, y, x, (b, a), g, f)
            of_y, of_b = of_y * up[:, None, None].to(x.dtype), of_b * up[:, None].to(x.dtype)
        return None, None, None, None, of_x, of_y, of_a, of_b


def slopes(
    law: Law, x: Tensor, y: Tensor, weights: tuple[Tensor, Tensor], f: Tensor, g: Tensor
) -> tuple[Tensor, Tensor]:
    """Derivatives of the dual at fixed potentials in the points x and their weights a."""
    a, b = weights
    of_x, mass = plan_sums(law, x, y, f, g, (a[..., None], b[..., None], b))
    return of_x, law.marginals.gain(f) - law.eps * (mass - total(b).to(b.dtype))
