"""Default generators and critics for the data, and checks of the caller's."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from otdist.errors import InputError, get_reason
from otdist.learn.constraints import checked_critic, spectral_norm
from otdist.learn.constraints.checks import eval_mode, refuse_computed_weights
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.modes import require_module, require_trainable
from otdist.learn.wgan.settings import DEFAULT_CRITIC_STEPS, PENALISED_CRITIC_STEPS, PENALTY_WEIGHTS, Settings

HIDDEN_LAYERS = 3
LEAKY_SLOPE = 0.2  # negative slope of the LeakyReLU units of a critic
FOLD_SPREAD = 1.5  # spread of a critic's biases, relative to the outputs of its first layer
RATE_TIMES_WIDTH = 0.256  # default learning rate times the width
USER_RATE = 1e-3  # learning rate of convolutions, penalties and the caller's networks
FINEST_CHANNELS = 32  # channels of the finest layer of a convolutional generator
MIN_CONVOLUTION_PIXELS = 12  # side of an image below which a perceptron generates it


def network_sizes(settings: Settings, d: int) -> tuple[int, int]:
    """Return the latent dimension and the width for points of d numbers."""
    latent = min(max(16, d // 4), 64) if settings.latent is None else settings.latent
    width = (64 if d <= 16 else 256) if settings.width is None else settings.width
    return latent, width


def point_size(shape: tuple[int, ...], n_classes: int = 0) -> int:
    """Return the numbers of a point, with the one-hot code of its class at the end."""
    return math.prod(shape) + n_classes


def resolve_settings(
    settings: Settings, shape: tuple[int, ...], is_user_module: tuple[bool, bool], n_classes: int = 0
) -> Settings:
    """Fill in learning rates and critic steps; a step changes outputs by the rate times the width."""
    penalised = settings.constraint in PENALTY_WEIGHTS
    width = network_sizes(settings, point_size(shape, n_classes))[1]
    rate = USER_RATE if penalised else RATE_TIMES_WIDTH / width
    steps = PENALISED_CRITIC_STEPS if penalised else DEFAULT_CRITIC_STEPS
    generator = USER_RATE if is_user_module[0] or _is_convolutional(shape) else rate
    critic = USER_RATE if is_user_module[1] else rate
    return replace(
        settings,
        n_critic=steps if settings.n_critic is None else settings.n_critic,
        learning_rate=generator if settings.learning_rate is None else settings.learning_rate,
        critic_rate=critic if settings.critic_rate is None else settings.critic_rate,
    )


def default_generator(
    settings: Settings, shape: tuple[int, ...], seed: torch.Generator, n_classes: int = 0
) -> nn.Module:
    """Build a network from latent numbers and one-hot codes, (n, latent + n_classes), to points (n, d)."""
    latent, width = network_sizes(settings, point_size(shape, n_classes))
    if _is_convolutional(shape):
        return _initialise(_build_convolutional(latent + n_classes, shape), seed)
    layers = [latent + n_classes, *[width] * HIDDEN_LAYERS, math.prod(shape)]
    return _initialise(_build_mlp(layers, nn.ReLU()), seed)


def default_critic(
    settings: Settings, shape: tuple[int, ...], seed: torch.Generator, n_classes: int = 0
) -> nn.Module:
    """Build a critic from packed points (n, packing * d) to scores, with its constraint."""
    d = point_size(shape, n_classes) * settings.packing
    _, width = network_sizes(settings, point_size(shape, n_classes))
    if settings.constraint == "orthogonal":
        return _scale_biases(Orthogonal(d, width=width + width % 2, depth=HIDDEN_LAYERS, generator=seed))
    critic = _initialise(_build_mlp([d, *[width] * HIDDEN_LAYERS, 1], nn.LeakyReLU(LEAKY_SLOPE)), seed)
    return apply_constraint(critic, settings, d, seed)


def apply_constraint(critic: nn.Module, settings: Settings, d: int, seed: torch.Generator) -> nn.Module:
    """Apply spectral normalisation to a critic, if that is its constraint."""
    if settings.constraint == "spectral":
        spectral_norm(critic, (d,), generator=seed)
    return critic


def prepare_critic(
    critic: nn.Module, settings: Settings, shape: tuple[int, ...], seed: torch.Generator
) -> nn.Module:
    """Check the caller's critic, and prepend a layer that restores the shape of points."""
    require_module("critic", critic)
    if settings.constraint in ("spectral", "clip"):
        refuse_computed_weights("critic", critic)
    d = math.prod(shape) * settings.packing
    shape = shape if settings.packing == 1 else (settings.packing, *shape)
    shaped = critic if len(shape) == 1 else nn.Sequential(nn.Unflatten(1, shape), critic)
    return apply_constraint(checked_critic(shaped, (d,)), settings, d, seed)


def prepare_generator(generator: nn.Module, settings: Settings, d: int, n_classes: int = 0) -> nn.Module:
    """Check that the caller's generator gives points of d numbers; its inputs end with the one-hot code."""
    require_module("generator", generator)
    require_trainable("generator", generator)
    latent = network_sizes(settings, d + n_classes)[0] + n_classes
    with eval_mode(generator), torch.no_grad():
        try:
            output = generator(torch.zeros(2, latent))
        except RuntimeError as error:
            problem = f"must take input of shape (n, {latent}), got an error: {get_reason(error)}"
            raise InputError("generator", problem, "set latent to its number of inputs") from error
    if not isinstance(output, Tensor) or output.shape[:1] != (2,) or output.numel() != 2 * d:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise InputError(
            "generator",
            f"must return shape (n, ...) with {d} numbers per point, got {shape} for n=2",
            "change it",
        )
    return generator


def _is_convolutional(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and min(shape[-2:]) >= MIN_CONVOLUTION_PIXELS


@torch.no_grad()
def _scale_biases(critic: Orthogonal) -> Orthogonal:
    """Scale the biases so that units fold within the data; unscaled, four in five do not in the plane.

    On data of spread 1 in d columns the first units have spread ``sqrt(d / width)``, which later layers keep.
    """
    spread = FOLD_SPREAD * math.sqrt(critic.weights[0].shape[1] / critic.weights[0].shape[0])
    for bias in critic.biases:
        bias.mul_(spread)
    return critic


def _build_mlp(network_sizes: list[int], activation: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for rows, cols in pairwise(network_sizes):
        layers += [nn.utils.skip_init(nn.Linear, rows, cols), activation]
    return nn.Sequential(*layers[:-1])


def _build_convolutional(latent: int, shape: tuple[int, ...]) -> nn.Sequential:
    """Build a network of three resolutions, with nearest-neighbour upsampling against checkerboards."""
    height, width = shape[-2:]
    channels = shape[0] if len(shape) > 2 else 1
    coarse = math.ceil(height / 4), math.ceil(width / 4)
    layers: list[nn.Module] = [
        nn.utils.skip_init(nn.Linear, latent, 4 * FINEST_CHANNELS * coarse[0] * coarse[1]),
        nn.Unflatten(1, (4 * FINEST_CHANNELS, *coarse)),
        nn.ReLU(),
    ]
    for rows, cols in ((4 * FINEST_CHANNELS, 2 * FINEST_CHANNELS), (2 * FINEST_CHANNELS, FINEST_CHANNELS)):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.utils.skip_init(nn.Conv2d, rows, cols, 3, padding=1),
            nn.ReLU(),
        ]
    layers += [nn.utils.skip_init(nn.Conv2d, FINEST_CHANNELS, channels, 3, padding=1)]
    return nn.Sequential(*layers, Cropped(height, width))


class Cropped(nn.Module):
    """Crop of images to their first rows and columns, so that sides need not be multiples of four."""

    height: int
    width: int

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        """Return the crop of images (n, channels, height, width)."""
        return images[..., : self.height, : self.width]


@torch.no_grad()
def _initialise(module: nn.Module, seed: torch.Generator) -> nn.Module:
    """Initialise by He's uniform distribution from the given generator, not torch's global one."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = math.sqrt(3.0 / layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=seed)
            layer.bias.zero_()
    return module
