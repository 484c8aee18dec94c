"""Column generation: solve on few arcs, price all pairs, add those with negative reduced cost, repeat."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.solvers.pairs.integer_masses import all_equal
from otdist.solvers.pairs.pairwise_costs import Arcs, Dual, PairwiseCosts
from otdist.solvers.sparse.initial_plans import make_initial_plan
from otdist.solvers.sparse.matching import Matching
from otdist.solvers.sparse.network import Network
from otdist.typing import Array, Index, Integers

Masses = Integers

ARCS_ADDED_PER_ROW = 4  # in each round
REDUCED_COST_TOLERANCES = (2.0**-40, 2.0**-44, 2.0**-47)  # relative to the largest cost
MAX_STALLED_ROUNDS = 25  # rounds without a narrower interval before a smaller tolerance is used
WINDOWS_PER_CHECK = 16  # windows of pivots between two evaluations of the interval


@dataclass(frozen=True, eq=False)
class Certificate:
    """Plan and potentials, and the interval that they prove for the cost per unit of mass."""

    plan: Arcs
    dual: Dual
    upper: float
    gap: float  # upper - lower, summed cell by cell: no cancellation

    @classmethod
    def of(cls, plan: Arcs, dual: Dual) -> Certificate:
        """Certify a plan by potentials."""
        share = plan.flow / float(plan.flow.sum())
        upper = math.fsum(share * plan.cost)
        gap = math.fsum(share * (plan.cost - (dual.f[plan.rows] + dual.g[plan.cols])))
        return cls(plan, dual, upper, min(max(gap, 0.0) + dual.slack, upper))

    @property
    def lower(self) -> float:
        """Proved lower bound."""
        return self.upper - self.gap

    def reaches(self, goal: float) -> bool:
        """Whether the relative gap is at most ``goal``."""
        return self.gap <= goal * self.upper


class ColumnGeneration:
    """Transport problem between two sets of points, solved on a growing set of arcs.

    Parameters
    ----------
    ground : PairwiseCosts
        Costs of all pairs.
    a, b : ndarray of int
        Masses, with equal totals.
    dual : Dual
        Initial potentials.

    Attributes
    ----------
    certificate : Certificate
        The best certificate so far.
    rounds : int
        Number of passes over all pairs.
    """

    def __init__(self, ground: PairwiseCosts, a: Masses, b: Masses, dual: Dual) -> None:
        self.ground = ground
        self.rounds = 0
        by_bids = all_equal(a, b, a[0]) and not ground.planar
        self.network: Matching | Network = Matching(len(a)) if by_bids else Network(*ground.shape)
        # Potentials that are small for most points are precise for these, however far away the others are.
        middle = float(np.median(dual.f))
        dual = Dual(dual.f - middle, dual.g + middle, dual.slack)
        first, f, g = make_initial_plan(ground, a, b, dual)
        self.network.begin(first, f, g)
        self.certificate = Certificate.of(self.network.plan(), dual)

    def solve(
        self, goal: float, is_out_of_time: Callable[[], bool], on_certificate: Callable[[Certificate], None]
    ) -> bool:
        """Solve until the relative gap is at most ``goal``; returns False if time was up before.

        ``on_certificate`` is called with the best certificate after every round.
        """
        first, level, stuck = 0, 0, 0
        while not self.certificate.reaches(goal):
            tol = self._tolerance(level)
            before = self.certificate.gap
            if not self._solve_restricted(first, tol, goal, is_out_of_time, level > 0):
                return self.certificate.reaches(goal)
            self.rounds += 1
            rows, cols = self._price(tol)
            on_certificate(self.certificate)
            stuck = 0 if self.certificate.gap < before else stuck + 1
            first = self.network.count
            if len(rows) > 0 and stuck <= (0 if level > 0 else MAX_STALLED_ROUNDS):
                self.network.add(rows, cols, self.ground.costs(rows, cols))
            elif level < len(REDUCED_COST_TOLERANCES):
                level, stuck = level + 1, -1  # the first round with it prices the same potentials
            else:
                break
        return True

    def _tolerance(self, level: int) -> float:
        """Smallest reduced cost worth a pivot: relative to the largest cost, finally to the mean cost."""
        if level < len(REDUCED_COST_TOLERANCES):
            return REDUCED_COST_TOLERANCES[level] * self.ground.extent
        return REDUCED_COST_TOLERANCES[-1] * min(self.certificate.upper, self.ground.extent)

    def _solve_restricted(
        self, first: int, tol: float, goal: float, is_out_of_time: Callable[[], bool], fine: bool
    ) -> bool:
        """Solve on the present arcs; returns False if it was stopped."""
        windows = 0
        limit = self.network.pivots + sum(self.ground.shape)
        stopped = False

        def should_stop() -> bool:
            nonlocal windows, stopped
            windows += 1
            if fine and self.network.pivots > limit:
                return True  # reduced costs at the size of rounding errors need not terminate
            stopped = is_out_of_time()
            if not stopped and windows % WINDOWS_PER_CHECK == 0 and goal > 1e-9:
                self._update_plan()
                stopped = self.certificate.reaches(goal)
            return stopped

        self.network.solve(first, tol, should_stop)
        self._update_plan()
        return not stopped

    def _update_plan(self) -> None:
        """Put the present plan into the certificate."""
        self.certificate = Certificate.of(self.network.plan(), self.certificate.dual)

    def _price(self, tol: float) -> tuple[Index, Index]:
        """Price all pairs: improve the potentials of the certificate, and return the pairs to add."""
        f, g = self.network.potentials()
        n, m = self.ground.shape
        by_col = n < m  # search the side with more points, so that a round adds enough arcs
        nearest, costs = self.ground.smallest(
            f, g, min(ARCS_ADDED_PER_ROW, n if by_col else m), 0.0, flip=by_col
        )
        # A potential lowered by its largest violation is feasible: no further pass is needed.
        violated = np.where(nearest[:, 0] >= 0, costs[:, 0], 0.0)
        dual = (
            Dual(f, _add_rounding_down(g, violated)) if by_col else Dual(_add_rounding_down(f, violated), g)
        )
        certificate = Certificate.of(self.certificate.plan, dual)
        if certificate.gap < self.certificate.gap:
            self.certificate = certificate
        side, place = np.nonzero(costs < -tol)
        others = nearest[side, place].astype(np.intp)
        return (others, side) if by_col else (side, others)


def _add_rounding_down(potential: Array, violated: Array) -> Array:
    """Add negative numbers, and round down: rounding to nearest may exceed the sum by half a unit.

    A potential may be far larger than the costs it is compared with. The error of the sum is exact
    (Knuth's TwoSum).
    """
    total = potential + violated
    back = total - potential
    error = (potential - (total - back)) + (violated - back)
    return np.where(error < 0, np.nextafter(total, -np.inf), total)
