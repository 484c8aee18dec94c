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

from otdist.solvers.sparse.compiled import compiled

EUCLIDEAN, SQUARED, CITYBLOCK, CHEBYSHEV = range(4)
RUN = 256  # points that are tested at a time


class Test(NamedTuple):
    """What the float32 test needs: potentials on its scale, that scale, and the bound of its error."""

    f: NDArray[np.float32]
    g: NDArray[np.float32]
    unit: float
    margin: float


class Boxes(NamedTuple):
    """Bounding box and largest potential of each run of points."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    top: NDArray[np.float64]
    used: bool


@compiled
def pair_cost(kind, x, y):
    """Cost between two points, by differences."""
    total = 0.0
    for c in range(len(x)):
        t = abs(x[c] - y[c])
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
        out[e] = pair_cost(kind, x[rows[e]], y[cols[e]])


@compiled
def _spread(kind, x, yt, start, width, out):
    """Costs (squared ones for EUCLIDEAN) between a point and a run of points, in float32."""
    if kind <= SQUARED:
        _squares(x, yt, start, width, out)
        return
    for j in range(width):
        out[j] = float32(0.0)
    for c in range(len(x)):
        here, y = x[c], yt[c, start : start + width]
        if kind == CITYBLOCK:
            for j in range(width):
                out[j] += abs(here - y[j])
        else:
            for j in range(width):
                out[j] = max(out[j], abs(here - y[j]))


@compiled
def _squares(x, yt, start, width, out):
    """Squared distances, four coordinates at a time: fewer passes over ``out``."""
    d, stop = len(x), start + width
    c = d % 4
    if c == 0:
        for j in range(width):
            out[j] = float32(0.0)
    elif c == 1:
        x0, y0 = x[0], yt[0, start:stop]
        for j in range(width):
            out[j] = (x0 - y0[j]) * (x0 - y0[j])
    elif c == 2:
        x0, x1, y0, y1 = x[0], x[1], yt[0, start:stop], yt[1, start:stop]
        for j in range(width):
            out[j] = (x0 - y0[j]) * (x0 - y0[j]) + (x1 - y1[j]) * (x1 - y1[j])
    else:
        x0, x1, x2 = x[0], x[1], x[2]
        y0, y1, y2 = yt[0, start:stop], yt[1, start:stop], yt[2, start:stop]
        for j in range(width):
            t0, t1, t2 = x0 - y0[j], x1 - y1[j], x2 - y2[j]
            out[j] = t0 * t0 + t1 * t1 + t2 * t2
    while c < d:
        x0, x1, x2, x3 = x[c], x[c + 1], x[c + 2], x[c + 3]
        y0, y1, y2, y3 = (
            yt[c, start:stop],
            yt[c + 1, start:stop],
            yt[c + 2, start:stop],
            yt[c + 3, start:stop],
        )
        for j in range(width):
            t0, t1, t2, t3 = x0 - y0[j], x1 - y1[j], x2 - y2[j], x3 - y3[j]
            out[j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
        c += 4


@compiled
def _hits(kind, spread, s, g, width):
    """How many costs are below ``s + g``. A sum of integers: the loop is vectorised."""
    count = int32(0)
    if kind == EUCLIDEAN:
        for j in range(width):
            t = s + g[j]
            count += int32(spread[j] < t * abs(t))
    else:
        for j in range(width):
            count += int32(spread[j] < s + g[j])
    return count


@compiled
def _box_cost(kind, x, low, high):
    """Cost from a point to the nearest point of a box."""
    total = 0.0
    for c in range(len(x)):
        t = max(low[c] - x[c], x[c] - high[c], 0.0)
        if kind <= SQUARED:
            total += t * t
        elif kind == CITYBLOCK:
            total += t
        else:
            total = max(total, t)
    return math.sqrt(total) if kind == EUCLIDEAN else total


@compiled
def fill_boxes(y, g, boxes):
    """Find the bounding boxes and the largest potentials."""
    for q in range(len(boxes.top)):
        part = y[q * RUN : (q + 1) * RUN]
        for c in range(y.shape[1]):
            boxes.low[q, c], boxes.high[q, c] = part[:, c].min(), part[:, c].max()
        boxes.top[q] = g[q * RUN : (q + 1) * RUN].max()


@compiled
def smallest(kind, x, y, f, g, x32, y32, test, boxes, below, first, last, cols, costs):
    """The smallest reduced costs ``cost - f_i - g_j < below`` of rows first to last, in order."""
    spread = np.empty(RUN, np.float32)
    home = 0
    for i in range(first, last):
        cols[i], costs[i] = -1, np.inf
        limit = below
        for step in range(len(boxes.top)):
            # Neighbours have their smallest costs in the same run: it comes first, the limit drops at once.
            b = home if step == 0 else (step - 1 if step <= home else step)
            if (
                boxes.used
                and _box_cost(kind, x[i], boxes.low[b], boxes.high[b]) >= f[i] + boxes.top[b] + limit
            ):
                continue
            limit = _search_run(kind, x, y, f, g, x32, y32, test, spread, i, b, limit, cols[i], costs[i])
        if cols[i, 0] >= 0:
            home = cols[i, 0] // RUN


@compiled
def _search_run(kind, x, y, f, g, x32, y32, test, spread, i, b, limit, cols, costs):
    """Judge a run of points for row i; returns the cost that the next one has to beat."""
    start = b * RUN
    width = min(RUN, len(y) - start)
    _spread(kind, x32[i], y32, start, width, spread)
    g32 = test.g[start : start + width]
    s = test.f[i] + float32(limit * test.unit + test.margin)
    if _hits(kind, spread, s, g32, width) == 0:
        return limit
    for q in range(width):
        t = s + g32[q]
        if kind == EUCLIDEAN:
            t *= abs(t)
        if not spread[q] < t:
            continue
        r = pair_cost(kind, x[i], y[start + q]) - (f[i] + g[start + q])
        if r < limit:
            _insert(cols, costs, start + q, r)
            if costs[-1] < limit:
                limit = costs[-1]
                s = test.f[i] + float32(limit * test.unit + test.margin)
    return limit


@compiled
def smallest_entries(block, f, g, below, cols, costs):
    """The smallest reduced costs ``block_ij - f_i - g_j < below`` of every row, in order."""
    for i in range(len(block)):
        cols[i], costs[i] = -1, np.inf
        limit = below
        for j in range(block.shape[1]):
            r = block[i, j] - (f[i] + g[j])
            if r < limit:
                _insert(cols[i], costs[i], j, r)
                limit = min(limit, costs[i, -1])


@compiled
def _insert(js, rs, j, r):
    """Put an entry into its place in a short sorted list; the last one falls out."""
    q = len(rs) - 1
    while q > 0 and rs[q - 1] > r:
        rs[q], js[q] = rs[q - 1], js[q - 1]
        q -= 1
    rs[q], js[q] = r, j
