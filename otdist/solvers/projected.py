"""From distances along directions to a Result in the caller's units."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.gradient import with_slopes
from otdist.problem import Problem
from otdist.result import Result, SlicedResult
from otdist.solvers.answer import critic_at, describe
from otdist.solvers.slopes import slopes_along

Array = NDArray[np.float64]


def projected(problem: Problem, direction: Array) -> Problem:
    """The problem on the line: projections on one direction, left-out rows included."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is left out may be anywhere
        given = tuple(
            np.ldexp(problem.moved(z) @ direction, problem.exponent)[:, None] for z in problem.given
        )
    return replace(
        problem,
        x=(problem.x @ direction)[:, None],
        y=(problem.y @ direction)[:, None],
        centre=None,
        given=(given[0], given[1]),
    )


def sliced_result(
    problem: Problem,
    ends: tuple[float, float, float],
    found: tuple[Array, Array],
    *,
    info: dict[str, Any],
    seen: Result | None = None,
    **extra: Any,
) -> SlicedResult:
    """Build a result from value, bounds, directions and distances on the problem's scale.

    ``seen``: the result on one direction, whose plan and potentials become those of the answer. A
    projection moves no two points apart, so the potentials are feasible in the space as well.
    """
    unit = replace(problem, p=1.0)  # what is scaled back is a distance
    value, lower, upper = (unit.answer(end) for end in ends)
    with np.errstate(over="ignore"):
        distances = np.ldexp(found[1], problem.exponent)
    if any(problem.omitted):
        info["omitted"] = problem.omitted
    if seen is not None:
        extra |= {"_make_plan": seen._make_plan, "_make_potentials": seen._make_potentials}
        extra["_extend"] = partial(critic_at, problem) if problem.p == 1 else None
    return SlicedResult(
        value=value,
        lower=min(lower, value),
        upper=max(unit.sharp(upper), value),
        directions=found[0],
        distances=distances,
        info=info,
        **{**describe(problem), **extra},
    )


def unknown(problem: Problem, given: tuple[Any, Any, Any, Any], **label: Any) -> SlicedResult:
    """Answer NaN where a value is missing, as nan_policy="propagate" asks."""
    nothing = np.full((1, problem.d), math.nan), np.full(1, math.nan)
    message = "A value is missing, and nan_policy='propagate' asks for NaN."
    result = sliced_result(problem, (math.nan,) * 3, nothing, info={}, message=message, **label)
    return with_slopes(result, problem, given, *slopes_along(problem, *nothing, math.nan))
