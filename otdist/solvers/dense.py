"""The linear programme on a full cost matrix: POT's network simplex, made safe.

POT gives speed; everything that makes its number trustworthy is here: exact masses, a scaled
cost, certificates from the plan and the potentials it returns, and refinement where float64
pivots were too coarse for the data.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, c_transform, dual_bound, outward, round_plan
from otdist.budget import require_memory
from otdist.errors import InputError
from otdist.metrics.names import require_costs
from otdist.problem import Problem
from otdist.progress import working
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.merge import Merged
from otdist.weights import masses, rounding

Array = NDArray[np.float64]
Index = NDArray[np.intp]

PROVED = 1e-9  # relative gap below which a result counts as exact
BYTES_PER_PAIR = 41  # cost, plan, flow and arcs of POT's solver
UNLIMITED = 2**62
STOPPED = 3  # POT's code for the iteration cap
TINY = 2.0**-480  # costs of differences above this are computed without underflow
ROUNDS = 6  # of refinement; each gains about six digits, so float64 is exhausted long before


@dataclass(frozen=True)
class Dense:
    """Exact transport by the network simplex on the full cost matrix.

    Parameters
    ----------
    max_iter : int, optional
        Pivots after which the best proved interval is returned. None: no limit.
    max_bytes : int, optional
        Memory it may take. None: half of what is free.

    Notes
    -----
    Bonneel, van de Panne, Paris, Heidrich (2011), in POT's implementation. Cost: about
    O(n^2.5) time for n = m, 41 bytes for each of the n m pairs.
    """

    max_iter: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.max_iter is not None and self.max_iter < 1:
            raise InputError(
                "max_iter", f"{self.max_iter} is not positive", "give a number of pivots, or None"
            )

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        merged = Merged.of(problem)
        n, m = len(merged.a), len(merged.b)
        if n == 0 or m == 0:
            return _nothing_moves(merged)
        require_memory(
            BYTES_PER_PAIR * n * m,
            f"method 'dense' on {n} x {m} points",
            "pass a random subset of the rows, or raise max_bytes",
            self.max_bytes,
        )
        merged = merged.rescaled()
        cost, exponent, lost = _scaled(merged)
        with working(problem.progress, f"network simplex on {n} x {m} points"):
            solution = self._solve(cost, merged, problem.max_seconds)
        return _certified(merged, solution, exponent, lost + math.ldexp(_rounding(merged.problem), -exponent))

    def _solve(self, cost: Array, merged: Merged, max_seconds: float | None) -> Solution:
        a, b = merged.a, merged.b
        if 1 in cost.shape:
            return _only_plan(cost, a, b)
        if max_seconds is None:
            solution = _simplex(cost, a, b, self.max_iter or UNLIMITED)
        else:
            solution = _within(cost, a, b, max_seconds, self.max_iter or UNLIMITED)
        return (
            _refined(cost, a, b, solution) if solution.finished else _doubly_transformed(cost, a, b, solution)
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """A feasible plan and a feasible pair of potentials, with what they prove."""

    rows: Index
    cols: Index
    mass: Array
    f: Array
    g: Array
    price: float  # <P, C>
    gap: float  # <P, C> - (a.f + b.g), summed cell by cell: no cancellation
    spill: float  # bound of the cost of mass below rounding that the plan leaves out
    finished: bool = True


def _scaled(merged: Merged) -> tuple[Array, int, float]:
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


def _rounding(problem: Problem) -> float:
    """Bound of the change in cost by weights that were rounded when divided by their sum."""
    if problem.whole or (moved := rounding(problem.a, problem.b)) == 0:
        return 0.0
    if problem.metric.name == "precomputed":
        return moved * float(problem.costs(problem.x, problem.y).max())
    # No two points are further apart than twice the largest distance from one of them.
    ends = [problem.metric.matrix(problem.x[:1], points).max() for points in (problem.x, problem.y)]
    return float(moved * (2.0 * float(max(ends))) ** problem.p)


def _simplex(cost: Array, a: Array, b: Array, max_iter: int) -> Solution:
    # Straight to the solver: ot.emd adds checks already made here, and announces an iteration
    # cap as a warning, which cannot be read back without touching global filters.
    from ot.lp.emd_wrap import emd_c

    # Near 1: among masses of 1e15 POT's tolerances, which are absolute, lose the potentials.
    unit = 2.0 ** -math.frexp(math.fsum(a))[1]
    flow, _, _, v, code = emd_c(*_balanced(a * unit, b * unit), cost, max_iter, 1, None, None)
    cells = np.flatnonzero(flow)
    rows, cols = np.divmod(cells, cost.shape[1])
    mass = flow.ravel()[cells] / unit
    del flow
    # Whatever else POT says of its answer, the certificate decides.
    return _judged(cost, a, b, (rows, cols, mass), v, finished=code != STOPPED)


def _balanced(a: Array, b: Array) -> tuple[Array, Array]:
    """Make the totals equal to the last bit; POT calls the problem infeasible otherwise."""
    demand = np.array(b)
    for _ in range(3):  # adding rounds as well
        surplus = math.fsum(a) - math.fsum(demand)
        if surplus == 0:
            break
        demand[np.argmax(demand)] += surplus
    return np.ascontiguousarray(a), demand


def transport_cost(cost: Array) -> float:
    """Exact transport cost between two uniform samples, without plan or potentials.

    For resampling, where one matrix yields hundreds of problems. Refined where
    the certificate of a solve asks for it.
    """
    a, b, total, _ = masses(None, None, *cost.shape)
    solution = _simplex(np.ascontiguousarray(cost), a, b, UNLIMITED)
    if solution.gap > 1e-6 * solution.price + solution.spill:
        solution = _refined(cost, a, b, solution)
    return solution.price / total


def _judged(
    cost: Array, a: Array, b: Array, cells: tuple[Index, Index, Array], g: Array, *, finished: bool
) -> Solution:
    """Make plan and potentials feasible, and measure what they prove."""
    rows, cols, mass = round_plan(*cells, a, b)
    if not np.isfinite(g).all():
        g = np.zeros(len(b))
    f = c_transform(cost, g)
    prices = cost[rows, cols]
    left_out = abs(math.fsum(a) - math.fsum(mass))
    price = math.fsum(mass * prices)
    gap = math.fsum(mass * (prices - f[rows] - g[cols]))
    return Solution(rows, cols, mass, f, g, price, gap, left_out * float(cost.max()), finished)


def _only_plan(cost: Array, a: Array, b: Array) -> Solution:
    """With one point on one side there is a single plan."""
    rows, cols = np.divmod(np.arange(cost.size), cost.shape[1])
    mass = a[rows] if len(b) == 1 else b[cols]
    g = np.zeros(1) if len(b) == 1 else cost[0].copy()
    return _judged(cost, a, b, (rows, cols, mass), g, finished=True)


def _within(cost: Array, a: Array, b: Array, seconds: float, max_iter: int) -> Solution:
    """Spend about this time: measure the pace of the pivots, then set the limit by it."""
    deadline = time.monotonic() + seconds
    limit = min(2 * sum(cost.shape), max_iter)
    while True:
        start = time.monotonic()
        solution = _simplex(cost, a, b, limit)
        now = time.monotonic()
        # The solver cannot be continued, only run again: worth it if it gets twice as far.
        possible = int(0.8 * (deadline - now) / max(now - start, 1e-9) * limit)
        if solution.finished or limit == max_iter or possible < 2 * limit:
            return solution
        limit = min(possible, 8 * limit, max_iter)


def _refined(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
    """Solve again for the correction, where pivots at the scale of the largest cost were too coarse.

    Notes
    -----
    Iterative refinement of linear programmes: Gleixner, Steffy, Wolter (2016). The matrix of
    reduced costs has the same optimal plans; entries far above those in use are capped, which
    the certificate, taken with the true costs, would expose if it were wrong.
    """
    prices = cost[solution.rows, solution.cols]
    if float(np.median(prices)) < 1e-7 * float(cost.max()):
        # Far points dwarf the others, whose potentials may have been lost in their shadow.
        # Around the middle they are small again, and what they miss becomes visible.
        cells = (solution.rows, solution.cols, solution.mass)
        coarse, g = True, solution.g - np.median(solution.g)
        solution = _judged(cost, a, b, cells, g, finished=True)
    else:
        coarse = False
    for _ in range(ROUNDS):
        prices = cost[solution.rows, solution.cols]
        worst = float(np.max(prices - solution.f[solution.rows] - solution.g[solution.cols]))
        if worst <= 0 or (solution.gap <= 1e-3 * PROVED * solution.price and not coarse):
            break
        reduced = cost - solution.f[:, None]
        reduced -= solution.g
        np.minimum(reduced, 1e6 * worst, out=reduced)
        correction = _simplex(reduced / worst, a, b, UNLIMITED)
        cells = (correction.rows, correction.cols, correction.mass)
        better = _judged(cost, a, b, cells, solution.g + worst * correction.g, finished=True)
        if better.gap >= solution.gap and better.price >= solution.price:
            break
        solution = better
    return solution


def _doubly_transformed(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
    """Repair the potentials of a run that was stopped: they can be far off."""
    pairs = [dual_bound(cost, a, b, g) for g in (solution.g, np.zeros(len(b)))]
    f, g, dual = max(pairs, key=lambda pair: pair[2])
    changes = {"f": f, "g": g, "gap": max(solution.price - dual, 0.0)}
    return Solution(**{**vars(solution), **changes})


def _nothing_moves(merged: Merged) -> Result:
    empty = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
    return make_result(
        merged.problem,
        "dense",
        (0.0, 0.0, _rounding(merged.problem)),
        plan=partial(merged.full_plan, *empty),
        potentials=partial(merged.full_potentials, np.empty(0), np.empty(0)),
        message="Both samples carry the same mass everywhere.",
    )


def _certified(merged: Merged, solution: Solution, exponent: int, unsure: float) -> Result:
    problem = merged.problem
    value = solution.price / problem.mass
    # Each distance, product and quotient rounds once; sums are exact (fsum).
    upper = outward(value, (problem.d + 8) * UNIT * value)[1] + solution.spill / problem.mass + unsure
    lower = max(value - max(solution.gap, 0.0) / problem.mass - unsure, 0.0)
    proved = solution.finished and upper - lower <= PROVED * upper
    value, lower, upper = (math.ldexp(bound, exponent) for bound in (value, lower, upper))
    return make_result(
        problem,
        "dense",
        (value, lower, upper),
        plan=partial(merged.full_plan, solution.rows, solution.cols, solution.mass),
        potentials=partial(_at_scale, merged, solution.f, solution.g, exponent),
        converged=proved,
        message=_message(solution, proved),
    )


def _at_scale(merged: Merged, f: Array, g: Array, exponent: int) -> tuple[Array, Array]:
    return merged.full_potentials(np.ldexp(f, exponent), np.ldexp(g, exponent))


def _message(solution: Solution, proved: bool) -> str:
    if proved:
        return ""
    if not solution.finished:
        return "The network simplex was stopped before its optimum: raise max_iter or max_seconds."
    return (
        "The network simplex ended, but float64 cannot prove its answer to 1e-9 on these data, whose "
        "distance is tiny beside their extent: use the interval."
    )
