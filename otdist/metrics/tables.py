"""Rows of tables: numbers and labels side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import read
from otdist.errors import InputError
from otdist.metrics.base import Metric, linear, row_blocks, same_columns

Array = NDArray[np.float64]

SMALLEST_RANGE = 2.0**-1022  # of a column that is divided by its range


def mixed(
    scale: ArrayLike, *, categorical: Sequence[bool] | None = None, weights: ArrayLike | None = None
) -> Metric:
    """Weighted mean over columns of scaled differences and label mismatches (Gower).

    ``d(x, y) = sum_k w_k delta_k / sum_k w_k`` with ``delta_k = |x_k - y_k| / scale_k``, or 1
    where labels differ.

    Parameters
    ----------
    scale : array_like, shape (d,)
        Positive scale of each column, in its units; not used for categorical columns.
    categorical : sequence of bool, shape (d,), optional
        Columns that hold codes of labels. None: there are none.
    weights : array_like, shape (d,), optional
        Non-negative weight of each column. None: all equal.

    Returns
    -------
    Metric
        For ``metric=``. ``metric="gower"`` makes one with each column's range as its scale.

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
                name, f"has shape {entries.shape}, scale has {scales.shape}", "give one entry a column"
            )
    bad = ~labels & ~((scales > 0) & np.isfinite(scales))
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(
            "scale", f"entry {k} is {scales[k]}", "use a positive scale, or leave the column out"
        )
    if not ((shares >= 0).all() and np.isfinite(shares).all() and shares.any()):
        raise InputError(
            "weights", f"{shares} are not non-negative with a positive sum", "use None for equal weights"
        )
    return _mixed(scales / 2, labels, shares)


def gower(x: Array, y: Array) -> Metric:
    """Gower's metric for these two tables: every column over its range in both together."""
    low, high = np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))
    half = high / 2 - low / 2
    tiny = (low < high) & (half < SMALLEST_RANGE / 2)
    if tiny.any():
        k = int(np.argmax(tiny))
        raise InputError(
            "x",
            f"and y have a range of {2 * half[k]:.3g} in column {k}",
            "use a smaller unit for this column",
        )
    # A constant column differs by 0 whatever its scale.
    return _mixed(np.where(half > 0, half, 0.5), np.zeros(len(half), dtype=bool), np.ones(len(half)))


def _mixed(half_scales: Array, labels: NDArray[np.bool_], weights: Array) -> Metric:
    """The metric with halves of the scales, which are finite for a range beyond the largest float64."""
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
        partial(_mixed_matrix, factors, labels),
        partial(_mixed_pairs, factors, labels),
        triangle=True,
        shift_invariant=True,
        check=partial(same_columns, len(factors), "scale"),
        error=partial(_mixed_error, factors),
        extent=partial(_mixed_extent, factors, labels),
        roundings=partial(linear, 1.0, 16.0),
    )


def _mixed_matrix(factors: Array, labels: NDArray[np.bool_], x: Array, y: Array) -> Array:
    out = np.zeros((len(x), len(y)))
    for rows in row_blocks(*out.shape):
        for k, factor in enumerate(factors):
            if labels[k]:
                out[rows] += factor * (x[rows, k, None] != y[None, :, k])
            else:  # halves: differences of the largest numbers do not overflow
                half = x[rows, k, None] / 2 - y[None, :, k] / 2
                out[rows] += factor * np.abs(half, out=half)
    return out


def _mixed_pairs(factors: Array, labels: NDArray[np.bool_], xp: Any, x: Any, y: Any) -> Any:
    columns = [
        _mismatch(factor, xp, x[..., k], y[..., k])
        if labels[k]
        else factor * abs(x[..., k] / 2 - y[..., k] / 2)
        for k, factor in enumerate(factors)
    ]
    return sum(columns)


def _half_ranges(x: Array, y: Array) -> Array:
    low, high = np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))
    return np.asarray(high / 2 - low / 2)


def _mixed_error(factors: Array, x: Array, y: Array) -> float:
    """Bound of what underflow loses: in factors, halves and products, one after the other."""
    smallest = 2.0**-1074
    lost = float((_half_ranges(x, y) * smallest).sum()) if factors.min() < 2.0**-1022 else 0.0
    return lost + float((factors * smallest).sum()) + len(factors) * smallest


def _mixed_extent(factors: Array, labels: NDArray[np.bool_], x: Array, y: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.where(labels, factors, factors * _half_ranges(x, y)).sum()) * (1 + 2.0**-40)


def _mismatch(factor: float, xp: Any, x: Any, y: Any) -> Any:
    # torch would multiply a number and a truth in float32.
    return xp.where(x != y, xp.full_like(x, factor), xp.zeros_like(x))
