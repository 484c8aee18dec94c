"""Measurement of one column of two tables: distance, scale, shift and a sketch for drawings."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from otdist.api.distance import w1
from otdist.api.line import wasserstein_1d
from otdist.errors import InputError, PrecisionWarning
from otdist.inputs.arrays import caller_level
from otdist.metrics import periodic as on_circle
from otdist.pages.formatting import format_count
from otdist.problem import DISTANCE_OVERFLOW, scale_exponent
from otdist.stats import ordered
from otdist.stats.relabelling import MAX_UNGROUPED_ROWS
from otdist.tables.column import Column
from otdist.tables.comparison import ColumnReport, Sketch, Status
from otdist.tables.labels import argsort_labels
from otdist.typing import Array, Mask

Scale = Literal["std", "iqr", "mad", "range", "none"]
SCALES: tuple[Scale, ...] = ("std", "iqr", "mad", "range", "none")

SKETCH_LEVELS = np.linspace(0.0, 1.0, 201)  # levels of the quantiles in the report's figures
MAX_UPSCALE_EXPONENT = 1000  # 2**1000 is finite, and scales the smallest float64 to a normal number
MIN_IDENTIFIER_SHARE = 0.95  # ratio of distinct labels to rows of an identifier
MIN_IDENTIFIER_ROWS = 20  # fewer rows may have distinct labels by chance


@dataclass(frozen=True, eq=False)
class Measurement:
    """Distance of a column, and the data for its tests.

    Numbers are divided by ``2**exponent``, so that computations neither overflow nor underflow, and shifted
    by the median of the reference.

    Attributes
    ----------
    x, y : ndarray
        Values that are not missing: numbers, or codes of labels. Many numbers without weights are in
        increasing order.
    a, b : ndarray or None
        Weights; None: all equal.
    size : int
        Number of labels that occur, 0 for numbers.
    counts : tuple of ndarray or None
        Mass of each label on both sides, the most frequent first.
    ranks : ndarray or None
        Rank of each code of x and y in the order of ``counts``.
    period : float
        Period of values on a circle, 0 for a line.
    testable : bool
        False if values are infinite, or a side is empty.
    """

    x: Array
    y: Array
    a: Array | None
    b: Array | None
    w1: float
    spread: float = 1.0
    shift: float = math.nan
    size: int = 0
    counts: tuple[Array, Array] | None = None
    ranks: Array | None = None
    period: float = 0.0
    sketch: Sketch | None = None
    exponent: int = 0
    status: Status = "ok"
    notes: tuple[str, ...] = ()
    identifier: bool = False

    @property
    def testable(self) -> bool:
        """Whether distances of relabellings can be computed."""
        return self.status in ("ok", "undefined_scale")


def measure(
    reference: Column,
    current: Column,
    scale: Scale,
    weights: tuple[Array, Array] | None = None,
    period: float = 0.0,
) -> tuple[Measurement, ColumnReport]:
    """Measure one column, without its tests; both sides have the same kind."""
    kind = reference.kind or "numeric"
    sides = reference, current
    masks = [~side.missing for side in sides]
    x, y = (_select(side.values, mask) for side, mask in zip(sides, masks, strict=True))
    a, b = (None, None) if weights is None else (w[mask] for w, mask in zip(weights, masks, strict=True))
    missing_shares = [
        _compute_missing_share(side.missing, w)
        for side, w in zip(sides, weights or (None, None), strict=True)
    ]
    empty = [not _has_mass(values, w) for values, w in ((x, a), (y, b))]
    notes = [note for note in dict.fromkeys((reference.note, current.note)) if note]
    if any(empty):
        names = ("reference", "current")
        empty_sides = " and ".join(name for name, is_empty in zip(names, empty, strict=True) if is_empty)
        notes.append(f"all values missing in {empty_sides}")
        measurement = Measurement(x, y, a, b, math.nan, math.nan, status="all_missing")
    elif reference.unordered:
        measurement = _measure_labels(reference, x, y, a, b)
    else:
        measurement = _measure_numbers(x, y, a, b, kind, scale, period)
    measurement = replace(
        measurement, notes=(*notes, *measurement.notes, *_describe_scale(measurement, scale))
    )
    exponent = measurement.exponent
    return measurement, ColumnReport(
        name=reference.name,
        kind=kind,
        status=measurement.status,
        w1=to_column_unit(measurement.w1, exponent),
        scaled=_divide_by_scale(measurement.w1, measurement.spread),
        scale=to_column_unit(measurement.spread, exponent),
        shift=to_column_unit(measurement.shift, exponent),
        floor=math.nan,
        pvalue=math.nan,
        n_reference=len(x),
        n_current=len(y),
        missing_reference=missing_shares[0],
        missing_current=missing_shares[1],
        unit="share" if kind in ("boolean", "categorical") else reference.unit,
        note="; ".join(measurement.notes),
        identifier=measurement.identifier,
        sketch=measurement.sketch,
    )


def compute_scale(values: Array, scale: Scale, weights: Array | None = None) -> float:
    """Compute the scale of the reference; 0 for a constant column, without regularisation."""
    if scale == "none":
        return 1.0
    extent = float(np.ptp(values))
    if scale == "range" or extent == 0.0:
        return extent
    if scale == "std":
        squares = values - np.average(values, weights=weights)
        np.square(squares, out=squares)
        return float(np.sqrt(np.average(squares, weights=weights)))
    if scale == "iqr":
        low, high = _compute_quantiles(values, np.array([0.25, 0.75]), weights)
        return float(high - low)
    middle = _compute_quantiles(values, np.array([0.5]), weights)[0]
    return float(_compute_quantiles(np.abs(values - middle), np.array([0.5]), weights)[0])


def to_column_unit(value: float, exponent: int) -> float:
    """Convert a distance to the column's unit, by the factor ``2**exponent``."""
    with np.errstate(over="ignore"):
        out = float(np.ldexp(value, exponent))
    if math.isinf(out) and math.isfinite(value):
        warnings.warn(DISTANCE_OVERFLOW, PrecisionWarning, stacklevel=caller_level())
    return out


def _compute_missing_share(missing: Mask, weights: Array | None) -> float:
    if weights is None:
        return float(missing.mean())
    return float(np.average(missing, weights=weights)) if weights.any() else math.nan


def _select(values: Array, mask: Mask) -> Array:
    return values if mask.all() else values[mask]


def _has_mass(values: Array, weights: Array | None) -> bool:
    return bool(len(values)) and (weights is None or bool(weights.any()))


def _compute_quantiles(values: Array, levels: Array, weights: Array | None) -> Array:
    if weights is None:
        return np.asarray(np.quantile(values, levels))
    return np.asarray(np.quantile(values, levels, weights=weights, method="inverted_cdf"))


def _divide_by_scale(value: float, spread: float) -> float:
    if value == 0 or math.isinf(value):
        return value
    return value / spread if spread > 0 else (math.inf if spread == 0 else math.nan)


def _describe_scale(measurement: Measurement, scale: str) -> list[str]:
    if measurement.status != "undefined_scale":
        return []
    constant = float(np.ptp(measurement.x)) == 0
    reason = "reference is constant" if constant else f"the reference's {scale} is 0"
    return [f"{reason}: no scale"]


def _measure_numbers(
    x: Array, y: Array, a: Array | None, b: Array | None, kind: str, scale: Scale, period: float
) -> Measurement:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return _measure_infinite(x, y, a, b)
    exponent = scale_exponent(max(_compute_max_abs(x), _compute_max_abs(y), period))
    exponent = max(exponent, -MAX_UPSCALE_EXPONENT)
    if exponent:
        x, y, period = np.ldexp(x, -exponent), np.ldexp(y, -exponent), math.ldexp(period, -exponent)
    centred = _centre_on_circle(x, period, a) if period else x
    spread = math.ldexp(1.0, -exponent) if scale == "none" else compute_scale(centred, scale, a)
    shift = math.nan if period else _compute_mean_shift(x, y, a, b)
    long = a is None and not period and len(x) + len(y) > MAX_UNGROUPED_ROWS
    if long:  # sorted once, after the means, whose rounding depends on the order
        x, y = np.sort(x), np.sort(y)
    if kind == "boolean":
        shares = [np.average(side, weights=w) for side, w in ((x, a), (y, b))]
        before, after = (np.array([1 - share, share]) for share in shares)
        sketch = Sketch(before, after, labels=("false", "true"))
        spread = 1.0
    else:
        before, after = (
            np.ldexp(
                ordered.quantiles(side, SKETCH_LEVELS)
                if long
                else _compute_quantiles(side, SKETCH_LEVELS, w),
                exponent,
            )
            for side, w in ((x, a), (y, b))
        )
        sketch = Sketch(before, after, levels=SKETCH_LEVELS)
    if period:
        x, y = _wrap(x, period), _wrap(y, period)
        distance = float(w1(x, y, a, b, metric=on_circle(period)))
    elif long:
        distance = ordered.wasserstein(x, y)
    else:
        distance = float(wasserstein_1d(x, y, a, b))
    status: Status = "undefined_scale" if spread == 0 and distance > 0 else "ok"
    # Centred at zero: sums over the pool then have no offset.
    centre = 0.0 if period else ordered.median(x) if long else float(np.median(x))
    x, y = (np.subtract(side, centre, out=side if long else None) for side in (x, y))
    measurement = Measurement(x, y, a, b, distance, spread, shift, period=period)
    return replace(measurement, sketch=sketch, exponent=exponent, status=status)


def _compute_max_abs(values: Array) -> float:
    """Compute the largest absolute value without a copy of the values."""
    return max(float(values.max()), -float(values.min()))


def _centre_on_circle(values: Array, period: float, weights: Array | None) -> Array:
    """Compute offsets on a circle from the mean direction."""
    turns = np.exp(2j * np.pi * np.mod(values / period, 1.0))
    middle = np.angle(np.average(turns, weights=weights)) / (2 * np.pi)
    return np.asarray((np.mod(values / period - middle + 0.5, 1.0) - 0.5) * period)


def _wrap(values: Array, period: float) -> Array:
    wrapped = np.mod(values, period)
    return np.where(wrapped == period, 0.0, wrapped)  # values just below 0 round to the period


def _compute_mean_shift(x: Array, y: Array, a: Array | None, b: Array | None) -> float:
    return float(np.average(y, weights=b) - np.average(x, weights=a))


def _measure_infinite(x: Array, y: Array, a: Array | None, b: Array | None) -> Measurement:
    fields: dict[str, Any] = {"x": x, "y": y, "a": a, "b": b, "spread": math.nan, "status": "infinite"}
    try:
        return Measurement(w1=float(w1(x, y, a, b)), notes=("infinite values: W1 is infinite",), **fields)
    except InputError:  # both sides have mass at infinity
        return Measurement(w1=math.nan, notes=("infinite values on both sides: no distance",), **fields)


def _measure_labels(column: Column, x: Array, y: Array, a: Array | None, b: Array | None) -> Measurement:
    labels, ranks, counts, unseen_rows = _count_labels(column, x, y, a, b)
    before, after = counts
    # Integers until the division: equal shares give exactly 0.
    total = before.sum(), after.sum()
    distance = float(np.abs(before * total[1] - after * total[0]).sum()) / (2.0 * total[0] * total[1])
    notes = []
    if unseen := int((before == 0).sum()):
        notes.append(
            f"{format_count(unseen, 'label')} not in the reference ({format_count(unseen_rows, 'row')})"
        )
    if lost := int((after == 0).sum()):
        notes.append(f"{format_count(lost, 'label')} gone")
    identifier = _is_identifier(before, len(x)) and _is_identifier(after, len(y))
    if identifier:
        notes.append("looks like an identifier: nearly every row has a label of its own")
    sketch = Sketch(before / total[0], after / total[1], labels=labels)
    measurement = Measurement(x, y, a, b, distance, size=len(labels), counts=counts, ranks=ranks)
    return replace(measurement, sketch=sketch, notes=tuple(notes), identifier=identifier)


def _is_identifier(counts: Array, rows: int) -> bool:
    return rows >= MIN_IDENTIFIER_ROWS and int((counts > 0).sum()) >= MIN_IDENTIFIER_SHARE * rows


def _count_labels(
    column: Column, x: Array, y: Array, a: Array | None, b: Array | None
) -> tuple[tuple[str, ...], Array, tuple[Array, Array], int]:
    """Count the labels that occur, the most frequent first.

    Returns
    -------
    labels : tuple of str
        Labels.
    ranks : ndarray
        Rank of each code in that order.
    counts : tuple of ndarray
        Mass of each label on both sides.
    unseen : int
        Rows of the current table whose label has no mass in the reference.
    """
    size = len(column.labels)
    before = np.bincount(x.astype(np.intp), a, size).astype(np.float64)
    rows = np.bincount(y.astype(np.intp), None, size)
    after = np.asarray(rows if b is None else np.bincount(y.astype(np.intp), b, size), dtype=np.float64)
    names = argsort_labels(column.labels)
    order = names[np.lexsort((-after[names], -before[names]))]
    order = order[before[order] + after[order] > 0]
    ranks = np.zeros(size)  # ranks of labels without mass are arbitrary
    ranks[order] = np.arange(len(order))
    unseen = int(rows[order][before[order] == 0].sum())
    return tuple(column.labels[k] for k in order), ranks, (before[order], after[order]), unseen
