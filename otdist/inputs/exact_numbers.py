"""Numbers beyond the precision of float64, with a common offset subtracted before rounding.

A common offset does not change distances. Integers beyond 2**53, times in ticks and long doubles keep their
type until the smallest number of a column, over both samples, is subtracted; only then are they rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.typing import Array, Mask

Column = tuple[NDArray[Any], Mask]  # exact numbers, and the mask of missing ones

EXACT_INTEGER = 2.0**53  # beyond it float64 does not represent every integer
UINT64_MODULUS = 2**64
TICKS_PER_BLOCK = 2**20  # ticks converted at once


def find_common_origin(columns: Iterable[Column]) -> int:
    """Find an integer to subtract from all columns: at most their minimum, and exact in float64."""
    minima = [
        minimum for numbers, missing in columns if (minimum := _find_minimum(numbers[~missing])) is not None
    ]
    if not minima:
        return 0
    minimum = math.floor(min(minima))
    rounded = float(minimum)
    return int(rounded if rounded <= minimum else math.nextafter(rounded, -math.inf))


def subtract(numbers: NDArray[Any], missing: Mask, origin: int) -> tuple[NDArray[Any], bool]:
    """Compute ``numbers - origin``, as integers for integers, and whether it is exact."""
    if numbers.dtype.kind in "iu":
        present = numbers[~missing]
        # Modulo 2**64: no number is below the origin, so the difference lies in [0, 2**64).
        if present.size == 0 or (
            int(present.max()) - origin < UINT64_MODULUS and int(present.min()) >= origin
        ):
            return numbers.astype(np.uint64) - np.uint64(origin % UINT64_MODULUS), True
        numbers = numbers.astype(object)
    if numbers.dtype == object:
        return _subtract_objects(numbers, missing, origin)
    offset = numbers.dtype.type(origin)
    with np.errstate(invalid="ignore"):
        difference = numbers - offset
        # Rounding error of the difference, by Knuth's two-sum.
        recovered = difference - numbers
        error = (numbers - (difference - recovered)) + (-offset - recovered)
    finite = np.isfinite(numbers) & ~missing
    return difference, not error[finite].any()


def to_float(numbers: NDArray[Any], missing: Mask, divisor: int = 1) -> tuple[Array, bool]:
    """Divide numbers by a common divisor as float64, NaN if missing; also whether integers stay exact."""
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
    """Return whether float64 represents all of these 64-bit integers."""
    if integers.size == 0 or max(int(integers.max()), -int(integers.min())) <= EXACT_INTEGER:
        return True
    rounded = integers.astype(np.float64)
    # The largest float64 in the range of this type: larger ones cannot be cast back.
    largest = math.nextafter(float(np.iinfo(integers.dtype).max), 0.0)
    return bool((rounded <= largest).all()) and bool((rounded.astype(integers.dtype) == integers).all())


def find_common_divisor(columns: Iterable[Column]) -> int:
    """Find the greatest common divisor of all integers; 1 if there are none."""
    divisor = 0
    for numbers, missing in columns:
        present = numbers[~missing]
        if present.size:
            column_divisor = (
                math.gcd(*present.tolist()) if numbers.dtype == object else int(np.gcd.reduce(present))
            )
            divisor = math.gcd(divisor, column_divisor)
    return max(divisor, 1)


def to_seconds(ticks: NDArray[Any], missing: Mask, tick: Fraction) -> tuple[Array, bool]:
    """Convert ticks to seconds with one rounding; also return whether it is exact."""
    denominator, numerator = tick.denominator, tick.numerator
    if ticks.dtype == object:
        seconds = [Fraction(int(item)) * tick for item in ticks.flat]
        out = np.array([float(item) for item in seconds]).reshape(ticks.shape)
        exact = all(Fraction(rounded) == item for rounded, item in zip(out.flat, seconds, strict=True))
    else:
        out = np.empty(ticks.shape)
        exact = True
        flat, flat_missing, target = ticks.reshape(-1), missing.reshape(-1), out.reshape(-1)
        # In blocks: quotients and remainders of all ticks would double the memory.
        for first in range(0, ticks.size, TICKS_PER_BLOCK):
            block = slice(first, first + TICKS_PER_BLOCK)
            target[block], is_exact_block = _divide_ticks(
                flat[block], flat_missing[block], denominator, numerator
            )
            exact = exact and is_exact_block
    out[missing] = np.nan
    return out, exact


def _divide_ticks(ticks: NDArray[Any], missing: Mask, denominator: int, numerator: int) -> tuple[Array, bool]:
    """Compute ``ticks * numerator / denominator``, and whether it is exact."""
    quotient, remainder = np.divmod(ticks, ticks.dtype.type(denominator))
    out = np.asarray((quotient.astype(np.float64) + remainder.astype(np.float64) / denominator) * numerator)
    odd_divisor = denominator  # a fraction is exact if the odd part of its denominator divides the remainder
    while odd_divisor % 2 == 0:
        odd_divisor //= 2
    exact = not (remainder % ticks.dtype.type(odd_divisor))[~missing].any() and bool(
        (np.abs(out[~missing]) <= EXACT_INTEGER / denominator.bit_length()).all()
    )
    return out, exact


def _find_minimum(present: NDArray[Any]) -> Any:
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
