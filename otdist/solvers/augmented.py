"""Mass that stays behind, as a point more on each side: unbalanced problems as balanced ones.

::

    cost   | y_1 ... y_m | nowhere | mass        sent to "nowhere": left behind
    x_1..n | min(C, top) |  price  | a           sent from "nowhere": created
    nowhere|    price    | corner  | rest of b
    mass   |      b      | rest of a
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.budget import require_memory
from otdist.distance import precomputed
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers import choose
from otdist.solvers.answer import with_left_out
from otdist.solvers.costs import cost_matrix
from otdist.solvers.merge import Merged

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Array = NDArray[np.float64]
Cells = tuple[NDArray[np.intp], NDArray[np.intp], Array]
Interval = tuple[float, float, float]

ROUNDING = 1e-12  # gap, relative to the largest cost, that rounding of the masses leaves


@dataclass(frozen=True, eq=False)
class Augmented:
    """A balanced problem with one point more on each side, solved.

    Attributes
    ----------
    problem : Problem
        The samples.
    found : Result
        What the linear programme answers at mass 1.
    total : float
        Its mass.
    cells : (ndarray, ndarray, ndarray)
        Rows, columns and mass of what travels.
    unit : float
        One unit of its costs, in the caller's.
    exponent : int
        Costs on the problem's scale were divided by ``2**exponent``.
    slack : float
        Bound of what rounding of costs and masses may have changed, in its units.
    largest : float
        Its largest cost.
    """

    problem: Problem
    found: Result
    total: float
    cells: Cells
    unit: float
    exponent: int
    slack: float
    largest: float

    @classmethod
    def of(
        cls, problem: Problem, masses: tuple[Array, Array], *, reach: float | None = None, moved: float = 0.0
    ) -> Self:
        """Solve it: at the price ``reach**p`` for what stays behind, or with the mass ``moved``."""
        n, m = len(problem.x), len(problem.y)
        require_memory(
            24 * (n + 1) * (m + 1),
            f"the cost matrix of {n} x {m} points",
            "pass a random subset of the rows",
        )
        merged = Merged(problem, np.arange(n), np.arange(m), *masses).rescaled()
        cost, exponent, lost = cost_matrix(merged)
        unit = float(merged.problem.cost_units(math.ldexp(1.0, exponent)))
        sums = math.fsum(masses[0]), math.fsum(masses[1])
        if reach is not None:
            price = float(reach) ** problem.p / unit
            matrix, limit = _with_price(cost, price), 2 * price
            rest = sums
        else:
            matrix, limit = _with_corner(cost), math.inf
            rest = max(sums[0] - moved, 0.0), max(sums[1] - moved, 0.0)
        found = _solved(matrix, np.append(masses[0], rest[1]), np.append(masses[1], rest[0]), problem)
        total = sums[0] + rest[1]
        largest = float(matrix.max())
        slack = lost * min(sums) + 8 * UNIT * total * largest
        cells = _travelling(found, total, matrix, limit)
        return cls(merged.problem, found, total, cells, unit, exponent, slack, largest)

    @property
    def finished(self) -> bool:
        """Whether nothing but rounding is between the bounds."""
        found = self.found
        return found.converged or found.upper - found.lower <= ROUNDING * self.largest

    @property
    def interval(self) -> Interval:
        """Value and bounds in the caller's units."""
        found, scale = self.found, self.total * self.unit
        error = (self.problem.d + 8) * UNIT * float(found) * self.total + self.slack
        value, upper = float(found) * scale, found.upper * scale + error * self.unit
        return value, min(max(found.lower * scale - error * self.unit, 0.0), value), upper

    @property
    def plan(self) -> coo_array:
        """Mass that travels, as a sparse array of the caller's shape."""
        from scipy.sparse import coo_array

        problem = self.problem
        i, j, mass = self.cells
        rows = i if problem.rows is None else problem.rows[i]
        cols = j if problem.cols is None else problem.cols[j]
        return coo_array((mass, (rows, cols)), shape=problem.shape)

    @property
    def price(self) -> float:
        """What one unit of mass more that travels costs at most, in the caller's units, over two."""
        assert self.found.potentials is not None
        f, g = self.found.potentials
        return max(-float(f[-1] + g[-1]) / 2 * self.unit, 0.0)

    def potentials(self, price: float) -> tuple[Array, Array]:
        """Potentials of all rows, at most ``price`` (caller's units) and with ``f_i + g_j <= cost_ij``."""
        assert self.found.potentials is not None
        f, g = self.found.potentials
        shift = float(g[-1] - f[-1]) / 2
        scaled = price / float(self.problem.cost_units(1.0))
        f, g = (
            np.minimum(np.ldexp(side, self.exponent), scaled) for side in (f[:-1] + shift, g[:-1] - shift)
        )
        if self.problem.rows is not None or self.problem.cols is not None:
            f, g = (np.minimum(side, scaled) for side in with_left_out(self.problem, f, g))
        return np.asarray(self.problem.cost_units(f)), np.asarray(self.problem.cost_units(g))


def _with_price(cost: Array, price: float) -> Array:
    """Costs with one row and one column of the price of mass that is created or left behind."""
    n, m = cost.shape
    matrix = np.full((n + 1, m + 1), price)
    # What costs more than two prices is never worth it: the cut keeps large costs from the solver's digits.
    matrix[:n, :m] = np.minimum(cost, 4 * price)
    matrix[n, m] = 0.0
    return matrix


def _with_corner(cost: Array) -> Array:
    """Costs with one row and one column where mass stays for nothing."""
    n, m = cost.shape
    matrix = np.zeros((n + 1, m + 1))
    matrix[:n, :m] = cost
    # Any corner that is not negative will do: what goes there makes more mass travel, at no smaller cost.
    matrix[n, m] = float(cost.max()) or 1.0
    return matrix


def _solved(matrix: Array, a: Array, b: Array, problem: Problem) -> Result:
    x, y, ground = precomputed(matrix)
    stop: dict[str, Any] = {"tol": problem.tol, "max_seconds": problem.max_seconds}
    stop["progress"] = problem.progress
    inner = Problem.of(x, y, a, b, metric=ground, rooted=False, **stop)
    return choose("auto", inner, {})(inner)


def _travelling(found: Result, total: float, matrix: Array, limit: float) -> Cells:
    """Cells of a plan between points; at more than the limit mass is left behind and created instead."""
    assert found.plan is not None
    i, j = found.plan.coords
    real = (i < len(matrix) - 1) & (j < matrix.shape[1] - 1) & (matrix[i, j] <= limit)
    return i[real], j[real], found.plan.data[real] * total
