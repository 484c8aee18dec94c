"""Conversion of NumPy arrays of any type to float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, PublicName, Remedy
from otdist.inputs.exact_numbers import EXACT_INTEGER, is_exact
from otdist.inputs.table import Table
from otdist.inputs.times import Clock, is_time, read_time_objects, read_times
from otdist.inputs.units import refuse_unit
from otdist.typing import Mask

ENCODE_REMEDY = Remedy("encode it as numbers, or use {} for tables with labels", PublicName("compare"))


def from_array(values: NDArray[Any], name: str) -> Table:
    """Read an array of any type; raises InputError unless it holds numbers or times."""
    kind = values.dtype.kind
    if kind == "f":
        return _from_floats(values, name)
    if kind in "iu":
        exact = values.dtype.itemsize < 8 or is_exact(values)
        return Table(
            values.astype(np.float64), raw=None if exact else values.astype(values.dtype.newbyteorder("="))
        )
    if kind == "b":
        return Table(values.astype(np.float64))
    if kind == "O":
        return from_objects(values, name)
    if kind in "mM":
        ticks, missing, clock = read_times(values, name)
        return from_ticks(ticks, missing, clock)
    if values.dtype.type.__module__.startswith("ml_dtypes"):  # bfloat16 and shorter floats, of kind "V"
        return Table(values.astype(np.float64))
    raise InputError(name, *_describe_non_numeric(values.dtype))


def _describe_non_numeric(dtype: np.dtype[np.generic]) -> tuple[str, str]:
    if dtype.names is not None:
        return (
            f"is a structured array with fields {', '.join(dtype.names)}",
            "pass numpy.lib.recfunctions.structured_to_unstructured(x), or a table",
        )
    if dtype.kind == "V":
        return (
            f"dtype {dtype} is bytes without a meaning",
            "say what they are: x.view(ml_dtypes.bfloat16) if bfloat16 was saved by np.save",
        )
    remedy = "pass real and imaginary parts as two columns" if dtype.kind == "c" else ENCODE_REMEDY
    return f"dtype {dtype} is not numeric", remedy


def _from_floats(values: NDArray[Any], name: str) -> Table:
    if values.dtype == np.float64:
        return Table(values)
    with np.errstate(over="ignore"):
        out = values.astype(np.float64)
    if values.dtype.itemsize <= 8:
        return Table(out)
    overflow = np.isinf(out) & np.isfinite(values)
    if overflow.any():
        _raise_overflow(name, tuple(int(k) for k in np.argwhere(overflow)[0]))
    exact = np.array_equal(out, values, equal_nan=True)
    return Table(out, raw=None if exact else values)


def from_ticks(ticks: NDArray[Any], missing: Mask, clock: Clock) -> Table:
    """Make a table of times, NaN if missing."""
    out = ticks.astype(np.float64)
    out[missing] = np.nan
    return Table(out, raw=ticks, clock=clock)


def mask_values(table: Table, mask: Mask) -> Table:
    """Return the same numbers with NaN where the mask is set."""
    filled = table.values.copy()
    filled[mask] = np.nan
    return replace(table, values=filled)


def _raise_overflow(name: str, index: tuple[int, ...]) -> None:
    position = index[0] if len(index) == 1 else index
    raise InputError(name, f"entry {position} exceeds the largest float64", "rescale the data")


def is_null(item: object) -> bool:
    """Whether an object is None, pandas.NA or NaT: a missing value of any type."""
    return item is None or type(item).__name__ in ("NAType", "NaTType")


def is_missing(value: object) -> bool:
    """Whether an object is a missing value: null, or a number or time that is none."""
    # pandas.NA first: comparing it gives NA, which is neither true nor false.
    if is_null(value):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and bool(value != value)


def from_objects(values: NDArray[Any], name: str) -> Table:
    """Read an array of Python objects: numbers or times, with None and NA as missing."""
    if any(is_time(item) and not is_null(item) for item in values.flat):
        return from_ticks(*read_time_objects(values, name))
    out, raw = np.empty(values.shape), np.zeros(values.shape, dtype=object)
    rounded = False
    for index, item in np.ndenumerate(values):
        if is_null(item):
            out[index] = np.nan
            continue
        out[index] = number = _to_float(item, name, index)
        integer = _to_exact_integer(item, number)
        rounded = rounded or (integer is not None and math.isfinite(number) and int(number) != integer)
        raw[index] = number if integer is None else integer
    return Table(out, raw=raw if rounded else None)


def _to_float(item: Any, name: str, index: tuple[int, ...]) -> float:
    position = index[0] if len(index) == 1 else index
    # Text, complex numbers and containers raise an error, although float() accepts some of them.
    if isinstance(item, str | bytes | complex | np.complexfloating | Sequence):
        raise InputError(name, f"must hold numbers, got {item!r} at entry {position}", ENCODE_REMEDY)
    refuse_unit(item, f"{name}[{position}]")
    try:
        number = float(item)
    except OverflowError:
        _raise_overflow(name, index)
    except Exception:  # float() of an object may raise any error
        raise InputError(
            name, f"must hold numbers, got a {type(item).__name__} at entry {position}", "pass numbers"
        ) from None
    if math.isinf(number) and not isinstance(item, float) and item not in (math.inf, -math.inf):
        _raise_overflow(name, index)
    return number


def _to_exact_integer(item: object, rounded: float) -> int | None:
    """Convert an integral entry to int if float64 may round it; otherwise return None."""
    if not EXACT_INTEGER <= abs(rounded) < math.inf or not isinstance(
        item, int | np.integer | Decimal | Fraction
    ):
        return None
    return int(item) if item == int(item) else None
