"""Costs and reduced costs of very many pairs: the innermost loops.

A float32 test with a margin that covers all its rounding sorts out the pairs whose reduced cost
may be small; those, and only those, are computed again in float64, by differences.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import float32, int32
from numpy.typing import NDArray

from otdist.solvers.sparse.compiled import compiled, inlined, tested
from otdist.solvers.sparse.spreads import CITYBLOCK, EUCLIDEAN, FOUR, RUN, SQUARED, spread_four, spread_one

ROWS = 16  # rows that are tested against a run in turn


class Test(NamedTuple):
    """What the float32 test needs: potentials on its scale, that scale, and the bound of its error.

    Places of ``g`` after the last point hold -inf: nothing there is ever small.
    """

    f: NDArray[np.float32]
    g: NDArray[np.float32]
    unit: float
    margin: float


class Boxes(NamedTuple):
    """Bounding box (coordinates first) and largest potential of each run of points."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    top: NDArray[np.float64]
    used: bool


# Arrays are passed whole, with the places to read: making a view of a row costs as much as testing a run.


@compiled
def pair_cost(kind, x, i, y, j):
    """Cost between points i and j, by differences."""
    total = 0.0
    for c in range(x.shape[1]):
        t = abs(x[i, c] - y[j, c])
        if kind <= SQUARED:
            total += t * t
        elif kind == CITYBLOCK:
            total += t
        else:
            total = max(total, t)
    return math.sqrt(total) if kind == EUCLIDEAN else total


@compiled
def pair_costs(kind, x, y, rows, cols, out):
    """Costs of the listed pairs."""
    for e in range(len(rows)):
        out[e] = pair_cost(kind, x, rows[e], y, cols[e])


@inlined
def _hits(kind, spread, r, s, g, start):
    """How many costs in row r are below ``s + g``. A sum of integers: the loop is vectorised."""
    count = int32(0)
    if kind == EUCLIDEAN:
        for j in range(RUN):
            t = s + g[start + j]
            count += int32(spread[r, j] < t * abs(t))
    else:
        for j in range(RUN):
            count += int32(spread[r, j] < s + g[start + j])
    return count


@compiled
def fill_boxes(y, g, boxes):
    """Find the bounding boxes and the largest potentials."""
    boxes.low[:], boxes.high[:], boxes.top[:] = np.inf, -np.inf, -np.inf
    for j in range(len(y)):
        b = j // RUN
        boxes.top[b] = max(boxes.top[b], g[j])
        for c in range(y.shape[1]):
            boxes.low[c, b] = min(boxes.low[c, b], y[j, c])
            boxes.high[c, b] = max(boxes.high[c, b], y[j, c])


@inlined
def box_costs(kind, x, i, low, high, out):
    """Costs (squared ones for EUCLIDEAN) from a point to the nearest points of all boxes."""
    count = len(out)
    for b in range(count):
        out[b] = 0.0
    for c in range(x.shape[1]):
        here = x[i, c]
        if kind <= SQUARED:
            for b in range(count):
                t = max(low[c, b] - here, here - high[c, b], 0.0)
                out[b] += t * t
        elif kind == CITYBLOCK:
            for b in range(count):
                out[b] += max(low[c, b] - here, here - high[c, b], 0.0)
        else:
            for b in range(count):
                out[b] = max(out[b], low[c, b] - here, here - high[c, b])


@inlined
def _reach(kind, t):
    """What a cost as ``_spread`` gives it has to be below, to be below t."""
    return t * abs(t) if kind == EUCLIDEAN else t


@tested
def smallest(kind, x, y, f, g, x32, tiles, test, boxes, below, first, last, cols, costs):
    """The smallest reduced costs ``cost - f_i - g_j < below`` of rows first to last, in order.

    Where boxes are of no use, rows are taken a few at a time, so that a tile is read from the cache nearby.
    """
    group = 1 if boxes.used else ROWS
    spread, limits, near = np.empty((FOUR, RUN), np.float32), np.empty(ROWS), np.empty(len(tiles))
    home = 0
    for start in range(first, last, group):
        stop = min(start + group, last)
        limits[:] = below
        cols[start:stop], costs[start:stop] = -1, np.inf
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for step in range(len(tiles)):
            # Neighbours have their smallest costs in the same run: it comes first, and limits drop at once.
            b = home if step == 0 else (step - 1 if step <= home else step)
            if boxes.used and near[b] >= _reach(kind, f[start] + boxes.top[b] + limits[0]):
                continue
            for i in range(start, stop):
                r = (i - start) % FOUR
                if boxes.used:
                    spread_one(kind, x32, i, tiles, b, spread, r)
                elif r == 0:
                    spread_four(kind, x32, i, stop - 1, tiles, b, spread)
                limit = limits[i - start]
                s = test.f[i] + float32(limit * test.unit + test.margin)
                if _hits(kind, spread, r, s, test.g, b * RUN) > 0:
                    limits[i - start] = _choose(
                        kind, x, y, f, g, test, spread, r, i, b * RUN, limit, cols, costs
                    )
        if cols[stop - 1, 0] >= 0:
            home = cols[stop - 1, 0] // RUN


@compiled
def _choose(kind, x, y, f, g, test, spread, r, i, start, limit, cols, costs):
    """Compute again, in float64, what the test lets pass; returns the cost that the next one has to beat.

    ``r``: row of ``spread``.
    """
    s = test.f[i] + float32(limit * test.unit + test.margin)
    for q in range(RUN):
        if not spread[r, q] < _reach(kind, s + test.g[start + q]):
            continue
        reduced = pair_cost(kind, x, i, y, start + q) - (f[i] + g[start + q])
        if reduced < limit:
            insert(cols, costs, i, start + q, reduced)
            if costs[i, -1] < limit:
                limit = costs[i, -1]
                s = test.f[i] + float32(limit * test.unit + test.margin)
    return limit


@compiled
def insert(cols, costs, i, j, r):
    """Put an entry into its place in row i of short sorted lists; the last one falls out."""
    q = costs.shape[1] - 1
    while q > 0 and costs[i, q - 1] > r:
        costs[i, q], cols[i, q] = costs[i, q - 1], cols[i, q - 1]
        q -= 1
    costs[i, q], cols[i, q] = r, j
