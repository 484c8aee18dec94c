"""Readers of one column of any library as numbers, times or labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch, read_table
from otdist.inputs.exact_numbers import to_seconds
from otdist.inputs.frames import from_native, read_series, to_narwhals_input
from otdist.inputs.numbers import is_missing
from otdist.inputs.table import Table
from otdist.inputs.times import Clock, is_time, read_time_objects, read_times
from otdist.inputs.units import refuse_unit
from otdist.tables import labels
from otdist.tables.column import Column
from otdist.tables.numerals import suggest_conversion
from otdist.typing import Mask

if TYPE_CHECKING:
    import pyarrow as pa

    from otdist.inputs.frames import Series

SECONDS_PER_DAY, SECONDS_PER_HOUR = 86_400, 3_600
CLOCK_NOTE = "times of day: hours since midnight"
PERIOD_NOTE = "periods: each by its start"


def read_values(name: str, values: object, argument: str) -> Column | None:
    """Read one column in any container; None for a type that cannot be compared."""
    import narwhals.stable.v2 as nw

    place = f"{argument}[{name!r}]"
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "fiub":
        return _make_numeric(name, read_table(values, place), logical=values.dtype.kind == "b")
    if is_torch(values):
        return _make_numeric(name, read_table(values, place))
    refuse_unit(values, place)
    if isinstance(values, np.ma.MaskedArray):
        mask, values = np.ma.getmaskarray(values), np.asarray(values.data).astype(object)
        values[mask] = None
    if not isinstance(values, np.ndarray | list | tuple):
        wrapped = from_native(to_narwhals_input(values), place, allow_series=True)
        if isinstance(wrapped, nw.Series):
            return read_column(name, wrapped, argument)
    return read_array(name, _to_array(values, place), argument)


def _to_array(values: object, place: str) -> NDArray[np.generic]:
    try:
        array = np.asarray(values)
        if array.dtype.kind in "US" and isinstance(values, list | tuple):
            return np.asarray(values, dtype=object)  # NumPy would convert numbers beside text to text
        return array
    except ValueError as error:
        raise InputError(place, f"is ragged ({error})", "give one value a row") from None


def read_array(name: str, values: NDArray[np.generic], argument: str) -> Column | None:
    """Read a column that is a NumPy array; None for a type that cannot be compared."""
    if values.ndim != 1 or values.size == 0:
        raise InputError(argument, f"column {name!r} has shape {values.shape}", "give one value a row")
    place = f"{argument}[{name!r}]"
    if values.dtype.kind in "OUST":
        return _from_objects(name, values.tolist(), place)
    if values.dtype.kind in "mM":
        return _from_times(name, *read_times(values, place))
    if values.dtype.kind == "c":
        return None
    refuse_unit(values, place)
    return _make_numeric(name, read_table(values, place), logical=values.dtype.kind == "b")


def _make_numeric(name: str, table: Table, *, logical: bool = False) -> Column:
    exact = None if table.raw is None else table.to_exact_array()
    return Column(name, "boolean" if logical else "numeric", table.values, exact=exact)


def read_column(name: str, series: Series, argument: str) -> Column | None:
    """Read a column of a table; None for a type that cannot be compared."""
    import narwhals.stable.v2 as nw

    dtype, place = series.dtype, f"{argument}[{name!r}]"
    if dtype.is_numeric() or dtype == nw.Boolean:
        return _make_numeric(name, read_series(series, place), logical=dtype == nw.Boolean)
    if dtype in (nw.Date, nw.Datetime, nw.Duration):
        return _from_ticks(name, read_series(series, place))
    if dtype == nw.Time:
        return _from_time_of_day(name, series)
    if dtype in (nw.Categorical, nw.Enum):
        return _from_categories(name, series)
    if dtype in (nw.String, nw.Binary):
        return from_texts(name, labels.from_arrow(_to_arrow(series)))
    if dtype == nw.Object:
        return _from_objects(name, series.to_list(), place)
    return _from_unknown(name, series, place) if dtype == nw.Unknown else None


def _from_unknown(name: str, series: Series, place: str) -> Column | None:
    """Read columns without a type (all missing), of periods or intervals, and sparse ones, by type names."""
    native = series.to_native()
    word = str(getattr(native, "dtype", getattr(native, "type", "")))
    if len(series) and bool(series.is_null().all()):
        return Column(name, None, np.full(len(series), np.nan))
    if word.startswith("period"):
        starts = np.asarray(native.dt.to_timestamp().to_numpy())
        return _from_times(name, *read_times(starts, place), PERIOD_NOTE)
    if word.startswith("interval"):
        return _from_objects(name, series.to_list(), place)
    if word.lower().startswith("sparse"):
        return read_array(name, np.asarray(native.to_numpy()), place)
    return None


def _from_categories(name: str, series: Series) -> Column:
    native = series.to_native()
    categorical = getattr(native, "array", None)
    if categorical is not None and hasattr(categorical, "codes"):
        return _make_labelled(name, labels.from_categorical(categorical), ordered=bool(categorical.ordered))
    arrow = _to_arrow(series)
    # Older releases of polars export an Enum to Arrow without its order and its unused labels.
    enum: Any = getattr(native, "dtype", None) if type(native).__module__.startswith("polars") else None
    if type(enum).__name__ == "Enum":
        return _make_labelled(
            name, labels.reorder_labels(labels.from_arrow(arrow), enum.categories), ordered=True
        )
    return _make_labelled(name, labels.from_arrow(arrow), ordered=bool(getattr(arrow.type, "ordered", False)))


def _to_arrow(series: Series) -> pa.Array | pa.ChunkedArray:
    return series.alias("values").to_arrow()  # polars aborts at names with a zero byte


def _make_labelled(name: str, coded: labels.CodedLabels, *, ordered: bool = False) -> Column:
    values, texts = coded
    if not ordered:
        if not texts and len(values):
            return Column(name, None, values)
        return Column(name, "categorical", values, labels=texts)
    return Column(name, "ordinal", values, unit="steps", labels=texts)


def from_texts(name: str, coded: labels.CodedLabels) -> Column:
    """Make a column of text, with a note if it looks like numbers or dates."""
    return replace(_make_labelled(name, coded), note=suggest_conversion(coded[1]))


def _from_ticks(name: str, table: Table) -> Column:
    assert table.clock is not None
    missing = np.isnan(table.values)
    ticks = np.where(missing, 0, table.to_exact_array())
    whole = ticks if ticks.dtype == object else ticks.astype(np.int64, copy=False)
    return _from_times(name, whole, missing, table.clock)


def _from_times(
    name: str, ticks: NDArray[np.int64 | np.object_], missing: Mask, clock: Clock, note: str = ""
) -> Column:
    days, _ = to_seconds(ticks, missing, clock.tick / SECONDS_PER_DAY)
    if clock.kind == "timedelta":
        return Column(name, "numeric", days, unit="days")
    return Column(name, "datetime", days, unit="days", note=note, is_tz_aware=clock.aware)


def _from_time_of_day(name: str, series: Series) -> Column:
    import pyarrow as pa

    arrow = _to_arrow(series)
    chunks = arrow if isinstance(arrow, pa.ChunkedArray) else pa.chunked_array([arrow])
    per_hour = {
        "s": SECONDS_PER_HOUR,
        "ms": SECONDS_PER_HOUR * 10**3,
        "us": SECONDS_PER_HOUR * 10**6,
        "ns": SECONDS_PER_HOUR * 10**9,
    }[chunks.type.unit]
    whole = chunks.cast(pa.int32() if chunks.type.bit_width == 32 else pa.int64())
    ticks = whole.cast(pa.float64(), safe=False).to_numpy()
    return Column(name, "numeric", np.asarray(ticks / per_hour), unit="hours", note=CLOCK_NOTE)


def _from_objects(name: str, values: list[Any], place: str) -> Column | None:
    if (coded := _encode_texts(values)) is not None:
        return from_texts(name, coded)
    missing = np.array([is_missing(value) for value in values], dtype=bool)
    present = [value for value, absent in zip(values, missing, strict=True) if not absent]
    if not present:
        return Column(name, None, np.full(len(values), np.nan))
    if all(isinstance(value, bool | np.bool_ | Real | Decimal) for value in present):
        logical = all(isinstance(value, bool | np.bool_) for value in present)
        return _make_numeric(name, read_table(_to_object_array(values, missing), place), logical=logical)
    if all(hasattr(value, "start_time") for value in present):  # periods of pandas
        values = [
            value if absent else value.start_time for value, absent in zip(values, missing, strict=True)
        ]
        return _from_time_objects(name, values, missing, place, PERIOD_NOTE)
    if all(is_time(value) for value in present):
        return _from_time_objects(name, values, missing, place)
    if all(isinstance(value, time) for value in present):
        hours = [
            np.nan if absent else _to_hours(value) for value, absent in zip(values, missing, strict=True)
        ]
        return Column(name, "numeric", np.array(hours), unit="hours", note=CLOCK_NOTE)
    if any(isinstance(value, list | dict | set | complex | np.ndarray) for value in present):
        return None
    return _make_labelled(name, labels.from_objects(values, missing))


def _encode_texts(values: list[object]) -> labels.CodedLabels | None:
    """Encode a list of text and missing values as labels; None for other values."""
    import pyarrow as pa

    try:
        return labels.from_arrow(pa.array(values, pa.large_string(), from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return None


def _from_time_objects(name: str, values: list[object], missing: Mask, place: str, note: str = "") -> Column:
    ticks, absent, clock = read_time_objects(_to_object_array(values, missing), place)
    return _from_times(name, ticks, absent, clock, note)


def _to_object_array(values: list[object], missing: Mask) -> NDArray[np.object_]:
    objects = np.empty(len(values), dtype=object)
    objects[:] = [None if absent else value for value, absent in zip(values, missing, strict=True)]
    return objects


def _to_hours(value: time) -> float:
    return (
        value.hour
        + value.minute / 60
        + value.second / SECONDS_PER_HOUR
        + value.microsecond / (SECONDS_PER_HOUR * 10**6)
    )
