"""Exact transport that closes the gap remaining after the entropic iteration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.runtime.deadline import Deadline, OutOfTimeError
from otdist.solvers.entropic.iteration import SinkhornState
from otdist.solvers.pairs.integer_masses import integer_masses
from otdist.solvers.sinkhorn.entropic_problem import Bounds, EntropicProblem
from otdist.solvers.sparse.column_generation import Certificate, ColumnGeneration
from otdist.solvers.sparse.multiscale import MultiscaleSolver
from otdist.typing import Array

MIN_EXACT_GAP = 1e-9  # smallest relative gap to ask for where time is short
GAP_SHARE = 0.9  # share of the goal; rounding masses to integers widens the interval by the rest


def finish_exactly(
    problem: EntropicProblem,
    best: Bounds,
    goal: float,
    deadline: Deadline,
    on_bounds: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """Close the gap to ``goal`` by exact transport on few pairs, from entropic potentials of all points.

    The error of an entropic plan is in the last digits of very many masses. The iteration corrects them ever
    more slowly, whereas pivots or bids take no longer than usual. Returns False if time was up before.
    """
    a, b, mass_exponent, mass_error = integer_masses(problem.a, problem.b)

    def make_bounds(certificate: Certificate, pivots: int = 0) -> Bounds:
        return _bounds_of(problem, best.state, certificate, (mass_exponent, mass_error), pivots).combine(best)

    columns = ColumnGeneration(problem.prepared.ground, a, b, best.dual)
    with suppress(OutOfTimeError):
        columns.solve(
            GAP_SHARE * goal, deadline.is_over, lambda certificate: on_bounds(make_bounds(certificate))
        )
    bounds = make_bounds(columns.certificate, columns.network.pivots)
    on_bounds(bounds)
    return bounds, bounds.gap <= goal


def finish_from_copy(
    problem: EntropicProblem,
    copy: tuple[SinkhornState, int, Array],
    goal: float,
    deadline: Deadline,
    on_bounds: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """Close the gap to ``goal`` from entropic potentials of a coarser copy, from coarse to fine.

    ``copy``: as returned by ``anneal_copy``.
    """
    state, halved, g = copy
    a, b, mass_exponent, mass_error = integer_masses(problem.a, problem.b)

    def make_bounds(certificate: Certificate, pivots: int = 0) -> Bounds:
        return _bounds_of(problem, state, certificate, (mass_exponent, mass_error), pivots)

    quick_dual = partial(problem.prepared.quick_dual, deadline)
    solver = MultiscaleSolver(
        problem.prepared.ground, a, b, GAP_SHARE * goal, deadline, start=(halved, g), quick_dual=quick_dual
    )
    solver.on_certificate = lambda size, certificate: (
        None if certificate is None else on_bounds(make_bounds(certificate))
    )
    bounds = make_bounds(solver.run()[0], solver.statistics()["pivots"])
    on_bounds(bounds)
    return bounds, bounds.gap <= goal


def bounds_in_time(problem: EntropicProblem, state: SinkhornState, goal: float, deadline: Deadline) -> Bounds:
    """Return the bounds of the exact solver at the deadline, if there is no time for an entropic plan.

    ``state``: the last state of the entropic iteration.
    """
    a, b, mass_exponent, mass_error = integer_masses(problem.a, problem.b)
    quick_dual = partial(problem.prepared.quick_dual, deadline)
    solver = MultiscaleSolver(
        problem.prepared.ground, a, b, max(GAP_SHARE * goal, MIN_EXACT_GAP), deadline, quick_dual=quick_dual
    )
    certificate = solver.run()[0]
    return _bounds_of(problem, state, certificate, (mass_exponent, mass_error), solver.statistics()["pivots"])


def _bounds_of(
    problem: EntropicProblem,
    state: SinkhornState,
    certificate: Certificate,
    units: tuple[int, float],
    pivots: int,
) -> Bounds:
    """Return the bounds of a certificate with integer masses; ``units``: exponent, rounding error."""
    mass_exponent, mass_error = units
    ground, plan, dual = problem.prepared.ground, certificate.plan, certificate.dual
    upper_error = (sum(ground.shape) * UNIT_ROUNDOFF + mass_error) * ground.extent
    cells = plan.rows, plan.cols, np.ldexp(plan.flow.astype(float), -mass_exponent)
    lower = problem.dual_value(dual) - dual.slack
    return Bounds(state, certificate.upper, upper_error, dual, lower, cells, pivots=pivots)
