"""Some of the pairs, and soft minima over these alone: a truncated kernel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sinkhorn.entropic import Potentials
from otdist.solvers.sinkhorn.wide import LEAST, power
from otdist.solvers.sparse.compiled import summed

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Listed = tuple[Index, Index, Array]  # rows, columns and costs

LN2 = math.log(2.0)
HIGHEST = 700.0  # exponents above overflow: the terms of a plan with exact rows are at most its masses


class Shortlist:
    """Pairs that may carry mass; all others carry none.

    Parameters
    ----------
    pairs : tuple of ndarray
        Rows, columns and costs, by rows, and no pair twice. Every row and every column has a pair.
    shape : tuple of int
        Numbers of rows and columns.

    Attributes
    ----------
    rows, cols, cost : ndarray
        The pairs.
    """

    def __init__(self, pairs: Listed, shape: tuple[int, int]) -> None:
        self.rows, self.cols, self.cost = pairs
        self.shape = shape
        by_col = np.argsort(self.cols, kind="stable")
        across = self.cols[by_col]
        # Starts, the points on the other side, and costs: a half-step reads them in this order.
        self._sides = (
            (_starts(self.rows, shape[0]), self.cols.astype(np.int32), self.cost),
            (_starts(across, shape[1]), self.rows[by_col].astype(np.int32), self.cost[by_col]),
        )
        self._term = np.empty(max(int(np.diff(side[0]).max()) for side in self._sides))

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """``-eps log sum_j exp(log_mass_j + (g_j - c_ij) / eps)`` of every row; ``flip``: of every column."""
        starts, others, cost = self._sides[flip]
        out = np.empty(len(starts) - 1)
        h = (potential / eps + log_mass) / LN2
        log_sums(starts, others, cost, h, 1.0 / (eps * LN2), self._term, out)
        out *= -eps * LN2
        return out

    def least(self, potential: Array, flip: bool = False) -> Array:
        """``min_j c_ij - g_j`` of every row; ``flip``: of every column."""
        starts, others, cost = self._sides[flip]
        return np.asarray(np.minimum.reduceat(cost - potential[others], starts[:-1]))

    def carried(self, state: Potentials, a: Array, b: Array) -> Array:
        """Mass of each pair: ``a_i b_j exp((f_i + g_j - c_ij) / eps)``."""
        exponents = (state.f[self.rows] + state.g[self.cols] - self.cost) / state.eps
        return np.asarray(a[self.rows] * b[self.cols] * np.exp(np.minimum(exponents, HIGHEST)))

    def joined(self, other: Listed) -> Shortlist:
        """With more pairs, some of which may be on it."""
        m = self.shape[1]
        keys = np.concatenate([self.rows * m + self.cols, other[0] * m + other[1]])
        keys, first = np.unique(keys, return_index=True)
        rows, cols = np.divmod(keys, m)
        return Shortlist((rows, cols, np.concatenate([self.cost, other[2]])[first]), self.shape)


def _starts(sorted_points: Index, count: int) -> Index:
    return np.searchsorted(sorted_points, np.arange(count + 1))


@summed
def log_sums(starts, others, cost, h, rate, term, out):
    """``out_i = log2 sum_q 2**(h_q - rate cost_q)`` over the pairs q of each row; ``term``: room for them."""
    for i in range(len(out)):
        first, width = starts[i], starts[i + 1] - starts[i]
        top = -np.inf
        for q in range(width):
            term[q] = h[others[first + q]] - rate * cost[first + q]
            top = max(top, term[q])
        total = 0.0
        for q in range(width):
            total += power(max(term[q] - top, LEAST))
        out[i] = top + math.log2(total)
