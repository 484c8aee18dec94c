"""The two certificates: any potential proves a lower bound, any plan an upper one.

Everything here works on a plain cost matrix, so every method that has potentials or a plan is
certified by the same few lines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.metrics.base import row_blocks

Array = NDArray[np.float64]
Index = NDArray[np.intp]

UNIT = 2.0**-53  # largest relative error of one float64 operation
SPAN = 1024  # masses added up before their sum joins the others


def c_transform(cost: Array, g: Array) -> Array:
    """Largest f with ``f[i] + g[j] <= cost[i, j]``: ``f_i = min_j cost_ij - g_j``.

    Worked in blocks of rows, so no second matrix is made.
    """
    n, m = cost.shape
    f = np.empty(n)
    buffer = np.empty((row_blocks(n, m)[0].stop, m))
    for rows in row_blocks(n, m):
        block = buffer[: len(cost[rows])]
        np.subtract(cost[rows], g, out=block)
        np.min(block, axis=1, out=f[rows])
    return f


def dual_bound(cost: Array, a: Array, b: Array, g: Array) -> tuple[Array, Array, float]:
    """Make any vector a feasible pair of potentials, and say what it proves.

    Both c-transforms are taken: the first makes the pair feasible, the second can only raise
    it. Returns (f, g, ``a.f + b.g``).
    """
    f = c_transform(cost, g)
    raised = np.full(cost.shape[1], np.inf)
    for rows in row_blocks(*cost.shape):
        np.minimum(raised, np.min(cost[rows] - f[rows, None], axis=0), out=raised)
    return f, raised, math.fsum(a * f) + math.fsum(b * raised)


def round_plan(rows: Index, cols: Index, mass: Array, a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Turn any non-negative sparse matrix into a plan with marginals a and b.

    Rows and then columns that carry too much are scaled down; what is missing is filled in by
    the north-west corner rule.

    Notes
    -----
    Altschuler, Weed, Rigollet (2017), algorithm 2. Differs in the last step: the remainder is
    coupled by the north-west corner rule instead of a rank-one matrix, so that the plan stays
    sparse; any coupling of the remainder keeps the bound. A remainder below the rounding of
    the sums is left out: who claims a bound adds what it can cost.
    """
    mass = mass * _within(a, np.bincount(rows, mass, len(a)))[rows]
    mass = mass * _within(b, np.bincount(cols, mass, len(b)))[cols]
    left = np.maximum(a - np.bincount(rows, mass, len(a)), 0.0)
    right = np.maximum(b - np.bincount(cols, mass, len(b)), 0.0)
    # Mass below the rounding of the sums is left out: it would only add cells of no meaning.
    if min(left.sum(), right.sum()) <= 4 * (len(a) + len(b)) * UNIT * a.sum():
        return rows, cols, mass
    i, j, rest = northwest(left, right)
    return np.concatenate([rows, i]), np.concatenate([cols, j]), np.concatenate([mass, rest])


def _within(limit: Array, carried: Any) -> Array:
    """Factors that bring what is carried down to the limit."""
    ones = np.ones(len(limit))
    return np.asarray(np.divide(np.minimum(limit, carried), carried, out=ones, where=carried > 0))


def cumulated(mass: Array, *, own: bool = False) -> Array:
    """Cumulated sums along the last axis; long ones in two steps, which keeps their rounding small.

    Within blocks, then over the sums of the blocks: the error is that of about
    ``cumulation_error(n)`` additions instead of n, and the order is kept. ``own``: the sums may
    take the place of the masses.
    """
    n = mass.shape[-1]
    if mass.ndim > 1 or n < 4 * SPAN:
        return np.cumsum(mass, axis=-1)
    sums = mass if own else mass.copy()
    full = n // SPAN * SPAN
    table, tail = sums[:full].reshape(-1, SPAN), sums[full:]
    np.cumsum(table, axis=1, out=table)
    before = np.cumsum(table[:, -1])
    table[1:] += before[:-1, None]
    np.cumsum(tail, out=tail)
    tail += before[-1]
    return sums


def cumulation_error(n: int) -> float:
    """Additions whose rounding bounds that of ``cumulated`` over n masses of total 1."""
    return float(n) if n < 4 * SPAN else 2.0 * SPAN + n / SPAN + 2


def staircase(a: Array, b: Array) -> tuple[Index, Index, Array]:
    """Couple masses in the order they stand, along the last axis: the north-west corner rule.

    Returns row, column and mass of the n + m - 1 cells of the staircase from the first pair to
    the last, empty cells included; each step moves on by one row or by one column.
    """
    n, m = a.shape[-1], b.shape[-1]
    levels = np.concatenate([cumulated(a), cumulated(b)], axis=-1)
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
    """Couple two vectors of equal total by the north-west corner rule, empty cells left out."""
    i, j, mass = staircase(a, b)
    full = mass > 0
    return i[full], j[full], mass[full]


def outward(value: float, error: float) -> tuple[float, float]:
    """Interval around a non-negative value that holds the exact one: value -+ error."""
    if not math.isfinite(value):
        return value, value
    return max(value - error, 0.0), value + error
