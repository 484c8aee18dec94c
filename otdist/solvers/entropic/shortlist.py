"""Soft minima over a shortlist of pairs: a truncated kernel."""

from __future__ import annotations

import math

import numpy as np

from otdist.solvers.entropic.iteration import SinkhornState
from otdist.solvers.entropic.logsumexp32_kernels import MIN_EXPONENT32, exp2
from otdist.solvers.pairs.compiled import float32, jit_sum
from otdist.solvers.pairs.pairwise_costs import PairwiseCosts
from otdist.typing import Array, Index

PairList = tuple[Index, Index, Array]  # rows, columns and costs

LN2 = math.log(2.0)
MAX_EXPONENT = 700.0  # larger exponents overflow; with exact rows the terms are at most the masses


class Shortlist:
    """Pairs that may carry mass.

    Parameters
    ----------
    pairs : tuple of ndarray
        Rows, columns and costs, sorted by rows, without duplicates. Every row and every column has a pair.
    shape : tuple of int
        Numbers of rows and columns.

    Attributes
    ----------
    rows, cols, cost : ndarray
        The pairs.
    """

    def __init__(self, pairs: PairList, shape: tuple[int, int]) -> None:
        self.rows, self.cols, self.cost = pairs
        self.shape = shape
        columns = self.cols.astype(np.min_scalar_type(shape[1]))  # 16 bits are sorted by digits
        by_col = np.argsort(columns, kind="stable")
        across = self.cols[by_col]
        # Starts, the points on the other side, and costs, in the order in which an update reads them.
        self._sides = (
            (_starts(self.rows, shape[0]), self.cols.astype(np.uint32), self.cost),
            (_starts(across, shape[1]), self.rows[by_col].astype(np.uint32), self.cost[by_col]),
        )
        self._term = np.empty(max(int(np.diff(side[0]).max()) for side in self._sides))

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """``-eps log sum_j exp(log_mass_j + (g_j - c_ij) / eps)`` of every row; ``flip``: of every column."""
        starts, others, cost = self._sides[flip]
        top, total = np.empty(len(starts) - 1), np.empty(len(starts) - 1, np.float32)
        h = (potential / eps + log_mass) / LN2
        logsumexp_rows(starts, others, cost, h, 1.0 / (eps * LN2), self._term, top, total)
        top += np.log2(total)
        top *= -eps * LN2
        return top

    def c_transform(self, potential: Array, flip: bool = False) -> Array:
        """``min_j c_ij - g_j`` of every row; ``flip``: of every column."""
        starts, others, cost = self._sides[flip]
        return np.asarray(np.minimum.reduceat(cost - potential[others], starts[:-1]))

    def plan_masses(self, state: SinkhornState, a: Array, b: Array) -> Array:
        """Mass of each pair: ``a_i b_j exp((f_i + g_j - c_ij) / eps)``."""
        exponents = (state.f[self.rows] + state.g[self.cols] - self.cost) / state.eps
        return np.asarray(a[self.rows] * b[self.cols] * np.exp(np.minimum(exponents, MAX_EXPONENT)))

    def merge(self, other: PairList) -> Shortlist:
        """Return the union with other pairs, some of which may be listed already."""
        m = self.shape[1]
        keys = np.concatenate([self.rows * m + self.cols, other[0] * m + other[1]])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        rows, cols = np.divmod(keys[first], m)
        return Shortlist((rows, cols, np.concatenate([self.cost, other[2]])[order[first]]), self.shape)


def all_pairs(ground: PairwiseCosts) -> Shortlist:
    """List all pairs, for few points."""
    n, m = ground.shape
    rows, cols = np.divmod(np.arange(n * m), m)
    return Shortlist((rows, cols, ground.costs(rows, cols)), (n, m))


def _starts(sorted_points: Index, count: int) -> Index:
    return np.searchsorted(sorted_points, np.arange(count + 1))


@jit_sum
def logsumexp_rows(starts, others, cost, h, rate, term, top, total):
    """``sum_q 2**(h_q - rate cost_q) = 2**top_i total_i`` over the pairs q of each row; ``term``: workspace.

    Exponents are float64, powers and their sums float32; completing the plan corrects their rounding.
    """
    for i in range(len(top)):
        first, width = starts[i], starts[i + 1] - starts[i]
        high = -np.inf
        for q in range(width):
            term[q] = h[others[first + q]] - rate * cost[first + q]
            high = max(high, term[q])
        total_here = float32(0.0)
        for q in range(width):
            total_here += exp2(float32(max(term[q] - high, MIN_EXPONENT32)))
        top[i], total[i] = high, total_here
