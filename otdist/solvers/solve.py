"""Choice of the solver for a problem, its call, and what happens if the goal is not reached."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from otdist.atlas.costs import find_cheapest_exact
from otdist.errors import ConvergenceWarning, InputError
from otdist.inputs.arguments import (
    check_bytes,
    check_choice,
    check_names,
    format_value,
    get_option_names,
    is_call_error,
)
from otdist.inputs.arrays import caller_level
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.solvers.answer import make_fixed_result
from otdist.solvers.circle import Circle
from otdist.solvers.critic import NeuralDual
from otdist.solvers.line import Line, power_on_line
from otdist.solvers.linear.dense import Dense
from otdist.solvers.sinkhorn import Sinkhorn
from otdist.solvers.sparse import Sparse
from otdist.typing import OnFail

Solver = Callable[[Problem], Result]

METHODS: dict[str, Callable[..., Solver]] = {
    "line": Line,
    "circle": Circle,
    "dense": Dense,
    "sparse": Sparse,
    "sinkhorn": Sinkhorn,
    "critic": NeuralDual,
}


# Options of "auto", whatever the data: those that all exact methods for pairs of points have.
# The memory of the closed forms is checked against the same limit.
AUTO_OPTIONS = ("max_bytes",)
CLOSED_FORM_BYTES = 160  # per point


def choose(method: str | Solver, problem: Problem, options: dict[str, object]) -> Solver:
    """Return the solver for a method name; ``"auto"`` decides by the problem alone."""
    if not isinstance(method, str):
        return _check_solver(method, options)
    if method == "auto":
        check_names(options, AUTO_OPTIONS, "method='auto', which takes the options common to its candidates")
        method = _choose_method(problem)
        if method in ("line", "circle"):
            _check_closed_form(problem, options.pop("max_bytes", None))
    check_choice(method, "method", ("auto", *sorted(METHODS)), remedy="use method='auto'")
    check_names(options, get_option_names(METHODS[method]), f"method={method!r}")
    make: Callable[..., Solver] = METHODS[method]
    return make(**options)


def _check_solver(method: object, options: Mapping[str, object]) -> Solver:
    """Check a solver object of the caller."""
    if isinstance(method, type):
        remedy = f"make one: method={method.__name__}()"
        raise InputError("method", f"must be a solver, got the class {method.__name__}", remedy)
    if not callable(method):
        raise InputError(
            "method", f"must be a name or a solver, got {format_value(method)}", "use method='auto'"
        )
    check_names(options, (), "a solver object, which has its own")
    solver: Solver = method
    return solver


def _check_closed_form(problem: Problem, max_bytes: object) -> None:
    if (limit := check_bytes(max_bytes)) is not None:
        size = len(problem.x) + len(problem.y)
        purpose = f"a closed form on {size} points"
        require_memory(CLOSED_FORM_BYTES * size, purpose, "raise max_bytes", limit)


def _choose_method(problem: Problem) -> str:
    if power_on_line(problem.metric, problem.d, problem.p) is not None:
        return "line"
    if problem.metric.period is not None and problem.d == 1:
        return "circle"
    return find_cheapest_exact(len(problem.x), len(problem.y), problem.d, problem.tol)


def solve(
    problem: Problem, method: str | Solver = "auto", on_fail: OnFail = "warn", **options: object
) -> Result:
    """Solve a checked problem, and warn or raise if the goal is not reached."""
    solver = choose(method, problem, options)
    if problem.fixed_value is not None:
        return warn_or_raise(make_fixed_result(problem), on_fail)
    try:
        result: object = solver(problem)
    except TypeError as error:
        if not is_call_error(error):
            raise
        raise InputError(
            "method", f"must be a solver, got {format_value(method)} ({error})", "use method='auto'"
        ) from error
    if not isinstance(result, Result):
        name = type(result).__name__
        raise InputError(
            "method", f"must return a Result, got {name}", "return otdist.solvers.answer.make_result"
        )
    return warn_or_raise(result, on_fail)


def warn_or_raise(result: Result, on_fail: OnFail) -> Result:
    """Warn or raise if a result did not reach its goal."""
    if not result.converged:
        if on_fail == "raise":
            result.require_converged()
        warnings.warn(f"{result.message} Proved: {result}", ConvergenceWarning, stacklevel=caller_level())
    return result
