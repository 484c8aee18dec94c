"""Log-sum-exp over all pairs in float64, for values, intervals and gradients."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.runtime.parallel import add_in_parts, run_in_parts
from otdist.solvers.entropic.logsumexp32 import PlanSums
from otdist.solvers.pairs.compiled import jit_inline, jit_sum
from otdist.solvers.pairs.distance_tiles import CITYBLOCK, EUCLIDEAN, SQUARED, TILE
from otdist.solvers.pairs.point_costs import COORDINATES_PER_PART, PointCosts
from otdist.typing import Array

LN2 = math.log(2.0)
NEGLIGIBLE_BITS64 = 90.0  # terms below 2**-NEGLIGIBLE_BITS64 of a row's largest are skipped
MIN_EXPONENT64 = -1000.0  # smaller exponents are raised to this: their powers are negligible
SLOWDOWN64 = 8  # approximate time of a pair relative to the float32 test


@jit_inline
def exp2(t):
    """2**t for MIN_EXPONENT64 <= t <= 1000, to a few units in the last place.

    Taylor series on [-1/2, 1/2], and exponent bits.
    """
    k = np.floor(t + 0.5)
    r = (t - k) * 0.6931471805599453
    q = 1.6059043836821613e-10
    q = q * r + 2.08767569878681e-09
    q = q * r + 2.505210838544172e-08
    q = q * r + 2.755731922398589e-07
    q = q * r + 2.7557319223985893e-06
    q = q * r + 2.48015873015873e-05
    q = q * r + 1.984126984126984e-04
    q = q * r + 1.388888888888889e-03
    q = q * r + 8.333333333333333e-03
    q = q * r + 4.1666666666666664e-02
    q = q * r + 1.6666666666666666e-01
    q = q * r + 0.5
    q = q * r + 1.0
    q = q * r + 1.0
    return q * np.int64((np.int64(np.int32(k)) + np.int64(1023)) << np.int64(52)).view(np.float64)


@jit_inline
def costs_of_tile(kind, x, i, across, start, width, out):
    """Costs between point i and ``width`` others from ``start`` on; ``across``: their coordinates, (d, m)."""
    for j in range(width):
        out[j] = 0.0
    for c in range(x.shape[1]):
        here = x[i, c]
        if kind <= SQUARED:
            for j in range(width):
                t = here - across[c, start + j]
                out[j] += t * t
        elif kind == CITYBLOCK:
            for j in range(width):
                out[j] += abs(here - across[c, start + j])
        else:
            for j in range(width):
                out[j] = max(out[j], abs(here - across[c, start + j]))
    if kind == EUCLIDEAN:
        for j in range(width):
            out[j] = math.sqrt(out[j])


@jit_sum
def log_sums(kind, x, across, h, rate, first, last, out):
    """``out_i = log2 sum_j 2**(h_j - rate cost_ij)`` for rows first to last."""
    m = across.shape[1]
    term = np.empty(TILE)
    for i in range(first, last):
        top, total = -np.inf, 0.0
        for start in range(0, m, TILE):
            width = min(TILE, m - start)
            costs_of_tile(kind, x, i, across, start, width, term)
            high = -np.inf
            for j in range(width):
                term[j] = h[start + j] - rate * term[j]
                high = max(high, term[j])
            if high > top:
                total *= 2.0 ** (top - high) if top > -np.inf else 0.0
                top = high
            if high < top - NEGLIGIBLE_BITS64:
                continue
            here = 0.0
            for j in range(width):
                here += exp2(max(term[j] - top, MIN_EXPONENT64))
            total += here
        out[i] = top + math.log2(total)


@jit_inline
def masses_of_tile(kind, cost, width, mass):
    """Convert exponents to masses, for powers of the Euclidean distance divided by the difference."""
    for j in range(width):
        mass[j] = exp2(min(max(mass[j], MIN_EXPONENT64), -MIN_EXPONENT64))
    if kind == EUCLIDEAN:
        for j in range(width):
            mass[j] = mass[j] / cost[j] if cost[j] > 0.0 else 0.0
    elif kind == SQUARED:
        for j in range(width):
            mass[j] *= 2.0


@jit_inline
def gradient_along(kind, here, across, c, start, width, cost, mass):
    """Sum of the derivatives in coordinate c over a tile."""
    gradient = 0.0
    if kind <= SQUARED:
        for j in range(width):
            gradient += mass[j] * (here - across[c, start + j])
    elif kind == CITYBLOCK:
        for j in range(width):
            gradient += mass[j] * np.sign(here - across[c, start + j])
    else:
        for j in range(width):
            t = here - across[c, start + j]
            if abs(t) == cost[j]:
                gradient += mass[j] * np.sign(t)
                mass[j] = 0.0  # only the first of several equal largest differences counts
    return gradient


@jit_sum
def plan_gradients(kind, x, across, f, h, rate, first, last, out):
    """``out_i = sum_j P_ij grad cost(x_i, y_j)`` for rows first to last.

    ``P_ij = 2**(f_i + h_j - rate cost_ij)``. The gradient of coincident points is 0.
    """
    d, m = across.shape
    cost, mass = np.empty(TILE), np.empty(TILE)
    for i in range(first, last):
        out[i] = 0.0
        for start in range(0, m, TILE):
            width = min(TILE, m - start)
            costs_of_tile(kind, x, i, across, start, width, cost)
            high = -np.inf
            for j in range(width):
                mass[j] = f[i] + h[start + j] - rate * cost[j]
                high = max(high, mass[j])
            if high < MIN_EXPONENT64:
                continue
            masses_of_tile(kind, cost, width, mass)
            for c in range(d):
                out[i, c] += gradient_along(kind, x[i, c], across, c, start, width, cost, mass)


@jit_sum
def marginals(kind, x, across, f, h, rate, first, last, rows, costs, cols):
    """Sums of ``P_ij = 2**(f_i + h_j - rate cost_ij)`` over rows first to last, as for float32."""
    m = across.shape[1]
    cost, mass = np.empty(TILE), np.empty(TILE)
    for i in range(first, last):
        rows[i] = costs[i] = 0.0
        for start in range(0, m, TILE):
            width = min(TILE, m - start)
            costs_of_tile(kind, x, i, across, start, width, cost)
            high = -np.inf
            for j in range(width):
                mass[j] = f[i] + h[start + j] - rate * cost[j]
                high = max(high, mass[j])
            if high < MIN_EXPONENT64:
                continue
            here, cost_sum = 0.0, 0.0
            for j in range(width):
                share = exp2(min(max(mass[j], MIN_EXPONENT64), -MIN_EXPONENT64))
                here += share
                cost_sum += share * cost[j]
                cols[start + j] += share
            rows[i] += here
            costs[i] += cost_sum


class PointLogSumExp64:
    """All pairs of two point sets, in float64.

    Parameters
    ----------
    pairs : PointCosts
        The points.
    """

    def __init__(self, pairs: PointCosts) -> None:
        self.pairs = pairs
        self.points = pairs.x.points, pairs.y.points
        self.across = tuple(np.ascontiguousarray(points.T) for points in self.points)
        self.cost_error = (self.points[0].shape[1] + 8) * UNIT_ROUNDOFF * pairs.extent

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """``-eps log sum_j exp(log_mass_j + (g_j - c_ij) / eps)`` of every row; ``flip``: of every column."""
        side, others = self.points[flip], self.across[not flip]
        h = (potential / eps + log_mass) / LN2
        shift = float(h.max())
        out = np.empty(len(side))
        search = partial(log_sums, self.pairs.kind, side, others, h - shift, 1.0 / (eps * LN2))
        run_in_parts(lambda first, last: search(first, last, out), len(out), self._part(others))
        return np.asarray(-eps * LN2 * (out + shift))

    def plan_sums(self, log_rows: Array, log_cols: Array, eps: float) -> PlanSums:
        """Sums of the plan ``exp(log_rows_i + log_cols_j - c_ij / eps)``."""
        n, m = self.pairs.shape
        rows, costs = np.empty(n), np.empty(n)
        rate = 1.0 / (eps * LN2)
        ends = self.points[0], self.across[1], log_rows / LN2, log_cols / LN2

        def add(first: int, last: int, cols: Array) -> None:
            marginals(self.pairs.kind, *ends, rate, first, last, rows, costs, cols)

        cols = add_in_parts(add, n, self._part(self.across[1]), m)
        return PlanSums(rows, cols, math.fsum(costs))

    def plan_gradient(self, log_rows: Array, log_cols: Array, eps: float, flip: bool = False) -> Array:
        """``sum_j P_ij grad_x c(x_i, y_j)`` for ``P_ij = exp(log_rows_i + log_cols_j - c_ij / eps)``.

        ``flip``: the same for the columns. Costs and coordinates are on the scale of the points.
        """
        side, others = self.points[flip], self.across[not flip]
        f, h = (log_cols, log_rows) if flip else (log_rows, log_cols)
        out = np.empty(side.shape)
        add = partial(plan_gradients, self.pairs.kind, side, others, f / LN2, h / LN2, 1.0 / (eps * LN2))
        run_in_parts(lambda first, last: add(first, last, out), len(out), self._part(others))
        return out

    def _part(self, others: Array) -> int:
        return max(1, COORDINATES_PER_PART // (SLOWDOWN64 * others.size))
