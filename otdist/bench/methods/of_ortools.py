"""Adapter of OR-tools: minimum-cost flow on all arcs.

Costs are rounded to 2^-30 of the largest one, weights to 2^-50 of their sum; equal weights are not rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Array, Integers, Options


COST_BITS, MASS_BITS = 30, 50


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 as the cost of the plan of OR-tools, at the costs before rounding."""
    cost = samples.compute_costs()
    n, m = cost.shape
    if samples.a is None and samples.b is None:
        a, b = np.full(n, m // math.gcd(n, m)), np.full(m, n // math.gcd(n, m))
    else:
        a, b = (_round_weights(weights) for weights in samples.shares)
    exponent = COST_BITS - math.frexp(float(cost.max()) or 1.0)[1]
    flow = SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        np.repeat(np.arange(n, dtype=np.int32), m),
        np.tile(np.arange(n, n + m, dtype=np.int32), n),
        np.minimum(a[:, None], b).ravel(),
        np.rint(np.ldexp(cost, exponent)).astype(np.int64).ravel(),
    )
    flow.set_nodes_supplies(np.arange(n + m, dtype=np.int32), np.concatenate([a, -b]))
    status = flow.solve()
    if status != SimpleMinCostFlow.OPTIMAL:
        raise RuntimeError(f"OR-tools ended with status {status.name}")
    return {"value": float(flow.flows(arcs) @ cost.ravel()) / float(a.sum())}


def _round_weights(weights: Array) -> Integers:
    masses: Integers = np.rint(np.ldexp(weights, MASS_BITS)).astype(np.int64)
    masses[np.argmax(masses)] += 2**MASS_BITS - masses.sum()
    return masses
