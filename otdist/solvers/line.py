"""Points on a line: sort both samples and match them in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, cumulated, cumulation_error, northwest, outward, staircase
from otdist.errors import InputError
from otdist.metrics import Metric
from otdist.parallel import both
from otdist.problem import ORDINARY, Problem
from otdist.result import Result
from otdist.solvers.answer import make_result

Array = NDArray[np.float64]
Index = NDArray[np.intp]

BUFFER = 2**15  # values: 256 KB


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
        total, exponent = line_cost(problem.x[:, 0], problem.y[:, 0], problem.a, problem.b, k)
        cost = float(total) / problem.mass
        low, high = outward(cost, _rounding(problem, cost, k, int(exponent)))
        return make_result(
            problem,
            "line",
            (cost, low, high),
            exponent=int(exponent),
            plan=partial(_plan, problem),
            potentials=partial(_potentials, problem, k),
        )


def power_on_line(metric: Metric, d: int, p: float) -> float | None:
    """Exponent k of the cost ``|x - y|**k``, or None where the cost is another one."""
    return metric.line_power * p if d == 1 and metric.line_power is not None else None


def line_cost(x: Array, y: Array, a: Array, b: Array, k: float) -> tuple[Array, Index]:
    """Transport costs along the last axis, for masses with equal totals.

    ``sum_t (u_t - u_{t-1}) |x(u_t) - y(u_t)|**k`` over the merged levels u of both cumulated
    masses. Batched: shapes (..., n) and (..., m). Returns the costs of the points times
    ``2**-exponent``, and the exponents: 0 unless the powers would over- or underflow.
    """
    size = min(x.size, y.size)
    if x.shape[-1] == y.shape[-1] and constant(a) and constant(b):
        if x.ndim == 1:
            gaps, exponent = powered(np.subtract(*both(np.sort, (x,), (y,), size)), k)
            return np.asarray(gaps.sum() * a[0]), exponent
        total, exponent = _rows_matched(x, y, k)
        return total * a[..., 0], exponent
    (xs, a), (ys, b) = both(sorted_law, (x, a), (y, b), size)
    if k == 1 and x.ndim == 1:
        return np.asarray(_area_between(xs, ys, a, b)), np.asarray(0)
    i, j, mass = staircase(a, b)
    gaps, exponent = powered(np.take_along_axis(xs, i, -1) - np.take_along_axis(ys, j, -1), k)
    return np.asarray((mass * gaps).sum(axis=-1)), exponent


def _rows_matched(x: Array, y: Array, k: float) -> tuple[Array, Index]:
    """Sums of ``|x - y|**k`` over matched points, sample by sample, all of equal masses."""
    batch, n = x.shape[:-1], x.shape[-1]
    rows = x.reshape(-1, n), y.reshape(-1, n)
    count = len(rows[0])
    total, exponent = np.empty(count), np.zeros(count, dtype=np.intp)

    def work(first: int, last: int) -> None:
        # A few samples at a time in two buffers that stay in cache: what costs time here is not
        # the sorting but memory that is seen for the first time.
        step = max(1, BUFFER // n)
        buffers = np.empty((2, min(step, last - first), n))
        for start in range(first, last, step):
            stop = min(start + step, last)
            left, right = buffers[:, : stop - start]
            for buffer, side in ((left, rows[0]), (right, rows[1])):
                np.copyto(buffer, side[start:stop])
                buffer.sort(axis=-1)
            with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are the caller's
                left -= right
                gaps, exponent[start:stop] = powered(left, k)
                total[start:stop] = gaps.sum(axis=-1)

    both(work, (0, count // 2), (count // 2, count), x.size // 2)
    return total.reshape(batch), exponent.reshape(batch)


def _area_between(x: Array, y: Array, a: Array, b: Array) -> float:
    """Area between the distribution functions of two samples in order.

    The same number as the sum over quantile levels for k = 1, with fewer passes over memory,
    which is what a million points cost; left and right half of the line at the same time.
    """
    if np.array_equal(x, y) and np.array_equal(a, b):
        return 0.0  # exactly, which the rounded sums below would miss
    i = len(x) // 2
    j = int(np.searchsorted(y, x[i]))
    left = (x[:i], y[:j], a[:i], b[:j], 0.0, x[i])
    right = (x[i:], y[j:], a[i:], b[j:], float(a[:i].sum() - b[:j].sum()), max(x[-1], y[-1]))
    return sum(both(_area_until, left, right, i + j))


def _area_until(x: Array, y: Array, a: Array, b: Array, height: float, end: float) -> float:
    """Area from the first of these points to ``end``; ``height``: difference of the functions before."""
    z = np.concatenate([x, y, [end]])
    order = np.argsort(z[:-1], kind="stable")  # merges two sorted runs
    z[:-1] = z[:-1].take(order)
    heights = np.concatenate([a, b])
    np.negative(heights[len(a) :], out=heights[len(a) :])
    heights = heights.take(order)
    heights = cumulated(heights, own=True)
    heights += height
    np.abs(heights, out=heights)
    widths = np.subtract(z[1:], z[:-1])
    widths *= heights
    return float(widths.sum())


def constant(a: Array) -> bool:
    """Whether all masses along the last axis are equal."""
    if a.strides[-1] == 0 or a[..., 0].flat[0] != a[..., -1].flat[0]:  # broadcast, or plainly not
        return a.strides[-1] == 0
    return bool((a == a[..., :1]).all())


def sorted_order(x: Array, a: Array) -> Index:
    """Order of the points; equal points in the order of their masses.

    The second key makes the answer independent of the order of the rows, to the bit: the
    cumulated masses of a sample and of its permutation are the same numbers.
    """
    return _order_and_points(x, a)[0]


def sorted_law(x: Array, a: Array) -> tuple[Array, Array]:
    """Points in order with their masses."""
    if constant(a):
        return np.sort(x, axis=-1), a
    order, xs = _order_and_points(x, a)
    return xs, a.take(order) if a.ndim == 1 else np.take_along_axis(a, order, axis=-1)


def _order_and_points(x: Array, a: Array) -> tuple[Index, Array]:
    order = np.argsort(x, axis=-1)
    xs = x.take(order) if x.ndim == 1 else np.take_along_axis(x, order, axis=-1)
    if not constant(a) and (xs[..., 1:] == xs[..., :-1]).any():
        order = np.lexsort((a, x), axis=-1)
    return order, xs


def powered(gaps: Array, k: float) -> tuple[Array, Index]:
    """``|gaps * 2**-exponent|**k`` and the exponent, one for each batch entry."""
    np.abs(gaps, out=gaps)
    if k == 1:
        return gaps, np.asarray(0)
    exponent = np.array(np.frexp(gaps.max(axis=-1))[1], dtype=np.intp)
    exponent[abs(exponent) * k < ORDINARY] = 0
    if exponent.any():
        gaps = np.ldexp(gaps, -exponent[..., None])
    return np.power(gaps, k, out=gaps) if k != 2 else np.multiply(gaps, gaps, out=gaps), exponent


def _rounding(problem: Problem, cost: float, k: float, exponent: int) -> float:
    """Bound of the rounding error of ``line_cost`` at mass 1."""
    n, m = len(problem.x), len(problem.y)
    # Sums of non-negative terms, pairwise: relative error per term and per level of the sum.
    relative = (k + 8 + math.log2(n + m)) * UNIT * cost
    if problem.whole or (n == m and constant(problem.a) and constant(problem.b)):
        return relative  # cumulated masses are exact
    if cost == 0 and problem.mass_error == 0:
        return 0.0
    largest = float(max(problem.x.max(), problem.y.max()) - min(problem.x.min(), problem.y.min()))
    with np.errstate(over="ignore"):
        return float(relative + 2 * cumulation_error(n + m) * UNIT * np.ldexp(largest, -exponent) ** k)


def _orders(problem: Problem) -> tuple[Index, Index]:
    return sorted_order(problem.x[:, 0], problem.a), sorted_order(problem.y[:, 0], problem.b)


def _plan(problem: Problem) -> tuple[Index, Index, Array]:
    order_x, order_y = _orders(problem)
    i, j, mass = northwest(problem.a[order_x], problem.b[order_y])
    return order_x[i], order_y[j], mass


def _potentials(problem: Problem, k: float) -> tuple[Array, Array]:
    """Potentials that are tight along the whole staircase.

    The cost is a Monge matrix in sorted order, so they are feasible everywhere.
    """
    tame = problem.tamed()
    order_x, order_y = _orders(tame)
    x, y = tame.x[order_x, 0], tame.y[order_y, 0]
    i, j, _ = staircase(tame.a[order_x], tame.b[order_y])
    f, g = staircase_potentials(x, y, i, j, k)
    out_f, out_g = np.empty_like(f), np.empty_like(g)
    out_f[order_x], out_g[order_y] = f, g
    unit = 2.0 ** ((tame.exponent - problem.exponent) * k)
    return out_f * unit, out_g * unit


def staircase_potentials(x: Array, y: Array, i: Index, j: Index, k: float) -> tuple[Array, Array]:
    """Solve ``f[i] + g[j] = |x[i] - y[j]|**k`` along the cells of a staircase, with g[0] = 0."""
    with np.errstate(over="ignore"):
        cost = np.abs(x[i] - y[j]) ** k
    steps = np.diff(cost)
    down = np.diff(i) == 1  # this step goes to the next row; the others to the next column
    f = np.concatenate([cost[:1], cost[0] + np.cumsum(steps[down])])
    g = np.concatenate([[0.0], np.cumsum(steps[~down])])
    return f, g
