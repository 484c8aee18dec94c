"""Entropic transport on a shortlist of pairs, from coarse to fine, proved on all pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.solvers.sinkhorn.entropic import Iteration, Potentials
from otdist.solvers.sinkhorn.regularised import Bounds, Regularised, at_most
from otdist.solvers.sinkhorn.shortlist import Listed, Shortlist, everything, smallest
from otdist.solvers.sparse import levels
from otdist.solvers.sparse.ground import Dual, Ground
from otdist.solvers.sparse.levels import Level
from otdist.solvers.sparse.pricing import Pairs

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Late = Callable[[Potentials], bool]

START = 0.2  # regularisation of the coarsest copy, relative to the mean cost
CLOSE = 0.1  # of the distance between neighbours: a copy has nothing to say about a smaller one
FIRST = 0.3  # of the goal: regularisation, relative to the mean cost, of the first look
STAGE = 6.0  # by how much it falls between two looks
WORTH = 0.7  # of a gap: what is not below it is no progress
LEAST = 1e-6  # where it stops, relative to the mean cost
REHEAT = 6.0  # times the regularisation of the first look, from which a slower turn begins
TURNS = ((0.9, 1.5), (0.95, 1.6), (0.97, 1.7))  # cooling, omega; in few columns the first one alone
ERROR = 0.02  # relative error of a plan cooled by q, over 1 - q, about
CALM = 3  # updates without over-relaxation before a look
SLIGHT = 0.1  # of the regularisation: a pair that is cheaper by less changes little
CANDIDATES = 8  # pairs of each point to begin with
ADDED = 4  # pairs a point that a look adds, at most
HALVINGS = 3  # between two copies: in many columns a copy says little about its points, whatever its size
FLAT = 4  # columns below which each halving counts, and the plan of a copy has to be handed down
FLATTEST = 1e-3  # relative regularisation of the first look there: smaller ones take too many updates
CLOSEST = 0.02  # gap below which plans hardly ever come there
SHARE = 1e-2  # of a point's mass, below which a pair is not handed down


def truncated(
    made: Regularised, goal: float, late: Late, show: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Cool a shortlist, ever more slowly, until the gap is ``goal`` or slowness does not help.

    Each look at all pairs proves an interval, and adds the pairs that the potentials are too high for. In few
    columns there is one, and none where the goal is out of reach: then there is no plan yet (``upper`` is
    infinite). Returns what is proved, and whether it is worth going on in another way.

    Notes
    -----
    Schmitzer (2019), with truncated kernels from coarse to fine. Differs in how pairs are chosen: by reduced
    cost at first, then by what violates the dual constraints, as in column generation.
    """
    _, shortlist, state, now = _opened(_copies(made), made.mean, late)
    flat = _columns(made.setting.ground) < FLAT
    first = max(FIRST * goal, FLATTEST if flat else LEAST) * made.mean
    again = min(now, REHEAT * first)  # a smoother plan needs pairs that are not on the list
    best: Bounds | None = None
    for turn in TURNS[:1] if flat else TURNS[_first_turn(goal) :]:
        last = np.inf
        while now > LEAST * made.mean:
            stage = max(now / STAGE, min(first, now / 2), LEAST * made.mean)
            iteration = Iteration(shortlist, made.a, made.b)
            _cool(iteration, state, (now, stage, *turn), late)
            now, ended = stage, iteration.ended(state)
            dual, missing = _looked(made, shortlist, ended)
            if flat and goal < CLOSEST and now <= first and not late(state):
                return Bounds(ended, np.inf, 0.0, dual, made.proved(dual)), True
            if now <= first or late(state):
                found = _completed(made, shortlist, ended, dual)
                best = found.joined(best)
                show(best)
                if best.gap <= goal or late(state):
                    return best, False
                if flat or found.gap > WORTH * last:
                    break  # the residual is what is left: a slower turn
                last = found.gap
            shortlist = shortlist.joined(missing) if len(missing[0]) else shortlist
        now = again
    assert best is not None
    return best, True


def _first_turn(goal: float) -> int:
    """The quickest turn that may reach the goal."""
    enough = (k for k, turn in enumerate(TURNS) if ERROR * (1 - turn[0]) <= goal)
    return next(enough, len(TURNS) - 1)


def of_copy(made: Regularised, size: int, late: Late) -> tuple[Potentials, int, Array]:
    """Entropic potentials of a copy with at most ``size`` points a side, cooled as far as they say something.

    Returns them, how many times the points were halved, and the columns' potentials of the plain problem.
    """
    copies = _copies(made)
    halved = next(k for k, copy in enumerate(copies) if copy.size <= size)
    level, shortlist, state, now = _opened(copies[halved:], made.mean, late)
    assert isinstance(level.ground, Pairs)
    stage = min(now, max(CLOSE * level.ground.spacing, LEAST * made.mean))
    _cool(Iteration(shortlist, level.a, level.b), state, (now, stage, *TURNS[0]), late)
    return state, halved, state.g + state.eps * np.log(level.b)


def _opened(copies: list[Level], mean: float, late: Late) -> tuple[Level, Shortlist, Potentials, float]:
    """Shortlist, potentials and their regularisation for the first copy, handed down from the others."""
    level, now = copies.pop(), START * mean
    n, m = level.ground.shape
    state = Potentials(np.zeros(n), np.zeros(m), now)
    shortlist = everything(level.ground)
    for finer in reversed(copies):
        assert isinstance(level.ground, Pairs) and isinstance(finer.ground, Pairs)
        stage = min(now, max(CLOSE * level.ground.spacing, LEAST * mean))
        _cool(Iteration(shortlist, level.a, level.b), state, (now, stage, *TURNS[0]), late)
        # Potentials count from eps log b; with it they are those of the plain problem.
        f, g = finer.ground.extended(level.ground, state.g + stage * np.log(level.b))
        listed = smallest(finer.ground, f, g, CANDIDATES)
        if _columns(finer.ground) < FLAT:
            rows, cols = _handed_down(shortlist, state, level, finer)
            listed = listed.joined((rows, cols, finer.ground.costs(rows, cols)))
        state = Potentials(f - stage * np.log(finer.a), g - stage * np.log(finer.b), stage)
        level, shortlist, now = finer, listed, stage
    return level, shortlist, state, now


def _copies(made: Regularised) -> list[Level]:
    """The points, and copies with ever fewer of them, the last so small that all its pairs are listed."""
    halvings = 1 if _columns(made.setting.ground) < FLAT else HALVINGS
    copies = [Level(made.setting.ground, made.a, made.b)]
    while copies[-1].size > 2 * levels.BASE:
        copy = copies[-1].coarser()
        for _ in range(halvings - 1):
            copy = copy.coarser() if copy.size > 2 * levels.BASE else copy
        copies.append(copy)
    return copies


def _columns(ground: Ground) -> int:
    assert isinstance(ground, Pairs)
    return int(ground.x.points.shape[1])


def _handed_down(shortlist: Shortlist, state: Potentials, level: Level, finer: Level) -> tuple[Index, Index]:
    """Pairs of neighbours of those points between which a copy's plan carries mass.

    In few dimensions the smallest reduced costs of a point are all in one place, and pairs that are chosen by
    these alone need not admit a plan.
    """
    carried = shortlist.carried(state, level.a, level.b)
    limit = SHARE * np.minimum(level.a[shortlist.rows], level.b[shortlist.cols])
    used = np.flatnonzero(carried > limit)
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


def _cool(
    iteration: Iteration, state: Potentials, way: tuple[float, float, float, float], late: Late
) -> None:
    """Update from one regularisation to a smaller one; ``way``: both, the rate, and over-relaxation."""
    now, stage, cooling, omega = way
    while now > stage and not late(state):
        now = max(now * cooling, stage)
        _update(iteration, state, now, omega)
    for _ in range(CALM):
        _update(iteration, state, stage)


def _update(iteration: Iteration, state: Potentials, eps: float, omega: float = 1.0) -> None:
    """Update at another regularisation: what stays about the same is ``g + eps log b``."""
    state.f = state.f + (state.eps - eps) * np.log(iteration.a)
    state.g = state.g + (state.eps - eps) * np.log(iteration.b)
    iteration.update(state, eps, omega)


def _looked(made: Regularised, shortlist: Shortlist, state: Potentials) -> tuple[Dual, Listed]:
    """Look at all pairs: feasible potentials, and pairs that are missing.

    From the side with more points: so a look finds enough.
    """
    ground = made.setting.ground
    n, m = ground.shape
    flip = n < m
    f = shortlist.least(state.g + state.eps * np.log(made.b))
    g = shortlist.least(f, flip=True)
    f = f if flip else shortlist.least(g)
    found, reduced = ground.smallest(f, g, min(ADDED, n if flip else m), 0.0, flip=flip)
    violated = np.where(found[:, 0] >= 0, reduced[:, 0], 0.0)
    dual = Dual(f, g + violated) if flip else Dual(f + violated, g)
    own, place = np.nonzero(reduced < -SLIGHT * state.eps)
    others = found[own, place].astype(np.intp)
    rows, cols = (others, own) if flip else (own, others)
    return dual, (rows, cols, ground.costs(rows, cols))


def _completed(made: Regularised, shortlist: Shortlist, state: Potentials, dual: Dual) -> Bounds:
    """Bring a plan to its marginals: too much is scaled down, the rest coupled, on the list first."""
    (n, m), rows, cols = shortlist.shape, shortlist.rows, shortlist.cols
    mass = shortlist.carried(state, made.a, made.b)
    mass *= at_most(made.a, _sums(rows, mass, n))[rows]
    mass *= at_most(made.b, _sums(cols, mass, m))[cols]
    left, right = made.a - _sums(rows, mass, n), made.b - _sums(cols, mass, m)
    i, j, rest = made.rest(left, right, dual, (rows, cols, shortlist.cost))
    cells = np.concatenate([rows, i]), np.concatenate([cols, j]), np.concatenate([mass, rest])
    upper = float((mass * shortlist.cost).sum() + (rest * made.setting.ground.costs(i, j)).sum())
    unsure = (n + m) * UNIT * made.setting.ground.extent  # sums round, and so do masses
    return Bounds(state, upper, unsure, dual, made.proved(dual), cells, len(rows))


def _sums(points: Index, mass: Array, count: int) -> Array:
    return np.asarray(np.bincount(points, mass, count), float)
