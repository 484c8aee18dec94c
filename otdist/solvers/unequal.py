"""From the solvers of unbalanced problems to a Result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.gradient import with_plan_and_prices, with_slopes
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.answer import critic_at, describe

if TYPE_CHECKING:
    from scipy.sparse import coo_array

    from otdist.solvers.augmented import Augmented
    from otdist.solvers.softened import Softening

Array = NDArray[np.float64]
Given = tuple[Any, Any, Any, Any]
Label = dict[str, Any]  # name and info of the result
Potentials = Callable[[], tuple[Array, Array]]

MISSING = "A value is missing, and nan_policy='propagate' asks for NaN."
STOPPED = "The proved gap is {:.1e}, not {:.1e}: raise tol, max_iter or max_seconds."


def at_price(
    problem: Problem, masses: tuple[Array, Array], given: Given, reach: float, label: Label
) -> Result:
    """Leave mass behind, or create it, at the price ``reach**p``."""
    from otdist.solvers.augmented import Augmented

    made = Augmented.of(problem, masses, reach=reach)
    price = float(reach) ** problem.p
    potentials = partial(made.potentials, price)
    result = _result(problem, made, potentials, label)
    if problem.metric.triangle and problem.p == 1:
        result = replace(result, _extend=partial(_flat_critic, made.problem, price))
    return with_plan_and_prices(result, problem, given, potentials)


def _flat_critic(problem: Problem, price: float, g: Array, z: ArrayLike) -> Array:
    return np.asarray(np.minimum(critic_at(problem, g, z), price))


def partially(
    problem: Problem, masses: tuple[Array, Array], given: Given, moved: float, label: Label
) -> Result:
    """Move a given mass as cheaply as possible."""
    from otdist.solvers.augmented import Augmented

    made = Augmented.of(problem, masses, moved=moved)
    price = made.price
    potentials = partial(made.potentials, price)
    label["info"]["reach"] = price ** (1 / problem.p)
    result = _result(problem, made, potentials, label)

    def prices() -> tuple[Array, Array]:
        f, g = potentials()
        return f - price, g - price  # more mass of one side, of which no more may travel

    return with_plan_and_prices(result, problem, given, prices)


def _result(problem: Problem, made: Augmented, potentials: Potentials, label: Label) -> Result:
    value, lower, upper = made.interval
    found = made.found
    label["info"] |= {"moved": float(made.plan.data.sum())} | _omitted(problem)
    return Result(
        value,
        lower,
        max(upper, value),
        found.method,
        converged=made.finished,
        message="" if made.finished else found.message,
        _make_plan=_PlanOf(made),
        _make_potentials=potentials,
        **{**describe(problem), **label},
    )


class _PlanOf:
    """Makes a plan when asked; an object, so that results can be pickled."""

    def __init__(self, made: Augmented | Softening) -> None:
        self.made = made

    def __call__(self) -> coo_array:
        from scipy.sparse import coo_array

        from otdist.solvers.softened import Softening

        if not isinstance(self.made, Softening):
            return self.made.plan
        mass, rows, cols = self.made.written()
        return coo_array((mass, (rows, cols)), shape=self.made.term.problem.shape)


def softly(
    problem: Problem,
    masses: tuple[Array, Array],
    given: Given,
    reach: float,
    max_iter: int,
    label: Label,
) -> Result:
    """Draw the marginals to the weights by relative entropy."""
    from otdist.solvers.softened import softening  # numba is loaded when it is needed
    from otdist.solvers.terms import Goal

    deadline = None if problem.max_seconds is None else time.monotonic() + problem.max_seconds
    made = softening(problem, masses, reach)
    finished = made.solve(problem.tol, Goal(1e-2, max_iter, deadline))
    lower, upper = (bound * made.term.unit for bound in made.bounds)
    assert made.plan is not None
    label["info"] |= {"moved": made.plan.carried, "iterations": made.iterations} | _omitted(problem)
    gap = (upper - lower) / upper if upper > 0 else 0.0
    result = Result(
        upper,
        lower,
        upper,
        "sinkhorn",
        converged=finished,
        message="" if finished else STOPPED.format(gap, problem.tol),
        _make_plan=_PlanOf(made),
        _make_potentials=made.potentials,
        **{**describe(problem), **label},
    )

    def of_weights() -> tuple[Array, Array]:
        price = float(reach) ** problem.p
        f, g = (-price * np.expm1(-np.nan_to_num(side) / price) for side in made.potentials())
        return np.ldexp(f, -problem.exponent), np.ldexp(g, -problem.exponent)

    return with_slopes(result, problem, given, made.pulls, of_weights, normalised=False)


def _omitted(problem: Problem) -> dict[str, Any]:
    return {"omitted": problem.omitted} if any(problem.omitted) else {}


def unknown(problem: Problem, given: Given, **label: Any) -> Result:
    """Answer NaN where a value is missing, as nan_policy="propagate" asks."""
    label["info"] |= _omitted(problem)
    result = Result(math.nan, math.nan, math.nan, "none", message=MISSING, **{**describe(problem), **label})
    return with_plan_and_prices(result, problem, given, lambda: (None, None))
