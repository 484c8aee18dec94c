"""Sums of exponentials over all pairs, never held at once: the innermost loops.

Powers of two instead of e: ``term_ij = 2 ** (h_j - rate * cost_ij)``. Costs and terms are float32, sums
over a run float32, over all runs float64. What is 2**-CUT of a row's largest term counts as zero.
"""

from __future__ import annotations

import math

import numpy as np
from numba import float32

from otdist.solvers.sparse.compiled import inlined, summed
from otdist.solvers.sparse.kernels import box_costs
from otdist.solvers.sparse.spreads import EUCLIDEAN, FOUR, RUN, spread_four, spread_one

CUT = 40.0
LEAST = -126.0  # exponent of the smallest normal float32
MOST = 64.0  # exponents above are rounding errors: the terms of a plan are at most its masses


@inlined
def power(t):
    """2**t for LEAST <= t < 127.5, to about 2e-7: a polynomial on [-1/2, 1/2], and the exponent's bits.

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


@inlined
def rooted(kind, out, r):
    """Turn squared distances into distances."""
    if kind == EUCLIDEAN:
        for j in range(RUN):
            out[r, j] = math.sqrt(out[r, j])


@inlined
def add_run(h, place, rate, spread, r, top, total):
    """Add the terms of a run, given its costs, to a sum ``2**top * total``; whether its largest rose."""
    high = float32(-np.inf)
    for j in range(RUN):
        spread[r, j] = h[place + j] - rate * spread[r, j]
        high = max(high, spread[r, j])
    rises = high > top[r]
    if rises:
        total[r] *= 2.0 ** (top[r] - high) if top[r] > -np.inf else 0.0
        top[r] = high
    if high >= top[r] - float32(CUT):
        here = float32(0.0)
        for j in range(RUN):
            here += power(max(spread[r, j] - top[r], float32(LEAST)))
        total[r] += here
    return rises


@summed
def log_sums(kind, x, tiles, h, rate, boxes, first, last, out):
    """``out_i = log2 sum_j 2**(h_j - rate cost_ij)`` for rows first to last.

    ``boxes``: of the runs, in the coordinates of ``x``, with the largest h of each.
    """
    group = 1 if boxes.used else FOUR
    spread, near = np.empty((FOUR, RUN), np.float32), np.empty(len(tiles), np.float32)
    top, total = np.empty(FOUR, np.float32), np.empty(FOUR)
    rate32 = float32(rate)
    home = 0
    for start in range(first, last, group):
        stop = min(start + group, last)
        top[:], total[:] = -np.inf, 0.0
        best = home
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for step in range(len(tiles)):
            # Neighbours have their largest terms in the same run: it comes first, most others are left out.
            b = home if step == 0 else (step - 1 if step <= home else step)
            if boxes.used:
                least = math.sqrt(near[b]) if kind == EUCLIDEAN else near[b]
                if boxes.top[b] - rate * least < top[0] - CUT:
                    continue
                spread_one(kind, x, start, tiles, b, spread, 0)
            else:
                spread_four(kind, x, start, stop - 1, tiles, b, spread)
            for r in range(stop - start):
                rooted(kind, spread, r)
                if add_run(h, b * RUN, rate32, spread, r, top, total):
                    best = b
        for i in range(start, stop):
            out[i] = top[i - start] + math.log2(total[i - start])
        home = best


@summed
def marginals(kind, x, tiles, f, h, rate, boxes, by_row, by_col, first, last, rows, costs, cols):
    """Sums of the plan ``by_row_i * by_col_j * 2**(f_i + h_j - rate cost_ij)`` over rows first to last.

    ``rows_i`` and ``costs_i``: its sum in row i, and that of plan times cost; ``cols``: its sums in columns,
    over these rows. The float32 powers are the same in every call, whatever the factors: so the sums of
    several calls belong to one plan, but for float64 rounding. Powers below 2**LEAST are zero, those above
    2**MOST are that.
    """
    spread, near = np.empty((FOUR, RUN), np.float32), np.empty(len(tiles), np.float32)
    term = np.empty((FOUR, RUN), np.float32)
    rate32 = float32(rate)
    group = 1 if boxes.used else FOUR
    for start in range(first, last, group):
        stop = min(start + group, last)
        for i in range(start, stop):
            rows[i] = costs[i] = 0.0
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for b in range(len(tiles)):
            if boxes.used:
                least = math.sqrt(near[b]) if kind == EUCLIDEAN else near[b]
                if f[start] + boxes.top[b] - rate * least < LEAST:
                    continue
                spread_one(kind, x, start, tiles, b, spread, 0)
            else:
                spread_four(kind, x, start, stop - 1, tiles, b, spread)
            for r in range(stop - start):
                rooted(kind, spread, r)
                mass, paid = 0.0, 0.0
                for j in range(RUN):
                    t = f[start + r] + (h[b * RUN + j] - rate32 * spread[r, j])
                    t = min(t, float32(MOST))
                    t = power(max(t, float32(LEAST))) if t > float32(LEAST) else float32(0.0)
                    term[r, j] = t
                    part = np.float64(t) * by_col[b * RUN + j]
                    mass += part
                    paid += part * np.float64(spread[r, j])
                scale = by_row[start + r]
                rows[start + r] += scale * mass
                costs[start + r] += scale * paid
                for j in range(RUN):
                    cols[b * RUN + j] += scale * by_col[b * RUN + j] * np.float64(term[r, j])
