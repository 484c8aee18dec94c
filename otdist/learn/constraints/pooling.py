"""Lipschitz constants of pooling, between Euclidean norms."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError

AVERAGES: dict[type, int] = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
MAXIMA: dict[type, int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
ADAPTIVE_AVERAGES: dict[type, int] = {
    nn.AdaptiveAvgPool1d: 1,
    nn.AdaptiveAvgPool2d: 2,
    nn.AdaptiveAvgPool3d: 3,
}
ADAPTIVE_MAXIMA: dict[type, int] = {
    nn.AdaptiveMaxPool1d: 1,
    nn.AdaptiveMaxPool2d: 2,
    nn.AdaptiveMaxPool3d: 3,
}


def pooling_constant(layer: Any, kind: type, shape: tuple[int, ...] | None) -> float | None:
    r"""Constant of a pooling layer on points of ``shape``; None for another layer.

    With :math:`n_r` the entries of a window at residue r modulo the stride, in each dimension:

    - an average is a convolution with the symbol largest at frequency 0: :math:`(\sum_r n_r^2)^{1/2} / k`;
    - a maximum moves at most as the largest move in its window, and an entry is in up to
      :math:`\max_r n_r` windows: the square root of that, which one high entry attains.

    The constants of the dimensions multiply. Adaptive windows are counted on the given sizes.
    """
    if getattr(layer, "return_indices", False):
        return None
    if kind in AVERAGES:
        return _average(layer, AVERAGES[kind])
    if kind in MAXIMA:
        taps = _taps(layer, MAXIMA[kind], layer.dilation)
        return _above(math.sqrt(math.prod(max(n) for n in taps)))
    if kind in ADAPTIVE_AVERAGES:
        windows = _windows(layer, ADAPTIVE_AVERAGES[kind], shape)
        means = [w / w.sum(1, keepdim=True) for w in windows]
        return _above(math.prod(float(torch.linalg.matrix_norm(w, 2)) for w in means), sum(map(len, means)))
    if kind in ADAPTIVE_MAXIMA:
        windows = _windows(layer, ADAPTIVE_MAXIMA[kind], shape)
        return _above(math.sqrt(math.prod(int(w.sum(0).max()) for w in windows)))
    return None


def _above(value: float, size: int = 1) -> float:
    """Value with its rounding errors."""
    return value * (1 + 16 * torch.finfo(torch.float64).eps * (size + 3))


def _average(layer: Any, dims: int) -> float:
    if (
        layer.ceil_mode
        or getattr(layer, "divisor_override", None)
        or (any(_each(layer.padding, dims)) and not layer.count_include_pad)
    ):
        raise InputError(
            "module",
            f"a {type(layer).__name__} that divides by other numbers at the border has no known constant",
            "use count_include_pad=True, ceil_mode=False and no divisor_override",
        )
    taps = _taps(layer, dims, 1)
    return _above(math.prod(math.sqrt(sum(k * k for k in n)) / sum(n) for n in taps))


def _taps(layer: Any, dims: int, dilation: Any) -> list[list[int]]:
    """How many entries of a window have each residue modulo the stride, in each dimension."""
    sizes, strides, dilations = (_each(v, dims) for v in (layer.kernel_size, layer.stride, dilation))
    return [
        list(Counter(d * i % s for i in range(k)).values())
        for k, s, d in zip(sizes, strides, dilations, strict=True)
    ]


def _windows(layer: Any, dims: int, shape: tuple[int, ...] | None) -> list[Tensor]:
    """Which inputs belong to which windows, as 0 and 1 of shape (windows, inputs), in each dimension."""
    if shape is None:
        raise InputError(
            "input_shape",
            f"is None, and a {type(layer).__name__} depends on it",
            "give the shape of a sample",
        )
    found = []
    for n, wanted in zip(shape[-dims:], _each(layer.output_size, dims), strict=True):
        out = n if wanted is None else wanted
        window = torch.zeros(out, n, dtype=torch.float64)
        for i in range(out):
            window[i, i * n // out : -(-(i + 1) * n // out)] = 1
        found.append(window)
    return found


def _each(value: Any, dims: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * dims
