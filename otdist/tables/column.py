"""A column as float64 numbers, and two columns of one name brought to one kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import warn_rounded
from otdist.errors import InputError, Option, Remedy
from otdist.inputs.exact import common_origin, subtract, to_float
from otdist.progress import Progress, ignore_progress
from otdist.tables.comparison import Kind
from otdist.tables.labels import recode

Array = NDArray[np.float64]

LABELLED = ("categorical", "ordinal")
MIXED_ORDERS = "the sides order the labels differently: compared without an order"


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table as numbers.

    Attributes
    ----------
    name : str
        Column name.
    kind : str or None
        None when every value is missing and the type does not tell.
    values : ndarray of float64
        Numbers, days since 1970, or the codes of labels; NaN where a value is missing.
    unit : str
        Unit of the numbers: "days", "hours", "steps" of ordered labels, or "".
    labels : tuple of str
        What the codes stand for; of an ordinal column in increasing order.
    note : str
        What a reader must know of how the column was read.
    zoned : bool or None
        Whether times have a time zone; None for what is not a time, and for dates that have no value.
    exact : ndarray or None
        The numbers in a type that holds them, where float64 rounds them; missing ones are any number.
    """

    name: str
    kind: Kind | None
    values: Array
    unit: str = ""
    labels: tuple[str, ...] = ()
    note: str = ""
    zoned: bool | None = None
    exact: NDArray[Any] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which values are missing."""
        return np.asarray(np.isnan(self.values))

    @property
    def unordered(self) -> bool:
        """Whether the values are codes of labels without an order."""
        return self.kind == "categorical"

    @property
    def present(self) -> Array:
        """The values that are there."""
        return self.values[~self.missing]

    @property
    def meaning(self) -> str:
        """Kind, unit of numbers and zone of times, in words."""
        if self.kind == "numeric" and self.unit:
            return f"numeric ({self.unit})"
        if self.kind == "datetime" and self.zoned is not None:
            return f"datetime {'with' if self.zoned else 'without'} a time zone"
        return str(self.kind)

    def take(self, rows: NDArray[np.intp]) -> Column:
        """The column of some of the rows."""
        if len(rows) == len(self.values):
            return self
        return replace(self, values=self.values[rows], exact=None)


@dataclass(frozen=True)
class Unread:
    """A column that cannot be compared, and its type."""

    dtype: str

    def __str__(self) -> str:
        return self.dtype


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of a table, each of which is read when it is asked for.

    Attributes
    ----------
    names : tuple of str
        Names of all columns, in order.
    rows : int
        Number of rows.
    load : callable
        Reads the column of a name; the second argument is called with how far it is.
    """

    names: tuple[str, ...]
    rows: int
    load: Callable[[str, Progress], Column | Unread]

    def read(self, name: str, report_progress: Progress = ignore_progress) -> Column | Unread:
        """Read a column, which nothing but the caller keeps in memory."""
        return self.load(name, report_progress)


class RetypedError(InputError):
    """The two sides of a column cannot be measured on one axis; ``change`` says from what to what."""

    def __init__(self, argument: str, problem: str, remedy: str, change: str = "") -> None:
        super().__init__(argument, problem, remedy)
        self.change = change


def matched(reference: Column, current: Column) -> tuple[Column, Column]:
    """Give both sides one kind, one unit and one list of labels.

    Raises
    ------
    RetypedError
        If numbers, times and labels, or two units, stand on the two sides.
    """
    kind = _common_kind(reference, current)
    if _shape(current.note) == _shape(reference.note):
        current = replace(current, note="")
    if kind in LABELLED:
        return _with_common_labels(reference, current)
    unit = reference.unit or current.unit
    sides = [replace(column, kind=kind, unit=unit) for column in (reference, current)]
    if all(side.exact is None for side in sides):
        return sides[0], sides[1]
    return _shifted(sides[0], sides[1])


def _shape(note: str) -> str:
    """A note without its example."""
    return re.sub(r", such as .*?(?=;|$)", "", note)


def _shifted(reference: Column, current: Column) -> tuple[Column, Column]:
    """Large whole numbers less a common origin, subtracted before they are rounded: distances stay."""
    sides = (reference, current)
    numbers = [side.values if side.exact is None else side.exact for side in sides]
    origin = common_origin((part, side.missing) for part, side in zip(numbers, sides, strict=True))
    near, exact = [], True
    for part, side in zip(numbers, sides, strict=True):
        difference, whole = subtract(part, side.missing, origin)
        values, kept = to_float(difference, side.missing)
        exact = exact and whole and kept
        near.append(replace(side, values=values, exact=None))
    if not exact:
        warn_rounded(f"column {reference.name!r}")
    note = f"numbers less {origin:,}" if origin else ""
    return replace(near[0], note="; ".join(filter(None, (reference.note, note)))), near[1]


def _common_kind(reference: Column, current: Column) -> Kind:
    known = [column for column in (reference, current) if column.kind is not None]
    if not known:
        return "numeric"
    kinds = {column.kind for column in known}
    if len(kinds) == 2 and kinds not in ({"numeric", "boolean"}, set(LABELLED)):
        raise _retyped(reference, current)
    if kinds == {"numeric", "boolean"} and any(column.unit for column in known):
        raise _retyped(reference, current)
    if len(kinds) == 1 and len(known) == 2 and not _alike(reference, current):
        raise _retyped(reference, current)
    kind = known[0].kind if len(kinds) == 1 else ("numeric" if "numeric" in kinds else "categorical")
    assert kind is not None
    return kind


def _alike(reference: Column, current: Column) -> bool:
    """Whether two columns of one kind have one unit, and times a zone on both sides or on none."""
    zones = {column.zoned for column in (reference, current)} - {None}
    return reference.unit == current.unit and len(zones) <= 1


def _retyped(reference: Column, current: Column) -> RetypedError:
    before, after = reference.meaning, current.meaning
    kinds = Option("categorical", "[...]"), Option("numeric", "[...]")
    how: str = Remedy("convert one, state its kind ({}, {})", *kinds)
    if reference.kind == current.kind:
        how = "give both a time zone, or none" if reference.kind == "datetime" else "bring both to one unit"
    return RetypedError(
        f"current[{current.name!r}]",
        f"is {after}, but {before} in the reference",
        Remedy("{}, or leave it out with {}", how, Option("columns", "[...]")),
        f"{before} -> {after}",
    )


def _with_common_labels(reference: Column, current: Column) -> tuple[Column, Column]:
    """Both sides in codes of one list: the order that both state, or no order."""
    kinds = {column.kind for column in (reference, current) if column.kind is not None}
    if kinds == {"ordinal"}:
        ordered = _common_order(reference.labels, current.labels)
        if ordered is not None:
            return _coded(reference, "ordinal", ordered), _coded(current, "ordinal", ordered)
    note = "" if "ordinal" not in kinds else MIXED_ORDERS
    labels = reference.labels
    if labels != current.labels:
        labels = tuple(dict.fromkeys((*labels, *current.labels)))
    reference, current = _coded(reference, "categorical", labels), _coded(current, "categorical", labels)
    return replace(reference, note="; ".join(filter(None, (reference.note, note)))), current


def _common_order(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    """The longer of two orders where the other is a part of it."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    rest = iter(longer)
    return longer if all(label in rest for label in shorter) else None


def _coded(column: Column, kind: Kind, labels: tuple[str, ...]) -> Column:
    values = column.values
    if column.labels and column.labels != labels:
        place = {label: float(k) for k, label in enumerate(labels)}
        values = recode(values, np.array([place[label] for label in column.labels]))
    unit = "steps" if kind == "ordinal" else ""
    return replace(column, kind=kind, values=values, labels=labels, unit=unit)
