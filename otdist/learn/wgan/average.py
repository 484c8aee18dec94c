"""Moving average of a generator's weights."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Copy of a network with the moving average of its weights and buffers.

    The memory is shorter in the first steps. The number of updates stays on the CPU, so that an update does
    not wait for the device, as that of ``AveragedModel`` does.

    Parameters
    ----------
    model : Module
        Network.
    decay : float
        Decay of the average.
    """

    decay: float

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average by the current weights; the first update copies them."""
        count = int(self.n_averaged)
        weight = 1 - min(self.decay, (1 + count) / (10 + count)) if count else 1.0
        floats: tuple[list[Tensor], list[Tensor]] = [], []
        current_tensors = chain(model.parameters(), model.buffers())
        for average, current in zip(
            chain(self.module.parameters(), self.module.buffers()), current_tensors, strict=True
        ):
            if count and average.is_floating_point():
                floats[0].append(average)
                floats[1].append(current)
            else:  # integer buffers have no average
                average.copy_(current)
        if floats[0]:
            torch._foreach_lerp_(floats[0], floats[1], weight)
        self.n_averaged += 1
