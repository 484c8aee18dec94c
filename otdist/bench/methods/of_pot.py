"""Adapter of POT: network simplex with or without a cost matrix, and entropic transport; equal weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import ot

if TYPE_CHECKING:
    from otdist.typing import Array


MAX_PIVOTS = 10**9  # POT stops at 100,000 by default, before the optimum


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by the named method of POT; ``reg`` is relative to the mean cost."""
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    if name == "POT lazy":
        return {
            "value": float(
                ot.emd2_lazy(x, y, a, b, metric="euclidean", numItermax=MAX_PIVOTS, return_matrix=False)
            )
        }
    if name == "POT sliced":
        count = int(options.get("n_projections", 100))
        return {"value": float(ot.sliced_wasserstein_distance(x, y, n_projections=count, p=1, seed=0))}
    cost = ot.dist(x, y, metric="euclidean")
    if name == "POT emd2":
        return {"value": float(ot.emd2(a, b, cost, numItermax=MAX_PIVOTS))}
    reg = float(options["reg"]) * float(cost.mean())
    plan = ot.sinkhorn(
        a, b, cost, reg, method=name.removeprefix("POT "), numItermax=int(options.get("iterations", 10_000))
    )
    return {"value": float((plan * cost).sum())}
