"""Adapter of scipy: one-to-one assignment, the linear programme, and W1 on the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

if TYPE_CHECKING:
    from otdist.typing import Array


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by the named method of scipy."""
    if name == "scipy line":
        return {"value": float(wasserstein_distance(x[:, 0], y[:, 0]))}
    if name == "scipy linear programme":
        return {"value": float(wasserstein_distance_nd(x, y))}
    if len(x) != len(y):
        raise ValueError("x and y must have equally many points for an assignment")
    cost = cdist(x, y)
    return {"value": float(cost[linear_sum_assignment(cost)].mean())}
