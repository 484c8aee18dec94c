"""Entropic plans of a problem, and the interval that they and their potentials prove for the plain cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, outward
from otdist.budget import require_memory
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged
from otdist.solvers.sinkhorn.coarse import opened
from otdist.solvers.sinkhorn.entropic import NOISE, Potentials
from otdist.solvers.sinkhorn.streams import MatrixStreams, PointStreams, streams
from otdist.solvers.sparse.ground import Dual, Ground
from otdist.solvers.sparse.plans import greedy_plan
from otdist.solvers.sparse.setting import Setting
from otdist.solvers.sparse.supplies import whole_masses

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Cells = tuple[Index, Index, Array]

FEWEST = 2.0**-960  # share of the mass whose cost is far below all rounding, and whose logarithm is finite
EXCUSED = 1e-2  # residual that rounding may be blamed for
LARGEST = 2.0**120  # exponent that float32 holds
ENTRY = 40  # bytes of a cell of a plan that is written out
SOME = 2000  # points a side whose mean cost is about that of all
SMALL = 2**21  # cells up to which a plan is written out to find its cost


@dataclass(frozen=True, eq=False)
class Bounds:
    """What a plan costs and potentials prove, per unit of mass.

    Attributes
    ----------
    state : Potentials
        Potentials of the plan.
    upper : float
        Cost of the plan, rounded to its marginals.
    unsure : float
        Bound of the error of that number.
    dual : Dual
        Feasible potentials.
    lower : float
        Their value.
    cells : tuple of ndarray or None
        The plan's rows, columns and masses, where it lies on a shortlist. None: all pairs may carry mass.
    listed : int
        Pairs on that list.
    pivots : int
        What the exact solver took to narrow the interval.
    """

    state: Potentials
    upper: float
    unsure: float
    dual: Dual
    lower: float
    cells: Cells | None = None
    listed: int = 0
    pivots: int = 0

    @property
    def gap(self) -> float:
        """Relative width of the interval."""
        top = self.upper + self.unsure
        return (top - self.lower) / top if top > 0 else 0.0

    def joined(self, other: Bounds | None) -> Bounds:
        """The better plan and the better potentials of two."""
        if other is None:
            return self
        plan = min(self, other, key=lambda one: one.upper + one.unsure)
        dual = max(self, other, key=lambda one: one.lower)
        pivots = max(self.pivots, other.pivots)
        return replace(plan, dual=dual.dual, lower=dual.lower, pivots=pivots)


@dataclass(frozen=True, eq=False)
class Regularised:
    """A problem in nested order, for its entropic plans.

    Attributes
    ----------
    setting : Setting
        Points in nested order, and the way back.
    a, b : ndarray
        Masses in that order, of total 1.
    streams : Streams
        Sums over all pairs.
    mean : float
        Mean cost between the two samples, the unit of ``eps``; 1 where it is 0: any will do.
        ``rough``: where there are many, that of some of them.
    share : float
        Of the problem's mass that is in ``a`` and ``b``.
    """

    setting: Setting
    a: Array
    b: Array
    streams: PointStreams | MatrixStreams
    mean: float
    share: float = 1.0

    @classmethod
    def of(cls, merged: Merged, max_bytes: int | None, rough: bool = False) -> Regularised:
        """Bring a problem into nested order."""
        merged = merged.rescaled()
        setting = Setting.of(merged, max_bytes, "sinkhorn")
        a, b = merged.a[setting.rows], merged.b[setting.cols]
        share = float(a.sum()) / merged.problem.mass
        a, b = np.maximum(a / a.sum(), FEWEST), np.maximum(b / b.sum(), FEWEST)
        made = streams(setting.ground)
        some = _some(setting.ground, a, b) if rough else (made, a, b)
        mean = some[0].sums(np.log(some[1]), np.log(some[2]), math.inf).cost
        return cls(setting, a, b, made, mean if mean > 0 else 1.0, share)

    @classmethod
    def whole(cls, problem: Problem, max_bytes: int | None) -> Regularised:
        """The same with no point merged or cancelled, which would change entropic plans."""
        n, m = len(problem.x), len(problem.y)
        return cls.of(Merged(problem, np.arange(n), np.arange(m), problem.a, problem.b), max_bytes)

    def noise(self, eps: float) -> float:
        """Residual that float32 exponents leave at a regularisation, relative to the mean cost.

        No more than ``EXCUSED``: a plan that is further off is not what was asked for, whatever the reason.
        """
        return min(NOISE / eps, EXCUSED) if isinstance(self.streams, PointStreams) else 0.0

    def opened(self, eps: float) -> tuple[Potentials, float]:
        """First potentials, and the regularisation they were taken down to."""
        extent = self.setting.ground.extent
        if extent > LARGEST * eps:
            raise InputError(
                "eps",
                f"costs go up to {extent / eps:.0e} times {eps / self.mean:.0e} of their mean: "
                "their exponentials cannot be computed",
                "raise it, or use method='sparse', which is exact",
            )
        return opened(self.setting.ground, self.a, self.b, self.mean, eps)

    def judged(self, state: Potentials) -> Bounds:
        """What a plan with exact rows and its potentials prove."""
        ground = self.setting.ground
        f = ground.least(state.g)
        dual = Dual(f, ground.least(f, flip=True))
        lower = self.proved(dual)
        n, m = ground.shape
        if n * m <= SMALL:
            i, j, mass = self._written(state, dual)
            return Bounds(state, math.fsum(mass * ground.costs(i, j)), 0.0, dual, lower)
        logs = state.f / state.eps + np.log(self.a), state.g / state.eps + np.log(self.b)
        by_row = at_most(self.a, self.streams.sums(*logs, state.eps).rows)
        by_col = at_most(self.b, self.streams.sums(*logs, state.eps, by_row).cols)
        sums = self.streams.sums(*logs, state.eps, by_row, by_col)
        i, j, mass = self.rest(self.a - sums.rows, self.b - sums.cols, dual)
        # Sums over n and m terms, and the costs, which are float32: both are bounded generously.
        unsure = (n + m) * UNIT * ground.extent + self.streams.unsure
        return Bounds(state, sums.cost + math.fsum(mass * ground.costs(i, j)), unsure, dual, lower)

    def proved(self, dual: Dual) -> float:
        """Value of feasible potentials, less what comparing ``f + g`` with a cost rounds, at their size."""
        value = math.fsum(self.a * dual.f) + math.fsum(self.b * dual.g)
        return value - 8 * UNIT * float(np.abs(dual.f).max() + np.abs(dual.g).max())

    def result(
        self, bounds: Bounds, finished: bool, goal: float, message: str, info: dict[str, Any]
    ) -> Result:
        """The answer in the problem's units."""
        setting, problem = self.setting, self.setting.merged.problem
        value = bounds.upper
        slack = (problem.d + 8) * UNIT * value + setting.unsure
        slack += math.ldexp(rounding(problem), -setting.exponent)
        lower = max(outward(min(bounds.lower, value), slack)[0], 0.0)
        interval = (value, lower, value + bounds.unsure + slack)
        value, lower, upper = (math.ldexp(self.share * bound, setting.exponent) for bound in interval)
        state = bounds.state
        return make_result(
            problem,
            "sinkhorn",
            (value, lower, upper),
            plan=partial(self._plan, bounds),
            potentials=partial(setting.full_potentials, bounds.dual.f, bounds.dual.g),
            converged=finished,
            goal=goal,
            message="" if finished else message,
            info={"eps": state.eps / self.mean, "residual": state.residual} | info,
        )

    def entropic(self, state: Potentials) -> dict[str, Any]:
        """The entropic objective and its potentials, in the units of the cost."""
        setting, units = self.setting, self.setting.merged.problem.cost_units
        f, g = setting.full_potentials(state.f, state.g)
        problem = setting.merged.problem
        f, g = _placed(f, problem.rows, problem.shape[0]), _placed(g, problem.cols, problem.shape[1])
        scale = math.ldexp(1.0, setting.exponent)
        objective = float(self.a @ state.f + self.b @ state.g) * scale
        return {
            "eps_abs": float(units(state.eps * scale)),
            "objective": float(units(objective)),
            "potentials": (units(f), units(g)),
        }

    def rest(self, left: Array, right: Array, dual: Dual, first: Cells | None = None) -> Cells:
        """Couple what the plan leaves over, greedily by reduced cost; ``first``: pairs to begin with."""
        left, right = np.maximum(left, 0.0), np.maximum(right, 0.0)
        rows, cols = np.flatnonzero(left > UNIT * self.a), np.flatnonzero(right > UNIT * self.b)
        if min(len(rows), len(cols)) == 0:
            return rows[:0], cols[:0], left[:0]
        a, b, k, _ = whole_masses(left[rows], right[cols])
        part = self.setting.ground.part(rows, cols)
        known = None if first is None else _within(first, (rows, cols), self.setting.ground.shape)
        arcs = greedy_plan(part, a, b, Dual(dual.f[rows], dual.g[cols]), known)
        used = arcs.flow > 0
        return rows[arcs.rows[used]], cols[arcs.cols[used]], np.ldexp(arcs.flow[used].astype(float), -k)

    def _written(self, state: Potentials, dual: Dual) -> Cells:
        """The plan cell by cell: rows, then columns that carry too much are scaled down, the rest is coupled.

        Altschuler, Weed, Rigollet (2017), algorithm 2, but for how the rest is coupled.
        """
        n, m = self.setting.ground.shape
        require_memory(
            ENTRY * n * m, f"the plan of method 'sinkhorn' with {n} x {m} cells", "use method='sparse'"
        )
        i, j = np.divmod(np.arange(n * m), m)
        plan = self.setting.ground.costs(i, j).reshape(n, m)
        plan -= state.f[:, None]
        plan -= state.g
        plan /= -state.eps
        np.exp(np.minimum(plan, 700.0, out=plan), out=plan)
        plan *= self.a[:, None]
        plan *= self.b
        plan *= at_most(self.a, plan.sum(axis=1))[:, None]
        plan *= at_most(self.b, plan.sum(axis=0))
        rest = self.rest(self.a - plan.sum(axis=1), self.b - plan.sum(axis=0), dual)
        kept = np.flatnonzero(plan.ravel() > 0)
        cells = (i[kept], j[kept], plan.ravel()[kept])
        return tuple(np.concatenate(pair) for pair in zip(cells, rest, strict=True))  # type: ignore[return-value]

    def _plan(self, bounds: Bounds) -> Cells:
        """The plan in the problem's rows and masses."""
        i, j, mass = self._written(bounds.state, bounds.dual) if bounds.cells is None else bounds.cells
        setting = self.setting
        mass = mass * (self.share * setting.merged.problem.mass)
        return setting.merged.full_plan(setting.rows[i], setting.cols[j], mass)


def _some(ground: Ground, a: Array, b: Array) -> tuple[PointStreams | MatrixStreams, Array, Array]:
    """Every so many points of either side: in nested order they lie everywhere."""
    rows, cols = (np.arange(0, len(mass), -(-len(mass) // SOME)) for mass in (a, b))
    a, b = a[rows], b[cols]
    return streams(ground.part(rows, cols)), a / a.sum(), b / b.sum()


def at_most(limit: Array, carried: Array) -> Array:
    """Factors that bring what is carried down to the limit."""
    ones = np.ones(len(limit))
    return np.asarray(np.divide(limit, carried, out=ones, where=carried > limit))


def _within(pairs: Cells, ends: tuple[Index, Index], shape: tuple[int, int]) -> Cells:
    """Pairs of some rows and columns, by their places among these."""
    places = [np.full(count, -1) for count in shape]
    for place, points in zip(places, ends, strict=True):
        place[points] = np.arange(len(points))
    rows, cols = places[0][pairs[0]], places[1][pairs[1]]
    kept = np.flatnonzero((rows >= 0) & (cols >= 0))
    return rows[kept], cols[kept], pairs[2][kept]


def _placed(potential: Array, rows: Index | None, count: int) -> Array:
    """Potentials by the caller's rows; NaN for those without mass, where the plan says nothing."""
    if rows is None:
        return potential
    out = np.full(count, np.nan)
    out[rows] = potential
    return out
