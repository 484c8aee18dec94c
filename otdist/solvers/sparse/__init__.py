"""Exact transport between large clouds, by column generation on few arcs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otdist.inputs.arguments import check_bytes, check_callback, set_option
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import SETUP_SECONDS, Deadline, OutOfTimeError
from otdist.runtime.progress import display_progress
from otdist.solvers.answer import make_observer
from otdist.solvers.costs import weight_rounding_cost
from otdist.solvers.linear.dense import Dense
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import quick_result
from otdist.typing import OnInterval

MAX_PAIRS_REFINED = 2**22  # up to this size the dense solver refines answers that float64 pivots leave open


@dataclass(frozen=True)
class Sparse:
    """Exact transport by column generation: the plan uses few arcs, and all pairs are checked.

    Parameters
    ----------
    max_bytes : int, optional
        Memory limit. None: half of the free memory.
    on_interval : callable, optional
        ``on_interval(lower, upper, seconds)`` is called with each proved interval that is narrower than the
        last one: bounds in the units of the answer, and seconds since the solver was called. The answer does
        not depend on it: intervals on the way are proved where ``tol``, ``max_seconds`` or ``progress``
        need them, and otherwise from the last level on. An exception that it raises ends the call.

    Notes
    -----
    A network simplex solves the problem on about ten arcs a point; if both sides have the same number of
    points, all of equal mass, and more than two columns, an auction does most of the work. One pass over
    all pairs, which are never stored, then either proves that no other arc reduces the cost or finds those
    that do. The first arcs come from the solution of a copy with half as many points, and so on down to 64.

    Works for any cost. For "euclidean", "cityblock", "chebyshev" and "sqeuclidean" with p = 1, and
    "euclidean" with p = 2, memory is O((n + m) d + arcs). Other costs are computed once, as a
    matrix of 8 bytes a pair. Cost: a pass is O(n m d), 5 to 15 are needed; the total number of pivots grows
    like n^1.3, of bids like n. Shortlist and column generation: Gottschlich, Schuhmacher (2014); coarse to
    fine: Merigot (2011), Schmitzer (2016); differs in that every round proves an interval. If costs differ
    by so many orders of magnitude that pivots at the scale of the largest cannot close the gap, "dense"
    refines the answer, for problems of up to 4 million pairs.
    """

    max_bytes: int | None = None
    on_interval: OnInterval | None = None

    def __post_init__(self) -> None:
        set_option(self, "max_bytes", check_bytes(self.max_bytes))
        set_option(self, "on_interval", check_callback(self.on_interval, "on_interval"))

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        observe = make_observer(self.on_interval)
        result = self._solve(problem, observe)
        observe(result)
        return result

    def _solve(self, problem: Problem, observe: Callable[[Result], None]) -> Result:
        """Solve the problem, with the results on the way for an observer."""
        deadline = Deadline(problem.max_seconds)
        merged = MergedProblem.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.zero_result("sparse", weight_rounding_cost(merged.problem))
        merged = merged.rescale()
        from otdist.solvers.sparse.prepared_problem import (  # numba is loaded when it is needed
            GAP_OPEN,
            PreparedProblem,
        )

        try:
            with deadline.later_by(SETUP_SECONDS).enforce():
                prepared = PreparedProblem.of(merged, self.max_bytes)
        except OutOfTimeError:  # while the cost matrix was computed
            return quick_result(merged, "sparse", GAP_OPEN, deadline)
        with display_progress(problem.progress, "exact transport") as report:
            result = prepared.solve(deadline, report, None if self.on_interval is None else observe)
        if result.converged or deadline.is_finite or len(merged.a) * len(merged.b) > MAX_PAIRS_REFINED:
            return result
        return combine_bounds(result, Dense(max_bytes=self.max_bytes)(problem))


def combine_bounds(first: Result, second: Result) -> Result:
    """Combine two results of one problem: the better plan and the narrower bounds."""
    lower, upper = max(first.lower, second.lower), min(first.upper, second.upper)
    best = second if second.upper <= first.upper else first
    info = first.info | {"refined_by": second.method}
    converged, message = second.converged, second.message
    return change(
        best, method=first.method, lower=lower, upper=upper, converged=converged, message=message, info=info
    )
