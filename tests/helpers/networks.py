"""Small networks and convolutions whose parameters are drawn from a given generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

DIMS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(module, rng, scale=1.0):
    """The module with parameters drawn from ``rng``, so that torch's default generator is left alone."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * scale / math.sqrt(fan))
    return module


def mlp(rng, d=3, activation=nn.Tanh):
    return drawn(nn.Sequential(nn.Linear(d, 16), activation(), nn.Linear(16, 1)), rng)


def unsettled(critic):
    """A normalised critic whose vectors are far from the ones that they approach, so that a step is seen."""
    for layer in critic.modules():
        if hasattr(layer, "parametrizations"):
            vector = layer.parametrizations.weight[0].u
            vector.copy_(torch.ones_like(vector) / vector.numel() ** 0.5)
    return critic


@pytest.fixture
def own_generator():
    """Layers are initialised from torch's default generator, which other tests find as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


MAPS = [
    (1, 3, 4, 5, 1, 2, 1, 1, 24),
    (1, 4, 4, 5, 2, 2, 3, 2, 29),
    (1, 2, 3, 4, 3, 0, 1, 1, 25),
    (1, 2, 2, 3, 4, 1, 1, 1, 25),
    (1, 3, 2, 3, 4, 2, 2, 1, 31),
    (2, 3, 5, 3, 1, 1, 1, 1, 9),
    (2, 3, 4, 4, 2, 1, 1, 1, 10),
    (2, 4, 6, 3, 1, 2, 2, 2, 9),
    (2, 3, 5, 3, 3, 0, 2, 1, 12),
    (2, 3, 5, 1, 2, 0, 1, 1, 8),
    (2, 2, 2, (3, 2), (1, 2), (0, 1), (2, 1), 1, 8),
    (3, 2, 3, 3, 1, 1, 1, 1, 7),
    (3, 2, 2, 2, 2, 0, 1, 1, 6),
]


def layer_of(dims, channels, out, *rest, mode="zeros", rng):
    kernel, stride, padding, dilation, groups = rest
    layer = DIMS[dims](channels, out, kernel, stride, padding, dilation, groups, padding_mode=mode)
    return drawn(layer, rng)
