"""Adapter of mdot-tnt: cost of its plan, rounded to its marginals; in float32 up to 2**10, as it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mdot_tnt
import torch

if TYPE_CHECKING:
    from otdist.bench.worker import Samples


def solve(name: str, samples: Samples, options: dict[str, Any]) -> dict[str, Any]:
    """Compute the cost of the plan of mdot; ``gamma`` is the inverse regularisation."""
    gamma = float(options["gamma"])
    dtype = torch.float32 if gamma <= 2**10 else torch.float64
    x, y, a, b = (torch.tensor(part, dtype=dtype) for part in (samples.x, samples.y, *samples.shares))
    cost = torch.cdist(x, y)
    largest = cost.max()
    value = mdot_tnt.solve_OT(a, b, cost / largest, gamma_f=gamma)
    return {"value": float(value * largest), "residual": 0.0}
