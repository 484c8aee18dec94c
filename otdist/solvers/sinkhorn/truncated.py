"""Entropic transport on a shortlist of pairs, from coarse to fine, certified on all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.solvers.entropic.iteration import Iteration, SinkhornState
from otdist.solvers.entropic.shortlist import PairList, Shortlist, all_pairs
from otdist.solvers.pairs import hierarchy
from otdist.solvers.pairs.hierarchy import Level
from otdist.solvers.pairs.pairwise_costs import Dual, PairwiseCosts, cheapest_pairs
from otdist.solvers.pairs.point_costs import PointCosts
from otdist.solvers.sinkhorn.entropic_problem import Bounds, EntropicProblem, scale_factors
from otdist.typing import Array, Index

StopTest = Callable[[SinkhornState], bool]

COARSEST_EPS_RATIO = 0.2  # regularisation of the coarsest copy, relative to the mean cost
EPS_PER_SPACING = 0.1  # smallest regularisation that a copy resolves, relative to its mean spacing
FIRST_CHECK_EPS = 0.3  # times the goal: relative regularisation of the first evaluation of the interval
SHORTLIST_STAGE_EPS_RATIO = 6.0  # ratio of the regularisations of two successive evaluations
MAX_GAP_RATIO = 0.7  # a gap above this share of the last one counts as no progress
SHORTLIST_MIN_EPS_RATIO = 1e-6  # smallest regularisation, relative to the mean cost
RESTART_EPS_FACTOR = 6.0  # times the regularisation of the first evaluation: start of a slower schedule
SHORTLIST_SCHEDULES = (
    (0.9, 1.5),
    (0.95, 1.6),
    (0.97, 1.7),
)  # cooling, omega; in few columns the first one alone
ERROR_PER_DECAY = 0.02  # approximate relative error of a plan annealed by the factor q, over 1 - q
PLAIN_UPDATES = 3  # updates without over-relaxation before an evaluation
MIN_VIOLATION_EPS = 0.1  # smallest violation, in units of eps, for which a pair is added
CANDIDATES_PER_POINT = 8  # initial pairs of each point
PAIRS_ADDED_PER_POINT = 4  # largest number of pairs a point that an evaluation adds
HALVINGS_PER_COPY = 3  # between two copies; in many columns intermediate sizes do not help
MIN_COLUMNS_HALVING = 4  # with fewer columns every halving is a copy, and inherits pairs from the last one
FLAT_FIRST_CHECK_EPS = 1e-3  # smallest relative regularisation of the first evaluation in few columns
FLAT_MIN_GAP = 0.02  # smaller gaps are left to the exact solver in few columns
MIN_INHERITED_SHARE = 1e-2  # smallest share of a point's mass for which a pair is inherited


def anneal_on_shortlist(
    problem: EntropicProblem, goal: float, is_out_of_time: StopTest, on_bounds: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Anneal on a shortlist, ever more slowly, until the gap is ``goal`` or slower schedules do not help.

    Each evaluation on all pairs proves an interval, and adds the pairs whose dual constraints are violated.
    In few columns there is a single evaluation; where the goal is out of reach it computes no plan
    (``upper`` is infinite). Returns the bounds, and whether another method should continue.

    Notes
    -----
    Schmitzer (2019), with truncated kernels from coarse to fine. Differs in how pairs are chosen: by reduced
    cost at first, then by violation of the dual constraints, as in column generation.
    """
    _, shortlist, state, eps = _refine_from_copies(_make_copies(problem), problem.mean, is_out_of_time)
    flat = _column_count(problem.prepared.ground) < MIN_COLUMNS_HALVING
    first = (
        max(FIRST_CHECK_EPS * goal, FLAT_FIRST_CHECK_EPS if flat else SHORTLIST_MIN_EPS_RATIO) * problem.mean
    )
    again = min(eps, RESTART_EPS_FACTOR * first)  # a smoother plan needs pairs that are not on the list
    best: Bounds | None = None
    for schedule in SHORTLIST_SCHEDULES[:1] if flat else SHORTLIST_SCHEDULES[_first_schedule(goal) :]:
        last = np.inf
        while eps > SHORTLIST_MIN_EPS_RATIO * problem.mean:
            stage = max(
                eps / SHORTLIST_STAGE_EPS_RATIO, min(first, eps / 2), SHORTLIST_MIN_EPS_RATIO * problem.mean
            )
            iteration = Iteration(shortlist, problem.a, problem.b)
            _anneal_stage(iteration, state, (eps, stage, *schedule), is_out_of_time)
            eps, ended = stage, iteration.with_exact_rows(state)
            dual, missing = _price_pairs(problem, shortlist, ended)
            if flat and goal < FLAT_MIN_GAP and eps <= first and not is_out_of_time(state):
                return Bounds(ended, np.inf, 0.0, dual, problem.dual_value(dual)), True
            if eps <= first or is_out_of_time(state):
                bounds = _complete_plan(problem, shortlist, ended, dual)
                best = bounds.combine(best)
                on_bounds(best)
                if best.gap <= goal or is_out_of_time(state):
                    return best, False
                if flat or bounds.gap > MAX_GAP_RATIO * last:
                    break  # the residual dominates the gap: use a slower schedule
                last = bounds.gap
            shortlist = shortlist.merge(missing) if len(missing[0]) else shortlist
        eps = again
    assert best is not None
    return best, True


def _first_schedule(goal: float) -> int:
    """Index of the fastest schedule that may reach the goal."""
    enough = (
        k for k, schedule in enumerate(SHORTLIST_SCHEDULES) if ERROR_PER_DECAY * (1 - schedule[0]) <= goal
    )
    return next(enough, len(SHORTLIST_SCHEDULES) - 1)


def anneal_copy(
    problem: EntropicProblem, size: int, is_out_of_time: StopTest
) -> tuple[SinkhornState, int, Array]:
    """Anneal a copy with at most ``size`` points a side, to the scale that its spacing resolves.

    Returns its state, how many times the points were halved, and the columns' potentials without eps log b.
    """
    copies = _make_copies(problem)
    halved = next(k for k, copy in enumerate(copies) if copy.size <= size)
    level, shortlist, state, eps = _refine_from_copies(copies[halved:], problem.mean, is_out_of_time)
    assert isinstance(level.ground, PointCosts)
    stage = min(eps, max(EPS_PER_SPACING * level.ground.spacing, SHORTLIST_MIN_EPS_RATIO * problem.mean))
    _anneal_stage(
        Iteration(shortlist, level.a, level.b), state, (eps, stage, *SHORTLIST_SCHEDULES[0]), is_out_of_time
    )
    return state, halved, state.g + state.eps * np.log(level.b)


def _refine_from_copies(
    copies: list[Level], mean: float, is_out_of_time: StopTest
) -> tuple[Level, Shortlist, SinkhornState, float]:
    """Anneal the copies from coarse to fine; returns the first with its shortlist, state and eps."""
    level, eps = copies.pop(), COARSEST_EPS_RATIO * mean
    n, m = level.ground.shape
    state = SinkhornState(np.zeros(n), np.zeros(m), eps)
    shortlist = all_pairs(level.ground)
    for finer in reversed(copies):
        assert isinstance(level.ground, PointCosts) and isinstance(finer.ground, PointCosts)
        stage = min(eps, max(EPS_PER_SPACING * level.ground.spacing, SHORTLIST_MIN_EPS_RATIO * mean))
        _anneal_stage(
            Iteration(shortlist, level.a, level.b),
            state,
            (eps, stage, *SHORTLIST_SCHEDULES[0]),
            is_out_of_time,
        )
        # Entropic potentials are relative to eps log b; with it they belong to the unregularised problem.
        f, g = finer.ground.extend(level.ground, state.g + stage * np.log(level.b))
        pairs = Shortlist(cheapest_pairs(finer.ground, f, g, CANDIDATES_PER_POINT), finer.ground.shape)
        if _column_count(finer.ground) < MIN_COLUMNS_HALVING:
            rows, cols = _inherit_pairs(shortlist, state, level, finer)
            pairs = pairs.merge((rows, cols, finer.ground.costs(rows, cols)))
        state = SinkhornState(f - stage * np.log(finer.a), g - stage * np.log(finer.b), stage)
        level, shortlist, eps = finer, pairs, stage
    return level, shortlist, state, eps


def _make_copies(problem: EntropicProblem) -> list[Level]:
    """Make ever coarser copies of the points, the last so small that all its pairs are listed."""
    halvings = 1 if _column_count(problem.prepared.ground) < MIN_COLUMNS_HALVING else HALVINGS_PER_COPY
    copies = [Level(problem.prepared.ground, problem.a, problem.b)]
    while copies[-1].size > 2 * hierarchy.COARSEST_POINTS:
        copy = copies[-1].coarsen()
        for _ in range(halvings - 1):
            copy = copy.coarsen() if copy.size > 2 * hierarchy.COARSEST_POINTS else copy
        copies.append(copy)
    return copies


def _column_count(ground: PairwiseCosts) -> int:
    assert isinstance(ground, PointCosts)
    return int(ground.x.points.shape[1])


def _inherit_pairs(
    shortlist: Shortlist, state: SinkhornState, level: Level, finer: Level
) -> tuple[Index, Index]:
    """List the pairs of the points whose merged points carry mass in the copy's plan.

    In few dimensions the smallest reduced costs of a point all lie in one place, and pairs chosen by these
    alone need not admit a plan.
    """
    masses = shortlist.plan_masses(state, level.a, level.b)
    limit = MIN_INHERITED_SHARE * np.minimum(level.a[shortlist.rows], level.b[shortlist.cols])
    used = np.flatnonzero(masses > limit)
    sides = ((shortlist.rows, level.a, finer.a), (shortlist.cols, level.b, finer.b))
    ends = []
    for points, mass, parts in sides:
        split = 1 if len(parts) == len(mass) else 2
        first = split * points[used]
        ends.append([first + part for part in range(split)])
    rows, cols = (
        np.concatenate(side) for side in zip(*[(i, j) for i in ends[0] for j in ends[1]], strict=True)
    )
    inside = (rows < len(finer.a)) & (cols < len(finer.b))  # a last point may have no neighbour
    return rows[inside], cols[inside]


def _anneal_stage(
    iteration: Iteration,
    state: SinkhornState,
    schedule: tuple[float, float, float, float],
    is_out_of_time: StopTest,
) -> None:
    """Anneal from one regularisation to a smaller one; ``schedule``: both, decay and over-relaxation."""
    eps, stage, cooling, omega = schedule
    while eps > stage and not is_out_of_time(state):
        eps = max(eps * cooling, stage)
        _update(iteration, state, eps, omega)
    for _ in range(PLAIN_UPDATES):
        _update(iteration, state, stage)


def _update(iteration: Iteration, state: SinkhornState, eps: float, omega: float = 1.0) -> None:
    """Update at another regularisation, keeping ``g + eps log b``, which changes little."""
    state.f = state.f + (state.eps - eps) * np.log(iteration.a)
    state.g = state.g + (state.eps - eps) * np.log(iteration.b)
    iteration.update(state, eps, omega)


def _price_pairs(
    problem: EntropicProblem, shortlist: Shortlist, state: SinkhornState
) -> tuple[Dual, PairList]:
    """Price all pairs: return feasible potentials, and the pairs that are missing from the list.

    Rows of the side with more points are searched, so that enough pairs are found.
    """
    ground = problem.prepared.ground
    n, m = ground.shape
    flip = n < m
    f = shortlist.c_transform(state.g + state.eps * np.log(problem.b))
    g = shortlist.c_transform(f, flip=True)
    f = f if flip else shortlist.c_transform(g)
    nearest, reduced = ground.smallest(f, g, min(PAIRS_ADDED_PER_POINT, n if flip else m), 0.0, flip=flip)
    violated = np.where(nearest[:, 0] >= 0, reduced[:, 0], 0.0)
    dual = Dual(f, g + violated) if flip else Dual(f + violated, g)
    side, place = np.nonzero(reduced < -MIN_VIOLATION_EPS * state.eps)
    others = nearest[side, place].astype(np.intp)
    rows, cols = (others, side) if flip else (side, others)
    return dual, (rows, cols, ground.costs(rows, cols))


def _complete_plan(
    problem: EntropicProblem, shortlist: Shortlist, state: SinkhornState, dual: Dual
) -> Bounds:
    """Round a plan to its marginals: excess is scaled down, the rest coupled, on listed pairs first."""
    (n, m), rows, cols = shortlist.shape, shortlist.rows, shortlist.cols
    mass = shortlist.plan_masses(state, problem.a, problem.b)
    mass *= scale_factors(problem.a, _sum_by_point(rows, mass, n))[rows]
    mass *= scale_factors(problem.b, _sum_by_point(cols, mass, m))[cols]
    left, right = problem.a - _sum_by_point(rows, mass, n), problem.b - _sum_by_point(cols, mass, m)
    i, j, rest = problem.couple_rest(left, right, dual, (rows, cols, shortlist.cost))
    cells = np.concatenate([rows, i]), np.concatenate([cols, j]), np.concatenate([mass, rest])
    upper = float((mass * shortlist.cost).sum() + (rest * problem.prepared.ground.costs(i, j)).sum())
    upper_error = (n + m) * UNIT_ROUNDOFF * problem.prepared.ground.extent  # sums round, and so do masses
    return Bounds(state, upper, upper_error, dual, problem.dual_value(dual), cells, len(rows))


def _sum_by_point(points: Index, mass: Array, count: int) -> Array:
    return np.asarray(np.bincount(points, mass, count), float)
