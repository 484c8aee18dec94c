"""Adapter of GeomLoss with p = 1, in float32; blur is relative to the mean cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from geomloss import SamplesLoss

if TYPE_CHECKING:
    from otdist.typing import Array


MEAN_COST_PAIRS = 10**6  # pairs that the mean cost is estimated from


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute the Sinkhorn loss of GeomLoss."""
    k = int(MEAN_COST_PAIRS**0.5)
    mean = float(np.linalg.norm(x[:k, None] - y[None, :k], axis=2).mean())
    loss = SamplesLoss(
        "sinkhorn",
        p=1,
        blur=float(options.get("blur", 0.05)) * mean,
        scaling=float(options.get("scaling", 0.5)),
        debias=bool(options.get("debias", 0)),
        backend="tensorized" if len(x) <= 5000 else "online",
    )
    return {"value": float(loss(*(torch.tensor(points, dtype=torch.float32) for points in (x, y))))}
