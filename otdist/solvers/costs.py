"""Costs on a scale near 1, and bounds of their rounding errors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.errors import InputError
from otdist.metrics.base import require_costs
from otdist.problem import MIN_UNIT_EXPONENT, Problem
from otdist.solvers.distance_blocks import all_distances
from otdist.solvers.merge import MergedProblem
from otdist.typing import Array, Index

SMALLEST_SUBNORMAL = 2.0**-1074  # spacing of the subnormal numbers
FULL_PRECISION_EXPONENT = 960  # scaled costs above 2**-960 keep all digits
MAX_SUMMABLE_EXPONENT = 900  # sums of costs below 2**900 do not overflow
MIN_PRICE_RATIO = 2.0**-1000  # smallest price of mass relative to the largest cost
UNDERFLOW_DISTANCE = 2.0**-480  # costs of larger differences are computed without underflow
VANISHING_COST = 2.0**-400  # a plan whose largest cost is smaller is solved again in finer units
SMALLEST_NORMAL = 2.0**-1022  # smallest number that has all digits


def cost_matrix(merged: MergedProblem) -> tuple[Array, int, float]:
    """Compute the cost matrix on a scale where no sum of costs overflows and no cost loses digits.

    Returns the matrix, the exponent of the power of two that it was divided by, and a bound of the absolute
    error of an entry, besides the relative error of :func:`cost_rounding` and the error of distances, which
    ``make_result`` adds (elsewhere: :func:`metric_error`). The largest entry is near 1 unless small costs
    would lose digits.
    """
    problem = merged.problem
    x, y = problem.x[merged.sources], problem.y[merged.sinks]
    cost = all_distances(problem, x, y)
    is_computed = problem.metric.name != "precomputed"
    if is_computed and problem.metric.pairs is None:
        require_costs(cost, problem.metric.name, *problem.to_caller_rows(merged.sources, merged.sinks))
    cost_error = _underflow_error(problem, cost, x, y)
    cost = problem.costs_of_distances(cost)
    largest = float(cost.max())
    if largest == math.inf:
        raise InputError(
            "metric",
            f"{problem.metric.name}: a distance to the power {problem.p:g} exceeds the largest float64",
            "divide the distances by a larger unit",
        )
    exponent = _exponent(cost, largest)
    if exponent == 0:
        return cost, 0, cost_error
    small = cost_error > 0 or math.frexp(_find_smallest(cost))[1] - exponent < -FULL_PRECISION_EXPONENT
    cost_error = math.ldexp(cost_error, -exponent)
    if exponent > 0 and small:
        cost_error += SMALLEST_SUBNORMAL
    return np.ldexp(cost, -exponent, out=cost if is_computed else None), exponent, cost_error


def _exponent(cost: Array, largest: float) -> int:
    """Exponent that scales the largest cost to about 1, unless the smallest ones would lose digits."""
    exponent = math.frexp(largest)[1]
    if -4 < exponent < 8:
        return 0
    if exponent > 0:
        exponent = max(
            min(exponent, math.frexp(_find_smallest(cost))[1] + FULL_PRECISION_EXPONENT),
            exponent - MAX_SUMMABLE_EXPONENT,
        )
    return exponent


def _find_smallest(cost: Array) -> float:
    """Smallest positive cost."""
    return float(np.min(cost, where=cost > 0, initial=np.inf))


def price_in_units(price: float, unit: float, name: str = "reach") -> float:
    """Convert a price of mass to units of the costs; raises InputError if it is negligible beside these.

    ``name``: the argument that determines the price.
    """
    scaled = price / unit
    if scaled < MIN_PRICE_RATIO:
        raise InputError(
            name,
            f"must not be negligible beside the costs, got a price of {price:g} for costs of about {unit:g}",
            f"leave out the points that are far away, or raise {name}",
        )
    return scaled


def cost_rounding(problem: Problem) -> float:
    """Bound of the relative error of one cost ``d**p``; 0 for a precomputed cost.

    The power multiplies the rounding errors of a distance by p, and rounds as well.
    """
    if problem.metric.name == "precomputed":
        return 0.0
    units = problem.p * problem.metric.roundings(problem.d) + (0 if problem.p == 1 else 8)
    return math.expm1(min(units * UNIT_ROUNDOFF * (1 + 2.0**-20), 700.0))


def _underflow_error(problem: Problem, distances: Array, x: Array, y: Array) -> float:
    """Bound of the error of costs that underflow: squares of tiny differences, or powers of distances."""
    degree = problem.metric.degree
    smallest = (
        UNDERFLOW_DISTANCE**degree if degree else 0.0
    )  # smaller distances are roots of squares that underflowed
    limit = smallest if problem.p == 1 else max(smallest, (2 * SMALLEST_NORMAL) ** (1 / problem.p))
    if limit == 0 or float(distances.min()) >= limit:
        return 0.0
    rows, cols = np.nonzero(distances < limit)
    apart = distances[rows, cols] > 0 if degree is None else (x[rows] != y[cols]).any()
    return max((2 * smallest) ** problem.p, 4 * SMALLEST_NORMAL) if bool(np.any(apart)) else 0.0


def refine_units(merged: MergedProblem, rows: Index, cols: Index) -> MergedProblem | None:
    """Rescale to units in which the costs of these pairs do not vanish; None if there are none.

    To the power 100, distances of 1e-4 vanish beside distances of 1. If no mass travels that far, the answer
    consists of the small ones; larger costs are cut off, which keeps a lower bound.
    """
    problem = merged.problem
    if problem.mass_error > 0:
        return None
    x, y = problem.x[merged.sources[rows]], problem.y[merged.sinks[cols]]
    if problem.metric.degree is not None:
        exponent = math.frexp(float(np.abs(x - y).max()))[1]
        finer = problem.scale_by(exponent) if exponent < 0 else problem  # squares would underflow, too
    elif problem.p == 1:
        finer = problem
    else:
        step = 1 if problem.metric.pairs is None else 32  # a few too many, but not one by one
        parts = [slice(start, start + step) for start in range(0, len(rows), step)]
        largest = max(float(np.diag(problem.metric.matrix(x[part], y[part])).max()) for part in parts)
        exponent = math.frexp(largest)[1]
        finer = (
            problem.scale_distances(exponent)
            if exponent < 0 and problem.distance_exponent + exponent >= MIN_UNIT_EXPONENT
            else problem
        )
    return None if finer is problem else replace(merged, problem=replace(finer, capped=True))


def metric_error(problem: Problem, largest: float) -> float:
    """Bound of the absolute error of costs up to ``largest`` caused by the error of distances."""
    if problem.metric.error is None:
        return 0.0
    error = problem.metric.error(problem.x, problem.y)
    if problem.p == 1:
        return error
    # (d + e)^p - d^p <= p e (d + e)^(p - 1), which cannot be negative as the difference of two roundings can.
    with np.errstate(over="ignore"):
        distance = np.float64(largest) ** (1.0 / problem.p) + error
        return float(problem.p * error * distance ** (problem.p - 1) * (1 + 2.0**-30))


def weight_rounding_cost(problem: Problem) -> float:
    """Bound of the change in cost caused by rounding the weights when dividing by their sum."""
    if problem.mass_error == 0:
        return 0.0
    metric = problem.metric
    squared = metric.name in ("sqeuclidean", "cosine")  # the latter is half the square of a chord
    if metric.triangle or squared:
        # From one point to the first and from there to the other.
        ends = (float(metric.matrix(problem.x[:1], points).max()) for points in (problem.x, problem.y))
        far = math.fsum(math.sqrt(end) for end in ends) ** 2 if squared else math.fsum(ends)
        if metric.extent is not None:
            far = min(far, metric.extent(problem.x, problem.y))
        with np.errstate(over="ignore"):
            return float(problem.mass_error * np.float64(far * (1 + 2.0**-40)) ** problem.p)
    return problem.mass_error * float(problem.costs(problem.x, problem.y).max())
