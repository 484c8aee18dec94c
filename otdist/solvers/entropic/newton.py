"""Newton's method for entropic potentials, for problems where alternating updates stall."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.solvers.entropic.iteration import Iteration, SinkhornState
from otdist.typing import Array

MAX_DIRECTION_STEPS = 60  # conjugate gradient steps for one direction
MAX_STEP_HALVINGS = 6  # of a step that does not reduce the residual
MAX_STEP_EPS = 4.0  # largest change of a potential in one step, in units of eps


@dataclass(frozen=True, eq=False)
class NewtonPoint:
    """Potentials with exact rows, and their next updates.

    Attributes
    ----------
    f, g : ndarray
        Potentials.
    raw_f, raw_g : ndarray
        Soft minima of the costs less ``g`` and ``f``: updates before the proximal operator.
    residual : float
        L1 error of the columns.
    """

    f: Array
    g: Array
    raw_f: Array
    raw_g: Array
    residual: float


@dataclass(frozen=True, eq=False)
class Newton:
    """Damped Newton steps on the columns' potentials, with directions by conjugate gradients.

    Parameters
    ----------
    iteration : Iteration
        Problem: sums over all pairs, masses and penalty.

    Notes
    -----
    Alternating updates converge like 1 / k if groups of points have exactly equal masses: the mass between
    the groups decays with the shift of their potentials, ever more slowly. A Newton step shifts a whole
    group by eps. The Hessian is never formed: with exact rows it is
    ``diag(D) - kappa P^T diag(1 / r) P``, ``D = c + eps / rho b exp(-g / rho)``, for row sums r and column
    sums c. A product with it takes two passes over all pairs, as long as one update. Source: Brauer, Clason,
    Lorenz, Wirth (2017), Tang et al. (2024). Differs in the penalty, and in that a step that does not reduce
    the residual is replaced by an update.
    """

    iteration: Iteration

    def solve(self, state: SinkhornState, goal: float, stop: Callable[[SinkhornState], bool]) -> bool:
        """Iterate until the residual is at most ``goal``; returns False if it was not reached.

        ``stop`` is called before every pass over all pairs. Rows are exact at the end.
        """
        point = self._evaluate(state, state.g)
        while point.residual > goal and not stop(state):
            direction = self._direction(state, point, stop)
            point = self._step(state, point, direction) or self._evaluate(
                state, self._plain_update(state, point)
            )
        state.f, state.g, state.residual = point.f, point.g, point.residual
        return point.residual <= goal

    def _evaluate(self, state: SinkhornState, g: Array) -> NewtonPoint:
        """Evaluate potentials g of the columns."""
        iteration, eps = self.iteration, state.eps
        raw_f = iteration.logsumexp.softmin(g, np.log(iteration.b), eps)
        f = iteration.prox(raw_f, eps)
        raw_g = iteration.logsumexp.softmin(f, np.log(iteration.a), eps, flip=True)
        state.iterations += 1
        return NewtonPoint(
            f, g, raw_f, raw_g, iteration.prox.residual(iteration.b, g, iteration.prox(raw_g, eps), eps)
        )

    def _plain_update(self, state: SinkhornState, point: NewtonPoint) -> Array:
        """Return the columns' potentials after one plain update."""
        iteration = self.iteration
        g = iteration.prox(point.raw_g, state.eps)
        return g - iteration.prox.shift(iteration.a, iteration.b, point.f, g)

    def _step(self, state: SinkhornState, point: NewtonPoint, direction: Array) -> NewtonPoint | None:
        """Search along a direction for a smaller residual; None if there is none."""
        if not np.isfinite(direction).all():
            return None
        largest = float(np.abs(direction).max()) / state.eps
        length = min(1.0, MAX_STEP_EPS / largest) if largest > 0 else 1.0
        for _ in range(MAX_STEP_HALVINGS):
            new = self._evaluate(state, point.g + length * direction)
            if new.residual < point.residual:
                return new
            length /= 2
        return None

    def _direction(
        self, state: SinkhornState, point: NewtonPoint, stop: Callable[[SinkhornState], bool]
    ) -> Array:
        """Solve for the Newton direction, to a tenth of the gradient's norm or better."""
        iteration, eps = self.iteration, state.eps
        cols = iteration.b * np.exp((point.g - point.raw_g) / eps)
        target, curvature, rate = iteration.prox.curvature(iteration.b, point.g, eps)
        diagonal = cols + curvature
        remainder = target - cols  # directions are in units of eps, so that a change of units has no effect
        out, search = np.zeros(len(remainder)), remainder / diagonal
        norm = first = float(remainder @ search)
        tolerance = min(0.01, point.residual) ** 2
        for _ in range(MAX_DIRECTION_STEPS):
            if not norm > tolerance * first or stop(state):
                break
            product = diagonal * search - rate * cols * self._average_over_plan(state, point, search)
            energy = float(search @ product)
            if not energy > 0:  # rounding: no curvature is left
                break
            out += norm / energy * search
            remainder = remainder - norm / energy * product
            before, norm = norm, float(remainder @ (remainder / diagonal))
            search = remainder / diagonal + norm / before * search
        # Potentials are determined up to a shift: choose the smallest direction.
        return eps * (out - (out.max() + out.min()) / 2 if rate == 1.0 else out)

    def _average_over_plan(self, state: SinkhornState, point: NewtonPoint, v: Array) -> Array:
        """Average over the plan's rows and then its columns: ``diag(1/c) P^T diag(1/r) P v``."""
        iteration, eps = self.iteration, state.eps
        state.iterations += 1

        def mean(w: Array, potential: Array, mass: Array, raw: Array, flip: bool) -> Array:
            lift = 1.5 * float(np.abs(w).max()) or 1.0  # a soft minimum takes positive masses only
            soft = iteration.logsumexp.softmin(potential, np.log(mass) + np.log(w + lift), eps, flip)
            return np.asarray(lift * np.expm1((raw - soft) / eps - math.log(lift)))

        by_row = mean(v, point.g, iteration.b, point.raw_f, False)
        return mean(by_row, point.f, iteration.a, point.raw_g, True)
