"""Critics as others train them: weight clipping and gradient penalties as published, and deel-torchlip."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from otdist.learn import clip_weights, gradient_penalty, lipschitz_constant

BATCH = 1024
MOST = 60_000  # steps of the published runs with gradient penalties
CLIP = 0.04
LAST = 2**14  # points at a time

Batches = Callable[[int], tuple[Any, Any]]


@dataclass(frozen=True)
class Network:
    """A trained network with its proved constant; values as they are, not divided by it."""

    module: Any  # in float64
    constant: float
    steps: int

    def value(self, points: Any) -> Any:
        """Values at points (n, d)."""
        with torch.no_grad():
            parts = [self.module(part) for part in torch.as_tensor(points).double().split(LAST)]
        return torch.cat(parts).squeeze(1).numpy()

    def gradient(self, points: Any) -> Any:
        """Gradients at points (n, d)."""
        z = torch.as_tensor(points).double().requires_grad_(True)
        (slopes,) = torch.autograd.grad(self.module(z).sum(), z)
        return slopes.numpy()


def network(method: str, d: int) -> tuple[Any, Any]:
    """Module and optimiser: published ones, and those of deel-torchlip's own tutorial on W1."""
    if method == "torchlip":
        from deel import torchlip

        layers: list[Any] = []
        for inner, outer in ((d, 256), (256, 128), (128, 64)):
            layers += [torchlip.SpectralLinear(inner, outer), torchlip.FullSort()]
        module = torchlip.Sequential(*layers, torchlip.FrobeniusLinear(64, 1))
        return module, torch.optim.Adam(module.parameters(), lr=0.01)
    width = max(2 * d, 128)
    sizes = ((d, width), (width, width))
    layers = [layer for inner, outer in sizes for layer in (nn.Linear(inner, outer), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Linear(width, 1))
    return module, torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.0, 0.9))


def trained(method: str, d: int, batches: Batches, size: int, seconds: float, seed: int) -> Network:
    """Train for so many seconds, at most as many steps as published."""
    torch.manual_seed(seed)
    module, optimiser = network(method, d)
    since, steps = time.perf_counter(), 0
    while time.perf_counter() - since < seconds and steps < MOST:
        x, y = (torch.as_tensor(np.asarray(part, dtype=np.float32)) for part in batches(size))
        loss = module(y).mean() - module(x).mean()
        if method in ("wgan-gp", "wgan-lp"):
            sided = "two" if method == "wgan-gp" else "one"
            loss = loss + gradient_penalty(module, x, y, weight=10.0, sided=sided)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if method == "clipping":
            clip_weights(module, CLIP)
        steps += 1
    return Network(*frozen(module, method), steps)


def frozen(module: Any, method: str) -> tuple[Any, float]:
    """Module in float64 and its constant, proved from its weights."""
    if method != "torchlip":
        return copy.deepcopy(module).double().requires_grad_(False), lipschitz_constant(module)
    from deel import torchlip

    plain = module.vanilla_export().double().requires_grad_(False)
    return plain, lipschitz_constant(plain, known={torchlip.FullSort: 1.0})
