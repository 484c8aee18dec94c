"""Operator norms of linear layers and convolutions, rounded up."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

from otdist.bounds import FLOAT64_EPS
from otdist.errors import InputError
from otdist.learn.constraints.convolution import Convolution
from otdist.learn.constraints.symbol import symbol_bound

MAX_MATRIX_ENTRIES = 1 << 22  # of a convolution whose matrix is formed
MAX_SHORT_SIDE = 1 << 10  # shorter side of that matrix


def linear_norm(weight: Tensor) -> float:
    """Return an upper bound of the largest singular value of a matrix, sharp up to rounding."""
    matrix = weight.detach().cpu().double()
    return float(torch.linalg.matrix_norm(matrix, 2)) * (1 + 8 * FLOAT64_EPS * sum(matrix.shape))


def convolution_norm(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, shape: tuple[int, ...] | None) -> float:
    """Return an upper bound of the operator norm of a convolution on points of ``shape``, or of any shape.

    For small points its matrix is formed, and the bound is sharp up to rounding. Otherwise it is the bound of
    the symbol, which holds for all sizes, times the norm of the padding if that is not with zeros.
    """
    convolution, weight = Convolution.of(layer), layer.weight.detach()
    if shape is not None:
        outputs = weight.shape[0] * math.prod(convolution.outputs(weight, shape[1:]))
        inputs = math.prod(shape)
        if inputs * outputs <= MAX_MATRIX_ENTRIES and min(inputs, outputs) <= MAX_SHORT_SIDE:
            return linear_norm(convolution.matrix(weight, shape))
    stride, copies = convolution.stride, 1.0
    if convolution.mode != "zeros":
        if shape is None:
            raise InputError(
                "input_shape",
                f"must be given, since the norm of {convolution.mode!r} padding depends on it",
                "give the shape of a sample",
            )
        if convolution.mode == "circular":
            stride = (1,) * len(stride)  # outputs that wrap around may leave the lattice of the strides
        copies = _max_copies(convolution, weight, shape[1:])
    symbol = symbol_bound(weight, stride, convolution.dilation, convolution.groups)
    return symbol * math.sqrt(copies) * (1 + 4 * FLOAT64_EPS)


def _max_copies(convolution: Convolution, weight: Tensor, sizes: tuple[int, ...]) -> float:
    """Return the squared norm of padding: how often it repeats an entry, or an output if circular."""
    if convolution.mode == "circular":
        outputs = convolution.outputs(weight, sizes)
        return math.prod(
            -(-(s * (out - 1) + 1) // size)
            for s, out, size in zip(convolution.stride, outputs, sizes, strict=True)
        )
    counts = 1.0
    for size, pads in zip(sizes, convolution.pads, strict=True):
        indices = F.pad(torch.arange(size, dtype=torch.float64)[None], pads, mode=convolution.mode)
        counts *= int(torch.bincount(indices.long().flatten()).max())
    return counts
