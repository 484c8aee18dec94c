"""Entropic plans of a problem, and the interval that they prove for the unregularised cost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, outward
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.runtime.deadline import NO_DEADLINE, Deadline
from otdist.solvers.answer import make_result
from otdist.solvers.costs import cost_rounding, weight_rounding_cost
from otdist.solvers.entropic.iteration import FLOAT32_NOISE, SinkhornState
from otdist.solvers.entropic.logsumexp32 import MatrixLogSumExp, PointLogSumExp32, make_logsumexp
from otdist.solvers.entropic.warm_start import anneal_copies
from otdist.solvers.merge import MergedProblem
from otdist.solvers.pairs.integer_masses import integer_masses
from otdist.solvers.pairs.pairwise_costs import Dual, PairwiseCosts
from otdist.solvers.sparse.initial_plans import greedy_plan
from otdist.solvers.sparse.prepared_problem import PreparedProblem
from otdist.typing import Array, Cells, Index

MIN_MASS_SHARE = 2.0**-960  # smaller shares of the mass are raised to this: their logarithm must be finite
MAX_RESIDUAL_FLOOR = 1e-2  # largest residual that is attributed to rounding
MAX_EXPONENT_FLOAT32 = 2.0**120  # largest ratio of a cost to eps that float32 represents
BYTES_PER_CELL = 40  # of a dense plan
MIN_PASSES = 12  # passes over all pairs that an entropic plan and its interval take at least
SUBSAMPLE_POINTS = 2000  # points a side that suffice to estimate the mean cost
MAX_CELLS_DENSE_PLAN = 2**21  # up to this size the cost is computed from a dense plan


@dataclass(frozen=True, eq=False)
class Bounds:
    """Primal and dual bounds of a plan and potentials, per unit of mass.

    Attributes
    ----------
    state : SinkhornState
        Entropic potentials of the plan.
    upper : float
        Cost of the plan, rounded to its marginals.
    upper_error : float
        Bound of the rounding error of ``upper``.
    dual : Dual
        Feasible potentials.
    lower : float
        Their dual value.
    cells : tuple of ndarray or None
        Rows, columns and masses of the plan if it lies on a shortlist. None: all pairs may carry mass.
    listed_pairs : int
        Number of pairs on the shortlist.
    pivots : int
        Pivots of the exact solver.
    """

    state: SinkhornState
    upper: float
    upper_error: float
    dual: Dual
    lower: float
    cells: Cells | None = None
    listed_pairs: int = 0
    pivots: int = 0

    @property
    def gap(self) -> float:
        """Relative width of the interval."""
        top = self.upper + self.upper_error
        return (top - self.lower) / top if top > 0 else 0.0

    def combine(self, other: Bounds | None) -> Bounds:
        """Combine the better plan and the better potentials of two bounds."""
        if other is None:
            return self
        plan = min(self, other, key=lambda one: one.upper + one.upper_error)
        dual = max(self, other, key=lambda one: one.lower)
        pivots = max(self.pivots, other.pivots)
        return replace(plan, dual=dual.dual, lower=dual.lower, pivots=pivots)


@dataclass(frozen=True, eq=False)
class EntropicProblem:
    """Problem in kd order, prepared for entropic plans.

    Attributes
    ----------
    prepared : PreparedProblem
        Points in kd order, and the map back.
    a, b : ndarray
        Masses in that order, of total 1.
    logsumexp : PlanSummation
        Sums over all pairs.
    mean : float
        Mean cost between the two samples, the unit of ``eps``; 1 if the mean is 0. Estimated from a
        subsample if ``rough``.
    moving_share : float
        Share of the problem's mass that is in ``a`` and ``b``.
    seconds : float
        Expected time of a pass over all pairs, measured on a subsample.
    """

    prepared: PreparedProblem
    a: Array
    b: Array
    logsumexp: PointLogSumExp32 | MatrixLogSumExp
    mean: float
    moving_share: float = 1.0
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        merged: MergedProblem,
        max_bytes: int | None,
        rough: bool = False,
        deadline: Deadline = NO_DEADLINE,
    ) -> EntropicProblem:
        """Bring a problem into kd order.

        The mean is estimated as well if computing it would leave no time for an interval.
        """
        merged = merged.rescale()
        prepared = PreparedProblem.of(merged, max_bytes, "sinkhorn")
        a, b = merged.a[prepared.rows], merged.b[prepared.cols]
        moving_share = float(a.sum()) / merged.problem.mass
        a, b = np.maximum(a / a.sum(), MIN_MASS_SHARE), np.maximum(b / b.sum(), MIN_MASS_SHARE)
        logsumexp = make_logsumexp(prepared.ground)
        some = subsample(prepared.ground, a, b)
        start = time.monotonic()
        mean = some[0].plan_sums(np.log(some[1]), np.log(some[2]), math.inf).cost
        seconds = (time.monotonic() - start) * len(a) * len(b) / (len(some[1]) * len(some[2]))
        if not rough and not deadline.is_over((1 + MIN_PASSES) * seconds - deadline.grace):
            mean = logsumexp.plan_sums(np.log(a), np.log(b), math.inf).cost
        return cls(prepared, a, b, logsumexp, mean if mean > 0 else 1.0, moving_share, seconds)

    @classmethod
    def of_unmerged(
        cls, problem: Problem, max_bytes: int | None, deadline: Deadline = NO_DEADLINE
    ) -> EntropicProblem:
        """Prepare a problem without merging or cancelling points, which would change entropic plans."""
        return cls.of(MergedProblem.from_rows(problem), max_bytes, deadline=deadline)

    @property
    def updates_to_finish(self) -> float:
        """Time of the next update and the final interval, in updates."""
        return 7.0 if isinstance(self.logsumexp, PointLogSumExp32) else 4.0

    def residual_floor(self, eps: float) -> float:
        """Residual that float32 exponents leave at a regularisation, relative to the mean cost.

        At most ``MAX_RESIDUAL_FLOOR``: a larger residual counts as not converged, whatever its cause.
        """
        return (
            min(FLOAT32_NOISE / eps, MAX_RESIDUAL_FLOOR)
            if isinstance(self.logsumexp, PointLogSumExp32)
            else 0.0
        )

    def initial_potentials(self, eps: float) -> tuple[SinkhornState, float]:
        """Return initial potentials, and the regularisation that they were annealed to."""
        extent = self.prepared.ground.extent
        if extent > MAX_EXPONENT_FLOAT32 * eps:
            raise InputError(
                "eps",
                f"is {eps / self.mean:.0e} of the mean cost, and costs reach {extent / eps:.0e} times that: "
                "their exponentials cannot be computed",
                "raise it, or use method='sparse', which is exact",
            )
        return anneal_copies(self.prepared.ground, self.a, self.b, self.mean, eps)

    def evaluate_bounds(self, state: SinkhornState) -> Bounds:
        """Return the bounds of a plan with exact rows and of its potentials."""
        ground = self.prepared.ground
        dual = Dual.from_columns(ground, state.g)
        lower = self.dual_value(dual)
        n, m = ground.shape
        if n * m <= MAX_CELLS_DENSE_PLAN:
            i, j, mass = self._dense_plan(state, dual)
            return Bounds(state, math.fsum(mass * ground.costs(i, j)), 0.0, dual, lower)
        logs = state.f / state.eps + np.log(self.a), state.g / state.eps + np.log(self.b)
        by_row = scale_factors(self.a, self.logsumexp.plan_sums(*logs, state.eps).rows)
        by_col = scale_factors(self.b, self.logsumexp.plan_sums(*logs, state.eps, by_row).cols)
        sums = self.logsumexp.plan_sums(*logs, state.eps, by_row, by_col)
        i, j, mass = self.couple_rest(self.a - sums.rows, self.b - sums.cols, dual)
        # Sums over n and m terms, and the costs, which are float32: both are bounded generously.
        upper_error = (n + m) * UNIT_ROUNDOFF * ground.extent + self.logsumexp.cost_error
        return Bounds(state, sums.cost + math.fsum(mass * ground.costs(i, j)), upper_error, dual, lower)

    def dual_value(self, dual: Dual) -> float:
        """Dual value of feasible potentials, less the rounding of ``f + g`` at the size of the potentials."""
        value = math.fsum(self.a * dual.f) + math.fsum(self.b * dual.g)
        return value - 8 * UNIT_ROUNDOFF * float(np.abs(dual.f).max() + np.abs(dual.g).max())

    def to_result(
        self, bounds: Bounds, finished: bool, goal: float, message: str, info: Mapping[str, object]
    ) -> Result:
        """Convert bounds to a Result in the problem's units."""
        prepared, problem = self.prepared, self.prepared.merged.problem
        value = bounds.upper
        slack = (cost_rounding(problem) + (problem.d + 8) * UNIT_ROUNDOFF) * value + prepared.cost_error
        slack += math.ldexp(weight_rounding_cost(problem), -prepared.exponent)
        lower = max(outward(min(bounds.lower, value), slack)[0], 0.0)
        interval = (value, lower, value + bounds.upper_error + slack)
        value, lower, upper = (math.ldexp(self.moving_share * bound, prepared.exponent) for bound in interval)
        state = bounds.state
        return make_result(
            problem,
            "sinkhorn",
            (value, lower, upper),
            plan=partial(self._plan, bounds),
            potentials=partial(prepared.full_potentials, bounds.dual.f, bounds.dual.g),
            converged=finished,
            goal=goal,
            message="" if finished else message,
            info={"eps": state.eps / self.mean, "residual": state.residual, **info},
        )

    def entropic_info(self, state: SinkhornState) -> dict[str, object]:
        """Return the entropic objective and potentials, in units of the cost, for ``Result.info``."""
        prepared, units = self.prepared, self.prepared.merged.problem.to_caller_costs
        f, g = prepared.full_potentials(state.f, state.g)
        problem = prepared.merged.problem
        # The plan does not determine potentials of rows without mass: NaN.
        f, g = problem.fill_left_out(f, 0), problem.fill_left_out(g, 1)
        scale = math.ldexp(1.0, prepared.exponent)
        # Before the first update the potentials have no meaning.
        objective = float(self.a @ state.f + self.b @ state.g) * scale if state.iterations else math.nan
        return {
            "eps_abs": float(units(state.eps * scale)),
            "objective": float(units(objective)),
            "potentials": (units(f), units(g)),
        }

    def couple_rest(self, left: Array, right: Array, dual: Dual, first: Cells | None = None) -> Cells:
        """Couple the mass that a plan leaves, greedily by reduced cost; ``first``: pairs to try first."""
        left, right = np.maximum(left, 0.0), np.maximum(right, 0.0)
        rows, cols = (
            np.flatnonzero(left > UNIT_ROUNDOFF * self.a),
            np.flatnonzero(right > UNIT_ROUNDOFF * self.b),
        )
        if min(len(rows), len(cols)) == 0:
            return rows[:0], cols[:0], left[:0]
        a, b, mass_exponent, _ = integer_masses(left[rows], right[cols])
        part = self.prepared.ground.subset(rows, cols)
        known = None if first is None else _restrict_pairs(first, (rows, cols), self.prepared.ground.shape)
        arcs = greedy_plan(part, a, b, Dual(dual.f[rows], dual.g[cols]), known)
        used = arcs.flow > 0
        mass = np.ldexp(arcs.flow[used].astype(float), -mass_exponent)
        return rows[arcs.rows[used]], cols[arcs.cols[used]], mass

    def _dense_plan(self, state: SinkhornState, dual: Dual) -> Cells:
        """Return the cells of the plan: rows and columns in excess are scaled down, the rest is coupled.

        Altschuler, Weed, Rigollet (2017), algorithm 2. Differs in how the rest is coupled.
        """
        n, m = self.prepared.ground.shape
        require_memory(
            BYTES_PER_CELL * n * m,
            f"the plan of method 'sinkhorn' with {n} x {m} cells",
            "use method='sparse'",
        )
        i, j = np.divmod(np.arange(n * m), m)
        plan = self.prepared.ground.costs(i, j).reshape(n, m)
        plan -= state.f[:, None]
        plan -= state.g
        plan /= -state.eps
        np.exp(np.minimum(plan, 700.0, out=plan), out=plan)
        plan *= self.a[:, None]
        plan *= self.b
        plan *= scale_factors(self.a, plan.sum(axis=1))[:, None]
        plan *= scale_factors(self.b, plan.sum(axis=0))
        rest = self.couple_rest(self.a - plan.sum(axis=1), self.b - plan.sum(axis=0), dual)
        inside = np.flatnonzero(plan.ravel() > 0)
        rows, cols, mass = i[inside], j[inside], plan.ravel()[inside]
        return (
            np.concatenate([rows, rest[0]]),
            np.concatenate([cols, rest[1]]),
            np.concatenate([mass, rest[2]]),
        )

    def _plan(self, bounds: Bounds) -> Cells:
        """Return the cells of the plan in the problem's rows and masses."""
        i, j, mass = self._dense_plan(bounds.state, bounds.dual) if bounds.cells is None else bounds.cells
        prepared = self.prepared
        mass = mass * (self.moving_share * prepared.merged.problem.mass)
        return prepared.merged.full_plan(prepared.rows[i], prepared.cols[j], mass)


def subsample(
    ground: PairwiseCosts, a: Array, b: Array
) -> tuple[PointLogSumExp32 | MatrixLogSumExp, Array, Array]:
    """Take every k-th point of either side; in kd order these cover the whole sample."""
    rows, cols = (np.arange(0, len(mass), -(-len(mass) // SUBSAMPLE_POINTS)) for mass in (a, b))
    a, b = a[rows], b[cols]
    return make_logsumexp(ground.subset(rows, cols)), a / a.sum(), b / b.sum()


def scale_factors(limit: Array, carried: Array) -> Array:
    """Factors that scale ``carried`` down to ``limit`` where it exceeds it."""
    ones = np.ones(len(limit))
    return np.asarray(np.divide(limit, carried, out=ones, where=carried > limit))


def _restrict_pairs(pairs: Cells, ends: tuple[Index, Index], shape: tuple[int, int]) -> Cells:
    """Select the pairs of some rows and columns, renumbered within these."""
    places = [np.full(count, -1) for count in shape]
    for place, points in zip(places, ends, strict=True):
        place[points] = np.arange(len(points))
    rows, cols = places[0][pairs[0]], places[1][pairs[1]]
    inside = np.flatnonzero((rows >= 0) & (cols >= 0))
    return rows[inside], cols[inside], pairs[2][inside]
