"""What is left of the gap, closed by the exact solver."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from otdist.bounds import UNIT
from otdist.solvers.sinkhorn.entropic import Potentials
from otdist.solvers.sinkhorn.regularised import Bounds, Regularised
from otdist.solvers.sparse.columns import Columns, Proof
from otdist.solvers.sparse.levels import Descent
from otdist.solvers.sparse.supplies import whole_masses

Array = NDArray[np.float64]

ENOUGH = 0.9  # of the goal: the interval is wider than that of integer masses, by what these were rounded


def closed(
    made: Regularised, best: Bounds, goal: float, deadline: float | None, show: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Bring the gap to ``goal`` by exact transport on few pairs, from entropic potentials of all points.

    What is off in an entropic plan is the last digits of very many masses, which take the iteration ever
    longer to settle, and pivots or bids no longer than all others. False if time was up before.
    """
    a, b, k, moved = whole_masses(made.a, made.b)

    def late() -> bool:
        return deadline is not None and time.monotonic() > deadline

    def judged(proof: Proof, pivots: int = 0) -> Bounds:
        return _bounds(made, best.state, proof, (k, moved), pivots).joined(best)

    columns = Columns(made.setting.ground, a, b, best.dual)
    columns.solve(ENOUGH * goal, late, lambda proof: show(judged(proof)))
    found = judged(columns.proof, columns.network.pivots)
    show(found)
    return found, found.gap <= goal


def descended(
    made: Regularised,
    copy: tuple[Potentials, int, Array],
    goal: float,
    deadline: float | None,
    show: Callable[[Bounds], None],
) -> tuple[Bounds, bool]:
    """The same from entropic potentials of a copy, from coarse to fine; ``copy`` as from ``of_copy``."""
    state, halved, g = copy
    a, b, k, moved = whole_masses(made.a, made.b)

    def judged(proof: Proof, pivots: int = 0) -> Bounds:
        return _bounds(made, state, proof, (k, moved), pivots)

    descent = Descent(made.setting.ground, a, b, ENOUGH * goal, deadline, start=(halved, g))
    descent.show = lambda size, proof: None if proof is None else show(judged(proof))
    found = judged(descent.run()[0], descent.figures()["pivots"])
    show(found)
    return found, found.gap <= goal


def _bounds(
    made: Regularised, state: Potentials, proof: Proof, units: tuple[int, float], pivots: int
) -> Bounds:
    """What a plan of whole masses and its potentials prove; ``units``: how masses were scaled and moved."""
    k, moved = units
    ground, plan, dual = made.setting.ground, proof.plan, proof.dual
    unsure = (sum(ground.shape) * UNIT + moved) * ground.extent
    cells = plan.rows, plan.cols, np.ldexp(plan.flow.astype(float), -k)
    lower = made.proved(dual) - dual.slack
    return Bounds(state, proof.upper, unsure, dual, lower, cells, pivots=pivots)
