"""Results of unbalanced problems, from their solvers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.gradient import with_array_gradients, with_transport_gradient
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.answer import describe, describe_omitted, evaluate_critic, widen_for_unit
from otdist.solvers.mass_sums import sum_by_place
from otdist.solvers.unbalanced.quick import QuickUnbalanced
from otdist.typing import Array, ArrayInput, Inputs

if TYPE_CHECKING:
    from typing import TypedDict

    from otdist.solvers.answer import Description
    from otdist.solvers.unbalanced.augmented import AugmentedProblem, Exact

    class Label(TypedDict):
        """Name and figures of a result."""

        name: str
        info: dict[str, object]


Potentials = Callable[[], tuple[Array, Array]]

ROUNDING_TOO_LARGE = "float64 cannot prove this cost to 1e-9, tiny as it is beside others: use the interval."
NO_COST_MATRIX = "Time was up before the costs of all pairs were computed: raise max_seconds."
NO_SECOND_DERIVATIVES_KL = (
    "second derivatives of unbalanced_w1 with penalty='kl' are not computed",
    "use penalty='tv', or otdist.learn.divergence with reach",
)
GAP_AT_LIMIT = "The proved gap is {:.1e}, not {:.1e}: raise tol, max_iter or max_seconds."
GAP_AT_ROUNDING = "The proved gap is {:.1e}, not {:.1e}, and float64 cannot prove a smaller one: raise tol."


def solve_tv(
    problem: Problem, masses: tuple[Array, Array], inputs: Inputs, reach: float, label: Label
) -> Result:
    """Solve with the penalty "tv": mass is left behind or created at the price ``reach**p``."""
    from otdist.solvers.unbalanced.augmented import AugmentedProblem

    price = float(reach) ** problem.p
    try:
        solved = AugmentedProblem.of(problem, exact_masses(masses, inputs), reach=reach)
    except OutOfTimeError:
        return _quick_result(problem, QuickUnbalanced.with_tv_penalty(problem, masses, price), inputs, label)
    potentials = partial(solved.potentials, price)
    result = _result(problem, solved, potentials, label, exact=samples_coincide(problem, masses))
    if problem.metric.triangle and problem.p == 1:
        result = change(result, _extend=partial(_flat_critic, solved.problem, price))
    return with_transport_gradient(result, problem, inputs, potentials)


def _flat_critic(problem: Problem, price: float, g: Array, z: ArrayInput) -> Array:
    return np.asarray(np.minimum(evaluate_critic(problem, g, z), price))


def solve_partial(
    problem: Problem, masses: tuple[Array, Array], inputs: Inputs, moved: float | None, label: Label
) -> Result:
    """Solve partial transport: move a given mass at the least cost."""
    from otdist.solvers.unbalanced.augmented import AugmentedProblem

    try:
        solved = AugmentedProblem.of(problem, exact_masses(masses, inputs), moved=moved)
    except OutOfTimeError:
        label["info"]["reach"] = math.inf
        return _quick_result(problem, QuickUnbalanced.with_fixed_mass(problem, masses, moved), inputs, label)
    price = solved.marginal_price
    potentials = partial(solved.potentials, price)
    label["info"]["reach"] = price ** (1 / problem.p)
    result = _result(problem, solved, potentials, label)

    def prices() -> tuple[Array, Array]:
        f, g = potentials()
        return f - price, g - price  # derivative in the mass of one side, at fixed transported mass

    return with_transport_gradient(result, problem, inputs, prices)


def _quick_result(problem: Problem, solved: QuickUnbalanced, inputs: Inputs, label: Label) -> Result:
    """Make the Result if there was no time for the costs of all pairs."""
    label["info"] |= {"moved": float(solved.make_plan().data.sum())} | describe_omitted(problem)
    result = Result(
        solved.upper,
        solved.lower,
        solved.upper,
        "quick",
        converged=False,
        message=NO_COST_MATRIX,
        _make_plan=solved.make_plan,
        _make_potentials=solved.potentials,
        info=label["info"],
        **_describe(problem, label),
    )
    return with_transport_gradient(result, problem, inputs, solved.potentials)


def _result(
    problem: Problem, solved: AugmentedProblem, potentials: Potentials, label: Label, exact: bool = False
) -> Result:
    value, lower, upper = (0.0, 0.0, 0.0) if exact else solved.interval
    lower, upper = widen_for_unit(problem, lower, upper)
    result = solved.result
    label["info"] |= {"moved": float(solved.make_plan().data.sum())} | describe_omitted(problem)
    return Result(
        value,
        lower,
        max(upper, value),
        result.method,
        converged=solved.finished,
        message="" if solved.finished else result.message or ROUNDING_TOO_LARGE,
        _make_plan=solved.make_plan,
        _make_potentials=potentials,
        info=label["info"],
        **_describe(problem, label),
    )


def _describe(problem: Problem, label: Label) -> Description:
    facts = describe(problem)
    facts["name"] = label["name"]
    return facts


def solve_kl(
    problem: Problem,
    masses: tuple[Array, Array],
    inputs: Inputs,
    reach: float,
    max_iter: int,
    label: Label,
) -> Result:
    """Solve with the penalty "kl": relative entropy of the marginals."""
    from otdist.solvers.divergence.term import StoppingRule
    from otdist.solvers.unbalanced.kl import make_unbalanced_kl  # numba is loaded when it is needed

    deadline = Deadline(problem.max_seconds)
    try:
        with deadline.enforce():
            solved = make_unbalanced_kl(problem, masses, reach)
    except OutOfTimeError:
        quick = QuickUnbalanced.with_kl_penalty(problem, masses, float(reach) ** problem.p)
        return _quick_result(problem, quick, inputs, label)
    finished = solved.solve(problem.tol, StoppingRule(1e-2, max_iter, deadline))
    lower, upper = (bound * solved.term.unit for bound in solved.bounds)
    if samples_coincide(problem, masses):
        lower, upper, finished = 0.0, 0.0, True
    assert solved.plan is not None
    label["info"] |= {"moved": solved.plan.carried, "iterations": solved.iterations} | describe_omitted(
        problem
    )
    gap = (upper - lower) / upper if upper > 0 else 0.0
    at_limit = solved.iterations >= max_iter or deadline.is_over()
    reason = (GAP_AT_LIMIT if at_limit else GAP_AT_ROUNDING).format(gap, problem.tol)
    result = Result(
        upper,
        lower,
        upper,
        solved.method,
        converged=finished,
        message="" if finished else reason,
        _make_plan=solved.make_plan,
        _make_potentials=solved.potentials,
        info=label["info"],
        **_describe(problem, label),
    )

    def of_weights() -> tuple[Array, Array]:
        price = float(reach) ** problem.p
        f, g = (-price * np.expm1(-np.nan_to_num(side) / price) for side in solved.potentials())
        return np.ldexp(f, -problem.exponent), np.ldexp(g, -problem.exponent)

    return with_array_gradients(
        result,
        problem,
        inputs,
        solved.point_gradients,
        of_weights,
        normalised=False,
        refusal=NO_SECOND_DERIVATIVES_KL,
    )


def exact_masses(masses: tuple[Array, Array], inputs: Inputs) -> tuple[Exact, Exact]:
    """Return exact masses: the caller's weights, or uniform ones of total 1."""
    fractions = []
    for side, w in enumerate(masses):
        own = inputs[2 + side] is not None
        fractions.append(tuple(Fraction(float(v)) if own else Fraction(1, len(w)) for v in w))
    return fractions[0], fractions[1]


def samples_coincide(problem: Problem, masses: tuple[Array, Array]) -> bool:
    """Whether both samples have the same mass at every location, so that the cost is 0."""
    if (
        problem.metric.pairs is None
    ):  # the costs of an arbitrary function may be positive at coincident points
        return False
    # Comparing the first column is mostly sufficient, without sorting rows.
    left, right = (np.unique(z[w > 0, 0]) for z, w in zip((problem.x, problem.y), masses, strict=True))
    if not np.array_equal(left, right):
        return False
    points = np.concatenate([problem.x, problem.y])
    _, places = np.unique(points, axis=0, return_inverse=True)
    n, places = len(problem.x), places.ravel()
    sums = sum_by_place(*masses, places[:n], places[n:], int(places.max()) + 1, whole=False)
    return sums.error == 0 and not sums.net.any()
