"""Interval from O(n + m) costs, for when there is no time for all pairs.

A 1-Lipschitz map to the line makes no transport more expensive, so the cost on the line is a lower bound, and
its potentials are feasible. Squared distances are sums over the columns. The plan couples points in their
order on the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.metrics import NAMED
from otdist.metrics.base import bounding_box
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.deadline import NO_DEADLINE, Deadline
from otdist.solvers.answer import make_result
from otdist.solvers.costs import UNDERFLOW_DISTANCE, cost_rounding, weight_rounding_cost
from otdist.solvers.line import couple_in_order, line_potentials
from otdist.solvers.merge import MergedProblem
from otdist.typing import Array, Index

ANCHOR_DISTANCE = 8.0  # from the data to an anchor, in units of their extent
ANCHOR_COUNT = 3  # points whose distances serve as coordinates, if there are no directions


@dataclass(frozen=True, eq=False)
class Sides:
    """Remaining points and masses of both samples, on the problem's scale."""

    problem: Problem
    x: Array
    y: Array
    a: Array
    b: Array

    @classmethod
    def of(cls, merged: MergedProblem) -> Sides:
        """Take the points and masses of a merged problem."""
        problem = merged.problem
        return cls(problem, problem.x[merged.sources], problem.y[merged.sinks], merged.a, merged.b)

    @property
    def total(self) -> float:
        """Total mass of one side."""
        return float(self.a.sum())

    @property
    def size(self) -> int:
        """Number of points of both sides."""
        return len(self.a) + len(self.b)


@dataclass(frozen=True, eq=False)
class FeasibleDual:
    """Potentials with ``f_i + g_j <= cost_ij`` for all pairs, rounding included, and their value."""

    f: Array
    g: Array
    value: float

    @classmethod
    def lower_by(cls, sides: Sides, f: Array, g: Array, slack: float) -> FeasibleDual:
        """Make potentials feasible that are too high by at most ``slack``."""
        f = f - slack
        value = math.fsum(sides.a * f) + math.fsum(sides.b * g)
        size = float(np.abs(f).max() + np.abs(g).max())
        return cls(f, g, value - 8 * UNIT_ROUNDOFF * size * sides.total)


def quick_result(
    merged: MergedProblem,
    method: str,
    message: str,
    deadline: Deadline = NO_DEADLINE,
    info: dict[str, object] | None = None,
) -> Result:
    """Make the Result of a quick plan and quick potentials.

    Parameters
    ----------
    merged : MergedProblem
        The problem, on a scale where costs do not overflow.
    method, message, info
        Name of the solver, reason why it stopped, and ``info``.
    deadline : Deadline
        Time limit for the sums over columns.

    Returns
    -------
    Result
        Not converged.
    """
    problem, sides = merged.problem, Sides.of(merged)
    dual, order = quick_potentials(sides, deadline)
    rows, cols, mass, upper = quick_plan(sides, order)
    cost_error = weight_rounding_cost(problem)
    lower = max(dual.value / problem.mass - cost_error, 0.0)
    upper = upper / problem.mass + cost_error
    return make_result(
        problem,
        method,
        (upper, min(lower, upper), upper),
        plan=partial(merged.full_plan, rows, cols, mass),
        potentials=partial(merged.full_potentials, dual.f, dual.g),
        converged=False,
        message=message,
        info=info or {},
    )


def is_squared_euclidean(problem: Problem) -> bool:
    """Whether the cost is the squared Euclidean distance."""
    metric, p = problem.metric, problem.p
    return (metric is NAMED["sqeuclidean"] and p == 1) or (metric is NAMED["euclidean"] and p == 2)


def quick_potentials(
    sides: Sides, deadline: Deadline = NO_DEADLINE
) -> tuple[FeasibleDual, tuple[Array, Array]]:
    """Compute feasible potentials, and coordinates on a line along which points are coupled."""
    problem = sides.problem
    nothing = FeasibleDual(np.zeros(len(sides.a)), np.zeros(len(sides.b)), 0.0)
    if is_squared_euclidean(problem):
        return _columnwise_potentials(sides, deadline)
    order = sides.x[:, 0], -sides.y[:, 0] if problem.metric.name == "precomputed" else sides.y[:, 0]
    if not problem.metric.triangle:
        return nothing, order
    best, top = nothing, -math.inf
    for anchor in _anchors(sides):
        at_x, at_y = (problem.metric.matrix(points, anchor)[:, 0] for points in (sides.x, sides.y))
        found = _projected_potentials(sides, at_x, at_y)
        if found.value > top:
            top, order = found.value, (at_x, at_y)
            best = max(best, found, key=lambda one: one.value)
        if deadline.is_over():
            break
    return best, order


def quick_plan(sides: Sides, order: tuple[Array, Array]) -> tuple[Index, Index, Array, float]:
    """Couple points along an order: rows, columns and masses, and an upper bound of the cost."""
    rows, cols, mass = couple_in_order(*order, sides.a, sides.b)
    cost, cost_error = listed_costs(sides, rows, cols)
    problem = sides.problem
    upper = math.fsum(mass * cost) * (
        1 + cost_rounding(problem) + (problem.d + 16 + sides.size) * UNIT_ROUNDOFF
    )
    # Bound of the mass that the rounding of cumulative masses misplaces.
    misplaced_mass = 4 * sides.size * UNIT_ROUNDOFF * sides.total
    if not (sides.a == sides.a[0]).all() or not np.array_equal(sides.a, sides.b):
        upper += misplaced_mass * _bound_costs(sides, cost)
    return rows, cols, mass, upper + cost_error * sides.total


def listed_costs(sides: Sides, rows: Index, cols: Index) -> tuple[Array, float]:
    """Compute the costs of some pairs, and a bound of their absolute error besides the relative one."""
    problem, metric = sides.problem, sides.problem.metric
    if metric.pairs is not None:
        cost = np.asarray(metric.pairs(np, sides.x[rows], sides.y[cols]), float) ** problem.p
    else:
        pairs = zip(rows, cols, strict=True)
        cost = np.array([float(problem.costs(sides.x[i, None], sides.y[j, None])[0, 0]) for i, j in pairs])
    cost_error = UNDERFLOW_DISTANCE
    if metric.error is not None:
        distance, error = float(cost.max()) ** (1 / problem.p), metric.error(sides.x, sides.y)
        cost_error += problem.p * (distance + error) ** (problem.p - 1) * error
    return cost, cost_error


def _bound_costs(sides: Sides, cost: Array) -> float:
    """Upper bound of all costs; for a function that is not a metric, the largest of the computed ones."""
    problem = sides.problem
    if problem.metric.name == "precomputed":
        return float(problem.costs(problem.x, problem.y).max())
    if problem.metric.triangle or is_squared_euclidean(problem):
        root = 1 if problem.metric.triangle else 2
        ends = (problem.metric.matrix(sides.x[:1], points).max() for points in (sides.x, sides.y))
        return float((2.0 * max(ends) ** (1 / root)) ** (root * problem.p))
    return float(cost.max())


def _columnwise_potentials(sides: Sides, deadline: Deadline) -> tuple[FeasibleDual, tuple[Array, Array]]:
    """Sum potentials over the columns: each is a problem on the line, or a translation if time is up."""
    x, y, a, b = sides.x, sides.y, sides.a, sides.b
    total, d = sides.total, x.shape[1]
    middle = a @ x / total
    shift = middle - b @ y / total
    # 2 v (x - y) - v^2 <= (x - y)^2 for any v: without time, a column is bounded by its means.
    f = 2.0 * (x - middle) @ shift - shift @ shift / 2
    g = -2.0 * (y - middle) @ shift - shift @ shift / 2
    reach = max(float(np.abs(x - middle).max()), float(np.abs(y - middle).max()))
    slack = 32 * d * UNIT_ROUNDOFF * d * float(np.abs(shift).max() + reach) * reach
    order = ((x - middle) @ shift, (y - middle) @ shift) if shift.any() else (x[:, 0], y[:, 0])
    for c in np.argsort(-np.abs(shift), kind="stable"):
        if deadline.is_over():
            break
        left, right, potential_error = _line_potentials(sides, x[:, c], y[:, c], 2.0)
        v, half = shift[c], shift[c] ** 2 / 2
        f += left - (2.0 * v * (x[:, c] - middle[c]) - half)
        g += right + (2.0 * v * (y[:, c] - middle[c]) + half)
        slack += potential_error + 32 * UNIT_ROUNDOFF * float(
            np.abs(f).max() + np.abs(g).max() + np.abs(v) * reach
        )
    return FeasibleDual.lower_by(sides, f, g, slack), order


def _projected_potentials(sides: Sides, at_x: Array, at_y: Array) -> FeasibleDual:
    """Compute feasible potentials from a 1-Lipschitz map of the points to the line."""
    problem = sides.problem
    p, size = problem.p, max(float(at_x.max()), float(at_y.max()))
    coordinate_error = (
        problem.metric.roundings(problem.d) + problem.d + 8
    ) * UNIT_ROUNDOFF * size + UNDERFLOW_DISTANCE
    if problem.metric.error is not None:
        coordinate_error += problem.metric.error(sides.x, sides.y)
    f, g, slack = _line_potentials(sides, at_x, at_y, p)
    far = max(float(at_x.max() - at_y.min()), float(at_y.max() - at_x.min()))
    return FeasibleDual.lower_by(sides, f, g, slack + p * far ** (p - 1) * 2 * coordinate_error)


def _line_potentials(sides: Sides, x: Array, y: Array, k: float) -> tuple[Array, Array, float]:
    """Compute optimal potentials for ``|x - y|**k``, and a bound of their rounding error."""
    f, g = line_potentials(x, y, sides.a, sides.b, k)
    largest = max(float(abs(x.max() - y.min())), float(abs(y.max() - x.min()))) ** k
    size = float(np.abs(f).max() + np.abs(g).max()) + largest
    return f, g, (4 * sides.size + 8 * k) * UNIT_ROUNDOFF * size


def _anchors(sides: Sides) -> list[Array]:
    """Choose points whose distances to the samples give good lower bounds."""
    x, y, metric = sides.x, sides.y, sides.problem.metric
    total = sides.total
    if metric.degree == 1:  # a norm: distances to a far point are nearly a coordinate along a direction
        middle, other = sides.a @ x / total, sides.b @ y / total
        shift = middle - other
        low, high = bounding_box(x, y)
        extent = float(metric.matrix(low[None], high[None])[0, 0])
        length = float(metric.matrix(middle[None], other[None])[0, 0])
        column = np.zeros(len(shift))
        column[int(np.argmax(np.abs(shift)))] = 1.0
        ahead = [shift / length, column] if length > 0 else [column]
        return [(middle + ANCHOR_DISTANCE * extent * direction)[None] for direction in ahead]
    found = [x[:1]]
    for _ in range(ANCHOR_COUNT):
        points = x if len(found) % 2 else y
        found.append(points[int(np.argmax(metric.matrix(points, found[-1])[:, 0])), None])
    return found


def mean_cost_bound(sides: Sides) -> float:
    """Upper bound of the mean cost of a pair, on the problem's scale; infinite if none is known."""
    problem, x, y = sides.problem, sides.x, sides.y
    a, b = sides.a / sides.a.sum(), sides.b / sides.b.sum()
    metric, p = problem.metric, problem.p
    widening = 1 + 2 * cost_rounding(problem) + (16 * sides.size + 64 * problem.d) * UNIT_ROUNDOFF
    bounds = [math.inf]
    if is_squared_euclidean(problem) or (metric is NAMED["euclidean"] and p <= 2):
        middle = a @ x
        left = x - middle
        right = left if y is x else y - middle
        offsets = (np.einsum("ij,ij->i", side, side) for side in (left, right))
        squares = sum(float(w @ away) for w, away in zip((a, b), offsets, strict=True))
        # |x - y|^2 = |x - c|^2 + |y - c|^2 - 2 (x - c)(y - c); the means of these terms are known.
        apart = 2 * float(np.abs((a @ left) @ (b @ right)))
        of_squares = (squares + apart) * widening + UNDERFLOW_DISTANCE
        bounds.append(of_squares if is_squared_euclidean(problem) else of_squares ** (p / 2) * widening)
    if metric.triangle:
        centre = (a @ x + b @ y)[None] / 2 if metric.degree == 1 else x[:1]
        error = 0.0 if metric.error is None else metric.error(x, y)
        from_centre = (metric.matrix(points, centre)[:, 0] + error for points in (x, y))
        means = [float(w @ away**p) for w, away in zip((a, b), from_centre, strict=True)]
        bounds.append((2.0 ** (p - 1) * sum(means)) * widening + UNDERFLOW_DISTANCE)
    return min(bounds)
