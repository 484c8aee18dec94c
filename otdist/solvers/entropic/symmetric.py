"""Entropic transport of a sample to itself: both sides share one potential."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.runtime.deadline import NO_DEADLINE, Deadline
from otdist.solvers.entropic.iteration import (
    EPS_DECAY,
    UPDATES_TO_FINISH,
    MarginalProx,
    SinkhornState,
    anneal,
)
from otdist.solvers.entropic.logsumexp32 import SoftMin
from otdist.typing import Array


@dataclass(frozen=True, eq=False)
class SymmetricIteration:
    """Averaged updates ``f <- (f + T f) / 2`` of the common potential.

    Parameters
    ----------
    logsumexp : SoftMin
        Sums over all pairs of the sample with itself.
    a : ndarray
        Masses.
    prox : MarginalProx
        Proximal operator of the marginal penalty.

    Notes
    -----
    Alternating updates oscillate between f and g here; averaged updates do not, and if the kernel
    ``exp(-c / eps)`` is positive definite they at least halve the error each time (Feydy et al. 2019).
    """

    logsumexp: SoftMin
    a: Array
    prox: MarginalProx

    def update(self, state: SinkhornState, eps: float) -> None:
        """Average the potential with its update; the residual belongs to the plan before."""
        start = time.monotonic()
        new = self.prox(self.logsumexp.softmin(state.f, np.log(self.a), eps), eps)
        state.residual = self.prox.residual(self.a, state.f, new, eps)
        state.f = state.g = (state.f + new) / 2
        state.eps = eps
        state.iterations += 1
        state.seconds = time.monotonic() - start

    def anneal(
        self,
        state: SinkhornState,
        start: float,
        eps: float,
        is_out_of_time: Callable[[SinkhornState], bool] = lambda state: False,
    ) -> None:
        """Decrease the regularisation from ``start`` to ``eps``, one update each; at once if out of time."""
        anneal(self.update, state, start, eps, EPS_DECAY, is_out_of_time)

    def iterate(
        self,
        state: SinkhornState,
        max_residual: float,
        max_iter: int,
        deadline: Deadline = NO_DEADLINE,
        reserve_updates: float = 1.5 * UPDATES_TO_FINISH,
    ) -> bool:
        """Iterate at the present regularisation until the residual is at most ``max_residual``.

        Ends with an update of f alone, so that the plan's rows are exact and the residual is the error of
        its columns. Returns False if it was not reached. ``reserve_updates``: as in
        :meth:`Iteration.iterate`.
        """
        eps = state.eps
        while state.residual > max_residual and state.iterations < max_iter:
            if deadline.is_over(reserve_updates * state.seconds):
                break
            self.update(state, eps)
        g = state.f
        f = self.prox(self.logsumexp.softmin(g, np.log(self.a), eps), eps)
        after = self.prox(self.logsumexp.softmin(f, np.log(self.a), eps), eps)
        state.f, state.g = f, g
        state.residual = self.prox.residual(self.a, g, after, eps)
        return state.residual <= max_residual
