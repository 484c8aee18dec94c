"""GeomLoss with p = 1, which is the distance; blur is relative to the mean cost. float32 as it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from geomloss import SamplesLoss

Array = np.ndarray[Any, np.dtype[np.float64]]
PAIRS = 10**6  # of which the mean cost is taken


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Ask GeomLoss."""
    k = int(PAIRS**0.5)
    mean = float(np.linalg.norm(x[:k, None] - y[None, :k], axis=2).mean())
    loss = SamplesLoss(
        "sinkhorn",
        p=1,
        blur=float(options.get("blur", 0.05)) * mean,
        scaling=float(options.get("scaling", 0.5)),
        debias=bool(options.get("debias", 0)),
        backend="tensorized" if len(x) <= 5000 else "online",
    )
    return {"value": float(loss(*(torch.tensor(side, dtype=torch.float32) for side in (x, y))))}
