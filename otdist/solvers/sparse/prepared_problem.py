"""Points in kd order and integer masses for the multiscale solver, and the map back to a Result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT_ROUNDOFF, ldexp_safely, outward
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.runtime.deadline import Deadline, check_deadline
from otdist.solvers.answer import make_result
from otdist.solvers.costs import (
    UNDERFLOW_DISTANCE,
    cost_matrix,
    cost_rounding,
    metric_error,
    weight_rounding_cost,
)
from otdist.solvers.merge import MergedProblem
from otdist.solvers.pairs.integer_masses import integer_masses
from otdist.solvers.pairs.kd_order import kd_order
from otdist.solvers.pairs.matrix_costs import MatrixCosts
from otdist.solvers.pairs.pairwise_costs import Dual, PairwiseCosts
from otdist.solvers.pairs.point_costs import PointCosts, cost_kernel
from otdist.solvers.quick import Sides, quick_potentials
from otdist.solvers.sparse.column_generation import Certificate
from otdist.solvers.sparse.multiscale import MultiscaleSolver
from otdist.typing import Array, Index

Entry = TypeVar("Entry", bound=np.generic)

GAP_OPEN = (
    "Time was up before the gap was closed: raise max_seconds, or set tol to a gap that is good enough."
)
SMALLEST_GAP = 1e-12  # smallest relative gap to ask for
BYTES_PER_COST = 8  # of a cost matrix
BYTES_PER_COORDINATE, BYTES_PER_NODE = 40, 800  # bytes a point, for each column and besides (measured)


@dataclass(frozen=True, eq=False)
class PreparedProblem:
    """Points of a merged problem in kd order, and the map back.

    Attributes
    ----------
    merged : MergedProblem
        The problem.
    ground : PairwiseCosts
        Costs between the remaining points.
    rows, cols : ndarray
        Their indices in ``merged``.
    exponent : int
        Costs were divided by ``2**exponent``.
    cost_error : float
        Bound of the absolute error of a cost, without the error of its distance (``metric.error``).
    """

    merged: MergedProblem
    ground: PairwiseCosts
    rows: Index
    cols: Index
    exponent: int = 0
    cost_error: float = 0.0

    @property
    def entry_error(self) -> float:
        """Bound of the absolute error of a cost, including the error of its distance."""
        largest = math.ldexp(self.ground.extent, self.exponent)
        return self.cost_error + math.ldexp(metric_error(self.merged.problem, largest), -self.exponent)

    @classmethod
    def of(cls, merged: MergedProblem, max_bytes: int | None, method: str = "sparse") -> PreparedProblem:
        """Choose how costs are computed, and bring the points into kd order."""
        problem = merged.problem
        n, m = len(merged.a), len(merged.b)
        kind = cost_kernel(problem)
        points = (n + m) * (BYTES_PER_COORDINATE * problem.d + BYTES_PER_NODE)
        needed = points if kind is not None else points + BYTES_PER_COST * n * m
        remedy = "pass a random subset of the rows, or raise max_bytes"
        require_memory(needed, f"method {method!r} on {n} x {m} points", remedy, max_bytes)
        if kind is not None:
            x, y = problem.x[merged.sources], problem.y[merged.sinks]
            check_deadline()
            rows = kd_order(x)
            check_deadline()
            cols = kd_order(y)
            check_deadline()
            return cls(merged, PointCosts.of(x[rows], y[cols], kind), rows, cols)
        matrix, exponent, cost_error = cost_matrix(merged)
        ground = MatrixCosts.of(matrix)
        rows, cols = ground.order()
        return cls(merged, ground.subset(rows, cols), rows, cols, exponent, cost_error)

    def quick_dual(self, deadline: Deadline) -> Dual:
        """Compute feasible potentials without a pass over all pairs, in kd order."""
        dual, _ = quick_potentials(Sides.of(self.merged), deadline)
        return Dual(np.ldexp(dual.f[self.rows], -self.exponent), np.ldexp(dual.g[self.cols], -self.exponent))

    def solve(
        self,
        deadline: Deadline,
        report: Callable[[str], None],
        on_result: Callable[[Result], None] | None = None,
    ) -> Result:
        """Solve the problem, and prove its interval; ``on_result`` gets the results on the way."""
        problem = self.merged.problem
        a, b, mass_exponent, mass_error = integer_masses(self.merged.a[self.rows], self.merged.b[self.cols])
        moving_share = math.ldexp(float(a.sum()), -mass_exponent) / problem.mass
        goal = max(0.98 * problem.tol, SMALLEST_GAP)
        quick_dual = partial(self.quick_dual, deadline)
        solver = MultiscaleSolver(
            self.ground, a, b, goal, deadline, show_progress=problem.progress, quick_dual=quick_dual
        )
        solver.on_certificate = lambda size, certificate: report(
            self._progress_text(size, certificate, moving_share)
        )

        def make(certificate: Certificate, finished: bool) -> Result:
            return self._make_result(certificate, finished, moving_share, mass_exponent, mass_error, solver)

        if on_result is not None:
            solver.on_best = lambda certificate: on_result(make(certificate, False))
        return make(*solver.run())

    def _make_result(
        self,
        certificate: Certificate,
        finished: bool,
        moving_share: float,
        mass_exponent: int,
        mass_error: float,
        solver: MultiscaleSolver,
    ) -> Result:
        """Convert a certificate to a Result, with all that was rounded."""
        problem = self.merged.problem
        value = moving_share * certificate.upper
        cost_error = self.cost_error + mass_error / problem.mass * self.ground.extent
        cost_error += math.ldexp(weight_rounding_cost(problem), -self.exponent) + self._underflow_error(
            certificate
        )
        # Besides the costs, their comparison with f + g, the averages and the quotient round.
        lower, upper = outward(value, (cost_rounding(problem) + 8 * UNIT_ROUNDOFF) * value + cost_error)
        lower = max(lower - moving_share * certificate.gap, 0.0)
        value, lower, upper = (ldexp_safely(bound, self.exponent) for bound in (value, lower, upper))
        return make_result(
            problem,
            "sparse",
            (value, lower, upper),
            plan=partial(self._plan, certificate, mass_exponent),
            potentials=partial(self.full_potentials, certificate.dual.f, certificate.dual.g),
            converged=finished,
            message="" if finished else GAP_OPEN,
            info=solver.statistics(),
        )

    def _progress_text(self, size: int, certificate: Certificate | None, moving_share: float) -> str:
        """Describe the progress, in the units of the answer."""
        where = f"{size:,} of {max(self.ground.shape):,} points"
        if certificate is None:
            return where
        bounds = (
            ldexp_safely(moving_share * bound, self.exponent)
            for bound in (certificate.lower, certificate.upper)
        )
        low, high = (self.merged.problem.to_distance(bound) for bound in bounds)
        return f"gap {certificate.gap / (certificate.upper or 1.0):.0e}, {low:.6g} to {high:.6g} ({where})"

    def _underflow_error(self, certificate: Certificate) -> float:
        """Bound of the cost of plan cells between different points whose squares underflow."""
        return (
            UNDERFLOW_DISTANCE
            if bool((certificate.plan.cost < UNDERFLOW_DISTANCE).any())
            and isinstance(self.ground, PointCosts)
            else 0.0
        )

    def _plan(self, certificate: Certificate, mass_exponent: int) -> tuple[Index, Index, Array]:
        plan = certificate.plan
        mass = np.ldexp(plan.flow.astype(float), -mass_exponent)
        return self.merged.full_plan(self.rows[plan.rows], self.cols[plan.cols], mass)

    def full_potentials(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Map potentials from kd order to the problem's rows."""
        return self.merged.scaled_potentials(*self.to_rows(f, g), self.exponent)

    def to_rows(self, of_x: NDArray[Entry], of_y: NDArray[Entry]) -> tuple[NDArray[Entry], NDArray[Entry]]:
        """Bring values of both sides from kd order to the order of ``merged``."""
        by_row, by_col = np.empty_like(of_x), np.empty_like(of_y)
        by_row[self.rows], by_col[self.cols] = of_x, of_y
        return by_row, by_col
