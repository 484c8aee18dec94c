"""Costs of all pairs as a matrix, with the interface of ``PointCosts``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from otdist.runtime.parallel import run_in_parts
from otdist.solvers.pairs import matrix_kernels
from otdist.solvers.pairs.kd_order import kd_order
from otdist.typing import Array, Index

Masses = NDArray[Any]  # integers; floats for entropic plans

LANDMARK_COUNT = 12
STRIP_COLUMNS = 512  # columns that are read together, row by row
ENTRIES_PER_PART = 2**25  # entries that a thread reads for one part


@dataclass(frozen=True, eq=False)
class MatrixCosts:
    """Costs without geometry: rows and columns of a matrix.

    Attributes
    ----------
    matrix : ndarray, shape (n, m)
        The costs.
    rows, cols : ndarray
        Rows and columns of this copy.
    extent : float
        The largest cost.
    """

    matrix: Array
    rows: Index
    cols: Index
    extent: float
    lipschitz = False
    planar = False

    @classmethod
    def of(cls, matrix: Array) -> Self:
        """Use all rows and columns."""
        n, m = matrix.shape
        return cls(matrix, np.arange(n), np.arange(m), float(matrix.max()))

    def order(self) -> tuple[Index, Index]:
        """Orders in which rows (columns) with similar costs are adjacent.

        Rows are compared by their costs to a few columns, columns by their costs to a few rows.
        """
        n, m = self.shape
        at_cols = np.linspace(0, m - 1, min(m, LANDMARK_COUNT)).astype(np.intp)
        at_rows = np.linspace(0, n - 1, min(n, LANDMARK_COUNT)).astype(np.intp)
        return kd_order(self.matrix[:, at_cols]), kd_order(self.matrix[at_rows].T)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""
        return len(self.rows), len(self.cols)

    def subset(self, rows: Index, cols: Index) -> Self:
        """Restrict the costs to some sources and sinks."""
        return replace(self, rows=self.rows[rows], cols=self.cols[cols])

    def coarsen(self, a: Masses | None, b: Masses | None) -> Self:
        """Take every other row and column, as neighbours cannot be averaged."""
        rows = self.rows if a is None else self.rows[::2]
        cols = self.cols if b is None else self.cols[::2]
        return replace(self, rows=rows, cols=cols)

    def extend(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Extend potentials of a coarser copy to feasible ones by two c-transforms."""
        f = replace(self, cols=coarse.cols).c_transform(g)
        return f, self.c_transform(f, flip=True)

    def c_transform(self, potential: Array, flip: bool = False) -> Array:
        """``min_j cost_ij - g_j`` for every row; with ``flip`` ``min_i cost_ij - f_i`` for every column."""
        n, m = self.shape
        f, g = (potential, np.zeros(m)) if flip else (np.zeros(n), potential)
        return self.smallest(f, g, 1, flip=flip)[1][:, 0]

    def costs(self, rows: Index, cols: Index) -> Array:
        """Costs of the listed pairs."""
        return np.asarray(self.matrix[self.rows[rows], self.cols[cols]])

    def smallest(
        self, f: Array, g: Array, k: int, below: float = np.inf, flip: bool = False
    ) -> tuple[NDArray[np.int32], Array]:
        """Find the k smallest reduced costs of every row (``flip``: column), as ``PointCosts.smallest``."""
        n, m = self.matrix.shape
        on_rows, on_cols = np.full(n, -np.inf), np.full(m, -np.inf)
        on_rows[self.rows], on_cols[self.cols] = f, g
        if flip:
            limits = np.full(m, -np.inf)
            limits[self.cols] = below
            indices, costs = np.empty((m, k), np.int32), np.empty((m, k))

            def strip(first: int, last: int) -> None:
                matrix_kernels.smallest_in_columns(
                    self.matrix, first, last, on_rows, on_cols, limits, indices, costs
                )

            run_in_parts(strip, m, STRIP_COLUMNS)
            return _renumber(self.rows, n, indices[self.cols]), costs[self.cols]
        indices, costs = np.empty((len(self.rows), k), np.int32), np.empty((len(self.rows), k))

        def part(first: int, last: int) -> None:
            lines = slice(first, last)
            matrix_kernels.smallest_in_rows(
                self.matrix, self.rows[lines], f[lines], on_cols, below, indices[lines], costs[lines]
            )

        run_in_parts(part, len(self.rows), ENTRIES_PER_PART // m)
        return _renumber(self.cols, m, indices), costs


def _renumber(lines: Index, count: int, indices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Convert indices of the matrix to indices within ``lines``; -1 stays."""
    number = np.full(count + 1, -1, np.int32)
    number[lines] = np.arange(len(lines))
    return number[indices]
