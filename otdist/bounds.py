"""The two certificates: any potential proves a lower bound, any plan an upper bound.

All functions work on a plain cost matrix, so the same few lines certify every method with potentials or a
plan.

Rounding. A certificate is a statement about real numbers, so each operation is rounded outwards, by an amount
relative to its own operands:

- ``f[i] + g[j]`` rounds at the size of the potentials, not of the cost. With potentials near 1, a cost of
  1e-21 vanishes in ``cost - f``. Sums of two potentials are therefore computed with their error
  (:func:`two_sum`), and c-transforms are rounded down to the next float, which makes them feasible in exact
  arithmetic.
- Sums of products are exact except for the products (``math.fsum``); their bounds are widened by a unit in
  the last place for each operation.
- A cost ``d**p`` has ``p`` times the relative error of the distance, and the root of a cost widens its
  bounds by the rounding of the root (``Problem.to_distance_interval``).
- Dividing weights by their sum, merging coincident rows and scaling points move mass or points by a bounded
  amount. This amount, times the largest cost of mass, is part of the interval.

If the remaining relative gap exceeds 1e-9, the result has ``converged=False``.
"""

from __future__ import annotations

import math

import numpy as np

from otdist.metrics.base import make_row_blocks
from otdist.typing import Array, Index

FLOAT64_EPS = 2.0**-52  # distance from 1 to the next larger float64
UNIT_ROUNDOFF = 2.0**-53  # largest relative error of one float64 operation
CUMSUM_BLOCK = 1024  # masses that are added up before the sums of blocks


def c_transform(cost: Array, g: Array) -> Array:
    """Compute the largest f with ``f[i] + g[j] <= cost[i, j]``: ``f_i = min_j cost_ij - g_j``, rounded down.

    The inequality holds in exact arithmetic: rounding to nearest is monotone, so no difference is below the
    predecessor of the rounded minimum. The matrix is processed in blocks of rows, without a copy.
    """
    n, m = cost.shape
    f = np.empty(n)
    buffer = np.empty((make_row_blocks(n, m)[0].stop, m))
    for rows in make_row_blocks(n, m):
        block = buffer[: len(cost[rows])]
        np.subtract(cost[rows], g, out=block)
        np.min(block, axis=1, out=f[rows])
    return np.nextafter(f, -np.inf)


def dual_bound(cost: Array, a: Array, b: Array, g: Array) -> tuple[Array, Array, float]:
    """Make a feasible pair of potentials from any vector, and compute the lower bound that it proves.

    Two c-transforms are applied: the first makes the pair feasible, the second improves it.
    Returns (f, g, bound) with ``bound <= a.f + b.g``.
    """
    f = c_transform(cost, g)
    raised = np.full(cost.shape[1], np.inf)
    for rows in make_row_blocks(*cost.shape):
        np.minimum(raised, np.min(cost[rows] - f[rows, None], axis=0), out=raised)
    raised = np.nextafter(raised, -np.inf)
    size = math.fsum(a * np.abs(f)) + math.fsum(b * np.abs(raised))
    return f, raised, math.fsum(a * f) + math.fsum(b * raised) - 4 * UNIT_ROUNDOFF * size


def round_plan(rows: Index, cols: Index, mass: Array, a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Round any non-negative sparse matrix to a plan with marginals a and b.

    Rows and then columns in excess are scaled down; the remaining mass is coupled by the north-west corner
    rule.

    Notes
    -----
    Altschuler, Weed, Rigollet (2017), algorithm 2. Differs in the last step: the remainder is
    coupled by the north-west corner rule instead of a rank-one matrix, so that the plan stays
    sparse; any coupling of the remainder keeps the bound. A remainder below the rounding of
    the sums is left out: the caller has to add its largest possible cost to the bound.
    """
    mass = mass * _scale_factors(a, np.bincount(rows, mass, len(a)))[rows]
    mass = mass * _scale_factors(b, np.bincount(cols, mass, len(b)))[cols]
    left = np.maximum(a - np.bincount(rows, mass, len(a)), 0.0)
    right = np.maximum(b - np.bincount(cols, mass, len(b)), 0.0)
    # Mass below the rounding of the sums is left out: it would only add meaningless cells.
    if min(left.sum(), right.sum()) <= 4 * (len(a) + len(b)) * UNIT_ROUNDOFF * a.sum():
        return rows, cols, mass
    i, j, rest = northwest(left, right)
    return np.concatenate([rows, i]), np.concatenate([cols, j]), np.concatenate([mass, rest])


def _scale_factors(limit: Array, carried: Array | Index) -> Array:
    """Factors that scale ``carried`` down to ``limit`` where it exceeds it."""
    ones = np.ones(len(limit))
    return np.asarray(np.divide(np.minimum(limit, carried), carried, out=ones, where=carried > 0))


def cumulative_sum(mass: Array, *, overwrite: bool = False) -> Array:
    """Compute cumulative sums along the last axis, long ones in two steps for smaller rounding errors.

    Within blocks, then over the sums of the blocks: the error is bounded by ``cumulation_error(n)``
    additions instead of n, and the sums are non-decreasing. ``overwrite``: the masses may be overwritten.
    """
    n = mass.shape[-1]
    if mass.ndim > 1 or n < 4 * CUMSUM_BLOCK:
        return np.cumsum(mass, axis=-1)
    sums = mass if overwrite else mass.copy()
    full = n // CUMSUM_BLOCK * CUMSUM_BLOCK
    table, tail = sums[:full].reshape(-1, CUMSUM_BLOCK), sums[full:]
    np.cumsum(table, axis=1, out=table)
    before = np.cumsum(table[:, -1])
    table[1:] += before[:-1, None]
    np.cumsum(tail, out=tail)
    tail += before[-1]
    return sums


def cumulation_error(n: int) -> float:
    """Number of additions whose rounding bounds the error of ``cumulative_sum`` over n masses of total 1."""
    return float(n) if n < 4 * CUMSUM_BLOCK else 2.0 * CUMSUM_BLOCK + n / CUMSUM_BLOCK + 2


def staircase(a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Couple masses in order, along the last axis, by the north-west corner rule.

    Returns row, column and mass of the n + m - 1 cells of the staircase from the first pair to
    the last, including empty cells; each step goes to the next row or to the next column.
    """
    n, m = a.shape[-1], b.shape[-1]
    levels = np.concatenate([cumulative_sum(a), cumulative_sum(b)], axis=-1)
    # The two last levels are the total, up to rounding: no cell may start after them.
    levels[..., n - 1] = levels[..., -1] = np.maximum(levels[..., n - 1], levels[..., -1])
    order = np.argsort(levels, axis=-1, kind="stable")[..., :-1]
    levels = np.take_along_axis(levels, order, axis=-1)
    by_row = order < n
    passed = np.cumsum(by_row, axis=-1)
    i = np.minimum(passed - by_row, n - 1)
    j = np.minimum(np.arange(n + m - 1) - i, m - 1)
    return i, j, np.diff(levels, axis=-1, prepend=0.0)


def northwest(a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Couple two vectors of equal total by the north-west corner rule, without empty cells."""
    i, j, mass = staircase(a, b)
    full = mass > 0
    return i[full], j[full], mass[full]


def two_sum(left: Array, right: Array) -> tuple[Array, Array]:
    """Return the rounded sum of two numbers and its error: ``left + right == total + error`` exactly.

    Notes
    -----
    Knuth (1969), *The Art of Computer Programming*, volume 2, section 4.2.2, theorem B. Holds unless the
    sum overflows.
    """
    total = left + right
    shadow = total - left
    return total, (left - (total - shadow)) + (right - shadow)


def outward(value: float, error: float) -> tuple[float, float]:
    """Return the interval ``value -+ error`` around a non-negative value, cut at 0."""
    if not math.isfinite(value):
        return value, value
    return max(value - error, 0.0), value + error


def ldexp_safely(value: float, exponent: int) -> float:
    """Return ``value * 2**exponent``; infinity beyond the largest float64."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
