"""Triangle wave, a periodic activation that folds the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otdist.learn.critics.families.cones import refuse_second_derivative

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx


class TriangleWave(torch.autograd.Function):
    """:func:`triangle_wave` with an explicit gradient, which stores one array; autograd stores several."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, period: Tensor) -> Tensor:
        """Return values of the shape of x."""
        place = (x / period.to(x)).add_(0.25)
        place.sub_(place.floor()).sub_(0.5)
        ctx.save_for_backward(place)
        return place.abs().sub_(0.25).mul_(period.to(x))

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor, None]:
        """Return the gradient in x, the grad_output gradient with a sign."""
        refuse_second_derivative()
        (place,) = ctx.saved_tensors
        return torch.where(place < 0, -grad_output, grad_output), None


def triangle_wave(x: Tensor, period: Tensor) -> Tensor:
    """Return a triangle wave with slopes 1 and -1, value 0 and slope -1 at 0, amplitude a quarter period."""
    place = x / period + 0.25
    return ((place - place.detach().floor() - 0.5).abs() - 0.25) * period
