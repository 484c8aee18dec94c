"""Transport whose marginals are drawn to the weights by relative entropy, from its entropic plans."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.budget import require_memory
from otdist.problem import Problem
from otdist.solvers.answer import with_left_out
from otdist.solvers.sinkhorn.entropic import Iteration, Potentials, Softened
from otdist.solvers.terms import Goal, Term

Array = NDArray[np.float64]

COOLER = 0.6  # by what the regularisation is multiplied from one look at the interval to the next
UPDATES = 30  # at each regularisation, unless the residual is small before
SMALLEST = 2.0**-14  # regularisation, for a mean cost of 1, that float32 sums still resolve
FAR = 2.0**-16  # error of a cost, relative to the penalty, that is too large
ENTRY = 40  # bytes of a cell of a plan that is written out


class Plan(NamedTuple):
    """An entropic plan times a factor, and the objective that it attains."""

    f: Array
    g: Array
    eps: float
    factor: float
    price: float
    carried: float


class Dual(NamedTuple):
    """Feasible potentials, and the bound that they prove."""

    f: Array
    g: Array
    bound: float


@dataclass(eq=False)
class Softening:
    """The problem ``min <P, C> + rho KL(P 1 | a) + rho KL(P^T 1 | b)`` between bounds that close.

    Parameters
    ----------
    term : Term
        The samples with their masses.
    rho : float
        Weight of the penalties, in the term's unit.

    Notes
    -----
    Every plan is allowed, so the objective of an entropic one is an upper bound, and c-transforms of its
    potentials give a lower one. The regularisation falls until both are close.
    """

    term: Term
    rho: float

    def __post_init__(self) -> None:
        self.plan: Plan | None = None
        self.dual: Dual | None = None
        self.iterations = 0
        # Points far beyond the reach leave float32 no digits for those within it.
        far = self.term.streams.unsure > FAR * self.rho
        self.sums = self.term.wide if far else self.term.streams

    def solve(self, tol: float, goal: Goal) -> bool:
        """Cool until the gap is ``tol`` of the upper bound; False if it was not reached."""
        term = self.term
        iteration = Iteration(self.sums, term.a, term.b, Softened(self.rho))
        state = Potentials(np.zeros(len(term.a)), np.zeros(len(term.b)))
        largest = eps = min(term.mean or self.rho, self.rho)
        while True:
            for _ in range(UPDATES):
                iteration.update(state, eps)
                if state.residual <= goal.residual * float(term.b.sum()):
                    break
            self.iterations = state.iterations
            lower, upper = self._look(state)
            # Where next to nothing is paid, no more than this can be told from nothing.
            if upper - lower <= max(tol * upper, self._grain):
                return True
            late = goal.deadline is not None and time.monotonic() > goal.deadline
            if late or state.iterations >= goal.max_iter or eps < SMALLEST * largest:
                return False
            eps *= COOLER

    @property
    def _grain(self) -> float:
        assert self.plan is not None
        total = float(self.term.a.sum() + self.term.b.sum())
        return (
            4 * self.plan.carried * (self.sums.unsure + self.term.setting.unsure)
            + 2.0**-40 * self.rho * total
        )

    def _look(self, state: Potentials) -> tuple[float, float]:
        plan, dual = self._attained(state), self._proved(state)
        self.plan = min(plan, self.plan or plan, key=lambda one: one.price)
        self.dual = max(dual, self.dual or dual, key=lambda one: one.bound)
        return self.bounds

    @property
    def bounds(self) -> tuple[float, float]:
        """Proved bounds of the optimum, in the term's unit."""
        assert self.plan is not None and self.dual is not None
        return min(max(self.dual.bound, 0.0), self.plan.price), self.plan.price

    def _attained(self, state: Potentials) -> Plan:
        """The best multiple of the present plan, and its objective."""
        term, rho = self.term, self.rho
        logs = state.f / state.eps + np.log(term.a), state.g / state.eps + np.log(term.b)
        sums = self.sums.sums(*logs, state.eps)
        carried = float(sums.rows.sum())
        entropy = _gains(sums.rows, term.a) + _gains(sums.cols, term.b)
        if not 0 < carried < math.inf or not math.isfinite(entropy):
            nothing = rho * float(term.a.sum() + term.b.sum())
            return Plan(state.f, state.g, state.eps, 0.0, nothing * (1 + 4 * UNIT), 0.0)
        both = carried + float(sums.cols.sum())
        log_factor = -(sums.cost / rho + entropy) / both
        t = math.exp(min(log_factor, 500.0))
        # sum_i t r_i log(t r_i / a_i) - t r_i + a_i, and the same for columns
        parts = sums.cost, rho * entropy, rho * log_factor * both, -rho * both
        ends = rho * float(term.a.sum() + term.b.sum())
        price = t * math.fsum(parts) + ends
        rounded = 64 * UNIT * (t * sum(abs(part) for part in parts) + ends)
        price += rounded * (1 + len(term.a) / 256) + t * carried * (self.sums.unsure + term.setting.unsure)
        return Plan(state.f.copy(), state.g.copy(), state.eps, t, price, t * carried)

    def _proved(self, state: Potentials) -> Dual:
        """Feasible potentials from the columns' present ones, by c-transforms in float64."""
        term, rho = self.term, self.rho
        ground = term.setting.ground
        f = ground.least(state.g)
        g = ground.least(f, flip=True)
        shift = Softened(rho).shift(term.a, term.b, f, g)
        f, g = f + shift, g - shift
        with np.errstate(over="ignore"):
            gains = term.a * -np.expm1(-f / rho), term.b * -np.expm1(-g / rho)
            carried = float(term.a @ np.exp(-f / rho) + term.b @ np.exp(-g / rho))
        size = ground.extent + float(np.abs(f).max() + np.abs(g).max())
        lost = ((term.problem.d + 8) * UNIT * size + term.setting.unsure) * carried
        lost += 8 * UNIT * rho * float(np.abs(gains[0]).sum() + np.abs(gains[1]).sum())
        bound = rho * (math.fsum(gains[0]) + math.fsum(gains[1])) - lost if carried < math.inf else -math.inf
        return Dual(f, g, bound)

    def potentials(self) -> tuple[Array, Array]:
        """Potentials of all rows, in the caller's units."""
        assert self.dual is not None
        term, problem = self.term, self.term.problem
        f, g = term.setting.full_potentials(self.dual.f, self.dual.g)
        if problem.rows is not None or problem.cols is not None:
            f, g = with_left_out(problem, f, g)
        return np.asarray(problem.cost_units(f)), np.asarray(problem.cost_units(g))

    def pulls(self) -> tuple[Array, Array]:
        """Derivatives of the cost of the plan in the points."""
        assert self.plan is not None
        x, y = self.term.pulls(self.plan.f, self.plan.g, self.plan.eps)
        return self.plan.factor * x, self.plan.factor * y

    def written(self) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
        """Masses, rows and columns of the plan's cells, in the caller's rows."""
        assert self.plan is not None
        term, problem = self.term, self.term.problem
        setting, plan = term.setting, self.plan
        n, m = len(term.a), len(term.b)
        require_memory(
            ENTRY * n * m, f"a plan with {n} x {m} cells", "use penalty='tv', whose plan is sparse"
        )
        rows, cols = np.empty(n), np.empty(m)
        rows[setting.rows] = plan.f / plan.eps + np.log(term.a)
        cols[setting.cols] = plan.g / plan.eps + np.log(term.b)
        cost = np.ldexp(problem.costs(problem.x, problem.y), -setting.exponent)
        mass = plan.factor * np.exp(rows[:, None] + cols - cost / plan.eps)
        i, j = np.nonzero(mass)
        left = i if problem.rows is None else problem.rows[i]
        return mass[i, j], left, j if problem.cols is None else problem.cols[j]


def softening(problem: Problem, masses: tuple[Array, Array], reach: float) -> Softening:
    """Prepare the problem with masses as they are and the penalties of a reach."""
    term = Term.of(problem, *masses)
    return Softening(term, float(reach) ** problem.p / term.unit)


def _gains(mass: Array, weights: Array) -> float:
    """``sum_i r_i log(r_i / a_i)``."""
    some = mass > 0
    return math.fsum(mass[some] * np.log(mass[some] / weights[some]))
