"""Linear programme on a full cost matrix, with its certificate.

Duplicates are merged and common mass is cancelled, the cost is scaled, the network simplex runs, and the
interval bounds all rounding errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, ldexp_safely, outward
from otdist.inputs.arguments import check_bytes, check_integer, set_option
from otdist.problem import COST_CAP, Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.runtime.progress import display_progress
from otdist.solvers.answer import make_result
from otdist.solvers.costs import (
    VANISHING_COST,
    cost_matrix,
    cost_rounding,
    refine_units,
    weight_rounding_cost,
)
from otdist.solvers.linear.pot import UNLIMITED_ITERATIONS
from otdist.solvers.linear.simplex import (
    Solution,
    greedy_solution,
    pass_seconds,
    repair_potentials,
    solve_exactly,
    solve_within,
    unique_plan,
)
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import Sides, quick_potentials, quick_result
from otdist.typing import Array

DENSE_BYTES_PER_PAIR = 41  # cost, plan, flow and arcs of POT's solver
PASSES_WITHOUT_PIVOTS = 12  # passes over the matrix for an interval without pivots
STOPPED_EARLY = "The network simplex was stopped before its optimum: raise max_iter or max_seconds."


@dataclass(frozen=True)
class Dense:
    """Exact transport by the network simplex on the full cost matrix.

    Parameters
    ----------
    max_iter : int, optional
        Number of pivots after which the best proved interval is returned. None: no limit.
    max_bytes : int, optional
        Memory limit. None: half of the free memory.

    Notes
    -----
    Bonneel, van de Panne, Paris, Heidrich (2011), in POT's implementation. Cost: about
    O(n^2.5) time for n = m, 41 bytes for each of the n m pairs of points.
    """

    max_iter: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        set_option(self, "max_bytes", check_bytes(self.max_bytes))
        if self.max_iter is not None:
            pivots = check_integer(self.max_iter, "max_iter", remedy="give a number of pivots, or None")
            set_option(self, "max_iter", min(pivots, UNLIMITED_ITERATIONS))

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        deadline = Deadline(problem.max_seconds)
        merged = MergedProblem.of(problem)
        n, m = len(merged.a), len(merged.b)
        if n == 0 or m == 0:
            return merged.zero_result("dense", weight_rounding_cost(merged.problem))
        require_memory(
            DENSE_BYTES_PER_PAIR * n * m,
            f"method 'dense' on {n} x {m} points",
            "use method='sparse', pass a random subset of the rows, or raise max_bytes",
            self.max_bytes,
        )
        merged = merged.rescale()
        try:
            with deadline.enforce():
                cost, exponent, cost_error = cost_matrix(merged)
        except OutOfTimeError:
            return quick_result(merged, "dense", STOPPED_EARLY)
        with display_progress(problem.progress, f"network simplex on {n} x {m} points"):
            solution = self._solve(cost, merged, exponent, deadline)
            if solution is None:
                return quick_result(merged, "dense", STOPPED_EARLY, deadline)
            while (
                not deadline.is_over()
                and (finer := _refine_problem(merged, solution, cost, exponent)) is not None
            ):
                costs = cost_matrix(finer)
                better = self._solve(costs[0], finer, costs[1], deadline)
                if (
                    better is None
                    or better.marginal_error > 0
                    or ldexp_safely(_largest_plan_cost(better, costs[0]), costs[1]) >= COST_CAP / 2
                ):
                    break  # the optimum may use a pair whose cost is capped in these units
                merged, (cost, exponent, cost_error), solution = finer, costs, better
        weight_error = ldexp_safely(weight_rounding_cost(merged.problem), -exponent)
        return _make_result(merged, solution, exponent, cost_error + weight_error, float(cost.max()))

    def _solve(
        self, cost: Array, merged: MergedProblem, exponent: int, deadline: Deadline
    ) -> Solution | None:
        """Run the network simplex; None if there is no time for passes over the matrix."""
        a, b = merged.a, merged.b
        if 1 in cost.shape:
            return unique_plan(cost, a, b)
        if not deadline.is_finite:
            solution = solve_exactly(cost, a, b, self.max_iter or UNLIMITED_ITERATIONS)
        else:
            if deadline.is_over(PASSES_WITHOUT_PIVOTS * pass_seconds(cost)):
                return None
            stopped = solve_within(cost, a, b, deadline, self.max_iter or UNLIMITED_ITERATIONS)
            if stopped is None:
                dual, _ = quick_potentials(Sides.of(merged), deadline)
                return greedy_solution(cost, a, b, np.ldexp(dual.g, -exponent))
            solution = stopped
        return solution if solution.finished else repair_potentials(cost, a, b, solution)


def _largest_plan_cost(solution: Solution, cost: Array) -> float:
    return float(cost[solution.rows, solution.cols].max(initial=0.0))


def _refine_problem(
    merged: MergedProblem, solution: Solution, cost: Array, exponent: int
) -> MergedProblem | None:
    """Rescale the problem to finer units of distance if all costs of this plan vanish; else None."""
    if not solution.finished or ldexp_safely(_largest_plan_cost(solution, cost), exponent) >= VANISHING_COST:
        return None
    return refine_units(merged, solution.rows, solution.cols)


def _make_result(
    merged: MergedProblem, solution: Solution, exponent: int, cost_error: float, largest: float
) -> Result:
    """Make the Result: bounds of the cost per unit of mass, rounded outwards.

    ``cost_error``: absolute error of the optimum, besides the relative one of each cost; ``largest``: the
    largest cost.
    """
    problem = merged.problem
    value = solution.price / problem.mass
    # Besides the costs, products and the quotient round; sums are exact (fsum).
    error = (cost_rounding(problem) + 4 * UNIT_ROUNDOFF) * value + cost_error
    lower, upper = outward(value, error)
    upper += solution.marginal_error * largest / problem.mass * (1 + 4 * UNIT_ROUNDOFF)
    # A mean of costs is at most the largest cost.
    upper = min(upper, largest * (1 + cost_rounding(problem)) + cost_error)
    lower = max(
        lower - (solution.gap + solution.marginal_error_value) / problem.mass * (1 + 4 * UNIT_ROUNDOFF), 0.0
    )
    value, lower, upper = (ldexp_safely(bound, exponent) for bound in (value, lower, upper))
    stopped = "" if solution.finished else STOPPED_EARLY
    return make_result(
        problem,
        "dense",
        (value, lower, upper),
        plan=partial(merged.full_plan, solution.rows, solution.cols, solution.mass),
        potentials=partial(merged.scaled_potentials, solution.f, solution.g, exponent),
        converged=solution.finished,
        message=stopped,
    )
