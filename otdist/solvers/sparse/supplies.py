"""Masses as integers, so that every sum of flows is exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Masses = NDArray[np.int64]

BITS = 61  # total below 2^61: sums of two flows fit


def whole_masses(a: Array, b: Array) -> tuple[Masses, Masses, int, float]:
    """Round masses to multiples of a power of two, with one total.

    Returns ``(a, b, k, moved)``: the masses are about ``2**-k`` times the integers, and ``moved``
    bounds the mass that rounding has created or removed, on both sides together. What rounding adds or
    takes is made good at the largest mass.
    """
    exponent = math.frexp(max(math.fsum(a), math.fsum(b)))[1]
    k = BITS - 1 - exponent
    left, right = (_multiples(mass, k) for mass in (a, b))
    common = _common_power(left, right)
    left, right, k = left >> common, right >> common, k - common
    surplus = int(left.sum()) - int(right.sum())
    smaller = right if surplus > 0 else left
    smaller[np.argmax(smaller)] += abs(surplus)
    moved = [math.fsum(np.abs(np.ldexp(new.astype(float), -k) - old)) for new, old in ((left, a), (right, b))]
    # As floats, integers above 2^53 are rounded: only the one that was made to fit can be.
    unseen = 2.0**-53 * float(max(a.max(), b.max())) if surplus else 0.0
    return left, right, k, sum(moved) + unseen


def alike(a: NDArray[Any], b: NDArray[Any], mass: Any) -> bool:
    """Whether both sides have as many points, all of this mass."""
    return len(a) == len(b) and bool((a == mass).all() and (b == mass).all())


def _multiples(mass: Array, k: int) -> Masses:
    """Nearest multiples of ``2**-k``, at least one: no point is lost."""
    return np.maximum(np.rint(np.ldexp(mass, k)), 1.0).astype(np.int64)


def _common_power(*sides: Masses) -> int:
    """Largest power of two that divides all masses."""
    bits = int(np.bitwise_or.reduce([np.bitwise_or.reduce(side) for side in sides]))
    return (bits & -bits).bit_length() - 1
