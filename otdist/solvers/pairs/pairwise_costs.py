"""Protocol of the costs of all pairs, feasible potentials, and arcs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT_ROUNDOFF
from otdist.typing import Array, Cells, Index

Masses = NDArray[Any]  # integers; floats for entropic plans


class PairwiseCosts(Protocol):
    """Costs of all pairs: of points (``point_costs``) or of a matrix (``matrix_costs``)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""

    @property
    def extent(self) -> float:
        """Upper bound of all costs."""

    @property
    def lipschitz(self) -> bool:
        """Whether the cost is a metric, so that potentials of a few points extend to all others."""

    @property
    def planar(self) -> bool:
        """Whether the points are known to lie in the plane or on a line."""

    def subset(self, rows: Index, cols: Index) -> Self:
        """Restrict the costs to some sources and sinks."""

    def coarsen(self, a: Masses | None, b: Masses | None) -> Self:
        """Halve the numbers of sources and sinks by merging neighbours; None: keep the side."""

    def extend(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Extend potentials of a coarser copy to feasible potentials of these pairs."""

    def costs(self, rows: Index, cols: Index) -> Array:
        """Costs of the listed pairs."""

    def c_transform(self, potential: Array, flip: bool = False) -> Array:
        """``min_j cost_ij - g_j`` for every row; with ``flip`` ``min_i cost_ij - f_i`` for every column."""

    def smallest(
        self, f: Array, g: Array, k: int, below: float = ..., flip: bool = ...
    ) -> tuple[NDArray[np.int32], Array]:
        """Find the k smallest reduced costs below ``below`` of every row (``flip``: column), in order."""


class Dual(NamedTuple):
    """Potentials with ``f_i + g_j <= cost_ij + slack`` for all pairs."""

    f: Array
    g: Array
    slack: float = 0.0

    @classmethod
    def from_columns(cls, ground: PairwiseCosts, g: Array) -> Dual:
        """Make feasible potentials from any potentials of the columns, by two c-transforms."""
        f = ground.c_transform(g)
        return cls(f, ground.c_transform(f, flip=True))

    def allow_rounding(self, ground: PairwiseCosts) -> Dual:
        """Allow for the rounding of the potentials, which may exceed the costs between neighbours."""
        size = float(np.abs(self.f).max() + np.abs(self.g).max() + ground.extent)
        return self._replace(slack=64 * UNIT_ROUNDOFF * size)


def cheapest_pairs(ground: PairwiseCosts, f: Array, g: Array, k: int) -> Cells:
    """List the pairs with one of the k smallest reduced costs of their row or column, by rows, with costs."""
    n, m = ground.shape
    by_row = ground.smallest(f, g, min(k, m))[0].astype(np.intp)
    by_col = ground.smallest(f, g, min(k, n), flip=True)[0].astype(np.intp)
    keys = np.concatenate(
        [(np.arange(n)[:, None] * m + by_row).ravel(), (by_col * m + np.arange(m)[:, None]).ravel()]
    )
    keys.sort()
    rows, cols = np.divmod(keys[np.diff(keys, prepend=-1) > 0], m)
    return rows, cols, ground.costs(rows, cols)


class Arcs(NamedTuple):
    """Pairs with their costs, and the flow on them."""

    rows: Index
    cols: Index
    cost: Array
    flow: Masses
