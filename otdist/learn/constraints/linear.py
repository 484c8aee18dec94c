"""Operator norms of linear layers and convolutions, rounded up."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.constraints.convolution import Convolution
from otdist.learn.constraints.symbol import EPS, symbol_bound

ENTRIES = 1 << 22  # of the largest matrix that is written out for a convolution
SIDE = 1 << 10  # its shorter side at most


def linear_norm(weight: Tensor) -> float:
    """Upper bound of the largest singular value of a matrix, above it by rounding only."""
    matrix = weight.detach().to("cpu", torch.float64)
    return float(torch.linalg.matrix_norm(matrix, 2)) * (1 + 8 * EPS * sum(matrix.shape))


def convolution_norm(layer: Any, shape: tuple[int, ...] | None) -> float:
    """Upper bound of the operator norm of a convolution on points of ``shape``, or of all if it is None.

    For small points its matrix is written out, and the bound is above the norm by rounding only. Else it is
    that of the symbol, which holds for all sizes, times the norm of the padding if that is not with zeros.
    """
    convolution, weight = Convolution.of(layer), layer.weight.detach()
    if shape is not None:
        outputs = weight.shape[0] * math.prod(convolution.outputs(weight, shape[1:]))
        inputs = math.prod(shape)
        if inputs * outputs <= ENTRIES and min(inputs, outputs) <= SIDE:
            return linear_norm(convolution.matrix(weight, shape))
    stride, copies = convolution.stride, 1.0
    if convolution.mode != "zeros":
        if shape is None:
            raise InputError(
                "input_shape",
                f"is None, and the norm of {convolution.mode!r} padding depends on it",
                "give the shape of a sample",
            )
        if convolution.mode == "circular":
            stride = (1,) * len(stride)  # outputs may leave the lattice of the strides where they wrap around
        copies = _copies(convolution, weight, shape[1:])
    symbol = symbol_bound(weight, stride, convolution.dilation, convolution.groups)
    return symbol * math.sqrt(copies) * (1 + 4 * EPS)


def _copies(convolution: Convolution, weight: Tensor, sizes: tuple[int, ...]) -> float:
    """How often padding repeats an entry, or, if circular, an output: the square of the norm of doing so."""
    if convolution.mode == "circular":
        outputs = convolution.outputs(weight, sizes)
        return math.prod(
            -(-(s * (out - 1) + 1) // size)
            for s, out, size in zip(convolution.stride, outputs, sizes, strict=True)
        )
    counts = 1.0
    for size, pads in zip(sizes, convolution.pads, strict=True):
        places = F.pad(torch.arange(size, dtype=torch.float64)[None], pads, mode=convolution.mode)
        counts *= int(torch.bincount(places.long().flatten()).max())
    return counts
