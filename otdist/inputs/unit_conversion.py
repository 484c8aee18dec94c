"""Conversion of points to the numbers of a problem: unit, clock ticks and a common origin."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.exact_numbers import (
    Column,
    find_common_divisor,
    find_common_origin,
    subtract,
    to_float,
    to_seconds,
)
from otdist.inputs.table import Table
from otdist.inputs.times import SECOND_UNIT, Clock, find_common_clock
from otdist.inputs.units import get_unit, strip_unit, to_common_unit
from otdist.typing import Array, FloatOrArray


@dataclass(frozen=True, eq=False)
class UnitConversion:
    """Conversion from the caller's numbers to the numbers of a problem.

    Attributes
    ----------
    name : str
        Unit of a distance, "" if the caller gave none; "s" for times.
    unit : object or None
        The unit as an object of the caller's package.
    clock : Clock or None
        Kind and tick of times.
    scale : Fraction
        Value of 1 in the problem, in the unit of the answer.
    origin : tuple of int or None
        Numbers subtracted from each column, in ticks for times.
    """

    name: str = ""
    unit: object = None
    clock: Clock | None = None
    scale: Fraction = Fraction(1)
    origin: tuple[int, ...] | None = None

    def rescale(self, value: FloatOrArray, power: float) -> FloatOrArray:
        """Convert a value that scales with a power of the distances to the unit of the answer."""
        if self.scale == 1 or power == 0:
            return value
        if power == int(power):  # both parts are powers of ten, mostly exact in float64
            numerator, denominator = (
                float(part ** int(power)) for part in (self.scale.numerator, self.scale.denominator)
            )
            return value * numerator / denominator
        factor: float = float(self.scale) ** power
        return value * factor

    def strip_unit(self, values: object, name: str) -> object:
        """Convert further points to plain numbers in the unit of the problem; raises InputError."""
        unit = get_unit(values)
        if self.unit is None:
            return values if unit is None else to_common_unit(1.0, values, ("x", name))[1]
        if unit is None:
            raise InputError(name, f"has no unit, x has unit {self.name}", "give it a unit, too")
        return strip_unit(values, name, self.unit)

    def convert_points(self, table: Table, points: Array, name: str) -> Array:
        """Convert further points (k, d) like the points of the problem; raises InputError."""
        common = find_common_clock((self.clock, table.clock), ("x", name))
        if common is None and self.origin is None:
            return points
        # Ticks of both clocks are integer multiples of the common one.
        steps = 1 if common is None or self.clock is None else int(self.clock.tick / common.tick)
        factor = 1.0 if common is None else float(common.tick / self.scale)
        table = table if common is None else table.convert_ticks(common.tick)
        missing = np.isnan(points)
        columns = []
        for k, origin in enumerate(self.origin or (0,) * points.shape[1]):
            shifted, _ = subtract(table.get_column(k), missing[:, k], origin * steps)
            columns.append(to_float(shifted, missing[:, k])[0] * factor)
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class ConvertedSamples:
    """Points of two samples after one conversion, and whether each sample was rounded."""

    x: Array
    y: Array
    conversion: UnitConversion
    rounded: tuple[bool, bool]


def convert_columns(
    tables: tuple[Table, Table],
    points: tuple[Array, Array],
    conversion: UnitConversion,
    *,
    shift: bool,
    ticks: bool,
) -> ConvertedSamples:
    """Convert two samples to float64 with as little rounding as the metric allows.

    Parameters
    ----------
    tables : (Table, Table)
        Exact numbers of both samples; times in ticks of ``conversion.clock``.
    points : (ndarray, ndarray), shape (n, d) and (m, d)
        The same numbers as float64, NaN if missing.
    conversion : UnitConversion
        Unit and clock of both samples.
    shift : bool
        Whether the metric ignores a common shift: one number is then subtracted from each column.
    ticks : bool
        Whether the metric scales with a power of the points: times are then integers of a tick, or of a
        common multiple, and the answer is converted to seconds. Otherwise times are in seconds.
    """
    if all(table.raw is None for table in tables):
        return ConvertedSamples(points[0], points[1], conversion, (False, False))
    origins: list[int] = []
    sides: tuple[list[Column], list[Column]] = ([], [])
    for k in range(points[0].shape[1]):
        pair = [
            (table.get_column(k), np.isnan(side[:, k])) for table, side in zip(tables, points, strict=True)
        ]
        origin, pair = _subtract_origin(pair, shift)
        origins.append(origin)
        for side, column in zip(sides, pair, strict=True):
            side.append(column)
    clock, scale = conversion.clock, Fraction(1)
    if clock is not None and not ticks:
        converted = [[to_seconds(*column, clock.tick) for column in side] for side in sides]
    else:
        divisor = 1 if clock is None or _are_exact(sides) else find_common_divisor([*sides[0], *sides[1]])
        scale = scale if clock is None else clock.tick * divisor
        converted = [[to_float(*column, divisor) for column in side] for side in sides]
    result = UnitConversion(
        conversion.name if clock is None else SECOND_UNIT,
        conversion.unit,
        clock,
        scale,
        tuple(origins) if any(origins) else None,
    )
    x, y = (np.column_stack([column for column, _ in side]) for side in converted)
    rounded = [not all(exact for _, exact in side) for side in converted]
    return ConvertedSamples(x, y, result, (rounded[0], rounded[1]))


def _are_exact(sides: tuple[list[Column], list[Column]]) -> bool:
    return all(to_float(*column)[1] for side in sides for column in side)


def _subtract_origin(pair: list[Column], shift: bool) -> tuple[int, list[Column]]:
    """Subtract a common origin from one column of both samples; the origin is 0 if this would round."""
    origin = find_common_origin(pair) if shift else 0
    if origin == 0:
        return 0, pair
    differences = [subtract(numbers, missing, origin) for numbers, missing in pair]
    if not all(exact for _, exact in differences):
        return 0, pair
    return origin, [(numbers, missing) for (numbers, _), (_, missing) in zip(differences, pair, strict=True)]


def convert_rows(
    numbers: tuple[NDArray[Any], NDArray[Any]],
    values: tuple[Array, Array],
    conversion: UnitConversion,
    *,
    shift: bool,
) -> ConvertedSamples:
    """Convert batches of samples (..., n) and (..., m) on the line, as :func:`convert_columns` does.

    Each pair has its own origin, so both sides are broadcast to the shape of the batch.
    """
    try:
        batch = np.broadcast_shapes(numbers[0].shape[:-1], numbers[1].shape[:-1])
    except ValueError:  # reported where batches are matched
        return ConvertedSamples(values[0], values[1], conversion, (False, False))
    sides = [np.broadcast_to(part, (*batch, part.shape[-1])).reshape(-1, part.shape[-1]) for part in numbers]
    masks = [
        np.isnan(np.broadcast_to(part, (*batch, part.shape[-1]))).reshape(-1, part.shape[-1])
        for part in values
    ]
    tables = [
        Table(np.where(mask, np.nan, 0.0).T, raw=side.T) for side, mask in zip(sides, masks, strict=True)
    ]
    converted = convert_columns(
        (tables[0], tables[1]), (tables[0].values, tables[1].values), conversion, shift=shift, ticks=True
    )
    x, y = (side.T.reshape(*batch, -1) for side in (converted.x, converted.y))
    return ConvertedSamples(x, y, converted.conversion, converted.rounded)
