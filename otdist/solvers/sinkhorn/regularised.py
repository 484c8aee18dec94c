"""Entropic transport at a given regularisation, with an interval for the plain cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, northwest, outward, round_plan
from otdist.budget import require_memory
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.costs import rounding
from otdist.solvers.merge import Merged
from otdist.solvers.sinkhorn.entropic import NOISE, Iteration, Potentials
from otdist.solvers.sinkhorn.streams import MatrixStreams, PointStreams, streams
from otdist.solvers.sparse.levels import Level
from otdist.solvers.sparse.pricing import Pairs
from otdist.solvers.sparse.setting import Setting

Array = NDArray[np.float64]
Index = NDArray[np.intp]

STOPPED = "The marginals are off by {:.0e} in all: raise max_iter or max_seconds, or eps."
ENTRY = 40  # bytes of a cell of a plan that is written out


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
        Mean cost between the two samples, the unit of ``eps``.
    """

    setting: Setting
    a: Array
    b: Array
    streams: PointStreams | MatrixStreams
    mean: float

    @classmethod
    def of(cls, problem: Problem, max_bytes: int | None) -> Regularised:
        """Prepare a problem; no point is merged or cancelled, which would change the plan."""
        n, m = len(problem.x), len(problem.y)
        merged = Merged(problem, np.arange(n), np.arange(m), problem.a, problem.b).rescaled()
        setting = Setting.of(merged, max_bytes, "sinkhorn")
        a, b = problem.a[setting.rows] / problem.mass, problem.b[setting.cols] / problem.mass
        made = streams(setting.ground)
        return cls(setting, a, b, made, made.sums(np.log(a), np.log(b), math.inf).cost)

    def solved(
        self, eps: float, goal: float, max_iter: int, deadline: float | None
    ) -> tuple[Potentials, bool]:
        """Potentials at ``eps``, in units of the cost; False if the residual stayed above ``goal``."""
        now, g = self._from_coarse(eps)
        state = Potentials(np.zeros(len(self.a)), g)
        iteration = Iteration(self.streams, self.a, self.b)
        iteration.cool(state, now, eps)
        # Below the floor, residuals are those of float32 exponents.
        floor = NOISE * self.mean / eps if isinstance(self.streams, PointStreams) else 0.0
        return state, iteration.settle(state, max(goal, floor), max_iter, deadline)

    def _from_coarse(self, eps: float) -> tuple[float, Array]:
        """Potentials of the columns from copies with fewer points, and how far down those were taken."""
        levels = [Level(self.setting.ground, self.a, self.b)]
        while isinstance(levels[-1].ground, Pairs) and levels[-1].coarser().size < levels[-1].size:
            levels.append(levels[-1].coarser())
        now, g = self.mean, np.zeros(len(levels[-1].b))
        for level, finer in zip(levels[:0:-1], levels[-2::-1], strict=True):
            ground, fine = level.ground, finer.ground
            assert isinstance(ground, Pairs) and isinstance(fine, Pairs)
            state = Potentials(np.zeros(len(level.a)), g)
            until = max(eps, min(now, ground.spacing))
            Iteration(PointStreams(ground), level.a, level.b).cool(state, now, until)
            now = until
            f = PointStreams(fine.across(ground)).softmin(state.g, np.log(level.b), now)
            g = PointStreams(fine).softmin(f, np.log(finer.a), now, flip=True)
        return now, g

    def result(self, state: Potentials, finished: bool, info: dict[str, Any]) -> Result:
        """Cost of the plan, rounded to its marginals, and what it and its potentials prove."""
        setting, problem = self.setting, self.setting.merged.problem
        value, unsure = self._plan_cost(state)
        f = setting.ground.least(state.g)
        g = setting.ground.least(f, flip=True)
        lower = math.fsum(self.a * f) + math.fsum(self.b * g)
        slack = (problem.d + 8) * UNIT * (value + float(np.abs(f).max() + np.abs(g).max()))
        slack += math.ldexp(rounding(problem), -setting.exponent) + setting.unsure
        lower, upper = max(outward(lower, slack)[0], 0.0), value + unsure + slack
        value, lower, upper = (
            math.ldexp(bound, setting.exponent) for bound in (value, min(lower, value), upper)
        )
        return make_result(
            problem,
            "sinkhorn",
            (value, lower, upper),
            plan=partial(self._plan, state),
            potentials=partial(setting.full_potentials, f, g),
            converged=finished,
            goal=math.inf,
            message="" if finished else STOPPED.format(state.residual),
            info=info | {"iterations": state.iterations, "residual": state.residual} | self._entropic(state),
        )

    def _entropic(self, state: Potentials) -> dict[str, Any]:
        """The entropic objective and its potentials, in the units of the cost."""
        setting, units = self.setting, self.setting.merged.problem.cost_units
        f, g = setting.full_potentials(state.f, state.g)
        scale = math.ldexp(1.0, setting.exponent)
        objective = float(self.a @ state.f + self.b @ state.g) * scale
        return {
            "eps_abs": float(units(state.eps * scale)),
            "objective": float(units(objective)),
            "potentials": (units(f), units(g)),
        }

    def _plan_cost(self, state: Potentials) -> tuple[float, float]:
        """Cost of the plan, rounded to its marginals, and a bound of the error of that sum.

        Rows and then columns that carry too much are scaled down, and what is left is coupled in nested
        order (Altschuler, Weed, Rigollet 2017, algorithm 2, but for that order).
        """
        logs = state.f / state.eps + np.log(self.a), state.g / state.eps + np.log(self.b)
        rows = self.streams.sums(*logs, state.eps).rows
        by_row = np.minimum(1.0, self.a / np.maximum(rows, self.a * 2.0**-60))
        cols = self.streams.sums(*logs, state.eps, by_row).cols
        by_col = np.minimum(1.0, self.b / np.maximum(cols, self.b * 2.0**-60))
        sums = self.streams.sums(*logs, state.eps, by_row, by_col)
        left, right = np.maximum(self.a - sums.rows, 0.0), np.maximum(self.b - sums.cols, 0.0)
        i, j, mass = northwest(left, right)
        ground = self.setting.ground
        # Sums over n and m terms, and the float32 costs: both bounds are generous.
        lost = (len(left) + len(right)) * UNIT * ground.extent + self.streams.unsure
        return sums.cost + math.fsum(mass * ground.costs(i, j)), lost

    def _plan(self, state: Potentials) -> tuple[Index, Index, Array]:
        """The plan written out, in the problem's rows and masses."""
        problem, setting = self.setting.merged.problem, self.setting
        n, m = len(problem.x), len(problem.y)
        require_memory(
            ENTRY * n * m, f"the plan of method 'sinkhorn' with {n} x {m} cells", "use method='sparse'"
        )
        f, g = np.empty(n), np.empty(m)
        f[setting.rows], g[setting.cols] = state.f, state.g
        cost = np.ldexp(problem.costs(problem.x, problem.y), -setting.exponent)
        plan = np.exp((f[:, None] + g - cost) / state.eps) * problem.a[:, None] * (problem.b / problem.mass)
        rows, cols = np.nonzero(plan > 0)
        return round_plan(rows, cols, plan[rows, cols], problem.a, problem.b)
