"""Adapter of lapx: one-to-one assignment by the algorithm of Jonker and Volgenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lap

if TYPE_CHECKING:
    from otdist.bench.worker import Samples


def solve(name: str, samples: Samples, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by an optimal assignment."""
    return {"value": float(lap.lapjv(samples.compute_costs())[0]) / len(samples.x)}
