"""Log-sum-exp over all pairs of two point sets, or of a cost matrix, in memory of O(n + m)."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.runtime.parallel import add_in_parts, run_in_parts
from otdist.solvers.entropic import logsumexp32_kernels
from otdist.solvers.pairs import distance_tiles, kernels
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.pairs.pairwise_costs import PairwiseCosts
from otdist.solvers.pairs.point_costs import COORDINATES_PER_PART, MAX_COLUMNS_BOXES, PointCosts, PointSet
from otdist.typing import Array

LN2 = math.log(2.0)
MIN_EXPONENT_BOXES = 8.0 * logsumexp32_kernels.NEGLIGIBLE_BITS32  # exponents from which box tests pay


class PlanSums(NamedTuple):
    """Marginals of a plan, and its total cost."""

    rows: Array
    cols: Array
    cost: float


class SoftMin(Protocol):
    """Soft minima over all pairs."""

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """``-eps log sum_j exp(log_mass_j + (g_j - c_ij) / eps)`` of every row; ``flip``: of every column."""


class PlanSummation(SoftMin, Protocol):
    """Sums of exponentials over all pairs."""

    def plan_sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> PlanSums:
        """Sums of the plan ``by_row_i by_col_j exp(log_rows_i + log_cols_j - c_ij / eps)``; None: ones.

        Up to float64 rounding, sums for other factors belong to the same plan times these factors.
        """


class PointLogSumExp32:
    """All pairs of two point sets.

    Parameters
    ----------
    pairs : PointCosts
        Points in kd order, so that most tiles are skipped when eps is small.
    """

    def __init__(self, pairs: PointCosts) -> None:
        self.pairs = pairs
        self.unit = pairs.scale**2 if pairs.kind == distance_tiles.SQUARED else pairs.scale

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """See :class:`PlanSummation`."""
        side, others = self._sides(flip)
        terms = (potential / eps + log_mass) / LN2
        shift = float(terms.max())
        h, rate, boxes = self._prepare_exponents(others, terms - shift, eps)
        out = np.empty(len(side.points))
        search = partial(
            logsumexp32_kernels.log_sums, self.pairs.kind, side.points32, others.tiles, h, rate, boxes
        )
        run_in_parts(lambda first, last: search(first, last, out), len(out), self._part(others))
        out += shift
        out *= -eps * LN2
        return out

    def plan_sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> PlanSums:
        """See :class:`PlanSummation`."""
        side, others = self._sides(False)
        n, m = self.pairs.shape
        middle = float(np.median(log_cols))
        h, rate, boxes = self._prepare_exponents(others, (log_cols - middle) / LN2, eps)
        f = ((log_rows + middle) / LN2).astype(np.float32)
        rows, costs = np.empty(n), np.empty(n)
        factors = np.ones(n) if by_row is None else by_row, np.zeros(len(h))
        factors[1][:m] = 1.0 if by_col is None else by_col
        inputs = self.pairs.kind, side.points32, others.tiles, f, h, rate, boxes, *factors

        def add(first: int, last: int, cols: Array) -> None:
            logsumexp32_kernels.marginals(*inputs, first, last, rows, costs, cols)

        group = distance_tiles.ROWS_AT_ONCE
        part = group * max(1, self._part(others) // group)  # rows are processed in groups
        cols = add_in_parts(add, n, part, len(h))[:m]
        return PlanSums(rows, cols, float(costs.sum()) / self.unit)

    @property
    def cost_error(self) -> float:
        """Bound of the absolute error of a float32 cost."""
        return self.pairs.float32_error

    def _sides(self, flip: bool) -> tuple[PointSet, PointSet]:
        return (self.pairs.y, self.pairs.x) if flip else (self.pairs.x, self.pairs.y)

    def _part(self, others: PointSet) -> int:
        return int(COORDINATES_PER_PART // others.points.size)

    def _prepare_exponents(
        self, others: PointSet, terms: Array, eps: float
    ) -> tuple[NDArray[np.float32], float, kernels.BoundingBoxes]:
        """Pad exponents to whole tiles; return them, the rate for the float32 points and the tiles' boxes."""
        runs, d = others.tiles.shape[:2]
        h = np.full(runs * distance_tiles.TILE, -np.inf, np.float32)
        h[: len(terms)] = terms
        rate = 1.0 / (eps * LN2 * self.unit)
        used = d <= MAX_COLUMNS_BOXES and rate * self.pairs.extent * self.unit > MIN_EXPONENT_BOXES
        boxes = kernels.BoundingBoxes(np.empty((d, runs)), np.empty((d, runs)), np.empty(runs), used)
        if used:
            kernels.fill_boxes(others.points32, terms, boxes)
        return h, rate, boxes


class MatrixLogSumExp:
    """All entries of a cost matrix, a block of rows at a time."""

    def __init__(self, matrix: MatrixCosts) -> None:
        self.matrix = matrix
        self.cost_error = 2.0**-50 * matrix.extent

    def softmin(self, potential: Array, log_mass: Array, eps: float, flip: bool = False) -> Array:
        """See :class:`PlanSummation`."""
        terms = potential / eps + log_mass
        count = self.matrix.shape[1 if flip else 0]
        out = np.empty(count)

        def work(first: int, last: int) -> None:
            block = terms - self._block(slice(first, last), flip) / eps
            top = block.max(axis=1)
            block -= top[:, None]
            np.exp(block, out=block)
            out[first:last] = -eps * (top + np.log(block.sum(axis=1)))

        run_in_parts(work, count, self._rows(flip))
        return out

    def plan_sums(
        self,
        log_rows: Array,
        log_cols: Array,
        eps: float,
        by_row: Array | None = None,
        by_col: Array | None = None,
    ) -> PlanSums:
        """See :class:`PlanSummation`."""
        n = self.matrix.shape[0]
        rows, costs = np.empty(n), np.empty(n)

        def add(first: int, last: int, cols: Array) -> None:
            cost = self._block(slice(first, last), False)
            plan = (log_rows[first:last, None] + log_cols) - cost / eps
            plan = np.exp(np.minimum(plan, LN2 * logsumexp32_kernels.MAX_EXPONENT_BITS, out=plan), out=plan)
            if by_row is not None:
                plan *= by_row[first:last, None]
            if by_col is not None:
                plan *= by_col
            rows[first:last] = plan.sum(axis=1)
            cols += plan.sum(axis=0)
            costs[first:last] = np.einsum("ij,ij->i", plan, cost)

        cols = add_in_parts(add, n, self._rows(False), self.matrix.shape[1])
        return PlanSums(rows, cols, float(costs.sum()))

    def _rows(self, flip: bool) -> int:
        return max(1, 2**18 // self.matrix.shape[0 if flip else 1])

    def _block(self, part: slice, flip: bool) -> Array:
        costs = self.matrix
        if flip:
            return np.ascontiguousarray(costs.matrix[np.ix_(costs.rows, costs.cols[part])].T)
        return np.asarray(costs.matrix[np.ix_(costs.rows[part], costs.cols)])


def make_logsumexp(ground: PairwiseCosts) -> PointLogSumExp32 | MatrixLogSumExp:
    """Make the summation over all pairs of a ground cost."""
    if isinstance(ground, PointCosts):
        return PointLogSumExp32(ground)
    assert isinstance(ground, MatrixCosts)
    return MatrixLogSumExp(ground)
