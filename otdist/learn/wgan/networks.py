"""Generators and critics of a size that fits the data."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.constraints import checked_critic, spectral_norm
from otdist.learn.constraints.checks import at_rest
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.wgan.settings import AUTO, PENALISED, PENALTIES, Settings

DEPTH = 3  # hidden layers
LEAK = 0.2  # slope of a critic's units below 0
FOLDS = 1.5  # spread of a critic's folds, in that of its first units over data
RATE = 0.256  # learning rate times units of a layer
OWN_RATE = 1e-3  # of convolutions, and of networks that are not ours
CHANNELS = 32  # of the finest layer of a convolutional generator
SMALL = 12  # pixels on a side below which images are vectors: convolutions have nothing to share there


def sizes(settings: Settings, d: int) -> tuple[int, int]:
    """Latent numbers and units of a layer for points of d numbers."""
    latent = min(max(16, d // 4), 64) if settings.latent is None else settings.latent
    width = (64 if d <= 16 else 256) if settings.width is None else settings.width
    return latent, width


def settled(settings: Settings, shape: tuple[int, ...], own: tuple[bool, bool]) -> Settings:
    """Settings with learning rates and steps: what a layer gives moves by the rate times its units."""
    penalised = settings.constraint in PENALTIES
    rate = OWN_RATE if penalised else RATE / sizes(settings, math.prod(shape))[1]
    steps = PENALISED if penalised else AUTO
    generator = OWN_RATE if own[0] or _convolves(shape) else rate
    critic = OWN_RATE if own[1] else rate
    return replace(
        settings,
        n_critic=steps if settings.n_critic is None else settings.n_critic,
        learning_rate=generator if settings.learning_rate is None else settings.learning_rate,
        critic_rate=critic if settings.critic_rate is None else settings.critic_rate,
    )


def default_generator(settings: Settings, shape: tuple[int, ...], seed: torch.Generator) -> nn.Module:
    """Network from latent numbers (n, latent) to points (n, d)."""
    latent, width = sizes(settings, math.prod(shape))
    if _convolves(shape):
        return _seeded(_convolutional(latent, shape), seed)
    layers = [latent, *[width] * DEPTH, math.prod(shape)]
    return _seeded(_perceptron(layers, nn.ReLU()), seed)


def default_critic(settings: Settings, shape: tuple[int, ...], seed: torch.Generator) -> nn.Module:
    """Network from packed points (n, packing * d) to scores (n,) or (n, 1), with its constraint put on."""
    d = math.prod(shape) * settings.packing
    _, width = sizes(settings, math.prod(shape))
    if settings.constraint == "orthogonal":
        return _folded(Orthogonal(d, width=width + width % 2, depth=DEPTH, generator=seed))
    critic = _seeded(_perceptron([d, *[width] * DEPTH, 1], nn.LeakyReLU(LEAK)), seed)
    return constrained(critic, settings, d, seed)


def constrained(critic: nn.Module, settings: Settings, d: int, seed: torch.Generator) -> nn.Module:
    """The critic with spectral norms, if that is its constraint."""
    if settings.constraint == "spectral":
        spectral_norm(critic, (d,), generator=seed)
    return critic


def judged_critic(
    critic: Any, settings: Settings, shape: tuple[int, ...], seed: torch.Generator
) -> nn.Module:
    """The caller's critic, once seen to be one, behind a layer that restores the shape of points."""
    if not isinstance(critic, nn.Module):
        raise InputError("critic", f"is a {type(critic).__name__}", "give a torch.nn.Module")
    d = math.prod(shape) * settings.packing
    shape = shape if settings.packing == 1 else (settings.packing, *shape)
    shaped = critic if len(shape) == 1 else nn.Sequential(nn.Unflatten(1, shape), critic)
    return constrained(checked_critic(shaped, (d,)), settings, d, seed)


def judged_generator(generator: Any, settings: Settings, d: int) -> nn.Module:
    """The caller's generator, once it has been seen to give points of d numbers."""
    if not isinstance(generator, nn.Module):
        raise InputError("generator", f"is a {type(generator).__name__}", "give a torch.nn.Module")
    latent, _ = sizes(settings, d)
    with at_rest(generator), torch.no_grad():
        try:
            made = generator(torch.zeros(2, latent))
        except RuntimeError as error:
            what = f"does not take numbers of shape (n, {latent}): {str(error).splitlines()[0]}"
            raise InputError("generator", what, "set latent to what it takes") from error
    if not isinstance(made, Tensor) or made.shape[:1] != (2,) or made.numel() != 2 * d:
        shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise InputError(
            "generator", f"gives {shape} for two points", f"give (n, ...) with {d} numbers a point"
        )
    return generator


def _convolves(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and min(shape[-2:]) >= SMALL


@torch.no_grad()
def _folded(critic: Orthogonal) -> Orthogonal:
    """Bring folds to where data are: as they are drawn, four in five units fold nowhere in the plane.

    On data of spread 1 in d columns the first units spread by ``sqrt(d / width)``; later layers turn them.
    """
    spread = FOLDS * math.sqrt(critic.weights[0].shape[1] / critic.weights[0].shape[0])
    for bias in critic.biases:
        bias.mul_(spread)
    return critic


def _perceptron(sizes: list[int], activation: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for rows, cols in pairwise(sizes):
        layers += [nn.utils.skip_init(nn.Linear, rows, cols), activation]
    return nn.Sequential(*layers[:-1])


def _convolutional(latent: int, shape: tuple[int, ...]) -> nn.Sequential:
    """Three resolutions, each twice the one before, by nearest neighbours: no checkerboard."""
    height, width = shape[-2:]
    channels = shape[0] if len(shape) > 2 else 1
    coarse = math.ceil(height / 4), math.ceil(width / 4)
    layers: list[nn.Module] = [
        nn.utils.skip_init(nn.Linear, latent, 4 * CHANNELS * coarse[0] * coarse[1]),
        nn.Unflatten(1, (4 * CHANNELS, *coarse)),
        nn.ReLU(),
    ]
    for rows, cols in ((4 * CHANNELS, 2 * CHANNELS), (2 * CHANNELS, CHANNELS)):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.utils.skip_init(nn.Conv2d, rows, cols, 3, padding=1),
            nn.ReLU(),
        ]
    layers += [nn.utils.skip_init(nn.Conv2d, CHANNELS, channels, 3, padding=1)]
    return nn.Sequential(*layers, Cropped(height, width))


class Cropped(nn.Module):
    """The first rows and columns of images: sides need not be multiples of four."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, height, width)."""
        return images[..., : self.height, : self.width]


@torch.no_grad()
def _seeded(module: nn.Module, seed: torch.Generator) -> nn.Module:
    """He's uniform start from the given generator: torch's own draws from the global one."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = math.sqrt(3.0 / layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=seed)
            layer.bias.zero_()
    return module
