"""Adapter of deel-torchlip: a 1-Lipschitz network of spectral layers and GroupSort, trained on the dual."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from deel import torchlip

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


BATCH_SIZE, LEARNING_RATE, WIDTH = 512, 1e-3, 128


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Train for ``max_seconds`` on the samples and return the gap on them."""
    x, y = samples.x, samples.y
    torch.manual_seed(0)
    end = time.perf_counter() + float(options.get("max_seconds", 20.0))
    centre, scale = np.concatenate([x, y]).mean(0), float(np.concatenate([x, y]).std())
    tensors = [torch.tensor((points - centre) / scale, dtype=torch.float32) for points in (x, y)]
    critic = torchlip.Sequential(
        torchlip.SpectralLinear(x.shape[1], WIDTH),
        torchlip.FullSort(),
        torchlip.SpectralLinear(WIDTH, WIDTH),
        torchlip.FullSort(),
        torchlip.FrobeniusLinear(WIDTH, 1),
    )
    optimiser = torch.optim.Adam(critic.parameters(), LEARNING_RATE)
    steps = 0
    while time.perf_counter() < end:
        p, q = (points[torch.randint(len(points), (BATCH_SIZE,))] for points in tensors)
        loss = critic(q).mean() - critic(p).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    critic.eval()
    with torch.no_grad():
        gap = float(critic(tensors[0]).mean() - critic(tensors[1]).mean()) * scale
    return {"value": gap, "steps": steps}


def add_time_limit(name: str, options: Options, seconds: float) -> Options:
    """Return the options with a training time."""
    return options if "max_seconds" in options else options | {"max_seconds": min(seconds, 20.0)}
