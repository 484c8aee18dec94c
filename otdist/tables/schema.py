"""Matching of the columns of two tables, and reports on columns that cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from otdist.errors import InputError
from otdist.inputs.arguments import check_number
from otdist.runtime.progress import Progress, ignore_progress
from otdist.tables.column import Column, RetypedError, Table, UnsupportedColumn, align_kinds
from otdist.tables.comparison import ColumnReport, Kind, SchemaVerdict

Tables = tuple[Table, Table]
Pair = tuple[Column, Column]

CIRCULAR_KINDS = ("numeric", "datetime")


@dataclass(frozen=True, eq=False)
class ColumnMatching:
    """Columns to compare, each of which is read on demand.

    Attributes
    ----------
    tables : tuple of Table
        The reference and the current table.
    order : list of str
        Columns of the report.
    units : mapping of str to str
        Units stated by the caller.
    periods : mapping of str to float
        Periods of columns on a circle, in their units.
    notes : list of str
        Remarks on the columns.
    """

    tables: Tables
    order: list[str]
    units: Mapping[str, str]
    periods: Mapping[str, float]
    notes: list[str]

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of rows of both tables."""
        return self.tables[0].rows, self.tables[1].rows

    def read(self, name: str, report_progress: Progress = ignore_progress) -> Pair | ColumnReport:
        """Read a column of both tables in one kind; return a report if it cannot be compared.

        Raises
        ------
        InputError
            If ``units`` or ``periodic`` name a column of an unsuitable kind.
        """
        sides = [table.read(name, report_progress) if name in table.names else None for table in self.tables]
        before, after = sides
        if not (isinstance(before, Column) and isinstance(after, Column)):
            self._check_period(name, None)
            return _report_mismatch(name, before, after)
        try:
            pair = align_kinds(before, after)
        except RetypedError as error:
            self._check_period(name, None)
            return _report_retyped(before, after, error.change)
        pair = _set_unit(pair, self.units.get(name))
        self._check_period(name, pair[0])
        return pair

    def _check_period(self, name: str, column: Column | None) -> None:
        if name not in self.periods:
            return
        if column is None:
            remedy = f"choose from {[other for other in self.order if other != name]}"
            raise InputError("periodic", f"names {name!r}, which is not compared", remedy)
        if column.kind not in CIRCULAR_KINDS:
            raise InputError("periodic", f"{name!r} is {column.kind}", "give periods of numeric columns")


def match_columns(
    tables: Tables,
    columns: Sequence[str] | None,
    *,
    excluded: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
    periodic: Mapping[str, float] | None = None,
) -> ColumnMatching:
    """Match columns by name.

    Raises
    ------
    InputError
        If no column is shared, a requested column is in neither table, or ``units`` or ``periodic`` name a
        column that is not compared.
    """
    for argument, mapping, example in (("units", units, "EUR"), ("periodic", periodic, 24)):
        if mapping is not None and not isinstance(mapping, Mapping):
            remedy = f"give a mapping from columns, such as {{'a': {example!r}}}"
            raise InputError(argument, f"must be a mapping, got {mapping!r}", remedy)
    order = _order_columns(tables, columns, excluded)
    before, after = tables
    shared = [name for name in before.names if name in after.names]
    if columns is None and not any(name in shared for name in order):
        raise _make_no_shared_error(tables)
    for argument, mapping in (("units", units), ("periodic", periodic)):
        for name in mapping or {}:
            if name not in order:
                raise InputError(argument, f"names {name!r}, which is not compared", f"choose from {order}")
    periods = {
        name: check_number(period, f"periodic[{name!r}]", above=0.0, remedy="give a length such as 24")
        for name, period in (periodic or {}).items()
    }
    notes = []
    if [name for name in after.names if name in before.names] != shared:
        notes.append("columns of current stand in another order; matched by name")
    return ColumnMatching(tables, order, units or {}, periods, notes)


def _order_columns(tables: Tables, columns: Sequence[str] | None, excluded: Sequence[str]) -> list[str]:
    known = [*tables[0].names, *tables[1].names]
    if columns is None:
        return [name for name in dict.fromkeys(known) if name not in excluded]
    names = list(dict.fromkeys(str(name) for name in columns))
    if unknown := [name for name in names if name not in known]:
        remedy = f"choose from {list(dict.fromkeys(known))}"
        raise InputError("columns", f"{unknown} in neither table", remedy)
    return names


def _report_mismatch(
    name: str, before: Column | UnsupportedColumn | None, after: Column | UnsupportedColumn | None
) -> ColumnReport:
    """Report a column that is not in both tables or cannot be read."""
    kinds = [side.kind for side in (before, after) if isinstance(side, Column)]
    kind = kinds[0] if kinds else None
    if after is None:
        return _make_empty_report(name, kind, "gone", "not in the current table")
    if before is None:
        return _make_empty_report(name, kind, "new", "not in the reference")
    types = " and ".join(
        f"{side} has type {column}"
        for side, column in (("reference", before), ("current", after))
        if isinstance(column, UnsupportedColumn)
    )
    return _make_empty_report(name, kind, "unreadable", types)


def _make_empty_report(name: str, kind: Kind | None, verdict: SchemaVerdict, note: str) -> ColumnReport:
    return ColumnReport(name=name, kind=kind, status=verdict, verdict=verdict, note=note)


def _report_retyped(before: Column, after: Column, change: str) -> ColumnReport:
    report = _make_empty_report(before.name, before.kind, "retyped", change)
    return replace(
        report,
        n_reference=len(before.present),
        n_current=len(after.present),
        missing_reference=float(before.missing.mean()),
        missing_current=float(after.missing.mean()),
    )


def _set_unit(pair: tuple[Column, Column], unit: str | None) -> tuple[Column, Column]:
    if unit is None:
        return pair
    if not isinstance(unit, str):
        raise InputError("units", f"{pair[0].name!r} has {unit!r}", "give a text such as 'EUR'")
    if pair[0].kind != "numeric":
        raise InputError("units", f"{pair[0].name!r} is {pair[0].kind}", "give units of numeric columns")
    return replace(pair[0], unit=unit), replace(pair[1], unit=unit)


def _make_no_shared_error(tables: Tables) -> InputError:
    sides = [{name: table.read(name) for name in table.names} for table in tables]
    known = [[name for name in side if isinstance(side[name], Column)] for side in sides]
    odd = {
        name: column
        for side in sides
        for name, column in side.items()
        if isinstance(column, UnsupportedColumn)
    }
    excluded = "; ".join(f"{name} has type {dtype}" for name, dtype in odd.items())
    if odd and not any(known):
        return InputError("reference", f"has no column that can be compared ({excluded})", "convert a column")
    remedy = "rename the columns so that they match"
    listed = f"{known[1][:5]} against {known[0][:5]}{'; ' if excluded else ''}{excluded}"
    return InputError("current", f"shares no column with the reference ({listed})", remedy)
