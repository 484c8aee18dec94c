"""Sums of masses by place, without the rounding errors of float additions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, two_sum
from otdist.typing import Array, Index

LIMB_BITS = 36
LIMB_COUNT = 4
ROW_LIMIT = 2 ** (53 - LIMB_BITS)  # rows at one place whose parts add up exactly


class PlaceSums(NamedTuple):
    """Masses of both sides at each place, their difference, and a bound of the rounding error."""

    a: Array
    b: Array
    net: Array
    error: float


def sum_by_place(a: Array, b: Array, at_a: Index, at_b: Index, count: int, *, whole: bool) -> PlaceSums:
    """Add up masses at each place.

    Errors of float additions are relative to the masses, also where masses of the two sides cancel.
    Here masses are split into integers of 36 bits, whose sums are exact, and the difference is taken before
    rounding.

    Parameters
    ----------
    a, b : ndarray
        Masses of the two sides.
    at_a, at_b : ndarray of int
        Index of the place of each mass.
    count : int
        Number of places.
    whole : bool
        Whether all masses are whole numbers, so that float additions are exact.
    """
    if whole:
        left, right = _bincount(at_a, count, a), _bincount(at_b, count, b)
        return PlaceSums(left, right, left - right, 0.0)
    unit = math.frexp(max(float(a.max()), float(b.max())))[1]
    exponents = [unit - LIMB_BITS * (k + 1) for k in range(LIMB_COUNT)]
    parts_a, rest_a = _limb_sums(a, at_a, count, unit)
    parts_b, rest_b = _limb_sums(b, at_b, count, unit)
    left, right = _join(parts_a, exponents), _join(parts_b, exponents)
    net = _join(parts_a - parts_b, exponents)
    rows = max(int(np.bincount(at, minlength=count).max()) for at in (at_a, at_b))
    error = math.ldexp(rest_a + rest_b, exponents[-1])
    if rows > ROW_LIMIT:
        error += rows * UNIT_ROUNDOFF * float(left.sum() + right.sum())
    shared = (np.bincount(at_a, minlength=count) > 1) | (np.bincount(at_b, minlength=count) > 1)
    error += 2 * UNIT_ROUNDOFF * float(np.abs(net[shared]).sum())
    return PlaceSums(left, right, net, error)


def _bincount(place: Index, count: int, mass: Array) -> Array:
    return np.asarray(np.bincount(place, mass, count), dtype=np.float64)


def _limb_sums(mass: Array, place: Index, count: int, unit: int) -> tuple[Array, float]:
    """Return the sums of each part of the masses, and the total of the remainders."""
    sums = np.empty((LIMB_COUNT, count))
    rest = np.ldexp(mass, LIMB_BITS - unit)
    for k in range(LIMB_COUNT):
        part = np.floor(rest)
        sums[k] = _bincount(place, count, part)
        rest = np.ldexp(rest - part, LIMB_BITS)
    return sums, math.ldexp(float(rest.sum()), -LIMB_BITS)


def _join(parts: Array, exponents: list[int]) -> Array:
    """``sum_k parts[k] * 2**exponents[k]``, with the errors of the additions added at the end."""
    total, error = np.zeros(parts.shape[1]), np.zeros(parts.shape[1])
    for part, exponent in zip(parts[::-1], exponents[::-1], strict=True):
        total, rounding_error = two_sum(total, np.ldexp(part, exponent))
        error += rounding_error
    return np.asarray(total + error)
