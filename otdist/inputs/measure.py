"""In what the numbers of a problem are counted: unit, ticks of a clock, and a common origin."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.exact import Column, common_divisor, common_origin, subtract, to_float, to_seconds
from otdist.inputs.table import Table
from otdist.inputs.times import SECONDS, Clock, common_clock
from otdist.inputs.units import common_unit, unit_of, without_unit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measure:
    """Map from the caller's numbers to those of a problem.

    Attributes
    ----------
    name : str
        Unit of a distance, "" where the caller named none; "s" for times.
    unit : object or None
        The unit as the caller's package has it.
    clock : Clock or None
        For times: their kind and tick.
    scale : Fraction
        What 1 in the problem is in the unit of the answer.
    origin : tuple of int or None
        What was subtracted from each column, in ticks for times.
    """

    name: str = ""
    unit: Any = None
    clock: Clock | None = None
    scale: Fraction = Fraction(1)
    origin: tuple[int, ...] | None = None

    def scaled(self, value: Any, power: float) -> Any:
        """Bring a value that grows with that power of the distances to the unit of the answer."""
        if self.scale == 1 or power == 0:
            return value
        if power == int(power):  # both parts are powers of ten, which float64 mostly holds exactly
            over, under = (
                float(part ** int(power)) for part in (self.scale.numerator, self.scale.denominator)
            )
            return value * over / under
        return value * float(self.scale) ** power

    def plain(self, values: Any, name: str) -> Any:
        """Further points without their unit, in that of the problem; raises InputError."""
        own = unit_of(values)
        if self.unit is None:
            return values if own is None else common_unit(1.0, values, ("x", name))[1]
        if own is None:
            raise InputError(name, f"has no unit, x has unit {self.name}", "give it a unit, too")
        return without_unit(values, name, self.unit)

    def counted(self, table: Table, points: Array, name: str) -> Array:
        """Further points (k, d), counted as those of the problem are; raises InputError."""
        fine = common_clock((self.clock, table.clock), ("x", name))
        if fine is None and self.origin is None:
            return points
        # Ticks of both clocks are whole numbers of the finer one.
        steps = 1 if fine is None or self.clock is None else int(self.clock.tick / fine.tick)
        factor = 1.0 if fine is None else float(fine.tick / self.scale)
        table = table if fine is None else table.at(fine.tick)
        missing = np.isnan(points)
        columns = []
        for k, origin in enumerate(self.origin or (0,) * points.shape[1]):
            shifted, _ = subtract(table.column(k), missing[:, k], origin * steps)
            columns.append(to_float(shifted, missing[:, k])[0] * factor)
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class Counted:
    """Points of two samples in the numbers of one measure, and which side had to be rounded."""

    x: Array
    y: Array
    measure: Measure
    rounded: tuple[bool, bool]


def count_columns(
    tables: tuple[Table, Table], points: tuple[Array, Array], measure: Measure, *, shift: bool, ticks: bool
) -> Counted:
    """Bring two samples to float64 with as little rounding as the metric allows.

    Parameters
    ----------
    tables : (Table, Table)
        Exact numbers of both; times in ticks of ``measure.clock``.
    points : (ndarray, ndarray), shape (n, d) and (m, d)
        The same as float64, NaN where missing.
    measure : Measure
        Unit and clock of both.
    shift : bool
        Whether the metric ignores a common shift: then one number is subtracted from each column.
    ticks : bool
        Whether the metric grows with a power of the scale: then times are counted in ticks, or in a
        multiple that all of them have, and the answer is brought to seconds. Otherwise in seconds.
    """
    if all(table.raw is None for table in tables):
        return Counted(points[0], points[1], measure, (False, False))
    origins: list[int] = []
    sides: tuple[list[Column], list[Column]] = ([], [])
    for k in range(points[0].shape[1]):
        pair = [(table.column(k), np.isnan(side[:, k])) for table, side in zip(tables, points, strict=True)]
        origin, pair = _shifted(pair, shift)
        origins.append(origin)
        for side, column in zip(sides, pair, strict=True):
            side.append(column)
    clock, scale = measure.clock, Fraction(1)
    if clock is not None and not ticks:
        found = [[to_seconds(*column, clock.tick) for column in side] for side in sides]
    else:
        divisor = 1 if clock is None or _all_exact(sides) else common_divisor([*sides[0], *sides[1]])
        scale = scale if clock is None else clock.tick * divisor
        found = [[to_float(*column, divisor) for column in side] for side in sides]
    made = Measure(
        measure.name if clock is None else SECONDS,
        measure.unit,
        clock,
        scale,
        tuple(origins) if any(origins) else None,
    )
    x, y = (np.column_stack([column for column, _ in side]) for side in found)
    rounded = [not all(exact for _, exact in side) for side in found]
    return Counted(x, y, made, (rounded[0], rounded[1]))


def _all_exact(sides: tuple[list[Column], list[Column]]) -> bool:
    return all(to_float(*column)[1] for side in sides for column in side)


def _shifted(pair: list[Column], shift: bool) -> tuple[int, list[Column]]:
    """One column of both samples less a common origin, which is 0 where that would round."""
    origin = common_origin(pair) if shift else 0
    if origin == 0:
        return 0, pair
    found = [subtract(numbers, missing, origin) for numbers, missing in pair]
    if not all(exact for _, exact in found):
        return 0, pair
    return origin, [(numbers, missing) for (numbers, _), (_, missing) in zip(found, pair, strict=True)]


def count_rows(
    numbers: tuple[NDArray[Any], NDArray[Any]], values: tuple[Array, Array], measure: Measure, *, shift: bool
) -> Counted:
    """As :func:`count_columns`, for batches of samples (..., n) and (..., m) on the line.

    Each pair has an origin of its own, so both sides are brought to the shape of the batch.
    """
    try:
        batch = np.broadcast_shapes(numbers[0].shape[:-1], numbers[1].shape[:-1])
    except ValueError:  # which the caller is told where batches are matched
        return Counted(values[0], values[1], measure, (False, False))
    sides = [np.broadcast_to(part, (*batch, part.shape[-1])).reshape(-1, part.shape[-1]) for part in numbers]
    masks = [
        np.isnan(np.broadcast_to(part, (*batch, part.shape[-1]))).reshape(-1, part.shape[-1])
        for part in values
    ]
    tables = [
        Table(np.where(mask, np.nan, 0.0).T, raw=side.T) for side, mask in zip(sides, masks, strict=True)
    ]
    counted = count_columns(
        (tables[0], tables[1]), (tables[0].values, tables[1].values), measure, shift=shift, ticks=True
    )
    x, y = (side.T.reshape(*batch, -1) for side in (counted.x, counted.y))
    return Counted(x, y, counted.measure, counted.rounded)
