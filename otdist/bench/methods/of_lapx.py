"""Adapter of lapx: one-to-one assignment by the algorithm of Jonker and Volgenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lap

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 by an optimal assignment."""
    return {"value": float(lap.lapjv(samples.compute_costs())[0]) / len(samples.x)}
