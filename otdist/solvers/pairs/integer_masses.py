"""Masses as integers, so that every sum of flows is exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.typing import Array, Integers

Masses = Integers

TOTAL_BITS = 61  # the total is below 2^61, so that sums of two flows do not overflow


def integer_masses(a: Array, b: Array) -> tuple[Masses, Masses, int, float]:
    """Round masses to multiples of a power of two, with equal totals.

    Returns ``(a, b, k, error)``: the masses are about ``2**-k`` times the integers, and ``error`` bounds the
    mass that rounding has added or removed, on both sides together. The difference of the totals is added to
    the largest mass of the smaller side.
    """
    exponent = math.frexp(max(math.fsum(a), math.fsum(b)))[1]
    k = TOTAL_BITS - 1 - exponent
    left, right = (_round_to_multiples(mass, k) for mass in (a, b))
    common = _common_power(left, right)
    left, right, k = left >> common, right >> common, k - common
    surplus = int(left.sum()) - int(right.sum())
    smaller = right if surplus > 0 else left
    smaller[np.argmax(smaller)] += abs(surplus)
    error = [math.fsum(np.abs(np.ldexp(new.astype(float), -k) - old)) for new, old in ((left, a), (right, b))]
    # Integers above 2^53 are rounded as floats: only the adjusted one can be that large.
    unseen = 2.0**-53 * float(max(a.max(), b.max())) if surplus else 0.0
    return left, right, k, sum(error) + unseen


def all_equal(a: NDArray[Any], b: NDArray[Any], mass: float) -> bool:
    """Whether both sides have the same number of points, all of this mass."""
    return len(a) == len(b) and bool((a == mass).all() and (b == mass).all())


def _round_to_multiples(mass: Array, k: int) -> Masses:
    """Round to multiples of ``2**-k``, at least one, so that no point is lost."""
    return np.maximum(np.rint(np.ldexp(mass, k)), 1.0).astype(np.int64)


def _common_power(*sides: Masses) -> int:
    """Largest power of two that divides all masses."""
    bits = int(np.bitwise_or.reduce([np.bitwise_or.reduce(side) for side in sides]))
    return (bits & -bits).bit_length() - 1
