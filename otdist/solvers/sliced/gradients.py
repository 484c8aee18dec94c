"""Gradients of distances between projections, in points, weights and direction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import staircase
from otdist.problem import Problem
from otdist.runtime.budget import require_memory
from otdist.runtime.parallel import run_both
from otdist.solvers.line import line_potentials, sorted_order
from otdist.solvers.sliced.projections import add_outer, combine, common_cells, project, projections
from otdist.typing import Array, Cells, Index

if TYPE_CHECKING:
    from torch import Tensor

Gradients = Callable[[], tuple[Array, Array]]

MIN_GRADIENT_SCALE = 2.0**-900  # smaller distances, for points near 1, get the gradient 0


def log_gradients(problem: Problem, directions: Array) -> tuple[Array, Array]:
    """Compute distances along directions, and their relative gradients in the direction.

    Returns
    -------
    distances : ndarray, shape (k,)
        W_p between the projections.
    rise : ndarray, shape (k, d)
        Gradient of log W_p along the sphere; 0 where the distance is 0.

    Notes
    -----
    ``W_p(theta)**p = sum_c mass_c |<theta, x_i - y_j>|**p`` over the cells c = (i, j) of the
    monotone coupling, which may be held fixed (envelope theorem). For p = 1 and step 1,
    ``theta + rise`` points along ``sum_c mass_c sign_c (x_i - y_j)``.
    """
    distances, gradient = np.empty(len(directions)), np.empty(directions.shape)
    cells = common_cells(problem)

    def work(first: int, last: int) -> None:
        for start, stop, u, v in projections(problem, directions, first, last):
            distances[start:stop], left, right = _distances_and_gradients(problem, u, v, cells)
            gradient[start:stop] = combine(left, problem.x) - combine(right, problem.y)

    size = len(problem.x) + len(problem.y)
    half = len(directions) // 2
    run_both(work, (0, half), (half, len(directions)), size * len(directions))
    gradient[distances > 0] -= directions[distances > 0]
    return distances, gradient


def gradients_along(
    problem: Problem, directions: Array, distances: Array, value: float
) -> tuple[Gradients, Gradients]:
    """Make callables for the gradients of ``value``, the power mean of distances, in points and weights."""
    return (
        partial(point_gradients, problem, directions, distances, value),
        partial(weight_gradients, problem, directions, value),
    )


def point_gradients(
    problem: Problem, directions: Array, distances: Array, value: float
) -> tuple[Array, Array]:
    """Compute the gradient of the power mean of distances, ``value``, in the points of both sides.

    Shapes (n, d) and (m, d). By the envelope theorem; 0 at coincident projections. The result does not
    depend on the number of cores.
    """
    if value == 0:
        return np.zeros(problem.x.shape), np.zeros(problem.y.shape)
    share = (distances / value) ** (problem.p - 1) * distances / len(distances)
    cells = common_cells(problem)

    def work(first: int, last: int) -> tuple[Array, Array]:
        of_x, of_y = np.zeros(problem.x.shape), np.zeros(problem.y.shape)
        for start, stop, u, v in projections(problem, directions, first, last):
            _, left, right = _distances_and_gradients(problem, u, v, cells)
            weighted = directions[start:stop] * share[start:stop, None]
            add_outer(left, weighted, of_x)
            add_outer(right, -weighted, of_y)
        return of_x, of_y

    half, size = len(directions) // 2, len(problem.x) + len(problem.y)
    (x, y), (more_x, more_y) = run_both(work, (0, half), (half, len(directions)), size * len(directions))
    return x + more_x, y + more_y


def weight_gradients(problem: Problem, directions: Array, value: float) -> tuple[Array, Array]:
    """Compute the gradient of the power mean of distances in the weights: potentials of the caller's rows.

    Shapes (n,) and (m,), for weights divided by their sum. Rows without mass have a gradient as well;
    missing rows have 0.
    """
    (x, a, rows), (y, b, cols) = _with_left_out(problem, 0), _with_left_out(problem, 1)
    total_f, total_g = np.zeros(len(x)), np.zeros(len(y))
    u, v = np.empty(len(x)), np.empty(len(y))
    for direction in directions if value > 0 else directions[:0]:
        # In units of the value, so that no power over- or underflows.
        project(direction[None] / value, x, u[None])
        project(direction[None] / value, y, v[None])
        f, g = line_potentials(u, v, a, b, problem.p)
        total_f += f
        total_g += g
    unit = value / (problem.p * len(directions))
    out = np.zeros(problem.shape[0]), np.zeros(problem.shape[1])
    out[0][rows], out[1][cols] = unit * total_f, unit * total_g
    return out


def power_mean_formula(problem: Problem, directions: Array, value: float, *data: Tensor | None) -> Tensor:
    """Power mean of the distances along directions as a function of the tensors (x, y, a, b).

    Torch can differentiate it repeatedly, as long as the order of the projections does not change.
    None stands for arguments that are not tensors. Memory: about ten numbers per point and direction.
    """
    import torch

    from otdist.gradient import column, shares, to_problem_scale
    from otdist.metrics.differentiable import absolute_power

    if value == 0:
        return torch.zeros((), dtype=torch.float64)
    sides = [_with_left_out(problem, side) for side in (0, 1)]
    count = len(directions) * (len(sides[0][0]) + len(sides[1][0]))
    require_memory(80 * count, f"the graph of {len(directions)} projections", "take fewer directions")
    thetas, ends, levels, cells = torch.from_numpy(directions), [], [], []
    for side, (fixed, mass, rows) in enumerate(sides):
        points, weights = data[side], data[2 + side]
        index = torch.from_numpy(rows)
        points = (
            torch.from_numpy(fixed) if points is None else to_problem_scale(problem, column(points)[index])
        )
        ends.append(thetas @ points.T)
        order = sorted_order(ends[side].detach().numpy(), np.broadcast_to(mass, ends[side].shape))
        cells.append(torch.from_numpy(order))
        share = torch.from_numpy(mass / problem.mass)
        if weights is not None:  # the same numbers, with their derivative
            part = shares(problem, weights, side)[index]
            share = share + (part - part.detach())
        levels.append(share[cells[side]].cumsum(-1))
    i, j, _ = staircase(*(mass[order.numpy()] for (_, mass, _), order in zip(sides, cells, strict=True)))
    by_row = torch.from_numpy(np.diff(i, axis=-1, append=i[:, -1:] + 1) == 1)
    i, j = torch.from_numpy(i), torch.from_numpy(j)
    ends = [end.gather(-1, order.gather(-1, k)) for end, order, k in zip(ends, cells, (i, j), strict=True)]
    level = torch.where(by_row, levels[0].gather(-1, i), levels[1].gather(-1, j))
    mass = level.diff(dim=-1, prepend=torch.zeros_like(level[:, :1]))
    gaps = (ends[0] - ends[1]) / value
    powers = absolute_power(torch, gaps, problem.p, f"a projection with p={problem.p:g}")
    mean = (mass * powers).sum() / len(directions)
    change = (1 + mean - mean.detach()) ** (1.0 / problem.p) * value
    half = problem.exponent // 2  # in two steps: 2**exponent itself may overflow
    return change * 2.0**half * 2.0 ** (problem.exponent - half)


def _with_left_out(problem: Problem, side: int) -> tuple[Array, Array, Index]:
    """Points and masses of one side, including rows without mass, and their indices in the caller's rows."""
    points = problem.caller_points[side]
    mass = problem.fill_left_out((problem.a, problem.b)[side], side, 0.0)
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    return problem.shift_and_scale(points[rows]), mass[rows], rows


def _distances_and_gradients(
    problem: Problem, u: Array, v: Array, cells: Cells | None
) -> tuple[Array, Array, Array]:
    """Compute distances between projections (k, n) and (k, m), and the gradients of their logarithms.

    The gradient in u has shape (k, n), minus the gradient in v (k, m); both are 0 if the distance is 0.
    """
    a, b = np.broadcast_to(problem.a, u.shape), np.broadcast_to(problem.b, v.shape)
    order_x, order_y = sorted_order(u, a), sorted_order(v, b)
    if cells is None:
        i, j, mass = staircase(np.take_along_axis(a, order_x, -1), np.take_along_axis(b, order_y, -1))
        i, j = np.take_along_axis(order_x, i, -1), np.take_along_axis(order_y, j, -1)
    else:
        i, j, mass = order_x.take(cells[0], -1), order_y.take(cells[1], -1), cells[2]
    gaps = np.take_along_axis(u, i, -1) - np.take_along_axis(v, j, -1)
    largest = np.abs(gaps).max(axis=-1, keepdims=True)
    largest[largest == 0] = 1.0
    gaps /= largest
    gradient = mass / problem.mass * np.sign(gaps) * np.abs(gaps) ** (problem.p - 1)
    cost = (gradient * gaps).sum(axis=-1, keepdims=True)
    distances = largest * cost ** (1.0 / problem.p)
    scale = cost * largest
    # A distance that is negligible beside the points has no gradient beyond rounding.
    gradient /= np.where(scale > MIN_GRADIENT_SCALE, scale, np.inf)
    return (
        np.asarray(distances[:, 0]),
        _sum_by_column(gradient, i, u.shape),
        _sum_by_column(gradient, j, v.shape),
    )


def _sum_by_column(values: Array, columns: Index, shape: tuple[int, int]) -> Array:
    """Sum the values of each column, row by row."""
    first = np.arange(shape[0])[:, None] * shape[1]
    sums = np.bincount((columns + first).ravel(), values.ravel(), shape[0] * shape[1])
    return np.asarray(sums, dtype=np.float64).reshape(shape)
