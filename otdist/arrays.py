"""Whatever the caller has, as float64 arrays; missing values become NaN.

Nothing is judged here beyond "can this be read as numbers": what the numbers must satisfy
(finite, non-negative, matching sizes) is said once, in ``problem.py``.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.budget import require_memory
from otdist.errors import InputError, PrecisionWarning

Array = NDArray[np.float64]

EXACT_INTEGER = 2.0**53  # beyond it float64 no longer holds every integer


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers read from a container, with the column names if it had any."""

    values: Array
    columns: tuple[str, ...] | None = None


def is_torch(values: Any) -> bool:
    """Whether ``values`` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def read(values: Any, name: str) -> Table:
    """Read any container of numbers as float64; masked, null and None become NaN."""
    if type(values) is np.ndarray and values.dtype == np.float64:
        return Table(values)
    if isinstance(values, np.ma.MaskedArray):
        filled = _numeric(np.asarray(values.data), name).copy()
        filled[np.ma.getmaskarray(values)] = np.nan
        return Table(filled)
    if is_torch(values):
        return Table(_from_torch(values, name))
    if isinstance(values, np.ndarray | list | tuple):
        return Table(_numeric(_asarray(values, name), name))
    if type(values).__module__.startswith("scipy.sparse"):
        return Table(_densify(values, name))
    frame = _from_dataframe(values, name)
    if frame is not None:
        return frame
    if isinstance(values, Iterator):
        values = list(values)
    return Table(_numeric(_asarray(values, name), name))


def _asarray(values: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
        if array.dtype.kind == "f" and array.size and not isinstance(values, np.ndarray):
            with np.errstate(invalid="ignore"):
                if float(np.abs(array).max()) > EXACT_INTEGER:
                    return np.asarray(values, dtype=object)  # whole numbers among them may be rounded
        return array
    except ValueError as error:
        raise InputError(
            name, f"rows have different lengths ({error})", "give every row the same number of columns"
        ) from None


def _numeric(values: NDArray[Any], name: str) -> Array:
    kind = values.dtype.kind
    if kind == "f":
        return values if values.dtype == np.float64 else _narrowed(values, name)
    if kind in "iu":
        _warn_above_exact(values, name)
        return values.astype(np.float64)
    if kind == "b":
        return values.astype(np.float64)
    if kind == "O":
        return _from_objects(values, name)
    remedies = {
        "c": "pass real and imaginary parts as two columns",
        "M": "convert dates to numbers in a unit, such as (t - t.min()) / np.timedelta64(1, 'D')",
        "m": "divide by a unit, such as np.timedelta64(1, 's')",
    }
    remedy = remedies.get(kind, "encode it as numbers, or use otdist.compare for tables with labels")
    raise InputError(name, f"dtype {values.dtype} is not numeric", remedy)


def _narrowed(values: NDArray[Any], name: str) -> Array:
    with np.errstate(over="ignore"):
        out = values.astype(np.float64)
    if values.dtype.itemsize > 8:
        beyond = np.isinf(out) & np.isfinite(values)
        if beyond.any():
            _refuse_beyond(name, tuple(int(k) for k in np.argwhere(beyond)[0]))
    return out


def _refuse_beyond(name: str, index: tuple[int, ...]) -> None:
    where = index[0] if len(index) == 1 else index
    raise InputError(name, f"entry {where} exceeds the largest float64", "rescale the data")


def _from_objects(values: NDArray[Any], name: str) -> Array:
    out = np.empty(values.shape)
    rounded = False
    for index, item in np.ndenumerate(values):
        # None and pandas.NA are missing; str, complex and containers are not numbers.
        if item is None or type(item).__name__ == "NAType":
            out[index] = np.nan
            continue
        if isinstance(item, str | bytes | complex | np.complexfloating | Sequence):
            where = index[0] if len(index) == 1 else index
            raise InputError(
                name,
                f"entry {where} is {item!r}, not a number",
                "encode it as numbers, or use otdist.compare for tables with labels",
            )
        try:
            out[index] = float(item)
        except OverflowError:
            _refuse_beyond(name, index)
        except (TypeError, ValueError):
            raise InputError(
                name, f"entry {index} has type {type(item).__name__}, not a number", "pass numbers"
            ) from None
        if np.isinf(out[index]) and not isinstance(item, float) and item not in (math.inf, -math.inf):
            _refuse_beyond(name, index)
        rounded = rounded or (isinstance(item, int | np.integer) and abs(int(item)) > EXACT_INTEGER)
    if rounded:
        _warn_rounded(name)
    return out


def _warn_above_exact(values: NDArray[Any], name: str) -> None:
    if values.dtype.itemsize < 8 or values.size == 0:
        return
    # As Python integers: the first one beyond would round down to the limit.
    if int(values.max()) > EXACT_INTEGER or int(values.min()) < -EXACT_INTEGER:
        _warn_rounded(name)


def _warn_rounded(name: str) -> None:
    warnings.warn(
        f"{name}: integers beyond 2**53 are rounded to float64; subtract a common offset first",
        PrecisionWarning,
        stacklevel=caller_level(),
    )


def _from_torch(values: Any, name: str) -> Array:
    if values.is_complex():
        raise InputError(name, "dtype is complex", "pass real and imaginary parts as two columns")
    dense = values.detach().to_dense() if values.layout.__str__() != "torch.strided" else values.detach()
    _warn_above_exact(dense.cpu().numpy(), name) if not dense.is_floating_point() else None
    array: Array = dense.double().cpu().numpy()
    return array


def _densify(values: Any, name: str) -> Array:
    rows, columns = values.shape
    require_memory(
        8 * rows * columns,
        f"{name}: a dense copy of this sparse {rows} x {columns} array",
        "reduce the columns first (for instance by a principal component analysis)",
    )
    return _numeric(values.toarray(), name)


def _from_dataframe(values: Any, name: str) -> Table | None:
    import narwhals.stable.v2 as nw

    frame = from_native(values, name, allow_series=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError(name, "is a lazy frame", "call .collect() (dask: .compute()) first")
    if isinstance(frame, nw.Series):
        return Table(series_to_float(frame, name), None)
    if isinstance(frame, nw.DataFrame):
        columns = tuple(str(column) for column in frame.columns)
        arrays = [series_to_float(column, f"{name}[{column.name!r}]") for column in frame.iter_columns()]
        return Table(np.column_stack(arrays) if arrays else np.empty((len(frame), 0)), columns)
    return None


def from_native(table: Any, name: str, *, allow_series: bool = False) -> Any:
    """Wrap a table by narwhals; what is not a table comes back as it is."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        return nw.from_native(table, pass_through=True, allow_series=allow_series)
    except DuplicateError as error:
        reason = " ".join(str(error).split())
        raise InputError(name, f"has two columns of one name ({reason})", "rename one of them") from None


def series_to_float(series: Any, name: str) -> Array:
    """Numbers of a column, with NaN for null."""
    import narwhals.stable.v2 as nw

    if series.dtype == nw.Boolean or series.dtype.is_numeric():
        if series.dtype.is_integer():  # read apart from the nulls, which would make them float unseen
            out = np.full(len(series), np.nan)
            present = ~np.asarray(series.is_null().to_numpy(), dtype=bool)
            out[present] = _numeric(np.asarray(series.drop_nulls().to_numpy()), name)
            return out
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if series.dtype == nw.Object:
        return _from_objects(np.asarray(series.to_numpy(), dtype=object), name)
    raise InputError(
        name,
        f"column of type {series.dtype} is not numeric",
        "drop it, encode it as numbers, or use otdist.compare, which reads dates and labels",
    )


def caller_level() -> int:
    """Stack level of the first frame outside otdist, so that warnings point at the caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("otdist"):
        frame, level = frame.f_back, level + 1
    return level
