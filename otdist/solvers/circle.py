"""Closed form on the circle: samples are unrolled, coupled in order, and one is turned optimally."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF, outward, two_sum
from otdist.errors import InputError
from otdist.metrics.torus import compute_circle_distance, wrap_coordinates
from otdist.problem import Problem, scale_exponent
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.line import scaled_powers, sorted_order
from otdist.solvers.pairs.integer_masses import integer_masses
from otdist.typing import Array, Index, Integers

Whole = Integers


@dataclass(frozen=True)
class Circle:
    """W_p on a circle, p >= 1, for one column with a period.

    The cost of coupling quantile u of x with quantile u - alpha of y, both unrolled, is convex
    and piecewise linear in alpha; its minimum is found by bisection on the slope. Masses are integers
    (rounded to units of 2**-60 of the total if necessary), and so are kinks. The minimum is exact if the
    signs of the two slopes beside it are certain; otherwise these bound it from below.
    Cost: O((n + m) log(n + m)) a step, at most about 64 steps.

    Notes
    -----
    Delon, Salomon, Sobolevskii (2010), *Fast transport optimization for Monge costs on the
    circle*, theorem 5.
    """

    def __call__(self, problem: Problem) -> Result:
        """Solve the problem."""
        if problem.metric.period is None or problem.d != 1:
            raise InputError(
                "method", "'circle' needs one column and a period", "use metrics.periodic(360.0)"
            )
        if min(len(problem.x), len(problem.y)) == 1:
            return _from_one_point(problem)
        wheel = Wheel.of(problem)
        turn, slack = wheel.best_turn()
        i, j, mass = wheel.match(turn)
        costs, scale = scaled_powers(wheel.distances(i, j), problem.p)
        exponent = int(scale)
        cost = math.fsum(mass * costs) / wheel.total
        error = (3 * problem.p + 16) * UNIT_ROUNDOFF * cost + slack.in_units(
            exponent, problem.p
        ) / wheel.total
        low, high = outward(cost, error + _mass_rounding_cost(problem, wheel, exponent))
        return make_result(
            problem,
            "circle",
            (cost, low, min(high, max(_largest_cost(problem, exponent), cost))),
            exponent=exponent,
            plan=partial(_plan, wheel, turn),
        )


def _from_one_point(problem: Problem) -> Result:
    """Solve a problem with a single point on one side: errors are relative to each mass."""
    length = float(problem.metric.period or math.nan)
    x, y = wrap_coordinates(problem.x[:, 0], length), wrap_coordinates(problem.y[:, 0], length)
    costs, scale = scaled_powers(compute_circle_distance(x, y, length), problem.p)
    mass = problem.b if len(x) == 1 else problem.a
    cost = math.fsum(mass * costs) / problem.mass
    low, high = outward(cost, ((3 * problem.p + 16) * UNIT_ROUNDOFF + problem.mass_error) * cost)
    cells = np.broadcast_arrays(np.arange(len(x)), np.arange(len(y)), mass)
    return make_result(
        problem, "circle", (cost, low, high), exponent=int(scale), plan=lambda: (cells[0], cells[1], cells[2])
    )


class Slope(NamedTuple):
    """Right derivative of the cost in the turn, times ``2**(-exponent p)``, with an error bound."""

    value: float
    error: float
    exponent: int


class Slack(NamedTuple):
    """Bound of the excess of a cost over the minimum, times ``2**(-exponent p)``."""

    value: float
    exponent: int

    def in_units(self, exponent: int, p: float) -> float:
        """Convert to distances divided by ``2**exponent``."""
        if self.value == 0:
            return 0.0
        with np.errstate(over="ignore", under="ignore"):
            return float(self.value * np.float64(2.0) ** ((self.exponent - exponent) * p))


@dataclass(frozen=True, eq=False)
class Wheel:
    """Both samples sorted from -length / 2 to length / 2, with integer masses.

    Attributes
    ----------
    x, y : ndarray
        Points.
    a, b : ndarray of int
        Masses, in units of ``2**-digits``.
    order_x, order_y : ndarray
        Rows of the points in the problem.
    length, p : float
        Period and order.
    digits : int
        Exponent of the unit of mass.
    moved : float
        Bound of the mass that rounding to integers has moved.
    """

    x: Array
    y: Array
    a: Whole
    b: Whole
    order_x: Index
    order_y: Index
    length: float
    p: float
    digits: int = 0
    mass_error: float = 0.0

    @classmethod
    def of(cls, problem: Problem) -> Wheel:
        """Sort both samples."""
        length = float(problem.metric.period or math.nan)
        x, y = wrap_coordinates(problem.x[:, 0], length), wrap_coordinates(problem.y[:, 0], length)
        i, j = sorted_order(x, problem.a), sorted_order(y, problem.b)
        x, y, a, b = x[i], y[j], problem.a[i], problem.b[j]
        if problem.whole:
            return cls(x, y, a.astype(np.int64), b.astype(np.int64), i, j, length, problem.p)
        left, right, digits, mass_error = integer_masses(a, b)
        return cls(x, y, left, right, i, j, length, problem.p, digits, mass_error / problem.mass)

    @cached_property
    def levels(self) -> tuple[Whole, Whole]:
        """Cumulative masses of both sides."""
        return np.cumsum(self.a), np.cumsum(self.b)

    @cached_property
    def total(self) -> int:
        """Mass on each side."""
        return int(self.levels[0][-1])

    @cached_property
    def after(self) -> Array:
        """Successor of each y; the first point, a lap ahead, follows the last."""
        return np.append(self.y[1:], self.y[0] + self.length)

    def distances(self, i: Index, j: Index) -> Array:
        """Distances on the circle between listed points."""
        return np.asarray(compute_circle_distance(self.x[i], self.y[j], self.length))

    def slope(self, turn: int, bound: bool = False) -> Slope:
        """Compute the right derivative of the cost in the turn; with ``bound`` also its error bound.

        Turning by dt moves the quantiles just above each edge between y_j and y_{j+1} from y_{j+1} to y_j.
        """
        edges = self.levels[1] + turn
        laps = edges // self.total
        i = np.searchsorted(self.levels[0], edges - laps * self.total, side="right")
        back, ahead = (self._gaps(i, laps, ends, bound) for ends in (self.y, self.after))
        if self.p == 1:
            return self._linear_slope(back, ahead, bound)
        (near, near_error), (far, far_error) = back, ahead
        np.abs(near, out=near)
        np.abs(far, out=far)
        exponent = scale_exponent(max(float(near.max()), float(far.max())), self.p)
        value = error = 0.0
        sizes = []
        with np.errstate(under="ignore"):
            for gaps, slip in ((near, near_error), (far, far_error)):
                gaps = np.ldexp(gaps, -exponent)
                powers = gaps**self.p
                sizes.append(powers)
                if bound:
                    slip = np.ldexp(slip, -exponent)
                    error += float((self.p * slip * (gaps + slip) ** (self.p - 1)).sum()) * (1 + 2.0**-20)
            value = float((sizes[0] - sizes[1]).sum())
            if bound:
                count = 40 + self.p + math.log2(len(self.y))
                error += count * UNIT_ROUNDOFF * float((sizes[0] + sizes[1]).sum()) + 2.0**-1000
        return Slope(value, error, exponent)

    def _gaps(self, i: Index, laps: Whole, ends: Array, bound: bool) -> tuple[Array, Array]:
        """Signed distances between unrolled points, and bounds of their errors."""
        if not bound:
            return (self.x[i] - ends) + laps * self.length, np.empty(0)
        apart, first = two_sum(self.x[i], -ends)
        shift = np.asarray(laps * self.length, dtype=np.float64)
        gaps, second = two_sum(apart, shift)
        error = np.abs(first + second) * (1 + 2.0**-50)
        # Multiples of the length by 3 or more round, and so does the successor of the last point.
        error += np.where(np.abs(laps) > 2, 2 * UNIT_ROUNDOFF * np.abs(shift), 0.0)
        if ends is self.after:
            error[-1] += 2 * UNIT_ROUNDOFF * abs(float(ends[-1]))
        return gaps, error

    def _linear_slope(self, back: tuple[Array, Array], ahead: tuple[Array, Array], bound: bool) -> Slope:
        """Compute the slope for p = 1: a point outside of two neighbours counts with their distance."""
        widths = self.after - self.y
        middle = back[0] + ahead[0]
        terms = np.clip(middle, -widths, widths)
        error = 0.0
        if bound:
            between = np.abs(middle) < widths * (1 + 2.0**-40) + 4 * (back[1] + ahead[1])
            error = float((back[1] + ahead[1])[between].sum()) * (1 + 2.0**-40)
            error += (40 + math.log2(len(self.y))) * UNIT_ROUNDOFF * self.length
        return Slope(float(terms.sum()), error, 0)

    def best_turn(self) -> tuple[int, Slack]:
        """Find the turn of least cost, and a bound of its excess over the minimum."""
        if np.array_equal(self.x, self.y) and np.array_equal(self.a, self.b):
            return 0, Slack(0.0, 0)
        low, high = -2 * self.total, 2 * self.total
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.slope(middle).value < 0 else (low, middle)
        right, left = self.slope(high, bound=True), self.slope(low, bound=True)
        ahead = behind = 0.0
        if right.value <= right.error:  # the minimum may lie further ahead
            ahead = (right.error - right.value) * self._steps(high, 1)
        if left.value >= -left.error:
            behind = (left.error + left.value) * self._steps(low, -1)
        exponent = max(left.exponent, right.exponent)
        parts = (Slack(ahead, right.exponent), Slack(behind, left.exponent))
        return high, Slack(max(part.in_units(exponent, self.p) for part in parts), exponent)

    def _steps(self, turn: int, sign: int) -> int:
        """Count the steps in this direction to a turn that is certainly beyond the minimum."""
        low, high = 0, 4 * self.total
        while high - low > 1:
            middle = (low + high) // 2
            slope = self.slope(turn + sign * middle, bound=True)
            low, high = (low, middle) if sign * slope.value > slope.error else (middle, high)
        return high

    def match(self, turn: int) -> tuple[Index, Index, Whole]:
        """Return the cells of the coupling: indices into x and y, and masses."""
        rest = turn % self.total
        # Quantiles 0..total of x meet the end of one lap of y and the beginning of the next.
        level_a, level_b = self.levels
        edges = np.clip(np.concatenate([level_b + (rest - self.total), level_b + rest]), 0, self.total)
        ends = np.sort(np.concatenate([level_a, edges]))
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        full = ends > starts
        starts, mass = starts[full], (ends - starts)[full]
        i = np.searchsorted(level_a, starts, side="right")
        j = np.searchsorted(edges, starts, side="right")
        return i, j % len(self.y), mass


def _largest_cost(problem: Problem, exponent: int) -> float:
    """Upper bound of the cost of a pair, for distances divided by ``2**exponent``."""
    assert problem.metric.extent is not None
    with np.errstate(over="ignore", under="ignore"):
        far = np.ldexp(problem.metric.extent(problem.x, problem.y), -exponent)
        return float(far**problem.p) * (1 + 2.0**-30)


def _mass_rounding_cost(problem: Problem, wheel: Wheel, exponent: int) -> float:
    """Bound of the change in cost caused by rounding the masses."""
    mass = problem.mass_error + wheel.mass_error
    return mass * _largest_cost(problem, exponent) if mass > 0 else 0.0


def _plan(wheel: Wheel, turn: int) -> tuple[Index, Index, Array]:
    i, j, mass = wheel.match(turn)
    return wheel.order_x[i], wheel.order_y[j], np.ldexp(mass.astype(float), -wheel.digits)
