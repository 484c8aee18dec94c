"""POT's network simplex, with a certificate for every answer.

Here masses are balanced and costs scaled for POT, its plan and potentials are made feasible, and the
programme is solved again for a correction if float64 pivots were too coarse.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, c_transform, dual_bound, round_plan
from otdist.inputs.weights import make_masses
from otdist.metrics.base import make_row_blocks
from otdist.runtime.deadline import Deadline
from otdist.solvers.answer import EXACT_GAP
from otdist.solvers.linear.double_double import DoubleDouble, c_transform_double_double, reduced_costs
from otdist.solvers.linear.pot import UNLIMITED_ITERATIONS, load_solver, network_simplex
from otdist.typing import Array, Cells, Index

POT_ITERATION_LIMIT = 3  # POT's exit code at the iteration limit
TIMED_POINTS = 300  # rows and columns on which the speed of the solver is measured
UNCACHED_SLOWDOWN = 3.0  # slowdown per arc of a matrix that does not fit into the cache
TIMED_ENTRIES = 2**20  # entries on which the time of a pass is measured
GREEDY_ROUNDS = 8  # of a greedy plan
PASSES_TO_CERTIFY = 8  # passes over the matrix that certify the last plan
REFINED_TIME_RATIO = 4.0  # expected time of a refined solve relative to a plain one
MAX_REFINEMENTS = 12  # each gains about six digits
REDUCED_COST_CUT = 2.0**20  # reduced costs above this multiple of those in use are cut in a refinement
REFINED_GAP = 0.1 * EXACT_GAP  # relative gap at which refinement ends
OUTLIER_RATIO = 1e7  # a cost above this multiple of the median of those in use is an outlier
MIN_RATIO_TO_CUT = 2.0**40  # costs are cut if the largest exceeds a cost in use by this ratio
CUT_HEADROOM = 2.0**12  # factor by which costs that are not cut may exceed the one in use, for each point


@dataclass(frozen=True, eq=False)
class Solution:
    """Feasible plan and feasible potentials, with the bounds that they prove.

    Attributes
    ----------
    rows, cols, mass : ndarray
        Cells of the plan.
    potentials : (DoubleDouble, DoubleDouble)
        ``f_i + g_j <= cost_ij`` in exact arithmetic.
    price : float
        ``<P, C>``.
    gap : float
        Bound of ``<P, C - f - g>``, summed cell by cell, without cancellation.
    marginal_error : float
        Bound of the difference between the plan's marginals and the weights, by rounding.
    marginal_error_value : float
        Bound of the dual value of that difference.
    finished : bool
        Whether the solver terminated.
    """

    rows: Index
    cols: Index
    mass: Array
    potentials: tuple[DoubleDouble, DoubleDouble]
    price: float
    gap: float
    marginal_error: float
    marginal_error_value: float
    finished: bool = True

    @property
    def f(self) -> Array:
        """Potentials of the rows, rounded."""
        return self.potentials[0].high

    @property
    def g(self) -> Array:
        """Potentials of the columns, rounded."""
        return self.potentials[1].high


def solve_exactly(cost: Array, a: Array, b: Array, max_iter: int = UNLIMITED_ITERATIONS) -> Solution:
    """Compute an optimal plan, with potentials that prove it at the scale of the costs in use.

    Costs far above any in use are cut first, so that potentials need not span them and keep their digits.
    Cut costs are lower bounds, so potentials remain feasible; if a plan uses a cut cell, the problem is
    solved again with a higher limit.
    """
    for limit in cost_limits(cost):
        work = cost if limit is None else np.minimum(cost, limit)
        solution = solve_once(work, a, b, max_iter)
        if solution.finished:
            solution = refine(work, a, b, solution)
        prices = cost[solution.rows, solution.cols]
        if limit is None or (solution.finished and not (prices > limit).any()):
            return solution
    raise AssertionError("the last limit must be None")


def cost_limits(cost: Array) -> list[float | None]:
    """List the limits at which costs are cut, in order; None: no limit.

    Each row and each column uses one of its costs, so some cost in use is at least the largest of their
    minima. Only costs that exceed it by many orders of magnitude are cut.
    """
    used = max(float(cost.min(axis=1).max()), float(cost.min(axis=0).max()))
    largest = float(cost.max())
    limits: list[float | None] = []
    limit = used * CUT_HEADROOM * sum(cost.shape)
    while 0 < limit < largest / MIN_RATIO_TO_CUT and len(limits) < 2:
        limits.append(limit)
        limit *= MIN_RATIO_TO_CUT
    return [*limits, None]


def solve_once(cost: Array, a: Array, b: Array, max_iter: int) -> Solution:
    """Run POT's network simplex and certify its answer."""
    cells, g, finished = _run_network_simplex(cost, a, b, max_iter)
    # The certificate decides, whatever POT reports.
    return _certify(cost, a, b, cells, DoubleDouble.of(g), finished=finished)


def _run_network_simplex(cost: Array, a: Array, b: Array, max_iter: int) -> tuple[Cells, Array, bool]:
    """Return the cells of a plan, potentials of the columns, and whether the solver terminated."""
    # Masses and costs are scaled to about 1: POT's tolerances are absolute, and fail at other scales.
    unit = 2.0 ** -math.frexp(math.fsum(a))[1]
    exponent = math.frexp(float(cost.max()))[1]
    scaled = cost if -4 < exponent < 8 else np.ldexp(cost, -exponent)
    flow, v, code = network_simplex(*_balance_totals(a * unit, b * unit), scaled, max_iter)
    cells = np.flatnonzero(flow)
    rows, cols = np.divmod(cells, cost.shape[1])
    mass = flow.ravel()[cells] / unit
    return (rows, cols, mass), v if scaled is cost else np.ldexp(v, exponent), code != POT_ITERATION_LIMIT


def _balance_totals(a: Array, b: Array) -> tuple[Array, Array]:
    """Make the totals exactly equal; otherwise POT reports an infeasible problem."""
    demand = np.array(b)
    for _ in range(3):  # the addition rounds as well
        surplus = math.fsum(a) - math.fsum(demand)
        if surplus == 0:
            break
        demand[np.argmax(demand)] += surplus
    return np.ascontiguousarray(a), demand


def transport_cost(cost: Array) -> float:
    """Compute the exact transport cost between two uniform samples, without plan or potentials.

    For resampling, where one matrix yields hundreds of problems. Square matrices are assigned by scipy, two
    to three times as fast; others are refined if the certificate requires it.
    """
    if cost.shape[0] == cost.shape[1]:
        from scipy.optimize import linear_sum_assignment

        rows, cols = linear_sum_assignment(cost)
        return math.fsum(cost[rows, cols]) / len(rows)
    a, b, total = make_masses(None, None, *cost.shape)[:3]
    solution = solve_once(np.ascontiguousarray(cost), a, b, UNLIMITED_ITERATIONS)
    if solution.gap > 1e-6 * solution.price + solution.marginal_error * float(cost.max()):
        solution = refine(cost, a, b, solution)
    return solution.price / total


def _certify(
    cost: Array, a: Array, b: Array, cells: Cells, g: DoubleDouble, *, finished: bool, precise: bool = False
) -> Solution:
    """Make plan and potentials feasible, and compute their bounds; precise: in double-double numbers."""
    rows, cols, mass = round_plan(*cells, a, b)
    if not np.isfinite(g.high).all():
        g = DoubleDouble.of(np.zeros(len(b)))
    f = c_transform_double_double(cost, g) if precise else DoubleDouble.of(c_transform(cost, g.high))
    prices = cost[rows, cols]
    reduced = reduced_costs(prices, f.take(rows), g.take(cols))
    size = np.abs(f.high[rows]) + np.abs(g.high[cols])
    gap = math.fsum(mass * np.maximum(reduced, 0.0)) * (1 + 8 * UNIT_ROUNDOFF) + 2.0**-100 * math.fsum(
        mass * size
    )
    left = _marginal_errors(a, rows, mass)
    right = _marginal_errors(b, cols, mass)
    marginal_error_value = math.fsum(left * np.abs(f.high)) + math.fsum(right * np.abs(g.high))
    marginal_error = max(math.fsum(left), math.fsum(right))
    price = math.fsum(mass * prices)
    return Solution(
        rows,
        cols,
        mass,
        (f, g),
        price,
        gap,
        marginal_error,
        marginal_error_value * (1 + 8 * UNIT_ROUNDOFF),
        finished,
    )


def _marginal_errors(weights: Array, index: Index, mass: Array) -> Array:
    """Bound of the difference between each weight and the plan's marginal."""
    carried = np.bincount(index, mass, len(weights))
    difference = np.abs(weights - carried)
    if bool((mass == np.rint(mass)).all()):  # sums of integers are exact
        return difference
    additions = np.maximum(np.bincount(index, minlength=len(weights)) - 1, 0)
    return np.asarray((difference + additions * UNIT_ROUNDOFF * carried) * (1 + 4 * UNIT_ROUNDOFF))


def unique_plan(cost: Array, a: Array, b: Array) -> Solution:
    """Return the only plan, if one side has a single point."""
    rows, cols = np.divmod(np.arange(cost.size), cost.shape[1])
    mass = a[rows] if len(b) == 1 else b[cols]
    g = np.zeros(1) if len(b) == 1 else cost[0].copy()
    return _certify(cost, a, b, (rows, cols, mass), DoubleDouble.of(g), finished=True)


def solve_within(cost: Array, a: Array, b: Array, deadline: Deadline, max_iter: int) -> Solution | None:
    """Solve within a deadline: measure the time of pivots, then set the iteration limit by it.

    None if there is no time for the first pivots, before which the solver lists all arcs.
    """
    limit = min(2 * sum(cost.shape), max_iter)
    ending = PASSES_TO_CERTIFY * pass_seconds(cost)
    if deadline.is_over(ending + setup_seconds(cost)):
        return None
    while True:
        start = time.monotonic()
        solution = solve_once(cost, a, b, limit)
        took = max(time.monotonic() - start, 1e-9)
        # The solver cannot be continued, only run again, which pays if it makes twice as many pivots.
        possible = int(min(0.8 * (deadline.seconds_left - ending) / took * limit, UNLIMITED_ITERATIONS))
        if (
            solution.finished
            and solution.gap > REFINED_GAP * solution.price
            and not deadline.is_over(REFINED_TIME_RATIO * took)
        ):
            return solve_exactly(cost, a, b, max_iter)
        if solution.finished or limit == max_iter or possible < 2 * limit:
            return solution
        limit = min(possible, 8 * limit, max_iter)


def pass_seconds(cost: Array) -> float:
    """Estimate the seconds of a pass over a cost matrix, by some of the rows."""
    some, nothing = cost[: max(1, min(len(cost), TIMED_ENTRIES // cost.shape[1]))], np.zeros(cost.shape[1])
    return _fastest_of_three(lambda: c_transform(some, nothing)) * len(cost) / len(some)


def setup_seconds(cost: Array) -> float:
    """Estimate the seconds until the simplex makes its first pivots, by a corner of the matrix."""
    load_solver()  # before the measurement
    side = min(*cost.shape, TIMED_POINTS)
    corner, even = np.ascontiguousarray(cost[:side, :side]), np.full(side, 1.0 / side)
    return (
        UNCACHED_SLOWDOWN
        * _fastest_of_three(lambda: solve_once(corner, even, even, 1))
        * cost.size
        / corner.size
    )


def _fastest_of_three(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs, which is least affected by other processes."""
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        work()
        seconds.append(time.monotonic() - start)
    return min(seconds)


def greedy_solution(cost: Array, a: Array, b: Array, g: Array) -> Solution:
    """Compute a plan and potentials by a few passes over the matrix, without pivots.

    Greedy by reduced cost, in rounds; the rest is coupled by the north-west corner rule. ``g``: any
    potentials of the columns.
    """
    _, g, _ = max((dual_bound(cost, a, b, start) for start in (g, np.zeros(len(b)))), key=lambda one: one[2])
    left, right = a.copy(), b.copy()
    cells: list[tuple[Index, Index, Array]] = []
    for _ in range(GREEDY_ROUNDS):
        u, v = np.flatnonzero(left > 0), np.flatnonzero(right > 0)
        if min(len(u), len(v)) == 0:
            break
        cols, reduced = _find_cheapest(cost, g, u, v)
        order = np.lexsort((reduced, cols))
        i, j = u[order], cols[order]
        # In each column, rows with the smallest reduced costs come first, up to its mass.
        before = np.cumsum(left[i]) - left[i]
        first = np.flatnonzero(np.diff(j, prepend=-1))
        before -= np.repeat(before[first], np.diff(first, append=len(j)))
        mass = np.minimum(left[i], np.maximum(right[j] - before, 0.0))
        cells.append((i, j, mass))
        left[i] -= mass
        right = np.maximum(right - np.bincount(j, mass, len(b)), 0.0)
    rows, cols, mass = (np.concatenate(part) for part in zip(*cells, strict=True))
    sent = mass > 0
    return _certify(cost, a, b, (rows[sent], cols[sent], mass[sent]), DoubleDouble.of(g), finished=False)


def _find_cheapest(cost: Array, g: Array, u: Index, v: Index) -> tuple[Index, Array]:
    """Return the column of the smallest reduced cost among ``v`` for every row of ``u``, and that cost."""
    cols, reduced = np.empty(len(u), dtype=np.intp), np.empty(len(u))
    whole = len(v) == len(g)
    for rows in make_row_blocks(len(u), len(v)):
        block = cost[u[rows]] if whole else cost[np.ix_(u[rows], v)]
        block = block - g[v]
        place = block.argmin(axis=1)
        cols[rows], reduced[rows] = v[place], block[np.arange(len(block)), place]
    return cols, reduced


def refine(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
    """Solve again for a correction, if pivots at the scale of the largest cost were too coarse.

    Notes
    -----
    Iterative refinement of linear programmes: Gleixner, Steffy, Wolter (2016). The matrix of
    reduced costs has the same optimal plans; entries far above those in use are capped. The certificate
    uses the true costs, and would show if that were wrong.
    """
    for _ in range(MAX_REFINEMENTS):
        prices = cost[solution.rows, solution.cols]
        if solution.gap <= REFINED_GAP * _cost_of_most(prices, solution.mass):
            break
        f, g = solution.potentials
        used = reduced_costs(prices, f.take(solution.rows), g.take(solution.cols))
        worst = float(used.max(initial=0.0))
        if worst <= 0:
            break
        reduced = _reduced_matrix(cost, f, g, REDUCED_COST_CUT * worst) / worst
        cells, change, finished = _run_network_simplex(reduced, a, b, UNLIMITED_ITERATIONS)
        better = _certify(cost, a, b, cells, g.add(worst * change), finished=finished, precise=True)
        if better.gap >= solution.gap and better.price >= solution.price:
            break
        solution = better
    return solution


def _cost_of_most(prices: Array, mass: Array) -> float:
    """Cost of a plan with the costs of outliers capped.

    A gap that is small relative to one far outlier may leave the rest of the plan undecided.
    """
    positive = prices[prices > 0]
    if positive.size == 0:
        return 0.0
    return math.fsum(mass * np.minimum(prices, OUTLIER_RATIO * float(np.median(positive))))


def _reduced_matrix(cost: Array, f: DoubleDouble, g: DoubleDouble, limit: float) -> Array:
    """Compute the non-negative reduced costs of all pairs, cut at a limit."""
    reduced = np.empty_like(cost)
    for rows in make_row_blocks(len(cost), 4 * cost.shape[1]):
        lines = DoubleDouble(f.high[rows, None], f.low[rows, None])
        np.clip(reduced_costs(cost[rows], lines, g), 0.0, limit, out=reduced[rows])
    return reduced


def repair_potentials(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
    """Replace the potentials of a run that was stopped, which can be far from optimal."""
    pairs = [dual_bound(cost, a, b, g) for g in (solution.g, np.zeros(len(b)))]
    f, g, dual = max(pairs, key=lambda pair: pair[2])
    potentials = DoubleDouble.of(f), DoubleDouble.of(g)
    return replace(
        solution, potentials=potentials, gap=max(solution.price - dual, 0.0), marginal_error_value=0.0
    )
