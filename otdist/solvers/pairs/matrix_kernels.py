"""Inner loops of the reduced costs of all entries of a matrix."""

from __future__ import annotations

import numpy as np

from otdist.solvers.pairs.compiled import int32, jit
from otdist.solvers.pairs.distance_tiles import TILE
from otdist.solvers.pairs.kernels import insert_sorted


@jit
def smallest_in_rows(matrix, lines, f, g, below, cols, costs):
    """Find the smallest reduced costs ``matrix_ij - f_i - g_j < below`` of the listed rows, in order.

    Columns that do not take part have g = -inf.
    """
    m = matrix.shape[1]
    cols[:], costs[:] = -1, np.inf
    for i in range(len(lines)):
        limit = below
        for start in range(0, m, TILE):
            stop = min(start + TILE, m)
            if _count_below(matrix, lines[i], f[i], g, start, stop, limit) == 0:
                continue
            for j in range(start, stop):
                r = matrix[lines[i], j] - (f[i] + g[j])
                if r < limit:
                    insert_sorted(cols, costs, i, j, r)
                    limit = min(limit, costs[i, -1])


@jit
def smallest_in_columns(matrix, first, last, f, g, limits, rows, costs):
    """Find the smallest reduced costs below ``limits`` of columns first to last, reading row by row.

    Rows that do not take part have f = -inf, columns limit -inf.
    """
    rows[first:last], costs[first:last] = -1, np.inf
    for i in range(len(matrix)):
        if f[i] == -np.inf:
            continue
        count = int32(0)
        for j in range(first, last):
            count += int32(matrix[i, j] - (f[i] + g[j]) < limits[j])
        if count == 0:
            continue
        for j in range(first, last):
            r = matrix[i, j] - (f[i] + g[j])
            if r < limits[j]:
                insert_sorted(rows, costs, j, i, r)
                limits[j] = min(limits[j], costs[j, -1])


@jit
def _count_below(matrix, line, here, g, start, stop, limit):
    """Count reduced costs below the limit; a sum of integers, so that the loop is vectorised."""
    count = int32(0)
    for j in range(start, stop):
        count += int32(matrix[line, j] - (here + g[j]) < limit)
    return count
