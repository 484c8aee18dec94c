"""Sinkhorn's iteration at a given regularisation: alternating updates in the log domain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from otdist.runtime.deadline import NO_DEADLINE, Deadline, OutOfTimeError
from otdist.solvers.entropic.logsumexp32 import SoftMin
from otdist.typing import Array

EPS_DECAY = 0.6  # factor of eps from one annealing update to the next
UPDATES_TO_FINISH = 2.0  # time of the next update and of exact rows with their residual, in updates
MAX_RETRIES, UPDATES_PER_RETRY, RETRY_RESIDUAL_FACTOR = 4, 30, 0.7  # if exact rows raise the residual
RATE_UPDATES = 6  # updates from which the rate of convergence is estimated
MAX_SMALL_EXPONENT = 0.1  # up to this exponent, differences of masses are computed by expm1
FLOAT32_NOISE = 2.0**-23  # mean relative error of a float32 exponent


@dataclass(eq=False)
class SinkhornState:
    """State of the iteration.

    Attributes
    ----------
    f, g : ndarray
        Potentials of the plan ``a_i b_j exp((f_i + g_j - c_ij) / eps)``.
    eps : float
        Regularisation, in units of the cost.
    residual : float
        L1 error of the plan's columns, ``sum_j |b_j - sum_i P_ij|``; its rows are exact.
    iterations : int
        Number of updates of both sides so far, on all levels.
    seconds : float
        Time of the last update.
    """

    f: Array
    g: Array
    eps: float = math.inf
    residual: float = math.inf
    iterations: int = 0
    seconds: float = 0.0


class MarginalProx(Protocol):
    """Proximal operator of the marginal penalty, applied to each potential update."""

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply the operator to the potentials of one side."""

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """Return the s for which ``(f + s, g - s)`` has the largest dual value."""

    def residual(self, mass: Array, old: Array, new: Array, eps: float) -> float:
        """L1 distance between the marginal of the old potentials and the optimal one for the penalty.

        ``new``: the update of ``old``.
        """

    def curvature(self, mass: Array, potential: Array, eps: float) -> tuple[Array, Array | float, float]:
        """Return the optimal marginal, -eps times its derivative, and the damping factor of an update."""


@dataclass(frozen=True)
class BalancedProx:
    """Exact marginal constraints: the proximal operator is the identity."""

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply the operator to the potentials of one side."""
        return potential

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """Return 0: all shifts have the same dual value."""
        return 0.0

    def residual(self, mass: Array, old: Array, new: Array, eps: float) -> float:
        """``sum_j |mass_j exp((old_j - new_j) / eps) - mass_j|``."""
        with np.errstate(over="ignore"):
            return float(np.abs(np.expm1((old - new) / eps)) @ mass)

    def curvature(self, mass: Array, potential: Array, eps: float) -> tuple[Array, Array | float, float]:
        """Return the masses, which do not depend on the potentials."""
        return mass, 0.0, 1.0


@dataclass(frozen=True)
class KLProx:
    """Penalty ``rho KL`` of each marginal: potentials are multiplied by ``rho / (rho + eps)``.

    Source: Chizat, Peyre, Schmitzer, Vialard (2018), table 1; for the shift Sejourne, Vialard, Peyre (2022).

    Parameters
    ----------
    rho : float
        Weight of the penalties.
    even : bool
        Whether the masses have equal totals by construction, up to rounding.
    """

    rho: float
    even: bool = False

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply the operator to the potentials of one side."""
        return potential * (self.rho / (self.rho + eps))

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """Return the s for which ``(f + s, g - s)`` has the largest dual value.

        Without this shift the updates need about rho / eps iterations to agree on the transported mass.
        """
        return self.rho / 2 * self.imbalance(a, b, f, g)

    def imbalance(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """Logarithm of the ratio of the optimal marginal masses of rows and columns."""
        rows, cols = -f / self.rho, -g / self.rho
        if max(float(np.abs(rows).max()), float(np.abs(cols).max())) > MAX_SMALL_EXPONENT:
            return _log_sum(a, rows) - _log_sum(b, cols)
        # Both marginals are near the masses: with equal totals only this form keeps the digits of f and g.
        change = 0.0 if self.even else math.fsum(a) - math.fsum(b)
        change += float(a @ np.expm1(rows)) - float(b @ np.expm1(cols))
        return math.log1p(change / float(b @ np.exp(cols)))

    def residual(self, mass: Array, old: Array, new: Array, eps: float) -> float:
        """``sum_j |P_j - mass_j exp(-old_j / rho)|`` for the plan's marginal P.

        Computed from the update, as ``P_j exp((new_j - old_j) / eps) = mass_j exp(-new_j / rho)``.
        """
        step = old - new
        with np.errstate(over="ignore", invalid="ignore"):
            off = np.abs(np.expm1(step / eps) - np.expm1(-step / self.rho))
            total = float(off @ (mass * np.exp(-new / self.rho)))
        return total if math.isfinite(total) else math.inf

    def curvature(self, mass: Array, potential: Array, eps: float) -> tuple[Array, Array | float, float]:
        """Return the optimal marginal ``mass exp(-potential / rho)``, its slope and the damping factor."""
        with np.errstate(over="ignore"):
            target = mass * np.exp(-potential / self.rho)
        return target, eps / self.rho * target, self.rho / (self.rho + eps)


def anneal(
    update: Callable[[SinkhornState, float], None],
    state: SinkhornState,
    start: float,
    eps: float,
    cooling: float,
    is_out_of_time: Callable[[SinkhornState], bool],
) -> None:
    """Update once at each regularisation from ``start`` down to ``eps``; at once there if out of time."""
    current = start
    while current > eps and not is_out_of_time(state):
        update(state, current)
        current *= cooling
    update(state, eps)


@dataclass(frozen=True, eq=False)
class Iteration:
    """Sinkhorn's alternating updates between two weighted samples.

    Parameters
    ----------
    logsumexp : SoftMin
        Sums over all pairs.
    a, b : ndarray
        Masses, of total 1 each (any total, with a penalty).
    prox : MarginalProx
        Proximal operator of the marginal penalty; the identity for exact marginals.

    Notes
    -----
    Sinkhorn's iteration (Cuturi 2013) in the log domain (Schmitzer 2019), with over-relaxation
    ``g + omega (T g - g)``, ``omega = 2 / (1 + sqrt(1 - rate))`` for the rate of plain updates
    (Thibault, Chizat, Dossal, Papadakis 2021; Lehmann et al. 2021). Differs in that omega is reset to 1
    when the residual increases.
    """

    logsumexp: SoftMin
    a: Array
    b: Array
    prox: MarginalProx = BalancedProx()

    def update(self, state: SinkhornState, eps: float, omega: float = 1.0) -> None:
        """Update both sides; the residual belongs to the plan before the update of the columns."""
        start = time.monotonic()
        f = self.prox(self.logsumexp.softmin(state.g, np.log(self.b), eps), eps)
        f = f if omega == 1 else state.f + omega * (f - state.f)
        g = self.prox(self.logsumexp.softmin(f, np.log(self.a), eps, flip=True), eps)
        # A deadline may interrupt the sums above: the state is not changed before they are complete.
        state.residual = self.prox.residual(self.b, state.g, g, eps)
        state.f, state.g = f, g if omega == 1 else state.g + omega * (g - state.g)
        shift = self.prox.shift(self.a, self.b, state.f, state.g)
        if shift:
            state.f, state.g = state.f + shift, state.g - shift
        state.eps = eps
        state.iterations += 1
        state.seconds = time.monotonic() - start

    def anneal(
        self,
        state: SinkhornState,
        start: float,
        eps: float,
        cooling: float = EPS_DECAY,
        is_out_of_time: Callable[[SinkhornState], bool] = lambda state: False,
    ) -> None:
        """Decrease the regularisation from ``start`` to ``eps``, one update each; at once if out of time."""
        anneal(self.update, state, start, eps, cooling, is_out_of_time)

    def iterate(
        self,
        state: SinkhornState,
        max_residual: float,
        max_iter: int,
        deadline: Deadline = NO_DEADLINE,
        reserve_updates: float = UPDATES_TO_FINISH,
    ) -> bool:
        """Iterate at the present regularisation until the residual is at most ``max_residual``.

        Ends with an update of the rows, so that the plan's rows are exact. Returns False if the residual was
        not reached. ``reserve_updates``: time to leave before the deadline, in updates.
        """
        self._iterate(state, max_residual, max_iter, deadline, reserve_updates)
        ended = self.with_exact_rows(state)
        for _ in range(MAX_RETRIES):
            out_of_time = state.iterations >= max_iter or deadline.is_over(reserve_updates * state.seconds)
            if ended.residual <= max_residual or out_of_time:
                break
            # With exact rows the residual rounds differently: a few more updates are needed.
            last = min(state.iterations + UPDATES_PER_RETRY, max_iter)
            self._iterate(
                state,
                RETRY_RESIDUAL_FACTOR * min(max_residual, state.residual),
                last,
                deadline,
                reserve_updates,
            )
            again = self.with_exact_rows(state)
            ended = min(ended, again, key=lambda one: one.residual)
        state.f, state.g, state.residual = ended.f, ended.g, ended.residual
        return state.residual <= max_residual

    def _iterate(
        self,
        state: SinkhornState,
        max_residual: float,
        max_iter: int,
        deadline: Deadline,
        reserve_updates: float,
    ) -> None:
        """Iterate until the residual computed by the updates is at most ``max_residual``."""
        eps = state.eps
        omega, updates, best = 1.0, 0, math.inf
        while state.residual > max_residual and state.iterations < max_iter:
            if deadline.is_over(reserve_updates * state.seconds):
                break
            before = state.residual
            self.update(state, eps, omega)
            updates += 1
            if omega == 1 and updates >= RATE_UPDATES:
                rate = state.residual / before
                if 0.3 < rate < 1:
                    omega, updates, best = 2 / (1 + math.sqrt(1 - min(rate, 0.9999))), 0, math.inf
            elif omega > 1 and updates % RATE_UPDATES == 0:
                if state.residual > 0.9 * best:  # too much over-relaxation: estimate the rate again
                    omega, updates = (
                        (1.0, 0) if state.residual > best else (min(1 + 1.05 * (omega - 1), 1.98), updates)
                    )
                best = min(best, state.residual)

    def with_exact_rows(self, state: SinkhornState) -> SinkhornState:
        """Return the same columns' potentials with exact rows, and the residual of that plan."""
        eps = state.eps
        if math.isinf(eps):  # before the first update
            raise OutOfTimeError
        f = self.prox(self.logsumexp.softmin(state.g, np.log(self.b), eps), eps)
        g = self.prox(self.logsumexp.softmin(f, np.log(self.a), eps, flip=True), eps)
        residual = self.prox.residual(self.b, state.g, g, eps)
        return SinkhornState(f, state.g.copy(), eps, residual, state.iterations)


def stopping_criterion(
    max_iter: int, deadline: Deadline, reserve_seconds: Callable[[SinkhornState], float] = lambda state: 0.0
) -> Callable[[SinkhornState], bool]:
    """Make a predicate: no iteration or time is left, with ``reserve_seconds`` before the deadline."""
    return lambda state: state.iterations >= max_iter or deadline.is_over(reserve_seconds(state))


def _log_sum(mass: Array, exponent: Array) -> float:
    """``log sum_i mass_i exp(exponent_i)``."""
    top = float(exponent.max())
    return top + math.log(float(mass @ np.exp(exponent - top)))
