"""Solvers by name. A solver is any callable from a Problem to a Result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otdist.atlas.costs import cheapest_exact
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.circle import Circle
from otdist.solvers.critic import NeuralDual
from otdist.solvers.dense import Dense
from otdist.solvers.line import Line, power_on_line
from otdist.solvers.sinkhorn import Sinkhorn
from otdist.solvers.sparse import Sparse

Solver = Callable[[Problem], Result]

METHODS: dict[str, Callable[..., Solver]] = {
    "line": Line,
    "circle": Circle,
    "dense": Dense,
    "sparse": Sparse,
    "sinkhorn": Sinkhorn,
    "critic": NeuralDual,
}


def choose(method: str | Solver, problem: Problem, options: dict[str, Any]) -> Solver:
    """Find the solver for a method name; ``"auto"`` decides by the problem alone."""
    if not isinstance(method, str):
        if callable(method):
            return method
        raise InputError("method", f"{method!r} is neither a name nor a solver", "use method='auto'")
    if method == "auto":
        method = _auto(problem)
    if method not in METHODS:
        raise InputError("method", f"{method!r} is unknown", f"use 'auto' or one of {sorted(METHODS)}")
    return METHODS[method](**options)


def _auto(problem: Problem) -> str:
    if power_on_line(problem.metric, problem.d, problem.p) is not None:
        return "line"
    if problem.metric.period is not None and problem.d == 1:
        return "circle"
    return cheapest_exact(len(problem.x), len(problem.y), problem.d, problem.tol)
