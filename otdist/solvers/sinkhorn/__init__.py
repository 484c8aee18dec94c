"""Entropic transport with a proved interval for the unregularised cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from otdist.inputs.arguments import check_bytes, check_callback, check_integer, check_number, set_option
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import SETUP_SECONDS, Deadline, OutOfTimeError
from otdist.runtime.progress import display_progress
from otdist.solvers.answer import make_observer
from otdist.solvers.costs import weight_rounding_cost
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import quick_result
from otdist.typing import OnInterval

MIN_EPS = 1e-13  # smallest relative regularisation at which updates still change float64 potentials
DEFAULT_GAP = 1e-2  # relative gap for tol=0
RESIDUAL_TOO_LARGE = "The L1 error of the plan's marginals is {:.0e}: raise max_iter or max_seconds, or eps."
NO_ENTROPIC_PLAN = "Time was up before there was an entropic plan of all points: raise max_seconds."
GAP_TOO_LARGE = (
    "The gap is {:.1e}, not {:.1e}: raise max_iter or max_seconds, or use method='sparse', which is exact."
)


@dataclass(frozen=True)
class Sinkhorn:
    """Entropic transport by Sinkhorn's iteration, with a proved interval for the unregularised cost.

    Parameters
    ----------
    eps : float, optional
        Regularisation, relative to the mean cost between the two samples. None: it is annealed, from
        coarse to fine, until the proved gap is at most ``tol`` (0.01 for ``tol=0``).
    max_residual : float
        With ``eps``: largest L1 error of the plan's marginals, for a mass of 1. For points it cannot be
        smaller than about ``1e-7 / eps``, the rounding of float32 exponents.
    max_iter : int
        Maximal number of updates of both sides, on the points themselves.
    max_bytes : int, optional
        Memory limit. None: half of the free memory.
    on_interval : callable, optional
        ``on_interval(lower, upper, seconds)`` is called with each proved interval that is narrower than the
        last one, as by :class:`Sparse`. With ``eps`` there is one interval, at the end.

    Notes
    -----
    With ``eps``, ``value`` is the cost of the entropic plan, rounded to the marginals: an upper bound.
    ``lower`` is the dual value of its potentials, after c-transforms in float64. ``info`` holds
    ``objective``, the entropic optimum ``min <P, C> + eps KL(P | a b)``, its ``potentials`` and ``eps_abs``,
    all in units of the cost, ``residual`` and ``iterations``.

    Without ``eps``, where the metric has compiled code, plans are restricted to a shortlist of
    ``info["pairs"]`` pairs, and ``residual`` belongs to the entropic plan on these; potentials are feasible
    for all pairs. If this does not reach the gap, the exact solver continues on few pairs:
    ``info["pivots"]`` counts its pivots or bids. In the plane, with more than 2,000 points a side, the
    entropic plan and ``residual`` belong to a coarser copy, from which the exact solver continues from
    coarse to fine. For other metrics plans lie on all pairs, and the exact solver is not used.

    With tensors, ``value`` carries the gradient at fixed plan and potentials: the gradient of ``objective``
    in the points, at fixed ``eps_abs``, and of ``lower`` in the weights; both converge to the gradient of
    the distance as ``eps`` decreases. It needs the whole plan; for a loss see ``otdist.learn``.

    Cost: O(n m d) an update, two updates an iteration, in memory of O((n + m) d) for the same metrics as
    "sparse"; for others 8 n m bytes more. The number of iterations grows about like 1 / eps. On a shortlist
    O(n + m) an update, and two to ten passes over all pairs. Source: Cuturi (2013); in the log domain, from
    coarse to fine and with truncated kernels Schmitzer (2019); over-relaxation by Lehmann et al. (2021).
    """

    eps: float | None = None
    max_residual: float = 1e-5
    max_iter: int = 2000
    max_bytes: int | None = None
    on_interval: OnInterval | None = None

    def __post_init__(self) -> None:
        if self.eps is not None:
            set_option(self, "eps", check_number(self.eps, "eps", above=0))
        set_option(self, "max_residual", check_number(self.max_residual, "max_residual", above=0))
        set_option(self, "max_iter", check_integer(self.max_iter, "max_iter"))
        set_option(self, "max_bytes", check_bytes(self.max_bytes))
        set_option(self, "on_interval", check_callback(self.on_interval, "on_interval"))

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        deadline = Deadline(problem.max_seconds)
        observe = make_observer(self.on_interval)
        result = (
            self._solve_to_gap(problem, deadline, observe)
            if self.eps is None
            else self._solve_at_eps(self.eps, problem, deadline)
        )
        observe(result)
        return result

    def _solve_at_eps(self, eps: float, problem: Problem, deadline: Deadline) -> Result:
        """Solve at a fixed regularisation."""
        from otdist.solvers.pairs.point_costs import cost_kernel
        from otdist.solvers.sinkhorn.entropic_problem import EntropicProblem
        from otdist.solvers.sinkhorn.fixed_eps import solve_at_eps  # numba is loaded when it is needed

        try:
            # Without a cost matrix this takes little time, and leaves the rest to the interval.
            with deadline.enforce(grace=cost_kernel(problem) is not None):
                entropic = EntropicProblem.of_unmerged(problem, self.max_bytes, deadline)
        except OutOfTimeError:  # while the cost matrix was computed
            return quick_result(
                MergedProblem.from_rows(problem).rescale(), "sinkhorn", NO_ENTROPIC_PLAN, deadline
            )
        goal = max(self.max_residual, entropic.residual_floor(eps))
        bounds, finished = solve_at_eps(entropic, eps * entropic.mean, goal, self.max_iter, deadline)
        state = bounds.state
        info = entropic.entropic_info(state) | {"iterations": state.iterations}
        message = (
            RESIDUAL_TOO_LARGE.format(state.residual) if math.isfinite(state.residual) else NO_ENTROPIC_PLAN
        )
        return entropic.to_result(bounds, finished and eps >= MIN_EPS, math.inf, message, info)

    def _solve_to_gap(
        self, problem: Problem, deadline: Deadline, observe: Callable[[Result], None]
    ) -> Result:
        """Anneal the regularisation until the proved gap is small enough."""
        merged = MergedProblem.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.zero_result("sinkhorn", weight_rounding_cost(merged.problem))
        from otdist.solvers.sinkhorn.annealing import anneal_to_gap
        from otdist.solvers.sinkhorn.entropic_problem import Bounds, EntropicProblem

        try:
            with deadline.later_by(SETUP_SECONDS).enforce():
                entropic = EntropicProblem.of(merged, self.max_bytes, rough=True)
        except OutOfTimeError:
            return quick_result(merged.rescale(), "sinkhorn", NO_ENTROPIC_PLAN, deadline)
        goal = problem.tol if problem.tol > 0 else DEFAULT_GAP
        with display_progress(problem.progress, "entropic transport") as report:

            def show(bounds: Bounds) -> None:
                report(f"gap {bounds.gap:.0e} at eps {bounds.state.eps / entropic.mean:.0e}")
                if self.on_interval is not None:
                    observe(entropic.to_result(bounds, False, goal, "", {}))

            bounds, finished = anneal_to_gap(entropic, 0.98 * goal, self.max_iter, deadline, show)
        message = GAP_TOO_LARGE.format(bounds.gap, goal)
        info = {"iterations": bounds.state.iterations}
        if bounds.listed_pairs:
            info["pairs"] = bounds.listed_pairs
        if bounds.pivots:
            info["pivots"] = bounds.pivots
        return entropic.to_result(bounds, finished, goal, message, info)
