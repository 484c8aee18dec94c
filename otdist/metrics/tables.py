"""Rows of tables: numbers and labels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.errors import InputError
from otdist.metrics.base import Metric, row_blocks, same_columns

Array = NDArray[np.float64]


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
    scales = np.atleast_1d(np.asarray(scale, dtype=np.float64))
    labels = np.zeros(scales.size, dtype=bool) if categorical is None else np.asarray(categorical, dtype=bool)
    shares = np.ones(scales.size) if weights is None else np.asarray(weights, dtype=np.float64)
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
    if not ((shares >= 0).all() and np.isfinite(shares).all() and shares.sum() > 0):
        raise InputError(
            "weights", f"{shares} are not non-negative with a positive sum", "use None for equal weights"
        )
    factors = np.where(labels, 1.0, 1.0 / np.where(labels, 1.0, scales)) * shares / shares.sum()
    return Metric(
        "mixed",
        partial(_mixed_matrix, factors, labels),
        partial(_mixed_pairs, factors, labels),
        triangle=True,
        check=partial(same_columns, scales.size, "scale"),
    )


def gower(x: Array, y: Array) -> Metric:
    """Gower's metric for these two tables: every column over its range in both together."""
    low = np.minimum(x.min(axis=0), y.min(axis=0))
    span = np.maximum(x.max(axis=0), y.max(axis=0)) - low
    return mixed(np.where(span > 0, span, 1.0))  # a constant column differs by 0 whatever its scale


def _mixed_matrix(factors: Array, labels: NDArray[np.bool_], x: Array, y: Array) -> Array:
    out = np.zeros((len(x), len(y)))
    for rows in row_blocks(*out.shape):
        for k, factor in enumerate(factors):
            # Halves: exact, and differences of the largest numbers do not overflow.
            half = x[rows, k, None] / 2 - y[None, :, k] / 2
            out[rows] += factor * (half != 0) if labels[k] else (2 * factor) * np.abs(half)
    return out


def _mixed_pairs(factors: Array, labels: NDArray[np.bool_], xp: Any, x: Any, y: Any) -> Any:
    columns = [
        factor * (x[..., k] != y[..., k]) if labels[k] else (2 * factor) * abs(x[..., k] / 2 - y[..., k] / 2)
        for k, factor in enumerate(factors)
    ]
    return sum(columns)
