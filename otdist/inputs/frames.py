"""Numbers and times from tables and columns of any library, read with narwhals."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError, PublicName, Remedy, get_reason
from otdist.inputs.numbers import from_array, from_objects, from_ticks
from otdist.inputs.table import Table
from otdist.inputs.times import UNIT_SECONDS, Clock, find_common_clock
from otdist.runtime.imports import wait_for_imports
from otdist.typing import Mask

if TYPE_CHECKING:
    import narwhals

    DataFrame = narwhals.DataFrame[Any]
    Series = narwhals.Series[Any]

DATAFRAME_MODULES = (
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


def to_narwhals_input(values: object) -> object:
    """Convert values that narwhals does not accept to a series, table or array."""
    module = type(values).__module__.split(".")[0]
    if module == "pandas" and not hasattr(values, "index"):  # Index or extension array
        return sys.modules["pandas"].Series(values)
    if module == "pyarrow":
        return _from_arrow(values)
    if not hasattr(values, "__array__") and hasattr(values, "__arrow_c_stream__"):
        return _from_stream(values)
    return values


def _from_arrow(values: object) -> object:
    """Convert arrays, batches and tensors of Arrow to columns, tables and arrays."""
    import pyarrow

    if isinstance(values, pyarrow.Array):
        return pyarrow.chunked_array([values])
    if isinstance(values, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([values])
    return values.to_numpy() if isinstance(values, pyarrow.Tensor) else values


def _from_stream(values: object) -> object:
    """Convert an object with the Arrow stream interface to a table or column; return others unchanged."""
    import pyarrow

    for convert in (pyarrow.table, pyarrow.chunked_array):
        try:
            return convert(values)
        except (pyarrow.ArrowInvalid, TypeError):  # of the other kind
            continue
    return values


def from_dataframe(values: object, name: str) -> Table | None:
    """Read a table or column of any library; None for other values."""
    import narwhals.stable.v2 as nw

    frame = from_native(values, name, allow_series=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError(name, "is a lazy frame", f"call {get_collect_call(values)} first")
    if isinstance(frame, nw.Series):
        return read_series(frame, name)
    if not isinstance(frame, nw.DataFrame):
        return None
    names = tuple(str(column) for column in frame.columns)
    parts = [read_series(column, f"{name}[{column.name!r}]") for column in frame.iter_columns()]
    if not parts:
        return Table(np.empty((len(frame), 0)), names)
    if any(part.clock is not None for part in parts):
        return _merge_time_columns(parts, names, frame, name)
    raw = None if all(part.raw is None for part in parts) else tuple(part.to_exact_array() for part in parts)
    return Table(np.column_stack([part.values for part in parts]), names, raw)


def get_collect_call(frame: object) -> str:
    """Return the call of a lazy frame that computes its table."""
    if type(frame).__module__.startswith("pyspark"):
        return ".toArrow()" if hasattr(frame, "toArrow") else ".toPandas()"
    calls = (".collect()", ".compute()", ".to_arrow_table()", ".to_pyarrow()")
    return next((call for call in calls if hasattr(frame, call[1:-2])), ".collect()")


def _merge_time_columns(parts: list[Table], names: tuple[str, ...], frame: DataFrame, name: str) -> Table:
    """Merge columns of times with a common tick; raises InputError beside plain numbers."""
    for part, column, dtype in zip(parts, names, frame.schema.values(), strict=True):
        if part.clock is not None and any(other.clock is None for other in parts):
            raise InputError(
                f"{name}[{column!r}]",
                f"column of type {dtype} is not numeric, but others are",
                "convert it to numbers in a unit, such as (t - t.min()) / pandas.Timedelta(seconds=1)",
            )
    clock = find_common_clock(
        tuple(part.clock for part in parts), tuple(f"{name}[{column!r}]" for column in names)
    )
    assert clock is not None
    finer = [part.convert_ticks(clock.tick) for part in parts]
    values = np.column_stack([part.values for part in finer])
    return Table(values, names, tuple(part.to_exact_array() for part in finer), clock=clock)


def from_native(table: object, name: str, *, allow_series: bool = False) -> object:
    """Wrap a table by narwhals; return other values unchanged."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    wait_for_imports(DATAFRAME_MODULES)  # narwhals looks for their classes
    try:
        return nw.from_native(table, pass_through=True, allow_series=allow_series)
    except DuplicateError as error:
        problem = f"has two columns of one name ({get_reason(error)})"
        raise InputError(name, problem, "rename one of them") from None


def read_series(series: Series, name: str) -> Table:
    """Read a column of a table: numbers or times."""
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype.is_float() or dtype.is_decimal():
        return Table(np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64))
    if dtype == nw.Object:
        return from_objects(np.asarray(series.to_numpy(), dtype=object), name)
    if dtype == nw.Boolean or dtype.is_integer() or dtype in (nw.Datetime, nw.Date, nw.Duration):
        # Read without nulls, which would silently convert integers to floats.
        present = ~np.asarray(series.is_null().to_numpy(), dtype=bool)
        return _restore_nulls(_read_non_null(series if present.all() else series.drop_nulls(), name), present)
    if dtype == nw.Unknown:  # sparse and extension types, some of which are numeric
        array = np.asarray(series.to_numpy())
        if array.dtype.kind in "fiub" or array.dtype == object:
            return from_array(array, name)
    raise InputError(name, *describe_non_numeric_column(series))


def describe_non_numeric_column(series: Series) -> tuple[str, str]:
    """Return problem and remedy for a column without numbers."""
    return (
        f"column of type {series.dtype} is not numeric",
        Remedy(
            "drop it, encode it as numbers, or use {}, which reads dates and labels", PublicName("compare")
        ),
    )


def _read_non_null(series: Series, name: str) -> Table:
    """Read a column of integers, booleans or times without nulls."""
    import narwhals.stable.v2 as nw

    dtype: Any = series.dtype
    if dtype == nw.Datetime and dtype.time_zone is not None:
        # As arrays, pandas gives objects with their zone, polars and Arrow give times in UTC without it.
        unit: Any = "ms" if dtype.time_unit == "s" else dtype.time_unit
        ticks = np.asarray(series.dt.timestamp(unit).to_numpy(), dtype=np.int64)
        return from_ticks(
            ticks, np.zeros(len(ticks), dtype=bool), Clock("datetime", UNIT_SECONDS[unit], True)
        )
    return from_array(np.asarray(series.to_numpy()), name)


def _restore_nulls(table: Table, present: Mask) -> Table:
    """Return the column with its nulls restored."""
    if present.all():
        return table
    values = np.full(len(present), np.nan)
    values[present] = table.values
    if table.raw is None:
        return replace(table, values=values)
    exact = table.to_exact_array()
    raw = np.zeros(len(present), dtype=exact.dtype)
    raw[present] = exact
    return replace(table, values=values, raw=raw)
