"""Lipschitz constants of pooling layers, for Euclidean norms."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor, nn

from otdist.errors import InputError

AVERAGE_POOLS: dict[type, int] = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
MAX_POOLS: dict[type, int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
ADAPTIVE_AVERAGE_POOLS: dict[type, int] = {
    nn.AdaptiveAvgPool1d: 1,
    nn.AdaptiveAvgPool2d: 2,
    nn.AdaptiveAvgPool3d: 3,
}
ADAPTIVE_MAX_POOLS: dict[type, int] = {
    nn.AdaptiveMaxPool1d: 1,
    nn.AdaptiveMaxPool2d: 2,
    nn.AdaptiveMaxPool3d: 3,
}


def pooling_constant(layer: nn.Module, kind: type, shape: tuple[int, ...] | None) -> float | None:
    r"""Return the constant of a pooling layer on points of ``shape``, or None for other layers.

    With :math:`n_r` the entries of a window at residue r modulo the stride, in each dimension:

    - an average is a convolution with the symbol largest at frequency 0: :math:`(\sum_r n_r^2)^{1/2} / k`;
    - a maximum changes at most as much as an entry of its window, and an entry is in up to
      :math:`\max_r n_r` windows: the constant is its square root, attained by one large entry.

    The constant is the product over dimensions. Adaptive windows are counted on the given sizes.
    """
    if getattr(layer, "return_indices", False):
        return None
    if kind in AVERAGE_POOLS:
        return _average_constant(layer, AVERAGE_POOLS[kind])
    if kind in MAX_POOLS:
        taps = _residue_counts(layer, MAX_POOLS[kind], layer.dilation)
        return _round_up(math.sqrt(math.prod(max(n) for n in taps)))
    if kind in ADAPTIVE_AVERAGE_POOLS:
        windows = _window_matrices(layer, ADAPTIVE_AVERAGE_POOLS[kind], shape)
        means = [w / w.sum(1, keepdim=True) for w in windows]
        return _round_up(
            math.prod(float(torch.linalg.matrix_norm(w, 2)) for w in means), sum(map(len, means))
        )
    if kind in ADAPTIVE_MAX_POOLS:
        windows = _window_matrices(layer, ADAPTIVE_MAX_POOLS[kind], shape)
        return _round_up(math.sqrt(math.prod(int(w.sum(0).max()) for w in windows)))
    return None


def _round_up(value: float, size: int = 1) -> float:
    """Increase a value by a bound of its rounding errors."""
    return value * (1 + 16 * torch.finfo(torch.float64).eps * (size + 3))


def _average_constant(layer: nn.Module, dims: int) -> float:
    if (
        layer.ceil_mode
        or getattr(layer, "divisor_override", None)
        or (any(_per_dimension(layer.padding, dims)) and not layer.count_include_pad)
    ):
        raise InputError(
            "module",
            f"a {type(layer).__name__} that divides by other numbers at the border has no known constant",
            "use count_include_pad=True, ceil_mode=False and no divisor_override",
        )
    taps = _residue_counts(layer, dims, 1)
    return _round_up(math.prod(math.sqrt(sum(k * k for k in n)) / sum(n) for n in taps))


def _residue_counts(
    layer: nn.Module, dims: int, dilation: int | tuple[int, ...] | list[int]
) -> list[list[int]]:
    """Count the entries of a window by residue modulo the stride, in each dimension."""
    sizes, strides, dilations = (_per_dimension(v, dims) for v in (layer.kernel_size, layer.stride, dilation))
    return [
        list(Counter(d * i % s for i in range(k)).values())
        for k, s, d in zip(sizes, strides, dilations, strict=True)
    ]


def _window_matrices(layer: nn.Module, dims: int, shape: tuple[int, ...] | None) -> list[Tensor]:
    """Return 0-1 matrices (windows, inputs) of the windows, for each dimension."""
    if shape is None:
        raise InputError(
            "input_shape",
            f"must be given for a {type(layer).__name__}",
            "give the shape of a sample",
        )
    matrices = []
    for n, size in zip(shape[-dims:], _per_dimension(layer.output_size, dims), strict=True):
        out = n if size is None else size
        window = torch.zeros(out, n, dtype=torch.float64)
        for i in range(out):
            window[i, i * n // out : -(-(i + 1) * n // out)] = 1
        matrices.append(window)
    return matrices


def _per_dimension(value: int | tuple[int, ...] | list[int], dims: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * dims
