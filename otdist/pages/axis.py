"""Axes of figures: what they span, and ticks for numbers and dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from otdist.pages.words import number

Array = NDArray[np.float64]

LEFT, RIGHT = 42.0, 388.0  # ends of the frame
LETTER = 7.4  # width of one character of 12 units in the widest of the usual fonts


@dataclass(frozen=True)
class Axis:
    """The values that a figure spans.

    Attributes
    ----------
    lo, hi : float
        Ends of the axis, in the unit of the column (days since 1970-01-01 for dates).
    dates : bool
        Whether ticks are dates.
    cropped : bool
        Whether a long tail lies beyond the ends.
    whole : bool
        Whether every value is a whole number, as years and counts are.
    left : float
        Where the axis starts in the drawing.
    """

    lo: float
    hi: float
    dates: bool = False
    cropped: bool = False
    whole: bool = False
    left: float = LEFT

    @staticmethod
    def of(values: Array, *, dates: bool = False) -> Axis | None:
        """Span the values; None when there is nothing to span."""
        finite = np.sort(values[np.isfinite(values)])
        if finite.size == 0:
            return None
        lo, hi = float(finite[0]), float(finite[-1])
        inner = [float(v) for v in np.quantile(finite, [0.02, 0.98])]
        core = inner[1] - inner[0]
        if not math.isfinite(hi - lo):
            return None
        # One wild value would press everything else into a single pixel.
        cropped = core > 0 and hi - lo > 6 * core
        if cropped:
            lo, hi = max(lo, inner[0] - core / 4), min(hi, inner[1] + core / 4)
        elif lo == hi:
            pad = max(0.5, abs(lo) * 0.05)
            lo, hi = lo - pad, hi + pad
        whole = bool(np.all(finite == np.round(finite)))
        return Axis(lo, hi, dates, cropped, whole)

    def place(self, values: Array) -> Array:
        """Horizontal position of each value, held inside the frame."""
        inside = np.clip((values - self.lo) / (self.hi - self.lo), 0.0, 1.0)
        return np.asarray(self.left + inside * (RIGHT - self.left))

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels, as many as fit side by side."""
        for wanted in (6, 5, 4, 3, 2):
            step = (self.hi - self.lo) / wanted
            if self.dates:
                ticks = _date_ticks(self.lo, self.hi, step)
            else:
                ticks = number_ticks(self.lo, self.hi, max(step, 1.0) if self.whole else step)
            if len(ticks) > 1 and self._fit(ticks):
                break
        else:
            # Long labels (1,000,000,001) may leave room for no round step: then the two ends.
            ticks = [(self.lo, self.words(self.lo)), (self.hi, self.words(self.hi))]
        return [(float(self.place(np.array(value))), label) for value, label in ticks]

    def _fit(self, ticks: list[tuple[float, str]]) -> bool:
        room = LETTER * max(len(label) for _, label in ticks) + 8
        return float(np.diff(self.place(np.array([value for value, _ in ticks]))).min()) >= room

    def words(self, value: float) -> str:
        """Write one value, with the digits that matter on this axis."""
        span = self.hi - self.lo
        if not math.isfinite(value):
            return number(value)
        if self.dates:
            unit: Literal["D", "s"] = "D" if span > 4 else "s"
            moment = np.datetime64(round(value * 86400), "s")
            return str(np.datetime_as_string(moment, unit=unit)).replace("T", " ")
        if not 1e-3 < span < 1e9:
            digits = math.ceil(math.log10(max(abs(self.lo), abs(self.hi)) / span)) + 3
            return _signed(f"{value:.{min(max(digits, 4), 17)}g}")
        text = _fixed(value, max(0, 2 - math.floor(math.log10(span))))
        return text.rstrip("0").rstrip(".") if "." in text else text


def number_ticks(lo: float, hi: float, step: float) -> list[tuple[float, str]]:
    """Round numbers from ``lo`` to ``hi`` about ``step`` apart, and what to write at them."""
    step = _nice(step)
    values = np.arange(math.ceil(lo / step), math.floor(hi / step) + 1) * step
    largest = max(abs(lo), abs(hi))
    if largest < 1e12 and step >= 1e-4:
        digits = next((k for k in range(6) if abs(round(step, k) - step) < 1e-9 * step), 6)
        return [(float(v), _fixed(float(v), digits)) for v in values]
    # Enough digits to tell neighbours apart, however far from zero they lie.
    digits = min(max(math.ceil(math.log10(largest / step)) + 1, 2), 17)
    return [(float(v), _signed(f"{v:.{digits}g}")) for v in values]


def _date_ticks(lo: float, hi: float, step: float) -> list[tuple[float, str]]:
    """Ticks about ``step`` days apart, at starts of years, months, days, hours or minutes."""
    if step > 180:
        return _calendar_ticks(lo, hi, "Y", math.ceil(_nice(max(step / 365.25, 1.0))))
    if step > 20:
        return _calendar_ticks(lo, hi, "M", next((k for k in (1, 2, 3, 6) if k * 30.5 >= step), 6))
    clock = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600)
    seconds = next((s for s in clock if s >= step * 86400), clock[-1])
    moments = np.arange(math.ceil(lo * 86400 / seconds), math.floor(hi * 86400 / seconds) + 1) * seconds
    unit: Literal["D", "m", "s"] = "D" if seconds >= 86400 else "m" if seconds >= 60 else "s"
    cut = {"D": 0, "m": 5, "s": 11}[unit]  # an hour needs no year, a second no day
    words = np.datetime_as_string(moments.astype("datetime64[s]"), unit=unit)
    return [(float(s) / 86400, str(w)[cut:].replace("T", " ")) for s, w in zip(moments, words, strict=True)]


def _calendar_ticks(lo: float, hi: float, unit: str, step: int) -> list[tuple[float, str]]:
    """Ticks at the start of every ``step``-th year or month."""
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


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= step * (1 - 1e-9))


def _fixed(value: float, digits: int) -> str:
    # No separator below 10,000: 2008 is more often a year than a count.
    comma = "," if abs(value) >= 1e4 else ""
    return _signed(f"{value:{comma}.{digits}f}")


def _signed(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text
