"""Costs between a few points and a tile of others, in float32: most of the work of a pass."""

from __future__ import annotations

from otdist.solvers.pairs.compiled import float32, jit_inline

EUCLIDEAN, SQUARED, CITYBLOCK, CHEBYSHEV = range(4)
TILE = 256  # points of a tile
ROWS_AT_ONCE = 4  # points whose costs to a tile are computed together


@jit_inline
def distances_one(kind, x, i, tiles, b, out, r):
    """Compute the costs (squared for EUCLIDEAN) between point i and tile b, in row r of ``out``."""
    for j in range(TILE):
        out[r, j] = float32(0.0)
    if kind <= SQUARED:
        _squares_one(x, i, tiles, b, out, r)
        return
    for c in range(x.shape[1]):
        here = x[i, c]
        if kind == CITYBLOCK:
            for j in range(TILE):
                out[r, j] += abs(here - tiles[b, c, j])
        else:
            for j in range(TILE):
                out[r, j] = max(out[r, j], abs(here - tiles[b, c, j]))


@jit_inline
def _squares_one(x, i, tiles, b, out, r):
    c = 0
    while c + 2 <= x.shape[1]:
        x0, x1 = x[i, c], x[i, c + 1]
        for j in range(TILE):
            t0, t1 = x0 - tiles[b, c, j], x1 - tiles[b, c + 1, j]
            out[r, j] += t0 * t0 + t1 * t1
        c += 2
    if c < x.shape[1]:
        x0 = x[i, c]
        for j in range(TILE):
            t0 = x0 - tiles[b, c, j]
            out[r, j] += t0 * t0


@jit_inline
def distances_four(kind, x, i, last, tiles, b, out):
    """Compute the same for four points, from i to ``last`` at most: a tile is read from the cache once."""
    i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
    if kind > SQUARED:
        distances_one(kind, x, i, tiles, b, out, 0)
        distances_one(kind, x, i1, tiles, b, out, 1)
        distances_one(kind, x, i2, tiles, b, out, 2)
        distances_one(kind, x, i3, tiles, b, out, 3)
        return
    _squares_four(x, i, i1, i2, i3, tiles, b, out)


@jit_inline
def _squares_four(x, i, i1, i2, i3, tiles, b, out):
    for r in range(ROWS_AT_ONCE):
        for j in range(TILE):
            out[r, j] = float32(0.0)
    c = 0
    while c + 4 <= x.shape[1]:
        a0, a1, a2, a3 = x[i, c], x[i, c + 1], x[i, c + 2], x[i, c + 3]
        b0, b1, b2, b3 = x[i1, c], x[i1, c + 1], x[i1, c + 2], x[i1, c + 3]
        c0, c1, c2, c3 = x[i2, c], x[i2, c + 1], x[i2, c + 2], x[i2, c + 3]
        d0, d1, d2, d3 = x[i3, c], x[i3, c + 1], x[i3, c + 2], x[i3, c + 3]
        for j in range(TILE):
            y0, y1, y2, y3 = tiles[b, c, j], tiles[b, c + 1, j], tiles[b, c + 2, j], tiles[b, c + 3, j]
            t0, t1, t2, t3 = a0 - y0, a1 - y1, a2 - y2, a3 - y3
            out[0, j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
            t0, t1, t2, t3 = b0 - y0, b1 - y1, b2 - y2, b3 - y3
            out[1, j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
            t0, t1, t2, t3 = c0 - y0, c1 - y1, c2 - y2, c3 - y3
            out[2, j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
            t0, t1, t2, t3 = d0 - y0, d1 - y1, d2 - y2, d3 - y3
            out[3, j] += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
        c += 4
    while c < x.shape[1]:
        x0, x1, x2, x3 = x[i, c], x[i1, c], x[i2, c], x[i3, c]
        for j in range(TILE):
            here = tiles[b, c, j]
            t0, t1, t2, t3 = x0 - here, x1 - here, x2 - here, x3 - here
            out[0, j] += t0 * t0
            out[1, j] += t1 * t1
            out[2, j] += t2 * t2
            out[3, j] += t3 * t3
        c += 1
