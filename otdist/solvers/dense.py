"""The linear programme on a full cost matrix, with its certificate.

Duplicates are merged and common mass cancelled, the cost is scaled, the network simplex runs, and
every rounding on the way is bounded in the interval.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, outward
from otdist.budget import require_memory
from otdist.errors import InputError
from otdist.metrics.names import require_costs
from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.merge import Merged
from otdist.solvers.simplex import UNLIMITED, Solution, only_plan, refined, repaired, simplex, within

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BYTES_PER_PAIR = 41  # cost, plan, flow and arcs of POT's solver
STOPPED_EARLY = "The network simplex was stopped before its optimum: raise max_iter or max_seconds."
TINY = 2.0**-480  # costs of differences above this are computed without underflow


@dataclass(frozen=True)
class Dense:
    """Exact transport by the network simplex on the full cost matrix.

    Parameters
    ----------
    max_iter : int, optional
        Pivots after which the best proved interval is returned. None: no limit.
    max_bytes : int, optional
        Memory it may take. None: half of what is free.

    Notes
    -----
    Bonneel, van de Panne, Paris, Heidrich (2011), in POT's implementation. Cost: about
    O(n^2.5) time for n = m, 41 bytes for each of the n m pairs.
    """

    max_iter: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.max_iter is not None and self.max_iter < 1:
            raise InputError(
                "max_iter", f"{self.max_iter} is not positive", "give a number of pivots, or None"
            )

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        start = time.monotonic()
        merged = Merged.of(problem)
        n, m = len(merged.a), len(merged.b)
        if n == 0 or m == 0:
            return _nothing_moves(merged)
        require_memory(
            BYTES_PER_PAIR * n * m,
            f"method 'dense' on {n} x {m} points",
            "pass a random subset of the rows, or raise max_bytes",
            self.max_bytes,
        )
        limit = problem.max_seconds
        merged = merged.rescaled()
        cost, exponent, lost = _scaled(merged)
        with working(problem.progress, f"network simplex on {n} x {m} points"):
            solution = self._solve(cost, merged, None if limit is None else start + limit)
        return _certified(merged, solution, exponent, lost + math.ldexp(_rounding(merged.problem), -exponent))

    def _solve(self, cost: Array, merged: Merged, deadline: float | None) -> Solution:
        a, b = merged.a, merged.b
        if 1 in cost.shape:
            return only_plan(cost, a, b)
        if deadline is None:
            solution = simplex(cost, a, b, self.max_iter or UNLIMITED)
        else:
            solution = within(cost, a, b, deadline, self.max_iter or UNLIMITED)
        return refined(cost, a, b, solution) if solution.finished else repaired(cost, a, b, solution)


def _scaled(merged: Merged) -> tuple[Array, int, float]:
    """Cost matrix with entries near 1, as POT's tolerances are absolute.

    Returns it with the power of two it was divided by, and a bound of the absolute error of an
    entry.
    """
    problem = merged.problem
    x, y = problem.x[merged.sources], problem.y[merged.sinks]
    cost = problem.costs(x, y)
    own = problem.metric.name != "precomputed"
    if own and problem.metric.pairs is None:
        rows = merged.sources if problem.rows is None else problem.rows[merged.sources]
        cols = merged.sinks if problem.cols is None else problem.cols[merged.sinks]
        require_costs(cost, problem.metric.name, rows, cols)
    largest = float(cost.max())
    lost = _metric_error(problem, largest)
    if problem.metric.degree is not None:
        lost += _lost(cost, x, y)
    exponent = math.frexp(largest)[1]
    if -4 < exponent < 8:
        return cost, 0, lost
    return np.ldexp(cost, -exponent, out=cost if own else None), exponent, math.ldexp(lost, -exponent)


def _lost(cost: Array, x: Array, y: Array) -> float:
    """Bound of the cost of different points whose squared difference underflows."""
    if float(cost.min()) >= TINY:
        return 0.0
    rows, cols = np.nonzero(cost < TINY)
    return TINY if bool((x[rows] != y[cols]).any()) else 0.0


def _metric_error(problem: Problem, largest: float) -> float:
    """Bound of the error of a cost, beyond the relative one, where distances have one."""
    if problem.metric.error is None:
        return 0.0
    distance = largest ** (1.0 / problem.p)
    return float((distance + problem.metric.error(problem.x, problem.y)) ** problem.p - largest)


def _rounding(problem: Problem) -> float:
    """Bound of the change in cost by weights that were rounded when divided by their sum."""
    if problem.mass_error == 0:
        return 0.0
    if problem.metric.name == "precomputed":
        return problem.mass_error * float(problem.costs(problem.x, problem.y).max())
    # No two points are further apart than twice the largest distance from one of them.
    ends = [problem.metric.matrix(problem.x[:1], points).max() for points in (problem.x, problem.y)]
    return float(problem.mass_error * (2.0 * float(max(ends))) ** problem.p)


def _nothing_moves(merged: Merged) -> Result:
    empty = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
    return make_result(
        merged.problem,
        "dense",
        (0.0, 0.0, _rounding(merged.problem)),
        plan=partial(merged.full_plan, *empty),
        potentials=partial(merged.full_potentials, np.empty(0), np.empty(0)),
        message="Both samples carry the same mass everywhere.",
    )


def _certified(merged: Merged, solution: Solution, exponent: int, unsure: float) -> Result:
    problem = merged.problem
    value = solution.price / problem.mass
    # Each distance, product and quotient rounds once; sums are exact (fsum).
    lower, upper = outward(value, (problem.d + 8) * UNIT * value + unsure)
    upper += solution.spill / problem.mass
    lower = max(lower - max(solution.gap, 0.0) / problem.mass, 0.0)
    value, lower, upper = (math.ldexp(bound, exponent) for bound in (value, lower, upper))
    stopped = "" if solution.finished else STOPPED_EARLY
    return make_result(
        problem,
        "dense",
        (value, lower, upper),
        plan=partial(merged.full_plan, solution.rows, solution.cols, solution.mass),
        potentials=partial(_at_scale, merged, solution.f, solution.g, exponent),
        converged=solution.finished,
        message=stopped,
    )


def _at_scale(merged: Merged, f: Array, g: Array, exponent: int) -> tuple[Array, Array]:
    return merged.full_potentials(np.ldexp(f, exponent), np.ldexp(g, exponent))
