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
from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.costs import cost_matrix, rounding
from otdist.solvers.merge import Merged
from otdist.solvers.simplex import UNLIMITED, Solution, only_plan, refined, repaired, simplex, within

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BYTES_PER_PAIR = 41  # cost, plan, flow and arcs of POT's solver
STOPPED_EARLY = "The network simplex was stopped before its optimum: raise max_iter or max_seconds."


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
            return merged.nothing_moves("dense", rounding(problem))
        require_memory(
            BYTES_PER_PAIR * n * m,
            f"method 'dense' on {n} x {m} points",
            "use method='sparse', pass a random subset of the rows, or raise max_bytes",
            self.max_bytes,
        )
        limit = problem.max_seconds
        merged = merged.rescaled()
        cost, exponent, lost = cost_matrix(merged)
        with working(problem.progress, f"network simplex on {n} x {m} points"):
            solution = self._solve(cost, merged, None if limit is None else start + limit)
        return _certified(merged, solution, exponent, lost + math.ldexp(rounding(merged.problem), -exponent))

    def _solve(self, cost: Array, merged: Merged, deadline: float | None) -> Solution:
        a, b = merged.a, merged.b
        if 1 in cost.shape:
            return only_plan(cost, a, b)
        if deadline is None:
            solution = simplex(cost, a, b, self.max_iter or UNLIMITED)
        else:
            solution = within(cost, a, b, deadline, self.max_iter or UNLIMITED)
        return refined(cost, a, b, solution) if solution.finished else repaired(cost, a, b, solution)


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
