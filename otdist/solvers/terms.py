"""One entropic problem of a divergence: its potentials, its value between bounds, and its slopes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.metrics.base import row_blocks
from otdist.problem import Problem
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged
from otdist.solvers.pulls import pulls_by_torch
from otdist.solvers.sinkhorn.entropic import NOISE, Balanced, Iteration, Potentials, Softened
from otdist.solvers.sinkhorn.mirrored import Mirrored
from otdist.solvers.sinkhorn.streams import MatrixStreams, PointStreams, SoftMin, streams
from otdist.solvers.sinkhorn.wide import WideStreams
from otdist.solvers.sparse.matrix import Matrix
from otdist.solvers.sparse.setting import Setting

Array = NDArray[np.float64]


class Goal(NamedTuple):
    """When an iteration ends: what the marginals may be off, for a mass of 1; updates; a moment."""

    residual: float
    max_iter: int
    deadline: float | None


@dataclass(frozen=True, eq=False)
class Term:
    """Two samples, or one twice, in nested order.

    Attributes
    ----------
    setting : Setting
        Points in nested order, and the way back.
    a, b : ndarray
        Masses in that order: as they count, not normalised.
    own : bool
        Whether it is a sample against itself.
    streams, wide
        Sums over all pairs, in float32 and in float64; the same where there is a matrix.
    unit : float
        One unit of the cost in here, in the caller's.
    """

    setting: Setting
    a: Array
    b: Array
    own: bool
    streams: PointStreams | MatrixStreams
    wide: WideStreams | MatrixStreams
    unit: float

    @classmethod
    def of(cls, problem: Problem, a: Array, b: Array, own: bool = False) -> Term:
        """Prepare a problem with masses a and b for its rows."""
        n, m = len(problem.x), len(problem.y)
        merged = Merged(problem, np.arange(n), np.arange(m), problem.a, problem.b).rescaled()
        setting = Setting.of(merged, None, "sinkhorn")
        if own and isinstance(setting.ground, Matrix):  # one order, or row i would not be column i
            ground = replace(setting.ground, cols=setting.ground.rows)
            setting = replace(setting, ground=ground, cols=setting.rows)
        narrow = streams(setting.ground)
        wide = WideStreams(narrow.pairs) if isinstance(narrow, PointStreams) else narrow
        unit = float(merged.problem.cost_units(math.ldexp(1.0, setting.exponent)))
        return cls(setting, a[setting.rows], b[setting.cols], own, narrow, wide, unit)

    @classmethod
    def itself(cls, problem: Problem, a: Array, side: int) -> Term:
        """One side of a problem against itself."""
        points, rows = (problem.x, problem.rows) if side == 0 else (problem.y, problem.cols)
        mass, given = (problem.a, problem.b)[side], problem.given[side]
        changes: dict[str, Any] = {"x": points, "y": points, "a": mass, "b": mass, "rows": rows, "cols": rows}
        shape = (problem.shape[side], problem.shape[side])
        return cls.of(replace(problem, **changes, shape=shape, given=(given, given)), a, a, own=True)

    @property
    def problem(self) -> Problem:
        """The two samples on their scale."""
        return self.setting.merged.problem

    @property
    def mean(self) -> float:
        """Mean cost of a pair."""
        total = float(self.a.sum()) * float(self.b.sum())
        return self.wide.sums(np.log(self.a), np.log(self.b), math.inf).cost / total

    def solved(self, eps_abs: float, rho_abs: float | None, goal: Goal) -> Solved:
        """Find the potentials: in float32 as far as that goes, in float64 to the end.

        ``eps_abs`` and ``rho_abs`` (None: marginals are met) are in the caller's units.
        """
        eps, rho = eps_abs / self.unit, None if rho_abs is None else rho_abs / self.unit
        total, mean = float(self.b.sum()), self.mean
        state = Potentials(np.zeros(len(self.a)), np.zeros(len(self.b)))
        limits = goal.max_iter, goal.deadline
        narrow = self._iteration(self.streams, rho)
        narrow.cool(state, max(mean, eps), eps)
        if isinstance(self.streams, PointStreams):
            # Below this floor residuals are those of float32 exponents.
            narrow.settle(state, max(goal.residual, 4 * NOISE * mean / eps) * total, *limits)
            state.residual = math.inf
        finished = self._iteration(self.wide, rho).settle(state, goal.residual * total, *limits)
        return Solved(self, state, rho, finished, state.residual / total, *self._interval(state, rho))

    def _iteration(self, sums: SoftMin, rho: float | None) -> Iteration | Mirrored:
        prox = Balanced() if rho is None else Softened(rho)
        return Mirrored(sums, self.a, prox) if self.own else Iteration(sums, self.a, self.b, prox)

    def _interval(self, state: Potentials, rho: float | None) -> tuple[float, float, float]:
        """Dual value of potentials whose rows are exact, and bounds of the optimum (see the theory)."""
        f, g, eps = state.f, state.g, state.eps
        size = float(np.abs(f).max() + np.abs(g).max())
        # What float64 may have lost in a soft minimum; generous.
        lost = (self.problem.d + 8) * self.setting.ground.extent + 2 * size
        lost += eps * (310 + len(self.b) / 256 + 2 * float(np.abs(np.log(self.b)).max()))
        lost = UNIT * lost + self.setting.unsure
        if rho is None:
            value, low, high = self._met(state, lost)
            moved = math.ldexp(rounding(self.problem), -self.setting.exponent)
            low, high = low + moved, high + moved
        else:
            value, low, high = self._missed(state, rho, lost)
        low += 8 * UNIT * (abs(value) + size * float(self.a.sum() + self.b.sum()))
        return value * self.unit, (value - low) * self.unit, (value + low + high) * self.unit

    def _met(self, state: Potentials, lost: float) -> tuple[float, float, float]:
        """Value, and what the optimum may lie below and above it, where marginals are met."""
        f, g, eps = state.f, state.g, state.eps
        value = math.fsum(self.a * f) + math.fsum(self.b * g)
        span = self.setting.ground.extent + float(np.ptp(g))
        share = lost / eps  # what rows and columns may be off beyond the residual, for a mass of 1
        high = (state.residual * (1 + 2 * share) + 2 * share) * span / 2
        return (
            value,
            lost,
            high + 4 * share * (span + float(np.ptp(f)) + float(np.abs(f).max() + np.abs(g).max())),
        )

    def _missed(self, state: Potentials, rho: float, lost: float) -> tuple[float, float, float]:
        """The same where they may be missed: both bounds rest on the contraction of the updates."""
        f, g, eps = state.f, state.g, state.eps
        with np.errstate(over="ignore", invalid="ignore"):
            left, right = self.a * np.exp(-f / rho), self.b * np.exp(-g / rho)
            carried = float(left.sum())
            value = -rho * (math.fsum(self.a * np.expm1(-f / rho)) + math.fsum(self.b * np.expm1(-g / rho)))
            value -= eps * (carried - float(self.a.sum()) * float(self.b.sum()))
            raw = self.wide.softmin(f, np.log(self.a), eps, flip=True)
            cols = self.b * np.exp((g - raw) / eps)
            rate = (rho / (rho + eps)) ** 2
            far = (float(np.abs(raw * math.sqrt(rate) - g).max()) + 2 * lost) / (1 - rate)
            off = float(np.abs(right - cols).sum()) + 4 * lost / eps * (carried + float(cols.sum()))
        rounded = (
            16
            * UNIT
            * (rho + eps)
            * (carried + float(right.sum() + self.a.sum() * (1 + self.b.sum()) + self.b.sum()))
        )
        return value, rounded + 2 * lost * carried, off * far

    def pulls(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        """``sum_j P_ij grad_x c(x_i, y_j)`` for all rows, and the same for all columns.

        In the caller's units, for ``P_ij = a_i b_j exp((f_i + g_j - c_ij) / eps)``; 0 where points coincide.
        """
        rows, cols = f / eps + np.log(self.a), g / eps + np.log(self.b)
        if isinstance(self.wide, WideStreams):
            found = self.wide.pull(rows, cols, eps), self.wide.pull(rows, cols, eps, flip=True)
            out = np.empty_like(found[0]), np.empty_like(found[1])
            out[0][self.setting.rows], out[1][self.setting.cols] = found
        else:
            by_row, by_col = np.empty(len(rows)), np.empty(len(cols))
            by_row[self.setting.rows], by_col[self.setting.cols] = rows, cols
            out = pulls_by_torch(self.problem, by_row, by_col, math.ldexp(eps, self.setting.exponent))
        unit = float(self.problem.cost_units(1.0))
        return np.ldexp(out[0] * unit, -self.problem.exponent), np.ldexp(
            out[1] * unit, -self.problem.exponent
        )


@dataclass(frozen=True, eq=False)
class Solved:
    """Potentials of a term, and what they prove.

    Attributes
    ----------
    value, lower, upper : float
        Entropic optimum and bounds of it, in the caller's units.
    residual : float
        What the marginals are off in all, for a mass of 1.
    """

    term: Term
    state: Potentials
    rho: float | None
    finished: bool
    residual: float
    value: float
    lower: float
    upper: float

    def potentials(self) -> tuple[Array, Array]:
        """Potentials of all rows of the caller, in his units; those without mass by a soft minimum.

        Missing rows get NaN. Of a sample against itself both are one.
        """
        term, problem = self.term, self.term.problem
        f, g = self._by_row()
        all_f = self._extended(0, f, g)
        all_g = all_f if term.own else self._extended(1, g, f)
        unit = term.unit
        if term.own:
            return all_f * unit, all_f * unit
        if self.rho is None:  # the pair may be shifted against each other: both totals are made equal
            shift = (float(f @ problem.a) - float(g @ problem.b)) / (2 * problem.mass)
            all_f, all_g = all_f - shift, all_g + shift
        return all_f * unit, all_g * unit

    def prices(self) -> tuple[Array, Array]:
        """Derivative in the weights of all rows of the caller, up to a constant; 0 at missing rows."""
        f, g = (np.nan_to_num(potential) for potential in self.potentials())
        if self.rho is None:
            return f, g
        eps, rho = self.state.eps * self.term.unit, self.rho * self.term.unit
        return tuple(-rho * np.expm1(-q / rho) - eps * np.exp(-q / rho) for q in (f, g))  # type: ignore[return-value]

    def pulls(self) -> tuple[Array, Array]:
        """Derivative in the points; of a sample against itself, that of one of its two parts."""
        f, g = self.state.f, self.state.g
        if self.term.own:
            f = g = (f + g) / 2
        return self.term.pulls(f, g, self.state.eps)

    def _by_row(self) -> tuple[Array, Array]:
        """Potentials in the order of the problem's rows, in the term's unit."""
        setting = self.term.setting
        f, g = np.empty(len(setting.rows)), np.empty(len(setting.cols))
        f[setting.rows], g[setting.cols] = self.state.f, self.state.g
        return ((f + g) / 2, (f + g) / 2) if self.term.own else (f, g)

    def _extended(self, side: int, own: Array, other: Array) -> Array:
        term, problem = self.term, self.term.problem
        present = (problem.rows, problem.cols)[side]
        if present is None:
            return own
        points = problem.moved(problem.given[side])
        out = np.full(len(points), np.nan)
        out[present] = own
        absent = np.flatnonzero(np.isnan(out) & np.isfinite(points).all(axis=1))
        mass, order = ((term.b, term.setting.cols), (term.a, term.setting.rows))[side]
        log_mass = np.empty(len(order))
        log_mass[order] = np.log(mass)
        others = problem.y if side == 0 else problem.x
        for part in row_blocks(len(absent), len(others)):
            block = points[absent[part]]
            cost = problem.costs(block, others) if side == 0 else problem.costs(others, block).T
            soft = _soft_minimum(np.ldexp(cost, -term.setting.exponent), other, log_mass, self.state.eps)
            out[absent[part]] = soft if self.rho is None else Softened(self.rho)(soft, self.state.eps)
        return out


def _soft_minimum(cost: Array, potential: Array, log_mass: Array, eps: float) -> Array:
    terms = log_mass + (potential - cost) / eps
    top = terms.max(axis=1, keepdims=True)
    return np.asarray(-eps * (top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))))
