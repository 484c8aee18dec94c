"""Sinkhorn divergence: solution of its terms, and their combination to a Result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.errors import InputError
from otdist.gradient import with_array_gradients, with_gradient
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.answer import EXACT_GAP, describe, describe_omitted, make_fixed_result
from otdist.solvers.divergence.term import EntropicSolution, EntropicTerm, StoppingRule
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import Sides, mean_cost_bound
from otdist.typing import Array, Inputs

if TYPE_CHECKING:
    from otdist.solvers.answer import Description

Gradients = Callable[[], tuple[Array, Array]]

RESIDUAL_AT_LIMIT = (
    "The L1 error of the marginals is {:.0e}, not {:.0e}: raise max_iter, max_seconds, eps or max_residual."
)
RESIDUAL_AT_ROUNDING = (
    "float64 cannot prove the terms to max_residual={:.0e}, as eps is tiny or huge beside the costs: "
    "use the interval, or another eps."
)
NO_PLAN_SUMS = "Time was up before there were sums over all pairs: raise max_seconds."
MIN_SUMS_PER_TERM = 8  # sums over all pairs that a term takes at least
SAMPLES_COINCIDE = "Both samples carry the same mass everywhere."
NO_SECOND_DERIVATIVES = (
    "second derivatives of sinkhorn_divergence are not computed",
    "use otdist.learn.divergence, which has them for |x - y|**p",
)


@dataclass(frozen=True)
class DivergenceSolver:
    """Checked options of :func:`otdist.sinkhorn_divergence`."""

    eps: float
    eps_abs: float | None
    reach: float | None
    debias: bool
    max_residual: float
    max_iter: int

    def __call__(self, problem: Problem, masses: tuple[Array, Array], inputs: Inputs) -> Result:
        """Solve the terms, and combine them; ``masses`` are not normalised further."""
        label = describe(problem)
        label["name"] = "S_eps" if self.debias else "OT_eps"
        info: dict[str, object] = {"p": problem.p, "eps": self.eps, "reach": self.reach}
        info |= describe_omitted(problem)
        normalised = self.reach is None
        if problem.fixed_value is not None:
            return with_gradient(make_fixed_result(problem, name=label["name"], info=info), problem, inputs)
        if self.debias and _samples_coincide(problem, masses, normalised):
            result = Result(0.0, 0.0, 0.0, "sinkhorn", message=SAMPLES_COINCIDE, info=info, **label)
            gradients = _constant_gradients(problem)
            return with_array_gradients(
                result, problem, inputs, *gradients, normalised=normalised, refusal=NO_SECOND_DERIVATIVES
            )
        try:
            divergence = self._solve_terms(problem, masses)
        except OutOfTimeError:  # while the cost matrix was computed
            return self._bound_without_costs(problem, masses, inputs, info, label)
        result = divergence.result(self.max_residual, info, label)
        gradients = divergence.point_gradients, divergence.weight_gradients
        return with_array_gradients(
            result, problem, inputs, *gradients, normalised=normalised, refusal=NO_SECOND_DERIVATIVES
        )

    def _bound_without_costs(
        self,
        problem: Problem,
        masses: tuple[Array, Array],
        inputs: Inputs,
        info: dict[str, object],
        label: Description,
    ) -> Result:
        """Return bounds without the costs of all pairs, for when time is short; gradients are NaN."""
        sides = Sides(problem, problem.x, problem.y, *masses)
        same_sample = (
            Sides(problem, side, side, w, w) for side, w in zip((problem.x, problem.y), masses, strict=True)
        )
        unit = float(problem.to_caller_costs(1.0))
        if self.reach is None:
            most = mean_cost_bound(sides) * unit
            least = (mean_cost_bound(one) * unit / 2 for one in same_sample) if self.debias else ()
        else:
            rho, (left, right) = float(self.reach) ** problem.p, (float(w.sum()) for w in masses)
            eps = self.eps * mean_cost_bound(sides) * unit if self.eps_abs is None else self.eps_abs
            most = (rho * (left + right) + eps * max(left, right) ** 2) * (1 + 2.0**-40)
            least = (rho * w + eps * w**2 for w in (left, right)) if self.debias else ()
        value, lower = most, -sum(least)
        result = Result(
            value if value < math.inf else max(lower, 0.0),
            lower,
            most,
            "sinkhorn",
            converged=False,
            message=NO_PLAN_SUMS,
            info=info,
            **label,
        )
        return with_array_gradients(
            result, problem, inputs, *_constant_gradients(problem, math.nan), normalised=self.reach is None
        )

    def _solve_terms(self, problem: Problem, masses: tuple[Array, Array]) -> SolvedDivergence:
        deadline = Deadline(problem.max_seconds)
        with deadline.enforce():
            between = EntropicTerm.of(problem, *masses)
            sides = (
                [EntropicTerm.of_one_sample(problem, masses[side], side) for side in range(2)]
                if self.debias
                else []
            )
        rho = None if self.reach is None else float(self.reach) ** problem.p
        unsolved = {"xy": between, **dict(zip(("xx", "yy"), sides, strict=self.debias))}
        try:
            with deadline.enforce(grace=True):
                eps = self._regularisation(between, rho)
        except OutOfTimeError:
            return self._bound_terms(problem, masses, unsolved, rho)
        # Reserve the least time that each of the following terms takes.
        seconds = MIN_SUMS_PER_TERM * between.seconds if deadline.is_finite else 0.0
        terms = {}
        for after, (name, term) in zip(range(len(unsolved) - 1, -1, -1), unsolved.items(), strict=True):
            goal = StoppingRule(self.max_residual, self.max_iter, deadline.earlier_by(after * seconds))
            terms[name] = term.solve(eps, rho, goal)
        totals = float(masses[0].sum()), float(masses[1].sum())
        return SolvedDivergence(problem, terms, eps, totals, rho is not None)

    def _regularisation(self, between: EntropicTerm, rho: float | None) -> float:
        """Return the regularisation in the caller's units."""
        eps = self.eps_abs
        if eps is None:  # if all points coincide, costs are 0 and any other unit will do
            eps = self.eps * (between.mean * between.unit or rho or 1.0)
        if not 0 < eps < math.inf:
            problem = f"must be positive and finite in units of the cost, got {eps:g}"
            raise InputError("eps", problem, "scale the points")
        return eps

    def _bound_terms(
        self,
        problem: Problem,
        masses: tuple[Array, Array],
        unsolved: dict[str, EntropicTerm],
        rho: float | None,
    ) -> SolvedDivergence:
        """Bound the terms for every regularisation up to an upper bound of the requested one."""
        eps = self.eps_abs
        if eps is None:
            between = unsolved["xy"]
            most = mean_cost_bound(Sides.of(between.prepared.merged)) * 2.0**-between.prepared.exponent
            eps = self.eps * min(most * between.unit, between.extent or 1.0)
        terms = {name: term.bound_without_sums(eps, rho) for name, term in unsolved.items()}
        totals = float(masses[0].sum()), float(masses[1].sum())
        return SolvedDivergence(problem, terms, eps, totals, rho is not None)


@dataclass(frozen=True, eq=False)
class SolvedDivergence:
    """Solved terms of a divergence, or the term between the samples alone."""

    problem: Problem
    terms: dict[str, EntropicSolution]
    eps: float
    totals: tuple[float, float]
    reaching: bool

    def result(self, goal: float, info: dict[str, object], label: Description) -> Result:
        """Combine values and intervals of the terms to a Result."""
        residual = max(term.residual for term in self.terms.values())
        out_of_time = NO_PLAN_SUMS if math.isinf(residual) else ""
        stopped = (
            out_of_time or RESIDUAL_AT_LIMIT.format(residual, goal)
            if residual > goal
            else RESIDUAL_AT_ROUNDING.format(goal)
        )
        value, lower, upper = self._interval()
        # The width that the residual allows; if all points coincide, eps is the only scale.
        scale = self.terms["xy"].term.extent or self.eps * max(self.totals)
        width = max(8 * goal * scale, EXACT_GAP * max(abs(lower), abs(upper)))
        finished = all(term.finished for term in self.terms.values()) and upper - lower <= width
        info |= {
            "eps_abs": self.eps,
            "residual": residual,
            "iterations": sum(term.state.iterations for term in self.terms.values()),
            "terms": {name: (term.value, term.lower, term.upper) for name, term in self.terms.items()},
        }
        return Result(
            value,
            lower,
            upper if upper >= value else math.inf,
            "sinkhorn",
            converged=finished,
            message="" if finished else stopped,
            info=info,
            _make_potentials=self._potentials,
            **label,
        )

    def _interval(self) -> tuple[float, float, float]:
        between = self.terms["xy"]
        value, lower, upper = between.value, between.lower, between.upper
        if len(self.terms) > 1:
            xx, yy = self.terms["xx"], self.terms["yy"]
            difference_term = self._mass_difference_term
            value += difference_term - (xx.value + yy.value) / 2
            lower += difference_term - (xx.upper + yy.upper) / 2
            upper += difference_term - (xx.lower + yy.lower) / 2
            size = abs(between.value) + abs(xx.value) + abs(yy.value) + difference_term
            lower, upper = lower - 8 * UNIT_ROUNDOFF * size, upper + 8 * UNIT_ROUNDOFF * size
        return value, lower, upper

    @property
    def _mass_difference_term(self) -> float:
        # Sejourne et al. (2019), definition 5: without it a sample and its multiple could come out negative.
        return self.eps / 2 * (self.totals[0] - self.totals[1]) ** 2 if self.reaching else 0.0

    def _potentials(self) -> tuple[Array, Array]:
        f, g = self.terms["xy"].potentials()
        if len(self.terms) == 1:
            return f, g
        return f - self.terms["xx"].potentials()[0], g - self.terms["yy"].potentials()[0]

    def point_gradients(self) -> tuple[Array, Array]:
        """Gradients in the points, for the rows of the problem."""
        x, y = self.terms["xy"].point_gradients()
        if len(self.terms) == 1:
            return x, y
        # The factor 1/2 cancels: a self-term depends on its sample twice.
        return x - self.terms["xx"].point_gradients()[0], y - self.terms["yy"].point_gradients()[0]

    def weight_gradients(self) -> tuple[Array, Array]:
        """Gradients in the weights, for all rows of the caller."""
        f, g = self.terms["xy"].weight_gradients()
        if len(self.terms) > 1:  # a difference of eps (A - B) cancels with the last term of the value
            f, g = f - self.terms["xx"].weight_gradients()[0], g - self.terms["yy"].weight_gradients()[0]
        elif self.reaching:
            f, g = f + self.eps * self.totals[1], g + self.eps * self.totals[0]
        return np.ldexp(f, -self.problem.exponent), np.ldexp(g, -self.problem.exponent)


def _samples_coincide(problem: Problem, masses: tuple[Array, Array], normalised: bool) -> bool:
    """Whether both samples are the same distribution."""
    equal = normalised or math.fsum(masses[0]) == math.fsum(masses[1])
    return equal and len(MergedProblem.of(problem).a) == 0


def _constant_gradients(problem: Problem, value: float = 0.0) -> tuple[Gradients, Gradients]:
    n, m = problem.shape
    return (
        lambda: (np.full(problem.x.shape, value), np.full(problem.y.shape, value)),
        lambda: (np.full(n, value), np.full(m, value)),
    )
