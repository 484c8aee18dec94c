"""From a solver's arrays to the caller's Result: units, left-out rows, names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.metrics.base import row_blocks
from otdist.problem import Problem
from otdist.result import Result

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Array = NDArray[np.float64]
Index = NDArray[np.intp]
MANY = 2**26  # pairs from which compiled code is worth loading
PROVED = 1e-9  # relative gap below which a result counts as exact
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
    **extra: Any,
) -> Result:
    """Build a Result from costs on the problem's scale.

    Parameters
    ----------
    problem : Problem
        The question.
    method : str
        Name of the solver.
    interval : (float, float, float)
        Transport cost, proved lower and proved upper bound, per unit of mass.
    exponent : int
        The points were divided by ``2**exponent`` for these costs, beyond the problem's scale.
    plan : callable, optional
        Makes (rows, cols, mass) in the problem's rows and masses.
    potentials : callable, optional
        Makes (f, g) on the problem's scale.
    converged : bool
        Whether the solver reached its goal.
    goal : float, optional
        Relative gap that this calls for. None: the problem's, and PROVED for exact ones.
    **extra
        ``message`` and ``info``.
    """
    value, lower, upper = (problem.answer(cost, exponent) for cost in interval)
    upper = problem.sharp(upper)
    dual = problem.metric.triangle and problem.p == 1 and potentials is not None
    info = dict(extra.pop("info", {}))
    goal = max(PROVED, problem.tol) if goal is None else goal
    if converged and upper - lower > goal * upper:
        converged = False
        extra["message"] = (
            "float64 cannot prove this distance to 1e-9, tiny as it is beside the extent of the data: "
            "use the interval."
        )
    if any(problem.omitted):
        info["omitted"] = problem.omitted
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
        _extend=partial(critic_at, problem) if dual else None,
        **extra,
    )


def describe(problem: Problem) -> dict[str, Any]:
    """Name, metric and sizes of the question."""
    distance = problem.rooted and problem.metric.triangle
    precomputed = problem.metric.name == "precomputed"
    return {
        "name": f"W{problem.p:g}" if distance else "EMD",
        "metric": problem.metric.name,
        "n": problem.shape[0],
        "m": problem.shape[1],
        "d": 0 if precomputed else problem.d,
    }


def _plan_of_all(problem: Problem, plan: Plan) -> coo_array:
    from scipy.sparse import coo_array

    rows, cols, mass = plan()
    rows = rows if problem.rows is None else problem.rows[rows]
    cols = cols if problem.cols is None else problem.cols[cols]
    return coo_array((mass / problem.mass, (rows, cols)), shape=problem.shape)


def _potentials_of_all(problem: Problem, potentials: Potentials) -> tuple[Array, Array]:
    f, g = potentials()
    # The pair may be shifted against each other; this choice makes both totals equal.
    shift = (float(f @ problem.a) - float(g @ problem.b)) / (2 * problem.mass)
    f, g = f - shift, g + shift
    if problem.rows is not None or problem.cols is not None:
        f, g = with_left_out(problem, f, g)
    return np.asarray(problem.cost_units(f)), np.asarray(problem.cost_units(g))


def with_left_out(problem: Problem, f: Array, g: Array) -> tuple[Array, Array]:
    """Extend potentials to rows without mass by c-transforms; missing rows get NaN."""
    x, y = (problem.moved(points) for points in problem.given)
    all_f, all_g = np.full(len(x), np.nan), np.full(len(y), np.nan)
    all_f[slice(None) if problem.rows is None else problem.rows] = f
    all_g[slice(None) if problem.cols is None else problem.cols] = g
    absent = np.flatnonzero(np.isnan(all_f) & np.isfinite(x).all(axis=1))
    all_f[absent] = least(problem, x[absent], problem.y, g)
    known = np.isfinite(all_f)
    absent = np.flatnonzero(np.isnan(all_g) & np.isfinite(y).all(axis=1))
    all_g[absent] = least(problem, y[absent], x[known], all_f[known], flip=True)
    return all_f, all_g


def least(problem: Problem, points: Array, others: Array, potential: Array, flip: bool = False) -> Array:
    """``min_j cost(points_i, others_j) - potential_j``, in blocks; flip: costs from others to points."""
    if len(points) * len(others) >= MANY:
        from otdist.solvers.sparse.pricing import kernel, least_costs  # numba is loaded when it is needed

        kind = kernel(problem)
        if kind is not None:
            return least_costs(points, others, potential, kind)
    out = np.empty(len(points))
    for rows in row_blocks(len(points), len(others)):
        block = points[rows]
        cost = problem.costs(others, block).T if flip else problem.costs(block, others)
        out[rows] = np.min(cost - potential, axis=1)
    return out


def critic_at(problem: Problem, g: Array, z: ArrayLike) -> Array:
    """Extend the second potential, in the caller's units and rows, to any points z."""
    present = g if problem.cols is None else g[problem.cols]
    scaled = np.ldexp(present, -problem.exponent * problem.degree)
    return np.asarray(problem.cost_units(least(problem, problem.place(z), problem.y, scaled)))
