"""Initial potentials from coarser copies, for entropic and for exact transport."""

from __future__ import annotations

import numpy as np

from otdist.solvers.entropic.iteration import Iteration, SinkhornState
from otdist.solvers.entropic.logsumexp32 import PointLogSumExp32
from otdist.solvers.pairs.hierarchy import Level
from otdist.solvers.pairs.pairwise_costs import Dual, PairwiseCosts
from otdist.solvers.pairs.point_costs import PointCosts
from otdist.typing import Array

START_EPS_RATIO = 0.03  # regularisation of the initial potentials, relative to the mean cost
START_EPS_DECAY = 0.5  # factor of the regularisation from one update to the next


def anneal_copies(
    ground: PairwiseCosts, a: Array, b: Array, start: float, eps: float
) -> tuple[SinkhornState, float]:
    """Anneal coarser copies from ``start`` to ``eps``, or to the scale that their spacing resolves.

    Returns potentials for the points, and the regularisation that was reached.
    """
    levels = [Level(ground, a, b)]
    while isinstance(ground, PointCosts) and levels[-1].coarsen().size < levels[-1].size:
        levels.append(levels[-1].coarsen())
    current, g = start, np.zeros(len(levels[-1].b))
    for level, finer in zip(levels[:0:-1], levels[-2::-1], strict=True):
        coarse, fine = level.ground, finer.ground
        assert isinstance(coarse, PointCosts) and isinstance(fine, PointCosts)
        state = SinkhornState(np.zeros(len(level.a)), g)
        until = max(eps, min(current, coarse.spacing))
        Iteration(PointLogSumExp32(coarse), level.a, level.b).anneal(state, current, until)
        current = until
        f = PointLogSumExp32(fine.with_sinks_of(coarse)).softmin(state.g, np.log(level.b), current)
        g = PointLogSumExp32(fine).softmin(f, np.log(finer.a), current, flip=True)
    return SinkhornState(np.zeros(len(a)), g), current


def entropic_dual(ground: PointCosts, a: Array, b: Array) -> Dual:
    """Compute feasible potentials from which the exact solver starts.

    In many dimensions the potentials of a coarser copy are a poor start, and are corrected one by one. A few
    entropic updates over all pairs cost less.
    """
    left, right = a / float(a.sum()), b / float(b.sum())
    n, m = ground.shape
    some = np.arange(0, n * m, max(1, n * m // 4096 | 1))  # an odd step: it meets all rows and columns
    mean = float(ground.costs(*np.divmod(some, m)).mean())
    eps = START_EPS_RATIO * mean
    state, current = anneal_copies(ground, left, right, mean, eps)
    Iteration(PointLogSumExp32(ground), left, right).anneal(state, current, eps, START_EPS_DECAY)
    # Entropic potentials are relative to eps log b; without it they belong to the unregularised problem.
    g = state.g + eps * np.log(right)
    return Dual(ground.c_transform(g), g)
