"""The critic of Wasserstein GANs as it is usually trained, with a gradient penalty. Its value is no bound."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

Array = np.ndarray[Any, np.dtype[np.float64]]
BATCH, WEIGHT, RATE = 512, 10.0, 2e-4


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Train for ``max_seconds`` on the samples (Gulrajani et al. 2017, settings of Korotin et al. 2022).

    The gap on the samples it was trained on is what its users plot.
    """
    torch.manual_seed(0)
    end = time.perf_counter() + float(options.get("max_seconds", 20.0))
    centre, unit = np.concatenate([x, y]).mean(0), float(np.concatenate([x, y]).std())
    sides = [torch.tensor((side - centre) / unit, dtype=torch.float32) for side in (x, y)]
    units = max(2 * x.shape[1], 128)
    critic = nn.Sequential(
        nn.Linear(x.shape[1], units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1)
    )
    optimiser = torch.optim.Adam(critic.parameters(), RATE, betas=(0.0, 0.9))
    steps = 0
    while time.perf_counter() < end:
        p, q = (side[torch.randint(len(side), (BATCH,))] for side in sides)
        t = torch.rand(BATCH, 1)
        between = (t * p + (1 - t) * q).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = WEIGHT * (slope.norm(dim=1) - 1).square().mean()
        loss = critic(q).mean() - critic(p).mean() + penalty
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    with torch.no_grad():
        gap = float(critic(sides[0]).mean() - critic(sides[1]).mean()) * unit
    return {"value": gap, "steps": steps}


def limited(name: str, options: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Options with the time that it has."""
    return options if "max_seconds" in options else options | {"max_seconds": min(seconds, 20.0)}
