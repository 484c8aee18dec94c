"""Spectral normalisation by the norm of the map that a layer computes, not by that of its reshaped kernel."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn
from torch.nn.utils import parametrize

from otdist.errors import InputError
from otdist.learn.constraints.checks import at_rest, refuse_batch_layers, zeros_like_input
from otdist.learn.constraints.convolution import CONVOLUTIONS, Convolution

FIRST_STEPS = 30  # power iterations when the normalisation is put on


class Normalised(nn.Module):
    """Parametrisation ``W / |A u|``, for the map A of a weight W and its leading singular vector u.

    Parameters
    ----------
    convolution : Convolution or None
        Map of the weight; None for a linear layer.
    u : Tensor, shape (1, ...)
        First vector, an input of the layer, not 0.
    steps : int
        Power iterations in each forward pass in training mode.
    """

    def __init__(self, convolution: Convolution | None, u: Tensor, steps: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.steps = steps
        self.register_buffer("u", u / torch.linalg.vector_norm(u))

    def forward(self, weight: Tensor) -> Tensor:
        """Weight divided by the norm of its map, as far as the power iteration knows it."""
        with torch.autocast(weight.device.type, enabled=False):
            if self.training:
                self.improve(weight, self.steps)
            # A copy: the next forward pass writes to the buffer, which the backward pass still needs.
            return weight / torch.linalg.vector_norm(self.image(self.u.clone(), weight))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Weight that is assigned becomes the one to be divided."""
        return weight

    def image(self, x: Tensor, weight: Tensor) -> Tensor:
        """A x."""
        return F.linear(x, weight) if self.convolution is None else self.convolution(x, weight)

    def improve(self, weight: Tensor, steps: int) -> None:
        """Replace u by the normalised ``(A^T A)^steps u``; the transposed map is the gradient of the map."""
        weight = weight.detach()
        for _ in range(steps):
            with torch.enable_grad():
                u = self.u.clone().requires_grad_()
                image = self.image(u, weight)
                (back,) = torch.autograd.grad(image, u, image.detach())
            self.u.copy_(back / torch.linalg.vector_norm(back))


def spectral_norm(
    module: Any, input_shape: tuple[int, ...] | None = None, *, steps: int = 1, generator: Any = None
) -> Any:
    r"""Divide the weight of every Linear and Conv1d/2d/3d layer by the norm of the map that it computes.

    .. math:: \bar W = W / \|A_W\|, \qquad \|A_W\| = \max_{|u| = 1} |A_W u|,

    with :math:`A_W u = W u` for a linear layer. For a convolution it is the map of whole images, with
    padding, stride, dilation and groups. torch.nn.utils.parametrizations.spectral_norm takes the norm of the
    kernel reshaped to a matrix, as Miyato et al. (2018) do: without groups that is too small, by up to the
    square root of the number of taps.

    Parameters
    ----------
    module : torch.nn.Module
        Critic, changed in place. All its parameters must be those of Linear and Conv layers.
    input_shape : tuple of int, optional
        Shape of one sample, without the batch; needed if there is a convolution. On other sizes the norm
        is another one.
    steps : int
        Power iterations in each forward pass in training mode, at least 1.
    generator : torch.Generator, optional
        Source of the first vectors. None: torch's default generator.

    Returns
    -------
    torch.nn.Module
        The same module. The vectors are buffers: they are saved with it, and stand still in eval mode.

    Raises
    ------
    InputError
        For a layer with parameters of another kind, a layer that is normalised already, one whose weights are
        all 0, a convolution that sees images of several shapes, or a missing ``input_shape``.

    Notes
    -----
    *No certificate*: the power iteration approaches the norm from below, so the layers may have norms
    above 1. :func:`lipschitz_constant` says how far above. With ReLU between layers of norm 1 the slopes are
    mostly far below 1, and so the gap is far below W1 (Anil, Lucas and Grosse 2019).

    The gradient flows through the norm. Several forward passes before one backward pass are fine.

    Cost: two passes through each layer, of one sample, for each step, and 30 steps when it is put on.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import lipschitz_constant, spectral_norm
    >>> rng = torch.Generator().manual_seed(0)
    >>> critic = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 1))
    >>> critic = spectral_norm(critic, (1, 8, 8), generator=rng)
    >>> 0.99 < lipschitz_constant(critic, (1, 8, 8)) < 1.05
    True
    """
    if not (isinstance(steps, int) and steps >= 1):
        raise InputError("steps", f"is {steps!r}", "give a whole number from 1 on")
    refuse_batch_layers(module, training_only=False)
    layers = _layers(module)
    shapes = _shapes(module, layers, input_shape)
    for name, layer in layers.items():
        weight = layer.weight.detach()
        start = torch.randn(1, *shapes[name], generator=generator, device=getattr(generator, "device", None))
        convolution = Convolution.of(layer) if isinstance(layer, CONVOLUTIONS) else None
        normalised = Normalised(convolution, start.to(weight), steps)
        normalised.improve(weight, FIRST_STEPS)
        parametrize.register_parametrization(layer, "weight", normalised)
    return module


def _layers(module: Any) -> dict[str, Any]:
    """Layers to be normalised, by name; all others must be without parameters."""
    layers = {}
    for name, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            raise InputError(
                "module", f"layer {name!r} has a parametrisation already", "take one of the two off"
            )
        if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
            if not bool(layer.weight.detach().any()):
                raise InputError(
                    "module", f"layer {name!r} has weights 0, and no direction", "initialise it anew"
                )
            layers[name] = layer
        elif next(layer.parameters(recurse=False), None) is not None:
            raise InputError(
                "module",
                f"layer {name!r} is a {type(layer).__name__}, with parameters that this does not constrain",
                "use Linear and Conv layers, or normalise them one by one",
            )
    return layers


def _shapes(
    module: Any, layers: dict[str, Any], input_shape: tuple[int, ...] | None
) -> dict[str, tuple[int, ...]]:
    """Shape of one input of each layer."""
    shapes: dict[str, tuple[int, ...]] = {
        name: (layer.in_features,) for name, layer in layers.items() if isinstance(layer, nn.Linear)
    }
    convolutions = {name: layer for name, layer in layers.items() if name not in shapes}
    if not convolutions:
        return shapes
    if input_shape is None:
        name = next(iter(convolutions))
        raise InputError(
            "input_shape", f"is None, and {name!r} is a convolution", "give the shape of a sample"
        )
    seen: dict[str, set[tuple[int, ...]]] = {name: set() for name in convolutions}

    def look(name: str) -> Any:
        return lambda layer, inputs: seen[name].add(tuple(inputs[0].shape[1:]))

    hooks = [layer.register_forward_pre_hook(look(name)) for name, layer in convolutions.items()]
    try:
        with at_rest(module), torch.no_grad():
            module(zeros_like_input(module, input_shape, 1))
    finally:
        for hook in hooks:
            hook.remove()
    for name, found in seen.items():
        if len(found) != 1:
            raise InputError(
                "module", f"layer {name!r} sees images of shapes {sorted(found)}", "use it for one shape"
            )
    return shapes | {name: next(iter(found)) for name, found in seen.items()}
