"""Reduced costs of all entries of a matrix: the innermost loops."""

from __future__ import annotations

import numpy as np
from numba import int32

from otdist.solvers.sparse.compiled import compiled
from otdist.solvers.sparse.kernels import insert
from otdist.solvers.sparse.spreads import RUN


@compiled
def smallest_in_rows(matrix, lines, f, g, below, cols, costs):
    """The smallest reduced costs ``matrix_ij - f_i - g_j < below`` of the listed rows, in order.

    Columns that do not take part have g = -inf.
    """
    m = matrix.shape[1]
    cols[:], costs[:] = -1, np.inf
    for i in range(len(lines)):
        limit = below
        for start in range(0, m, RUN):
            stop = min(start + RUN, m)
            if _hits(matrix, lines[i], f[i], g, start, stop, limit) == 0:
                continue
            for j in range(start, stop):
                r = matrix[lines[i], j] - (f[i] + g[j])
                if r < limit:
                    insert(cols, costs, i, j, r)
                    limit = min(limit, costs[i, -1])


@compiled
def smallest_in_columns(matrix, first, last, f, g, limits, rows, costs):
    """The smallest reduced costs below ``limits`` of columns first to last: read row by row.

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
                insert(rows, costs, j, i, r)
                limits[j] = min(limits[j], costs[j, -1])


@compiled
def _hits(matrix, line, here, g, start, stop, limit):
    """How many reduced costs are below the limit. A sum of integers: the loop is vectorised."""
    count = int32(0)
    for j in range(start, stop):
        count += int32(matrix[line, j] - (here + g[j]) < limit)
    return count
