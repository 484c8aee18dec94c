"""Entropic transport that says how far it is from the truth."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from otdist.errors import InputError
from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged

FINEST = 1e-13  # regularisation below which float64 potentials no longer move
GAP = 1e-2  # relative gap to reach where none is asked for
OFF = "The plan's marginals are off by {:.0e} in all: raise max_iter or max_seconds, or eps."
STOPPED = (
    "The gap is {:.1e}, not {:.1e}: raise max_iter or max_seconds, or use method='sparse', which is exact."
)


@dataclass(frozen=True)
class Sinkhorn:
    """Entropic transport by alternating updates, and the interval it proves for the plain cost.

    Parameters
    ----------
    eps : float, optional
        Regularisation, relative to the mean cost between the two samples. None: from coarse to fine, it
        falls until the proved gap is ``tol`` (0.01 for ``tol=0``).
    max_residual : float
        With ``eps``: what the plan's marginals may be off, in all, for a mass of 1. For points not less
        than about ``1e-7 / eps``, the rounding of float32 exponents.
    max_iter : int
        Updates of both sides, on the points themselves.
    max_bytes : int, optional
        Memory it may take. None: half of what is free.

    Notes
    -----
    With ``eps``, ``value`` is the cost of the entropic plan, rounded to its marginals: an upper bound.
    ``lower`` is that of its potentials, after c-transforms in float64. ``info`` holds ``objective``, the
    entropic optimum ``min <P, C> + eps KL(P | a b)``, its ``potentials``, ``eps_abs``, all in units of
    the cost, ``residual`` and ``iterations``.

    Without ``eps``, where the metric has compiled code, plans lie on a shortlist of ``info["pairs"]`` pairs,
    and ``residual`` is that of the entropic plan on these; potentials are feasible for all pairs. If the gap
    is not reached so, the exact solver goes on from there, on few pairs, until it is: ``info["pivots"]`` says
    how many pivots or bids that took. In the plane, with more than 2,000 points a side, plan and ``residual``
    are those of a copy with fewer points, from which the exact solver goes on from coarse to fine. For other
    metrics plans lie on all pairs, and nothing is left to the exact solver.

    With tensors, ``value`` carries the gradient that holds plan and potentials fixed. In the points that
    is the gradient of ``objective`` at fixed ``eps_abs``, and in the weights that of ``lower``; both come
    to the gradient of the distance as ``eps`` falls. It takes the whole plan; for a loss see
    ``otdist.learn``.

    Cost: O(n m d) an update, two of them an iteration, in memory of O((n + m) d) for the same metrics as
    "sparse"; for others 8 n m bytes more. Iterations grow about like 1 / eps. On a shortlist O(n + m) an
    update, and two to ten passes over all pairs. Source: Cuturi (2013); in the log domain, from coarse to
    fine and with truncated kernels Schmitzer (2019); over-relaxed by Lehmann et al. (2021).
    """

    eps: float | None = None
    max_residual: float = 1e-5
    max_iter: int = 2000
    max_bytes: int | None = None

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        self._check()
        deadline = None if problem.max_seconds is None else time.monotonic() + problem.max_seconds
        return (
            self._annealed(problem, deadline) if self.eps is None else self._at(self.eps, problem, deadline)
        )

    def _at(self, eps: float, problem: Problem, deadline: float | None) -> Result:
        """Answer at a given regularisation."""
        from otdist.solvers.sinkhorn.entropic import Iteration, stopping  # numba is loaded when it is needed
        from otdist.solvers.sinkhorn.regularised import Regularised

        made = Regularised.whole(problem, self.max_bytes)
        state, now = made.opened(eps * made.mean)
        iteration = Iteration(made.streams, made.a, made.b)
        iteration.cool(state, now, eps * made.mean, late=stopping(self.max_iter, deadline))
        finished = iteration.settle(state, max(self.max_residual, made.noise(eps)), self.max_iter, deadline)
        finished = finished and eps >= FINEST
        info = made.entropic(state) | {"iterations": state.iterations}
        return made.result(made.judged(state), finished, math.inf, OFF.format(state.residual), info)

    def _annealed(self, problem: Problem, deadline: float | None) -> Result:
        """Answer to the gap that is asked for."""
        merged = Merged.of(problem)
        if min(len(merged.a), len(merged.b)) == 0:
            return merged.nothing_moves("sinkhorn", rounding(problem))
        from otdist.solvers.sinkhorn.annealed import annealed
        from otdist.solvers.sinkhorn.regularised import Bounds, Regularised

        made = Regularised.of(merged, self.max_bytes, rough=True)
        goal = problem.tol if problem.tol > 0 else GAP
        with working(problem.progress, "entropic transport") as tell:

            def show(bounds: Bounds) -> None:
                tell(f"gap {bounds.gap:.0e} at eps {bounds.state.eps / made.mean:.0e}")

            bounds, finished = annealed(made, 0.98 * goal, self.max_iter, deadline, show)
        message = STOPPED.format(bounds.gap, goal)
        info = {"iterations": bounds.state.iterations}
        if bounds.listed:
            info["pairs"] = bounds.listed
        if bounds.pivots:
            info["pivots"] = bounds.pivots
        return made.result(bounds, finished, goal, message, info)

    def _check(self) -> None:
        """Raise InputError for options that mean nothing."""
        for name in ("eps", "max_residual", "max_iter"):
            value = getattr(self, name)
            if value is None and name == "eps":
                continue
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (number and 0 < value < math.inf):
                raise InputError(name, f"{value!r} is not a positive number", "give a positive number")
