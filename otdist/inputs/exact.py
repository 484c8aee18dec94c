"""Numbers that float64 cannot hold, shifted to where it can: a common offset leaves all distances.

Whole numbers beyond 2**53, times in ticks and long doubles keep their own type until the smallest
number of a column, over both samples, has been subtracted; only then are they rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Column = tuple[NDArray[Any], Mask]  # exact numbers, and which of them are missing

EXACT_INTEGER = 2.0**53  # beyond it float64 no longer holds every integer
WORD = 2**64
BLOCK_VALUES = 2**20  # times converted at once


def common_origin(columns: Iterable[Column]) -> int:
    """Whole number to subtract from all columns: at most their smallest number, and exact in float64."""
    lows = [low for numbers, missing in columns if (low := _lowest(numbers[~missing])) is not None]
    if not lows:
        return 0
    low = math.floor(min(lows))
    near = float(low)
    return int(near if near <= low else math.nextafter(near, -math.inf))


def subtract(numbers: NDArray[Any], missing: Mask, origin: int) -> tuple[NDArray[Any], bool]:
    """``numbers - origin``, as whole numbers where they are, and whether that is exact."""
    if numbers.dtype.kind in "iu":
        present = numbers[~missing]
        # Modulo 2**64, which is where the difference lies: none of the numbers is below the origin.
        if present.size == 0 or (int(present.max()) - origin < WORD and int(present.min()) >= origin):
            return numbers.astype(np.uint64) - np.uint64(origin % WORD), True
        numbers = numbers.astype(object)
    if numbers.dtype == object:
        return _subtract_objects(numbers, missing, origin)
    offset = numbers.dtype.type(origin)
    with np.errstate(invalid="ignore"):
        difference = numbers - offset
        # The error of a difference, by Knuth's two-sum.
        back = difference - numbers
        error = (numbers - (difference - back)) + (-offset - back)
    finite = np.isfinite(numbers) & ~missing
    return difference, not error[finite].any()


def to_float(numbers: NDArray[Any], missing: Mask, divisor: int = 1) -> tuple[Array, bool]:
    """Numbers over a common divisor as float64, NaN where missing, and whether whole numbers stay exact."""
    exact = True
    if numbers.dtype.kind in "iu":
        if divisor > 1:
            numbers = numbers // np.asarray(divisor).astype(numbers.dtype)
        out = numbers.astype(np.float64)
        exact = is_exact(numbers[~missing])
    elif numbers.dtype == object:
        out = np.full(numbers.shape, np.nan)
        for index in zip(*np.nonzero(~missing), strict=True):
            item = numbers[index]
            out[index] = item if isinstance(item, float) else float(item // divisor)
            exact = exact and (isinstance(item, float) or int(out[index]) == item // divisor)
    else:
        out = numbers.astype(np.float64) / divisor
    if missing.any():
        out[missing] = np.nan
    return out, exact


def is_exact(integers: NDArray[Any]) -> bool:
    """Whether float64 holds all of these 64-bit integers."""
    if integers.size == 0 or max(int(integers.max()), -int(integers.min())) <= EXACT_INTEGER:
        return True
    near = integers.astype(np.float64)
    # The largest float64 that still is a number of this type: one beyond cannot be cast back.
    top = math.nextafter(float(np.iinfo(integers.dtype).max), 0.0)
    return bool((near <= top).all()) and bool((near.astype(integers.dtype) == integers).all())


def common_divisor(columns: Iterable[Column]) -> int:
    """Largest whole number that divides all of these whole numbers; 1 for none."""
    divisor = 0
    for numbers, missing in columns:
        present = numbers[~missing]
        if present.size:
            found = math.gcd(*present.tolist()) if numbers.dtype == object else int(np.gcd.reduce(present))
            divisor = math.gcd(divisor, found)
    return max(divisor, 1)


def to_seconds(ticks: NDArray[Any], missing: Mask, tick: Fraction) -> tuple[Array, bool]:
    """Seconds of whole numbers of ticks, rounded once, and whether that is exact."""
    parts, whole = tick.denominator, tick.numerator
    if ticks.dtype == object:
        seconds = [Fraction(int(item)) * tick for item in ticks.flat]
        out = np.array([float(item) for item in seconds]).reshape(ticks.shape)
        exact = all(Fraction(near) == item for near, item in zip(out.flat, seconds, strict=True))
    else:
        out = np.empty(ticks.shape)
        exact = True
        flat, gone, target = ticks.reshape(-1), missing.reshape(-1), out.reshape(-1)
        # Block by block: quotients and remainders of all would take as much memory again.
        for first in range(0, ticks.size, BLOCK_VALUES):
            block = slice(first, first + BLOCK_VALUES)
            target[block], is_exact_block = _divide(flat[block], gone[block], parts, whole)
            exact = exact and is_exact_block
    out[missing] = np.nan
    return out, exact


def _divide(ticks: NDArray[Any], missing: Mask, parts: int, whole: int) -> tuple[Array, bool]:
    """``ticks * whole / parts``, and whether that is exact."""
    quotient, rest = np.divmod(ticks, ticks.dtype.type(parts))
    out = np.asarray((quotient.astype(np.float64) + rest.astype(np.float64) / parts) * whole)
    fives = parts  # a fraction is exact where what is no power of two divides out
    while fives % 2 == 0:
        fives //= 2
    exact = not (rest % ticks.dtype.type(fives))[~missing].any() and bool(
        (np.abs(out[~missing]) <= EXACT_INTEGER / parts.bit_length()).all()
    )
    return out, exact


def _lowest(present: NDArray[Any]) -> Any:
    if present.dtype == object:
        finite = [
            Fraction(item) for item in present.flat if not isinstance(item, float) or math.isfinite(item)
        ]
        return min(finite, default=None)
    if present.dtype.kind == "f":
        present = present[np.isfinite(present)]
        return None if present.size == 0 else Fraction(*present.min().as_integer_ratio())
    return None if present.size == 0 else int(present.min())


def _subtract_objects(numbers: NDArray[Any], missing: Mask, origin: int) -> tuple[NDArray[Any], bool]:
    out = np.zeros(numbers.shape, dtype=object)
    exact = True
    for index in zip(*np.nonzero(~missing), strict=True):
        item = numbers[index]
        if isinstance(item, int) or not math.isfinite(item):
            out[index] = item - origin
            continue
        difference = Fraction(item) - origin
        out[index] = float(difference)
        exact = exact and Fraction(out[index]) == difference
    return out, exact
