"""Numbers and times of tables and columns of any library, by narwhals."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, PublicName, Remedy
from otdist.imports import wait_for_imports
from otdist.inputs.numbers import from_array, from_objects, from_ticks
from otdist.inputs.table import Table
from otdist.inputs.times import TICKS, Clock, common_clock

TABLES = (
    "pandas",
    "polars",
    "pyarrow",
    "modin.pandas",
    "cudf",
    "dask.dataframe",
    "duckdb",
    "ibis",
    "pyspark.sql",
)


def as_series(values: Any) -> Any:
    """Series, tables and Arrow arrays for what narwhals does not take as it is."""
    module = type(values).__module__.split(".")[0]
    if module == "pandas" and not hasattr(values, "index"):  # an Index or extension array
        return sys.modules["pandas"].Series(values)
    if module == "pyarrow":
        return _from_arrow(values)
    if not hasattr(values, "__array__") and hasattr(values, "__arrow_c_stream__"):
        return _from_stream(values)
    return values


def _from_arrow(values: Any) -> Any:
    """Arrow's arrays, batches and tensors as columns, tables and arrays."""
    import pyarrow

    if isinstance(values, pyarrow.Array):
        return pyarrow.chunked_array([values])
    if isinstance(values, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([values])
    return values.to_numpy() if isinstance(values, pyarrow.Tensor) else values


def _from_stream(values: Any) -> Any:
    """Table or column of an object that knows Arrow's interface; others come back as they are."""
    import pyarrow

    for make in (pyarrow.table, pyarrow.chunked_array):
        try:
            return make(values)
        except (pyarrow.ArrowInvalid, TypeError):  # of the other kind
            continue
    return values


def from_dataframe(values: Any, name: str) -> Table | None:
    """Read a table or column of any library; None for what is neither."""
    import narwhals.stable.v2 as nw

    frame = from_native(values, name, allow_series=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError(name, "is a lazy frame", f"call {collecting_call(values)} first")
    if isinstance(frame, nw.Series):
        return read_series(frame, name)
    if not isinstance(frame, nw.DataFrame):
        return None
    names = tuple(str(column) for column in frame.columns)
    parts = [read_series(column, f"{name}[{column.name!r}]") for column in frame.iter_columns()]
    if not parts:
        return Table(np.empty((len(frame), 0)), names)
    if any(part.clock is not None for part in parts):
        return _joined_times(parts, names, frame, name)
    raw = None if all(part.raw is None for part in parts) else tuple(part.whole() for part in parts)
    return Table(np.column_stack([part.values for part in parts]), names, raw)


def collecting_call(frame: Any) -> str:
    """Method of a lazy frame that computes its table."""
    if type(frame).__module__.startswith("pyspark"):
        return ".toArrow()" if hasattr(frame, "toArrow") else ".toPandas()"
    calls = (".collect()", ".compute()", ".to_arrow_table()", ".to_pyarrow()")
    return next((call for call in calls if hasattr(frame, call[1:-2])), ".collect()")


def _joined_times(parts: list[Table], names: tuple[str, ...], frame: Any, name: str) -> Table:
    """Columns of times in one tick; beside plain numbers they have no common unit."""
    for part, column, dtype in zip(parts, names, frame.schema.values(), strict=True):
        if part.clock is not None and any(other.clock is None for other in parts):
            raise InputError(
                f"{name}[{column!r}]",
                f"column of type {dtype} is not numeric, but others are",
                "convert it to numbers in a unit, such as (t - t.min()) / pandas.Timedelta(seconds=1)",
            )
    clock = common_clock(
        tuple(part.clock for part in parts), tuple(f"{name}[{column!r}]" for column in names)
    )
    assert clock is not None
    finer = [part.at(clock.tick) for part in parts]
    values = np.column_stack([part.values for part in finer])
    return Table(values, names, tuple(part.whole() for part in finer), clock=clock)


def from_native(table: Any, name: str, *, allow_series: bool = False) -> Any:
    """Wrap a table by narwhals; what is not a table comes back as it is."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    wait_for_imports(TABLES)  # narwhals looks for their classes
    try:
        return nw.from_native(table, pass_through=True, allow_series=allow_series)
    except DuplicateError as error:
        reason = " ".join(str(error).split())
        raise InputError(name, f"has two columns of one name ({reason})", "rename one of them") from None


def read_series(series: Any, name: str) -> Table:
    """Read a column of a table: numbers or times."""
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype.is_float() or dtype.is_decimal():
        return Table(np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64))
    if dtype == nw.Object:
        return from_objects(np.asarray(series.to_numpy(), dtype=object), name)
    if dtype == nw.Boolean or dtype.is_integer() or dtype in (nw.Datetime, nw.Date, nw.Duration):
        # Read apart from the nulls, which would make floats of integers unseen.
        present = ~np.asarray(series.is_null().to_numpy(), dtype=bool)
        return _spread(_read_present(series if present.all() else series.drop_nulls(), name), present)
    if dtype == nw.Unknown:  # sparse and extension types, of which some are numbers
        array = np.asarray(series.to_numpy())
        if array.dtype.kind in "fiub" or array.dtype == object:
            return from_array(array, name)
    raise InputError(name, *not_numeric_column(series))


def not_numeric_column(series: Any) -> tuple[str, str]:
    """Problem and remedy for a column that holds no numbers."""
    return (
        f"column of type {series.dtype} is not numeric",
        Remedy(
            "drop it, encode it as numbers, or use {}, which reads dates and labels", PublicName("compare")
        ),
    )


def _read_present(series: Any, name: str) -> Table:
    """Read a column of integers, booleans or times without nulls."""
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype == nw.Datetime and dtype.time_zone is not None:
        # As an array pandas has objects with their zone, polars and Arrow times in UTC without it.
        unit = "ms" if dtype.time_unit == "s" else dtype.time_unit
        ticks = np.asarray(series.dt.timestamp(unit).to_numpy(), dtype=np.int64)
        return from_ticks(ticks, np.zeros(len(ticks), dtype=bool), Clock("datetime", TICKS[unit], True))
    return from_array(np.asarray(series.to_numpy()), name)


def _spread(table: Table, present: NDArray[np.bool_]) -> Table:
    """A column with its nulls again."""
    if present.all():
        return table
    values = np.full(len(present), np.nan)
    values[present] = table.values
    if table.raw is None:
        return replace(table, values=values)
    whole = table.whole()
    raw = np.zeros(len(present), dtype=whole.dtype)
    raw[present] = whole
    return replace(table, values=values, raw=raw)
