"""Two samples of points as arrays: shapes, columns by name, missing and infinite values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from otdist.errors import InputError, Option, Remedy
from otdist.inputs.arrays import is_torch, read_table, warn_rounded
from otdist.inputs.labels import require_same_axes
from otdist.inputs.table import Table
from otdist.inputs.times import find_common_clock
from otdist.inputs.unit_conversion import ConvertedSamples, UnitConversion, convert_columns
from otdist.inputs.units import convert_unit, get_unit, to_common_unit
from otdist.typing import Array, Index, Labels, NanPolicy

if TYPE_CHECKING:
    from otdist.metrics.base import Metric

Side = tuple[Array, Array, Index | None]  # points, shares, the caller's rows


@dataclass(frozen=True, eq=False)
class Clouds:
    """Two samples as points of one space, in a common unit.

    ``labels``: labels of the rows of both, or None. ``columns``: names of the columns, or None.
    """

    x: Array
    y: Array
    conversion: UnitConversion
    labels: tuple[Labels, Labels]
    columns: tuple[str, ...] | None = None


def read_clouds(
    x: object,
    y: object,
    a: object = None,
    b: object = None,
    *,
    shift: bool = False,
    ticks: bool = False,
    points_unit: str = "",
) -> Clouds:
    """Read two samples as points of one space.

    ``shift``: the metric ignores a common shift. ``ticks``: it grows with the scale of the points.
    ``points_unit``: the only unit of points that it accepts, if any.
    """
    _require_one_device(x, y, a, b)
    x, y = (list(z) if isinstance(z, Iterator) else z for z in (x, y))
    require_same_axes(x, y)
    if points_unit:
        x, y = (convert_unit(z, name, points_unit) for z, name in ((x, "x"), (y, "y")))
    unit = get_unit(x)
    x, y, name = to_common_unit(x, y, ("x", "y"))
    left, right = _align_columns(read_table(x, "x"), read_table(y, "y"))
    clock = find_common_clock((left.clock, right.clock), ("x", "y"))
    if clock is not None and points_unit:
        problem = f"holds {clock.description}, but this metric takes {points_unit}"
        raise InputError("x", problem, "pass numbers")
    if clock is not None:
        left, right = left.convert_ticks(clock.tick), right.convert_ticks(clock.tick)
    points = as_points(left, "x"), as_points(right, "y")
    if points[0].shape[1] != points[1].shape[1]:
        raise InputError(
            "y",
            f"must have {points[0].shape[1]} columns like x, got {points[1].shape[1]}",
            "rows are points and columns are coordinates: check for a transposed array",
        )
    conversion = UnitConversion(name, unit if name else None, clock)
    # Gradients are computed at the caller's tensors, which are not shifted.
    shift = shift and not any(is_torch(z) and z.requires_grad for z in (x, y))
    counted = convert_columns((left, right), points, conversion, shift=shift, ticks=ticks)
    _warn_rounded(counted)
    if clock is not None:
        _no_gradient_of_weights(a, b)
    # Copies, as plan and potentials are computed on request, when the caller may have changed his arrays.
    labels, columns = (left.labels[0], right.labels[0]), left.columns or right.columns
    return Clouds(counted.x.copy(), counted.y.copy(), counted.conversion, labels, columns)


def _warn_rounded(counted: ConvertedSamples) -> None:
    kind = "integers beyond 2**53" if counted.conversion.clock is None else "times"
    for name, rounded in zip("xy", counted.rounded, strict=True):
        if rounded:
            warn_rounded(name, kind)


def _no_gradient_of_weights(a: object, b: object) -> None:
    for name, weights in (("a", a), ("b", b)):
        if is_torch(weights) and weights.requires_grad:
            raise InputError(name, "must not require a gradient if points are times", "detach it (.detach())")


def _require_one_device(*given: object) -> None:
    tensors = [(name, t) for name, t in zip("xyab", given, strict=True) if is_torch(t)]
    for name, tensor in tensors[1:]:
        if tensor.device != tensors[0][1].device:
            first, device = tensors[0][0], tensors[0][1].device
            raise InputError(
                name, f"must be on {device} like {first}, got {tensor.device}", "move both to one device"
            )


def _align_columns(x: Table, y: Table) -> tuple[Table, Table]:
    """Bring the columns of y into the order of x by name, if both have names."""
    if x.columns is None or y.columns is None or x.columns == y.columns:
        return x, y
    for columns, name in ((x.columns, "x"), (y.columns, "y")):
        if len(set(columns)) < len(columns):
            twice = next(c for c in columns if columns.count(c) > 1)
            raise InputError(
                name, f"column {twice!r} occurs twice, so columns cannot be matched", "rename it"
            )
    missing = [c for c in x.columns if c not in y.columns] + [c for c in y.columns if c not in x.columns]
    if missing:
        raise InputError("y", f"columns {missing} are in one table only", "select the columns that both have")
    return x, y.take_columns([y.columns.index(c) for c in x.columns])


def as_points(table: Table, name: str) -> Array:
    """Bring a table to shape (n, d), with at least one row and one column; raises InputError."""
    values = table.values
    if values.ndim == 0:
        raise InputError(name, "must be a sample, got a single number", f"pass a sample: [{float(values):g}]")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        n, d = values.shape[0], math.prod(values.shape[1:])
        raise InputError(
            name,
            f"must have 1 or 2 dimensions, got shape {values.shape}",
            f"points are rows: for {n} images or sequences pass .reshape({n}, {d}); for one image pass its "
            "pixels' positions as points and their values as weights",
        )
    if values.shape[0] == 0 or values.shape[1] == 0:
        raise InputError(
            name, f"must not be empty, got shape {values.shape}", "give at least one row and one column"
        )
    return values


def check_points(points: Array, name: str, d: int, metric: Metric) -> None:
    """Raise InputError unless points have the d columns of x, are finite, and suit the metric."""
    if points.shape[1] != d:
        problem = f"must have {d} columns like x, got {points.shape[1]}"
        raise InputError(name, problem, "pass the same columns")
    require_finite(points, name)
    if metric.check is not None:
        metric.check(points, name, None)


def require_finite(values: Array, name: str, remedy: str = "drop it") -> None:
    """Raise InputError at the first row that is not finite."""
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(name, f"must be finite, row {row} is not", remedy)


def drop_absent_rows(
    points: Array, w: Array | None, name: str, nan_policy: NanPolicy
) -> tuple[Array, Array | None, Index | None, int]:
    """Drop rows without mass, and missing rows according to nan_policy."""
    rows: Index | None = None
    if w is not None and not w.all():
        rows = np.flatnonzero(w)
        points, w = points[rows], w[rows]
    # A finite sum excludes NaN: one pass, whereas isnan().any() takes two and an array.
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(points.sum())
    if math.isfinite(total) or not np.isnan(points).any() or nan_policy == "propagate":
        return points, w, rows, 0
    missing = np.isnan(points).any(axis=1)
    if nan_policy == "raise":
        first = find_first_row(missing, rows)
        raise InputError(
            name,
            f"{missing.sum()} of {len(points)} rows have missing values (NaN), the first is row {first}",
            Remedy("drop them with {}", Option("nan_policy", "'omit'", "omit")),
        )
    keep = np.flatnonzero(~missing)
    if keep.size == 0:
        raise InputError(name, "every row has missing values (NaN)", "give at least one complete row")
    rows = keep if rows is None else rows[keep]
    return points[keep], None if w is None else w[keep], rows, int(missing.sum())


def value_at_infinity(x: Side, y: Side, metric: Metric | None) -> float:
    """Return NaN for a missing value (nan_policy="propagate"), or infinity if mass must move to infinity.

    ``metric``: None for gower.
    """
    if np.isnan(x[0]).any() or np.isnan(y[0]).any():
        return math.nan
    if metric is None or metric.degree is None:
        points, _, rows, name = next(
            (*side, name) for side, name in ((x, "x"), (y, "y")) if np.isinf(side[0]).any()
        )
        first = find_first_row(np.isinf(points).any(axis=1), rows)
        problem = f"row {first} is infinite, where this metric is not defined"
        raise InputError(name, problem, "drop it, or use metric='euclidean'")
    for sign in (-math.inf, math.inf):
        for k in range(x[0].shape[1]):
            # Projection onto a column bounds the distance from below.
            mass = [float(weights @ (points[:, k] == sign)) for points, weights, _ in (x, y)]
            if abs(mass[0] - mass[1]) > 1e-12:
                return math.inf
    first = find_first_row(np.isinf(x[0]).any(axis=1), x[2])
    raise InputError(
        "x",
        f"and y carry the same mass at infinity (first in row {first} of x), where distances are not defined",
        "drop these rows on both sides",
    )


def find_first_row(mask: ArrayLike, rows: Index | None) -> int:
    """Return the first row where a mask holds, as the caller counts; ``rows``: his indices, None for all."""
    row = int(np.argmax(mask))
    return row if rows is None else int(rows[row])
