"""Reduced costs of all entries of a matrix: the innermost loops."""

from __future__ import annotations

import numpy as np
from numba import int32

from otdist.solvers.sparse.compiled import compiled
from otdist.solvers.sparse.kernels import RUN, insert


@compiled
def smallest_in_rows(matrix, lines, f, g, below, cols, costs):
    """The smallest reduced costs ``matrix_ij - f_i - g_j < below`` of the listed rows, in order.

    Columns that do not take part have g = -inf.
    """
    for i in range(len(lines)):
        row = matrix[lines[i]]
        _clear(cols[i], costs[i])
        limit = below
        for start in range(0, len(row), RUN):
            stop = min(start + RUN, len(row))
            if _hits(row, f[i], g, start, stop, limit) == 0:
                continue
            for j in range(start, stop):
                r = row[j] - (f[i] + g[j])
                if r < limit:
                    insert(cols[i], costs[i], j, r)
                    limit = min(limit, costs[i, -1])


@compiled
def smallest_in_columns(matrix, first, last, f, g, limits, rows, costs):
    """The smallest reduced costs below ``limits`` of columns first to last: read row by row.

    Rows that do not take part have f = -inf, columns limit -inf.
    """
    for j in range(first, last):
        _clear(rows[j], costs[j])
    for i in range(len(matrix)):
        if f[i] == -np.inf:
            continue
        row = matrix[i]
        count = int32(0)
        for j in range(first, last):
            count += int32(row[j] - (f[i] + g[j]) < limits[j])
        if count == 0:
            continue
        for j in range(first, last):
            r = row[j] - (f[i] + g[j])
            if r < limits[j]:
                insert(rows[j], costs[j], i, r)
                limits[j] = min(limits[j], costs[j, -1])


@compiled
def _clear(places, costs):
    for q in range(len(places)):
        places[q], costs[q] = -1, np.inf


@compiled
def _hits(row, here, g, start, stop, limit):
    """How many reduced costs are below the limit. A sum of integers: the loop is vectorised."""
    count = int32(0)
    for j in range(start, stop):
        count += int32(row[j] - (here + g[j]) < limit)
    return count
