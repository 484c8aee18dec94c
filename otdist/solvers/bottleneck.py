"""Bottleneck distance, W_p for p = infinity: the smallest possible longest step of a plan."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from otdist.bounds import northwest, outward
from otdist.errors import InputError
from otdist.inputs.arguments import check_bytes, set_option
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.solvers.answer import make_result
from otdist.solvers.costs import UNDERFLOW_DISTANCE, cost_rounding
from otdist.solvers.line import couple_in_order, power_on_line
from otdist.solvers.linear.pot import UNLIMITED_ITERATIONS, network_simplex
from otdist.typing import Array, Index, Mask

BOTTLENECK_BYTES_PER_PAIR = 40  # distances, sorted distances, and copies of the solver
TIME_LIMIT_REACHED = "Time was up before the longest step was known: raise max_seconds."


class Flow(NamedTuple):
    """Flow along allowed pairs, as cells of a plan."""

    rows: Index
    cols: Index
    mass: Array


class Bracket(NamedTuple):
    """Plan, and bounds of the longest step of an optimal one."""

    plan: Flow
    lower: float
    upper: float


@dataclass(frozen=True)
class Bottleneck:
    """Exact W_infinity: the smallest t such that all mass can move along pairs at most t apart.

    Parameters
    ----------
    max_bytes : int, optional
        Memory limit. None: half of the free memory.

    Notes
    -----
    On the line the monotone coupling is optimal. Otherwise t is found by bisection among the
    distances: a maximum flow between pairs at most t apart decides whether all mass can move. The answer
    has both proofs: a plan whose longest step is t, and for the next smaller distance a set of
    points whose neighbours have less mass than the set (Hall's condition), checked in integers.
    Cost: O(n m) memory; about log2(n m) flows, each about O((n + m)^0.5 n m) for equal masses.

    Masses are counted exactly, since any mass that has to travel further, however small, determines the
    distance: weights must be integers after scaling by a power of two (uniform, counts, or few binary
    digits).

    Sources: Gross (1959) for the bisection; Hopcroft, Karp (1973) for equal masses; on the line,
    Santambrogio (2015), *Optimal Transport for Applied Mathematicians*, theorem 2.9 and section 3.2.
    """

    max_bytes: int | None = None

    def __post_init__(self) -> None:
        set_option(self, "max_bytes", check_bytes(self.max_bytes))

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem, which has ``p = 1``, as distances are compared, not added."""
        if not problem.whole:
            raise InputError(
                "a",
                "and b must be uniform or whole numbers (after scaling by a power of two) for p = infinity, "
                "since a mass of 1e-17, such as rounding leaves between 0.1 and 0.3, would set the distance",
                "give counts, such as [1, 2, 3] for [0.1, 0.2, 0.3]",
            )
        problem = problem.rescale()
        if power_on_line(problem.metric, problem.d, problem.p) == 1:
            plan = _match_on_line(problem)
            longest = float(np.abs(problem.x[plan.rows, 0] - problem.y[plan.cols, 0]).max())
            bracket = Bracket(plan, longest, longest)
        else:
            bracket = self._bisect(problem)
        # The longest step has the rounding error of distances.
        error = _distance_error(problem, bracket)
        lower = outward(bracket.lower, cost_rounding(problem) * bracket.lower + error)[0]
        upper = outward(bracket.upper, cost_rounding(problem) * bracket.upper + error)[1]
        result = make_result(
            problem,
            "bottleneck",
            (bracket.upper, lower, upper),
            plan=partial(_cells, bracket.plan),
            converged=bracket.lower == bracket.upper,
            message="" if bracket.lower == bracket.upper else TIME_LIMIT_REACHED,
        )
        return change(result, name="Winf" if problem.metric.triangle else "EMDinf")

    def _bisect(self, problem: Problem) -> Bracket:
        """Find the smallest distance between points up to which all mass can move."""
        n, m = len(problem.x), len(problem.y)
        deadline = math.inf if problem.max_seconds is None else time.monotonic() + problem.max_seconds
        remedy = "pass a random subset of the rows, or raise max_bytes"
        require_memory(
            BOTTLENECK_BYTES_PER_PAIR * n * m, f"p = infinity on {n} x {m} points", remedy, self.max_bytes
        )
        distance = problem.metric.matrix(problem.x, problem.y)
        a, b = np.ascontiguousarray(problem.a), np.ascontiguousarray(problem.b)
        # Every point has to reach at least the nearest point of the other side.
        nearest = max(float(distance.min(axis=1).max()), float(distance.min(axis=0).max()))
        levels = np.unique(distance[distance >= nearest])
        plan = Flow(*northwest(a, b))
        low, high = -1, int(np.searchsorted(levels, distance[plan.rows, plan.cols].max()))
        while high - low > 1 and time.monotonic() < deadline:
            middle = (low + high) // 2
            flow = largest_flow(distance <= levels[middle], a, b)
            if flow.mass.sum() < a.sum():
                require_hall_violation(distance <= levels[middle], a, b, flow)
                low = middle
            else:
                plan = flow
                high = int(np.searchsorted(levels, distance[flow.rows, flow.cols].max()))
        return Bracket(plan, float(levels[low + 1]), float(levels[high]))


def _cells(flow: Flow) -> tuple[Index, Index, Array]:
    return flow.rows, flow.cols, flow.mass


def _distance_error(problem: Problem, bracket: Bracket) -> float:
    """Bound of the absolute error of the longest step, besides the relative one."""
    if problem.metric.error is not None:
        return problem.metric.error(problem.x, problem.y)
    if problem.metric.degree is None or problem.d == 1 or bracket.upper >= UNDERFLOW_DISTANCE:
        return 0.0
    # Squares of smaller differences underflow.
    return (
        UNDERFLOW_DISTANCE
        if bool((problem.x[bracket.plan.rows] != problem.y[bracket.plan.cols]).any())
        else 0.0
    )


def _match_on_line(problem: Problem) -> Flow:
    """Return the monotone coupling; masses are integers, so no cell is an artefact of rounding."""
    return Flow(*couple_in_order(problem.x[:, 0], problem.y[:, 0], problem.a, problem.b))


def largest_flow(allowed: Mask, a: Array, b: Array) -> Flow:
    """Compute the largest flow from masses a to masses b along allowed pairs; exact for integer masses."""
    if len(a) == len(b) and (a == a[0]).all() and (b == a[0]).all():
        return _largest_matching(allowed, float(a[0]))
    # A transport plan with the least mass on forbidden pairs; integers add without rounding.
    unit = 2.0 ** -np.frexp(a.sum())[1]
    flow = network_simplex(a * unit, b * unit, np.where(allowed, 0.0, 1.0), UNLIMITED_ITERATIONS)[0]
    rows, cols = np.nonzero((flow > 0) & allowed)
    return Flow(rows, cols, flow[rows, cols] / unit)


def _largest_matching(allowed: Mask, unit: float) -> Flow:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    column = maximum_bipartite_matching(csr_array(allowed), perm_type="column")
    rows = np.flatnonzero(column >= 0)
    return Flow(rows, column[rows].astype(np.intp), np.full(len(rows), unit))


def require_hall_violation(allowed: Mask, a: Array, b: Array, flow: Flow) -> None:
    """Check that some rows have more mass than all columns that they may send it to.

    These are the rows that can be reached from a row with remaining mass, along allowed pairs and back along
    the flow. Integers: nothing rounds.
    """
    sent = np.bincount(flow.rows, flow.mass, len(a))
    carried = np.zeros(allowed.shape, dtype=bool)
    carried[flow.rows, flow.cols] = True
    rows = sent < a
    cols = np.zeros(len(b), dtype=bool)
    while True:
        reached = cols | allowed[rows].any(axis=0)
        more = rows | carried[:, reached].any(axis=1)
        if (reached == cols).all() and (more == rows).all():
            break
        rows, cols = more, reached
    if not a[rows].sum() > b[cols].sum():
        raise AssertionError("the flow is not maximal: no set of rows violates Hall's condition")
