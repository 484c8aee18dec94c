"""Hierarchy of copies of a problem, each with half as many points as the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from otdist.solvers.pairs.integer_masses import all_equal
from otdist.solvers.pairs.kd_order import sum_pairs
from otdist.solvers.pairs.pairwise_costs import PairwiseCosts

Masses = NDArray[Any]  # integers; floats for entropic plans

COARSEST_POINTS = 64  # points a side of the coarsest copy


@dataclass(frozen=True, eq=False)
class Level:
    """Copy of the problem with fewer points."""

    ground: PairwiseCosts
    a: Masses
    b: Masses

    @property
    def size(self) -> int:
        """Number of points of the larger side."""
        return max(self.ground.shape)

    def coarsen(self) -> Level:
        """Halve the number of points on each side that is still large."""
        a = self.a if len(self.a) > COARSEST_POINTS else None
        b = self.b if len(self.b) > COARSEST_POINTS else None
        ground = self.ground.coarsen(a, b)
        left = self.a.copy() if a is None else sum_pairs(a)
        right = self.b.copy() if b is None else sum_pairs(b)
        if (
            not ground.planar
            and max(left[-1], right[-1]) <= left[0]
            and all_equal(left[:-1], right[:-1], left[0])
        ):
            # A matching is possible if a last point without a neighbour counts as a pair. Its mass is never
            # reduced: refining the plan drops what it carries in excess.
            left[-1] = right[-1] = left[0]
        return Level(ground, left, right)
