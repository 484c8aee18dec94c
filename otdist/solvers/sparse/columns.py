"""Column generation: solve on few arcs, look at all pairs, add those that would help, repeat."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sparse.ground import Arcs, Dual, Ground
from otdist.solvers.sparse.matching import Matching
from otdist.solvers.sparse.network import Network
from otdist.solvers.sparse.plans import opening
from otdist.solvers.sparse.supplies import alike

Array = NDArray[np.float64]
Masses = NDArray[np.int64]
Index = NDArray[np.intp]

ADDED = 4  # arcs a row in each round
TOLERANCES = (2.0**-40, 2.0**-44, 2.0**-47)  # of a reduced cost, relative to the largest cost
PATIENCE = 25  # rounds without a narrower interval before smaller tolerances are tried
CHECKED = 16  # windows of pivots between two looks at the interval


@dataclass(frozen=True, eq=False)
class Proof:
    """A plan and potentials, and the interval they prove for the cost per unit of mass."""

    plan: Arcs
    dual: Dual
    upper: float
    gap: float  # upper - lower, summed cell by cell: no cancellation

    @classmethod
    def of(cls, plan: Arcs, dual: Dual) -> Proof:
        """Judge a plan by potentials."""
        share = plan.flow / float(plan.flow.sum())
        upper = math.fsum(share * plan.cost)
        gap = math.fsum(share * (plan.cost - (dual.f[plan.rows] + dual.g[plan.cols])))
        return cls(plan, dual, upper, min(max(gap, 0.0) + dual.slack, upper))

    @property
    def lower(self) -> float:
        """Proved lower bound."""
        return self.upper - self.gap

    def reached(self, goal: float) -> bool:
        """Whether the relative gap is at most ``goal``."""
        return self.gap <= goal * self.upper


class Columns:
    """One transport problem between two sets of points, on a growing set of arcs.

    Parameters
    ----------
    ground : Ground
        Costs of all pairs.
    a, b : ndarray of int
        Masses, with equal totals.
    dual : Dual
        Potentials to begin with.

    Attributes
    ----------
    proof : Proof
        What is proved so far.
    rounds : int
        How often all pairs were looked at.
    """

    def __init__(self, ground: Ground, a: Masses, b: Masses, dual: Dual) -> None:
        self.ground = ground
        self.rounds = 0
        by_bids = alike(a, b, a[0]) and not ground.planar
        self.network: Matching | Network = Matching(len(a)) if by_bids else Network(*ground.shape)
        # Potentials that are small for most points are precise for most, however far the others are.
        middle = float(np.median(dual.f))
        dual = Dual(dual.f - middle, dual.g + middle, dual.slack)
        first, f, g = opening(ground, a, b, dual)
        self.network.begin(first, f, g)
        self.proof = Proof.of(self.network.plan(), dual)

    def solve(self, goal: float, late: Callable[[], bool], show: Callable[[Proof], None]) -> bool:
        """Close the gap to ``goal``, relative; False if ``late`` said stop before.

        After every round, ``show`` gets the proof so far.
        """
        first, level, stuck = 0, 0, 0
        while not self.proof.reached(goal):
            tol = self._tolerance(level)
            before = self.proof.gap
            if not self._restricted(first, tol, goal, late, level > 0):
                return self.proof.reached(goal)
            self.rounds += 1
            rows, cols = self._priced(tol)
            show(self.proof)
            stuck = 0 if self.proof.gap < before else stuck + 1
            first = self.network.count
            if len(rows) > 0 and stuck <= (0 if level > 0 else PATIENCE):
                self.network.add(rows, cols, self.ground.costs(rows, cols))
            elif level < len(TOLERANCES):
                level, stuck = level + 1, -1  # the first look with it finds the same potentials
            else:
                break
        return True

    def _tolerance(self, level: int) -> float:
        """Reduced cost that is worth a pivot: relative to the largest cost, at last to those in use."""
        if level < len(TOLERANCES):
            return TOLERANCES[level] * self.ground.extent
        return TOLERANCES[-1] * min(self.proof.upper, self.ground.extent)

    def _restricted(self, first: int, tol: float, goal: float, late: Callable[[], bool], fine: bool) -> bool:
        """Solve on the arcs at hand; False if it was stopped."""
        windows = 0
        limit = self.network.pivots + sum(self.ground.shape)
        stopped = False

        def paused() -> bool:
            nonlocal windows, stopped
            windows += 1
            if fine and self.network.pivots > limit:
                return True  # reduced costs at the size of rounding errors need not come to an end
            stopped = late()
            if not stopped and windows % CHECKED == 0 and goal > 1e-9:
                self._replan()
                stopped = self.proof.reached(goal)
            return stopped

        self.network.solve(first, tol, paused)
        self._replan()
        return not stopped

    def _replan(self) -> None:
        """Take the plan of the moment into the proof."""
        self.proof = Proof.of(self.network.plan(), self.proof.dual)

    def _priced(self, tol: float) -> tuple[Index, Index]:
        """Look at all pairs: better potentials for the proof, and the pairs to add."""
        f, g = self.network.potentials()
        n, m = self.ground.shape
        by_col = n < m  # of the side with more points: so a round adds enough
        found, costs = self.ground.smallest(f, g, min(ADDED, n if by_col else m), 0.0, flip=by_col)
        # Lowered by what its worst pair violates, each point is feasible: nothing else is left to check.
        violated = np.where(found[:, 0] >= 0, costs[:, 0], 0.0)
        dual = Dual(f, _lowered(g, violated)) if by_col else Dual(_lowered(f, violated), g)
        proof = Proof.of(self.proof.plan, dual)
        if proof.gap < self.proof.gap:
            self.proof = proof
        own, place = np.nonzero(costs < -tol)
        others = found[own, place].astype(np.intp)
        return (others, own) if by_col else (own, others)


def _lowered(potential: Array, violated: Array) -> Array:
    """Add what is negative, and round down: to the nearest is too high by half a unit of the potential.

    A potential may be far larger than the costs it is compared with. The error of the sum is exact
    (Knuth's TwoSum).
    """
    total = potential + violated
    back = total - potential
    error = (potential - (total - back)) + (violated - back)
    return np.where(error < 0, np.nextafter(total, -np.inf), total)
