"""Points on a circle: unroll it, match in order, and turn one sample until it fits best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, outward, staircase
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.line import sorted_order

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Circle:
    """W_p on a circle, p >= 1, for one column with a period.

    The cost of matching quantile u of x with quantile u - alpha of y, both unrolled, is convex
    and piecewise linear in alpha; its minimum is found by bisection on the slope. Whole-number
    masses have whole-number kinks, so there the minimum is exact; otherwise the last tangent
    bounds it from below. Cost: O((n + m) log(n + m)) a step, at most about 60 steps.

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
        wheel = Wheel.of(problem)
        turn, slack = wheel.best_turn()
        x, y, mass = wheel.match(turn)[2:]
        cost = math.fsum(mass * np.abs(x - y) ** problem.p) / problem.mass
        error = slack / problem.mass + (problem.p + 8) * UNIT * cost
        if wheel.x[0] == wheel.x[-1] == wheel.y[0] == wheel.y[-1]:
            cost = error = 0.0  # all in one place: what the sums rounded has nowhere to go
        elif not (cost == 0 and problem.mass_error == 0):
            # Positions were rounded; by the triangle inequality W_p moves no further than they did.
            distance = cost ** (1 / problem.p)
            error += (distance + 2 * _position_error(problem)) ** problem.p - cost
            if not problem.whole:  # so were cumulated masses
                error += (len(problem.x) + len(problem.y)) * UNIT * wheel.length**problem.p
        low, high = outward(cost, error)
        return make_result(problem, "circle", (cost, low, high), plan=partial(_plan, wheel, turn))


@dataclass(frozen=True, eq=False)
class Wheel:
    """Both samples in order on [0, length), with their cumulated masses."""

    x: Array
    y: Array
    a: Array
    b: Array
    order_x: Index
    order_y: Index
    length: float
    p: float
    whole: bool

    @classmethod
    def of(cls, problem: Problem) -> Wheel:
        """Sort both samples."""
        length = float(problem.metric.period or math.nan)
        x, y = np.mod(problem.x[:, 0], length), np.mod(problem.y[:, 0], length)
        i, j = sorted_order(x, problem.a), sorted_order(y, problem.b)
        return cls(x[i], y[j], problem.a[i], problem.b[j], i, j, length, problem.p, problem.whole)

    @property
    def total(self) -> float:
        """Mass on each side."""
        return float(np.sum(self.a)) if self.whole else float(np.cumsum(self.a)[-1])

    def slope(self, turn: float) -> float:
        """Right derivative of the cost in the turn.

        Turning on by dt gives the quantiles just above each edge between y_j and y_{j+1} from
        y_{j+1} to y_j.
        """
        level_a = np.cumsum(self.a)
        total = level_a[-1]
        edges = np.cumsum(self.b) + turn
        laps = np.floor(edges / total)
        rest = edges - laps * total
        i = np.minimum(np.searchsorted(level_a, rest, side="right"), len(self.x) - 1)
        at = self.x[i] + laps * self.length
        after = np.append(self.y[1:], self.y[0] + self.length)
        return float(np.sum(np.abs(at - self.y) ** self.p - np.abs(at - after) ** self.p))

    def best_turn(self) -> tuple[float, float]:
        """Turn of least cost, and how much lower the true minimum can be."""
        total = self.total
        low, high = -2 * total, 2 * total
        smallest = 1.0 if self.whole else 4 * UNIT * total
        while high - low > smallest:
            middle = math.floor((low + high) / 2) if self.whole else (low + high) / 2
            if self.slope(middle) < 0:
                low = middle
            else:
                high = middle
        return high, 0.0 if self.whole else (high - low) * abs(self.slope(low))

    def match(self, turn: float) -> tuple[Index, Index, Array, Array, Array]:
        """Cells of the coupling: indices into x and y, unrolled positions, masses."""
        laps = math.floor(turn / self.total)
        rest = turn - laps * self.total
        # Quantiles 0..total of x meet the end of one lap of y and the beginning of the next.
        edges = np.cumsum(self.b)
        edges = np.concatenate([edges + rest - self.total, edges + rest])
        b = np.diff(np.clip(edges, 0.0, self.total), prepend=0.0)
        unrolled = np.concatenate([self.y - (laps + 1) * self.length, self.y - laps * self.length])
        i, j, mass = staircase(self.a, b)
        full = mass > 0
        i, j, mass = i[full], j[full], mass[full]
        return i, j % len(self.y), self.x[i], unrolled[j], mass


def _position_error(problem: Problem) -> float:
    length = float(problem.metric.period or math.nan)
    largest = max(float(np.abs(problem.x).max()), float(np.abs(problem.y).max()))
    return 4 * UNIT * (largest + 2 * length)


def _plan(wheel: Wheel, turn: float) -> tuple[Index, Index, Array]:
    i, j, _, _, mass = wheel.match(turn)
    return wheel.order_x[i], wheel.order_y[j], mass
