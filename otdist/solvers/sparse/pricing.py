"""All pairs of two point sets, never held at once: their smallest reduced costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from otdist.metrics.vectors import NAMED
from otdist.parallel import in_parts
from otdist.problem import Problem
from otdist.solvers.sparse import kernels, spreads
from otdist.solvers.sparse.order import merged_pairs, nested_order

Array = NDArray[np.float64]
Masses = NDArray[Any]  # integers; floats for entropic plans
Index = NDArray[np.intp]
Smallest = tuple[NDArray[np.int32], Array]  # columns and reduced costs, (n, k)

KINDS = {
    "euclidean": spreads.EUCLIDEAN,
    "sqeuclidean": spreads.SQUARED,
    "cityblock": spreads.CITYBLOCK,
    "chebyshev": spreads.CHEBYSHEV,
}
UNIT32 = 2.0**-24  # largest relative error of one float32 operation
PART = 2**26  # coordinates that a thread reads before it looks for the next part
FLAT = 8  # columns above which the box of a run hardly ever excludes it


@dataclass(frozen=True, eq=False)
class Points:
    """One side: the points, and their float32 copies on a scale where coordinates are within 1."""

    points: Array
    small: NDArray[np.float32]
    tiles: NDArray[np.float32]  # (runs, d, RUN), coordinates first: what a vectorised loop reads

    @classmethod
    def of(cls, points: Array, centre: Array, scale: float) -> Points:
        """Prepare points; ``scale`` brings them within 1 of the centre."""
        small = ((points - centre) * scale).astype(np.float32)
        runs = -(-len(points) // spreads.RUN)
        padded = np.zeros((runs * spreads.RUN, points.shape[1]), np.float32)
        padded[: len(points)] = small
        tiles = padded.reshape(runs, spreads.RUN, -1).transpose(0, 2, 1)
        return cls(np.ascontiguousarray(points), small, np.ascontiguousarray(tiles))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two point sets and a cost that has a kernel.

    Attributes
    ----------
    x, y : Points
        Sources and sinks, in nested order.
    kind : int
        The cost, a number of ``kernels``.
    scale : float
        Power of two that the float32 copies were multiplied with.
    extent : float
        Bound of all costs.
    """

    x: Points
    y: Points
    kind: int
    scale: float
    extent: float

    @classmethod
    def of(cls, x: Array, y: Array, kind: int) -> Self:
        """Prepare two point sets."""
        low = np.minimum(x.min(axis=0), y.min(axis=0))
        high = np.maximum(x.max(axis=0), y.max(axis=0))
        half = float((high - low).max()) / 2
        scale = 2.0 ** -math.frexp(half)[1]
        left, right = (Points.of(points, (low + high) / 2, scale) for points in (x, y))
        return cls(left, right, kind, scale, float(kernels.pair_cost(kind, low[None], 0, high[None], 0)))

    @property
    def lipschitz(self) -> bool:
        """Whether the cost is a metric, so that potentials of a few points extend to all others."""
        return self.kind != spreads.SQUARED

    @property
    def planar(self) -> bool:
        """Whether the points have at most two columns."""
        return bool(self.x.points.shape[1] <= 2)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""
        return len(self.x.points), len(self.y.points)

    def part(self, rows: Index, cols: Index) -> Self:
        """Some sources and some sinks."""
        return type(self).of(self.x.points[rows], self.y.points[cols], self.kind)

    def coarser(self, a: Masses | None, b: Masses | None) -> Self:
        """Neighbours merged into their means, weighted by a and b; None: the side stays as it is."""
        x, y = self.x.points, self.y.points
        return type(self).of(
            x if a is None else merged_pairs(x, a), y if b is None else merged_pairs(y, b), self.kind
        )

    def extended(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Potentials of a coarser copy, made feasible for all pairs of this one.

        For a metric by the Lipschitz extension ``min_j d(z, y_j) - g_j`` to both sides, for a
        squared distance by two c-transforms.
        """
        f = Pairs.of(self.x.points, coarse.y.points, self.kind).least(g)
        if self.kind == spreads.SQUARED:
            return f, self.least(f, flip=True)
        return f, -Pairs.of(self.y.points, coarse.y.points, self.kind).least(g)

    def least(self, potential: Array, flip: bool = False) -> Array:
        """``min_j cost_ij - g_j`` for every source; with ``flip`` ``min_i cost_ij - f_i`` for every sink."""
        n, m = self.shape
        f, g = (potential, np.zeros(m)) if flip else (np.zeros(n), potential)
        return self.smallest(f, g, 1, flip=flip)[1][:, 0]

    def costs(self, rows: Index, cols: Index) -> Array:
        """Costs of the listed pairs."""
        out = np.empty(len(rows))
        kernels.pair_costs(self.kind, self.x.points, self.y.points, rows, cols, out)
        return out

    def smallest(self, f: Array, g: Array, k: int, below: float = np.inf, flip: bool = False) -> Smallest:
        """The k smallest reduced costs ``cost_ij - f_i - g_j < below`` of every row, in order.

        Every pair is judged: one that is not returned has a larger reduced cost, or none below
        ``below``, up to a rounding of ``(d + 8) 2^-53`` of its cost. Columns are -1 and
        costs infinite where there are fewer than k. ``flip``: of every column instead.
        """
        x, y = (self.y, self.x) if flip else (self.x, self.y)
        f, g = (g, f) if flip else (f, g)
        n, m, d = len(x.points), len(y.points), x.points.shape[1]
        unit = self.scale**2 if self.kind == spreads.SQUARED else self.scale
        runs = -(-m // spreads.RUN)
        g32 = np.full(runs * spreads.RUN, -np.inf, np.float32)
        g32[:m] = g * unit
        margin = self._margin(float(np.abs(f).max() + np.abs(g).max()) * unit)
        test = kernels.Test((f * unit).astype(np.float32), g32, unit, margin)
        cols, costs = np.empty((n, k), np.int32), np.empty((n, k))
        pairs = self.kind, x.points, y.points, f, g, x.small
        boxes = kernels.Boxes(np.empty((d, runs)), np.empty((d, runs)), np.empty(runs), d <= FLAT)
        kernels.fill_boxes(y.points, g, boxes)
        search = partial(kernels.smallest, *pairs, y.tiles, test, boxes, below)
        in_parts(lambda first, last: search(first, last, cols, costs), n, PART // (m * d))
        return cols, costs

    def across(self, other: Self) -> Self:
        """Sources of this one and sinks of another."""
        return type(self).of(self.x.points, other.y.points, self.kind)

    @property
    def spacing(self) -> float:
        """Mean cost between neighbours, of the side where it is larger."""
        found = []
        for points in (self.x.points, self.y.points):
            costs = np.zeros(max(len(points) - 1, 1))
            later = np.arange(1, len(points))
            kernels.pair_costs(self.kind, points, points, later, later - 1, costs)
            found.append(float(costs.mean()))
        return max(found)

    @property
    def unsure(self) -> float:
        """Bound of the error of a cost that was computed in float32."""
        return self._margin(0.0) / (self.scale**2 if self.kind == spreads.SQUARED else self.scale)

    def _margin(self, potentials: float) -> float:
        """Bound of the error of the float32 test, on its scale; ``potentials``: ``max|f| + max|g|``.

        Coordinates within 1 are rounded by u, their differences are known to 4 u; a sum of d squares
        adds a relative (d + 2) u, half of that after the root; six roundings of f + g + limit.
        """
        d = self.x.points.shape[1]
        errors: dict[int, float] = {
            spreads.EUCLIDEAN: (d + 6) * math.sqrt(d),
            spreads.SQUARED: 4 * d * d + 24 * d,
            spreads.CITYBLOCK: 2 * d * d + 6 * d,
            spreads.CHEBYSHEV: 4,
        }
        return UNIT32 * 1.1 * (errors[self.kind] + 8 * potentials) + 1e-30


def least_costs(x: Array, y: Array, g: Array, kind: int) -> Array:
    """``min_j cost_ij - g_j`` for points in any order."""
    rows, cols = nested_order(x), nested_order(y)
    out = np.empty(len(x))
    out[rows] = Pairs.of(x[rows], y[cols], kind).least(g[cols])
    return out


def kernel(problem: Problem) -> int | None:
    """The cost kernel for metric and order, if there is one."""
    name = problem.metric.name
    if problem.metric is not NAMED.get(name):  # a function may have any name
        return None
    if problem.p == 2 and name == "euclidean":
        return spreads.SQUARED
    return KINDS.get(name) if problem.p == 1 else None
