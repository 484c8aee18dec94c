"""How the rows of two tables were sampled: groups, blocks of time, weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import check_count
from otdist.tables.chance import Design
from otdist.tables.column import Column, Table

Tables = tuple[Table, Table]

SIDES = ("reference", "current")
INDEPENDENT = (
    "p-values assume that rows are independent; for repeated customers or rows in time use groups or blocks"
)


@dataclass(frozen=True, eq=False)
class Sampling:
    """Design of the rows, the columns that state it, and what p-values assume then."""

    design: Design
    columns: tuple[str, ...]
    assumption: str


def read_design(tables: Tables, *, groups: Any, blocks: Any, weights: Any) -> Sampling:
    """Read what rows are relabelled together, and how much each counts.

    Raises
    ------
    InputError
        If both ``groups`` and ``blocks`` are given, a column is missing, a group or weight is, or a side has
        fewer than two units.
    """
    if groups is not None and blocks is not None:
        raise InputError("blocks", "and groups are both given", "give one of them")
    sizes = [table.rows for table in tables]
    named = [value for value in (groups, weights) if isinstance(value, str)]
    units = None
    assumption = INDEPENDENT
    if groups is not None:
        units = _units(_sides(groups, "groups", tables, sizes))
        what = f"groups of {groups!r}" if isinstance(groups, str) else "groups"
        assumption = f"p-values assume that {what} are independent: {_counted(units)} of them are relabelled"
    elif blocks is not None:
        length = check_count(blocks, "blocks")
        units = np.arange(sizes[0]) // length, np.arange(sizes[1]) // length
        assumption = (
            f"p-values assume that blocks of {length:,} consecutive rows are independent: {_counted(units)} "
            "of them are relabelled"
        )
    if units is not None and min(int(side.max()) + 1 for side in units) < 2:
        argument = "groups" if groups is not None else "blocks"
        raise InputError(argument, "leave one unit on a side", "use smaller ones, or more rows")
    masses = None if weights is None else _masses(_sides(weights, "weights", tables, sizes))
    design = Design(None if units is None else (units[0], units[1]), masses)
    return Sampling(design, tuple(named), assumption)


def _counted(units: Any) -> str:
    return " and ".join(f"{int(side.max()) + 1:,}" for side in units)


def _sides(value: Any, argument: str, tables: Tables, sizes: list[int]) -> tuple[Any, Any]:
    """One entry for each row of both tables: from a column, or as given."""
    if isinstance(value, str):
        old, new = (_column(value, argument, table, side) for table, side in zip(tables, SIDES, strict=True))
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
            problem = f"has shape {entries.shape} for {size} rows of {name}"
            raise InputError(argument, problem, "give one entry a row")
    return sides[0], sides[1]


def _column(name: str, argument: str, table: Table, side: str) -> Column:
    problem = "is not in"
    if name in table.names:
        column = table.read(name)
        if isinstance(column, Column):
            return column
        problem = f"has type {column} in"
    raise InputError(argument, f"{name!r} {problem} {side}", f"choose from {list(table.names)}")


def _units(sides: tuple[Any, Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    found = []
    for name, side in zip(SIDES, sides, strict=True):
        values = side.values if isinstance(side, Column) else side
        gone = np.array([value is None or value != value for value in values.tolist()], dtype=bool)
        if gone.any():
            row = int(np.argmax(gone))
            raise InputError("groups", f"row {row} of {name} has none", "name a group in each row")
        values = values.astype(str) if values.dtype == object else values
        found.append(np.unique(values, return_inverse=True)[1])
    return found[0].ravel(), found[1].ravel()


def _masses(sides: tuple[Any, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = []
    for name, side in zip(SIDES, sides, strict=True):
        if isinstance(side, Column) and side.kind not in ("numeric", "boolean"):
            raise InputError("weights", f"{side.name!r} is {side.kind} in {name}", "give numbers")
        try:
            values = np.asarray(side.values if isinstance(side, Column) else side, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("weights", f"of {name} are not numbers", "give numbers") from None
        if not np.isfinite(values).all() or (values < 0).any():
            row = int(np.argmax(~np.isfinite(values) | (values < 0)))
            problem = f"row {row} of {name} has {values[row]}"
            raise InputError("weights", problem, "weights must be finite and >= 0")
        if not values.any():
            raise InputError("weights", f"of {name} are all zero", "give at least one row a positive weight")
        # By a power of two, which is exact: sums of weights near 1e308 would overflow.
        found.append(np.ldexp(values, -math.frexp(float(values.max()))[1]))
    return found[0], found[1]
