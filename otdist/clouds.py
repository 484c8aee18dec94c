"""Two point sets as arrays: shapes, columns by name, missing and infinite values."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import Table, is_torch, read
from otdist.errors import InputError
from otdist.metrics import NAMED

Array = NDArray[np.float64]
Index = NDArray[np.intp]
NanPolicy = Literal["raise", "omit", "propagate"]
Side = tuple[Array, Array, Index | None]  # points, shares, the caller's rows


def two_clouds(x: Any, y: Any, a: Any = None, b: Any = None) -> tuple[Array, Array]:
    """Read two samples as points of one space; of the weights only the presence counts."""
    tensors = [(name, t) for name, t in zip("xyab", (x, y, a, b), strict=True) if is_torch(t)]
    for name, tensor in tensors[1:]:
        if tensor.device != tensors[0][1].device:
            first, device = tensors[0][0], tensors[0][1].device
            raise InputError(
                name, f"is on {tensor.device}, {first} is on {device}", "move both to one device"
            )
    left, right = _aligned(read(x, "x"), read(y, "y"))
    points_x, points_y = as_points(left, "x"), as_points(right, "y")
    if points_x.shape[1] != points_y.shape[1]:
        raise InputError(
            "y",
            f"has {points_y.shape[1]} columns, x has {points_x.shape[1]}",
            "rows are points and columns are coordinates: check for a transposed array",
        )
    if len(points_x) == len(points_y) == 1 and points_x.shape[1] > 1 and a is None and b is None:
        k = points_x.shape[1]
        raise InputError(
            "x",
            f"and y have shape (1, {k}): one point each, or {k} samples of one variable?",
            "pass x.ravel() and y.ravel() for samples, or a=[1], b=[1] for points",
        )
    # Copies: plan and potentials are made when asked for, and the caller may have changed his by then.
    return points_x.copy(), points_y.copy()


def _aligned(x: Table, y: Table) -> tuple[Table, Table]:
    """Bring the columns of y into the order of x, by name, where both have names."""
    if x.columns is None or y.columns is None or x.columns == y.columns:
        return x, y
    for columns, name in ((x.columns, "x"), (y.columns, "y")):
        if len(set(columns)) < len(columns):
            twice = next(c for c in columns if columns.count(c) > 1)
            raise InputError(
                name, f"column {twice!r} stands twice, so columns cannot be matched", "rename it"
            )
    missing = [c for c in x.columns if c not in y.columns] + [c for c in y.columns if c not in x.columns]
    if missing:
        raise InputError("y", f"columns {missing} are in one table only", "select the columns that both have")
    order = [y.columns.index(c) for c in x.columns]
    return x, Table(y.values[:, order], x.columns)


def as_points(table: Table, name: str) -> Array:
    """Shape (n, d), with at least one row and one column."""
    values = table.values
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise InputError(name, f"has {values.ndim} dimensions", "pass points as rows, shape (n, d)")
    if values.shape[0] == 0 or values.shape[1] == 0:
        raise InputError(name, f"is empty (shape {values.shape})", "give at least one row and one column")
    return values


def present(
    points: Array, w: Array | None, name: str, nan_policy: NanPolicy
) -> tuple[Array, Array | None, Index | None, int]:
    """Leave out rows without mass, and missing rows as nan_policy says."""
    rows: Index | None = None
    if w is not None and not w.all():
        rows = np.flatnonzero(w)
        points, w = points[rows], w[rows]
    # A sum is finite or tells: one pass where isnan().any() takes two and an array.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(points.sum())
    if math.isfinite(total) or not np.isnan(points).any() or nan_policy == "propagate":
        return points, w, rows, 0
    missing = np.isnan(points).any(axis=1)
    if nan_policy == "raise":
        i = int(np.argmax(missing))
        where = i if rows is None else int(rows[i])
        raise InputError(
            name,
            f"{missing.sum()} of {len(points)} rows have missing values (NaN), the first is row {where}",
            "drop them with nan_policy='omit'",
        )
    keep = np.flatnonzero(~missing)
    if keep.size == 0:
        raise InputError(name, "every row has missing values (NaN)", "give at least one complete row")
    rows = keep if rows is None else rows[keep]
    return points[keep], None if w is None else w[keep], rows, int(missing.sum())


def not_finite(x: Side, y: Side, metric: Any) -> float:
    """NaN where a value is missing (nan_policy="propagate"); infinity where mass must go there."""
    if np.isnan(x[0]).any() or np.isnan(y[0]).any():
        return math.nan
    grows = getattr(NAMED.get(metric, metric) if isinstance(metric, str) else metric, "degree", None)
    if grows is None:
        points, _, rows, name = next(
            (*side, name) for side, name in ((x, "x"), (y, "y")) if np.isinf(side[0]).any()
        )
        raise InputError(
            name,
            f"row {_first_infinite(points, rows)} is infinite, where this metric is not defined",
            "drop it, or use metric='euclidean'",
        )
    for sign in (-math.inf, math.inf):
        for k in range(x[0].shape[1]):
            # Projection onto a column bounds the distance from below.
            mass = [float(weights @ (points[:, k] == sign)) for points, weights, _ in (x, y)]
            if abs(mass[0] - mass[1]) > 1e-12:
                return math.inf
    raise InputError(
        "x",
        f"and y carry the same mass at infinity (first in row {_first_infinite(x[0], x[2])} of x), "
        "where distances are not defined",
        "drop these rows on both sides",
    )


def _first_infinite(points: Array, rows: Index | None) -> int:
    row = int(np.argmax(np.isinf(points).any(axis=1)))
    return row if rows is None else int(rows[row])
