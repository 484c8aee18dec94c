"""Costs of all pairs of two point sets, never stored: their smallest reduced costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from otdist.metrics import NAMED
from otdist.metrics.base import bounding_box
from otdist.problem import Problem
from otdist.runtime.parallel import run_in_parts
from otdist.solvers.pairs import distance_tiles, kernels
from otdist.solvers.pairs.kd_order import kd_order, merge_pairs
from otdist.typing import Array, Index

Masses = NDArray[Any]  # integers; floats for entropic plans
Smallest = tuple[NDArray[np.int32], Array]  # columns and reduced costs, (n, k)

KIND_OF_METRIC = {
    "euclidean": distance_tiles.EUCLIDEAN,
    "sqeuclidean": distance_tiles.SQUARED,
    "cityblock": distance_tiles.CITYBLOCK,
    "chebyshev": distance_tiles.CHEBYSHEV,
}
UNIT_ROUNDOFF32 = 2.0**-24  # largest relative error of one float32 operation
MAX_SUBSET_SCALE = 2.0**30  # largest ratio of the scale of a subset to the scale of all points
COORDINATES_PER_PART = 2**26  # coordinates that a thread reads for one part
MAX_COLUMNS_BOXES = 8  # with more columns the bounding box of a tile hardly ever excludes it


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points of one side, and float32 copies scaled so that coordinates are within 1."""

    points: Array
    points32: NDArray[np.float32]
    tiles: NDArray[np.float32]  # (tiles, d, TILE), coordinates first, for vectorised loops

    @classmethod
    def of(cls, points: Array, centre: Array, scale: float) -> PointSet:
        """Prepare points; ``scale`` brings them within 1 of the centre."""
        points32 = ((points - centre) * scale).astype(np.float32)
        runs = -(-len(points) // distance_tiles.TILE)
        padded = np.zeros((runs * distance_tiles.TILE, points.shape[1]), np.float32)
        padded[: len(points)] = points32
        tiles = padded.reshape(runs, distance_tiles.TILE, -1).transpose(0, 2, 1)
        return cls(np.ascontiguousarray(points), points32, np.ascontiguousarray(tiles))


@dataclass(frozen=True, eq=False)
class PointCosts:
    """Costs between two point sets, for a cost that has compiled kernels.

    Attributes
    ----------
    x, y : PointSet
        Sources and sinks, in kd order.
    kind : int
        The cost, one of the constants of ``distance_tiles``.
    scale : float
        Power of two that the float32 copies were multiplied by.
    extent : float
        Upper bound of all costs.
    """

    x: PointSet
    y: PointSet
    kind: int
    scale: float
    extent: float

    @classmethod
    def of(cls, x: Array, y: Array, kind: int, finest: float = 2.0**400) -> Self:
        """Prepare two point sets; ``finest``: largest factor that coordinates are scaled by."""
        low, high = bounding_box(x, y)
        half = float((high - low).max()) / 2
        scale = min(2.0 ** -max(math.frexp(half)[1], -1000), finest)
        left, right = (PointSet.of(points, (low + high) / 2, scale) for points in (x, y))
        return cls(left, right, kind, scale, float(kernels.pair_cost(kind, low[None], 0, high[None], 0)))

    @property
    def lipschitz(self) -> bool:
        """Whether the cost is a metric, so that potentials of a few points extend to all others."""
        return self.kind != distance_tiles.SQUARED

    @property
    def planar(self) -> bool:
        """Whether the points have at most two columns."""
        return bool(self.x.points.shape[1] <= 2)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sources and sinks."""
        return len(self.x.points), len(self.y.points)

    def subset(self, rows: Index, cols: Index) -> Self:
        """Restrict the costs to some sources and sinks.

        Potentials keep their size, which float32 has to represent on the new scale.
        """
        finest = self.scale * MAX_SUBSET_SCALE
        return type(self).of(self.x.points[rows], self.y.points[cols], self.kind, finest)

    def coarsen(self, a: Masses | None, b: Masses | None) -> Self:
        """Merge neighbours into their means, weighted by a and b; None: keep the side."""
        x, y = self.x.points, self.y.points
        return type(self).of(
            x if a is None else merge_pairs(x, a), y if b is None else merge_pairs(y, b), self.kind
        )

    def extend(self, coarse: Self, g: Array) -> tuple[Array, Array]:
        """Extend potentials of a coarser copy to feasible potentials of these pairs.

        A metric uses the Lipschitz extension ``min_j d(z, y_j) - g_j`` to both sides, a squared distance
        two c-transforms.
        """
        f = PointCosts.of(self.x.points, coarse.y.points, self.kind).c_transform(g)
        if self.kind == distance_tiles.SQUARED:
            return f, self.c_transform(f, flip=True)
        return f, -PointCosts.of(self.y.points, coarse.y.points, self.kind).c_transform(g)

    def c_transform(self, potential: Array, flip: bool = False) -> Array:
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
        """Find the k smallest reduced costs ``cost_ij - f_i - g_j < below`` of every row, in order.

        Every pair is checked: a pair that is not returned has a larger reduced cost, or one that is not
        below ``below``, up to a rounding of ``(d + 8) 2^-53`` of its cost. Where there are fewer than k,
        columns are -1 and costs infinite. ``flip``: of every column instead.
        """
        x, y = (self.y, self.x) if flip else (self.x, self.y)
        f, g = (g, f) if flip else (f, g)
        n, m, d = len(x.points), len(y.points), x.points.shape[1]
        unit = self.scale**2 if self.kind == distance_tiles.SQUARED else self.scale
        runs = -(-m // distance_tiles.TILE)
        g32 = np.full(runs * distance_tiles.TILE, -np.inf, np.float32)
        g32[:m] = g * unit
        margin = self._margin(float(np.abs(f).max() + np.abs(g).max()) * unit)
        test = kernels.Float32Test((f * unit).astype(np.float32), g32, unit, margin)
        cols, costs = np.empty((n, k), np.int32), np.empty((n, k))
        pairs = self.kind, x.points, y.points, f, g, x.points32
        boxes = kernels.BoundingBoxes(
            np.empty((d, runs)), np.empty((d, runs)), np.empty(runs), d <= MAX_COLUMNS_BOXES
        )
        kernels.fill_boxes(y.points, g, boxes)
        search = partial(kernels.smallest, *pairs, y.tiles, test, boxes, below)
        run_in_parts(lambda first, last: search(first, last, cols, costs), n, COORDINATES_PER_PART // (m * d))
        return cols, costs

    def with_sinks_of(self, other: Self) -> Self:
        """Costs between the sources of this object and the sinks of another."""
        return type(self).of(self.x.points, other.y.points, self.kind)

    @property
    def spacing(self) -> float:
        """Mean cost between neighbours, the larger one of both sides."""
        means = []
        for points in (self.x.points, self.y.points):
            costs = np.zeros(max(len(points) - 1, 1))
            later = np.arange(1, len(points))
            kernels.pair_costs(self.kind, points, points, later, later - 1, costs)
            means.append(float(costs.mean()))
        return max(means)

    @property
    def float32_error(self) -> float:
        """Bound of the absolute error of a cost computed in float32."""
        return self._margin(0.0) / (self.scale**2 if self.kind == distance_tiles.SQUARED else self.scale)

    def _margin(self, potentials: float) -> float:
        """Bound of the error of the float32 test, on its scale; ``potentials``: ``max|f| + max|g|``.

        Coordinates within 1 are rounded by u, their differences have an error of 4 u; a sum of d squares
        adds a relative (d + 2) u, half of it after the root; six roundings of f + g + limit.
        """
        d = self.x.points.shape[1]
        errors: dict[int, float] = {
            distance_tiles.EUCLIDEAN: (d + 6) * math.sqrt(d),
            distance_tiles.SQUARED: 4 * d * d + 24 * d,
            distance_tiles.CITYBLOCK: 2 * d * d + 6 * d,
            distance_tiles.CHEBYSHEV: 4,
        }
        return UNIT_ROUNDOFF32 * 1.1 * (errors[self.kind] + 8 * potentials) + 1e-30


def c_transform_any_order(x: Array, y: Array, g: Array, kind: int) -> Array:
    """Compute ``min_j cost_ij - g_j`` for points in any order."""
    rows, cols = kd_order(x), kd_order(y)
    out = np.empty(len(x))
    out[rows] = PointCosts.of(x[rows], y[cols], kind).c_transform(g[cols])
    return out


def cost_kernel(problem: Problem) -> int | None:
    """Return the compiled cost for metric and order, or None if there is none."""
    name = problem.metric.name
    if problem.metric is not NAMED.get(name):  # a user's function may have the same name
        return None
    if problem.p == 2 and name == "euclidean":
        return distance_tiles.SQUARED
    return KIND_OF_METRIC.get(name) if problem.p == 1 else None
