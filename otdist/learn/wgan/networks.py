"""Default generators and critics for the data, and checks of the caller's."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from otdist.errors import InputError, get_reason
from otdist.learn.constraints import checked_critic, lipschitz_constant, spectral_norm
from otdist.learn.constraints.certified import is_self_constrained, retract_parts
from otdist.learn.constraints.checks import critic_scores, eval_mode, refuse_computed_weights
from otdist.learn.critics import LIBRARY_CRITICS
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.modes import require_module, require_trainable
from otdist.learn.wgan.settings import DEFAULT_CRITIC_STEPS, PENALISED_CRITIC_STEPS, PENALTY_WEIGHTS, Settings

HIDDEN_LAYERS = 3
DEFAULT_WIDTH = 256  # for points of more than 16 numbers
LEAKY_SLOPE = 0.2  # negative slope of the LeakyReLU units of a critic
FOLD_SPREAD = 1.5  # spread of a critic's biases, relative to the outputs of its first layer
RATE_TIMES_WIDTH = 0.256  # default learning rate times the width
# A critic with few folds per column turns too slowly for its generator, which then circles around the data.
# W1 over the floor with one rate, and with four times the rate for the critic: three classes of digits (64
# columns) at width 64, 2.20 and 1.02, width 32, 2.39 and 1.04; wine (16) at width 16, 1.50 and 1.02; housing
# (10) at width 16, 1.41 and 1.11. Twice is not always enough: 2.48 for one class at width 64. At width 256
# one rate is right for 64 columns, and twice for 784: 1.23 with one rate, 1.17, and 1.28 with four times.
UNITS_PER_COLUMN, MAX_UNITS = 4, 512  # width from which both networks have one rate
MAX_SPEED = 4.0  # largest ratio of the rates
USER_RATE = 1e-3  # learning rate of convolutions, penalties and the caller's networks
CPU_IMAGE_BATCH = 64  # images in a step
CHANNELS_PER_WIDTH = 4  # width over the channels of the coarsest layer of a convolutional generator
MIN_CHANNELS = 8  # of a finer layer
COARSEST_PIXELS = 8  # largest side of the coarsest layer
MIN_CONVOLUTION_PIXELS = 12  # side of an image below which a perceptron generates it


def network_sizes(settings: Settings, d: int) -> tuple[int, int]:
    """Return the latent dimension and the width for points of d numbers."""
    latent = min(max(16, d // 4), 64) if settings.latent is None else settings.latent
    width = (64 if d <= 16 else DEFAULT_WIDTH) if settings.width is None else settings.width
    return latent, width


def point_size(shape: tuple[int, ...], n_classes: int = 0) -> int:
    """Return the numbers of a point, with the one-hot code of its class at the end."""
    return math.prod(shape) + n_classes


def resolve_settings(
    settings: Settings, shape: tuple[int, ...], is_user_module: tuple[bool, bool], n_classes: int = 0
) -> Settings:
    """Fill in learning rates and critic steps; a step changes outputs by the rate times the width.

    A narrow critic of orthogonal layers has a faster rate than the generator, by :func:`critic_speed`.
    """
    penalised = settings.constraint in PENALTY_WEIGHTS
    width = network_sizes(settings, point_size(shape, n_classes))[1]
    rate = USER_RATE if penalised else RATE_TIMES_WIDTH / width
    steps = PENALISED_CRITIC_STEPS if penalised else DEFAULT_CRITIC_STEPS
    generator = USER_RATE if is_user_module[0] or _is_convolutional(shape) else rate
    # Measured for perceptrons on both sides alone.
    is_fast = settings.constraint == "orthogonal" and not _is_convolutional(shape)
    speed = critic_speed(settings, point_size(shape, n_classes)) if is_fast else 1.0
    critic = USER_RATE if is_user_module[1] else speed * rate
    return replace(
        settings,
        n_critic=steps if settings.n_critic is None else settings.n_critic,
        learning_rate=generator if settings.learning_rate is None else settings.learning_rate,
        critic_rate=critic if settings.critic_rate is None else settings.critic_rate,
    )


def set_image_defaults(
    settings: Settings, named: Collection[str], shape: tuple[int, ...], device: torch.device
) -> Settings:
    """Set the defaults for images of settings that the caller has not named."""
    defaults: dict[str, Any] = {"check_every": "clock"}
    if device.type == "cpu":  # a step of 256 takes four times as long, and learns little more
        defaults["batch_size"] = CPU_IMAGE_BATCH
    if not _is_convolutional(shape):
        return settings
    return replace(settings, **{name: value for name, value in defaults.items() if name not in named})


def critic_speed(settings: Settings, d: int) -> float:
    """Return the default ratio of the critic's rate to the generator's, between 1 and 4."""
    width = network_sizes(settings, d)[1]
    return min(max(min(UNITS_PER_COLUMN * d, MAX_UNITS) / width, 1.0), MAX_SPEED)


def default_generator(
    settings: Settings, shape: tuple[int, ...], seed: torch.Generator, n_classes: int = 0
) -> nn.Module:
    """Build a network from latent numbers and one-hot codes, (n, latent + n_classes), to points (n, d)."""
    latent, width = network_sizes(settings, point_size(shape, n_classes))
    if _is_convolutional(shape):
        return _initialise(_build_convolutional(latent + n_classes, shape, width), seed)
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
    """Apply spectral normalisation to a critic, or its own constraint, if that is its constraint."""
    if settings.constraint == "spectral":
        spectral_norm(critic, (d,), generator=seed)
    if settings.is_certified:
        retract_parts(critic)
    if settings.constraint == "own":
        try:
            lipschitz_constant(critic, (d,))
        except InputError as error:
            raise InputError("critic", error.problem, error.remedy) from error
    return critic


def describe_critic(critic: nn.Module | None) -> tuple[bool, bool]:
    """Return whether there is a critic of the caller, and whether it is its own constraint."""
    return critic is not None, isinstance(critic, nn.Module) and is_self_constrained(critic)


def prepare_critic(
    critic: nn.Module, settings: Settings, shape: tuple[int, ...], seed: torch.Generator
) -> nn.Module:
    """Check the caller's critic, and prepend a layer that restores the shape of points."""
    require_module("critic", critic)
    if settings.constraint in ("spectral", "clip"):
        refuse_computed_weights("critic", critic)
    d = math.prod(shape) * settings.packing
    if isinstance(critic, LIBRARY_CRITICS):  # they take flat points
        _require_scores(critic, d)
        return apply_constraint(critic, settings, d, seed)
    shape = shape if settings.packing == 1 else (settings.packing, *shape)
    shaped = critic if len(shape) == 1 else nn.Sequential(nn.Unflatten(1, shape), critic)
    return apply_constraint(checked_critic(shaped, (d,)), settings, d, seed)


def _require_scores(critic: nn.Module, d: int) -> None:
    """Raise InputError unless a critic of the library takes points of d numbers."""
    require_trainable("critic", critic)
    try:
        critic_scores(critic, torch.zeros(2, d, device=next(critic.parameters()).device))
    except RuntimeError as error:
        problem = f"must take points of shape ({d},), got an error: {get_reason(error)}"
        raise InputError("critic", problem, "build it for as many columns") from error


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


def _build_convolutional(latent: int, shape: tuple[int, ...], width: int) -> nn.Sequential:
    """Build a network that doubles the sides of an image from at most 8 pixels on.

    Each level is a convolution of the coarser image to four channels for each finer one, which are rearranged
    to pixels (Shi et al. 2016): a fourth of the products of a convolution after upsampling.
    """
    height, length = shape[-2:]
    n_levels = max(math.ceil(math.log2(max(height, length) / COARSEST_PIXELS)), 1)
    coarse = math.ceil(height / 2**n_levels), math.ceil(length / 2**n_levels)
    channels = [max(width // CHANNELS_PER_WIDTH // 2**level, MIN_CHANNELS) for level in range(n_levels)]
    channels.append(shape[0] if len(shape) > 2 else 1)
    layers: list[nn.Module] = [
        nn.utils.skip_init(nn.Linear, latent, channels[0] * coarse[0] * coarse[1]),
        nn.Unflatten(1, (channels[0], *coarse)),
    ]
    for rows, cols in pairwise(channels):
        layers += [nn.ReLU(), nn.utils.skip_init(nn.Conv2d, rows, 4 * cols, 3, padding=1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, Cropped(height, length))


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
