"""Sampling design of the rows of two tables: groups, blocks of time, weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import check_count
from otdist.inputs.numbers import is_missing
from otdist.tables.column import Column, Table
from otdist.tables.column_tests import Design
from otdist.typing import Array, Index, RowInput

Tables = tuple[Table, Table]

Side = Column | NDArray[np.generic]
Sides = tuple[Side, Side]
SIDES = ("reference", "current")
INDEPENDENCE_ASSUMPTION = (
    "p-values assume that rows are independent; for repeated customers or rows in time use groups or blocks"
)


@dataclass(frozen=True, eq=False)
class Sampling:
    """Design of the rows, the columns that define it, and the assumption of the p-values."""

    design: Design
    columns: tuple[str, ...]
    assumption: str


def read_design(
    tables: Tables, *, groups: RowInput | None, blocks: int | None, weights: RowInput | None
) -> Sampling:
    """Read the units of rows that are relabelled together, and the weights of rows.

    Raises
    ------
    InputError
        If both ``groups`` and ``blocks`` are given, a column, group or weight is missing, or a side has fewer
        than two units.
    """
    if groups is not None and blocks is not None:
        raise InputError("blocks", "and groups are both given", "give one of them")
    sizes = [table.rows for table in tables]
    named = [value for value in (groups, weights) if isinstance(value, str)]
    units = None
    assumption = INDEPENDENCE_ASSUMPTION
    if groups is not None:
        units = _encode_units(_read_sides(groups, "groups", tables, sizes))
        subject = f"groups of {groups!r}" if isinstance(groups, str) else "groups"
        assumption = (
            f"p-values assume that {subject} are independent: {_format_counts(units)} of them are relabelled"
        )
    elif blocks is not None:
        length = check_count(blocks, "blocks")
        units = np.arange(sizes[0]) // length, np.arange(sizes[1]) // length
        assumption = (
            f"p-values assume that blocks of {length:,} consecutive rows are independent: "
            f"{_format_counts(units)} of them are relabelled"
        )
    if units is not None and min(int(side.max()) + 1 for side in units) < 2:
        argument = "groups" if groups is not None else "blocks"
        raise InputError(argument, "leave one unit on a side", "use smaller ones, or more rows")
    row_weights = None if weights is None else _read_weights(_read_sides(weights, "weights", tables, sizes))
    design = Design(None if units is None else (units[0], units[1]), row_weights)
    return Sampling(design, tuple(named), assumption)


def _format_counts(units: tuple[Index, Index]) -> str:
    return " and ".join(f"{int(side.max()) + 1:,}" for side in units)


def _read_sides(value: RowInput, argument: str, tables: Tables, sizes: list[int]) -> Sides:
    """Read one entry for each row of both tables, from a column or a pair of arrays."""
    if isinstance(value, str):
        old, new = (
            _read_column(value, argument, table, side) for table, side in zip(tables, SIDES, strict=True)
        )
        return old, new
    try:
        left, right = value
    except (TypeError, ValueError):
        raise InputError(
            argument,
            f"must be a column name or a pair, got {type(value).__name__}",
            "give (reference, current)",
        ) from None
    try:
        sides = np.asarray(left), np.asarray(right)
    except ValueError:
        raise InputError(argument, "is ragged", "give one entry a row") from None
    for name, entries, size in zip(SIDES, sides, sizes, strict=True):
        if entries.shape != (size,):
            problem = f"must have shape ({size},), got {entries.shape}, for {name}"
            raise InputError(argument, problem, "give one entry a row")
    return sides[0], sides[1]


def _read_column(name: str, argument: str, table: Table, side: str) -> Column:
    problem = "is not in"
    if name in table.names:
        column = table.read(name)
        if isinstance(column, Column):
            return column
        problem = f"has type {column} in"
    raise InputError(argument, f"{name!r} {problem} {side}", f"choose from {list(table.names)}")


def _encode_units(sides: Sides) -> tuple[Index, Index]:
    codes = []
    for name, side in zip(SIDES, sides, strict=True):
        values = side.values if isinstance(side, Column) else side
        missing = np.array([is_missing(value) for value in values.tolist()], dtype=bool)
        if missing.any():
            row = int(np.argmax(missing))
            raise InputError("groups", f"row {row} of {name} has no group", "name a group in each row")
        values = values.astype(str) if values.dtype == object else values
        codes.append(np.unique(values, return_inverse=True)[1])
    return codes[0].ravel(), codes[1].ravel()


def _read_weights(sides: Sides) -> tuple[Array, Array]:
    weights = []
    for name, side in zip(SIDES, sides, strict=True):
        if isinstance(side, Column) and side.kind not in ("numeric", "boolean"):
            raise InputError("weights", f"{side.name!r} is {side.kind} in {name}", "give numbers")
        try:
            values = np.asarray(side.values if isinstance(side, Column) else side, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("weights", f"of {name} are not numbers", "give numbers") from None
        if not np.isfinite(values).all() or (values < 0).any():
            row = int(np.argmax(~np.isfinite(values) | (values < 0)))
            problem = f"must be finite and >= 0, got {values[row]} in row {row} of {name}"
            raise InputError("weights", problem, "drop the row, or give it weight 0")
        if not values.any():
            raise InputError("weights", f"of {name} are all zero", "give at least one row a positive weight")
        # Scaling by a power of two is exact; sums of weights near 1e308 would overflow.
        weights.append(np.ldexp(values, -math.frexp(float(values.max()))[1]))
    return weights[0], weights[1]
