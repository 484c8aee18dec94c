"""What is left of the gap, closed by the exact solver."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from otdist.bounds import UNIT
from otdist.solvers.sinkhorn.regularised import Bounds, Regularised
from otdist.solvers.sparse.columns import Columns, Proof
from otdist.solvers.sparse.levels import Descent
from otdist.solvers.sparse.supplies import whole_masses

MANY = 2000  # points a side from which, in the plane, copies are a better start than entropic potentials
ENOUGH = 0.9  # of the goal: the interval is wider than that of integer masses, by what these were rounded


def closed(
    made: Regularised, best: Bounds, goal: float, deadline: float | None, show: Callable[[Bounds], None]
) -> tuple[Bounds, bool]:
    """Bring the gap to ``goal`` by exact transport on few pairs, from entropic potentials.

    What is off in an entropic plan is the last digits of very many masses, which take the iteration ever
    longer to settle, and pivots or bids no longer than all others. False if time was up before.
    """
    ground = made.setting.ground
    a, b, k, moved = whole_masses(made.a, made.b)
    unsure = (sum(ground.shape) * UNIT + moved) * ground.extent

    def judged(proof: Proof, pivots: int) -> Bounds:
        plan, dual = proof.plan, proof.dual
        cells = plan.rows, plan.cols, np.ldexp(plan.flow.astype(float), -k)
        lower = made.proved(dual) - dual.slack
        return Bounds(best.state, proof.upper, unsure, dual, lower, cells, pivots=pivots).joined(best)

    def late() -> bool:
        return deadline is not None and time.monotonic() > deadline

    if ground.planar and max(ground.shape) > MANY:
        descent = Descent(ground, a, b, ENOUGH * goal, deadline)
        descent.show = lambda size, proof: None if proof is None else show(judged(proof, 0))
        found = judged(descent.run()[0], descent.figures()["pivots"])
    else:
        columns = Columns(ground, a, b, best.dual)
        columns.solve(ENOUGH * goal, late, lambda proof: show(judged(proof, 0)))
        found = judged(columns.proof, columns.network.pivots)
    show(found)
    return found, found.gap <= goal
