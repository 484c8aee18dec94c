"""Modes of torch that a caller may use: inference_mode, no_grad, the transforms of torch.func."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from otdist.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")


def exclude_from_graph(function: Callable[P, T]) -> Callable[P, T]:
    """Exclude a function from graphs of torch.compile, by a decorator that keeps its types."""
    excluded: Callable[P, T] = torch.compiler.disable(function)
    return excluded


@contextmanager
def training_mode() -> Iterator[None]:
    """Record gradients in any mode of the caller, so that parameters made within can be trained later."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def require_module(name: str, module: object) -> None:
    """Raise InputError unless an argument is a torch module."""
    if not isinstance(module, nn.Module):
        raise InputError(name, f"must be a torch.nn.Module, got {type(module).__name__}", "give a module")


def require_trainable(name: str, module: nn.Module) -> None:
    """Raise InputError for a module with parameters made in inference mode, which torch cannot train."""
    for part, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_inference():
            raise InputError(
                name,
                f"{part!r} was made within torch.inference_mode(), so it cannot be trained",
                "make the module outside of it",
            )


def require_outside(argument: str, what: str, remedy: str) -> None:
    """Raise InputError within a transform of torch.func, for functions that need autograd itself."""
    if in_transform():
        raise InputError(argument, f"{what} within a transform of torch.func (grad, vmap, ...)", remedy)


def in_transform() -> bool:
    """Return True within torch.func.grad, vmap, jacrev and other transforms."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def refuse_transforms(**values: object) -> None:
    """Raise InputError for tensors within torch.func.grad, vmap, jacrev and other transforms."""
    for name, value in values.items():
        if isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value):
            raise InputError(
                name,
                "is within a transform of torch.func (grad, vmap, jacrev, ...), where values are hidden",
                "call otdist outside of it; for gradients use backward() or torch.autograd.grad",
            )
