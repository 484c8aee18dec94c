"""Proved upper bound of the Lipschitz constant of a network, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.parametrize import type_before_parametrizations

from otdist.errors import InputError, get_reason
from otdist.learn.constraints.certified import read_bound
from otdist.learn.constraints.checks import eval_mode, zeros_like_input
from otdist.learn.constraints.convolution import CONVOLUTIONS
from otdist.learn.constraints.elementwise import activation_constant
from otdist.learn.constraints.linear import convolution_norm, linear_norm
from otdist.learn.constraints.pooling import pooling_constant

# Layers that permute or drop entries or add constants: their Lipschitz constant is 1.
ISOMETRIC_LAYERS = (
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.ZeroPad1d,
    nn.ZeroPad2d,
    nn.ZeroPad3d,
    nn.ConstantPad1d,
    nn.ConstantPad2d,
    nn.ConstantPad3d,
)
REFUSED_LAYERS: dict[tuple[type, ...], str] = {
    (_BatchNorm,): "its batch statistics make f(x) depend on the other samples",
    (_InstanceNorm, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm): (
        "it divides by the size or spread of the sample itself, so its slope is unbounded where that is small"
    ),
    (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer): (
        "attention is not Lipschitz: its slope grows with its input"
    ),
    (nn.RNNBase,): "a recurrence applies its weights as often as the sequence is long",
}


def lipschitz_constant(
    module: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    known: Mapping[type, float] | None = None,
) -> float:
    r"""Compute a proved upper bound of the Lipschitz constant of a network, for Euclidean norms.

    .. math:: |f(x) - f(y)| \le L |x - y| \quad\text{for all } x, y, \qquad L = \prod_l L_l

    over the layers l. Dividing f by L makes it 1-Lipschitz, and ``(mean f(x) - mean f(y)) / L`` a lower bound
    of the Euclidean W1.

    Parameters
    ----------
    module : torch.nn.Module
        A layer, or nested ``nn.Sequential`` of layers: Linear, Conv1d/2d/3d, activations with a bounded
        derivative, average and maximum pooling, Flatten, Identity and the like, Dropout in eval mode; modules
        with a method ``lipschitz()``, which count with the bound that it returns and on which the result then
        relies (:class:`~otdist.learn.CertifiedCritic`). It is evaluated in eval mode, and does not change.
    input_shape : tuple of int, optional
        Shape of one sample, without the batch. With it, convolutions on small samples have their exact norm,
        and the bound holds for samples of this shape; without it, for all shapes. Required for adaptive
        pooling and for padding other than with zeros.
    known : mapping from type to float, optional
        Lipschitz constants of other layer types, on which the bound then relies.

    Returns
    -------
    float
        L, rounded up. It bounds the map of the stored weights in exact arithmetic; a float32 forward pass has
        rounding errors. The product over layers is commonly far above the smallest constant.

    Raises
    ------
    InputError
        For a layer without a known constant, with its name and a remedy; for weights that are not finite; if
        ``input_shape`` is missing or does not fit.

    Notes
    -----
    Weights are converted to float64 on the CPU. Linear layers: singular values by LAPACK, plus a margin for
    its backward error. Convolutions: the same on the matrix of the whole map if that has up to 2**22 entries;
    otherwise a bound of the largest norm of the symbol, from a grid that is refined where the norm is large.

    Cost: singular values of each layer, and for large convolutions some hundreds of frequencies, each as
    expensive as a linear layer with as many channels: seconds for 256 channels. Not for every step.

    Source: the bound of the symbol uses a grid as in Pfister and Bresler (2019), and differs in its
    inflation, by Duffin and Schaeffer (1938). Gram iteration (Delattre et al. 2023) is an
    alternative for circular padding.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import lipschitz_constant
    >>> critic = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.SiLU(), torch.nn.Linear(2, 1))
    >>> with torch.no_grad():
    ...     _ = critic[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    ...     _ = critic[2].weight.copy_(torch.tensor([[0.6, 0.8]]))
    >>> round(lipschitz_constant(critic), 4)  # 3 * 1.0998 * 1
    3.2995
    """
    known = dict(known or {})
    layers = list(_flatten_layers("", module, known))
    x = None if input_shape is None else zeros_like_input(module, input_shape, 1)
    product = 1.0
    with eval_mode(module), torch.no_grad():
        for name, layer in layers:
            product *= _layer_constant(name, layer, None if x is None else tuple(x.shape[1:]), known)
            product = math.nextafter(product, math.inf)
            x = None if x is None else _apply_layer(name, layer, x)
    return product


def _flatten_layers(
    name: str, module: nn.Module, known: Mapping[type, float]
) -> Iterator[tuple[str, nn.Module]]:
    """Iterate over the layers in order of application."""
    kind = type_before_parametrizations(module)
    if module._forward_hooks or module._forward_pre_hooks:
        raise InputError("module", f"layer {name!r} has a hook, which may change its output", "remove it")
    # Checked before eval mode is set: in training mode dropout is another map in every call.
    if isinstance(module, _DropoutNd) and module.training and kind not in known:
        raise InputError("module", f"layer {name!r} drops entries at random", "call module.eval() first")
    if kind is nn.Sequential and kind not in known:
        for key, child in module.named_children():
            yield from _flatten_layers(f"{name}.{key}" if name else key, child, known)
    else:
        yield name, module


def _layer_constant(
    name: str, layer: nn.Module, shape: tuple[int, ...] | None, known: Mapping[type, float]
) -> float:
    """Return the constant of one layer on points of ``shape``, rounded up; subclasses are not accepted."""
    kind = type_before_parametrizations(layer)
    if kind in known:
        return float(known[kind])
    for parameter in layer.parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise InputError("module", f"layer {name!r} has weights that are not finite", "train it again")
    if callable(getattr(layer, "lipschitz", None)):
        return read_bound(layer.lipschitz, "module", f"layer {name!r} with lipschitz()")
    if kind is nn.Linear:
        return linear_norm(layer.weight)
    if kind in CONVOLUTIONS:
        return convolution_norm(layer, shape)
    mixes_batch = (kind is nn.Flatten and layer.start_dim == 0) or (kind is nn.Unflatten and layer.dim == 0)
    if (kind in ISOMETRIC_LAYERS and not mixes_batch) or isinstance(layer, _DropoutNd):
        return 1.0
    constant = activation_constant(layer, kind)
    constant = pooling_constant(layer, kind, shape) if constant is None else constant
    if constant is None:
        raise InputError("module", *_refusal(name, layer))
    return constant


def _refusal(name: str, layer: nn.Module) -> tuple[str, str]:
    """Return problem and remedy for a layer without a constant."""
    kind = type_before_parametrizations(layer).__name__
    for types, reason in REFUSED_LAYERS.items():
        if isinstance(layer, types):
            return f"layer {name!r} is a {kind}: {reason}", "leave it out"
    return (
        f"layer {name!r} is a {kind}, whose constant is not known",
        "build the network from nn.Sequential and the layers listed in the docstring, or give its constant "
        f"by known={{{kind}: constant}}; a residual block x + g(x) has at most 1 + L(g)",
    )


def _apply_layer(name: str, layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer to x, for the input shape of the next one."""
    try:
        return layer(x)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "input_shape",
            f"must fit the network: layer {name!r} gets {tuple(x.shape[1:])}",
            get_reason(error),
        ) from error
