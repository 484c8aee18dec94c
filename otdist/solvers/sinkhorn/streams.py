"""Sums over all pairs of two point sets, or over a cost matrix, in memory of O(n + m)."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.parallel import in_parts
from otdist.solvers.sinkhorn import passes
from otdist.solvers.sparse import kernels, spreads
from otdist.solvers.sparse.ground import Ground
from otdist.solvers.sparse.matrix import Matrix
from otdist.solvers.sparse.pricing import FLAT, PART, Pairs, Points

Array = NDArray[np.float64]

LN2 = math.log(2.0)
SHARP = 8.0 * passes.CUT  # largest exponent of a term, from which runs are worth leaving out by their boxes


class Sums(NamedTuple):
    """What a plan carries out of each row and into each column, and what it costs in all."""

    rows: Array
    cols: Array
    cost: float


class SoftMin(Protocol):
    """Soft minima over all pairs."""

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """``-eps log sum_j exp(log_mass_j + (g_j - c_ij) / eps)`` of every row; ``flip``: of every column."""


class Streams(SoftMin, Protocol):
    """Sums of exponentials over all pairs."""

    def sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> Sums:
        """Sums of the plan ``by_row_i by_col_j exp(log_rows_i + log_cols_j - c_ij / eps)``; None: ones.

        Sums for other factors belong to the same plan, times these factors, but for float64 rounding.
        """


class PointStreams:
    """All pairs of two point sets.

    Parameters
    ----------
    pairs : Pairs
        The points, in nested order: then most runs are left out when eps is small.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.unit = pairs.scale**2 if pairs.kind == spreads.SQUARED else pairs.scale

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """As in :class:`Streams`."""
        own, others = self._sides(flip)
        terms = (potential / eps + log_mass) / LN2
        shift = float(terms.max())
        h, rate, boxes = self._prepared(others, terms - shift, eps)
        out = np.empty(len(own.points))
        search = partial(passes.log_sums, self.pairs.kind, own.small, others.tiles, h, rate, boxes)
        in_parts(lambda first, last: search(first, last, out), len(out), self._part(others))
        out += shift
        out *= -eps * LN2
        return out

    def sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> Sums:
        """As in :class:`Streams`."""
        own, others = self._sides(False)
        n, m = self.pairs.shape
        middle = float(np.median(log_cols))
        h, rate, boxes = self._prepared(others, (log_cols - middle) / LN2, eps)
        f = ((log_rows + middle) / LN2).astype(np.float32)
        rows, costs = np.empty(n), np.empty(n)
        factors = np.ones(n) if by_row is None else by_row, np.zeros(len(h))
        factors[1][:m] = 1.0 if by_col is None else by_col
        add = partial(passes.marginals, self.pairs.kind, own.small, others.tiles, f, h, rate, boxes, *factors)
        parts: dict[int, Array] = {}

        def work(first: int, last: int) -> None:
            parts[first] = np.zeros(len(h))
            add(first, last, rows, costs, parts[first])

        in_parts(work, n, max(self._part(others), n // 32))
        cols = np.sum([parts[first] for first in sorted(parts)], axis=0)[:m]
        return Sums(rows, cols, float(costs.sum()) / self.unit)

    @property
    def unsure(self) -> float:
        """Bound of the error of a float32 cost."""
        return self.pairs.unsure

    def _sides(self, flip: bool) -> tuple[Points, Points]:
        return (self.pairs.y, self.pairs.x) if flip else (self.pairs.x, self.pairs.y)

    def _part(self, others: Points) -> int:
        return int(PART // others.points.size)

    def _prepared(
        self, others: Points, terms: Array, eps: float
    ) -> tuple[NDArray[np.float32], float, kernels.Boxes]:
        """Exponents padded to whole runs, rate on the scale of the float32 points, boxes of the runs."""
        runs, d = others.tiles.shape[:2]
        h = np.full(runs * spreads.RUN, -np.inf, np.float32)
        h[: len(terms)] = terms
        rate = 1.0 / (eps * LN2 * self.unit)
        used = d <= FLAT and rate * self.pairs.extent * self.unit > SHARP
        boxes = kernels.Boxes(np.empty((d, runs)), np.empty((d, runs)), np.empty(runs), used)
        if used:
            kernels.fill_boxes(others.small, terms, boxes)
        return h, rate, boxes


class MatrixStreams:
    """All entries of a cost matrix, a block of rows at a time."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.unsure = 2.0**-50 * matrix.extent

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """As in :class:`Streams`."""
        terms = potential / eps + log_mass
        count = self.matrix.shape[1 if flip else 0]
        out = np.empty(count)

        def work(first: int, last: int) -> None:
            block = terms - self._block(slice(first, last), flip) / eps
            top = block.max(axis=1)
            block -= top[:, None]
            np.exp(block, out=block)
            out[first:last] = -eps * (top + np.log(block.sum(axis=1)))

        in_parts(work, count, self._rows(flip))
        return out

    def sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> Sums:
        """As in :class:`Streams`."""
        n = self.matrix.shape[0]
        rows, costs = np.empty(n), np.empty(n)
        parts: dict[int, Array] = {}

        def work(first: int, last: int) -> None:
            cost = self._block(slice(first, last), False)
            plan = (log_rows[first:last, None] + log_cols) - cost / eps
            plan = np.exp(np.minimum(plan, LN2 * passes.MOST, out=plan), out=plan)
            if by_row is not None:
                plan *= by_row[first:last, None]
            if by_col is not None:
                plan *= by_col
            rows[first:last], parts[first] = plan.sum(axis=1), plan.sum(axis=0)
            costs[first:last] = np.einsum("ij,ij->i", plan, cost)

        in_parts(work, n, max(self._rows(False), n // 32))
        cols = np.sum([parts[first] for first in sorted(parts)], axis=0)
        return Sums(rows, cols, float(costs.sum()))

    def _rows(self, flip: bool) -> int:
        return max(1, 2**18 // self.matrix.shape[0 if flip else 1])

    def _block(self, part: slice, flip: bool) -> Array:
        own = self.matrix
        if flip:
            return np.ascontiguousarray(own.matrix[np.ix_(own.rows, own.cols[part])].T)
        return np.asarray(own.matrix[np.ix_(own.rows[part], own.cols)])


def streams(ground: Ground) -> PointStreams | MatrixStreams:
    """Streams over the pairs of a ground cost."""
    if isinstance(ground, Pairs):
        return PointStreams(ground)
    assert isinstance(ground, Matrix)
    return MatrixStreams(ground)
