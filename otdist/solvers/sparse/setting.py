"""From a problem to what the descent works on, and back to a Result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT, outward
from otdist.budget import require_memory
from otdist.result import Result
from otdist.solvers.answer import make_result
from otdist.solvers.costs import TINY, cost_matrix, rounding
from otdist.solvers.merge import Merged
from otdist.solvers.sparse.columns import Proof
from otdist.solvers.sparse.ground import Ground
from otdist.solvers.sparse.levels import Descent
from otdist.solvers.sparse.matrix import Matrix
from otdist.solvers.sparse.order import nested_order
from otdist.solvers.sparse.pricing import Pairs, kernel
from otdist.solvers.sparse.supplies import whole_masses

Array = NDArray[np.float64]
Index = NDArray[np.intp]

STOPPED = "Time was up before the gap was closed: raise max_seconds, or set tol to a gap that is good enough."
EXACT = 1e-12  # relative gap at which nothing is left to gain
ENTRY = 8  # bytes of a cost, where they are kept
COORDINATE, NODE = 40, 800  # bytes a point, for each column and besides (measured)


@dataclass(frozen=True, eq=False)
class Setting:
    """Points that remain in nested order, and the way back.

    Attributes
    ----------
    merged : Merged
        The problem.
    ground : Ground
        Costs between the points that remain.
    rows, cols : ndarray
        Their numbers in ``merged``.
    exponent : int
        Costs were divided by ``2**exponent``.
    unsure : float
        Bound of the absolute error of a cost.
    """

    merged: Merged
    ground: Ground
    rows: Index
    cols: Index
    exponent: int = 0
    unsure: float = 0.0

    @classmethod
    def of(cls, merged: Merged, max_bytes: int | None, method: str = "sparse") -> Setting:
        """Choose how costs are found, and bring the points into nested order."""
        problem = merged.problem
        n, m = len(merged.a), len(merged.b)
        kind = kernel(problem)
        points = (n + m) * (COORDINATE * problem.d + NODE)
        needed = points if kind is not None else points + ENTRY * n * m
        remedy = "pass a random subset of the rows, or raise max_bytes"
        require_memory(needed, f"method {method!r} on {n} x {m} points", remedy, max_bytes)
        if kind is not None:
            x, y = problem.x[merged.sources], problem.y[merged.sinks]
            rows, cols = nested_order(x), nested_order(y)
            return cls(merged, Pairs.of(x[rows], y[cols], kind), rows, cols)
        matrix, exponent, unsure = cost_matrix(merged)
        ground = Matrix.of(matrix)
        rows, cols = ground.order()
        return cls(merged, ground.part(rows, cols), rows, cols, exponent, unsure)

    def solved(self, deadline: float | None, tell: Callable[[str], None]) -> Result:
        """Solve it, and prove the answer."""
        problem = self.merged.problem
        a, b, k, moved = whole_masses(self.merged.a[self.rows], self.merged.b[self.cols])
        share = math.ldexp(float(a.sum()), -k) / problem.mass  # of the mass that has to move
        goal = max(0.98 * problem.tol, EXACT)
        descent = Descent(self.ground, a, b, goal, deadline, asked=problem.progress)
        descent.show = lambda size, proof: tell(self._news(size, proof, share))
        proof, finished = descent.run()
        value = share * proof.upper
        unsure = self.unsure + moved / problem.mass * self.ground.extent
        unsure += math.ldexp(rounding(problem), -self.exponent) + self._vanished(proof)
        # A cost is known to (d/2 + 2) units; comparing it with f + g and averaging take a few more.
        lower, upper = outward(value, (problem.d + 8) * UNIT * value + unsure)
        lower = max(lower - share * proof.gap, 0.0)
        value, lower, upper = (math.ldexp(bound, self.exponent) for bound in (value, lower, upper))
        return make_result(
            problem,
            "sparse",
            (value, lower, upper),
            plan=partial(self._plan, proof, k),
            potentials=partial(self.full_potentials, proof.dual.f, proof.dual.g),
            converged=finished,
            message="" if finished else STOPPED,
            info=descent.figures(),
        )

    def _news(self, size: int, proof: Proof | None, share: float) -> str:
        """How far it is, in the units of the answer."""
        where = f"{size:,} of {max(self.ground.shape):,} points"
        if proof is None:
            return where
        bounds = (share * math.ldexp(bound, self.exponent) for bound in (proof.lower, proof.upper))
        low, high = (self.merged.problem.answer(bound) for bound in bounds)
        return f"gap {proof.gap / (proof.upper or 1.0):.0e}, {low:.6g} to {high:.6g} ({where})"

    def _vanished(self, proof: Proof) -> float:
        """Bound of the cost of plan cells between different points whose squares underflow."""
        return TINY if bool((proof.plan.cost < TINY).any()) and isinstance(self.ground, Pairs) else 0.0

    def _plan(self, proof: Proof, k: int) -> tuple[Index, Index, Array]:
        plan = proof.plan
        mass = np.ldexp(plan.flow.astype(float), -k)
        return self.merged.full_plan(self.rows[plan.rows], self.cols[plan.cols], mass)

    def full_potentials(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Potentials of the nested order as those of the problem's rows."""
        by_row, by_col = np.empty(len(self.rows)), np.empty(len(self.cols))
        by_row[self.rows], by_col[self.cols] = f, g
        return self.merged.full_potentials(np.ldexp(by_row, self.exponent), np.ldexp(by_col, self.exponent))
