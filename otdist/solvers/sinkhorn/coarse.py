"""First potentials from copies with fewer points, for entropic and for exact transport."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sinkhorn.entropic import Iteration, Potentials
from otdist.solvers.sinkhorn.streams import PointStreams
from otdist.solvers.sparse.ground import Dual, Ground
from otdist.solvers.sparse.levels import Level
from otdist.solvers.sparse.pricing import Pairs

Array = NDArray[np.float64]

SEED = 0.03  # regularisation of potentials to start from, relative to the mean cost
QUICK = 0.5  # cooling for them


def opened(ground: Ground, a: Array, b: Array, start: float, eps: float) -> tuple[Potentials, float]:
    """Cool copies with fewer points from ``start`` down to ``eps``, or as far as they have something to say.

    Returns potentials for the points, and the regularisation that was reached.
    """
    levels = [Level(ground, a, b)]
    while isinstance(ground, Pairs) and levels[-1].coarser().size < levels[-1].size:
        levels.append(levels[-1].coarser())
    now, g = start, np.zeros(len(levels[-1].b))
    for level, finer in zip(levels[:0:-1], levels[-2::-1], strict=True):
        coarse, fine = level.ground, finer.ground
        assert isinstance(coarse, Pairs) and isinstance(fine, Pairs)
        state = Potentials(np.zeros(len(level.a)), g)
        until = max(eps, min(now, coarse.spacing))
        Iteration(PointStreams(coarse), level.a, level.b).cool(state, now, until)
        now = until
        f = PointStreams(fine.across(coarse)).softmin(state.g, np.log(level.b), now)
        g = PointStreams(fine).softmin(f, np.log(finer.a), now, flip=True)
    return Potentials(np.zeros(len(a)), g), now


def seed(ground: Pairs, a: NDArray[Any], b: NDArray[Any]) -> Dual:
    """Feasible potentials from which the exact solver starts.

    In many dimensions a copy says little about its points, and the potentials that it hands down have to be
    moved one by one. A few entropic updates over all pairs cost less.
    """
    left, right = a / float(a.sum()), b / float(b.sum())
    n, m = ground.shape
    some = np.arange(0, n * m, max(1, n * m // 4096 | 1))  # an odd step: it meets all rows and columns
    mean = float(ground.costs(*np.divmod(some, m)).mean())
    eps = SEED * mean
    state, now = opened(ground, left, right, mean, eps)
    Iteration(PointStreams(ground), left, right).cool(state, now, eps, QUICK)
    # Entropic potentials count from eps log b; without it they are those of the plain problem.
    g = state.g + eps * np.log(right)
    return Dual(ground.least(g), g)
