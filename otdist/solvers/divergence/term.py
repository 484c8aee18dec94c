"""One entropic term of a divergence: its potentials, its value with bounds, and its gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from otdist.metrics.base import make_row_blocks
from otdist.problem import Problem
from otdist.runtime.deadline import NO_DEADLINE, Deadline, OutOfTimeError
from otdist.solvers.costs import price_in_units, weight_rounding_cost
from otdist.solvers.divergence.bounds import entropic_interval, trivial_upper
from otdist.solvers.divergence.point_gradients import point_gradients_by_torch
from otdist.solvers.entropic.iteration import (
    FLOAT32_NOISE,
    BalancedProx,
    Iteration,
    KLProx,
    SinkhornState,
    stopping_criterion,
)
from otdist.solvers.entropic.logsumexp32 import MatrixLogSumExp, PointLogSumExp32, SoftMin, make_logsumexp
from otdist.solvers.entropic.logsumexp64 import PointLogSumExp64
from otdist.solvers.entropic.newton import Newton
from otdist.solvers.entropic.symmetric import SymmetricIteration
from otdist.solvers.merge import MergedProblem
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.quick import Sides, mean_cost_bound, quick_potentials
from otdist.solvers.sinkhorn.entropic_problem import subsample
from otdist.solvers.sparse.prepared_problem import PreparedProblem
from otdist.typing import Array

UPDATES_TO_FINISH64 = 5.0  # time of the next update and the interval in float64, in updates
UPDATES_PER_STALL_CHECK = 100  # updates between two checks for stalling
STALL_RATIO = 0.5  # updates stall if the residual stays above this share of the last one


class StoppingRule(NamedTuple):
    """Stopping rule: L1 error of the marginals for a mass of 1, number of updates, deadline."""

    residual: float
    max_iter: int
    deadline: Deadline = NO_DEADLINE


@dataclass(frozen=True, eq=False)
class EntropicTerm:
    """Two samples, or one sample twice, in kd order.

    Attributes
    ----------
    prepared : PreparedProblem
        Points in kd order, and the map back.
    a, b : ndarray
        Masses in that order, not normalised.
    is_self : bool
        Whether the term compares a sample with itself.
    logsumexp, logsumexp64
        Sums over all pairs, in float32 and in float64; the same object for a cost matrix.
    unit : float
        Unit of the cost, in the caller's units.
    tilt : float
        With a penalty, the caller's masses are ``a exp(-tilt)`` and ``b exp(tilt)``.
    unmet : float
        Constant by which the penalties of the caller's masses exceed those of a and b, for ``rho = 1``:
        ``(sqrt(A) - sqrt(B))**2`` for the caller's totals.
    """

    prepared: PreparedProblem
    a: Array
    b: Array
    is_self: bool
    logsumexp: PointLogSumExp32 | MatrixLogSumExp
    logsumexp64: PointLogSumExp64 | MatrixLogSumExp
    unit: float
    tilt: float = 0.0
    unmet: float = 0.0

    @classmethod
    def of(cls, problem: Problem, a: Array, b: Array, is_self: bool = False) -> EntropicTerm:
        """Prepare a problem with masses a and b of its rows."""
        merged = MergedProblem.from_rows(problem).rescale()
        prepared = PreparedProblem.of(merged, None, "sinkhorn")
        if is_self and isinstance(prepared.ground, MatrixCosts):  # one order, or row i would not be column i
            ground = replace(prepared.ground, cols=prepared.ground.rows)
            prepared = replace(prepared, ground=ground, cols=prepared.rows)
        logsumexp32 = make_logsumexp(prepared.ground)
        logsumexp64 = (
            PointLogSumExp64(logsumexp32.pairs) if isinstance(logsumexp32, PointLogSumExp32) else logsumexp32
        )
        unit = merged.problem.cost_unit(prepared.exponent)
        return cls(prepared, a[prepared.rows], b[prepared.cols], is_self, logsumexp32, logsumexp64, unit)

    @classmethod
    def of_one_sample(cls, problem: Problem, a: Array, side: int) -> EntropicTerm:
        """Prepare one sample of a problem against itself."""
        points, rows = (problem.x, problem.rows) if side == 0 else (problem.y, problem.cols)
        mass, points_of_side = (problem.a, problem.b)[side], problem.caller_points[side]
        one_sample = replace(problem, x=points, y=points, a=mass, b=mass, rows=rows, cols=rows)
        shape = (problem.shape[side], problem.shape[side])
        return cls.of(
            replace(one_sample, shape=shape, caller_points=(points_of_side, points_of_side)),
            a,
            a,
            is_self=True,
        )

    @property
    def problem(self) -> Problem:
        """The two samples on their scale."""
        return self.prepared.merged.problem

    @property
    def extent(self) -> float:
        """Upper bound of the cost of moving all mass, in the caller's units."""
        return self.prepared.ground.extent * self.unit * max(float(self.a.sum()), float(self.b.sum()))

    @property
    def rough_mean(self) -> float:
        """Mean cost of a subsample of the pairs, sufficient for a start."""
        some, a, b = subsample(self.prepared.ground, self.a, self.b)
        return some.plan_sums(np.log(a), np.log(b), math.inf).cost

    @cached_property
    def mean(self) -> float:
        """Mean cost of a pair."""
        return self._mean_and_seconds[0]

    @property
    def seconds(self) -> float:
        """Time of a float64 sum over all pairs, measured when computing the mean."""
        return self._mean_and_seconds[1]

    @cached_property
    def _mean_and_seconds(self) -> tuple[float, float]:
        start, total = time.monotonic(), float(self.a.sum()) * float(self.b.sum())
        mean = self.logsumexp64.plan_sums(np.log(self.a), np.log(self.b), math.inf).cost / total
        return mean, time.monotonic() - start

    def solve(self, eps_abs: float, rho_abs: float | None, goal: StoppingRule) -> EntropicSolution:
        """Compute the potentials: in float32 up to its precision, then in float64.

        ``eps_abs`` and ``rho_abs`` (None: exact marginals) are in the caller's units.
        """
        if rho_abs is not None and self.tilt == 0.0 and math.fsum(self.a) != math.fsum(self.b):
            return self.with_equal_totals().solve(eps_abs, rho_abs, goal)
        eps = price_in_units(eps_abs, self.unit, "eps_abs")
        rho = None if rho_abs is None else price_in_units(rho_abs, self.unit)
        try:
            with goal.deadline.enforce(grace=True):
                return self._solve(eps, rho, goal)
        except OutOfTimeError:
            return self.bound_without_sums(eps_abs, rho_abs)

    def bound_without_sums(self, eps_abs: float, rho_abs: float | None) -> EntropicSolution:
        """Compute bounds without a pass over all pairs; they hold for any smaller ``eps_abs`` as well."""
        eps = price_in_units(eps_abs, self.unit, "eps_abs")
        rho = None if rho_abs is None else price_in_units(rho_abs, self.unit)
        merged, down = self.prepared.merged, 2.0**-self.prepared.exponent
        a, b = self.prepared.to_rows(self.a, self.b)
        sides = replace(Sides.of(merged), a=a, b=b)
        lower = 0.0
        if rho is None:
            # The plan a b^T has relative entropy 0, and relative entropy never reduces the objective.
            upper = mean_cost_bound(sides) * down
            lower = (
                0.0
                if self.is_self
                else max(quick_potentials(sides)[0].value * down - self.prepared.entry_error, 0.0)
            )
        else:
            upper = trivial_upper(self, eps, rho)
        cost_error = self.prepared.entry_error + math.ldexp(
            weight_rounding_cost(self.problem), -self.prepared.exponent
        )
        lower, upper = max(lower - cost_error, 0.0) * self.unit, (upper + cost_error) * self.unit
        state = SinkhornState(np.zeros(len(self.a)), np.zeros(len(self.b)), eps)
        value = upper if upper < math.inf else lower
        return EntropicSolution(self, state, rho, False, math.inf, value, min(lower, upper), upper, math.inf)

    def _solve(self, eps: float, rho: float | None, goal: StoppingRule) -> EntropicSolution:
        total, mean = float(self.b.sum()), self.mean
        if goal.deadline.is_over(UPDATES_TO_FINISH64 * self.seconds - goal.deadline.grace):
            raise OutOfTimeError
        early = goal._replace(deadline=goal.deadline.earlier_by(UPDATES_TO_FINISH64 * self.seconds))
        state = SinkhornState(np.zeros(len(self.a)), np.zeros(len(self.b)))
        logsumexp32 = self._iteration(self.logsumexp, rho)
        logsumexp32.anneal(state, max(mean, eps), eps, is_out_of_time=_is_out_of_time(early))
        if isinstance(self.logsumexp, PointLogSumExp32):
            # Below this floor the residual is dominated by the rounding of float32 exponents.
            floor = max(goal.residual, 4 * FLOAT32_NOISE * mean / eps)
            _iterate(logsumexp32, state, floor * total, early)
            state.residual = math.inf
        self._finish(state, rho, goal.residual * total, goal)
        if rho is not None:
            self._balance(state, rho)
        solution = EntropicSolution(
            self, state, rho, False, state.residual / total, *entropic_interval(self, state, rho)
        )
        return replace(solution, finished=solution.residual + solution.residual_error <= goal.residual)

    def _finish(self, state: SinkhornState, rho: float | None, residual: float, goal: StoppingRule) -> None:
        """Reduce the residual in float64, by updates, and by Newton steps if these stall."""
        updates = self._iteration(self.logsumexp64, rho)
        if _iterate(updates, state, residual, goal):
            return
        newton = Newton(Iteration(self.logsumexp64, self.a, self.b, _prox(rho)))
        newton.solve(state, residual / 2, _is_out_of_time(goal))
        if self.is_self:
            state.f = state.g = (state.f + state.g) / 2
            updates.iterate(state, residual, goal.max_iter, goal.deadline, UPDATES_TO_FINISH64)

    def with_equal_totals(self) -> EntropicTerm:
        """Return the same penalised problem with masses of equal totals.

        Plans have equal totals on both sides, so ``rho KL(r | a) + rho KL(c | b)`` for ``a e^t`` and
        ``b e^-t`` differs by a constant only. Without this change potentials contain ``rho t``, beside which
        float64 may not resolve the cost.
        """
        totals = math.fsum(self.a), math.fsum(self.b)
        ratio = math.fsum([*self.b, *-self.a]) / totals[0]
        tilt = (math.log1p(ratio) if abs(ratio) < 0.5 else math.log(totals[1] / totals[0])) / 2
        apart = ratio * totals[0] / (math.sqrt(totals[0]) + math.sqrt(totals[1]))
        a, b = self.a * math.exp(tilt), self.b * math.exp(-tilt)
        return replace(self, a=a, b=b, tilt=tilt, unmet=apart**2)

    def _balance(self, state: SinkhornState, rho: float) -> None:
        """Shift the potentials so that both optimal marginals have the same mass; rows stay exact.

        With ``g - s`` the rows' update is ``f + keep s``. Of the remaining error only differences between
        points count, which are bounded by those of the cost.
        """
        keep = rho / (rho + state.eps)
        for _ in range(2):  # the second one corrects the rounding of the first
            shift = rho / (1 + keep) * KLProx(rho, even=True).imbalance(self.a, self.b, state.f, state.g)
            state.f, state.g = state.f + keep * shift, state.g - shift

    def _iteration(self, sums: SoftMin, rho: float | None) -> Iteration | SymmetricIteration:
        prox = _prox(rho)
        return (
            SymmetricIteration(sums, self.a, prox) if self.is_self else Iteration(sums, self.a, self.b, prox)
        )

    def point_gradients(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        """Compute ``sum_j P_ij grad_x c(x_i, y_j)`` for all rows, and the same for all columns.

        In the caller's units, for ``P_ij = a_i b_j exp((f_i + g_j - c_ij) / eps)``; coincident points add 0.
        """
        rows, cols = f / eps + np.log(self.a), g / eps + np.log(self.b)
        if isinstance(self.logsumexp64, PointLogSumExp64):
            gradients = (
                self.logsumexp64.plan_gradient(rows, cols, eps),
                self.logsumexp64.plan_gradient(rows, cols, eps, flip=True),
            )
            out = self.prepared.to_rows(*gradients)
        else:
            rows, cols = self.prepared.to_rows(rows, cols)
            out = point_gradients_by_torch(self.problem, rows, cols, math.ldexp(eps, self.prepared.exponent))
        unit = float(self.problem.to_caller_costs(1.0))
        return np.ldexp(out[0] * unit, -self.problem.exponent), np.ldexp(
            out[1] * unit, -self.problem.exponent
        )


@dataclass(frozen=True, eq=False)
class EntropicSolution:
    """Potentials of a term, and the bounds that they prove.

    Attributes
    ----------
    value, lower, upper : float
        Entropic optimum and its bounds, in the caller's units.
    residual : float
        L1 error of the marginals, for a mass of 1.
    residual_error : float
        Error that rounding of costs and potentials may add to the residual.
    """

    term: EntropicTerm
    state: SinkhornState
    rho: float | None
    finished: bool
    residual: float
    value: float
    lower: float
    upper: float
    residual_error: float

    def potentials(self) -> tuple[Array, Array]:
        """Return potentials of all rows of the caller, in his units; of rows without mass by a soft minimum.

        Missing rows get NaN. For a sample against itself both are equal.
        """
        term, problem = self.term, self.term.problem
        f, g = self._by_row()
        all_f = self._extend(0, f, g)
        all_g = all_f if term.is_self else self._extend(1, g, f)
        unit = term.unit
        if term.is_self:
            return all_f * unit, all_f * unit
        if self.rho is not None:
            all_f, all_g = all_f - self.rho * term.tilt, all_g + self.rho * term.tilt
        else:  # the pair is determined up to a shift: make both totals equal
            shift = (float(f @ problem.a) - float(g @ problem.b)) / (2 * problem.mass)
            all_f, all_g = all_f - shift, all_g + shift
        return all_f * unit, all_g * unit

    def weight_gradients(self) -> tuple[Array, Array]:
        """Return the gradient in the caller's weights, up to a constant; 0 at missing rows."""
        f, g = (np.nan_to_num(potential) for potential in self.potentials())
        if self.rho is None:
            return f, g
        eps, rho = self.state.eps * self.term.unit, self.rho * self.term.unit
        f, g = (-rho * np.expm1(-q / rho) - eps * np.exp(-q / rho) for q in (f, g))
        return f, g

    def point_gradients(self) -> tuple[Array, Array]:
        """Return the gradient in the points; for a sample against itself, in one of its two copies."""
        f, g = self.state.f, self.state.g
        if self.term.is_self:
            f = g = (f + g) / 2
        return self.term.point_gradients(f, g, self.state.eps)

    def _by_row(self) -> tuple[Array, Array]:
        """Potentials in the order of the problem's rows, in the term's unit."""
        f, g = self.term.prepared.to_rows(self.state.f, self.state.g)
        return ((f + g) / 2, (f + g) / 2) if self.term.is_self else (f, g)

    def _extend(self, side: int, own: Array, other: Array) -> Array:
        term, problem = self.term, self.term.problem
        present = (problem.rows, problem.cols)[side]
        if present is None:
            return own
        points = problem.shift_and_scale(problem.caller_points[side])
        out = problem.fill_left_out(own, side)
        absent = np.flatnonzero(np.isnan(out) & np.isfinite(points).all(axis=1))
        mass, order = ((term.b, term.prepared.cols), (term.a, term.prepared.rows))[side]
        log_mass = np.empty(len(order))
        log_mass[order] = np.log(mass)
        others = problem.y if side == 0 else problem.x
        for part in make_row_blocks(len(absent), len(others)):
            block = points[absent[part]]
            cost = problem.costs(block, others) if side == 0 else problem.costs(others, block).T
            soft = _soft_minimum(np.ldexp(cost, -term.prepared.exponent), other, log_mass, self.state.eps)
            out[absent[part]] = soft if self.rho is None else KLProx(self.rho)(soft, self.state.eps)
        return out


def _prox(rho: float | None) -> BalancedProx | KLProx:
    return BalancedProx() if rho is None else KLProx(rho, even=True)


def _is_out_of_time(goal: StoppingRule) -> Callable[[SinkhornState], bool]:
    """Make a predicate: there is no time for another update and the interval."""
    return stopping_criterion(goal.max_iter, goal.deadline, lambda state: UPDATES_TO_FINISH64 * state.seconds)


def _iterate(
    updates: Iteration | SymmetricIteration, state: SinkhornState, residual: float, goal: StoppingRule
) -> bool:
    """Update until the residual is reached or stalls; returns whether it was reached."""
    is_out_of_time = _is_out_of_time(goal)
    while True:
        before = state.residual
        if updates.iterate(
            state,
            residual,
            min(state.iterations + UPDATES_PER_STALL_CHECK, goal.max_iter),
            goal.deadline,
            UPDATES_TO_FINISH64,
        ):
            return True
        if is_out_of_time(state) or not state.residual <= STALL_RATIO * before:  # NaN counts as a stall
            return False


def _soft_minimum(cost: Array, potential: Array, log_mass: Array, eps: float) -> Array:
    terms = log_mass + (potential - cost) / eps
    top = terms.max(axis=1, keepdims=True)
    return np.asarray(-eps * (top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))))
