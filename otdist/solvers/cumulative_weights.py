"""Cumulative weights in twice the precision, for couplings on the line.

If cumulative weights of both samples differ by one unit in the last place, the coupling has a cell whose
mass is below rounding; between an outlier and the rest that is enough to falsify a power of a distance.
Each number here is the sum of two floats, high and low.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.bounds import two_sum
from otdist.typing import Array, Index, Mask

DEKKER_SPLITTER = 2.0**27 + 1  # splits a float into two halves of at most 26 bits


class Pair(NamedTuple):
    """Numbers as sums of two floats; the first is the nearest float."""

    high: Array
    low: Array


def weighted_staircase(a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Couple weights of any totals along the last axis, as shares of their totals.

    As :func:`otdist.bounds.staircase`, for weights that are not normalised: levels are compared and
    subtracted in twice the precision, each multiplied by the total of the other side. Above the middle they
    are counted from the end, so that the levels of an outlier are precise relative to its mass.
    Returns rows, columns and masses of total 1.
    """
    n, m = a.shape[-1], b.shape[-1]
    a, b = _near_one(a), _near_one(b)
    left, right = _cumulative_sum(a), _cumulative_sum(b)
    ends = Pair(left.high[..., -1:], left.low[..., -1:]), Pair(right.high[..., -1:], right.low[..., -1:])
    total = _product(*ends)
    parts = _levels(left, a, ends[1], total), _levels(right, b, ends[0], total)
    high, low, back = (np.concatenate(sides, axis=-1) for sides in zip(*parts, strict=True))
    order = _order(high, low, back, total.high)[..., :-1]
    high, low, back = (np.take_along_axis(part, order, axis=-1) for part in (high, low, back))
    by_row = order < n
    passed = np.cumsum(by_row, axis=-1)
    i = np.minimum(passed - by_row, n - 1)
    j = np.minimum(np.arange(n + m - 1) - i, m - 1)
    mass = _differences(high, low, back, total)
    return i, j, np.maximum(mass, 0.0) / total.high


def _levels(forth: Pair, mass: Array, other: Pair, total: Pair) -> tuple[Array, Array, Mask]:
    """Multiply levels by the other total: counted from 0 up to the middle, from the end (negative) above."""
    level = _product(forth, other)
    back = level.high > total.high / 2
    tails = _cumulative_sum(mass[..., ::-1])
    rest = [np.concatenate([part[..., -2::-1], np.zeros_like(part[..., :1])], axis=-1) for part in tails]
    tail = _product(Pair(*rest), other)
    return np.where(back, -tail.high, level.high), np.where(back, -tail.low, level.low), back


def _order(high: Array, low: Array, back: Mask, total: Array) -> Index:
    """Sort levels: those counted from 0 first, then those from the end."""
    with np.errstate(divide="ignore", over="ignore"):
        key = np.where(back, high / total, -total / high)  # below -2, above -1/2: neither loses digits
    order = np.argsort(key, axis=-1, kind="stable")
    placed = np.take_along_axis(key, order, axis=-1)
    if (placed[..., 1:-1] == placed[..., :-2]).any():  # the last two are the total
        order = np.lexsort((low, high, back), axis=-1)
    return np.asarray(order)


def _differences(high: Array, low: Array, back: Mask, total: Pair) -> Array:
    """Compute the differences of successive levels; one of them crosses the middle."""
    before = [np.concatenate([np.zeros_like(part[..., :1]), part[..., :-1]], axis=-1) for part in (high, low)]
    step, error = two_sum(high, -before[0])
    crossed = back & ~np.concatenate([np.zeros_like(back[..., :1]), back[..., :-1]], axis=-1)
    whole, second_error = two_sum(step, np.where(crossed, total.high, 0.0))
    rest = second_error + (error + (low - before[1]) + np.where(crossed, total.low, 0.0))
    return np.asarray(whole + rest)


def _near_one(w: Array) -> Array:
    """Scale weights by a power of two, so that products of totals do not over- or underflow."""
    largest = w.max(axis=-1, keepdims=True)
    return np.asarray(np.ldexp(w, -np.frexp(largest)[1]))


def _cumulative_sum(mass: Array) -> Pair:
    sums = np.cumsum(mass, axis=-1)  # one after the other
    before = np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)
    errors = np.cumsum(two_sum(before, mass)[1], axis=-1)
    return Pair(*two_sum(sums, errors))


def _product(left: Pair, right: Pair) -> Pair:
    """Multiply two pairs, to about 100 bits (Dekker 1971)."""
    high = left.high * right.high
    a, b = _split_float(left.high), _split_float(right.high)
    low = ((a[0] * b[0] - high) + a[0] * b[1] + a[1] * b[0]) + a[1] * b[1]
    low = low + (left.high * right.low + left.low * right.high)
    return Pair(*two_sum(high, low))


def _split_float(x: Array) -> tuple[Array, Array]:
    shifted = DEKKER_SPLITTER * x
    upper = shifted - (shifted - x)
    return upper, x - upper
