"""Exact transport between the marginals of a KL penalty, and the bounds that it proves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import Deadline
from otdist.solvers.costs import cost_rounding
from otdist.solvers.divergence.term import EntropicTerm
from otdist.solvers.entropic.iteration import KLProx
from otdist.solvers.mass_sums import sum_by_place
from otdist.solvers.solve import choose
from otdist.typing import Array, Cells, Index

SERIES_RADIUS, SERIES_TERMS = 0.05, 14  # of the series of the relative entropy
MIN_MARGINAL_SHARE = 2.0**-900  # smaller shares of the mass are not passed to an exact solver


class KLPlan(NamedTuple):
    """Entropic plan times a factor, and its objective.

    ``cells``: rows, columns and masses of an exact plan.
    """

    f: Array
    g: Array
    eps: float
    factor: float
    price: float
    carried: float
    cells: Cells | None = None


class KLDual(NamedTuple):
    """Feasible potentials, and the lower bound that they prove."""

    f: Array
    g: Array
    bound: float


def transport_between_marginals(
    term: EntropicTerm, rho: float, f: Array, g: Array, deadline: Deadline
) -> tuple[KLPlan, Array, str] | None:
    """Solve exact transport between the optimal marginals of potentials: plan, potentials and method.

    None if these marginals are out of range, or no time is left.
    """
    seconds = deadline.seconds_left if deadline.is_finite else None
    if seconds is not None and seconds <= 0:
        return None
    problem, prepared = term.problem, term.prepared
    # In exact arithmetic these have equal totals; their float64 rounding is part of the mass error.
    logs = -f / rho, KLProx(rho, even=True).imbalance(term.a, term.b, f, g) - g / rho
    with np.errstate(over="ignore"):
        rows, cols = term.a * np.exp(logs[0]), term.b * np.exp(logs[1])
    total = math.fsum(rows)
    if not total < math.inf or min(rows.min(), cols.min()) < total * MIN_MARGINAL_SHARE:
        return None
    masses = prepared.to_rows(rows / total, cols / math.fsum(cols))
    exact_problem = replace(problem, rooted=False, tol=0.0, max_seconds=seconds, progress=False)
    result = _solve_exactly(exact_problem, *masses)
    assert result.plan is not None and result.potentials is not None
    cost = result.upper / term.unit * total * (1 + 64 * UNIT_ROUNDOFF)
    factor, price = best_multiple(term, rho, logs, cost)
    i, j = (index.astype(np.intp) for index in result.plan.coords)
    mass = total * result.plan.data
    column = result.potentials[1]
    if problem.rows is not None:
        i = np.searchsorted(problem.rows, i).astype(np.intp)
    if problem.cols is not None:
        j, column = np.searchsorted(problem.cols, j).astype(np.intp), column[problem.cols]
    as_written = best_multiple_of_cells(term, rho, i, j, mass)
    if as_written[1] < price:
        factor, price = as_written
    plan = KLPlan(f, g, math.inf, factor, price, factor * total, (i, j, factor * mass))
    return plan, column[prepared.cols] / term.unit, result.method


def best_multiple_of_cells(
    term: EntropicTerm, rho: float, i: Index, j: Index, mass: Array
) -> tuple[float, float]:
    """Return the best factor of a plan by cells, and its objective with its float64 marginals."""
    prepared = term.prepared
    places = prepared.to_rows(np.arange(len(term.a)), np.arange(len(term.b)))
    rows, cols = places[0][i], places[1][j]
    sums = np.bincount(rows, mass, len(term.a)), np.bincount(cols, mass, len(term.b))
    with np.errstate(divide="ignore"):
        logs = np.log(sums[0] / term.a), np.log(sums[1] / term.b)
    cost = math.fsum(mass * prepared.ground.costs(rows, cols)) * (
        1 + 2 * cost_rounding(term.problem) + 4 * UNIT_ROUNDOFF
    )
    many = max(int(np.bincount(rows).max()), int(np.bincount(cols).max()))
    return best_multiple(
        term, rho, logs, cost + prepared.entry_error * math.fsum(mass), (8 + many) * UNIT_ROUNDOFF
    )


def balance_components(term: EntropicTerm, rho: float, plan: KLPlan, dual: KLDual) -> Array:
    """Shift the columns' potentials so that both marginals of each component of the plan have one mass.

    Transport does not determine the shifts of the components' potentials against each other; the penalties
    do.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    assert plan.cells is not None
    n, m = len(term.a), len(term.b)
    i, j, _ = plan.cells
    graph = coo_array((np.ones(len(i)), (i, n + j)), (n + m, n + m))
    count, labels = connected_components(graph, directed=False)
    part: Index = np.asarray(labels, dtype=np.intp)
    if count == 1:
        return dual.g
    rows, cols = part[:n][term.prepared.rows], part[n:][term.prepared.cols]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # For marginals near the masses, differences are computed before rounding.
        change = [
            np.bincount(at, w * np.expm1(-q / rho), count)
            for at, w, q in ((rows, term.a, dual.f), (cols, term.b, dual.g))
        ]
        net = sum_by_place(term.a, term.b, rows, cols, count, whole=False).net
        below = np.bincount(cols, term.b * np.exp(-dual.g / rho), count)
        shift = rho / 2 * np.log1p((net + change[0] - change[1]) / below)
    far = term.prepared.ground.extent + float(np.ptp(dual.g))  # larger shifts would join components
    return dual.g - np.clip(np.nan_to_num(shift, posinf=0.0, neginf=0.0), -far, far)[cols]


def _solve_exactly(problem: Problem, a: Array, b: Array) -> Result:
    """Solve exact transport between the points of a problem, with masses of total 1."""
    error = abs(math.fsum([*a, *-b])) + 32 * UNIT_ROUNDOFF
    inner = replace(problem, a=a, b=b, mass=1.0, whole=False, mass_error=error)
    return choose("auto", inner, {})(inner)


def best_multiple(
    term: EntropicTerm, rho: float, logs: tuple[Array, Array], cost: float, error: float = 0.0
) -> tuple[float, float]:
    """Return the best factor of a plan, and its objective with this factor.

    Parameters
    ----------
    term : EntropicTerm
        Samples with their masses.
    rho : float
        Weight of the penalties.
    logs : (ndarray, ndarray)
        Logarithms of the plan's marginals relative to the masses.
    cost : float
        Upper bound of its cost.
    error : float
        Absolute error of the logarithms, besides the relative one.

    Notes
    -----
    The penalty of a row is ``a h(r / a - 1)`` with ``h(x) = (1 + x) log(1 + x) - x``, about ``x**2 / 2``.
    If penalties are far above the cost, marginals are close to the masses, and only this form is accurate.
    """
    weights = term.a, term.b
    nothing = rho * float(term.a.sum() + term.b.sum()) * (1 + 4 * UNIT_ROUNDOFF)
    with np.errstate(over="ignore", invalid="ignore"):
        carried = [w * np.exp(log) for w, log in zip(weights, logs, strict=True)]
        total = sum(float(mass.sum()) for mass in carried) / 2
        gains = sum(float(mass @ _clear_infinite(log)) for mass, log in zip(carried, logs, strict=True))
    if not (0 < total < math.inf and math.isfinite(gains)):
        return 0.0, nothing
    shift = min(-(cost / rho + gains) / (2 * total), 500.0)
    price = math.exp(shift) * cost
    for w, log in zip(weights, logs, strict=True):
        shifted = log + shift
        ratio = np.exp(shifted)
        missed = w * (_entropy_terms(shifted) + ratio * (error * np.abs(_clear_infinite(shifted)) + error**2))
        price += rho * math.fsum(missed)
    price *= 1 + 128 * UNIT_ROUNDOFF
    return (math.exp(shift), price) if price < nothing else (0.0, nothing)


def _clear_infinite(log: Array) -> Array:
    """Replace logarithms of zero masses by 0."""
    return np.where(log > -np.inf, log, 0.0)


def _entropy_terms(log: Array) -> Array:
    """``t log t - t + 1`` for ``t = exp(log)``, to a few units in the last place."""
    x = np.expm1(log)
    plain = (1 + x) * _clear_infinite(log) - x
    near = np.abs(x) < SERIES_RADIUS
    inner, series = np.where(near, x, 0.0), np.zeros_like(x)
    for k in range(SERIES_TERMS, 1, -1):
        series = 1 / (k * (k - 1)) - inner * series
    return np.asarray(np.where(near, x * x * series, np.maximum(plain, 0.0)))
