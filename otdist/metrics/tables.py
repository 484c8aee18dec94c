"""Metrics for rows of tables, with numeric and categorical columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import read
from otdist.metrics.base import Metric, bounding_box, evaluate_linear, make_row_blocks, require_columns
from otdist.typing import Array, ArrayInput, ArrayOrTensor, Mask

if TYPE_CHECKING:
    from types import ModuleType

MIN_COLUMN_RANGE = 2.0**-1022  # smallest range by which a column can be divided


def mixed(
    scale: ArrayInput, *, categorical: Sequence[bool] | None = None, weights: ArrayInput | None = None
) -> Metric:
    """Make the weighted mean over columns of scaled differences and label mismatches (Gower).

    ``d(x, y) = sum_k w_k delta_k / sum_k w_k`` with ``delta_k = |x_k - y_k| / scale_k``, or 1
    where labels differ.

    Parameters
    ----------
    scale : array_like, shape (d,)
        Positive scale of each column, in its units; not used for categorical columns.
    categorical : sequence of bool, shape (d,), optional
        Columns that hold codes of labels. None: no column.
    weights : array_like, shape (d,), optional
        Non-negative weight of each column. None: all equal.

    Returns
    -------
    Metric
        For ``metric=``. ``metric="gower"`` uses the range of each column as its scale.

    Raises
    ------
    InputError
        If lengths differ, or an entry is negative, not finite, or a scale too small to divide by.

    Notes
    -----
    Gower (1971), *A general coefficient of similarity and some of its properties*, eq. 5.

    Examples
    --------
    >>> import otdist
    >>> weight_and_species = otdist.metrics.mixed([100.0, 1.0], categorical=[False, True])
    >>> float(otdist.w1([[3700, 0], [3800, 0]], [[3700, 1], [3800, 0]], metric=weight_and_species))
    0.25
    """
    scales = np.atleast_1d(read(scale, "scale").values)
    labels = np.zeros(scales.size, dtype=bool) if categorical is None else np.asarray(categorical, dtype=bool)
    shares = np.ones(scales.size) if weights is None else read(weights, "weights").values
    for name, entries in (("categorical", labels), ("weights", shares)):
        if entries.shape != scales.shape:
            raise InputError(
                name,
                f"must have shape {scales.shape} like scale, got {entries.shape}",
                "give one entry a column",
            )
    bad = ~labels & ~((scales > 0) & np.isfinite(scales))
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(
            "scale",
            f"must be finite and > 0, got {scales[k]} in entry {k}",
            "use a positive scale, or leave the column out",
        )
    if not ((shares >= 0).all() and np.isfinite(shares).all() and shares.any()):
        raise InputError(
            "weights",
            f"must be finite and >= 0 with a positive sum, got {shares}",
            "use None for equal weights",
        )
    return _make_mixed(scales / 2, labels, shares)


def make_gower(x: Array, y: Array) -> Metric:
    """Make Gower's metric for two tables: each column is divided by its range over both."""
    low, high = bounding_box(x, y)
    half = high / 2 - low / 2
    too_small = (low < high) & (half < MIN_COLUMN_RANGE / 2)
    if too_small.any():
        k = int(np.argmax(too_small))
        raise InputError(
            "x",
            f"and y have a range of {2 * half[k]:.3g} in column {k}",
            "use a smaller unit for this column",
        )
    # Differences of a constant column are 0 for any scale.
    return _make_mixed(np.where(half > 0, half, 0.5), np.zeros(len(half), dtype=bool), np.ones(len(half)))


def _make_mixed(half_scales: Array, labels: Mask, weights: Array) -> Metric:
    """Make the metric from half scales, which are finite for ranges beyond the largest float64."""
    shares = weights / weights.max()
    shares = shares / math.fsum(shares)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        factors = np.where(labels, shares, shares / np.where(labels, 1.0, half_scales))
    if np.isinf(factors).any():
        k = int(np.argmax(factors))
        raise InputError(
            "scale", f"entry {k} is {2 * half_scales[k]}, too small to divide by", "use a larger scale"
        )
    return Metric(
        "mixed",
        partial(_compute_mixed_matrix, factors, labels),
        partial(_compute_mixed_pairs, factors, labels),
        triangle=True,
        shift_invariant=True,
        check=partial(require_columns, len(factors), "scale"),
        error=partial(_bound_underflow, factors),
        extent=partial(_bound_extent, factors, labels),
        roundings=partial(evaluate_linear, 1.0, 16.0),
    )


def _compute_mixed_matrix(factors: Array, labels: Mask, x: Array, y: Array) -> Array:
    out = np.zeros((len(x), len(y)))
    for rows in make_row_blocks(*out.shape):
        for k, factor in enumerate(factors):
            if labels[k]:
                out[rows] += factor * (x[rows, k, None] != y[None, :, k])
            else:  # half differences do not overflow
                half = x[rows, k, None] / 2 - y[None, :, k] / 2
                out[rows] += factor * np.abs(half, out=half)
    return out


def _compute_mixed_pairs(
    factors: Array, labels: Mask, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    columns = [
        _compute_mismatch(factor, xp, x[..., k], y[..., k])
        if labels[k]
        else factor * abs(x[..., k] / 2 - y[..., k] / 2)
        for k, factor in enumerate(factors)
    ]
    return sum(columns)


def _compute_half_ranges(x: Array, y: Array) -> Array:
    low, high = bounding_box(x, y)
    return np.asarray(high / 2 - low / 2)


def _bound_underflow(factors: Array, x: Array, y: Array) -> float:
    """Bound the underflow error of factors, half differences and products."""
    smallest = 2.0**-1074
    error = float((_compute_half_ranges(x, y) * smallest).sum()) if factors.min() < 2.0**-1022 else 0.0
    return error + float((factors * smallest).sum()) + len(factors) * smallest


def _bound_extent(factors: Array, labels: Mask, x: Array, y: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.where(labels, factors, factors * _compute_half_ranges(x, y)).sum()) * (1 + 2.0**-40)


def _compute_mismatch(factor: float, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    # torch would multiply a number and a boolean in float32.
    return xp.where(x != y, xp.full_like(x, factor), xp.zeros_like(x))
