"""Adapter of OR-tools: minimum-cost flow on all arcs, with equal weights.

Costs are rounded to 2^-30 of the largest one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from otdist.typing import Array


COST_BITS = 30


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 as the cost of the plan of OR-tools, at the costs before rounding."""
    cost = cdist(x, y)
    n, m = cost.shape
    a, b = np.full(n, m // math.gcd(n, m)), np.full(m, n // math.gcd(n, m))
    scale = 2.0 ** (COST_BITS - math.frexp(float(cost.max()) or 1.0)[1])
    flow = SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        np.repeat(np.arange(n, dtype=np.int32), m),
        np.tile(np.arange(n, n + m, dtype=np.int32), n),
        np.minimum(a[:, None], b).ravel(),
        np.rint(cost * scale).astype(np.int64).ravel(),
    )
    flow.set_nodes_supplies(np.arange(n + m, dtype=np.int32), np.concatenate([a, -b]))
    status = flow.solve()
    if status != SimpleMinCostFlow.OPTIMAL:
        raise RuntimeError(f"OR-tools ended with status {status.name}")
    return {"value": float(flow.flows(arcs) @ cost.ravel()) / float(a.sum())}
