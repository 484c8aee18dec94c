"""Protocol of the costs of all pairs, feasible potentials, and arcs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from otdist.typing import Array, Index

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


class Arcs(NamedTuple):
    """Pairs with their costs, and the flow on them."""

    rows: Index
    cols: Index
    cost: Array
    flow: Masses
