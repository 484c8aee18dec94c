"""1-Lipschitz convolutional networks of images: shifts of channels, orthogonal mixing and folds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from otdist.errors import InputError
from otdist.inputs.arguments import check_integer
from otdist.learn.critics.families.orthogonal import (
    default_width,
    multiply_norms,
    random_orthogonal,
    retract_orthogonal,
)

CHANNELS_PER_DIRECTION = 8  # one channel in eight moves by a pixel to each of the four sides
COARSEST_PIXELS = 8  # side up to which images are halved
BIAS_SDS = 1.0  # spread of the biases, in that of their units for data of spread 1
HIDDEN_DENSE = 3  # dense layers behind the convolutions


class OrthogonalConv(nn.Module):
    r"""Convolutional network of images that is 1-Lipschitz by construction, with a computed constant.

    Each level halves both sides by a rearrangement of pixels into channels, mixes the channels by an
    orthogonal matrix, moves some of them by a pixel and mixes again; each mixing is followed by ``|x + b|``.
    Dense orthogonal layers and a head of norm 1 follow.

    Parameters
    ----------
    shape : tuple of int
        Shape of an image, (channels, height, width) or (height, width).
    width : int, optional
        Units of the dense layers. None: by the number of pixels, at most 256.
    extra : int
        Columns behind the pixels of each row, such as those of a class, which join at the first dense layer.
    packs : int
        Images in each row, one after another, each followed by its extra columns. They become channels.
    generator : torch.Generator, optional
        Random generator for the initial weights.

    Notes
    -----
    Rearrangements and circular shifts are permutations, and padding with zeros adds entries: their constant
    is 1. The constant of the network is at most the product of the largest singular values of its matrices,
    which :meth:`lipschitz` computes in float64. After a step of an optimiser :meth:`retract` replaces the
    matrices by the nearest orthogonal ones.

    A shift of half of the channels between two orthogonal matrices is one of the factors of an orthogonal
    convolution (Li et al. 2019, *Preventing Gradient Attenuation in Lipschitz Constrained Convolutional
    Networks*). The kernel of a convolution is not assembled here, and there is a fold between the factors.

    Cost: for n images of p pixels with c channels, O(n p (c + width)) for a pass, and O(p width^2) for a
    retraction. Source: shifts and orthogonal mixing as in LipNeXt (Hu, Hu, Fredrikson 2026). Differs in the
    folds ``|x + b|`` of all channels, in the reduction of images, and in the dense layers.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import OrthogonalConv
    >>> critic = OrthogonalConv((3, 16, 16), generator=torch.Generator().manual_seed(0))
    >>> critic(torch.zeros(5, 3 * 16 * 16)).shape
    torch.Size([5])
    >>> round(critic.lipschitz(), 4)
    1.0
    """

    weights: nn.ParameterList
    biases: nn.ParameterList
    head: nn.Parameter

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int | None = None,
        extra: int = 0,
        packs: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(shape) not in (2, 3) or min(shape) < 1:
            problem = f"must be (channels, height, width) or (height, width), got {shape}"
            raise InputError("shape", problem, "give the shape of one image")
        channels, height, length = (1, *shape) if len(shape) == 2 else shape
        self.image: tuple[int, int, int] = (channels, height, length)
        self.extra, self.packs = check_integer(extra, "extra", at_least=0), check_integer(packs, "packs")
        self.n_levels = max(math.ceil(math.log2(max(height, length) / COARSEST_PIXELS)), 1)
        multiple = 2**self.n_levels
        self.padding: tuple[int, int] = (-height % multiple, -length % multiple)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()

        spread, channels = 1.0, channels * self.packs
        for level in range(self.n_levels):
            # Of the numbers of an image the first level keeps all, each later one a half.
            coarser = _round_up(2 * channels if level else 4 * channels, CHANNELS_PER_DIRECTION)
            spread *= math.sqrt(min(4 * channels / coarser, 1.0))
            self._add_layer(4 * channels, coarser, spread, generator)
            self._add_layer(coarser, coarser, spread, generator)
            channels = coarser
        sides = (height + self.padding[0]) // multiple, (length + self.padding[1]) // multiple
        columns = channels * sides[0] * sides[1] + self.extra * self.packs
        units = default_width(math.prod(self.image)) if width is None else check_integer(width, "width")
        for rows in (columns, *[units] * (HIDDEN_DENSE - 1)):
            spread *= math.sqrt(min(rows / units, 1.0))
            self._add_layer(rows, units, spread, generator)
        head = torch.randn(units, generator=generator)
        self.head = nn.Parameter(head / head.norm())

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) of rows z (n, packs * (numbers of an image + extra)), or of images."""
        images, extra = self._split(z)
        layers = zip(self.weights, self.biases, strict=True)
        for _ in range(self.n_levels):
            images = _mix_channels(_halve(images), *next(layers))
            images = _mix_channels(_Shift.apply(images, 1), *next(layers))
        flat = torch.cat([images.flatten(1), extra], 1)
        for weight, bias in layers:
            flat = torch.addmm(bias, flat, weight.T).abs()
        return flat @ self.head

    def matrices(self) -> list[nn.Parameter]:
        """Return the matrices with orthonormal rows or columns."""
        return list(self.weights)

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from singular values in float64."""
        return multiply_norms(self.weights, self.head)

    @torch.no_grad()
    def retract(self) -> None:
        """Retract the weights to orthogonal matrices, and normalise the head."""
        for weight in self.weights:
            weight.copy_(retract_orthogonal(weight))
        self.head.div_(self.head.norm())

    def _add_layer(self, cols: int, rows: int, spread: float, generator: torch.Generator | None) -> None:
        self.weights.append(nn.Parameter(random_orthogonal(rows, cols, generator)))
        self.biases.append(nn.Parameter(torch.randn(rows, generator=generator) * (BIAS_SDS * spread)))

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return padded images (n, height, width, packs * channels) and the extra columns of rows."""
        channels, height, width = self.image
        numbers = self.packs * (math.prod(self.image) + self.extra)
        if z[:1].numel() != numbers and len(z):
            problem = f"must have {numbers} numbers a row, got {z[:1].numel()}"
            raise InputError("z", problem, "give images of the shape of the network")
        z = z.reshape(len(z), self.packs, -1)
        pixels, extra = z.split([math.prod(self.image), self.extra], 2)
        images = pixels.reshape(len(z), self.packs * channels, height, width).permute(0, 2, 3, 1)
        if any(self.padding):
            images = F.pad(images, (0, 0, 0, self.padding[1], 0, self.padding[0]))
        return images, extra.flatten(1)


class _Shift(torch.autograd.Function):
    """Circular shift of channels by a pixel: a share to each side, which is a permutation of the entries."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, images: Tensor, step: int) -> Tensor:
        ctx.step = step
        return _shift(images, step)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        step: int = ctx.step
        return _Shift.apply(gradients[0], -step), None


def _shift(images: Tensor, step: int) -> Tensor:
    moved = images.clone()
    size = images.shape[3] // CHANNELS_PER_DIRECTION
    for k, (axis, pixels) in enumerate(((1, step), (1, -step), (2, step), (2, -step))):
        part = slice(k * size, (k + 1) * size)
        moved[..., part] = images[..., part].roll(pixels, axis)
    return moved


def _halve(images: Tensor) -> Tensor:
    """Rearrange each block of 2 x 2 pixels of images (n, height, width, c) into 4 c channels of one."""
    blocks = images.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    return blocks.permute(0, 1, 3, 2, 4, 5).flatten(3)


def _mix_channels(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``|W z + b|`` for the channels z of each pixel of images (n, height, width, c)."""
    pixels = images.reshape(-1, images.shape[3])
    return torch.addmm(bias, pixels, weight.T).abs().view(*images.shape[:3], len(weight))


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
