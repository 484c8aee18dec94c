"""deel-torchlip: a 1-Lipschitz network of spectral layers and GroupSort, trained on the dual."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from deel import torchlip

Array = np.ndarray[Any, np.dtype[np.float64]]
BATCH, RATE, WIDTH = 512, 1e-3, 128


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Train for ``max_seconds`` on the samples; the value is the gap on them."""
    torch.manual_seed(0)
    end = time.perf_counter() + float(options.get("max_seconds", 20.0))
    centre, unit = np.concatenate([x, y]).mean(0), float(np.concatenate([x, y]).std())
    sides = [torch.tensor((side - centre) / unit, dtype=torch.float32) for side in (x, y)]
    critic = torchlip.Sequential(
        torchlip.SpectralLinear(x.shape[1], WIDTH),
        torchlip.FullSort(),
        torchlip.SpectralLinear(WIDTH, WIDTH),
        torchlip.FullSort(),
        torchlip.FrobeniusLinear(WIDTH, 1),
    )
    optimiser = torch.optim.Adam(critic.parameters(), RATE)
    steps = 0
    while time.perf_counter() < end:
        p, q = (side[torch.randint(len(side), (BATCH,))] for side in sides)
        loss = critic(q).mean() - critic(p).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    critic.eval()
    with torch.no_grad():
        gap = float(critic(sides[0]).mean() - critic(sides[1]).mean()) * unit
    return {"value": gap, "steps": steps}


def limited(name: str, options: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Options with the time that it has."""
    return options if "max_seconds" in options else options | {"max_seconds": min(seconds, 20.0)}
