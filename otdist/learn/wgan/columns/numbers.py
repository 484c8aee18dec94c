"""Encoding of a column of numbers, dates, times or durations, and back to its type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from otdist.errors import InputError
from otdist.learn.wgan.columns.containers import dump_table
from otdist.tables.column import Column
from otdist.typing import Array

if TYPE_CHECKING:
    import pyarrow as pa

    from otdist.learn.wgan.columns.containers import Take
    from otdist.typing import Json

MAX_DECIMALS = 6  # decimals that are looked for in numbers
SECONDS_PER_DAY = 86_400
UNIT_SECONDS = {"days": SECONDS_PER_DAY, "hours": 3_600}  # units of times and durations
TIME_STEPS_SECONDS = (86_400, 3_600, 60, 1)  # steps that are looked for in times, the largest first
UNIT_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # ticks per second of units of Arrow
STEP_ERROR = 8 * 2.0**-52  # relative rounding error of a multiple of a step
GAP = "missing"  # suffix of the names of indicators


@dataclass(frozen=True, eq=False)
class NumberCodec:
    """Numbers, dates, times or durations: one number, and an indicator if there are gaps.

    Attributes
    ----------
    name : str
        Name of the column.
    example : Table of Arrow
        Column without rows, with the type of the data.
    unit : str
        Unit of the numbers: "days", "hours" or "".
    step : float
        Step that all values are multiples of; 0 if there is none.
    low, high, fill : float
        Range of the data, and the number in place of a gap.
    gaps : str
        "": none; "null", or "nan" if the data write them so.
    """

    name: str
    example: pa.Table
    unit: str
    step: float
    low: float
    high: float
    fill: float
    gaps: str

    @classmethod
    def fit(cls, column: Column, take: Take) -> NumberCodec:
        """Find type, step, range and gaps of a column."""
        values, rows = column.present, np.flatnonzero(column.missing)
        if not np.isfinite(values).all():
            row = int(np.argmax(np.isinf(column.values)))
            problem = f"must be finite, row {row} is not"
            raise InputError(f"data[{column.name!r}]", problem, "make it missing, or drop the row")
        gaps = ""
        if len(rows):
            gaps = "null" if take(column.name, rows[:1]).column(0).null_count else "nan"
        example = take(column.name, np.flatnonzero(~column.missing)[:1])
        return cls(
            column.name,
            example.slice(0, 0),
            column.unit,
            _find_step(values, column.unit, example.schema.field(0).type),
            float(values.min()),
            float(values.max()),
            _mean(values),
            gaps,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers of a point."""
        return (self.name, f"{self.name} {GAP}") if self.gaps else (self.name,)

    @property
    def level_width(self) -> int:
        """Numbers of a point that are levels."""
        return int(bool(self.gaps))

    def encode(self, column: Column) -> Array:
        """Return numbers (n, 1), or (n, 2) with the indicator of gaps."""
        values = np.where(column.missing, self.fill, column.values)
        if not self.gaps:
            if column.missing.any():
                row = int(np.argmax(column.missing))
                raise InputError(f"data[{self.name!r}]", f"row {row} has a gap", "drop such rows")
            return values[:, None]
        return np.stack([values, column.missing], axis=1)

    def decode(self, points: Array, clip: bool) -> pa.Array:
        """Return values in the type of the data."""
        values = points[:, 0]
        if clip:
            values = np.clip(values, self.low, self.high)
        missing = points[:, 1] > 0.5 if self.gaps else np.zeros(len(points), dtype=bool)
        if self.step and not self.unit:
            steps = np.rint(values / self.step)
            # A division by the inverse, which is whole, gives 39.1 in place of 39.1000000001.
            values = steps * self.step if self.step >= 1 else steps / np.rint(1 / self.step)
        dtype = self.example.schema.field(0).type
        if self.unit in UNIT_SECONDS:
            return _to_times(values, missing, dtype, UNIT_SECONDS[self.unit], self.step)
        return _to_arrow(values, missing, dtype, self.gaps == "nan")

    def to_json(self) -> dict[str, Json]:
        """Return the fields for JSON."""
        return vars(self) | {"example": dump_table(self.example), "type": "number"}


def _mean(values: Array) -> float:
    """Return the mean at any scale; a value itself where all are equal."""
    if values.min() == values.max():
        return float(values[0])
    exponent = np.frexp(np.abs(values).max())[1]
    return float(np.ldexp(np.ldexp(values, -exponent).mean(), exponent))


def _find_step(values: Array, unit: str, dtype: pa.DataType) -> float:
    """Return the largest usual step that all values are multiples of; 0 if there is none."""
    from pyarrow.types import is_integer

    steps = [10.0**-k for k in range(MAX_DECIMALS + 1)]
    if unit in UNIT_SECONDS:
        seconds = UNIT_SECONDS[unit]
        steps = [step / seconds for step in TIME_STEPS_SECONDS if step <= seconds]
    elif is_integer(dtype):
        return 1.0
    for step in steps:
        with np.errstate(over="ignore"):
            multiples = values / step
        errors = np.abs(multiples - np.rint(multiples))
        if np.all(np.abs(multiples) < 2**53) and np.all(errors <= STEP_ERROR * np.abs(multiples)):
            return step
    return 0.0


def _to_arrow(values: Array, missing: Any, dtype: pa.DataType, nan_gaps: bool) -> pa.Array:
    """Return numbers as an Arrow array of a type."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_integer(dtype):
        info = np.iinfo(dtype.to_pandas_dtype())
        largest = float(info.max) if info.bits < 64 else np.nextafter(float(info.max), 0)
        values = np.clip(np.rint(values), float(info.min), largest)
        return pa.array(values.astype(dtype.to_pandas_dtype()), mask=missing)
    if types.is_floating(dtype):
        values = np.where(missing, np.nan, values)
        return pa.array(values.astype(dtype.to_pandas_dtype()), mask=None if nan_gaps else missing)
    if types.is_decimal(dtype):
        rounded = np.round(values, dtype.scale)
        return pa.array([f"{value:.{dtype.scale}f}" for value in rounded], mask=missing).cast(dtype)
    return pa.array(values, mask=missing)


def _to_times(values: Array, missing: Any, dtype: pa.DataType, unit_seconds: int, step: float) -> pa.Array:
    """Return days or hours as dates, times or durations of Arrow; ``step`` divides a day, or is 0."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_date32(dtype):
        return pa.array(np.rint(values).astype(np.int32), mask=missing).cast(dtype)
    unit = dtype.unit if hasattr(dtype, "unit") else "ms" if types.is_date(dtype) else "us"
    per_unit = UNIT_TICKS[unit] * unit_seconds
    if step:  # in whole numbers, without the rounding of fractions of a day
        ticks = np.rint(values / step).astype(np.int64) * round(step * per_unit)
    else:
        whole = np.floor(values)
        ticks = whole.astype(np.int64) * per_unit + np.rint((values - whole) * per_unit).astype(np.int64)
    if types.is_date(dtype):
        return pa.array(ticks // per_unit * per_unit, mask=missing).cast(dtype)
    if types.is_time(dtype):
        ticks = np.clip(ticks, 0, UNIT_TICKS[unit] * SECONDS_PER_DAY - 1)
        return (
            pa.array(ticks, mask=missing)
            .cast(pa.int32() if dtype.bit_width == 32 else pa.int64())
            .cast(dtype)
        )
    known = types.is_timestamp(dtype) or types.is_duration(dtype)
    return pa.array(ticks, mask=missing).cast(dtype if known else pa.timestamp(unit))
