"""Any table as columns of numbers or labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import from_native, is_torch, read, series_to_float
from otdist.errors import InputError
from otdist.tables.comparison import Kind

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Column:
    """One column: numbers with NaN for missing, or labels with None for missing.

    ``kind`` is None when every value is missing and the type does not tell.
    """

    name: str
    kind: Kind | None
    values: NDArray[Any]
    unit: str = ""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which values are missing."""
        if self.values.dtype == object:
            return np.array([value is None for value in self.values], dtype=bool)
        return np.asarray(np.isnan(self.values))

    @property
    def present(self) -> NDArray[Any]:
        """The values that are there."""
        return self.values[~self.missing]


def read_columns(table: Any, name: str) -> tuple[dict[str, Column], dict[str, str]]:
    """Read a DataFrame of any library, an array or a dict, as named columns in order.

    Returns the columns, and the types of those that cannot be compared.
    """
    import narwhals.stable.v2 as nw

    if isinstance(table, str) or (type(table) is dict and not table):
        raise InputError(name, f"is {table!r}, not a table", "read the file first, or use the command line")
    if isinstance(table, dict) and not type(table).__module__.startswith("scipy"):
        return _from_dict(table, name), {}
    frame = from_native(table, name)
    if isinstance(frame, nw.LazyFrame):
        raise InputError(name, "is a lazy frame", "call .collect() (dask: .compute()) first")
    if not isinstance(frame, nw.DataFrame):
        return _from_matrix(table, name), {}
    if len(frame) == 0 or not frame.columns:
        raise InputError(name, f"is empty (shape {frame.shape})", "give at least one row and one column")
    columns: dict[str, Column] = {}
    unreadable: dict[str, str] = {}
    for series in frame.iter_columns():
        label = str(series.name)
        if label in columns or label in unreadable:
            raise InputError(name, f"two columns are called {label!r}", "rename one of them")
        column = _from_series(label, series, name)
        if column is None:
            unreadable[label] = str(series.dtype)
        else:
            columns[label] = column
    return columns, unreadable


def _from_dict(table: dict[Any, Any], name: str) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for key, values in table.items():
        label = str(key)
        if label in columns:
            raise InputError(name, f"two columns are called {label!r}", "rename one of them")
        columns[label] = _from_values(label, values, name)
    sizes = {label: len(column.values) for label, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(name, f"columns have different lengths ({sizes})", "give one value a row")
    return columns


def _from_values(label: str, values: Any, name: str) -> Column:
    if isinstance(values, np.ma.MaskedArray) or is_torch(values):
        return Column(label, "numeric", read(values, f"{name}[{label!r}]").values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name}[{label!r}]", f"is ragged ({error})", "give one value a row") from None
    return _from_array(label, array, name)


def _from_matrix(table: Any, name: str) -> dict[str, Column]:
    values = read(table, name)
    matrix = values.values[:, None] if values.values.ndim == 1 else values.values
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            name, f"has shape {matrix.shape}", "give rows and columns, shape (n, d), none of them 0"
        )
    labels = values.columns or tuple(f"x{k}" for k in range(matrix.shape[1]))
    return {label: Column(label, "numeric", matrix[:, k]) for k, label in enumerate(labels)}


def _from_array(label: str, values: NDArray[Any], name: str) -> Column:
    if values.ndim != 1 or values.size == 0:
        raise InputError(name, f"column {label!r} has shape {values.shape}", "give one value a row")
    if values.dtype.kind in "OUS":
        column = _from_objects(label, values.tolist())
        if column is None:
            raise InputError(name, f"column {label!r} holds lists", "give one value a row")
        return column
    if values.dtype.kind in "mM":
        return _from_times(label, values)
    kind: Kind = "boolean" if values.dtype.kind == "b" else "numeric"
    return Column(label, kind, read(values, f"{name}[{label!r}]").values)


def _from_series(label: str, series: Any, name: str) -> Column | None:
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        kind: Kind = "boolean" if dtype == nw.Boolean else "numeric"
        return Column(label, kind, series_to_float(series, f"{name}[{label!r}]"))
    if dtype == nw.Datetime and getattr(dtype, "time_zone", None) is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype in (nw.Date, nw.Datetime, nw.Duration):
        return _from_times(label, np.asarray(series.to_numpy()))
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object) or dtype == nw.Unknown:
        return _from_objects(label, series.to_list())
    return None


def _from_times(label: str, values: NDArray[Any]) -> Column:
    day = np.timedelta64(1, "D")
    if values.dtype.kind == "m":
        return Column(label, "numeric", np.asarray(values / day), unit="days")
    if values.dtype.kind != "M":  # dates that the library hands over as Python objects
        values = np.array(values, dtype="datetime64[us]")
    # Whole days apart from the rest: nanoseconds since 1970 end in 2262.
    whole = values.astype("datetime64[D]")
    days = whole.astype(np.int64) + (values - whole) / day
    return Column(label, "datetime", np.where(np.isnat(values), np.nan, days), unit="days")


def _from_objects(label: str, values: list[Any]) -> Column | None:
    gone = [_is_missing(value) for value in values]
    present = [value for value, missing in zip(values, gone, strict=True) if not missing]
    if not present:
        return Column(label, None, np.full(len(values), np.nan))
    if all(isinstance(value, bool | np.bool_ | Real | Decimal) for value in present):
        logical = all(isinstance(value, bool | np.bool_) for value in present)
        numbers = [np.nan if missing else float(value) for value, missing in zip(values, gone, strict=True)]
        return Column(label, "boolean" if logical else "numeric", np.array(numbers))
    for kinds, dtype in (((date, datetime), "datetime64[us]"), ((timedelta,), "timedelta64[us]")):
        if all(isinstance(value, kinds) for value in present):
            times = [
                "NaT" if missing else _unzoned(value) for value, missing in zip(values, gone, strict=True)
            ]
            return _from_times(label, np.array(times, dtype=dtype))
    if any(isinstance(value, list | dict | set | np.ndarray) for value in present):
        return None
    labels = np.empty(len(values), dtype=object)
    labels[:] = [None if missing else str(value) for value, missing in zip(values, gone, strict=True)]
    return Column(label, "categorical", labels)


def _unzoned(value: Any) -> Any:
    zoned = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC).replace(tzinfo=None) if zoned else value


def _is_missing(value: Any) -> bool:
    # pandas.NA first: comparing it gives NA, which is neither true nor false.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | Decimal) and bool(value != value)


def matched(reference: Column, current: Column) -> tuple[Column, Column]:
    """Give both sides one kind, or raise InputError."""
    kinds = {column.kind for column in (reference, current) if column.kind is not None}
    kind: Kind
    if len(kinds) <= 1:
        kind = next(iter(kinds), "numeric")
    elif kinds == {"numeric", "boolean"}:
        kind = "numeric"
    else:
        raise InputError(
            f"current[{current.name!r}]",
            f"is {current.kind}, but {reference.kind} in the reference",
            "convert one of them, or leave the column out with columns=[...]",
        )
    unit = reference.unit or current.unit
    if any(column.kind == "numeric" and column.unit != unit for column in (reference, current)):
        raise InputError(
            f"current[{current.name!r}]",
            f"is in {current.unit or 'plain numbers'}, the reference in {reference.unit or 'plain numbers'}",
            "bring both to one unit",
        )
    return _as_kind(reference, kind, unit), _as_kind(current, kind, unit)


def _as_kind(column: Column, kind: Kind, unit: str) -> Column:
    values = column.values
    if kind == "categorical" and values.dtype != object:  # all missing
        values = np.full(len(values), None, dtype=object)
    return Column(column.name, kind, values, unit)
