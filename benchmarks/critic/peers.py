"""Critics as others train them: weight clipping and gradient penalties as published, and deel-torchlip."""

import copy
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from otdist.learn import clip_weights, gradient_penalty, lipschitz_constant

BATCH = 1024
MAX_STEPS = 60_000  # of the published runs with gradient penalties
MAX_WEIGHT = 0.04  # by clipping
POINTS_AT_ONCE = 2**14


def make_network(method, d):
    """Module and optimiser: published ones, and those of deel-torchlip's own tutorial on W1."""
    if method == "torchlip":
        from deel import torchlip

        layers = []
        for sizes in pairwise((d, 256, 128, 64)):
            layers += [torchlip.SpectralLinear(*sizes), torchlip.FullSort()]
        module = torchlip.Sequential(*layers, torchlip.FrobeniusLinear(64, 1))
        return module, torch.optim.Adam(module.parameters(), lr=0.01)
    width = max(2 * d, 128)
    first, second, last = nn.Linear(d, width), nn.Linear(width, width), nn.Linear(width, 1)
    module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
    return module, torch.optim.Adam(module.parameters(), lr=2e-4, betas=(0.0, 0.9))


def train(method, d, batches, size, seconds, seed):
    """Train for so many seconds, at most as many steps as published; steps and constant, value and gradient.

    The constant is proved from the weights; values are as they are, not divided by it.
    """
    began, steps = time.perf_counter(), 0
    torch.manual_seed(seed)
    module, optimiser = make_network(method, d)
    since = time.perf_counter()
    while time.perf_counter() - since < seconds and steps < MAX_STEPS:
        x, y = (torch.as_tensor(np.asarray(part, dtype=np.float32)) for part in batches(size))
        loss = module(y).mean() - module(x).mean()
        if method in ("wgan-gp", "wgan-lp"):
            sided = "two" if method == "wgan-gp" else "one"
            loss = loss + gradient_penalty(module, x, y, weight=10.0, sided=sided)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if method == "clipping":
            clip_weights(module, MAX_WEIGHT)
        steps += 1
    if method == "torchlip":
        from deel import torchlip

        frozen = module.vanilla_export().double().requires_grad_(False)
        constant = lipschitz_constant(frozen, known={torchlip.FullSort: 1.0})
    else:
        frozen, constant = copy.deepcopy(module).double().requires_grad_(False), lipschitz_constant(module)

    def value(points):
        with torch.no_grad():
            parts = [frozen(part) for part in torch.as_tensor(points).double().split(POINTS_AT_ONCE)]
        return torch.cat(parts).squeeze(1).numpy()

    def gradient(points):
        z = torch.as_tensor(points).double().requires_grad_(True)
        return torch.autograd.grad(frozen(z).sum(), z)[0].numpy()

    told = {"steps": steps, "lipschitz": constant, "taken": time.perf_counter() - began}
    return told, value, gradient
