"""Sinkhorn's iteration with a regularisation that falls until the proved gap is small enough."""

from __future__ import annotations

import math
from collections.abc import Callable

from otdist.solvers.sinkhorn.entropic import Iteration, Potentials, stopping
from otdist.solvers.sinkhorn.exactly import closed, descended
from otdist.solvers.sinkhorn.regularised import Bounds, Regularised
from otdist.solvers.sinkhorn.truncated import of_copy, truncated
from otdist.solvers.sparse import levels
from otdist.solvers.sparse.pricing import Pairs

MANY = 2000  # points a side beyond which, in the plane, copies say more than entropic potentials of them all
STAGE = 3.0  # by how much the regularisation falls between two looks at the interval
FIRST = 0.3  # of the goal: no need to look while the regularisation, relative to the mean cost, is above
LEAST = 2e-5  # relative regularisation at which float32 exponents lose their meaning
SLOWER = ((0.85, 1.4), (0.93, 1.6), (0.965, 1.75), (0.982, 1.85), (0.991, 1.9))  # cooling, omega
REHEAT = 0.02  # relative regularisation from which a slower turn begins
CALM = 3  # updates without over-relaxation before a look


def annealed(
    made: Regularised, goal: float, max_iter: int, deadline: float | None, show: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Cool, faster than the iteration converges, until the gap is ``goal``.

    Where the cost has a kernel, on a shortlist of pairs; what is left of the gap is closed exactly. In the
    plane, the shortlist is that of a copy where there are many points. Else on all pairs, and again more
    slowly as long as that helps.

    Notes
    -----
    Chizat (2024): what is left of the bias falls with the regularisation, what is left of the residual
    with its rate. Differs in that the rate follows from what is proved.
    """
    late, ground = stopping(max_iter, deadline), made.setting.ground
    if isinstance(ground, Pairs) and ground.planar and max(ground.shape) > MANY:
        return descended(made, of_copy(made, MANY, late), goal, deadline, show)
    if isinstance(ground, Pairs) and max(ground.shape) > levels.BASE:
        best, unfinished = truncated(made, goal, late, show)
        return closed(made, best, goal, deadline, show) if unfinished else (best, best.gap <= goal)
    return _streamed(made, goal, late, show)


def _streamed(
    made: Regularised, goal: float, late: Callable[[Potentials], bool], show: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Cool on all pairs, in turns."""
    state, now = made.opened(LEAST * made.mean)
    best: Bounds | None = None
    iteration = Iteration(made.streams, made.a, made.b)
    for cooling, omega in SLOWER:
        stage, last = now, math.inf
        while stage > LEAST * made.mean:
            stage = max(stage / STAGE, LEAST * made.mean)
            while now > stage and not late(state):
                now = max(now * cooling, stage)
                iteration.update(state, now, omega)
            for _ in range(CALM):
                iteration.update(state, now)
            over = late(state)
            if best is None and not over and now > max(goal / FIRST, LEAST) * made.mean:
                continue
            found = made.judged(iteration.ended(state))
            best = found.joined(best)
            show(best)
            if best.gap <= goal:
                return best, True
            if over:
                return best, False
            if found.gap > 0.9 * last:
                break  # the residual is what is left: a slower turn
            last = found.gap
        now = REHEAT * made.mean
    assert best is not None
    return best, False
