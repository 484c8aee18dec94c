"""Unbalanced transport with a KL penalty of the marginals, by entropic plans and exact transport."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.problem import Problem
from otdist.runtime.budget import require_memory
from otdist.runtime.deadline import OutOfTimeError
from otdist.solvers.answer import extend_to_left_out, make_sparse_plan
from otdist.solvers.costs import cost_rounding, price_in_units
from otdist.solvers.divergence.point_gradients import point_gradients_of_cells
from otdist.solvers.divergence.term import EntropicTerm, StoppingRule
from otdist.solvers.entropic.iteration import Iteration, KLProx, SinkhornState, stopping_criterion
from otdist.solvers.entropic.logsumexp32 import PointLogSumExp32
from otdist.solvers.pairs.pairwise_costs import Dual
from otdist.solvers.unbalanced.marginals import (
    KLDual,
    KLPlan,
    balance_components,
    best_multiple,
    transport_between_marginals,
)
from otdist.typing import Array

if TYPE_CHECKING:
    from scipy.sparse import coo_array

KL_EPS_DECAY = 0.6  # factor of the regularisation from one evaluation of the interval to the next
UPDATES_TO_EVALUATE = 4.0  # time of the next update and an evaluation of the interval, in updates
MAX_UPDATES_PER_EPS = 30  # at each regularisation
MAX_CELLS_EXACT_SOLVE = 2**22  # largest problem for exact transport between given marginals
MAX_COST_PER_PENALTY = 2.0**-6  # smaller costs hardly change the marginals
MAX_EXACT_SOLVES = 6
MIN_EPS_FLOAT32_SUMS = 2.0**-14  # smallest regularisation, for a mean cost of 1, that float32 sums resolve
MAX_FLOAT32_ERROR = 2.0**-16  # largest float32 error of a cost, relative to the penalty
BYTES_PER_CELL = 40  # of a dense plan


@dataclass(eq=False)
class UnbalancedKL:
    """Problem ``min <P, C> + rho KL(P 1 | a) + rho KL(P^T 1 | b)``, with bounds that converge.

    Parameters
    ----------
    term : EntropicTerm
        Samples with their masses.
    rho : float
        Weight of the penalties, in the term's unit.

    Notes
    -----
    Every plan is feasible, so the objective of an entropic plan is an upper bound, and c-transforms of its
    potentials give a lower one. The regularisation decreases until both are close.
    """

    term: EntropicTerm
    rho: float

    def __post_init__(self) -> None:
        self.term = self.term.with_equal_totals()
        self.constant: float = self.rho * self.term.unmet
        self.plan: KLPlan | None = None
        # Costs are not negative, so potentials of 0 prove 0.
        self.dual: KLDual = KLDual(np.zeros(len(self.term.a)), np.zeros(len(self.term.b)), 0.0)
        self.iterations: int = 0
        self.method: str = "sinkhorn"
        # If points are far beyond the reach, float32 does not resolve those within it.
        far = self.term.logsumexp.cost_error > MAX_FLOAT32_ERROR * self.rho
        self.logsumexp = self.term.logsumexp64 if far else self.term.logsumexp

    def solve(self, tol: float, goal: StoppingRule) -> bool:
        """Solve until the gap is at most ``tol`` times the upper bound; False if it was not reached."""
        try:
            with goal.deadline.enforce(grace=True):
                return self._solve(tol, goal)
        except OutOfTimeError:
            if self.plan is None:
                # The empty plan: all mass of both sides is penalised.
                f, g = np.zeros(len(self.term.a)), np.zeros(len(self.term.b))
                price = self.rho * (math.fsum(self.term.a) + math.fsum(self.term.b)) * (1 + 4 * UNIT_ROUNDOFF)
                return self._update_best(KLPlan(f, g, 1.0, 0.0, price, 0.0), self.dual, tol)
            return False

    def _solve(self, tol: float, goal: StoppingRule) -> bool:
        n, m = len(self.term.a), len(self.term.b)
        small = n * m <= MAX_CELLS_EXACT_SOLVE
        flat = self.term.prepared.ground.extent <= MAX_COST_PER_PENALTY * self.rho
        # If the reach is far beyond all points, the marginals are the weights, up to a factor.
        if small and flat and self._refine(np.zeros(n), np.zeros(m), tol, goal):
            return True
        state = SinkhornState(np.zeros(n), np.zeros(m))
        if self._anneal(state, tol, goal):
            return True
        is_out_of_time = stopping_criterion(goal.max_iter, goal.deadline)
        if not small or is_out_of_time(state):
            return False
        return self._refine(np.zeros(n), np.zeros(m), tol, goal) or self._refine(state.f, state.g, tol, goal)

    def _anneal(self, state: SinkhornState, tol: float, goal: StoppingRule) -> bool:
        """Decrease the regularisation until the gap is closed, or float32 or a limit stops it."""
        term = self.term
        iteration = Iteration(self.logsumexp, term.a, term.b, KLProx(self.rho, even=True))
        is_out_of_time = stopping_criterion(
            goal.max_iter, goal.deadline, lambda state: UPDATES_TO_EVALUATE * state.seconds
        )
        largest = eps = min(term.rough_mean or self.rho, self.rho)
        while True:
            for _ in range(MAX_UPDATES_PER_EPS):
                iteration.update(state, eps)
                if is_out_of_time(state) or state.residual <= goal.residual * float(term.b.sum()):
                    break
            self.iterations = state.iterations
            if self._update_best(self._evaluate_plan(state), self._evaluate_dual(state.g), tol):
                return True
            if is_out_of_time(state) or eps < MIN_EPS_FLOAT32_SUMS * largest:
                return False
            eps *= KL_EPS_DECAY

    def _refine(self, f: Array, g: Array, tol: float, goal: StoppingRule) -> bool:
        """Solve exact transport between the optimal marginals of potentials, repeatedly."""
        for _ in range(MAX_EXACT_SOLVES):
            shift = KLProx(self.rho, even=True).shift(self.term.a, self.term.b, f, g)
            solution = transport_between_marginals(self.term, self.rho, f + shift, g - shift, goal.deadline)
            if solution is None:
                return False
            plan, exact, method = solution
            dual = self._evaluate_dual(exact)
            shifted = self._evaluate_dual(balance_components(self.term, self.rho, plan, dual))
            dual = max(dual, shifted, key=lambda one: one.bound)
            if self._update_best(plan, dual, tol):
                self.method = method
                return True
            f, g = dual.f, dual.g
        return False

    def _update_best(self, plan: KLPlan, dual: KLDual, tol: float) -> bool:
        """Keep the better plan and the better potentials; returns whether their gap is at most ``tol``."""
        self.plan = min(plan, self.plan or plan, key=lambda one: one.price)
        self.dual = max(dual, self.dual, key=lambda one: one.bound)
        lower, upper = self.bounds
        return upper - lower <= tol * upper

    @property
    def bounds(self) -> tuple[float, float]:
        """Proved bounds of the optimum, in the term's unit."""
        assert self.plan is not None
        lower = self.dual.bound + self.constant * (1 - 16 * UNIT_ROUNDOFF)
        upper = self.plan.price + self.constant * (1 + 16 * UNIT_ROUNDOFF)
        return min(lower, upper), upper

    def _evaluate_plan(self, state: SinkhornState) -> KLPlan:
        """Return the best multiple of the present plan, and its objective."""
        term, rho = self.term, self.rho
        logs = state.f / state.eps + np.log(term.a), state.g / state.eps + np.log(term.b)
        sums = self.logsumexp.plan_sums(*logs, state.eps)
        carried = float(sums.rows.sum())
        # Costs of float32 sums have an absolute error, others a relative one.
        cost_error = term.prepared.entry_error + (
            self.logsumexp.cost_error if isinstance(self.logsumexp, PointLogSumExp32) else 0.0
        )
        cost = sums.cost * (1 + 2 * cost_rounding(term.problem)) + cost_error * carried
        with np.errstate(divide="ignore"):
            shares = np.log(sums.rows / term.a), np.log(sums.cols / term.b)
        factor, price = best_multiple(term, rho, shares, cost, (64 + len(term.a) / 4) * UNIT_ROUNDOFF)
        return KLPlan(state.f.copy(), state.g.copy(), state.eps, factor, price, factor * carried)

    def _evaluate_dual(self, g: Array) -> KLDual:
        """Compute feasible potentials from potentials of the columns, by c-transforms in float64."""
        term, rho = self.term, self.rho
        f, g, _ = Dual.from_columns(term.prepared.ground, g)
        shift = KLProx(rho, even=True).shift(term.a, term.b, f, g)
        f, g = f + shift, g - shift
        with np.errstate(over="ignore", invalid="ignore"):
            gains = term.a * -np.expm1(-f / rho), term.b * -np.expm1(-g / rho)
            carried = term.a * np.exp(-f / rho), term.b * np.exp(-g / rho)
            # The sum of two potentials may exceed the cost by this share of both; each is lowered by it.
            share = cost_rounding(term.problem) + (4 * term.problem.d + 40) * UNIT_ROUNDOFF
            rounding_error = share * float(carried[0] @ np.abs(f) + carried[1] @ np.abs(g))
            rounding_error += term.prepared.entry_error * float(carried[0].sum())
            rounding_error += (
                16 * UNIT_ROUNDOFF * rho * float(np.abs(gains[0]).sum() + np.abs(gains[1]).sum())
            )
        bound = (
            rho * (math.fsum(gains[0]) + math.fsum(gains[1])) - rounding_error
            if rounding_error < math.inf
            else -math.inf
        )
        return KLDual(f, g, bound)

    def potentials(self) -> tuple[Array, Array]:
        """Return potentials of all rows, in the caller's units."""
        term, problem = self.term, self.term.problem
        tilt = self.rho * term.tilt
        f, g = term.prepared.full_potentials(self.dual.f - tilt, self.dual.g + tilt)
        if problem.rows is not None or problem.cols is not None:
            f, g = extend_to_left_out(problem, f, g)
        return np.asarray(problem.to_caller_costs(f)), np.asarray(problem.to_caller_costs(g))

    def point_gradients(self) -> tuple[Array, Array]:
        """Return the gradient of the plan's cost in the points."""
        assert self.plan is not None
        if self.plan.cells is not None:
            return point_gradients_of_cells(self.term.problem, *self.plan.cells)
        x, y = self.term.point_gradients(self.plan.f, self.plan.g, self.plan.eps)
        return self.plan.factor * x, self.plan.factor * y

    def make_plan(self) -> coo_array:
        """Make the plan, as a sparse array of the caller's shape."""
        assert self.plan is not None
        term, problem = self.term, self.term.problem
        prepared, plan = term.prepared, self.plan
        if plan.cells is not None:
            return make_sparse_plan(problem, plan.cells)
        n, m = len(term.a), len(term.b)
        require_memory(
            BYTES_PER_CELL * n * m, f"a plan with {n} x {m} cells", "use penalty='tv', whose plan is sparse"
        )
        rows, cols = prepared.to_rows(plan.f / plan.eps + np.log(term.a), plan.g / plan.eps + np.log(term.b))
        cost = np.ldexp(problem.costs(problem.x, problem.y), -prepared.exponent)
        mass = plan.factor * np.exp(rows[:, None] + cols - cost / plan.eps)
        i, j = np.nonzero(mass)
        return make_sparse_plan(problem, (i, j, mass[i, j]))


def make_unbalanced_kl(problem: Problem, masses: tuple[Array, Array], reach: float) -> UnbalancedKL:
    """Prepare the problem with unnormalised masses and the penalties of a reach."""
    term = EntropicTerm.of(problem, *masses)
    return UnbalancedKL(term, price_in_units(float(reach) ** problem.p, term.unit))
