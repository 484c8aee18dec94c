"""Dates, times and durations as integer ticks; distances between them are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.typing import Integers, Mask

SECOND_UNIT = "s"
EPOCH = datetime(1970, 1, 1)
UNIT_SECONDS = {  # seconds of each unit of NumPy
    **{
        "W": Fraction(604_800),
        "D": Fraction(86_400),
        "h": Fraction(3600),
        "m": Fraction(60),
        "s": Fraction(1),
    },
    **{name: Fraction(1, 1000**k) for k, name in enumerate(("ms", "us", "ns", "ps", "fs", "as"), 1)},
}
LARGEST_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Clock:
    """Meaning of the ticks of a column.

    Attributes
    ----------
    kind : {"datetime", "timedelta"}
        Points in time, or durations.
    tick : Fraction
        Seconds of a tick.
    aware : bool or None
        Whether points in time have a time zone, and are in UTC; None for durations.
    """

    kind: Literal["datetime", "timedelta"]
    tick: Fraction
    aware: bool | None = None

    @property
    def description(self) -> str:
        """Kind of the times in words."""
        if self.kind == "timedelta":
            return "durations"
        return "times with a time zone" if self.aware else "times without a time zone"


def read_times(values: NDArray[Any], name: str) -> tuple[Integers, Mask, Clock]:
    """Read an array of datetime64 or timedelta64: ticks, mask of missing entries (NaT), and clock."""
    unit, count = np.datetime_data(values.dtype)
    if unit in ("Y", "M"):
        if values.dtype.kind == "m":
            raise InputError(
                name,
                f"dtype {values.dtype} counts years or months, which differ in length",
                "convert to days",
            )
        values, unit, count = values.astype("datetime64[D]"), "D", 1
    if unit == "generic":  # arrays of NaT only have no unit
        unit, count = "s", 1
    kind: Literal["datetime", "timedelta"] = "datetime" if values.dtype.kind == "M" else "timedelta"
    clock = Clock(kind, UNIT_SECONDS[unit] * count, False if kind == "datetime" else None)
    missing = np.isnat(values)
    return np.where(missing, 0, values.astype(np.int64, copy=False)), missing, clock


def is_time(item: object) -> bool:
    """Return whether an item of a list is a date, a time or a duration."""
    return isinstance(item, date | timedelta | np.datetime64 | np.timedelta64)


def read_time_objects(values: NDArray[Any], name: str) -> tuple[NDArray[Any], Mask, Clock]:
    """Read an array of time objects of Python, NumPy or pandas, as :func:`read_times` does."""
    missing = np.zeros(values.shape, dtype=bool)
    ticks: list[tuple[int, Fraction]] = []
    clock: Clock | None = None
    for index, item in np.ndenumerate(values):
        ticks_and_clock = _read_ticks(item, name, index)
        missing[index] = ticks_and_clock is None
        if ticks_and_clock is None:
            ticks.append((0, Fraction(10**9)))
            continue
        count, item_clock = ticks_and_clock
        ticks.append((count, item_clock.tick))
        if clock is not None and (clock.kind, clock.aware) != (item_clock.kind, item_clock.aware):
            description = item_clock.description
            if item_clock.aware is None:
                description = description.removesuffix("s")
            raise InputError(
                name,
                f"entry {_format_index(index)} is {description}, those before are {clock.description}",
                "give all one kind; tz_localize or replace(tzinfo=...)",
            )
        clock = item_clock if clock is None or item_clock.tick < clock.tick else clock
    if clock is None:
        raise InputError(name, "holds missing values only", "give at least one value")
    flat = np.zeros(values.size, dtype=object)
    for k, (count, tick) in enumerate(ticks):
        flat[k] = int(count * tick / clock.tick)
    out: NDArray[Any] = flat.reshape(values.shape)
    fits_int64 = all(-LARGEST_INT64 <= item <= LARGEST_INT64 for item in out.flat)
    return out.astype(np.int64) if fits_int64 else out, missing, clock


def find_common_clock(clocks: tuple[Clock | None, ...], names: tuple[str, ...]) -> Clock | None:
    """Find a clock whose tick divides the ticks of all clocks; raises InputError if their kinds differ."""
    first, first_name = clocks[0], names[0]
    for clock, name in zip(clocks[1:], names[1:], strict=True):
        if (clock is None) != (first is None):
            description, first_description = (
                item.description if item else "plain numbers" for item in (clock, first)
            )
            raise InputError(
                name,
                f"holds {description}, {first_name} {first_description}",
                "convert both to numbers in one unit, such as (t - t.min()) / np.timedelta64(1, 's')",
            )
        if clock is not None and first is not None and (clock.kind, clock.aware) != (first.kind, first.aware):
            raise InputError(
                name,
                f"holds {clock.description}, {first_name} {first.description}",
                "give both one kind; .tz_localize('UTC') states the zone of times that have none",
            )
    if first is None:
        return None
    ticks = [clock.tick for clock in clocks if clock is not None]
    tick = ticks[0]
    for other_tick in ticks[1:]:
        denominator = math.lcm(tick.denominator, other_tick.denominator)
        tick = Fraction(math.gcd(int(tick * denominator), int(other_tick * denominator)), denominator)
    return Clock(first.kind, tick, first.aware)


def convert_ticks(ticks: NDArray[Any], clock: Clock, tick: Fraction) -> NDArray[Any]:
    """Convert ticks of a clock to integer multiples of a finer tick."""
    factor = int(clock.tick / tick)
    if factor == 1 or ticks.size == 0:
        return ticks
    if ticks.dtype != object and factor * max(abs(int(ticks.max())), abs(int(ticks.min()))) > LARGEST_INT64:
        ticks = ticks.astype(object)
    return np.asarray(ticks * factor)


def _read_ticks(item: object, name: str, index: tuple[int, ...]) -> tuple[int, Clock] | None:
    if item is None or type(item).__name__ in ("NAType", "NaTType") or item != item:
        return None
    naive = getattr(item, "tzinfo", None) is None
    if hasattr(item, "asm8"):  # pandas, with nanoseconds
        item = item.asm8
    if isinstance(item, np.datetime64 | np.timedelta64):
        ticks, missing, clock = read_times(np.asarray(item), name)
        aware = None if clock.kind == "timedelta" else not naive
        return None if missing else (int(ticks), Clock(clock.kind, clock.tick, aware))
    microsecond = timedelta(microseconds=1)
    if isinstance(item, timedelta):
        return item // microsecond, Clock("timedelta", UNIT_SECONDS["us"])
    if isinstance(item, datetime):
        epoch = EPOCH if naive else EPOCH.replace(tzinfo=UTC)
        return (item - epoch) // microsecond, Clock("datetime", UNIT_SECONDS["us"], not naive)
    if isinstance(item, date):
        return (item - EPOCH.date()).days, Clock("datetime", UNIT_SECONDS["D"], False)
    raise InputError(
        name, f"entry {_format_index(index)} is {item!r}, beside dates or times", "give all entries one kind"
    )


def _format_index(index: tuple[int, ...]) -> int | tuple[int, ...]:
    return index[0] if len(index) == 1 else index
