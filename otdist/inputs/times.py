"""Dates, times and durations as whole numbers of ticks; answers about them are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError

SECONDS = "s"
EPOCH = datetime(1970, 1, 1)
TICKS = {  # seconds of a unit of NumPy
    **{
        "W": Fraction(604_800),
        "D": Fraction(86_400),
        "h": Fraction(3600),
        "m": Fraction(60),
        "s": Fraction(1),
    },
    **{name: Fraction(1, 1000**k) for k, name in enumerate(("ms", "us", "ns", "ps", "fs", "as"), 1)},
}
LARGEST = 2**63 - 1


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
        Whether points in time have a time zone (they are then in UTC); None for durations.
    """

    kind: Literal["datetime", "timedelta"]
    tick: Fraction
    aware: bool | None = None

    @property
    def meaning(self) -> str:
        """The kind in words."""
        if self.kind == "timedelta":
            return "durations"
        return "times with a time zone" if self.aware else "times without a time zone"


def read_times(values: NDArray[Any], name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_], Clock]:
    """Read an array of datetime64 or timedelta64: ticks, which of them are missing (NaT), and the clock."""
    unit, count = np.datetime_data(values.dtype)
    if unit in ("Y", "M"):
        if values.dtype.kind == "m":
            raise InputError(
                name,
                f"dtype {values.dtype} counts years or months, which differ in length",
                "convert to days",
            )
        values, unit, count = values.astype("datetime64[D]"), "D", 1
    if unit == "generic":  # nothing but NaT has no unit
        unit, count = "s", 1
    kind: Literal["datetime", "timedelta"] = "datetime" if values.dtype.kind == "M" else "timedelta"
    clock = Clock(kind, TICKS[unit] * count, False if kind == "datetime" else None)
    missing = np.isnat(values)
    return np.where(missing, 0, values.astype(np.int64, copy=False)), missing, clock


def is_time(item: Any) -> bool:
    """Whether an item of a list is a date, a time or a duration."""
    return isinstance(item, date | timedelta | np.datetime64 | np.timedelta64)


def read_time_objects(values: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[np.bool_], Clock]:
    """Read an array of Python's, NumPy's or pandas' times as :func:`read_times` does."""
    missing = np.zeros(values.shape, dtype=bool)
    ticks: list[tuple[int, Fraction]] = []
    clock: Clock | None = None
    for index, item in np.ndenumerate(values):
        found = _ticks_of(item, name, index)
        missing[index] = found is None
        if found is None:
            ticks.append((0, Fraction(10**9)))
            continue
        count, own = found
        ticks.append((count, own.tick))
        if clock is not None and (clock.kind, clock.aware) != (own.kind, own.aware):
            raise InputError(
                name,
                f"entry {_place(index)} is {own.meaning[:-1] if own.aware is None else own.meaning}, "
                f"those before are {clock.meaning}",
                "give all one kind; tz_localize or replace(tzinfo=...)",
            )
        clock = own if clock is None or own.tick < clock.tick else clock
    if clock is None:
        raise InputError(name, "holds missing values only", "give at least one value")
    flat = np.zeros(values.size, dtype=object)
    for k, (count, tick) in enumerate(ticks):
        flat[k] = int(count * tick / clock.tick)
    out: NDArray[Any] = flat.reshape(values.shape)
    small = all(-LARGEST <= item <= LARGEST for item in out.flat)
    return out.astype(np.int64) if small else out, missing, clock


def common_clock(clocks: tuple[Clock | None, ...], names: tuple[str, ...]) -> Clock | None:
    """Clock with ticks that all of these are whole numbers of; raises InputError if their kinds differ."""
    first, first_name = clocks[0], names[0]
    for clock, name in zip(clocks[1:], names[1:], strict=True):
        if (clock is None) != (first is None):
            mine, other = (z.meaning if z else "plain numbers" for z in (clock, first))
            raise InputError(
                name,
                f"holds {mine}, {first_name} {other}",
                "convert both to numbers in one unit, such as (t - t.min()) / np.timedelta64(1, 's')",
            )
        if clock is not None and first is not None and (clock.kind, clock.aware) != (first.kind, first.aware):
            raise InputError(
                name,
                f"holds {clock.meaning}, {first_name} {first.meaning}",
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


def at_tick(ticks: NDArray[Any], clock: Clock, tick: Fraction) -> NDArray[Any]:
    """Ticks of a clock as whole numbers of a finer tick."""
    factor = int(clock.tick / tick)
    if factor == 1 or ticks.size == 0:
        return ticks
    if ticks.dtype != object and factor * max(abs(int(ticks.max())), abs(int(ticks.min()))) > LARGEST:
        ticks = ticks.astype(object)
    return np.asarray(ticks * factor)


def _ticks_of(item: Any, name: str, index: tuple[int, ...]) -> tuple[int, Clock] | None:
    if item is None or type(item).__name__ in ("NAType", "NaTType") or item != item:
        return None
    naive = getattr(item, "tzinfo", None) is None
    if hasattr(item, "asm8"):  # pandas, which counts nanoseconds as well
        item = item.asm8
    if isinstance(item, np.datetime64 | np.timedelta64):
        ticks, missing, clock = read_times(np.asarray(item), name)
        aware = None if clock.kind == "timedelta" else not naive
        return None if missing else (int(ticks), Clock(clock.kind, clock.tick, aware))
    micro = timedelta(microseconds=1)
    if isinstance(item, timedelta):
        return item // micro, Clock("timedelta", TICKS["us"])
    if isinstance(item, datetime):
        epoch = EPOCH if naive else EPOCH.replace(tzinfo=UTC)
        return (item - epoch) // micro, Clock("datetime", TICKS["us"], not naive)
    if isinstance(item, date):
        return (item - EPOCH.date()).days, Clock("datetime", TICKS["D"], False)
    raise InputError(
        name, f"entry {_place(index)} is {item!r}, beside dates or times", "give all entries one kind"
    )


def _place(index: tuple[int, ...]) -> Any:
    return index[0] if len(index) == 1 else index
