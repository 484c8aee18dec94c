"""Inner loops of costs and reduced costs of very many pairs.

A float32 test with a margin that covers all its rounding selects the pairs whose reduced cost may be
small; only those are computed again in float64, by differences.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.pairs.compiled import float32, int32, jit, jit_fma, jit_inline
from otdist.solvers.pairs.distance_tiles import (
    CITYBLOCK,
    EUCLIDEAN,
    ROWS_AT_ONCE,
    SQUARED,
    TILE,
    distances_four,
    distances_one,
)
from otdist.typing import Array

ROWS_PER_GROUP = 16  # rows that are tested against a tile in turn


class Float32Test(NamedTuple):
    """Data of the float32 test: scaled potentials, the scale, and the bound of its error.

    Entries of ``g`` after the last point are -inf, so that their reduced costs are never small.
    """

    f: NDArray[np.float32]
    g: NDArray[np.float32]
    unit: float
    margin: float


class BoundingBoxes(NamedTuple):
    """Bounding box (coordinates first) and largest potential of each tile of points."""

    low: Array
    high: Array
    top: Array
    used: bool


# Arrays are passed whole, with indices: making a view of a row costs as much as testing a tile.


@jit
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


@jit
def pair_costs(kind, x, y, rows, cols, out):
    """Costs of the listed pairs."""
    for e in range(len(rows)):
        out[e] = pair_cost(kind, x, rows[e], y, cols[e])


@jit_inline
def _count_below(kind, distances, r, s, g, start):
    """Count costs in row r below ``s + g``; a sum of integers, so that the loop is vectorised."""
    count = int32(0)
    if kind == EUCLIDEAN:
        for j in range(TILE):
            t = s + g[start + j]
            count += int32(distances[r, j] < t * abs(t))
    else:
        for j in range(TILE):
            count += int32(distances[r, j] < s + g[start + j])
    return count


@jit
def fill_boxes(y, g, boxes):
    """Find the bounding boxes and the largest potentials."""
    boxes.low[:], boxes.high[:], boxes.top[:] = np.inf, -np.inf, -np.inf
    for j in range(len(y)):
        b = j // TILE
        boxes.top[b] = max(boxes.top[b], g[j])
        for c in range(y.shape[1]):
            boxes.low[c, b] = min(boxes.low[c, b], y[j, c])
            boxes.high[c, b] = max(boxes.high[c, b], y[j, c])


@jit_inline
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


@jit_inline
def _to_comparable(kind, t):
    """Convert a threshold of costs to one of the tile's entries, which are squared for EUCLIDEAN."""
    return t * abs(t) if kind == EUCLIDEAN else t


@jit_fma
def smallest(kind, x, y, f, g, x32, tiles, test, boxes, below, first, last, cols, costs):
    """Find the smallest reduced costs ``cost - f_i - g_j < below`` of rows first to last, in order.

    Without boxes, rows are processed in groups, so that a tile stays in the nearest cache.
    """
    group = 1 if boxes.used else ROWS_PER_GROUP
    distances, limits, near = (
        np.empty((ROWS_AT_ONCE, TILE), np.float32),
        np.empty(ROWS_PER_GROUP),
        np.empty(len(tiles)),
    )
    home = 0
    for start in range(first, last, group):
        stop = min(start + group, last)
        limits[:] = below
        cols[start:stop], costs[start:stop] = -1, np.inf
        if boxes.used:
            box_costs(kind, x, start, boxes.low, boxes.high, near)
        for step in range(len(tiles)):
            # Neighbours have their smallest costs in the same tile: it comes first, and limits drop at once.
            b = home if step == 0 else (step - 1 if step <= home else step)
            if boxes.used and near[b] >= _to_comparable(kind, f[start] + boxes.top[b] + limits[0]):
                continue
            for i in range(start, stop):
                r = (i - start) % ROWS_AT_ONCE
                if boxes.used:
                    distances_one(kind, x32, i, tiles, b, distances, r)
                elif r == 0:
                    distances_four(kind, x32, i, stop - 1, tiles, b, distances)
                limit = limits[i - start]
                s = test.f[i] + float32(limit * test.unit + test.margin)
                if _count_below(kind, distances, r, s, test.g, b * TILE) > 0:
                    limits[i - start] = _recompute(
                        kind, x, y, f, g, test, distances, r, i, b * TILE, limit, cols, costs
                    )
        if cols[stop - 1, 0] >= 0:
            home = cols[stop - 1, 0] // TILE


@jit
def _recompute(kind, x, y, f, g, test, distances, r, i, start, limit, cols, costs):
    """Recompute in float64 the pairs that pass the test; returns the new limit.

    ``r``: row of ``distances``.
    """
    s = test.f[i] + float32(limit * test.unit + test.margin)
    for q in range(TILE):
        if not distances[r, q] < _to_comparable(kind, s + test.g[start + q]):
            continue
        reduced = pair_cost(kind, x, i, y, start + q) - (f[i] + g[start + q])
        if reduced < limit:
            insert_sorted(cols, costs, i, start + q, reduced)
            if costs[i, -1] < limit:
                limit = costs[i, -1]
                s = test.f[i] + float32(limit * test.unit + test.margin)
    return limit


@jit
def insert_sorted(cols, costs, i, j, r):
    """Insert an entry into row i of short sorted lists, and drop the last one."""
    q = costs.shape[1] - 1
    while q > 0 and costs[i, q - 1] > r:
        costs[i, q], cols[i, q] = costs[i, q - 1], cols[i, q - 1]
        q -= 1
    costs[i, q], cols[i, q] = r, j
