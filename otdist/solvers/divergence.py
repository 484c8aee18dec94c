"""From the terms of a Sinkhorn divergence to a Result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.gradient import with_slopes
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.answer import describe
from otdist.solvers.merge import Merged
from otdist.solvers.terms import Goal, Solved, Term

Array = NDArray[np.float64]
Slopes = Callable[[], tuple[Array, Array]]
Given = tuple[Any, Any, Any, Any]

STOPPED = "The marginals are off by {:.0e}, not {:.0e}: raise max_iter, max_seconds, eps or max_residual."
EQUAL = "Both samples carry the same mass everywhere."
MISSING = "A value is missing, and nan_policy='propagate' asks for NaN."


@dataclass(frozen=True)
class Divergence:
    """What is asked for, checked; see :func:`otdist.sinkhorn_divergence`."""

    eps: float
    eps_abs: float | None
    reach: float | None
    debias: bool
    max_residual: float
    max_iter: int

    def __call__(self, problem: Problem, masses: tuple[Array, Array], given: Given) -> Result:
        """Solve the terms, and join them; masses: as they count, not normalised."""
        label = {**describe(problem), "name": "S_eps" if self.debias else "OT_eps"}
        info: dict[str, Any] = {"p": problem.p, "eps": self.eps, "reach": self.reach}
        if any(problem.omitted):
            info["omitted"] = problem.omitted
        normalised = self.reach is None
        if problem.verdict is not None:
            found = Result(math.nan, math.nan, math.nan, "none", message=MISSING, info=info, **label)
            return with_slopes(found, problem, given, *_nothing(problem), normalised=normalised)
        if self.debias and _same(problem, masses, normalised):
            found = Result(0.0, 0.0, 0.0, "sinkhorn", message=EQUAL, info=info, **label)
            return with_slopes(found, problem, given, *_nothing(problem), normalised=normalised)
        joined = self._joined(problem, masses)
        result = joined.result(self.max_residual, info, label)
        return with_slopes(result, problem, given, joined.of_points, joined.of_weights, normalised=normalised)

    def _joined(self, problem: Problem, masses: tuple[Array, Array]) -> Joined:
        start = time.monotonic()
        deadline = None if problem.max_seconds is None else start + problem.max_seconds
        goal = Goal(self.max_residual, self.max_iter, deadline)
        between = Term.of(problem, *masses)
        rho = None if self.reach is None else float(self.reach) ** problem.p
        eps = self.eps_abs
        if eps is None:  # all points in one place cost nothing to join: then any other unit will do
            eps = self.eps * (between.mean * between.unit or rho or 1.0)
        terms = {"xy": between.solved(eps, rho, goal)}
        if self.debias:
            terms["xx"] = Term.itself(problem, masses[0], 0).solved(eps, rho, goal)
            terms["yy"] = Term.itself(problem, masses[1], 1).solved(eps, rho, goal)
        totals = float(masses[0].sum()), float(masses[1].sum())
        return Joined(problem, terms, eps, totals, rho is not None)


@dataclass(frozen=True, eq=False)
class Joined:
    """The terms of a divergence, solved; or the one between the samples."""

    problem: Problem
    terms: dict[str, Solved]
    eps: float
    totals: tuple[float, float]
    reaching: bool

    def result(self, goal: float, info: dict[str, Any], label: dict[str, Any]) -> Result:
        """Value and interval from those of the terms."""
        residual = max(term.residual for term in self.terms.values())
        finished = all(term.finished for term in self.terms.values())
        value, lower, upper = self._interval()
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
            message="" if finished else STOPPED.format(residual, goal),
            info=info,
            _make_potentials=self._potentials,
            **label,
        )

    def _interval(self) -> tuple[float, float, float]:
        between = self.terms["xy"]
        value, lower, upper = between.value, between.lower, between.upper
        if len(self.terms) > 1:
            xx, yy = self.terms["xx"], self.terms["yy"]
            lost = self._lost
            value += lost - (xx.value + yy.value) / 2
            lower += lost - (xx.upper + yy.upper) / 2
            upper += lost - (xx.lower + yy.lower) / 2
            size = abs(between.value) + abs(xx.value) + abs(yy.value) + lost
            lower, upper = lower - 8 * UNIT * size, upper + 8 * UNIT * size
        return value, lower, upper

    @property
    def _lost(self) -> float:
        # Sejourne et al. (2019), definition 5: without it a sample and its multiple could come out negative.
        return self.eps / 2 * (self.totals[0] - self.totals[1]) ** 2 if self.reaching else 0.0

    def _potentials(self) -> tuple[Array, Array]:
        f, g = self.terms["xy"].potentials()
        if len(self.terms) == 1:
            return f, g
        return f - self.terms["xx"].potentials()[0], g - self.terms["yy"].potentials()[0]

    def of_points(self) -> tuple[Array, Array]:
        """Gradients in the points, for the rows of the problem."""
        x, y = self.terms["xy"].pulls()
        if len(self.terms) == 1:
            return x, y
        # Half of the derivative of a term that depends on the sample twice.
        return x - self.terms["xx"].pulls()[0], y - self.terms["yy"].pulls()[0]

    def of_weights(self) -> tuple[Array, Array]:
        """Gradients in the weights, for all rows of the caller."""
        f, g = self.terms["xy"].prices()
        if len(self.terms) > 1:  # what differs by eps (A - B) is cancelled by the last term of the value
            f, g = f - self.terms["xx"].prices()[0], g - self.terms["yy"].prices()[0]
        elif self.reaching:
            f, g = f + self.eps * self.totals[1], g + self.eps * self.totals[0]
        return np.ldexp(f, -self.problem.exponent), np.ldexp(g, -self.problem.exponent)


def _same(problem: Problem, masses: tuple[Array, Array], normalised: bool) -> bool:
    """Whether both samples have the same mass everywhere."""
    equal = normalised or math.fsum(masses[0]) == math.fsum(masses[1])
    return equal and len(Merged.of(problem).a) == 0


def _nothing(problem: Problem) -> tuple[Slopes, Slopes]:
    n, m = problem.shape
    return (
        lambda: (np.zeros(problem.x.shape), np.zeros(problem.y.shape)),
        lambda: (np.zeros(n), np.zeros(m)),
    )
