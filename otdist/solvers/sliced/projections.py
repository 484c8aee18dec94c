"""Distances between the projections of two samples on many directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, cumulation_error, northwest
from otdist.metrics.base import make_row_blocks
from otdist.problem import Problem
from otdist.runtime.parallel import MIN_SIZE_THREADED, run_both, run_in_parts
from otdist.solvers.line import couple_in_order, is_constant, line_cost, scaled_powers
from otdist.solvers.merge import MergedProblem
from otdist.typing import Array, Cells, Index

PROJECTIONS_PER_BLOCK = 2**17  # of one side: 1 MB, which stays in cache
WEIGHTED_PROJECTIONS_PER_BLOCK = 2**15  # the same for unequal masses, which need several arrays
MAX_SERIAL_PRODUCTS = 2**18  # BLAS computes products of this size on one core, without competing threads
MAX_DIRECTIONS_HALVED = 64  # up to so many directions, each of two threads takes half of them


def distances_along(problem: Problem, directions: Array) -> tuple[Array, Array, Array]:
    """Compute W_p between the projections on each direction, on the problem's scale, with bounds.

    Parameters
    ----------
    problem : Problem
        Points on a scale where costs neither over- nor underflow (``rescale``).
    directions : ndarray, shape (k, d)
        Unit vectors, up to rounding.

    Returns
    -------
    value, lower, upper : ndarray, shape (k,)
        The bounds hold for exact unit vectors and exact projections.

    Notes
    -----
    Cost: O(k (n + m) (d + log(n + m))) time; memory for one block of directions on each core.
    """
    costs, exponents = np.empty(len(directions)), np.zeros(len(directions), dtype=np.intp)
    cells = common_cells(problem)

    def work(first: int, last: int) -> None:
        for start, stop, u, v in projections(problem, directions, first, last):
            costs[start:stop], exponents[start:stop] = _costs(problem, u, v, cells)

    size = len(problem.x) + len(problem.y)
    in_halves_or_parts(work, len(directions), size)
    value, lower, upper = _distance_bounds(problem, costs / problem.mass, exponents)
    if (lower <= 0).any() and same_distribution(problem):
        # The projections of both samples may have been rounded differently.
        return (np.zeros(len(directions)),) * 3
    return value, lower, upper


def in_halves_or_parts(work: Callable[[int, int], None], count: int, size: int) -> None:
    """Call ``work(first, last)`` on several cores if that pays; ``size``: entries a direction."""
    if count * size < MIN_SIZE_THREADED:
        work(0, count)
    elif count <= MAX_DIRECTIONS_HALVED:
        run_both(work, (0, count // 2), (count // 2, count), count * size)
    else:
        run_in_parts(work, count, max(MAX_DIRECTIONS_HALVED, PROJECTIONS_PER_BLOCK // size))


def projections(
    problem: Problem, directions: Array, first: int, last: int
) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield (start, stop, projections of x, projections of y) block by block, in two buffers.

    The caller may overwrite the buffers until the next block.
    """
    block = PROJECTIONS_PER_BLOCK if _common_masses(problem) else WEIGHTED_PROJECTIONS_PER_BLOCK
    step = min(max(4, block // max(len(problem.x), len(problem.y))), 64, max(1, last - first))
    left, right = np.empty((step, len(problem.x))), np.empty((step, len(problem.y)))
    for start in range(first, last, step):
        stop = min(start + step, last)
        u, v = left[: stop - start], right[: stop - start]
        project(directions[start:stop], problem.x, u)
        project(directions[start:stop], problem.y, v)
        yield start, stop, u, v


def project(directions: Array, points: Array, out: Array) -> None:
    """Compute ``directions @ points.T`` in ``out``, by products so small that BLAS starts no threads."""
    step = max(64, MAX_SERIAL_PRODUCTS // directions.size)
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        np.matmul(directions, points[rows].T, out=out[:, rows])


def combine(coefficients: Array, points: Array) -> Array:
    """Compute ``coefficients @ points`` for (k, n) and (n, d), by products as small as in ``project``."""
    total = np.zeros((len(coefficients), points.shape[1]))
    step = max(64, MAX_SERIAL_PRODUCTS // total.size)
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        total += coefficients[:, rows] @ points[rows]
    return total


def add_outer(coefficients: Array, directions: Array, total: Array) -> None:
    """Add ``coefficients.T @ directions`` to the (n, d) array ``total``, by small products."""
    step = max(64, MAX_SERIAL_PRODUCTS // directions.size)
    for start in range(0, len(total), step):
        rows = slice(start, start + step)
        total[rows] += coefficients[:, rows].T @ directions


def common_cells(problem: Problem) -> Cells | None:
    """Return the cells (i, j, mass) of the monotone coupling if they are the same for every direction.

    That holds if all points of a side have equal masses; otherwise None.
    """
    if _common_masses(problem):
        return northwest(problem.a, problem.b)
    return None


def _costs(problem: Problem, u: Array, v: Array, cells: Cells | None) -> tuple[Array, Index]:
    """Compute the costs of coupling projections (k, n) and (k, m), which are overwritten, and exponents."""
    if cells is None:
        if problem.p == 1:
            return _areas_between(u, v, problem.a, problem.b), np.asarray(0)
        a, b = np.broadcast_to(problem.a, u.shape), np.broadcast_to(problem.b, v.shape)
        return line_cost(u, v, a, b, problem.p)
    u.sort(axis=-1)
    v.sort(axis=-1)
    if u.shape == v.shape:
        u -= v
        gaps, exponent = scaled_powers(u, problem.p)
        return np.asarray(gaps.sum(axis=-1) * cells[2][0]), exponent
    i, j, mass = cells
    gaps, exponent = scaled_powers(u.take(i, axis=-1) - v.take(j, axis=-1), problem.p)
    return np.asarray((gaps * mass).sum(axis=-1)), exponent


def _areas_between(u: Array, v: Array, a: Array, b: Array) -> Array:
    """Compute areas between distribution functions: costs for p = 1 with one sort instead of three."""
    z = np.concatenate([u, v], axis=-1)
    order = np.argsort(z, axis=-1)
    heights = np.concatenate([a, -b]).take(order)
    np.cumsum(heights, axis=-1, out=heights)
    np.abs(heights, out=heights)
    widths = np.diff(np.take_along_axis(z, order, axis=-1), axis=-1)
    widths *= heights[:, :-1]
    return np.asarray(widths.sum(axis=-1))


def _distance_bounds(problem: Problem, costs: Array, exponents: Index) -> tuple[Array, Array, Array]:
    """Compute distances with bounds, from costs at mass 1 of points divided by ``2**exponents``."""
    p, d, count = problem.p, problem.d, len(problem.x) + len(problem.y)
    relative = (p + 8 + math.log2(count)) * UNIT_ROUNDOFF * costs
    exact_sums = problem.whole or (len(problem.x) == len(problem.y) and _common_masses(problem))
    longest = radius(problem.x) + radius(problem.y)
    with np.errstate(over="ignore"):
        absolute = 0.0 if exact_sums else 2.0 * count * UNIT_ROUNDOFF * np.ldexp(longest, -exponents) ** p
    ends = (costs, np.maximum(costs - relative - absolute, 0.0), costs + relative + absolute)
    value, lower, upper = (np.ldexp(end ** (1.0 / p), exponents) for end in ends)
    # Inner products round by at most (d + 1) units of |x|, and the length of a direction rounds as well.
    # On the line the only direction is exact.
    projection_error = 0.0 if d == 1 else (d + 2) * UNIT_ROUNDOFF * longest
    stretched = 4 * UNIT_ROUNDOFF if d == 1 else (d + 8) * UNIT_ROUNDOFF
    lower = np.maximum(lower * (1 - stretched) - projection_error, 0.0)
    upper = np.minimum(upper, longest) * (1 + stretched) + projection_error
    return np.clip(value, lower, upper), lower, upper


def _common_masses(problem: Problem) -> bool:
    """Whether all points of each side have equal masses."""
    return is_constant(problem.a) and is_constant(problem.b)


def radius(points: Array) -> float:
    """Largest distance from the origin, rounded up."""
    squares = np.einsum("ij,ij->i", points, points)
    return float(math.sqrt(squares.max()) * (1 + (points.shape[1] + 4) * UNIT_ROUNDOFF))


def same_distribution(problem: Problem) -> bool:
    """Whether both samples are the same distribution."""
    merged = MergedProblem.of(problem)
    return len(merged.sources) == 0 == len(merged.sinks)


def normalize(vectors: Array) -> Array:
    """Scale vectors to length 1; zero stays zero."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    some = largest > 0
    scaled = vectors / np.where(
        some, largest, 1.0
    )  # squares of huge or tiny entries would over- or underflow
    return np.asarray(scaled / np.where(some, np.linalg.norm(scaled, axis=-1, keepdims=True), 1.0))


def coupling_cost_along(problem: Problem, direction: Array) -> float:
    """Upper bound of W_p: cost of coupling the points in their order along a direction."""
    i, j, mass = couple_in_order(problem.x @ direction, problem.y @ direction, problem.a, problem.b)
    lengths = np.empty(len(mass))
    for rows in make_row_blocks(len(mass), problem.d):
        apart = problem.x[i[rows]] - problem.y[j[rows]]
        lengths[rows] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    largest = float(lengths.max())
    if largest == 0:
        return 0.0
    p, count = problem.p, len(problem.x) + len(problem.y)
    shares: Array = (mass / problem.mass) * (lengths / largest) ** p
    cost = float(shares.sum()) * (1 + (p * (problem.d + 8) + math.log2(count) + 8) * UNIT_ROUNDOFF)
    if not problem.whole:  # the plan's marginals are exact up to the rounding of cumulative masses
        span = (radius(problem.x) + radius(problem.y)) / largest
        cost += 2 * (cumulation_error(count) * UNIT_ROUNDOFF + problem.mass_error) * span**p
    return float(largest * math.pow(cost, 1 / p) * (1 + 4 * UNIT_ROUNDOFF))


def power_mean(distances: Array, p: float) -> float:
    """``(mean of distances**p)**(1/p)``, without overflow."""
    largest = float(distances.max())
    if p == 1 or largest == 0:
        return math.fsum(distances) / len(distances)
    return float(largest * (math.fsum((distances / largest) ** p) / len(distances)) ** (1.0 / p))
