"""Results in the caller's units, from distances along directions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from otdist.gradient import with_gradient
from otdist.problem import Problem
from otdist.result import Result, SlicedResult
from otdist.solvers.answer import MISSING_VALUE, describe, describe_omitted, evaluate_critic, widen_for_unit
from otdist.typing import Array, Inputs


def project_problem(problem: Problem, direction: Array) -> Problem:
    """Project a problem on one direction, including left-out rows."""
    with np.errstate(invalid="ignore", over="ignore"):  # left-out rows may be anywhere
        points = tuple(
            np.ldexp(problem.shift_and_scale(z) @ direction, problem.exponent)[:, None]
            for z in problem.caller_points
        )
    return replace(
        problem,
        x=(problem.x @ direction)[:, None],
        y=(problem.y @ direction)[:, None],
        centre=None,
        caller_points=(points[0], points[1]),
    )


def sliced_result(
    problem: Problem,
    ends: tuple[float, float, float],
    directions_and_distances: tuple[Array, Array],
    *,
    info: dict[str, Any],
    best_result: Result | None = None,
    **extra: Any,
) -> SlicedResult:
    """Build a result from value, bounds, directions and distances on the problem's scale.

    ``best_result``: the result on one direction, which provides plan and potentials. A projection is
    1-Lipschitz, so the potentials are feasible for the points as well.
    """
    unit = replace(problem, p=1.0)  # a distance is scaled back
    value, lower, upper = (unit.to_distance(end) for end in ends)
    lower, upper = widen_for_unit(problem, lower, upper)
    with np.errstate(over="ignore"):
        distances = np.asarray(unit.to_caller_costs(directions_and_distances[1]))
    info |= describe_omitted(problem)
    if best_result is not None:
        extra |= {"_make_plan": best_result._make_plan, "_make_potentials": best_result._make_potentials}
        extra["_extend"] = partial(evaluate_critic, problem) if problem.p == 1 else None
    return SlicedResult(
        value=value,
        lower=min(lower, value),
        upper=max(unit.widen_upper(upper), value),
        directions=directions_and_distances[0],
        distances=distances,
        info=info,
        **{**describe(problem), **extra},
    )


def missing_value_result(problem: Problem, inputs: Inputs, **label: Any) -> SlicedResult:
    """Return NaN for a missing value, with nan_policy="propagate"."""
    nothing = np.full((1, problem.d), math.nan), np.full(1, math.nan)
    result = sliced_result(problem, (math.nan,) * 3, nothing, info={}, message=MISSING_VALUE, **label)
    return with_gradient(result, problem, inputs)
