"""Spectral normalisation by the norm of a layer's linear map instead of its reshaped kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn
from torch.nn.utils import parametrize

from otdist.errors import InputError
from otdist.inputs.arguments import check_integer
from otdist.learn.constraints.certified import find_certified_parts
from otdist.learn.constraints.checks import (
    eval_mode,
    refuse_batch_layers,
    refuse_computed_weights,
    zeros_like_input,
)
from otdist.learn.constraints.convolution import CONVOLUTIONS, Convolution
from otdist.learn.modes import require_outside, require_trainable, training_mode

INITIAL_STEPS = 30  # power iterations when the normalisation is applied


class SpectralNormalisation(nn.Module):
    """Parametrisation ``W / |A u|``, with the map A of a weight W and its leading singular vector u.

    Parameters
    ----------
    convolution : Convolution or None
        Map of the weight; None for a linear layer.
    u : Tensor, shape (1, ...)
        Initial vector, a nonzero input of the layer.
    steps : int
        Power iterations in each forward pass in training mode.
    """

    def __init__(self, convolution: Convolution | None, u: Tensor, steps: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.steps = steps
        self.register_buffer("u", u / torch.linalg.vector_norm(u))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight divided by the norm of its map, as estimated by power iteration."""
        with torch.autocast(weight.device.type, enabled=False):
            if self.training:
                require_outside("module", "has norms in training mode", "call module.eval() before")
                self.power_iteration(weight, self.steps)
            # A copy, since the next forward pass overwrites the buffer, which the backward pass needs.
            return weight / torch.linalg.vector_norm(self.image(self.u.clone(), weight))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return an assigned weight as the one to be normalised."""
        return weight

    def image(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return A x."""
        return F.linear(x, weight) if self.convolution is None else self.convolution(x, weight)

    def power_iteration(self, weight: Tensor, steps: int) -> None:
        """Replace u by the normalised ``(A^T A)^steps u``, with A^T by autograd."""
        weight = weight.detach()
        for _ in range(steps):
            with training_mode():
                u = self.u.clone().requires_grad_()
                image = self.image(u, weight)
                (backward,) = torch.autograd.grad(image, u, image.detach())
            self.u.copy_(backward / torch.linalg.vector_norm(backward))


@training_mode()
def spectral_norm(
    module: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    steps: int = 1,
    generator: torch.Generator | None = None,
) -> nn.Module:
    r"""Divide the weight of each Linear and Conv1d/2d/3d layer by the norm of its linear map.

    .. math:: \bar W = W / \|A_W\|, \qquad \|A_W\| = \max_{|u| = 1} |A_W u|,

    with :math:`A_W u = W u` for a linear layer. For a convolution it is the map of whole images, with
    padding, stride, dilation and groups. torch.nn.utils.parametrizations.spectral_norm uses the norm of the
    kernel reshaped to a matrix, as in Miyato et al. (2018); without groups that is too small, by up to the
    square root of the number of taps.

    Parameters
    ----------
    module : torch.nn.Module
        Critic, changed in place. All its parameters must belong to Linear and Conv layers, or to modules that
        are their own constraint (:class:`~otdist.learn.CertifiedCritic`), which do not change.
    input_shape : tuple of int, optional
        Shape of one sample, without the batch; required if there is a convolution. The norm depends on the
        size.
    steps : int
        Power iterations in each forward pass in training mode, at least 1.
    generator : torch.Generator, optional
        Random generator of the initial vectors. None: torch's default generator.

    Returns
    -------
    torch.nn.Module
        The same module. The vectors are buffers: they are saved with it, and do not change in eval mode.

    Raises
    ------
    InputError
        For layers of other types with parameters, layers that are already normalised or pruned or have zero
        weights, a convolution with inputs of several shapes, or a missing ``input_shape``.

    Notes
    -----
    *Not a certificate*: power iteration approaches the norm from below, so the layers may have norms above 1;
    :func:`lipschitz_constant` bounds them. With ReLU between layers of norm 1 the gradient norm is mostly far
    below 1, and so the gap is far below W1 (Anil, Lucas and Grosse 2019).

    The gradient flows through the norm. Several forward passes may precede one backward pass.

    Cost: two passes of one sample through each layer per step, and 30 steps initially.

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
    steps = check_integer(steps, "steps")
    refuse_batch_layers(module, training_only=False)
    require_outside("module", "cannot be normalised", "call spectral_norm outside of it")
    require_trainable("module", module)
    refuse_computed_weights("module", module)
    layers = _find_layers(module)
    shapes = _input_shapes(module, layers, input_shape)
    for name, layer in layers.items():
        weight = layer.weight.detach()
        start = torch.randn(1, *shapes[name], generator=generator, device=getattr(generator, "device", None))
        convolution = Convolution.of(layer) if isinstance(layer, CONVOLUTIONS) else None
        parametrisation = SpectralNormalisation(convolution, start.to(weight), steps)
        parametrisation.power_iteration(weight, INITIAL_STEPS)
        parametrize.register_parametrization(layer, "weight", parametrisation)
        _make_picklable(layer)
    return module


def _make_picklable(layer: nn.Module) -> None:
    """Set the reduce function of a layer's class, which torch makes unpicklable."""
    layer_class: Any = type(layer)  # a class that torch made for this layer alone
    layer_class.__reduce_ex__ = _reduce_layer


def _reduce_layer(layer: nn.Module, protocol: object) -> tuple[object, ...]:
    """Reduce a layer to its original class and its state, with the parametrisations as modules."""
    del protocol
    return _restore_layer, (type(layer).__bases__[0], layer.__dict__)


def _restore_layer(layer_class: Any, state: dict[str, Any]) -> nn.Module:
    """Restore a layer from the state of :func:`_reduce_layer`."""
    layer = layer_class.__new__(layer_class)
    modules = dict(state["_modules"])
    saved = modules.pop("parametrizations")
    layer.__dict__.update(state | {"_modules": modules, "_parameters": dict(state["_parameters"])})
    for name in saved:  # placeholders, which are replaced by the saved parametrisations below
        layer.register_parameter(name, saved[name].original)
        parametrize.register_parametrization(layer, name, nn.Identity(), unsafe=True)
    layer.parametrizations = saved
    _make_picklable(layer)
    return layer


def _find_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Find the layers to be normalised by name; raise for other layers with parameters."""
    layers = {}
    certified_ids = {id(layer) for part in find_certified_parts(module) for layer in part.modules()}
    for name, layer in module.named_modules():
        if id(layer) in certified_ids:
            continue
        if parametrize.is_parametrized(layer):
            raise InputError(
                "module", f"layer {name!r} has a parametrisation already", "remove one of the two"
            )
        if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
            if not bool(layer.weight.detach().any()):
                raise InputError(
                    "module", f"layer {name!r} must have nonzero weights, got weights 0", "initialise it"
                )
            layers[name] = layer
        elif next(layer.parameters(recurse=False), None) is not None:
            raise InputError(
                "module",
                f"layer {name!r} is a {type(layer).__name__}, whose parameters are not constrained here",
                "use Linear and Conv layers, or normalise them one by one",
            )
    return layers


def _input_shapes(
    module: nn.Module, layers: dict[str, nn.Module], input_shape: tuple[int, ...] | None
) -> dict[str, tuple[int, ...]]:
    """Find the shape of one input of each layer."""
    shapes: dict[str, tuple[int, ...]] = {
        name: (layer.in_features,) for name, layer in layers.items() if isinstance(layer, nn.Linear)
    }
    convolutions = {name: layer for name, layer in layers.items() if name not in shapes}
    if not convolutions:
        return shapes
    if input_shape is None:
        name = next(iter(convolutions))
        raise InputError(
            "input_shape", f"must be given, since {name!r} is a convolution", "give the shape of a sample"
        )
    shapes_by_name: dict[str, set[tuple[int, ...]]] = {name: set() for name in convolutions}

    def record_shape(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda layer, inputs: shapes_by_name[name].add(tuple(inputs[0].shape[1:]))

    hooks = [layer.register_forward_pre_hook(record_shape(name)) for name, layer in convolutions.items()]
    try:
        with eval_mode(module), torch.no_grad():
            module(zeros_like_input(module, input_shape, 1))
    finally:
        for hook in hooks:
            hook.remove()
    for name, input_shapes in shapes_by_name.items():
        if len(input_shapes) != 1:
            raise InputError(
                "module",
                f"layer {name!r} must have one input shape, got shapes {sorted(input_shapes)}",
                "use one",
            )
    return shapes | {name: next(iter(input_shapes)) for name, input_shapes in shapes_by_name.items()}
