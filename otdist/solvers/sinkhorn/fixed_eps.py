"""Entropic transport at a fixed regularisation, within a deadline."""

from __future__ import annotations

import numpy as np

from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.entropic.iteration import EPS_DECAY, Iteration, SinkhornState, stopping_criterion
from otdist.solvers.sinkhorn.entropic_problem import MIN_PASSES, Bounds, EntropicProblem
from otdist.solvers.sinkhorn.exact_finish import bounds_in_time


def solve_at_eps(
    problem: EntropicProblem, eps: float, max_residual: float, max_iter: int, deadline: Deadline
) -> tuple[Bounds, bool]:
    """Iterate until the marginals are met up to ``max_residual``, and prove an interval.

    Parameters
    ----------
    problem : EntropicProblem
        The problem.
    eps : float
        Regularisation, in units of the cost.
    max_residual : float
        L1 error of the marginals at which the iteration stops.
    max_iter : int
        Maximal number of updates of both sides.
    deadline : Deadline
        Time limit, including the interval: no update begins that would leave no time for it. Without time
        for an entropic plan, the interval is computed by the exact solver.

    Returns
    -------
    tuple of Bounds and bool
        Proved bounds, and whether the residual was reached.
    """
    state = SinkhornState(np.zeros(len(problem.a)), np.zeros(len(problem.b)), eps)
    try:
        with deadline.enforce(grace=True):
            state, finished = _iterate(problem, eps, max_residual, max_iter, deadline)
            return problem.evaluate_bounds(state), finished
    except OutOfTimeError:
        return bounds_in_time(problem, state, 0.0, deadline), False


def _iterate(
    problem: EntropicProblem, eps: float, max_residual: float, max_iter: int, deadline: Deadline
) -> tuple[SinkhornState, bool]:
    """Anneal to ``eps`` and iterate there; ends with exact rows, at a larger one if time is up before."""
    if deadline.is_over(MIN_PASSES * problem.seconds - deadline.grace):
        raise OutOfTimeError
    state, current = problem.initial_potentials(eps)
    iteration = Iteration(problem.logsumexp, problem.a, problem.b)
    is_out_of_time = stopping_criterion(
        max_iter, deadline, lambda state: problem.updates_to_finish * state.seconds
    )
    while current > eps and not is_out_of_time(state):
        iteration.update(state, current)
        current *= EPS_DECAY
    if state.iterations < 1 or not deadline.is_over(problem.updates_to_finish * state.seconds):
        iteration.update(state, eps)
    finished = iteration.iterate(
        state, max_residual, max_iter, deadline, reserve_updates=problem.updates_to_finish
    )
    return state, finished and state.eps == eps
