"""Closed form on the line: both samples are sorted and coupled in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, cumulation_error, cumulative_sum, northwest, outward, staircase
from otdist.errors import InputError
from otdist.metrics import Metric
from otdist.problem import MAX_UNSCALED_EXPONENT, Problem
from otdist.result import Result
from otdist.runtime.parallel import run_both
from otdist.solvers.answer import make_result
from otdist.solvers.cumulative_weights import weighted_staircase
from otdist.typing import Array, Cells, Index

BUFFER_VALUES = 2**15  # 256 KB
MAX_BATCHED_VALUES = 2**12  # larger samples of a batch are processed one by one
MAX_LEVEL_ERROR = 2e-10  # relative error of a cost above which levels are computed in twice the precision
MAX_LEVEL_ERROR_1D = 1e-8  # the same, in the worst case, for results without an interval
SMALLEST_SUBNORMAL = 2.0**-1074  # largest error of a product that underflows
MIN_COST_WITHOUT_UNDERFLOW = 2.0**-900  # errors of underflow are negligible for larger costs


@dataclass(frozen=True)
class Line:
    """Closed form for points on the line and the cost ``|x - y|**k``, k >= 1.

    Cost: O((n + m) log(n + m)) time, O(n + m) memory. Guarantee: exact up to the rounding of
    the sums, which the interval accounts for.

    Notes
    -----
    The monotone coupling is optimal for a convex cost of the difference: Santambrogio (2015),
    *Optimal Transport for Applied Mathematicians*, theorem 2.9.
    """

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        k = power_on_line(problem.metric, problem.d, problem.p)
        if k is None:
            raise InputError(
                "method",
                f"'line' needs one column and |x - y|, not d={problem.d} with {problem.metric.name!r}",
                "use method='auto'",
            )
        cost, error, exponent = _cost_and_error(problem, k)
        low, high = outward(cost, error)
        return make_result(
            problem,
            "line",
            (cost, low, high),
            exponent=exponent,
            plan=partial(_plan, problem),
            potentials=partial(_potentials, problem, k),
        )


def power_on_line(metric: Metric, d: int, p: float) -> float | None:
    """Return the exponent k of the cost ``|x - y|**k``, or None for other costs."""
    return metric.line_power * p if d == 1 and metric.line_power is not None else None


def line_cost(x: Array, y: Array, a: Array, b: Array, k: float) -> tuple[Array, Index]:
    """Compute transport costs along the last axis, for masses with equal totals.

    ``sum_t (u_t - u_{t-1}) |x(u_t) - y(u_t)|**k`` over the merged levels u of both cumulative
    masses. Batched: shapes (..., n) and (..., m). Returns the costs of the points times
    ``2**-exponent``, and the exponents: 0 unless the powers would over- or underflow.
    """
    size = min(x.size, y.size)
    if x.shape[-1] == y.shape[-1] and is_constant(a) and is_constant(b):
        if x.ndim == 1:
            gaps, exponent = scaled_powers(np.subtract(*run_both(np.sort, (x,), (y,), size)), k)
            return np.asarray(gaps.sum() * a[0]), exponent
        total, exponent = _match_rows(x, y, k)
        return total * a[..., 0], exponent
    if 1 in (x.shape[-1], y.shape[-1]):  # one point on one side: all mass goes there
        gaps, exponent = scaled_powers(x - y, k)
        return np.asarray((gaps * (b if x.shape[-1] == 1 else a)).sum(axis=-1)), exponent
    (xs, a), (ys, b) = run_both(sort_points, (x, a), (y, b), size)
    if k == 1 and x.ndim == 1:
        return np.asarray(_area_between(xs, ys, a, b)), np.asarray(0)
    return _cost_of_cells(xs, ys, *staircase(a, b), k)


def weighted_line_cost(x: Array, y: Array, a: Array, b: Array, k: float) -> tuple[Array, Index]:
    """Compute :func:`line_cost` at mass 1 for weights of any totals, without rounding these.

    Levels are compared in twice the precision. Long samples are processed one at a time, so that they stay
    in cache.
    """
    if x.ndim == 1:
        return _cost_between_levels(x, y, a, b, k)
    batch = x.shape[:-1]
    sides = [side.reshape(-1, side.shape[-1]) for side in (x, y, a, b)]
    if sides[0].shape[-1] + sides[1].shape[-1] < MAX_BATCHED_VALUES:
        total, exponent = _cost_between_levels(sides[0], sides[1], sides[2], sides[3], k)
        return total.reshape(batch), np.broadcast_to(exponent, len(total)).reshape(batch)
    answers = [_cost_between_levels(u, v, w, z, k) for u, v, w, z in zip(*sides, strict=True)]
    total, exponent = (np.array(part).reshape(batch) for part in zip(*answers, strict=True))
    return total, exponent


def levels_are_harmless(x: Array, y: Array, cost: float) -> bool:
    """Whether the rounding of levels changes this W1 by a negligible amount, for any points."""
    extent = max(x.max() - y.min(), y.max() - x.min())
    return bool(2 * cumulation_error(len(x) + len(y)) * UNIT_ROUNDOFF * extent <= MAX_LEVEL_ERROR_1D * cost)


def _cost_between_levels(x: Array, y: Array, a: Array, b: Array, k: float) -> tuple[Array, Index]:
    (order_x, xs), (order_y, ys) = run_both(_order_and_points, (x, a), (y, b), min(x.size, y.size))
    cells = weighted_staircase(
        np.take_along_axis(a, order_x, axis=-1), np.take_along_axis(b, order_y, axis=-1)
    )
    return _cost_of_cells(xs, ys, *cells, k)


def _cost_of_cells(x: Array, y: Array, i: Index, j: Index, mass: Array, k: float) -> tuple[Array, Index]:
    """Sum ``mass |x[i] - y[j]|**k`` over the cells of a coupling; returns it and the exponent of its unit."""
    gaps = np.take_along_axis(x, i, -1) - np.take_along_axis(y, j, -1)
    gaps[mass == 0] = 0.0  # an empty cell would determine the unit, in which others may underflow
    gaps, exponent = scaled_powers(gaps, k)
    return np.asarray((mass * gaps).sum(axis=-1)), exponent


def _match_rows(x: Array, y: Array, k: float) -> tuple[Array, Index]:
    """Sum ``|x - y|**k`` over coupled points, sample by sample, for equal masses."""
    batch, n = x.shape[:-1], x.shape[-1]
    rows = x.reshape(-1, n), y.reshape(-1, n)
    count = len(rows[0])
    total, exponent = np.empty(count), np.zeros(count, dtype=np.intp)

    def work(first: int, last: int) -> None:
        # A few samples at a time, in two buffers that stay in cache: first access to memory takes more time
        # here than sorting.
        step = max(1, BUFFER_VALUES // n)
        buffers = np.empty((2, min(step, last - first), n))
        for start in range(first, last, step):
            stop = min(start + step, last)
            left, right = buffers[:, : stop - start]
            for buffer, side in ((left, rows[0]), (right, rows[1])):
                np.copyto(buffer, side[start:stop])
                buffer.sort(axis=-1)
            with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are the caller's
                left -= right
                gaps, exponent[start:stop] = scaled_powers(left, k)
                total[start:stop] = gaps.sum(axis=-1)

    run_both(work, (0, count // 2), (count // 2, count), x.size // 2)
    return total.reshape(batch), exponent.reshape(batch)


def _area_between(x: Array, y: Array, a: Array, b: Array) -> float:
    """Compute the area between the distribution functions of two sorted samples.

    Equal to the sum over quantile levels for k = 1, with fewer passes over memory, which dominate the time
    for a million points; left and right half of the line in parallel.
    """
    if np.array_equal(x, y) and np.array_equal(a, b):
        return 0.0  # exactly, which the rounded sums below would miss
    i = len(x) // 2
    j = int(np.searchsorted(y, x[i]))
    left = (x[:i], y[:j], a[:i], b[:j], 0.0, x[i])
    right = (x[i:], y[j:], a[i:], b[j:], float(a[:i].sum() - b[:j].sum()), max(x[-1], y[-1]))
    return sum(run_both(_area_until, left, right, i + j))


def _area_until(x: Array, y: Array, a: Array, b: Array, height: float, end: float) -> float:
    """Compute the area from the first point to ``end``; ``height``: difference of the functions before."""
    z = np.concatenate([x, y, [end]])
    order = np.argsort(z[:-1], kind="stable")  # merges two sorted runs
    z[:-1] = z[:-1].take(order)
    heights = np.concatenate([a, b])
    np.negative(heights[len(a) :], out=heights[len(a) :])
    heights = heights.take(order)
    heights = cumulative_sum(heights, overwrite=True)
    heights += height
    np.abs(heights, out=heights)
    widths = np.subtract(z[1:], z[:-1])
    widths *= heights
    return float(widths.sum())


def is_constant(a: Array) -> bool:
    """Whether all masses along the last axis are equal."""
    if a.strides[-1] == 0 or a[..., 0].flat[0] != a[..., -1].flat[0]:  # broadcast, or plainly not
        return a.strides[-1] == 0
    return bool((a == a[..., :1]).all())


def sorted_order(x: Array, a: Array) -> Index:
    """Return the order of the points, equal points by their masses.

    The second key makes the answer independent of the order of the rows, to the bit: a sample and its
    permutation have the same cumulative masses.
    """
    return _order_and_points(x, a)[0]


def sort_points(x: Array, a: Array) -> tuple[Array, Array]:
    """Sort points together with their masses."""
    if is_constant(a):
        return np.sort(x, axis=-1), a
    order, xs = _order_and_points(x, a)
    return xs, a.take(order) if a.ndim == 1 else np.take_along_axis(a, order, axis=-1)


def _order_and_points(x: Array, a: Array) -> tuple[Index, Array]:
    order = np.argsort(x, axis=-1)
    xs = x.take(order) if x.ndim == 1 else np.take_along_axis(x, order, axis=-1)
    if not is_constant(a) and (xs[..., 1:] == xs[..., :-1]).any():
        order = np.lexsort((a, x), axis=-1)
    return order, xs


def scaled_powers(gaps: Array, k: float) -> tuple[Array, Index]:
    """Compute ``|gaps * 2**-exponent|**k`` and the exponent, one for each batch entry."""
    np.abs(gaps, out=gaps)
    if k == 1:
        return gaps, np.asarray(0)
    exponent = np.array(np.frexp(gaps.max(axis=-1))[1], dtype=np.intp)
    exponent[abs(exponent) * k < MAX_UNSCALED_EXPONENT] = 0
    if exponent.any():
        gaps = np.ldexp(gaps, -exponent[..., None])
    return np.power(gaps, k, out=gaps) if k != 2 else np.multiply(gaps, gaps, out=gaps), exponent


def _cost_and_error(problem: Problem, k: float) -> tuple[float, float, int]:
    """Compute the cost at mass 1, a bound of its error, and the exponent of their unit."""
    x, y = problem.x[:, 0], problem.y[:, 0]
    n, m = len(x), len(y)
    total, exponent = line_cost(x, y, problem.a, problem.b, k)
    cost = float(total) / problem.mass
    if problem.whole or (n == m and is_constant(problem.a) and is_constant(problem.b)):
        exact = cost * problem.mass == float(total)
        return cost, _sum_error(problem, cost, k, exact=exact), int(exponent)  # cumulative masses are exact
    if min(n, m) == 1:  # the relative error of each mass is that of the total
        return cost, _sum_error(problem, cost, k) + problem.mass_error * cost, int(exponent)
    level_error = _level_error(problem, cost, k, int(exponent), 2 * cumulation_error(n + m) * UNIT_ROUNDOFF)
    if level_error > MAX_LEVEL_ERROR * cost:
        total, exponent = weighted_line_cost(x, y, problem.a, problem.b, k)
        cost = float(total)
        # A division has rounded each weight; sums of n errors have an error of (n units)**2.
        shift = (4 * UNIT_ROUNDOFF if problem.mass_error else 0.0) + 4 * ((n + m) * UNIT_ROUNDOFF) ** 2
        level_error = _level_error(problem, cost, k, int(exponent), shift)
    return cost, _sum_error(problem, cost, k) + level_error, int(exponent)


def _sum_error(problem: Problem, cost: float, k: float, *, exact: bool = False) -> float:
    """Bound of the rounding error of the sum over cells at mass 1, for given masses of the cells.

    exact : whether the division of the sum by the total mass is exact.
    """
    count = len(problem.x) + len(problem.y)
    # Differences and their powers; pairwise sums of non-negative terms: an error for each term, for each
    # level of the sum, and for the 24 or so terms of a block that are added sequentially.
    relative = (k + 40 + math.log2(count)) * UNIT_ROUNDOFF * cost
    if (
        cost >= MIN_COST_WITHOUT_UNDERFLOW
        or (cost == 0 and problem.whole)
        or _all_in_one_place(problem)
        or _samples_coincide(problem)
    ):
        return relative  # for integer masses the largest distance with mass does not underflow
    if k == 1 and problem.whole:  # only the division by the total may underflow
        return relative + (0.0 if exact else SMALLEST_SUBNORMAL)
    return relative + count * SMALLEST_SUBNORMAL


def _level_error(problem: Problem, cost: float, k: float, exponent: int, shift: float) -> float:
    """Bound of the change in cost if levels move by at most ``shift``."""
    if shift == 0 or _samples_coincide(problem):
        return 0.0
    largest = float(max(problem.x.max() - problem.y.min(), problem.y.max() - problem.x.min()))
    with np.errstate(over="ignore"):
        level_error = float(shift * np.ldexp(largest, -exponent) ** k)
        if (
            k > 1 and level_error > MAX_LEVEL_ERROR * cost
        ):  # for k = 1 the cost of a level does not depend on its position
            level_error = min(level_error, _shifted_levels(problem, k, exponent, shift))
    return level_error


def _all_in_one_place(problem: Problem) -> bool:
    """Whether all points of both samples coincide."""
    return bool((problem.x == problem.x[0]).all() and (problem.y == problem.x[0]).all())


def _samples_coincide(problem: Problem) -> bool:
    """Whether both samples have the same points with the same masses, in any order."""
    if problem.mass_error > 0 or len(problem.x) != len(problem.y):
        return False  # rounded weights may agree by chance
    order_x, order_y = sorted_order(problem.x[:, 0], problem.a), sorted_order(problem.y[:, 0], problem.b)
    same = problem.x[order_x] == problem.y[order_y]
    return bool(same.all()) and np.array_equal(problem.a[order_x], problem.b[order_y])


def _shifted_levels(problem: Problem, k: float, exponent: int, shift: float) -> float:
    """Bound of the change in cost if every level of either side moves by at most ``shift``.

    Moving a level transfers mass from one point of its side to the next. The cost changes by the difference
    of their costs to a point of the other side near this level; the difference is monotone in that point, as
    the cost is convex.
    """
    sides = [sort_points(z[:, 0], mass) for z, mass in ((problem.x, problem.a), (problem.y, problem.b))]
    points = [np.ldexp(z, -exponent) for z, _ in sides]
    levels = [cumulative_sum(np.ascontiguousarray(mass)) / problem.mass for _, mass in sides]
    total = 0.0
    for side in (0, 1):
        z, other, edges = points[side], points[1 - side], levels[side][:-1]
        jump = np.zeros(len(edges))
        for reach in (-4 * shift, 4 * shift):
            at = np.minimum(np.searchsorted(levels[1 - side], edges + reach), len(other) - 1)
            ends = (np.abs(z[:-1] - other[at]) ** k, np.abs(z[1:] - other[at]) ** k)
            np.maximum(
                jump, np.abs(ends[0] - ends[1]) + 8 * (k + 8) * UNIT_ROUNDOFF * (ends[0] + ends[1]), out=jump
            )
        total += float(jump.sum())
    return shift * total * (1 + 2.0**-20)


def _plan(problem: Problem) -> Cells:
    return couple_in_order(problem.x[:, 0], problem.y[:, 0], problem.a, problem.b)


def couple_in_order(x: Array, y: Array, a: Array, b: Array) -> Cells:
    """Couple points on the line in their order: rows, columns and masses of the cells."""
    order_x, order_y = sorted_order(x, a), sorted_order(y, b)
    i, j, mass = northwest(a[order_x], b[order_y])
    return order_x[i], order_y[j], mass


def _potentials(problem: Problem, k: float) -> tuple[Array, Array]:
    tame = problem.rescale()
    f, g = line_potentials(tame.x[:, 0], tame.y[:, 0], tame.a, tame.b, k)
    shift = (tame.exponent - problem.exponent) * k
    whole = math.floor(shift)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(f * 2.0 ** (shift - whole), whole), np.ldexp(g * 2.0 ** (shift - whole), whole)


def line_potentials(x: Array, y: Array, a: Array, b: Array, k: float) -> tuple[Array, Array]:
    """Compute optimal potentials of points on the line for ``|x - y|**k``, tight along the whole staircase.

    The cost is a Monge matrix in sorted order, so they are feasible for all pairs.
    """
    order_x, order_y = sorted_order(x, a), sorted_order(y, b)
    i, j, _ = staircase(a[order_x], b[order_y])
    f, g = np.empty(len(x)), np.empty(len(y))
    f[order_x], g[order_y] = _staircase_potentials(x[order_x], y[order_y], i, j, k)
    return f, g


def _staircase_potentials(x: Array, y: Array, i: Index, j: Index, k: float) -> tuple[Array, Array]:
    """Solve ``f[i] + g[j] = |x[i] - y[j]|**k`` along the cells of a staircase, with g[0] = 0."""
    with np.errstate(over="ignore"):
        cost = np.abs(x[i] - y[j]) ** k
    steps = np.diff(cost)
    down = np.diff(i) == 1  # this step goes to the next row; the others to the next column
    f = np.concatenate([cost[:1], cost[0] + np.cumsum(steps[down])])
    g = np.concatenate([[0.0], np.cumsum(steps[~down])])
    return f, g
