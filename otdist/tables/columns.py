"""Readers of tables of any library as columns of numbers and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch, read
from otdist.inputs.frames import from_native, get_collect_call, to_narwhals_input
from otdist.runtime.progress import Progress
from otdist.tables.column import Column, RetypedError, Table, UnsupportedColumn, align_kinds
from otdist.tables.conversion import to_labels, to_numbers
from otdist.tables.files.notes import column_note
from otdist.tables.files.parquet import ParquetTable
from otdist.tables.labels import from_arrow
from otdist.tables.series import from_texts, read_array, read_column, read_values

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from otdist.typing import TableInput

V = TypeVar("V", bound=Sized)

__all__ = ["Column", "RetypedError", "align_kinds", "as_names", "open_table", "read_columns"]


def read_columns(
    table: TableInput, name: str, *, categorical: Sequence[str] = (), numeric: Sequence[str] = ()
) -> tuple[dict[str, Column], dict[str, UnsupportedColumn]]:
    """Read a DataFrame of any library, an array, a dict or a list of dicts, as named columns in order.

    Parameters
    ----------
    table : DataFrame, array, dict of columns or list of dicts
        Table to read.
    name : str
        Name of the table in messages.
    categorical, numeric : sequence of str
        Columns to read as labels, and as numbers, whatever their type; names that are not in the table
        are ignored.

    Returns
    -------
    columns : dict of str to Column
        Columns that can be compared.
    others : dict of str to UnsupportedColumn
        Columns that cannot be compared.

    Raises
    ------
    InputError
        If this is not a table, or a column of ``numeric`` holds other values than numbers.
    """
    columns: dict[str, Column] = {}
    others: dict[str, UnsupportedColumn] = {}
    source = open_table(table, name, categorical=categorical, numeric=numeric)
    for label in source.names:
        column = source.read(label)
        if isinstance(column, UnsupportedColumn):
            others[label] = column
        else:
            columns[label] = column
    return columns, others


def open_table(
    table: TableInput, name: str, *, categorical: Sequence[str] = (), numeric: Sequence[str] = ()
) -> Table:
    """Open a table as :func:`read_columns` does, but read each column on demand.

    Only one column at a time is held in memory as float64.
    """
    if both := set(categorical) & set(numeric):
        raise InputError("numeric", f"{sorted(both)[0]!r} is in categorical as well", "name it once")
    source = _open_source(table, name)

    def load(label: str, report_progress: Progress) -> Column | UnsupportedColumn:
        column = source.load(label, report_progress)
        if isinstance(column, UnsupportedColumn):
            return column
        if label in categorical:
            return to_labels(column)
        return to_numbers(column, name) if label in numeric else column

    return replace(source, load=load)


def as_names(names: Iterable[object] | None, argument: str) -> tuple[str, ...]:
    """Return names of columns as text; some tables have numbers for names.

    Raises
    ------
    InputError
        If this is one name instead of a sequence.
    """
    if names is None:
        return ()
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        problem = f"must be a sequence of names, got {names!r}"
        raise InputError(argument, problem, "give a list of names, or None for all")
    return tuple(str(name) for name in names)


def _open_source(table: TableInput, name: str) -> Table:
    import narwhals.stable.v2 as nw

    if isinstance(table, str | Path) or (type(table) is dict and not table):
        raise InputError(
            name, f"is {str(table)!r}, not a table", "read the file first, or use the command line"
        )
    if isinstance(table, ParquetTable):
        return _open_parquet(table, name)
    if isinstance(table, Mapping) and not type(table).__module__.startswith("scipy"):
        return _collect_columns([(key, table[key]) for key in table], name, read_values)
    if isinstance(table, list) and table and all(isinstance(row, dict) for row in table):
        keys = dict.fromkeys(key for row in table for key in row)
        return _collect_columns([(key, _extract_field(table, key)) for key in keys], name, read_array)
    if isinstance(table, np.ndarray) and table.dtype.names is not None:
        return _collect_columns([(key, table[key]) for key in table.dtype.names], name, read_values)
    native = collect_native(table)
    frame = from_native(native, name, allow_series=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError(name, "is a lazy frame", f"call {get_collect_call(table)} first")
    if isinstance(frame, nw.Series):
        return _collect_columns([("x0", frame)], name, read_column)
    if not isinstance(frame, nw.DataFrame):
        return _open_matrix(table, name)
    _check_size(frame.shape, name)
    series = _index_by_name([(part.name, part) for part in frame.iter_columns()], name)

    def load(label: str, report_progress: Progress) -> Column | UnsupportedColumn:
        report_progress(label)
        return _add_file_note(_read_or_describe(label, series[label], name, read_column), table)

    return Table(tuple(series), len(frame), load)


def _open_parquet(table: ParquetTable, name: str) -> Table:
    import narwhals.stable.v2 as nw
    import pyarrow as pa
    from pyarrow.types import is_fixed_size_list, is_large_list, is_list, is_struct

    def is_nested(dtype: pa.DataType) -> bool:
        return any(test(dtype) for test in (is_list, is_large_list, is_fixed_size_list, is_struct))

    _check_size((table.num_rows, len(table.column_names)), name)

    def load(label: str, report_progress: Progress) -> Column | UnsupportedColumn:
        dtype = table.schema.field(label).type
        if is_nested(dtype):  # not comparable: its values need not be read
            chunks, is_text = pa.chunked_array([], dtype), False
        else:
            chunks, is_text = table.read_column(label, report_progress)
        if is_text:
            return _add_file_note(from_texts(label, from_arrow(chunks)), table)
        series = nw.from_native(chunks, series_only=True)
        return _add_file_note(_read_or_describe(label, series, name, read_column), table)

    return Table(tuple(table.column_names), table.num_rows, load)


def _check_size(shape: tuple[int, int], name: str) -> None:
    if 0 in shape:
        raise InputError(
            name, f"must not be empty, got shape {shape}", "give at least one row and one column"
        )


def _add_file_note(column: Column | UnsupportedColumn, table: object) -> Column | UnsupportedColumn:
    if isinstance(column, UnsupportedColumn):
        return column
    note, unit = column_note(table, column.name)
    return replace(column, note=note or column.note, unit=unit or column.unit)


def _extract_field(rows: list[dict[object, object]], key: object) -> NDArray[np.object_]:
    """Return the value of a key in every row; None where the row has no such key."""
    values = np.empty(len(rows), dtype=object)
    values[:] = [row.get(key) for row in rows]
    return values


def collect_native(table: object) -> object:
    """Convert tables of databases and engines to Arrow tables; return others unchanged."""
    module = type(table).__module__.split(".")[0]
    if module == "pyspark" and hasattr(table, "toArrow"):
        return table.toArrow()
    if module in ("duckdb", "_duckdb", "ibis") and hasattr(table, "__arrow_c_stream__"):
        import pyarrow as pa

        return pa.table(table)
    return to_narwhals_input(table)


def _collect_columns(
    parts: Sequence[tuple[object, V]], name: str, read_part: Callable[[str, V, str], Column | None]
) -> Table:
    """Make a table of separate columns, which are read at once so that their lengths can be checked."""
    columns = {
        label: _read_or_describe(label, values, name, read_part)
        for label, values in _index_by_name(parts, name).items()
    }
    sizes = {
        label: len(values) if isinstance(column, UnsupportedColumn) else len(column.values)
        for (label, column), (_, values) in zip(columns.items(), parts, strict=True)
    }
    if len(set(sizes.values())) > 1:
        raise InputError(name, f"columns have different lengths ({sizes})", "give one value a row")
    return _make_memory_table(columns, next(iter(sizes.values()), 0))


def _make_memory_table(columns: Mapping[str, Column | UnsupportedColumn], rows: int) -> Table:
    return Table(tuple(columns), rows, lambda label, report_progress: columns[label])


def _index_by_name(parts: Sequence[tuple[object, V]], name: str) -> dict[str, V]:
    columns: dict[str, V] = {}
    for key, values in parts:
        label = str(key)
        if label in columns:
            raise InputError(name, f"two columns are called {label!r}", "rename one of them")
        columns[label] = values
    return columns


def _read_or_describe(
    label: str, values: V, name: str, read_part: Callable[[str, V, str], Column | None]
) -> Column | UnsupportedColumn:
    column: Column | None = read_part(label, values, name)
    return UnsupportedColumn(_get_type_name(values)) if column is None else column


def _get_type_name(values: object) -> str:
    import narwhals.stable.v2 as nw

    if isinstance(values, nw.Series) and values.dtype == nw.Unknown:
        values = values.to_native()
    return str(getattr(values, "dtype", getattr(values, "type", type(values).__name__)))


def _open_matrix(table: object, name: str) -> Table:
    if isinstance(table, list | tuple) and not is_torch(table):
        table = to_text_array(table)
    if isinstance(table, np.ndarray) and table.dtype.kind in "OUSTmM" and table.ndim in (1, 2):
        rows = table[:, None] if table.ndim == 1 else table
        return _collect_columns([(f"x{k}", rows[:, k]) for k in range(rows.shape[1])], name, read_array)
    values = read(table, name)
    matrix = values.values[:, None] if values.values.ndim == 1 else values.values
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            name, f"has shape {matrix.shape}", "give rows and columns, shape (n, d), none of them 0"
        )
    names = values.columns or tuple(f"x{k}" for k in range(matrix.shape[1]))
    columns = {label: Column(label, "numeric", matrix[:, k]) for k, label in enumerate(names)}
    return _make_memory_table(columns, len(matrix))


def to_text_array(rows: object) -> object:
    """Convert lists of text to an array; return others unchanged, for the reader of numbers to check."""
    try:
        array = np.asarray(rows)
    except ValueError:
        return rows
    return np.asarray(rows, dtype=object) if array.dtype.kind in "US" else rows
