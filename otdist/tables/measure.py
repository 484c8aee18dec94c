"""One column of two tables: distance, scale, direction and a drawing."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import caller_level
from otdist.distance import w1
from otdist.errors import InputError, PrecisionWarning
from otdist.lines import wasserstein_1d
from otdist.metrics import periodic as on_circle
from otdist.problem import DISTANCE_OVERFLOW, scale_exponent
from otdist.stats import ordered
from otdist.stats.relabel import LONG
from otdist.tables.column import Column
from otdist.tables.comparison import ColumnReport, Sketch, Status
from otdist.tables.labels import sorted_places

Array = NDArray[np.float64]
Scale = Literal["std", "iqr", "mad", "range", "none"]
SCALES: tuple[Scale, ...] = ("std", "iqr", "mad", "range", "none")

LEVELS = np.linspace(0.0, 1.0, 201)  # quantiles kept for the report's figures
LEAST_EXPONENT = 1000  # 2**1000 is finite, and takes the least float64 to a normal one
IDENTIFIER_SHARE = 0.95  # distinct labels a row from which a column is taken for an identifier
IDENTIFIER_ROWS = 20  # fewer rows may differ by chance


@dataclass(frozen=True, eq=False)
class Measured:
    """A column's distance, and what its tests need.

    Numbers are on the column's own scale of ``2**exponent``, so that nothing over- or underflows on
    the way, and shifted to the median of the reference.

    Attributes
    ----------
    x, y : ndarray
        Values that are present: numbers, or codes of labels. Many numbers without weights are in
        increasing order.
    a, b : ndarray or None
        Their weights; None: all equal.
    size : int
        Number of labels that occur, 0 for numbers.
    counts : tuple of ndarray or None
        Mass of each label on both sides, the most frequent first.
    ranks : ndarray or None
        Place of each code of x and y in the order of ``counts``.
    period : float
        Length of the circle that values lie on, 0 for a line.
    testable : bool
        False where values are infinite, or a side is empty.
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
        """Whether relabellings of the values can be measured."""
        return self.status in ("ok", "undefined_scale")


def measure(
    reference: Column,
    current: Column,
    scale: Scale,
    weights: tuple[Array, Array] | None = None,
    period: float = 0.0,
) -> tuple[Measured, ColumnReport]:
    """Compare one column without its tests; both sides have the same kind."""
    kind = reference.kind or "numeric"
    sides = reference, current
    here = [~side.missing for side in sides]
    x, y = (_select(side.values, some) for side, some in zip(sides, here, strict=True))
    a, b = (None, None) if weights is None else (w[some] for w, some in zip(weights, here, strict=True))
    gone = [_share_missing(side.missing, w) for side, w in zip(sides, weights or (None, None), strict=True)]
    empty = [not _has_mass(values, w) for values, w in ((x, a), (y, b))]
    notes = [note for note in dict.fromkeys((reference.note, current.note)) if note]
    if any(empty):
        where = " and ".join(name for name, none in zip(("reference", "current"), empty, strict=True) if none)
        notes.append(f"all values missing in {where}")
        found = Measured(x, y, a, b, math.nan, math.nan, status="all_missing")
    elif reference.unordered:
        found = _labels(reference, x, y, a, b)
    else:
        found = _numbers(x, y, a, b, kind, scale, period)
    found = replace(found, notes=(*notes, *found.notes, *_scale_note(found, scale)))
    exponent = found.exponent
    return found, ColumnReport(
        name=reference.name,
        kind=kind,
        status=found.status,
        w1=to_column_unit(found.w1, exponent),
        scaled=_ratio(found.w1, found.spread),
        scale=to_column_unit(found.spread, exponent),
        shift=to_column_unit(found.shift, exponent),
        floor=math.nan,
        pvalue=math.nan,
        n_reference=len(x),
        n_current=len(y),
        missing_reference=gone[0],
        missing_current=gone[1],
        unit="share" if kind in ("boolean", "categorical") else reference.unit,
        note="; ".join(found.notes),
        identifier=found.identifier,
        sketch=found.sketch,
    )


def spread_of(values: Array, scale: Scale, weights: Array | None = None) -> float:
    """Scale of the reference; 0 for a constant column, and nothing is added to hide it."""
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
        low, high = _quantile(values, np.array([0.25, 0.75]), weights)
        return float(high - low)
    middle = _quantile(values, np.array([0.5]), weights)[0]
    return float(_quantile(np.abs(values - middle), np.array([0.5]), weights)[0])


def to_column_unit(value: float, exponent: int) -> float:
    """Return a distance in the column's unit, from the scale of ``2**exponent``."""
    with np.errstate(over="ignore"):
        out = float(np.ldexp(value, exponent))
    if math.isinf(out) and math.isfinite(value):
        warnings.warn(DISTANCE_OVERFLOW, PrecisionWarning, stacklevel=caller_level())
    return out


def _share_missing(missing: NDArray[np.bool_], weights: Array | None) -> float:
    if weights is None:
        return float(missing.mean())
    return float(np.average(missing, weights=weights)) if weights.any() else math.nan


def _select(values: Array, some: NDArray[np.bool_]) -> Array:
    return values if some.all() else values[some]


def _has_mass(values: Array, weights: Array | None) -> bool:
    return bool(len(values)) and (weights is None or bool(weights.any()))


def _quantile(values: Array, levels: Array, weights: Array | None) -> Array:
    if weights is None:
        return np.asarray(np.quantile(values, levels))
    return np.asarray(np.quantile(values, levels, weights=weights, method="inverted_cdf"))


def _ratio(value: float, spread: float) -> float:
    if value == 0 or math.isinf(value):
        return value
    return value / spread if spread > 0 else (math.inf if spread == 0 else math.nan)


def _scale_note(found: Measured, scale: str) -> list[str]:
    if found.status != "undefined_scale":
        return []
    constant = float(np.ptp(found.x)) == 0
    what = "reference is constant" if constant else f"the reference's {scale} is 0"
    return [f"{what}: no scale"]


def _numbers(
    x: Array, y: Array, a: Array | None, b: Array | None, kind: str, scale: Scale, period: float
) -> Measured:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return _infinite(x, y, a, b)
    exponent = scale_exponent(max(_largest(x), _largest(y), period))
    exponent = max(exponent, -LEAST_EXPONENT)
    if exponent:
        x, y, period = np.ldexp(x, -exponent), np.ldexp(y, -exponent), math.ldexp(period, -exponent)
    around = _centred(x, period, a) if period else x
    spread = math.ldexp(1.0, -exponent) if scale == "none" else spread_of(around, scale, a)
    shift = math.nan if period else _mean_shift(x, y, a, b)
    long = a is None and not period and len(x) + len(y) > LONG
    if long:  # sorted once; means are taken before, whose rounding depends on the order
        x, y = np.sort(x), np.sort(y)
    if kind == "boolean":
        shares = [np.average(side, weights=w) for side, w in ((x, a), (y, b))]
        before, after = (np.array([1 - share, share]) for share in shares)
        sketch = Sketch(before, after, labels=("false", "true"))
        spread = 1.0
    else:
        before, after = (
            np.ldexp(ordered.quantiles(side, LEVELS) if long else _quantile(side, LEVELS, w), exponent)
            for side, w in ((x, a), (y, b))
        )
        sketch = Sketch(before, after, levels=LEVELS)
    if period:
        x, y = _wrapped(x, period), _wrapped(y, period)
        distance = float(w1(x, y, a, b, metric=on_circle(period)))
    elif long:
        distance = ordered.wasserstein(x, y)
    else:
        distance = wasserstein_1d(x, y, a, b)
    status: Status = "undefined_scale" if spread == 0 and distance > 0 else "ok"
    # Shifted to zero: sums over the pool then carry no offset.
    centre = 0.0 if period else ordered.median(x) if long else float(np.median(x))
    x, y = (np.subtract(side, centre, out=side if long else None) for side in (x, y))
    found = Measured(x, y, a, b, distance, spread, shift, period=period)
    return replace(found, sketch=sketch, exponent=exponent, status=status)


def _largest(values: Array) -> float:
    """Largest absolute value, without a copy of the values."""
    return max(float(values.max()), -float(values.min()))


def _centred(values: Array, period: float, weights: Array | None) -> Array:
    """Offsets on a circle from the mean direction."""
    turns = np.exp(2j * np.pi * np.mod(values / period, 1.0))
    middle = np.angle(np.average(turns, weights=weights)) / (2 * np.pi)
    return np.asarray((np.mod(values / period - middle + 0.5, 1.0) - 0.5) * period)


def _wrapped(values: Array, period: float) -> Array:
    wrapped = np.mod(values, period)
    return np.where(wrapped == period, 0.0, wrapped)  # what is just below 0 rounds to the period


def _mean_shift(x: Array, y: Array, a: Array | None, b: Array | None) -> float:
    return float(np.average(y, weights=b) - np.average(x, weights=a))


def _infinite(x: Array, y: Array, a: Array | None, b: Array | None) -> Measured:
    none = {"x": x, "y": y, "a": a, "b": b, "spread": math.nan, "status": "infinite"}
    parts: dict[str, Any] = none
    try:
        return Measured(w1=float(w1(x, y, a, b)), notes=("infinite values: W1 is infinite",), **parts)
    except InputError:  # both sides have mass at infinity
        return Measured(w1=math.nan, notes=("infinite values on both sides: no distance",), **parts)


def _labels(column: Column, x: Array, y: Array, a: Array | None, b: Array | None) -> Measured:
    labels, ranks, counts, unseen_rows = _counted_labels(column, x, y, a, b)
    before, after = counts
    # Whole numbers until the end: equal shares give exactly 0.
    total = before.sum(), after.sum()
    distance = float(np.abs(before * total[1] - after * total[0]).sum()) / (2.0 * total[0] * total[1])
    notes = []
    if unseen := int((before == 0).sum()):
        notes.append(f"{_plural(unseen, 'label')} not in the reference ({_plural(unseen_rows, 'row')})")
    if lost := int((after == 0).sum()):
        notes.append(f"{_plural(lost, 'label')} gone")
    identifier = _is_identifier(before, len(x)) and _is_identifier(after, len(y))
    if identifier:
        notes.append("looks like an identifier: nearly every row has a label of its own")
    sketch = Sketch(before / total[0], after / total[1], labels=labels)
    found = Measured(x, y, a, b, distance, size=len(labels), counts=counts, ranks=ranks)
    return replace(found, sketch=sketch, notes=tuple(notes), identifier=identifier)


def _is_identifier(counts: Array, rows: int) -> bool:
    return rows >= IDENTIFIER_ROWS and int((counts > 0).sum()) >= IDENTIFIER_SHARE * rows


def _counted_labels(
    column: Column, x: Array, y: Array, a: Array | None, b: Array | None
) -> tuple[tuple[str, ...], Array, tuple[Array, Array], int]:
    """Labels that occur, most frequent first.

    Returns
    -------
    labels : tuple of str
        The labels.
    ranks : ndarray
        Place in that order of each code.
    counts : tuple of ndarray
        Mass of each label on both sides.
    unseen : int
        Rows of the current table whose label has no mass in the reference.
    """
    size = len(column.labels)
    before = np.bincount(x.astype(np.intp), a, size).astype(np.float64)
    rows = np.bincount(y.astype(np.intp), None, size)
    after = np.asarray(rows if b is None else np.bincount(y.astype(np.intp), b, size), dtype=np.float64)
    names = sorted_places(column.labels)
    order = names[np.lexsort((-after[names], -before[names]))]
    order = order[before[order] + after[order] > 0]
    ranks = np.zeros(size)  # of a label without mass any code will do
    ranks[order] = np.arange(len(order))
    unseen = int(rows[order][before[order] == 0].sum())
    return tuple(column.labels[k] for k in order), ranks, (before[order], after[order]), unseen


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
