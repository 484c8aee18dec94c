"""Axes of figures, with ticks for numbers and dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from otdist.pages.formatting import format_number
from otdist.typing import Array

PLOT_LEFT, PLOT_RIGHT = 42.0, 388.0  # ends of the plot area
CHARACTER_WIDTH = 7.4  # width of one character of size 12 in the widest of the usual fonts


@dataclass(frozen=True)
class Axis:
    """Range of values of a figure.

    Attributes
    ----------
    lo, hi : float
        Ends of the axis, in the unit of the column (days since 1970-01-01 for dates).
    dates : bool
        Whether ticks are dates.
    cropped : bool
        Whether a long tail extends beyond the ends.
    whole : bool
        Whether every value is a whole number, as years and counts are.
    left : float
        Start of the axis in the drawing.
    """

    lo: float
    hi: float
    dates: bool = False
    cropped: bool = False
    whole: bool = False
    left: float = PLOT_LEFT

    @staticmethod
    def from_values(values: Array, *, dates: bool = False) -> Axis | None:
        """Make an axis that spans the values; None if no value is finite or their range overflows."""
        finite = np.sort(values[np.isfinite(values)])
        if finite.size == 0:
            return None
        lo, hi = float(finite[0]), float(finite[-1])
        inner = [float(v) for v in np.quantile(finite, [0.02, 0.98])]
        core = inner[1] - inner[0]
        if not math.isfinite(hi - lo):
            return None
        # One outlier would compress all other values into a single pixel.
        cropped = core > 0 and hi - lo > 6 * core
        if cropped:
            lo, hi = max(lo, inner[0] - core / 4), min(hi, inner[1] + core / 4)
        elif lo == hi:
            padding = max(0.5, abs(lo) * 0.05)
            lo, hi = lo - padding, hi + padding
        whole = bool(np.all(finite == np.round(finite)))
        return Axis(lo, hi, dates, cropped, whole)

    def transform(self, values: Array) -> Array:
        """Compute the horizontal position of each value, clipped to the plot area."""
        inside = np.clip((values - self.lo) / (self.hi - self.lo), 0.0, 1.0)
        return np.asarray(self.left + inside * (PLOT_RIGHT - self.left))

    def make_ticks(self) -> list[tuple[float, str]]:
        """Make positions and labels of ticks, as many as fit side by side."""
        for count in (6, 5, 4, 3, 2):
            step = (self.hi - self.lo) / count
            if self.dates:
                ticks = _make_date_ticks(self.lo, self.hi, step)
            else:
                ticks = make_number_ticks(self.lo, self.hi, max(step, 1.0) if self.whole else step)
            if len(ticks) > 1 and self._labels_fit(ticks):
                break
        else:
            # Long labels (1,000,000,001) may fit at no round step: then label the two ends.
            ticks = [(self.lo, self.format_value(self.lo)), (self.hi, self.format_value(self.hi))]
        return [(float(self.transform(np.array(value))), label) for value, label in ticks]

    def _labels_fit(self, ticks: list[tuple[float, str]]) -> bool:
        width = CHARACTER_WIDTH * max(len(label) for _, label in ticks) + 8
        return float(np.diff(self.transform(np.array([value for value, _ in ticks]))).min()) >= width

    def format_value(self, value: float) -> str:
        """Format one value, with the digits that matter on this axis."""
        span = self.hi - self.lo
        if not math.isfinite(value):
            return format_number(value)
        if self.dates:
            unit: Literal["D", "s"] = "D" if span > 4 else "s"
            time = np.datetime64(round(value * 86400), "s")
            return str(np.datetime_as_string(time, unit=unit)).replace("T", " ")
        if not 1e-3 < span < 1e9:
            digits = math.ceil(math.log10(max(abs(self.lo), abs(self.hi)) / span)) + 3
            return _replace_minus(f"{value:.{min(max(digits, 4), 17)}g}")
        text = _format_fixed(value, max(0, 2 - math.floor(math.log10(span))))
        return text.rstrip("0").rstrip(".") if "." in text else text


def make_number_ticks(lo: float, hi: float, step: float) -> list[tuple[float, str]]:
    """Make ticks at round numbers from ``lo`` to ``hi`` about ``step`` apart, with their labels."""
    step = _round_step(step)
    values = np.arange(math.ceil(lo / step), math.floor(hi / step) + 1) * step
    largest = max(abs(lo), abs(hi))
    if largest < 1e12 and step >= 1e-4:
        digits = next((k for k in range(6) if abs(round(step, k) - step) < 1e-9 * step), 6)
        return [(float(v), _format_fixed(float(v), digits)) for v in values]
    # Enough digits to distinguish neighbours, however far from zero they lie.
    digits = min(max(math.ceil(math.log10(largest / step)) + 1, 2), 17)
    return [(float(v), _replace_minus(f"{v:.{digits}g}")) for v in values]


def _make_date_ticks(lo: float, hi: float, step: float) -> list[tuple[float, str]]:
    """Make ticks about ``step`` days apart, at starts of years, months, days, hours or minutes."""
    if step > 180:
        return _make_calendar_ticks(lo, hi, "Y", math.ceil(_round_step(max(step / 365.25, 1.0))))
    if step > 20:
        return _make_calendar_ticks(lo, hi, "M", next((k for k in (1, 2, 3, 6) if k * 30.5 >= step), 6))
    steps = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600)
    seconds = next((s for s in steps if s >= step * 86400), steps[-1])
    times = np.arange(math.ceil(lo * 86400 / seconds), math.floor(hi * 86400 / seconds) + 1) * seconds
    unit: Literal["D", "m", "s"] = "D" if seconds >= 86400 else "m" if seconds >= 60 else "s"
    start = {"D": 0, "m": 5, "s": 11}[unit]  # an hour needs no year, a second no day
    labels = np.datetime_as_string(times.astype("datetime64[s]"), unit=unit)
    return [(float(s) / 86400, str(w)[start:].replace("T", " ")) for s, w in zip(times, labels, strict=True)]


def _make_calendar_ticks(lo: float, hi: float, unit: str, step: int) -> list[tuple[float, str]]:
    """Make ticks at the start of every ``step``-th year or month."""
    ends = (
        np.array([math.floor(lo), math.ceil(hi)])
        .astype("datetime64[D]")
        .astype(f"datetime64[{unit}]")
        .astype(int)
    )
    origin = 1970 if unit == "Y" else 0  # so that decades start at 1980, not at 1970 + 10 k
    first = -(-(int(ends[0]) + origin) // step) * step - origin
    starts = np.arange(first, int(ends[1]) + 1, step).astype(f"datetime64[{unit}]")
    days = starts.astype("datetime64[D]").astype(float)
    return [(float(d), str(s)) for d, s in zip(days, starts, strict=True) if lo <= d <= hi]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= step * (1 - 1e-9))


def _format_fixed(value: float, digits: int) -> str:
    # No separator below 10,000: 2008 is more often a year than a count.
    comma = "," if abs(value) >= 1e4 else ""
    return _replace_minus(f"{value:{comma}.{digits}f}")


def _replace_minus(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text
