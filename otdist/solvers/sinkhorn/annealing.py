"""Sinkhorn's iteration with a regularisation that decreases until the proved gap is small enough."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.entropic.iteration import Iteration, SinkhornState, stopping_criterion
from otdist.solvers.pairs import hierarchy
from otdist.solvers.pairs.point_costs import PointCosts
from otdist.solvers.sinkhorn.entropic_problem import MIN_PASSES, Bounds, EntropicProblem
from otdist.solvers.sinkhorn.exact_finish import bounds_in_time, finish_exactly, finish_from_copy
from otdist.solvers.sinkhorn.truncated import anneal_copy, anneal_on_shortlist

MAX_POINTS_PLANAR = 2000  # points a side; beyond, in the plane, a coarser copy is the better start
STAGE_EPS_RATIO = 3.0  # ratio of the regularisations of two successive evaluations
FIRST_CHECK_EPS = 0.3  # times the goal: relative regularisation of the first evaluation of the interval
MIN_EPS_RATIO_FLOAT32 = 2e-5  # relative regularisation at which float32 exponents lose their meaning
SCHEDULES = ((0.85, 1.4), (0.93, 1.6), (0.965, 1.75), (0.982, 1.85), (0.991, 1.9))  # cooling, omega
RESTART_EPS_RATIO = 0.02  # relative regularisation at which a slower schedule starts
CHECK_PASSES = 3.0  # passes over all pairs that an evaluation of the interval takes
PLAIN_UPDATES = 3  # updates without over-relaxation before an evaluation


def anneal_to_gap(
    problem: EntropicProblem,
    goal: float,
    max_iter: int,
    deadline: Deadline,
    on_bounds: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """Anneal, faster than the iteration converges, until the relative gap is ``goal``.

    Returns the bounds, and whether the goal was reached. Where the cost has a kernel, the plan is restricted
    to a shortlist of pairs, and the exact solver closes the remaining gap; in the plane, with many points,
    the shortlist belongs to a coarser copy. Otherwise all pairs are used, with ever slower schedules as long
    as these narrow the gap.

    Notes
    -----
    Chizat (2024): the remaining bias decreases with the regularisation, the remaining residual with the rate
    of the schedule. Differs in that the rate follows from the proved gap.
    """
    record = _BestBounds(on_bounds)
    try:
        with deadline.enforce(grace=True):
            return _anneal_or_finish_exactly(problem, goal, max_iter, deadline, record)
    except OutOfTimeError:
        pass
    best = record.best
    if best is None or best.upper == math.inf:
        best = bounds_in_time(problem, _zero_potentials(problem), goal, deadline).combine(best)
        on_bounds(best)
    return best, best.gap <= goal


class _BestBounds:
    """Callback that reports bounds and keeps the last ones, for a deadline that interrupts."""

    def __init__(self, on_bounds: Callable[[Bounds], None]) -> None:
        self.on_bounds = on_bounds
        self.best: Bounds | None = None

    def __call__(self, bounds: Bounds) -> None:
        self.best = bounds
        self.on_bounds(bounds)


def _zero_potentials(problem: EntropicProblem) -> SinkhornState:
    return SinkhornState(np.zeros(len(problem.a)), np.zeros(len(problem.b)), problem.mean)


def _anneal_or_finish_exactly(
    problem: EntropicProblem,
    goal: float,
    max_iter: int,
    deadline: Deadline,
    on_bounds: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """Choose the strategy for the problem: shortlist, coarser copy or all pairs."""
    ground = problem.prepared.ground
    if isinstance(ground, PointCosts) and ground.planar and max(ground.shape) > MAX_POINTS_PLANAR:
        return finish_from_copy(
            problem,
            anneal_copy(problem, MAX_POINTS_PLANAR, stopping_criterion(max_iter, deadline)),
            goal,
            deadline,
            on_bounds,
        )
    if deadline.is_over(MIN_PASSES * problem.seconds - deadline.grace):
        raise OutOfTimeError
    if isinstance(ground, PointCosts) and max(ground.shape) > hierarchy.COARSEST_POINTS:
        is_out_of_time = stopping_criterion(max_iter, deadline, lambda state: CHECK_PASSES * problem.seconds)
        best, unfinished = anneal_on_shortlist(problem, goal, is_out_of_time, on_bounds)
        return (
            finish_exactly(problem, best, goal, deadline, on_bounds)
            if unfinished
            else (best, best.gap <= goal)
        )
    is_out_of_time = stopping_criterion(
        max_iter, deadline, lambda state: problem.updates_to_finish * state.seconds
    )
    return _anneal_all_pairs(problem, goal, is_out_of_time, deadline, on_bounds)


def _anneal_all_pairs(
    problem: EntropicProblem,
    goal: float,
    is_out_of_time: Callable[[SinkhornState], bool],
    deadline: Deadline,
    on_bounds: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """Anneal on all pairs, with ever slower schedules."""
    state, eps = problem.initial_potentials(MIN_EPS_RATIO_FLOAT32 * problem.mean)
    best: Bounds | None = None
    iteration = Iteration(problem.logsumexp, problem.a, problem.b)
    for cooling, omega in SCHEDULES:
        stage, last = eps, math.inf
        while stage > MIN_EPS_RATIO_FLOAT32 * problem.mean:
            stage = max(stage / STAGE_EPS_RATIO, MIN_EPS_RATIO_FLOAT32 * problem.mean)
            while eps > stage and not is_out_of_time(state):
                eps = max(eps * cooling, stage)
                iteration.update(state, eps, omega)
            for _ in range(PLAIN_UPDATES):
                if deadline.is_over(problem.updates_to_finish * state.seconds):
                    break
                iteration.update(state, eps)
            over = is_out_of_time(state)
            if (
                best is None
                and not over
                and eps > max(goal / FIRST_CHECK_EPS, MIN_EPS_RATIO_FLOAT32) * problem.mean
            ):
                continue
            bounds = problem.evaluate_bounds(iteration.with_exact_rows(state))
            best = bounds.combine(best)
            on_bounds(best)
            if best.gap <= goal:
                return best, True
            if over:
                return best, False
            if bounds.gap > 0.9 * last:
                break  # the residual dominates the gap: use a slower schedule
            last = bounds.gap
        eps = RESTART_EPS_RATIO * problem.mean
    assert best is not None
    return best, False
