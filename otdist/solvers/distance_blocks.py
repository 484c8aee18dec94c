"""Distance matrix in blocks, so that a deadline can interrupt the computation."""

from __future__ import annotations

import math
import time

import numpy as np

from otdist.problem import Problem
from otdist.runtime.deadline import active_deadline, check_deadline
from otdist.typing import Array

FIRST_BLOCK_PAIRS = 256  # a function of the caller may take a millisecond a pair
BLOCK_SECONDS = 0.02  # target time of a block
MAX_BLOCK_GROWTH = 8  # largest ratio of the sizes of successive blocks


def all_distances(problem: Problem, x: Array, y: Array) -> Array:
    """Compute the distances between all points, on the problem's scale.

    Parameters
    ----------
    problem : Problem
        Problem with the metric.
    x, y : ndarray, shape (n, d) and (m, d)
        Points.

    Returns
    -------
    ndarray, shape (n, m)
        Distances. A precomputed matrix is not copied.

    Raises
    ------
    OutOfTimeError
        If a deadline interrupts, between two blocks of about 20 ms.
    """
    if active_deadline() == math.inf or problem.metric.name == "precomputed":
        return problem.metric.matrix(x, y)
    n, m = len(x), len(y)
    out = np.empty((n, m))
    size, row, col = FIRST_BLOCK_PAIRS, 0, 0
    while row < n:
        check_deadline()
        start = time.monotonic()
        # Whole rows, once a block holds one and the row before is complete.
        count = max(size // m, 1) if col == 0 else 1
        rows = slice(row, min(row + count, n))
        cols = slice(col, m if size >= m else min(col + size, m))
        out[rows, cols] = problem.metric.matrix(x[rows], y[cols])
        seconds = time.monotonic() - start
        row, col = (rows.stop, 0) if cols.stop == m else (row, cols.stop)
        size = max(int(size * min(BLOCK_SECONDS / max(seconds, 1e-9), MAX_BLOCK_GROWTH)), 1)
    return out
