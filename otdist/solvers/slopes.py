"""How distances between projections change with points, weights and direction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import staircase
from otdist.parallel import both
from otdist.problem import Problem
from otdist.solvers.line import sorted_order, staircase_potentials
from otdist.solvers.sliced import Cells, combine, common_cells, project, projections, spread

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Slopes = Callable[[], tuple[Array, Array]]


def rises(problem: Problem, directions: Array) -> tuple[Array, Array]:
    """Distances along directions, and their relative gradients in the direction.

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
    distances, rise = np.empty(len(directions)), np.empty(directions.shape)
    cells = common_cells(problem)

    def work(first: int, last: int) -> None:
        for start, stop, u, v in projections(problem, directions, first, last):
            distances[start:stop], left, right = _pulls(problem, u, v, cells)
            rise[start:stop] = combine(left, problem.x) - combine(right, problem.y)

    size = len(problem.x) + len(problem.y)
    half = len(directions) // 2
    both(work, (0, half), (half, len(directions)), size * len(directions))
    rise[distances > 0] -= directions[distances > 0]
    return distances, rise


def slopes_along(
    problem: Problem, directions: Array, distances: Array, value: float
) -> tuple[Slopes, Slopes]:
    """What makes the gradients of ``value``, the power mean of distances: of points, and of weights."""
    return (
        partial(point_slopes, problem, directions, distances, value),
        partial(weight_slopes, problem, directions, value),
    )


def point_slopes(problem: Problem, directions: Array, distances: Array, value: float) -> tuple[Array, Array]:
    """Gradient of the power mean of distances, ``value``, in the points of both sides.

    Shapes (n, d) and (m, d). By the envelope theorem; 0 at coincident projections. In the last
    bits the answer depends on no number of cores.
    """
    if value == 0:
        return np.zeros(problem.x.shape), np.zeros(problem.y.shape)
    share = (distances / value) ** (problem.p - 1) * distances / len(distances)
    cells = common_cells(problem)

    def work(first: int, last: int) -> tuple[Array, Array]:
        of_x, of_y = np.zeros(problem.x.shape), np.zeros(problem.y.shape)
        for start, stop, u, v in projections(problem, directions, first, last):
            _, left, right = _pulls(problem, u, v, cells)
            weighted = directions[start:stop] * share[start:stop, None]
            spread(left, weighted, of_x)
            spread(right, -weighted, of_y)
        return of_x, of_y

    half, size = len(directions) // 2, len(problem.x) + len(problem.y)
    (x, y), (more_x, more_y) = both(work, (0, half), (half, len(directions)), size * len(directions))
    return x + more_x, y + more_y


def weight_slopes(problem: Problem, directions: Array, value: float) -> tuple[Array, Array]:
    """Gradient of the power mean of distances in the weights: potentials on the caller's rows.

    Shapes (n,) and (m,), for weights divided by their sum. Rows without mass have theirs, too;
    missing rows have 0.
    """
    (x, a, rows), (y, b, cols) = _with_absent(problem, 0), _with_absent(problem, 1)
    total_f, total_g = np.zeros(len(x)), np.zeros(len(y))
    u, v = np.empty(len(x)), np.empty(len(y))
    for direction in directions if value > 0 else directions[:0]:
        # In units of the value, so that no power over- or underflows.
        project(direction[None] / value, x, u[None])
        project(direction[None] / value, y, v[None])
        order_x, order_y = sorted_order(u, a), sorted_order(v, b)
        i, j, _ = staircase(a[order_x], b[order_y])
        f, g = staircase_potentials(u[order_x], v[order_y], i, j, problem.p)
        total_f[order_x] += f
        total_g[order_y] += g
    unit = value / (problem.p * len(directions))
    out = np.zeros(problem.shape[0]), np.zeros(problem.shape[1])
    out[0][rows], out[1][cols] = unit * total_f, unit * total_g
    return out


def _with_absent(problem: Problem, side: int) -> tuple[Array, Array, Index]:
    """Points and masses of one side, rows without mass included, and the caller's numbers of them."""
    points = problem.given[side]
    kept = (problem.rows, problem.cols)[side]
    mass = np.zeros(len(points))
    mass[slice(None) if kept is None else kept] = (problem.a, problem.b)[side]
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    return problem.moved(points[rows]), mass[rows], rows


def _pulls(problem: Problem, u: Array, v: Array, cells: Cells | None) -> tuple[Array, Array, Array]:
    """Distances between projections (k, n) and (k, m), and what each point does to their logarithm.

    The latter is the gradient in u, (k, n), and minus that in v, (k, m); 0 where the distance is 0.
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
    pull = mass / problem.mass * np.sign(gaps) * np.abs(gaps) ** (problem.p - 1)
    cost = (pull * gaps).sum(axis=-1, keepdims=True)
    distances = largest * cost ** (1.0 / problem.p)
    pull /= np.where(cost > 0, cost * largest, 1.0)
    return np.asarray(distances[:, 0]), _summed(pull, i, u.shape), _summed(pull, j, v.shape)


def _summed(values: Array, columns: Index, shape: tuple[int, int]) -> Array:
    """Sums, row by row, of the values that belong to one column."""
    first = np.arange(shape[0])[:, None] * shape[1]
    sums = np.bincount((columns + first).ravel(), values.ravel(), shape[0] * shape[1])
    return np.asarray(sums, dtype=np.float64).reshape(shape)
