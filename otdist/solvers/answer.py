"""Conversion of a solver's arrays to a Result: units, left-out rows, names."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.metrics.base import make_row_blocks
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import NO_DEADLINE
from otdist.typing import Array, ArrayInput, Cells, Index, OnInterval

if TYPE_CHECKING:
    from typing import TypedDict

    from scipy.sparse import coo_array

    class Description(TypedDict):
        """Name, metric and sizes of a problem, as arguments of :class:`Result`."""

        name: str
        metric: str
        n: int
        m: int
        d: int
        unit: str


MIN_PAIRS_COMPILED = 2**26  # pairs from which loading compiled code pays
MISSING_VALUE = "A value is missing, and nan_policy='propagate' asks for NaN."
EXACT_GAP = 1e-9  # largest relative gap of a result that counts as exact
Plan = Callable[[], tuple[Index, Index, Array]]
Potentials = Callable[[], tuple[Array, Array]]


def make_result(
    problem: Problem,
    method: str,
    interval: tuple[float, float, float],
    *,
    exponent: int = 0,
    plan: Plan | None = None,
    potentials: Potentials | None = None,
    converged: bool = True,
    goal: float | None = None,
    distances_rounded: bool = True,
    message: str = "",
    info: Mapping[str, object] | None = None,
) -> Result:
    """Build a Result from costs on the problem's scale.

    Parameters
    ----------
    problem : Problem
        The problem.
    method : str
        Name of the solver.
    interval : (float, float, float)
        Transport cost, proved lower and proved upper bound, per unit of mass.
    exponent : int
        The points were divided by ``2**exponent`` for these costs, beyond the problem's scale.
    plan : callable, optional
        Returns (rows, cols, mass) in the problem's rows and masses.
    potentials : callable, optional
        Returns (f, g) on the problem's scale.
    converged : bool
        Whether the solver reached its goal.
    goal : float, optional
        Relative gap that ``converged`` requires. None: the problem's tolerance, at least ``EXACT_GAP``.
    distances_rounded : bool
        Whether the bounds have to be widened by ``metric.error``.
    message : str
        One sentence for a person.
    info : mapping, optional
        Figures of the solver.
    """
    value = problem.to_distance(interval[0], exponent)
    lower, upper = problem.to_distance_interval(interval[1], interval[2], exponent)
    upper = problem.widen_upper(upper)
    if distances_rounded:
        lower, upper = problem.widen(lower, upper)
    lower, upper = widen_for_unit(problem, lower, upper)
    dual = problem.metric.triangle and problem.p == 1 and potentials is not None
    info = {**(info or {}), **describe_omitted(problem)}
    goal = max(EXACT_GAP, problem.tol) if goal is None else goal
    if converged and math.isinf(upper) and math.isfinite(value):
        converged = False
        message = "The upper bound exceeds the largest float64: use a larger unit of length."
    elif converged and upper - lower > goal * upper:
        converged = False
        message = (
            "float64 cannot prove this distance to 1e-9, tiny as it is beside the extent of the data: "
            "use the interval."
        )
    return Result(
        value=min(max(value, lower), upper),
        lower=min(lower, value),
        upper=max(upper, value),
        method=method,
        converged=converged,
        **describe(problem),
        info=info,
        _make_plan=None if plan is None else partial(_plan_of_all, problem, plan),
        _make_potentials=None if potentials is None else partial(_potentials_of_all, problem, potentials),
        _extend=partial(evaluate_critic, problem) if dual else None,
        message=message,
    )


def make_fixed_result(
    problem: Problem, *, name: str | None = None, info: Mapping[str, object] | None = None
) -> Result:
    """Make the result of a problem that needs no solver: NaN for a missing value, or infinity."""
    value = math.nan if problem.fixed_value is None else problem.fixed_value
    message = MISSING_VALUE if math.isnan(value) else "Mass must travel to infinity."
    info = {**(info or {}), **describe_omitted(problem)}
    label = describe(problem)
    label["name"] = label["name"] if name is None else name
    return Result(value, value, value, "none", message=message, info=info, **label)


def make_observer(on_interval: OnInterval | None) -> Callable[[Result], None]:
    """Return a function of results that calls ``on_interval`` with each interval narrower than the last."""
    if on_interval is None:
        return lambda result: None
    start, last = time.monotonic(), math.inf

    def observe(result: Result) -> None:
        nonlocal last
        width = result.upper - result.lower
        if not width >= last:
            last = width
            with NO_DEADLINE.enforce():  # that of the call is not one of the caller's own work
                on_interval(result.lower, result.upper, time.monotonic() - start)

    return observe


def widen_for_unit(problem: Problem, lower: float, upper: float) -> tuple[float, float]:
    """Widen an interval by the rounding of its conversion to the unit of the answer."""
    if problem.conversion.scale == 1:
        return lower, upper
    return lower - 4 * UNIT_ROUNDOFF * abs(lower), upper + 4 * UNIT_ROUNDOFF * abs(upper)


def describe(problem: Problem) -> Description:
    """Return name, metric and sizes of the problem."""
    distance = problem.rooted and problem.metric.triangle
    precomputed = problem.metric.name == "precomputed"
    return {
        "name": f"W{problem.p:g}" if distance else "EMD",
        "metric": problem.metric.name,
        "n": problem.shape[0],
        "m": problem.shape[1],
        "d": 0 if precomputed else problem.d,
        "unit": _unit(problem),
    }


def describe_omitted(problem: Problem) -> dict[str, object]:
    """Return the numbers of rows left out because of missing values, for ``Result.info``."""
    return {"omitted": problem.omitted} if any(problem.omitted) else {}


def _unit(problem: Problem) -> str:
    """Unit of the answer: a power of the metric's or the points' unit; none for shares and functions."""
    metric = problem.metric
    name = metric.unit or problem.conversion.name
    power = float(metric.degree or bool(metric.unit) or metric.name == "periodic")
    power *= 1 if problem.rooted else problem.p
    return name if power == 1 else f"{name}^{power:g}" if name and power else ""


def _plan_of_all(problem: Problem, plan: Plan) -> coo_array:
    rows, cols, mass = plan()
    return make_sparse_plan(problem, (rows, cols, mass / problem.mass))


def make_sparse_plan(problem: Problem, cells: Cells) -> coo_array:
    """Make a plan of the caller's rows, as a sparse array, from its cells in those of the problem."""
    from scipy.sparse import coo_array

    rows, cols, mass = cells
    return coo_array((mass, problem.to_caller_rows(rows, cols)), shape=problem.shape)


def _potentials_of_all(problem: Problem, potentials: Potentials) -> tuple[Array, Array]:
    f, g = potentials()
    # The pair is determined up to a shift; this choice makes both totals equal.
    with np.errstate(over="ignore", invalid="ignore"):  # where costs exceed float64, so do potentials
        shift = float(f @ (problem.a / problem.mass)) / 2 - float(g @ (problem.b / problem.mass)) / 2
        f, g = f - shift, g + shift
    if problem.rows is not None or problem.cols is not None:
        f, g = extend_to_left_out(problem, f, g)
    return np.asarray(problem.to_caller_costs(f)), np.asarray(problem.to_caller_costs(g))


def extend_to_left_out(problem: Problem, f: Array, g: Array) -> tuple[Array, Array]:
    """Extend potentials to rows without mass by c-transforms; missing rows get NaN."""
    x, y = (problem.shift_and_scale(points) for points in problem.caller_points)
    all_f, all_g = problem.fill_left_out(f, 0), problem.fill_left_out(g, 1)
    absent = np.flatnonzero(np.isnan(all_f) & np.isfinite(x).all(axis=1))
    all_f[absent] = c_transform_of_points(problem, x[absent], problem.y, g)
    known = np.isfinite(all_f)
    absent = np.flatnonzero(np.isnan(all_g) & np.isfinite(y).all(axis=1))
    all_g[absent] = c_transform_of_points(problem, y[absent], x[known], all_f[known], flip=True)
    return all_f, all_g


def c_transform_of_points(
    problem: Problem, points: Array, others: Array, potential: Array, flip: bool = False
) -> Array:
    """Compute ``min_j cost(points_i, others_j) - potential_j``; flip: costs from others to points."""
    if len(points) * len(others) >= MIN_PAIRS_COMPILED:
        from otdist.solvers.pairs.point_costs import (  # numba is loaded when it is needed
            c_transform_any_order,
            cost_kernel,
        )

        kind = cost_kernel(problem)
        if kind is not None:
            return c_transform_any_order(points, others, potential, kind)
    out = np.empty(len(points))
    for rows in make_row_blocks(len(points), len(others)):
        block = points[rows]
        cost = problem.costs(others, block).T if flip else problem.costs(block, others)
        with np.errstate(over="ignore"):  # where costs exceed float64, so do potentials
            out[rows] = np.min(cost - potential, axis=1)
    return out


def evaluate_critic(problem: Problem, g: Array, z: ArrayInput) -> Array:
    """Extend the second potential, in the caller's units and rows, to any points z."""
    present = g if problem.cols is None else g[problem.cols]
    scaled = problem.from_caller_costs(present)
    return np.asarray(
        problem.to_caller_costs(c_transform_of_points(problem, problem.transform(z), problem.y, scaled))
    )
