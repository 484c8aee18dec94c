"""Entropic transport from a sample to itself: one potential serves both sides."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sinkhorn.entropic import COOLING, Potentials, Prox
from otdist.solvers.sinkhorn.streams import SoftMin

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mirrored:
    """Averaged updates ``f <- (f + T f) / 2`` of the one potential.

    Parameters
    ----------
    streams : SoftMin
        Sums over all pairs of the sample with itself.
    a : ndarray
        Masses.
    prox : callable
        What a penalty of the marginals makes of an update.

    Notes
    -----
    Alternating updates drift between f and g here; their average does not, and where the kernel
    ``exp(-c / eps)`` is positive definite it at least halves the error each time (Feydy et al. 2019).
    """

    streams: SoftMin
    a: Array
    prox: Prox

    def update(self, state: Potentials, eps: float) -> None:
        """Average the potential with its update; the residual is that of the plan before."""
        new = self.prox(self.streams.softmin(state.f, np.log(self.a), eps), eps)
        with np.errstate(over="ignore"):
            state.residual = float(np.abs(np.expm1((state.f - new) / eps)) @ self.a)
        state.f = state.g = (state.f + new) / 2
        state.eps = eps
        state.iterations += 1

    def cool(self, state: Potentials, start: float, eps: float) -> None:
        """Go from a large regularisation down to eps, one update each."""
        now = start
        while now > eps:
            self.update(state, now)
            now *= COOLING
        self.update(state, eps)

    def settle(self, state: Potentials, goal: float, max_iter: int, deadline: float | None) -> bool:
        """Iterate at the present regularisation until the residual is at most ``goal``.

        Ends with an update of f alone, so that the plan's rows are exact and the residual is that of
        its columns. False if the goal was not reached.
        """
        eps = state.eps
        while state.residual > goal and state.iterations < max_iter:
            if deadline is not None and time.monotonic() > deadline:
                break
            self.update(state, eps)
        g = state.f
        f = self.prox(self.streams.softmin(g, np.log(self.a), eps), eps)
        after = self.prox(self.streams.softmin(f, np.log(self.a), eps), eps)
        state.f, state.g = f, g
        with np.errstate(over="ignore"):
            gap = np.abs(np.expm1((g - after) / eps))
        state.residual = float(gap @ self.a) if math.isfinite(gap.max()) else math.inf
        return state.residual <= goal
