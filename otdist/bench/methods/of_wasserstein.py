"""Adapter of the package wasserstein: the network simplex of particle physics. It needs numpy < 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasserstein import EMD

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


MAX_PIVOTS = 10**9  # it stops at 100,000 by default, before the optimum
POWERS = {"euclidean": 1.0, "sqeuclidean": 2.0}  # of distances that it computes itself


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 by wasserstein: Euclidean distances are its own, others are passed as a matrix."""
    solver = EMD(R=1.0, beta=POWERS.get(samples.metric, 1.0), norm=True, n_iter_max=MAX_PIVOTS)
    a, b = samples.shares
    if samples.metric in POWERS:
        value = solver(a, samples.x, b, samples.y)
    else:
        value = solver(a, b, samples.compute_costs())
    if solver.status() != 0:
        raise RuntimeError(f"wasserstein ends with status {solver.status()}")
    return {"value": float(value)}
