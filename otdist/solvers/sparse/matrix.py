"""All pairs of a cost matrix: the same questions as ``pricing`` answers for points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from otdist.parallel import in_parts
from otdist.solvers.sparse import entries
from otdist.solvers.sparse.order import nested_order

Array = NDArray[np.float64]
Masses = NDArray[Any]  # integers; floats for entropic plans
Index = NDArray[np.intp]

LANDMARKS = 12
STRIP = 512  # columns that are read together, row by row
PART = 2**25  # entries a thread reads before it looks for the next part


@dataclass(frozen=True, eq=False)
class Matrix:
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
        """All rows and columns."""
        n, m = matrix.shape
        return cls(matrix, np.arange(n), np.arange(m), float(matrix.max()))

    def order(self) -> tuple[Index, Index]:
        """Order in which rows (columns) with similar costs stand together.

        Similar are those with similar costs to a few landmarks: columns for rows, rows for columns.
        """
        n, m = self.shape
        at_cols = np.linspace(0, m - 1, min(m, LANDMARKS)).astype(np.intp)
        at_rows = np.linspace(0, n - 1, min(n, LANDMARKS)).astype(np.intp)
        return nested_order(self.matrix[:, at_cols]), nested_order(self.matrix[at_rows].T)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""
        return len(self.rows), len(self.cols)

    def part(self, rows: Index, cols: Index) -> Self:
        """Some sources and some sinks."""
        return replace(self, rows=self.rows[rows], cols=self.cols[cols])

    def coarser(self, a: Masses | None, b: Masses | None) -> Self:
        """Every other row and column; nothing is known of neighbours."""
        rows = self.rows if a is None else self.rows[::2]
        cols = self.cols if b is None else self.cols[::2]
        return replace(self, rows=rows, cols=cols)

    def extended(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Potentials of a coarser copy, made feasible for all pairs by two c-transforms."""
        f = replace(self, cols=coarse.cols).least(g)
        return f, self.least(f, flip=True)

    def least(self, potential: Array, flip: bool = False) -> Array:
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
        """The k smallest reduced costs of every row (``flip``: column), as ``Pairs.smallest``."""
        n, m = self.matrix.shape
        on_rows, on_cols = np.full(n, -np.inf), np.full(m, -np.inf)
        on_rows[self.rows], on_cols[self.cols] = f, g
        if flip:
            limits = np.full(m, -np.inf)
            limits[self.cols] = below
            found, costs = np.empty((m, k), np.int32), np.empty((m, k))

            def strip(first: int, last: int) -> None:
                entries.smallest_in_columns(self.matrix, first, last, on_rows, on_cols, limits, found, costs)

            in_parts(strip, m, STRIP)
            return _numbered(self.rows, n, found[self.cols]), costs[self.cols]
        found, costs = np.empty((len(self.rows), k), np.int32), np.empty((len(self.rows), k))

        def part(first: int, last: int) -> None:
            lines = slice(first, last)
            entries.smallest_in_rows(
                self.matrix, self.rows[lines], f[lines], on_cols, below, found[lines], costs[lines]
            )

        in_parts(part, len(self.rows), PART // m)
        return _numbered(self.cols, m, found), costs


def _numbered(lines: Index, count: int, found: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers of the matrix as numbers among ``lines``; -1 stays."""
    number = np.full(count + 1, -1, np.int32)
    number[lines] = np.arange(len(lines))
    return number[found]
