"""One column of two tables: distance, scale, noise floor, p-value."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import caller_level
from otdist.distance import w1
from otdist.errors import InputError, PrecisionWarning
from otdist.lines import wasserstein_1d
from otdist.problem import BEYOND, scale_exponent
from otdist.stats.draws import Draws, LabelPool, LinePool, shrunk
from otdist.stats.null import add_one, line_rate
from otdist.tables.columns import Column
from otdist.tables.comparison import ColumnReport, Sketch, Status

Array = NDArray[np.float64]
Scale = Literal["std", "iqr", "mad", "range", "none"]
SCALES: tuple[Scale, ...] = ("std", "iqr", "mad", "range", "none")

LEVELS = np.linspace(0.0, 1.0, 201)  # quantiles kept for the report's figures
FLOOR_DRAWS = 199
FLOOR_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Measured:
    """What the engines need to know about a column: distance, scale, pools and a drawing.

    Distances are on the column's own scale of ``2**exponent``, so that nothing over- or
    underflows on the way.
    """

    w1: float
    spread: float = 1.0
    both: Draws | None = None
    alone: Draws | None = None
    sketch: Sketch | None = None
    exponent: int = 0
    notes: tuple[str, ...] = ()


def measure(
    reference: Column, current: Column, scale: Scale, n_resamples: int, rng: np.random.Generator
) -> ColumnReport:
    """Compare one column; both sides have the same kind."""
    kind = reference.kind or "numeric"
    n, m = len(reference.present), len(current.present)
    gone = float(reference.missing.mean()), float(current.missing.mean())
    if n == 0 or m == 0:
        sides = " and ".join(side for side, count in (("reference", n), ("current", m)) if count == 0)
        note = f"all values missing in {sides}"
        empty = (math.nan, math.nan, math.nan, math.nan, math.nan)
        return ColumnReport(reference.name, kind, "all_missing", *empty, n, m, *gone, note=note)
    found = _labels(reference, current) if kind == "categorical" else _numbers(reference, current, scale)
    floor, pvalue = _chance(found, n, m, n_resamples, rng)
    status = _status(found)
    notes = list(found.notes)
    if status == "undefined_scale":
        constant = float(np.ptp(reference.present)) == 0
        what = "reference is constant" if constant else f"the reference's {scale} is 0"
        notes.append(f"{what}: no scale")
    return ColumnReport(
        name=reference.name,
        kind=kind,
        status=status,
        w1=_unscaled(found.w1, found),
        scaled=_ratio(found.w1, found.spread),
        scale=_unscaled(found.spread, found),
        floor=_unscaled(floor, found),
        pvalue=pvalue,
        n_reference=n,
        n_current=m,
        missing_reference=gone[0],
        missing_current=gone[1],
        unit="share" if kind in ("boolean", "categorical") else reference.unit,
        note="; ".join(notes),
        sketch=found.sketch,
    )


def spread_of(values: Array, scale: Scale) -> float:
    """Scale of the reference; 0 for a constant column, and nothing is added to hide it."""
    if scale == "none":
        return 1.0
    if scale == "range" or float(np.ptp(values)) == 0.0:
        return float(np.ptp(values))
    if scale == "std":
        return float(np.std(values))
    if scale == "iqr":
        low, high = np.quantile(values, [0.25, 0.75])
        return float(high - low)
    return float(np.median(np.abs(values - np.median(values))))


def _status(found: Measured) -> Status:
    if found.both is None:
        return "infinite"
    return "undefined_scale" if found.spread == 0 and found.w1 > 0 else "ok"


def _unscaled(value: float, found: Measured) -> float:
    with np.errstate(over="ignore"):
        out = float(np.ldexp(value, found.exponent))
    if math.isinf(out) and math.isfinite(value):
        warnings.warn(BEYOND, PrecisionWarning, stacklevel=caller_level())
    return out


def _ratio(value: float, spread: float) -> float:
    if value == 0 or math.isinf(value):
        return value
    return value / spread if spread > 0 else (math.inf if spread == 0 else math.nan)


def _numbers(reference: Column, current: Column, scale: Scale) -> Measured:
    x, y = reference.present.astype(np.float64), current.present.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return _infinite(x, y)
    exponent = scale_exponent(max(float(np.abs(x).max()), float(np.abs(y).max())))
    if reference.kind == "boolean":
        before, after = (np.array([1 - side.mean(), side.mean()]) for side in (x, y))
        sketch = Sketch(before, after, labels=("false", "true"))
        spread = 1.0
    else:
        x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
        before, after = (np.ldexp(np.quantile(side, LEVELS), exponent) for side in (x, y))
        sketch = Sketch(before, after, levels=LEVELS)
        spread = float(np.ldexp(1.0, -exponent)) if scale == "none" else spread_of(x, scale)
    # Shifted to zero: sums over the pool then carry no offset.
    centre = float(np.median(x))
    pools = LinePool(np.concatenate([x, y]) - centre), LinePool(x - centre)
    return Measured(wasserstein_1d(x, y), spread, *pools, sketch, exponent)


def _infinite(x: Array, y: Array) -> Measured:
    try:
        return Measured(float(w1(x, y)), math.nan, notes=("infinite values: W1 is infinite",))
    except InputError:  # both sides have mass at infinity
        return Measured(math.nan, math.nan, notes=("infinite values on both sides: no distance",))


def _labels(reference: Column, current: Column) -> Measured:
    before, after = Counter(reference.present), Counter(current.present)
    labels = sorted(before.keys() | after.keys(), key=lambda label: (-before[label], -after[label], label))
    x = np.array([before[label] for label in labels], dtype=np.int64)
    y = np.array([after[label] for label in labels], dtype=np.int64)
    # Whole numbers until the end: equal shares give exactly 0.
    moved = float(np.abs(x * y.sum() - y * x.sum()).sum()) / (2.0 * float(x.sum()) * float(y.sum()))
    notes = []
    if unseen := [label for label in labels if not before[label]]:
        rows = sum(after[label] for label in unseen)
        notes.append(f"{_counted(len(unseen), 'label')} not in the reference ({_counted(rows, 'row')})")
    if lost := [label for label in labels if not after[label]]:
        notes.append(f"{_counted(len(lost), 'label')} gone")
    sketch = Sketch(x / x.sum(), y / y.sum(), labels=tuple(labels))
    return Measured(moved, 1.0, LabelPool(x + y), LabelPool(x), sketch, notes=tuple(notes))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _chance(
    found: Measured, n: int, m: int, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Noise floor and permutation p-value."""
    if found.both is None or found.alone is None:
        return math.nan, math.nan
    pvalue = add_one(found.w1, found.both(n, m, n_resamples, rng))
    if n < 2:
        return math.nan, pvalue
    k, l = shrunk(n, m, n)  # noqa: E741
    # Shares of labels, like distances on the line, have noise of the order (1/n + 1/m)^(1/2).
    draws = found.alone(k, l, FLOOR_DRAWS, rng) * line_rate(n, m, k, l)
    return float(np.quantile(draws, FLOOR_LEVEL)), pvalue
