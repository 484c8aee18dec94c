"""Columns as float64 numbers, and conversion of two columns of one name to one kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, Option, Remedy
from otdist.inputs.arrays import warn_rounded
from otdist.inputs.exact_numbers import find_common_origin, subtract, to_float
from otdist.runtime.progress import Progress, ignore_progress
from otdist.tables.comparison import Kind
from otdist.tables.labels import recode
from otdist.typing import Array, Index, Mask

LABEL_KINDS = ("categorical", "ordinal")
MIXED_ORDERS_NOTE = "the sides order the labels differently: compared without an order"


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table as numbers.

    Attributes
    ----------
    name : str
        Column name.
    kind : str or None
        None when every value is missing and the type does not determine the kind.
    values : ndarray of float64
        Numbers, days since 1970, or the codes of labels; NaN where a value is missing.
    unit : str
        Unit of the numbers: "days", "hours", "steps" of ordered labels, or "".
    labels : tuple of str
        Labels of the codes; in increasing order for an ordinal column.
    note : str
        Remark on how the column was read.
    is_tz_aware : bool or None
        Whether times have a time zone; None for other kinds and for dates without values.
    exact : ndarray or None
        The numbers in an exact type, where float64 rounds them; missing ones are arbitrary.
    """

    name: str
    kind: Kind | None
    values: Array
    unit: str = ""
    labels: tuple[str, ...] = ()
    note: str = ""
    is_tz_aware: bool | None = None
    exact: NDArray[np.generic] | None = None

    @property
    def missing(self) -> Mask:
        """Mask of missing values."""
        return np.asarray(np.isnan(self.values))

    @property
    def unordered(self) -> bool:
        """Whether the values are codes of labels without an order."""
        return self.kind == "categorical"

    @property
    def present(self) -> Array:
        """Values that are not missing."""
        return self.values[~self.missing]

    @property
    def description(self) -> str:
        """Description of the kind, the unit of numbers and the zone of times."""
        if self.kind == "numeric" and self.unit:
            return f"numeric ({self.unit})"
        if self.kind == "datetime" and self.is_tz_aware is not None:
            return f"datetime {'with' if self.is_tz_aware else 'without'} a time zone"
        return str(self.kind)

    def take(self, rows: Index) -> Column:
        """Return the column at the given rows."""
        if len(rows) == len(self.values):
            return self
        return replace(self, values=self.values[rows], exact=None)


@dataclass(frozen=True)
class UnsupportedColumn:
    """Column of a type that cannot be compared."""

    dtype: str

    def __str__(self) -> str:
        return self.dtype


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a table, each of which is read on demand.

    Attributes
    ----------
    names : tuple of str
        Names of all columns, in order.
    rows : int
        Number of rows.
    load : callable
        Function that reads the column of a name; its second argument reports progress.
    """

    names: tuple[str, ...]
    rows: int
    load: Callable[[str, Progress], Column | UnsupportedColumn]

    def read(self, name: str, report_progress: Progress = ignore_progress) -> Column | UnsupportedColumn:
        """Read a column; the table holds no reference to it."""
        try:
            return self.load(name, report_progress)
        except UnicodeDecodeError:  # Arrow does not check the text of Parquet, Feather and JSON lines
            return UnsupportedColumn("text that is not UTF-8")


class RetypedError(InputError):
    """Error for a column whose two sides have no common kind or unit; ``change`` names both."""

    def __init__(self, argument: str, problem: str, remedy: str, change: str = "") -> None:
        super().__init__(argument, problem, remedy)
        self.change = change


def align_kinds(reference: Column, current: Column) -> tuple[Column, Column]:
    """Convert both sides to one kind, one unit and one list of labels.

    Raises
    ------
    RetypedError
        If the sides have different kinds, such as numbers and labels, or different units.
    """
    kind = _find_common_kind(reference, current)
    if _strip_example(current.note) == _strip_example(reference.note):
        current = replace(current, note="")
    if kind in LABEL_KINDS:
        return _align_labels(reference, current)
    unit = reference.unit or current.unit
    sides = [replace(column, kind=kind, unit=unit) for column in (reference, current)]
    if all(side.exact is None for side in sides):
        return sides[0], sides[1]
    return _subtract_origin(sides[0], sides[1])


def _strip_example(note: str) -> str:
    """Remove the example from a note."""
    return re.sub(r", such as .*?(?=;|$)", "", note)


def _subtract_origin(reference: Column, current: Column) -> tuple[Column, Column]:
    """Subtract a common origin from large integers before they are rounded, which preserves distances."""
    sides = (reference, current)
    numbers = [side.values if side.exact is None else side.exact for side in sides]
    origin = find_common_origin((part, side.missing) for part, side in zip(numbers, sides, strict=True))
    shifted, exact = [], True
    for part, side in zip(numbers, sides, strict=True):
        difference, whole = subtract(part, side.missing, origin)
        values, lossless = to_float(difference, side.missing)
        exact = exact and whole and lossless
        shifted.append(replace(side, values=values, exact=None))
    if not exact:
        warn_rounded(f"column {reference.name!r}")
    note = f"numbers less {origin:,}" if origin else ""
    return replace(shifted[0], note="; ".join(filter(None, (reference.note, note)))), shifted[1]


def _find_common_kind(reference: Column, current: Column) -> Kind:
    known = [column for column in (reference, current) if column.kind is not None]
    if not known:
        return "numeric"
    kinds = {column.kind for column in known}
    if len(kinds) == 2 and kinds not in ({"numeric", "boolean"}, set(LABEL_KINDS)):
        raise _make_retyped_error(reference, current)
    if kinds == {"numeric", "boolean"} and any(column.unit for column in known):
        raise _make_retyped_error(reference, current)
    if len(kinds) == 1 and len(known) == 2 and not _have_equal_units(reference, current):
        raise _make_retyped_error(reference, current)
    kind = known[0].kind if len(kinds) == 1 else ("numeric" if "numeric" in kinds else "categorical")
    assert kind is not None
    return kind


def _have_equal_units(reference: Column, current: Column) -> bool:
    """Return whether two columns of one kind have equal units, and time zones on both sides or on neither."""
    zones = {column.is_tz_aware for column in (reference, current)} - {None}
    return reference.unit == current.unit and len(zones) <= 1


def _make_retyped_error(reference: Column, current: Column) -> RetypedError:
    before, after = reference.description, current.description
    kinds = Option("categorical", "[...]"), Option("numeric", "[...]")
    remedy: str = Remedy("convert one, state its kind ({}, {})", *kinds)
    if reference.kind == current.kind:
        is_time = reference.kind == "datetime"
        remedy = "give both a time zone, or none" if is_time else "bring both to one unit"
    return RetypedError(
        f"current[{current.name!r}]",
        f"is {after}, but {before} in the reference",
        Remedy("{}, or leave it out with {}", remedy, Option("columns", "[...]")),
        f"{before} -> {after}",
    )


def _align_labels(reference: Column, current: Column) -> tuple[Column, Column]:
    """Encode both sides with one list of labels: in the order common to both, or without an order."""
    kinds = {column.kind for column in (reference, current) if column.kind is not None}
    if kinds == {"ordinal"}:
        ordered = _find_common_order(reference.labels, current.labels)
        if ordered is not None:
            return _recode_column(reference, "ordinal", ordered), _recode_column(current, "ordinal", ordered)
    note = "" if "ordinal" not in kinds else MIXED_ORDERS_NOTE
    labels = reference.labels
    if labels != current.labels:
        labels = tuple(dict.fromkeys((*labels, *current.labels)))
    reference, current = (
        _recode_column(reference, "categorical", labels),
        _recode_column(current, "categorical", labels),
    )
    return replace(reference, note="; ".join(filter(None, (reference.note, note)))), current


def _find_common_order(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the longer of two orders if the other is a subsequence of it."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    remaining = iter(longer)
    return longer if all(label in remaining for label in shorter) else None


def _recode_column(column: Column, kind: Kind, labels: tuple[str, ...]) -> Column:
    values = column.values
    if column.labels and column.labels != labels:
        codes = {label: float(k) for k, label in enumerate(labels)}
        values = recode(values, np.array([codes[label] for label in column.labels]))
    unit = "steps" if kind == "ordinal" else ""
    return replace(column, kind=kind, values=values, labels=labels, unit=unit)
