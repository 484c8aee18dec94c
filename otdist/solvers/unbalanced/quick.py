"""Bounds of unbalanced problems from O(n + m) costs, for when there is no time for all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.problem import Problem
from otdist.solvers.answer import extend_to_left_out, make_sparse_plan
from otdist.solvers.costs import cost_rounding
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import Sides, listed_costs, quick_plan, quick_potentials
from otdist.typing import Array, Index

if TYPE_CHECKING:
    from scipy.sparse import coo_array


@dataclass(frozen=True, eq=False)
class QuickUnbalanced:
    """Plan and potentials of an unbalanced problem, and the bounds that they prove.

    Attributes
    ----------
    problem : Problem
        Samples, on a scale where costs do not overflow.
    cells : tuple of ndarray
        Rows, columns and masses of the plan.
    f, g : ndarray
        Potentials of the rows of the problem, on its scale.
    lower, upper : float
        Bounds of the cost, in the caller's units.
    """

    problem: Problem
    cells: tuple[Index, Index, Array]
    f: Array
    g: Array
    lower: float
    upper: float

    @classmethod
    def with_tv_penalty(cls, problem: Problem, masses: tuple[Array, Array], price: float) -> QuickUnbalanced:
        """Bound the problem with a price of untransported mass, in the caller's units."""
        sides, unit = _sides(problem, masses)
        price = price / unit
        totals = float(masses[0].sum()), float(masses[1].sum())
        cells, cost, rounded = _plan_of(sides, min(totals))
        transported = cost <= 2 * price
        i, j, mass = cells[0][transported], cells[1][transported], cells[2][transported]
        sent = math.fsum(mass)
        upper = math.fsum(mass * cost[transported]) + price * (totals[0] + totals[1] - 2 * sent)
        upper = min(upper + rounded, price * (totals[0] + totals[1]))
        # At least the surplus of the heavier side stays; feasible potentials may be cut at the price.
        least = price * abs(totals[0] - totals[1])
        sign = 1.0 if totals[0] >= totals[1] else -1.0
        f, g = np.full(len(masses[0]), sign * price), np.full(len(masses[1]), -sign * price)
        if not problem.metric.error:
            dual, _ = quick_potentials(_with_equal_totals(sides))
            cut = np.minimum(dual.f, price), np.minimum(dual.g, price)
            value = math.fsum(sides.a * cut[0]) + math.fsum(sides.b * cut[1])
            if value > least:
                least, (f, g) = value, cut
        widening = (cost_rounding(problem) + 16 * (sides.size + problem.d) * UNIT_ROUNDOFF) * (least + upper)
        lower = max(least - widening, 0.0) * unit
        return cls(sides.problem, (i, j, mass), f, g, min(lower, upper * unit), (upper + widening) * unit)

    @classmethod
    def with_fixed_mass(
        cls, problem: Problem, masses: tuple[Array, Array], moved: float | None
    ) -> QuickUnbalanced:
        """Bound the cost of transporting a given mass, or all mass of the lighter side."""
        sides, unit = _sides(problem, masses)
        most = min(float(masses[0].sum()), float(masses[1].sum()))
        cells, cost, rounded = _plan_of(sides, most if moved is None else min(moved, most))
        widening = cost_rounding(problem) + 16 * (sides.size + problem.d) * UNIT_ROUNDOFF
        upper = (math.fsum(cells[2] * cost) + rounded) * (1 + widening)
        return cls(sides.problem, cells, np.zeros(len(sides.a)), np.zeros(len(sides.b)), 0.0, upper * unit)

    @classmethod
    def with_kl_penalty(cls, problem: Problem, masses: tuple[Array, Array], price: float) -> QuickUnbalanced:
        """Bound the problem with a KL penalty by the cost of the empty plan."""
        none = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0)
        upper = price * (math.fsum(masses[0]) + math.fsum(masses[1])) * (1 + 4 * UNIT_ROUNDOFF)
        sides, _ = _sides(problem, masses)
        return cls(sides.problem, none, np.zeros(len(sides.a)), np.zeros(len(sides.b)), 0.0, upper)

    def make_plan(self) -> coo_array:
        """Make the plan, as a sparse array of the caller's shape."""
        return make_sparse_plan(self.problem, self.cells)

    def potentials(self) -> tuple[Array, Array]:
        """Return potentials of all rows, in the caller's units."""
        f, g, problem = self.f, self.g, self.problem
        if problem.rows is not None or problem.cols is not None:
            f, g = extend_to_left_out(problem, f, g)
        return np.asarray(problem.to_caller_costs(f)), np.asarray(problem.to_caller_costs(g))


def _sides(problem: Problem, masses: tuple[Array, Array]) -> tuple[Sides, float]:
    """Scale points and masses; returns them, and the unit of their costs in the caller's units."""
    merged = MergedProblem.from_rows(problem, masses).rescale()
    return Sides.of(merged), float(merged.problem.to_caller_costs(1.0))


def _with_equal_totals(sides: Sides) -> Sides:
    """Normalise the masses to total 1: the feasibility of potentials does not depend on masses."""
    a, b = sides.a / sides.a.sum(), sides.b / sides.b.sum()
    return Sides(sides.problem, sides.x, sides.y, a, b)


def _plan_of(sides: Sides, moved: float) -> tuple[tuple[Index, Index, Array], Array, float]:
    """Make the cells of a plan of a given mass, their costs, and a bound of the rounding error."""
    even = _with_equal_totals(sides)
    _, order = quick_potentials(even)
    rows, cols, mass, upper = quick_plan(even, order)
    cost, cost_error = listed_costs(even, rows, cols)
    rounded = max(upper - math.fsum(mass * cost), 0.0) + cost_error
    # No row or column may send or receive more than its mass.
    mass = mass * (moved * (1 - 16 * sides.size * UNIT_ROUNDOFF))
    largest = float(cost.max())
    return (rows, cols, mass), cost, moved * (rounded + 32 * sides.size * UNIT_ROUNDOFF * largest)
