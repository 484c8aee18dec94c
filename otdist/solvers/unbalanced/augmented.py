"""Unbalanced problems as balanced ones, with additional points for mass that is not transported.

At a price for untransported mass, with totals A >= B (else the surplus is a row)::

    cost   | y_1 ... y_m | nowhere | surplus    sent to "nowhere": left behind
    x_1..n | min(C, top) |  price  |  price     sent from "nowhere": created
    nowhere|    price    |    0    |    0
    mass   |      b      |    A    |  A - B

With a given mass that is transported, the rest of either side stays at no cost::

    cost   | y_1 ... y_m | over          mass
    x_1..n | min(C, top) |  0              a
    over   |      0      | top         B - moved
    mass   |      b      | A - moved

If no pair costs more than two prices, all mass of the lighter side is transported, and the second form is
used, at the scale of the costs alone. Cutting costs at ``top`` removes large costs that no optimal plan uses,
for the sake of the solver's precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, ldexp_safely
from otdist.errors import InputError
from otdist.inputs.exact_numbers import EXACT_INTEGER
from otdist.metrics.precomputed import precomputed_metric
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.runtime.deadline import NO_DEADLINE, Deadline
from otdist.solvers.answer import EXACT_GAP, extend_to_left_out, make_sparse_plan
from otdist.solvers.costs import cost_matrix, cost_rounding, metric_error, price_in_units
from otdist.solvers.linear.exact_flow import exact_bound, exact_plan
from otdist.solvers.merge import MergedProblem
from otdist.solvers.solve import choose
from otdist.typing import Array, Cells

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Exact = tuple[Fraction, ...]  # masses without rounding
Interval = tuple[float, float, float]

MAX_SOLVES = 6  # of programs with ever lower cuts
MAX_CUT_RATIO = 0.25  # a cut above this share of the largest cost does not pay another solve
NO_MASS = Fraction(0)
MAX_FINITE_PRICE = 2.0**900  # higher prices, relative to the costs, are treated as infinite
EXACT_PLAN_GAP = 0.1 * EXACT_GAP  # relative gap from which a plan is computed in exact arithmetic
MAX_COSTS_EXACT_BOUND = 2**17  # largest number of costs for potentials in exact arithmetic
MAX_CELLS_EXACT_PLAN = 20_000  # largest number of cells for a plan in exact arithmetic


@dataclass(frozen=True, eq=False)
class LinearProgram:
    """Balanced transport problem between the points and additional points for untransported mass.

    Attributes
    ----------
    matrix : ndarray
        Costs, in the units of the cost matrix of the points.
    shape : (int, int)
        Numbers of points; their costs are the first rows and columns.
    rows, cols : tuple of Fraction
        Exact masses.
    constant : float
        Cost that is common to all plans.
    cut : bool
        Whether costs that a plan might use are cut: then the optimum is only a lower bound.
    leaves : bool
        Whether mass may stay on both sides, at a price.
    """

    matrix: Array
    shape: tuple[int, int]
    rows: Exact
    cols: Exact
    constant: float = 0.0
    cut: bool = False
    leaves: bool = False

    @property
    def total(self) -> float:
        """Mass of either side."""
        return float(sum(self.rows))

    def solve(self, *, tol: float, max_seconds: float | None, progress: bool) -> Result:
        """Solve the program per unit of mass, by the solver for cost matrices."""
        x, y, ground = precomputed_metric(self.matrix)
        inner = Problem.of(
            x, y, metric=ground, rooted=False, tol=tol, max_seconds=max_seconds, progress=progress
        )
        unit = math.lcm(*(mass.denominator for mass in (*self.rows, *self.cols)))
        whole = sum(self.rows) * unit <= EXACT_INTEGER
        scale = Fraction(unit) if whole else Fraction(2) ** -math.frexp(self.total)[1]
        a, b = (np.array([float(mass * scale) for mass in side]) for side in (self.rows, self.cols))
        total = math.fsum(a)
        error = 0.0 if whole else abs(math.fsum([*a, *-b])) / total + 2.0**-100
        inner = replace(inner, a=a, b=b, mass=total, whole=whole, mass_error=error)
        return choose("auto", inner, {})(inner)

    def exact_plan(self, result: Result) -> Cells | None:
        """Compute the plan of a result with exact marginals; None if that is not possible."""
        assert result.plan is not None
        if result.plan.nnz > MAX_CELLS_EXACT_PLAN:
            return None
        i, j = result.plan.coords
        return exact_plan(self.matrix, i.astype(np.intp), j.astype(np.intp), self.rows, self.cols)

    def dual_bound(self, result: Result, cells: Cells) -> float:
        """Compute an exact lower bound from the plan's cells; 0 if there are too many costs."""
        if self.matrix.size > MAX_COSTS_EXACT_BOUND:
            return 0.0
        assert result.potentials is not None
        return exact_bound(self.matrix, cells, self.rows, self.cols, result.potentials[1]) + self.constant


@dataclass(eq=False)
class AugmentedProblem:
    """Unbalanced problem, solved as a balanced one; made by :meth:`AugmentedProblem.of`.

    Attributes
    ----------
    problem : Problem
        Samples.
    cost : ndarray
        Their costs, in units of ``unit``.
    masses : (tuple, tuple)
        Their exact masses.
    price : float or None
        Price of a unit of untransported mass; None: a given mass is transported.
    moved_mass : Fraction
        Mass that is transported, or its upper bound.
    unit : float
        Unit of the costs, in the caller's units.
    exponent : int
        Costs on the problem's scale were divided by ``2**exponent``.
    cost_error : float
        Bound of the absolute error of a cost.
    surplus_cost : float
        Additional cost of the surplus, in the caller's units.
    """

    problem: Problem
    cost: Array
    masses: tuple[Exact, Exact]
    price: float | None
    moved_mass: Fraction
    unit: float
    exponent: int
    cost_error: float
    surplus_cost: float = 0.0

    @classmethod
    def of(
        cls,
        problem: Problem,
        masses: tuple[Exact, Exact],
        *,
        reach: float | None = None,
        moved: float | None = None,
    ) -> Self:
        """Solve the problem at the price ``reach**p`` of untransported mass, or with the mass ``moved``.

        ``moved`` None: all mass of the lighter side.
        """
        n, m = len(problem.x), len(problem.y)
        require_memory(
            24 * (n + 1) * (m + 1),
            f"the cost matrix of {n} x {m} points",
            "pass a random subset of the rows",
        )
        a, b = (np.array([float(mass) for mass in side]) for side in masses)
        merged = MergedProblem.from_rows(problem, (a, b)).rescale()
        deadline = Deadline(problem.max_seconds)
        with deadline.enforce():
            cost, exponent, cost_error = cost_matrix(merged)
        if not np.isfinite(cost).all():
            raise InputError(
                "metric", f"{problem.metric.name!r} has costs beyond the largest float64", "scale the points"
            )
        cost_error += ldexp_safely(
            metric_error(merged.problem, ldexp_safely(float(cost.max()), exponent)), -exponent
        )
        unit = merged.problem.cost_unit(exponent)
        most = min(sum(masses[0], NO_MASS), sum(masses[1], NO_MASS))
        moved_mass = most if moved is None else min(Fraction(moved), most)
        price, surplus_cost = None, 0.0
        if reach is not None:
            price = price_in_units(float(reach) ** problem.p, unit)
            if price > MAX_FINITE_PRICE:  # then only the surplus of one side is left behind
                price, over = math.inf, abs(sum(masses[0], NO_MASS) - sum(masses[1], NO_MASS))
                surplus_cost = float(reach) ** problem.p * float(over)
        solved = cls(
            merged.problem, cost, masses, price, moved_mass, unit, exponent, cost_error, surplus_cost
        )
        solved.solve(deadline)
        return solved

    def solve(self, deadline: Deadline = NO_DEADLINE) -> None:
        """Solve a program, and again with lower cuts as long as these close the gap."""
        leaves = self.price is not None and float(self.cost.max()) > 2 * self.price
        self.program = self._tv_program() if leaves else self._fixed_mass_program(float(self.cost.max()))
        self.value, self.low, self.high = math.inf, 0.0, math.inf  # in units of the costs
        for _ in range(MAX_SOLVES):
            seconds = max(deadline.seconds_left, 1e-3) if deadline.is_finite else None
            self.result = self.program.solve(
                tol=self.problem.tol, max_seconds=seconds, progress=self.problem.progress
            )
            exact = self._update_bounds()
            lower = None if self.finished or deadline.is_over() else self._program_with_lower_cut(exact)
            if lower is None:
                return
            self.program = lower

    def _tv_program(self) -> LinearProgram:
        """Make the program with a price of untransported mass on both sides."""
        assert self.price is not None
        (n, m), (a, b) = self.cost.shape, self.masses
        more = sum(a, NO_MASS) - sum(b, NO_MASS)
        enough = Fraction(2) ** math.frexp(float(max(sum(a, NO_MASS), sum(b, NO_MASS))))[1]
        over, under = _split_mass(more), _split_mass(-more)
        matrix = np.zeros((n + 1 + len(under), m + 1 + len(over)))
        matrix[:n, m:] = matrix[n:, :m] = self.price
        # Transport at more than two prices is never optimal.
        matrix[:n, :m] = np.minimum(self.cost, 2 * self.price)
        return LinearProgram(matrix, (n, m), (*a, enough, *under), (*b, enough, *over), leaves=True)

    def _fixed_mass_program(self, top: float) -> LinearProgram:
        """Make the program that transports a given mass; costs are cut at ``top``."""
        (n, m), (a, b) = self.cost.shape, self.masses
        stays = sum(a, NO_MASS) - self.moved_mass, sum(b, NO_MASS) - self.moved_mass
        over, under = _split_mass(stays[0]), _split_mass(stays[1])
        matrix = np.zeros((n + len(under), m + len(over)))
        matrix[:n, :m] = np.minimum(self.cost, top)
        # Any non-negative corner will do: mass there transports more between the points, at no smaller cost.
        matrix[n:, m:] = top or 1.0
        constant = 0.0
        if self.price is not None and self.price < math.inf:
            constant = self.price * float(stays[0] + stays[1])
        cut = top < float(self.cost.max())
        return LinearProgram(matrix, (n, m), (*a, *under), (*b, *over), constant, cut)

    def _update_bounds(self) -> Cells | None:
        """Update the bounds by the last program; returns its exact plan, if that is known."""
        program, result = self.program, self.result
        total = program.total
        low, high = result.lower * total + program.constant, result.upper * total + program.constant
        assert result.plan is not None
        i, j = result.plan.coords
        cells: Cells = i.astype(np.intp), j.astype(np.intp), result.plan.data * total
        value, exact = float(result) * total + program.constant, None
        if program.cut or high - low > EXACT_PLAN_GAP * high:
            exact = program.exact_plan(result)
        if exact is not None:
            cells = exact
            low = max(low, program.dual_bound(result, exact))
            value = self._plan_cost(cells)
            high = value if program.cut else min(value, high)
        elif program.cut:
            high = math.inf
        self.low = max(self.low, low)
        if high < self.high or self.high == math.inf:
            self.value, self.high, self.cells = value, high, self._transported_cells(cells)
        return exact

    def _plan_cost(self, cells: Cells) -> float:
        """Compute the cost of a plan of the last program, without cuts."""
        program, (i, j, mass) = self.program, cells
        prices = program.matrix[i, j]
        if program.cut:
            i, j, mass = _cells_between_points(program.shape, cells)
            prices = self.cost[i, j]
        return math.fsum(mass * prices) + program.constant

    def _transported_cells(self, cells: Cells) -> Cells:
        """Select cells between points that cost at most two prices; other mass is left behind."""
        i, j, mass = _cells_between_points(self.program.shape, cells)
        allowed = slice(None) if self.price is None else self.cost[i, j] <= 2 * self.price
        return i[allowed], j[allowed], mass[allowed]

    def _program_with_lower_cut(self, exact: Cells | None) -> LinearProgram | None:
        """Make a program with costs cut that no optimal plan uses, given the costs of this plan.

        The difference of two plans of equal mass consists of cycles. If one plan has no cost above t, an
        optimal plan has none above min(n, m) t: along its cycle it could be replaced by that many cells.
        """
        i, j, _ = self.cells
        if len(i) == 0:
            return None
        top = min(self.cost.shape) * float(self.cost[i, j].max())
        if self.program.leaves:
            assert self.price is not None
            if exact is None or top > 2 * self.price or self._leaves_on_both_sides(exact):
                return None
        elif 2 * top >= MAX_CUT_RATIO * float(self.program.matrix.max()):
            return None
        return self._fixed_mass_program(min(2 * top, float(self.cost.max())))

    def _leaves_on_both_sides(self, cells: Cells) -> bool:
        """Whether a plan leaves mass of the lighter side behind."""
        (n, m), (i, j, _) = self.program.shape, cells
        left, created = (i < n) & (j >= m), (i >= n) & (j < m)
        lighter = created if sum(self.masses[0], NO_MASS) >= sum(self.masses[1], NO_MASS) else left
        return bool(lighter.any())

    @property
    def finished(self) -> bool:
        """Whether the gap is within the tolerance, at least ``EXACT_GAP``."""
        _, lower, upper = self.interval
        return upper - lower <= max(EXACT_GAP, self.problem.tol) * upper

    @property
    def interval(self) -> Interval:
        """Value and bounds in the caller's units."""
        relative = cost_rounding(self.problem) + (self.problem.p + 16) * UNIT_ROUNDOFF
        error = self.cost_error * float(min(sum(side, NO_MASS) for side in self.masses))
        upper = (self.high * (1 + relative) + error) * self.unit + self.surplus_cost * (1 + relative)
        lower = max(self.low * (1 - relative) - error, 0.0) * self.unit + self.surplus_cost * (1 - relative)
        return min(max(self.value * self.unit + self.surplus_cost, lower), upper), min(lower, upper), upper

    def make_plan(self) -> coo_array:
        """Make the plan, as a sparse array of the caller's shape."""
        return make_sparse_plan(self.problem, self.cells)

    @property
    def marginal_price(self) -> float:
        """Upper bound on half the marginal cost of transporting one more unit of mass, caller's units."""
        f, g = self._between_points()
        return max(float(f.max() + g.max()) / 2 * self.unit, 0.0)

    def _between_points(self) -> tuple[Array, Array]:
        assert self.result.potentials is not None
        n, m = self.program.shape
        return self.result.potentials[0][:n], self.result.potentials[1][:m]

    def _shift(self) -> float:
        """Shift between the potentials of both sides that matches the price of untransported mass."""
        f, g = self._between_points()
        if self.program.leaves:
            assert self.result.potentials is not None
            n, m = self.program.shape
            return float(self.result.potentials[1][m] - self.result.potentials[0][n]) / 2
        if self.price is not None and sum(self.masses[0], NO_MASS) != sum(self.masses[1], NO_MASS):
            first = sum(self.masses[0], NO_MASS) > sum(self.masses[1], NO_MASS)
            return self.price - float(f.max()) if first else float(g.max()) - self.price
        return (float(g.max()) - float(f.max())) / 2

    def potentials(self, price: float) -> tuple[Array, Array]:
        """Return potentials of all rows, at most ``price`` (caller's units): ``f_i + g_j <= cost_ij``."""
        shift = self._shift()
        scaled = price / float(self.problem.to_caller_costs(1.0))
        f, g = self._between_points()
        f, g = (np.minimum(np.ldexp(side, self.exponent), scaled) for side in (f + shift, g - shift))
        if self.problem.rows is not None or self.problem.cols is not None:
            f, g = (np.minimum(side, scaled) for side in extend_to_left_out(self.problem, f, g))
        return np.asarray(self.problem.to_caller_costs(f)), np.asarray(self.problem.to_caller_costs(g))


def _split_mass(mass: Fraction) -> Exact:
    """Split a positive mass into a float64 number and the remainder; empty for other masses."""
    if mass <= 0:
        return ()
    first = float(mass)
    if Fraction(first) > mass:
        first = math.nextafter(first, 0.0)
    rest = mass - Fraction(first)
    return tuple(piece for piece in (Fraction(first), rest) if piece)


def _cells_between_points(shape: tuple[int, int], cells: Cells) -> Cells:
    """Select the cells between points."""
    i, j, mass = cells
    allowed = (i < shape[0]) & (j < shape[1])
    return i[allowed], j[allowed], mass[allowed]
