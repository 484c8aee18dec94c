"""Costs on a scale near 1, and bounds of what rounding may have changed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from otdist.metrics.names import require_costs
from otdist.problem import Problem
from otdist.solvers.merge import Merged

Array = NDArray[np.float64]

TINY = 2.0**-480  # costs of differences above this are computed without underflow


def cost_matrix(merged: Merged) -> tuple[Array, int, float]:
    """Cost matrix with entries near 1, as POT's tolerances are absolute.

    Returns it with the power of two it was divided by, and a bound of the absolute error of an
    entry.
    """
    problem = merged.problem
    x, y = problem.x[merged.sources], problem.y[merged.sinks]
    cost = problem.costs(x, y)
    own = problem.metric.name != "precomputed"
    if own and problem.metric.pairs is None:
        rows = merged.sources if problem.rows is None else problem.rows[merged.sources]
        cols = merged.sinks if problem.cols is None else problem.cols[merged.sinks]
        require_costs(cost, problem.metric.name, rows, cols)
    largest = float(cost.max())
    lost = _metric_error(problem, largest)
    if problem.metric.degree is not None:
        lost += _lost(cost, x, y)
    exponent = math.frexp(largest)[1]
    if -4 < exponent < 8:
        return cost, 0, lost
    return np.ldexp(cost, -exponent, out=cost if own else None), exponent, math.ldexp(lost, -exponent)


def _lost(cost: Array, x: Array, y: Array) -> float:
    """Bound of the cost of different points whose squared difference underflows."""
    if float(cost.min()) >= TINY:
        return 0.0
    rows, cols = np.nonzero(cost < TINY)
    return TINY if bool((x[rows] != y[cols]).any()) else 0.0


def _metric_error(problem: Problem, largest: float) -> float:
    """Bound of the error of a cost, beyond the relative one, where distances have one."""
    if problem.metric.error is None:
        return 0.0
    distance = largest ** (1.0 / problem.p)
    return float((distance + problem.metric.error(problem.x, problem.y)) ** problem.p - largest)


def rounding(problem: Problem) -> float:
    """Bound of the change in cost by weights that were rounded when divided by their sum."""
    if problem.mass_error == 0:
        return 0.0
    if problem.metric.name == "precomputed":
        return problem.mass_error * float(problem.costs(problem.x, problem.y).max())
    # No two points are further apart than twice the largest distance from one of them.
    ends = [problem.metric.matrix(problem.x[:1], points).max() for points in (problem.x, problem.y)]
    return float(problem.mass_error * (2.0 * float(max(ends))) ** problem.p)
