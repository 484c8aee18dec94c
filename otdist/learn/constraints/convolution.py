"""Convolutions as linear maps, with padding, stride, dilation and groups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Convolution:
    """Linear map x -> W * x of a layer, without its bias; the weight is an argument.

    Attributes
    ----------
    stride, dilation : tuple of int
        One number per spatial dimension.
    pads : tuple of (int, int)
        Entries added below and above, for each dimension.
    mode : {"zeros", "reflect", "replicate", "circular"}
        Padding mode.
    groups : int
        Number of blocks of channels.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    mode: str
    groups: int

    @classmethod
    def of(cls, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> Convolution:
        """Return the map of a Conv1d, Conv2d or Conv3d layer."""
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        if layer.padding == "valid":
            pads = [(0, 0)] * len(spans)
        elif layer.padding == "same":
            pads = [(span // 2, span - span // 2) for span in spans]
        else:
            pads = [(p, p) for p in layer.padding]
        return cls(tuple(layer.stride), tuple(layer.dilation), tuple(pads), layer.padding_mode, layer.groups)

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the image of points (n, channels, *sizes)."""
        if any(chain(*self.pads)):
            # F.pad counts the dimensions from the last one.
            amounts = [*chain(*reversed(self.pads))]
            x = F.pad(x, amounts, mode="constant" if self.mode == "zeros" else self.mode)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.stride) - 1]
        return convolve(x, weight, None, self.stride, 0, self.dilation, self.groups)

    def matrix(self, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the matrix (outputs, inputs) of the map on points of ``shape``, in float64 on the CPU."""
        weight = weight.detach().cpu().double()
        units = torch.eye(torch.Size(shape).numel(), dtype=torch.float64)
        return self(units.reshape(-1, *shape), weight).flatten(1).T

    def outputs(self, weight: Tensor, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes of the image of points with these ``sizes``, without the channels."""
        return tuple(
            (size + low + high - d * (k - 1) - 1) // s + 1
            for size, (low, high), d, k, s in zip(
                sizes, self.pads, self.dilation, weight.shape[2:], self.stride, strict=True
            )
        )
