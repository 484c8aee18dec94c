"""The network simplex: POT's, with a certificate taken from every answer.

POT gives speed; here its masses are balanced and scaled, its plan and potentials made feasible,
and the programme is solved again for the correction where float64 pivots were too coarse.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import c_transform, dual_bound, round_plan
from otdist.solvers.answer import PROVED
from otdist.weights import masses

Array = NDArray[np.float64]
Index = NDArray[np.intp]

UNLIMITED = 2**62
STOPPED = 3  # POT's code for the iteration cap
ROUNDS = 6  # of refinement; each gains about six digits, so float64 is exhausted long before


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


def simplex(cost: Array, a: Array, b: Array, max_iter: int) -> Solution:
    """Run POT's network simplex and judge what it returns."""
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
    a, b, total = masses(None, None, *cost.shape)[:3]
    solution = simplex(np.ascontiguousarray(cost), a, b, UNLIMITED)
    if solution.gap > 1e-6 * solution.price + solution.spill:
        solution = refined(cost, a, b, solution)
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
    # By place: a sum over all would round away the very mass that is missing.
    left_out = max(
        np.abs(a - np.bincount(rows, mass, len(a))).sum(), np.abs(b - np.bincount(cols, mass, len(b))).sum()
    )
    price = math.fsum(mass * prices)
    gap = math.fsum(mass * (prices - f[rows] - g[cols]))
    return Solution(rows, cols, mass, f, g, price, gap, float(left_out) * float(cost.max()), finished)


def only_plan(cost: Array, a: Array, b: Array) -> Solution:
    """With one point on one side there is a single plan."""
    rows, cols = np.divmod(np.arange(cost.size), cost.shape[1])
    mass = a[rows] if len(b) == 1 else b[cols]
    g = np.zeros(1) if len(b) == 1 else cost[0].copy()
    return _judged(cost, a, b, (rows, cols, mass), g, finished=True)


def within(cost: Array, a: Array, b: Array, deadline: float, max_iter: int) -> Solution:
    """Stop at about this moment: measure the pace of the pivots, then set the limit by it."""
    limit = min(2 * sum(cost.shape), max_iter)
    while True:
        start = time.monotonic()
        solution = simplex(cost, a, b, limit)
        now = time.monotonic()
        # The solver cannot be continued, only run again: worth it if it gets twice as far.
        possible = int(min(0.8 * (deadline - now) / max(now - start, 1e-9) * limit, UNLIMITED))
        if solution.finished or limit == max_iter or possible < 2 * limit:
            return solution
        limit = min(possible, 8 * limit, max_iter)


def refined(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
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
        correction = simplex(reduced / worst, a, b, UNLIMITED)
        cells = (correction.rows, correction.cols, correction.mass)
        better = _judged(cost, a, b, cells, solution.g + worst * correction.g, finished=True)
        if better.gap >= solution.gap and better.price >= solution.price:
            break
        solution = better
    return solution


def repaired(cost: Array, a: Array, b: Array, solution: Solution) -> Solution:
    """Repair the potentials of a run that was stopped: they can be far off."""
    pairs = [dual_bound(cost, a, b, g) for g in (solution.g, np.zeros(len(b)))]
    f, g, dual = max(pairs, key=lambda pair: pair[2])
    changes = {"f": f, "g": g, "gap": max(solution.price - dual, 0.0)}
    return Solution(**{**vars(solution), **changes})
