"""What a critic may not be: checks that the constraints share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from otdist.errors import InputError

# Nodes of the graph that end a critic with values between bounds, and the ones that only reshape.
SQUASHING = ("Sigmoid", "Tanh", "Softmax", "LogSoftmax", "LogSigmoid", "Hardsigmoid", "Hardtanh")
RESHAPING = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Squeeze",
    "Unsqueeze",
    "Select",
    "Slice",
    "Alias",
    "Clone",
)


def checked_critic(module: Any, shape: tuple[int, ...]) -> Any:
    """Critic, once it has been seen to be one: scores without bounds, one a sample, each on its own.

    The critic sees two samples of zeros, in eval mode; its mode and its buffers stay as they were.

    Parameters
    ----------
    module : torch.nn.Module
        Critic that takes ``(n, *shape)`` and gives (n,) or (n, 1).
    shape : tuple of int
        Shape of one sample, without the batch.

    Returns
    -------
    torch.nn.Module
        The same module.

    Raises
    ------
    InputError
        If it holds a BatchNorm layer, whose statistics make f(x) depend on the other samples; if its last
        step squashes (sigmoid, tanh, softmax), since a potential has no bounds and a gradient that vanishes
        far out; if it does not give one number a sample; if its values carry no gradient.

    Notes
    -----
    The last step is read from autograd's graph, so a sigmoid in ``forward`` is seen as well as a layer. Cost:
    one forward pass of two samples.

    Examples
    --------
    >>> from torch import nn
    >>> from otdist.learn import checked_critic
    >>> critic = checked_critic(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)), (3,))
    >>> checked_critic(nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), (3,))
    Traceback (most recent call last):
    ...
    otdist.errors.InputError: critic: ends in a sigmoid; leave it out: a potential has no bounds
    """
    refuse_batch_layers(module, training_only=False)
    points = zeros_like_input(module, shape, 2).requires_grad_()
    with at_rest(module), torch.enable_grad():
        values = scores(module, points)
    node = values.grad_fn
    while node is not None and _name(node) in RESHAPING:
        node = node.next_functions[0][0]
    if node is not None and _name(node) in SQUASHING:
        raise InputError(
            "critic", f"ends in a {_name(node).lower()}", "leave it out: a potential has no bounds"
        )
    return module


def scores(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Values (n,) of a critic at n points, which must carry a gradient."""
    values = critic(points)
    shape = tuple(getattr(values, "shape", ()))
    if not shape or shape[0] != len(points) or math.prod(shape) != len(points):
        raise InputError(
            "critic",
            f"gives shape {shape} for {len(points)} samples",
            "give one number a sample, (n,) or (n, 1)",
        )
    if not values.requires_grad:
        raise InputError(
            "critic", "its values carry no gradient", "compute them without detach, item, numpy and no_grad"
        )
    return values.reshape(-1)


def refuse_batch_layers(module: Any, *, training_only: bool) -> None:
    """Raise for layers whose values depend on the other samples; ``training_only``: if they do so now."""
    for name, layer in named_layers(module):
        if isinstance(layer, _BatchNorm):
            moving = layer.training or layer.running_mean is None
            if moving or not training_only:
                raise InputError(
                    "critic",
                    f"layer {name!r} is a {type(layer).__name__}: its statistics make f(x) depend on the "
                    "other samples of the batch, so f has no gradient and no Lipschitz constant of its own",
                    "leave it out",
                )


def named_layers(module: Any) -> Iterator[tuple[str, Any]]:
    """Names and modules of a critic, none if it is another callable."""
    return iter(module.named_modules()) if isinstance(module, nn.Module) else iter(())


def zeros_like_input(module: Any, shape: tuple[int, ...], n: int) -> Tensor:
    """Zeros (n, *shape) in the dtype and on the device of the module's first parameter."""
    like = next(module.parameters(), torch.empty(0))
    return torch.zeros(n, *shape, dtype=like.dtype, device=like.device)


@contextmanager
def at_rest(module: Any) -> Iterator[None]:
    """All layers in eval mode for a while, so that looking at them changes no buffer; then as before."""
    modes = [(layer, layer.training) for _, layer in named_layers(module)]
    try:
        for layer, _ in modes:
            layer.training = False
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _name(node: Any) -> str:
    """Name of a node without the number that torch puts behind it: ``TanhBackward0`` is Tanh."""
    return str(node.name()).partition("Backward")[0]
