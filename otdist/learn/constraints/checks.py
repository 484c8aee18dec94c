"""Checks of critics that the constraints share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from otdist.errors import InputError
from otdist.learn.modes import require_trainable, training_mode

# Nodes of the graph that bound the values of a critic, and nodes that only reshape.
SQUASHING_NODES = ("Sigmoid", "Tanh", "Softmax", "LogSoftmax", "LogSigmoid", "Hardsigmoid", "Hardtanh")
RESHAPING_NODES = (
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
WEIGHT_HOOKS: dict[type, tuple[str, str]] = {
    SpectralNorm: ("torch.nn.utils.spectral_norm", "torch.nn.utils.remove_spectral_norm(layer)"),
    WeightNorm: ("torch.nn.utils.weight_norm", "torch.nn.utils.remove_weight_norm(layer)"),
    BasePruningMethod: ("torch.nn.utils.prune", "torch.nn.utils.prune.remove(layer, 'weight')"),
}


def checked_critic(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Check that a module is a critic: unbounded scores, one per sample, independent of other samples.

    The critic is called on two samples of zeros in eval mode; its mode and buffers do not change.

    Parameters
    ----------
    module : torch.nn.Module
        Critic from ``(n, *shape)`` to (n,) or (n, 1).
    shape : tuple of int
        Shape of one sample, without the batch.

    Returns
    -------
    torch.nn.Module
        The same module.

    Raises
    ------
    InputError
        If it has a BatchNorm layer, whose statistics make f(x) depend on the other samples; if its last step
        squashes (sigmoid, tanh, softmax), since a potential is unbounded and its gradient must not vanish;
        if it does not return one number per sample; if its values carry no gradient; if it was made within
        torch.inference_mode.

    Notes
    -----
    The last step is read from autograd's graph, so a sigmoid in ``forward`` is found as well as a layer.
    Cost: one forward pass of two samples.

    Examples
    --------
    >>> from torch import nn
    >>> from otdist.learn import checked_critic
    >>> critic = checked_critic(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)), (3,))
    >>> checked_critic(nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), (3,))
    Traceback (most recent call last):
    ...
    otdist.errors.InputError: critic: ends in a sigmoid; leave it out: a potential is unbounded
    """
    refuse_batch_layers(module, training_only=False)
    if isinstance(module, nn.Module):
        require_trainable("critic", module)
    with eval_mode(module), training_mode():
        points = zeros_like_input(module, shape, 2).requires_grad_()
        values = critic_scores(module, points)
    node = values.grad_fn
    while node is not None and _node_name(node) in RESHAPING_NODES:
        node = node.next_functions[0][0]
    if node is not None and _node_name(node) in SQUASHING_NODES:
        raise InputError(
            "critic", f"ends in a {_node_name(node).lower()}", "leave it out: a potential is unbounded"
        )
    return module


def critic_scores(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the values (n,) of a critic at n points, and check that they carry a gradient."""
    values = critic(points)
    shape = tuple(getattr(values, "shape", ()))
    if isinstance(values, Tensor) and not shape and len(points) == 1:  # a critic that squeezes
        values, shape = values[None], (1,)
    if not shape or shape[0] != len(points) or math.prod(shape) != len(points):
        raise InputError(
            "critic",
            f"must return one number per sample, got shape {shape} for {len(points)} samples",
            "return shape (n,) or (n, 1)",
        )
    if not values.requires_grad:
        raise InputError(
            "critic",
            "must return values that carry a gradient",
            "compute them without detach, item or no_grad",
        )
    return values.reshape(-1)


def refuse_batch_layers(module: object, *, training_only: bool) -> None:
    """Raise for layers that depend on the other samples; with ``training_only`` only in training mode."""
    for name, layer in named_layers(module):
        if isinstance(layer, _BatchNorm):
            uses_batch_statistics = layer.training or layer.running_mean is None
            if uses_batch_statistics or not training_only:
                raise InputError(
                    "critic",
                    f"layer {name!r} is a {type(layer).__name__}: its statistics make f(x) depend on the "
                    "other samples of the batch, so f has no gradient and no Lipschitz constant of its own",
                    "leave it out",
                )


def refuse_computed_weights(argument: str, module: object) -> None:
    """Raise for layers whose weights are computed by a hook, as by torch.nn.utils.spectral_norm."""
    for name, layer in named_layers(module):
        for hook in layer._forward_pre_hooks.values():
            for kind, (what, remove) in WEIGHT_HOOKS.items():
                if isinstance(hook, kind):
                    problem = f"layer {name!r} has weights computed by a hook of {what}"
                    raise InputError(argument, problem, f"remove it: {remove}")


def named_layers(module: object) -> Iterator[tuple[str, nn.Module]]:
    """Iterate over names and modules of a critic; empty for other callables."""
    return iter(module.named_modules()) if isinstance(module, nn.Module) else iter(())


def zeros_like_input(module: nn.Module, shape: tuple[int, ...], n: int) -> Tensor:
    """Return zeros (n, *shape) with dtype and device of the module's first parameter."""
    parameter = next(module.parameters(), torch.empty(0))
    return torch.zeros(n, *shape, dtype=parameter.dtype, device=parameter.device)


@contextmanager
def eval_mode(module: object) -> Iterator[None]:
    """Set all layers to eval mode within the block, so that calls do not change buffers."""
    modes = [(layer, layer.training) for _, layer in named_layers(module)]
    try:
        for layer, _ in modes:
            layer.training = False
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _node_name(node: torch.autograd.graph.Node) -> str:
    """Return the name of a node of autograd without its suffix: Tanh for ``TanhBackward0``."""
    return str(node.name()).partition("Backward")[0]
