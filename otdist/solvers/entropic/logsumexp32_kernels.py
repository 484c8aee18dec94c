"""Inner loops of sums of exponentials over all pairs, which are never stored.

Powers of two instead of e: ``term_ij = 2 ** (h_j - rate * cost_ij)``. Costs and terms are float32, sums
over a tile float32, over all tiles float64. Terms below ``2**-NEGLIGIBLE_BITS32`` of a row's largest term
count as zero.
"""

from __future__ import annotations

import math

import numpy as np

from otdist.solvers.pairs.compiled import float32, jit_inline, jit_sum
from otdist.solvers.pairs.distance_tiles import EUCLIDEAN, ROWS_AT_ONCE, TILE, distances_four, distances_one
from otdist.solvers.pairs.kernels import box_costs

NEGLIGIBLE_BITS32 = 40.0
MIN_EXPONENT32 = -126.0  # exponent of the smallest normal float32
MAX_EXPONENT_BITS = 64.0  # larger exponents are rounding errors: the terms of a plan are at most its masses


@jit_inline
def exp2(t):
    """2**t for MIN_EXPONENT32 <= t < 127.5, to about 2e-7: a polynomial on [-1/2, 1/2], and exponent bits.

    Coefficients by Chebyshev interpolation.
    """
    k = np.floor(t + float32(0.5))
    r = t - k
    p = float32(1.5403530393381608e-04)
    p = p * r + float32(1.3333558146428443e-03)
    p = p * r + float32(9.6181291076284771e-03)
    p = p * r + float32(5.5504108664821579e-02)
    p = p * r + float32(2.4022650695910069e-01)
    p = p * r + float32(6.9314718055994530e-01)
    p = p * r + float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@jit_inline
def take_root(kind, out, r):
    """Take the root of squared distances, for EUCLIDEAN."""
    if kind == EUCLIDEAN:
        for j in range(TILE):
            out[r, j] = math.sqrt(out[r, j])


@jit_inline
def add_tile(h, place, rate, distances, r, top, total):
    """Add the terms of a tile, given its costs, to a sum ``2**top * total``; returns whether ``top`` rose."""
    high = float32(-np.inf)
    for j in range(TILE):
        distances[r, j] = h[place + j] - rate * distances[r, j]
        high = max(high, distances[r, j])
    rises = high > top[r]
    if rises:
        total[r] *= 2.0 ** (top[r] - high) if top[r] > -np.inf else 0.0
        top[r] = high
    if high >= top[r] - float32(NEGLIGIBLE_BITS32):
        here = float32(0.0)
        for j in range(TILE):
            here += exp2(max(distances[r, j] - top[r], float32(MIN_EXPONENT32)))
        total[r] += here
    return rises


@jit_sum
def log_sums(kind, x, tiles, h, rate, boxes, first, last, out):
    """``out_i = log2 sum_j 2**(h_j - rate cost_ij)`` for rows first to last.

    ``boxes``: bounding boxes of the tiles, in the coordinates of ``x``, with the largest h of each.
    """
    group = 1 if boxes.used else ROWS_AT_ONCE
    distances, near = np.empty((ROWS_AT_ONCE, TILE), np.float32), np.empty(len(tiles), np.float32)
    top, total = np.empty(ROWS_AT_ONCE, np.float32), np.empty(ROWS_AT_ONCE)
    rate32 = float32(rate)
    home = 0
    for start in range(first, last, group):
        stop = min(start + group, last)
        top[:], total[:] = -np.inf, 0.0
        best = home
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for step in range(len(tiles)):
            # Neighbours have their largest terms in the same tile: it comes first, most others are skipped.
            b = home if step == 0 else (step - 1 if step <= home else step)
            if boxes.used:
                least = math.sqrt(near[b]) if kind == EUCLIDEAN else near[b]
                if boxes.top[b] - rate * least < top[0] - NEGLIGIBLE_BITS32:
                    continue
                distances_one(kind, x, start, tiles, b, distances, 0)
            else:
                distances_four(kind, x, start, stop - 1, tiles, b, distances)
            for r in range(stop - start):
                take_root(kind, distances, r)
                if add_tile(h, b * TILE, rate32, distances, r, top, total):
                    best = b
        for i in range(start, stop):
            out[i] = top[i - start] + math.log2(total[i - start])
        home = best


@jit_sum
def marginals(kind, x, tiles, f, h, rate, boxes, by_row, by_col, first, last, rows, costs, cols):
    """Sums of the plan ``by_row_i * by_col_j * 2**(f_i + h_j - rate cost_ij)`` over rows first to last.

    ``rows_i`` and ``costs_i``: sums of the plan, and of plan times cost, in row i; ``cols``: column sums over
    these rows. The float32 powers are the same in every call, whatever the factors, so up to float64 rounding
    the sums of several calls belong to one plan. Powers below ``2**MIN_EXPONENT32`` are zero, powers above
    ``2**MAX_EXPONENT_BITS`` are clipped.
    """
    distances, near = np.empty((ROWS_AT_ONCE, TILE), np.float32), np.empty(len(tiles), np.float32)
    term = np.empty((ROWS_AT_ONCE, TILE), np.float32)
    rate32 = float32(rate)
    group = 1 if boxes.used else ROWS_AT_ONCE
    for start in range(first, last, group):
        stop = min(start + group, last)
        for i in range(start, stop):
            rows[i] = costs[i] = 0.0
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for b in range(len(tiles)):
            if boxes.used:
                least = math.sqrt(near[b]) if kind == EUCLIDEAN else near[b]
                if f[start] + boxes.top[b] - rate * least < MIN_EXPONENT32:
                    continue
                distances_one(kind, x, start, tiles, b, distances, 0)
            else:
                distances_four(kind, x, start, stop - 1, tiles, b, distances)
            for r in range(stop - start):
                take_root(kind, distances, r)
                mass, cost_sum = 0.0, 0.0
                for j in range(TILE):
                    t = f[start + r] + (h[b * TILE + j] - rate32 * distances[r, j])
                    t = min(t, float32(MAX_EXPONENT_BITS))
                    t = exp2(max(t, float32(MIN_EXPONENT32))) if t > float32(MIN_EXPONENT32) else float32(0.0)
                    term[r, j] = t
                    part = np.float64(t) * by_col[b * TILE + j]
                    mass += part
                    cost_sum += part * np.float64(distances[r, j])
                scale = by_row[start + r]
                rows[start + r] += scale * mass
                costs[start + r] += scale * cost_sum
                for j in range(TILE):
                    cols[b * TILE + j] += scale * by_col[b * TILE + j] * np.float64(term[r, j])
