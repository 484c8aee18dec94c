"""Entropic transport at a given regularisation: alternating updates in the log domain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sinkhorn.streams import SoftMin

Array = NDArray[np.float64]

COOLING = 0.6  # by what eps is multiplied in each iteration, down to the one asked for
LEARNING = 6  # iterations from which the rate of convergence is read
NOISE = 2.0**-23  # error of a float32 exponent, on average, relative to its size


@dataclass(eq=False)
class Potentials:
    """State of the iteration.

    Attributes
    ----------
    f, g : ndarray
        Potentials; those of the plan ``a_i b_j exp((f_i + g_j - c_ij) / eps)``.
    eps : float
        Their regularisation, in units of the cost.
    residual : float
        What the plan's columns are off, in all: ``sum_j |b_j - sum_i P_ij|``; its rows are exact.
    iterations : int
        Updates of both sides so far, on all levels.
    """

    f: Array
    g: Array
    eps: float = math.inf
    residual: float = math.inf
    iterations: int = 0


class Prox(Protocol):
    """What a penalty of the marginals makes of updates."""

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply to the potentials of one side."""

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """Best shift of both, ``(f + s, g - s)``."""


@dataclass(frozen=True)
class Balanced:
    """Marginals are met: potentials stay as the update gives them."""

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply to the potentials of one side."""
        return potential

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """None is better than another."""
        return 0.0


@dataclass(frozen=True)
class Softened:
    """Marginals may be missed, at ``rho KL`` each: potentials are drawn towards 0.

    Source: Chizat, Peyre, Schmitzer, Vialard (2018), table 1; for the shift Sejourne, Vialard, Peyre (2022).
    """

    rho: float

    def __call__(self, potential: Array, eps: float) -> Array:
        """Apply to the potentials of one side."""
        return potential * (self.rho / (self.rho + eps))

    def shift(self, a: Array, b: Array, f: Array, g: Array) -> float:
        """What makes a pair of potentials best among its shifts ``(f + s, g - s)``.

        Without it updates take about rho / eps iterations to agree on the mass that travels.
        """
        return self.rho / 2 * (_log_sum(a, -f / self.rho) - _log_sum(b, -g / self.rho))


@dataclass(frozen=True, eq=False)
class Iteration:
    """Updates between two weighted sides.

    Parameters
    ----------
    streams : SoftMin
        Sums over all pairs.
    a, b : ndarray
        Masses, of total 1 each (any total, with a penalty).
    prox : callable
        What a penalty of the marginals makes of an update; the identity without.

    Notes
    -----
    Sinkhorn's iteration (Cuturi 2013) in the log domain (Schmitzer 2019), with over-relaxation
    ``g + omega (T g - g)``, ``omega = 2 / (1 + sqrt(1 - rate))`` for the rate seen without it
    (Thibault, Chizat, Dossal, Papadakis 2021; Lehmann et al. 2021). Differs in that omega falls back to 1
    when the residual rises.
    """

    streams: SoftMin
    a: Array
    b: Array
    prox: Prox = Balanced()

    def update(self, state: Potentials, eps: float, omega: float = 1.0) -> None:
        """Update both sides; the residual is that of the plan before the columns' update."""
        f = self.prox(self.streams.softmin(state.g, np.log(self.b), eps), eps)
        state.f = f if omega == 1 else state.f + omega * (f - state.f)
        g = self.prox(self.streams.softmin(state.f, np.log(self.a), eps, flip=True), eps)
        state.residual = _residual(self.b, state.g, g, eps)
        state.g = g if omega == 1 else state.g + omega * (g - state.g)
        shift = self.prox.shift(self.a, self.b, state.f, state.g)
        if shift:
            state.f, state.g = state.f + shift, state.g - shift
        state.eps = eps
        state.iterations += 1

    def cool(
        self,
        state: Potentials,
        start: float,
        eps: float,
        cooling: float = COOLING,
        late: Callable[[Potentials], bool] = lambda state: False,
    ) -> None:
        """Go from a large regularisation down to eps, one update each; in one step where it is ``late``."""
        now = start
        while now > eps and not late(state):
            self.update(state, now)
            now *= cooling
        self.update(state, eps)

    def settle(self, state: Potentials, goal: float, max_iter: int, deadline: float | None) -> bool:
        """Iterate at the present regularisation until the residual is at most ``goal``.

        Ends with the rows' update, so that the plan's rows are exact. False if it was not reached.
        """
        eps = state.eps
        omega, seen, best = 1.0, 0, math.inf
        while state.residual > goal and state.iterations < max_iter:
            if deadline is not None and time.monotonic() > deadline:
                break
            before = state.residual
            self.update(state, eps, omega)
            seen += 1
            if omega == 1 and seen >= LEARNING:
                rate = state.residual / before
                if 0.3 < rate < 1:
                    omega, seen, best = 2 / (1 + math.sqrt(1 - min(rate, 0.9999))), 0, math.inf
            elif omega > 1 and seen % LEARNING == 0:
                if state.residual > 0.9 * best:  # too much of it: learn again
                    omega, seen = (
                        (1.0, 0) if state.residual > best else (min(1 + 1.05 * (omega - 1), 1.98), seen)
                    )
                best = min(best, state.residual)
        ended = self.ended(state)
        state.f, state.residual = ended.f, ended.residual
        return state.residual <= goal

    def ended(self, state: Potentials) -> Potentials:
        """The same columns with their exact rows, and the residual of that plan."""
        eps = state.eps
        f = self.prox(self.streams.softmin(state.g, np.log(self.b), eps), eps)
        g = self.prox(self.streams.softmin(f, np.log(self.a), eps, flip=True), eps)
        return Potentials(f, state.g.copy(), eps, _residual(self.b, state.g, g, eps), state.iterations)


def stopping(max_iter: int, deadline: float | None) -> Callable[[Potentials], bool]:
    """Whether iterations or time have run out."""
    return lambda state: (
        state.iterations >= max_iter or (deadline is not None and time.monotonic() > deadline)
    )


def _log_sum(mass: Array, exponent: Array) -> float:
    """``log sum_i mass_i exp(exponent_i)``."""
    top = float(exponent.max())
    return top + math.log(float(mass @ np.exp(exponent - top)))


def _residual(mass: Array, old: Array, new: Array, eps: float) -> float:
    """``sum_j |mass_j exp((old_j - new_j) / eps) - mass_j|``: the error of a marginal, from its update."""
    with np.errstate(over="ignore"):
        return float(np.abs(np.expm1((old - new) / eps)) @ mass)
