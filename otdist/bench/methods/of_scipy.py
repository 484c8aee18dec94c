"""Adapter of scipy: one-to-one assignment, the linear programme, and W1 on the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 by the named method of scipy."""
    if name == "scipy line":
        value = wasserstein_distance(samples.x[:, 0], samples.y[:, 0], samples.a, samples.b)
        return {"value": float(value)}
    if name == "scipy linear programme":
        return {"value": float(wasserstein_distance_nd(samples.x, samples.y, samples.a, samples.b))}
    cost = samples.compute_costs()
    return {"value": float(cost[linear_sum_assignment(cost)].mean())}
