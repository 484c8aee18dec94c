"""Triangle waves: an activation that folds the line again and again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from otdist.learn.critics.cones import require_once


class Waves(torch.autograd.Function):
    """:func:`waves` with its gradient written out: one array is kept where autograd keeps several."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, period: Tensor) -> Tensor:
        """Values of the shape of x."""
        place = (x / period.to(x)).add_(0.25)
        place.sub_(place.floor()).sub_(0.5)
        ctx.save_for_backward(place)
        return place.abs().sub_(0.25).mul_(period.to(x))

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        """Gradient in x: the upstream one, or its opposite."""
        require_once()
        (place,) = ctx.saved_tensors
        return torch.where(place < 0, -upstream, upstream), None


def waves(x: Tensor, period: Tensor) -> Tensor:
    """Triangle wave of slope 1 and -1 through 0, where it falls: between a quarter period below and above."""
    place = x / period + 0.25
    return ((place - place.detach().floor() - 0.5).abs() - 0.25) * period
