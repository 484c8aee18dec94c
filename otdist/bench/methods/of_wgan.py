"""Critic of Wasserstein GANs with a gradient penalty, as usually trained. Its value is not a bound of W1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


BATCH_SIZE, PENALTY_WEIGHT, LEARNING_RATE = 512, 10.0, 2e-4


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Train for ``max_seconds`` on the samples (Gulrajani et al. 2017, settings of Korotin et al. 2022).

    The value is the gap on the training samples, which is what is usually plotted.
    """
    x, y = samples.x, samples.y
    torch.manual_seed(0)
    end = time.perf_counter() + float(options.get("max_seconds", 20.0))
    centre, scale = np.concatenate([x, y]).mean(0), float(np.concatenate([x, y]).std())
    tensors = [torch.tensor((points - centre) / scale, dtype=torch.float32) for points in (x, y)]
    width = max(2 * x.shape[1], 128)
    critic = nn.Sequential(
        nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )
    optimiser = torch.optim.Adam(critic.parameters(), LEARNING_RATE, betas=(0.0, 0.9))
    steps = 0
    while time.perf_counter() < end:
        p, q = (points[torch.randint(len(points), (BATCH_SIZE,))] for points in tensors)
        t = torch.rand(BATCH_SIZE, 1)
        interpolates = (t * p + (1 - t) * q).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(interpolates).sum(), interpolates, create_graph=True)
        penalty = PENALTY_WEIGHT * (gradient.norm(dim=1) - 1).square().mean()
        loss = critic(q).mean() - critic(p).mean() + penalty
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    with torch.no_grad():
        gap = float(critic(tensors[0]).mean() - critic(tensors[1]).mean()) * scale
    return {"value": gap, "steps": steps}


def add_time_limit(name: str, options: Options, seconds: float) -> Options:
    """Return the options with a training time."""
    return options if "max_seconds" in options else options | {"max_seconds": min(seconds, 20.0)}
