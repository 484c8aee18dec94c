"""Batches of samples on the line: axes, labels, times and integers beyond float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch, read_table, warn_rounded
from otdist.inputs.labels import match_labels, require_same_axes
from otdist.inputs.table import Table
from otdist.inputs.times import find_common_clock
from otdist.inputs.unit_conversion import UnitConversion, convert_rows
from otdist.inputs.units import to_common_unit
from otdist.typing import Array, Labels


@dataclass(frozen=True, eq=False)
class Batches:
    """Samples of both sides along the last axis, in a common unit.

    ``labels``: labels of the values of a sample, or None.
    """

    x: Array
    y: Array
    conversion: UnitConversion
    labels: tuple[Labels, Labels]


def read_batches(x: object, y: object, axis: int) -> Batches:
    """Read two batches of samples that lie along ``axis``."""
    x, y = (list(z) if isinstance(z, Iterator) else z for z in (x, y))
    require_same_axes(x, y)
    x, y, name = to_common_unit(x, y, ("x", "y"))
    left, right = read_table(x, "x"), read_table(y, "y")
    clock = find_common_clock((left.clock, right.clock), ("x", "y"))
    if clock is not None:
        left, right = left.convert_ticks(clock.tick), right.convert_ticks(clock.tick)
    labels = sample_labels(left, axis), sample_labels(right, axis)
    order = match_labels(_pair_labels(right, axis), _pair_labels(left, axis), "y", "x")
    sides = [along_axis(table, table.values, z, axis) for table, z in ((left, "x"), (right, "y"))]
    sides[1] = sides[1] if order is None else sides[1][order]
    conversion = UnitConversion(name, None, clock)
    if left.raw is None and right.raw is None:
        return Batches(sides[0], sides[1], conversion, labels)
    raws = [along_axis(table, table.to_exact_array(), z, axis) for table, z in ((left, "x"), (right, "y"))]
    raws[1] = raws[1] if order is None else raws[1][order]
    shift = not any(is_torch(z) and z.requires_grad for z in (x, y))
    counted = convert_rows((raws[0], raws[1]), (sides[0], sides[1]), conversion, shift=shift)
    for z, rounded in zip("xy", counted.rounded, strict=True):
        if rounded:
            warn_rounded(z, "integers beyond 2**53" if clock is None else "times")
    return Batches(counted.x, counted.y, counted.conversion, labels)


def along_axis(table: Table, numbers: NDArray[Any], name: str, axis: int) -> NDArray[Any]:
    """Move the axis of the samples to the end; raises InputError."""
    shape = table.values.shape
    if len(shape) == 0 or not -len(shape) <= axis < len(shape):
        raise InputError(name, f"has shape {shape}, no axis {axis}", "give samples along an axis")
    if table.values.size == 0:
        raise InputError(name, f"must not be empty, got shape {shape}", "give at least one value")
    return np.ascontiguousarray(np.moveaxis(numbers, axis, -1))


def sample_labels(table: Table, axis: int) -> Labels:
    """Return the labels along the axis of the samples, if a series or a table has them."""
    return table.labels[axis % table.values.ndim] if table.values.ndim in (1, 2) else None


def _pair_labels(table: Table, axis: int) -> Labels:
    """Return the labels of the axis that numbers the pairs, in a table with more than one pair."""
    if table.values.ndim != 2:
        return None
    labels = table.labels[1 - axis % 2]
    return None if labels is None or len(labels) == 1 else labels
