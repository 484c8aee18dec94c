"""What the solver asks of a ground cost, and the arcs it works on."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Masses = NDArray[Any]  # integers; floats for entropic plans
Index = NDArray[np.intp]


class Ground(Protocol):
    """Costs of all pairs, from points (``pricing``) or a matrix (``matrix``)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""

    @property
    def extent(self) -> float:
        """Bound of all costs."""

    @property
    def lipschitz(self) -> bool:
        """Whether potentials of a few points extend to all others by themselves."""

    @property
    def planar(self) -> bool:
        """Whether the costs are known to be those of points in the plane, or on a line."""

    def part(self, rows: Index, cols: Index) -> Self:
        """Some sources and some sinks."""

    def coarser(self, a: Masses | None, b: Masses | None) -> Self:
        """Half as many sources and sinks, neighbours merged; None: the side stays as it is."""

    def extended(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Potentials of a coarser copy, made feasible for all pairs of this one."""

    def costs(self, rows: Index, cols: Index) -> Array:
        """Costs of the listed pairs."""

    def least(self, potential: Array, flip: bool = False) -> Array:
        """``min_j cost_ij - g_j`` for every row; with ``flip`` ``min_i cost_ij - f_i`` for every column."""

    def smallest(
        self, f: Array, g: Array, k: int, below: float = ..., flip: bool = ...
    ) -> tuple[NDArray[np.int32], Array]:
        """The k smallest reduced costs below ``below`` of every row (``flip``: column), in order."""


class Dual(NamedTuple):
    """Potentials with ``f_i + g_j <= cost_ij + slack`` for all pairs."""

    f: Array
    g: Array
    slack: float = 0.0


class Arcs(NamedTuple):
    """Pairs with their cost, and the flow on them."""

    rows: Index
    cols: Index
    cost: Array
    flow: Masses
