"""Lipschitz constants of activations: the largest modulus of their derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

# Largest derivatives, rounded up in the tenth digit; f'' = 0 at 2.3994, 1.4906, 2**0.5 and 1.4185.
SILU = 1.0998393202
MISH = 1.0884981613
GELU = {"none": 1.1289041452, "tanh": 1.1289930687}
SIXTH = 0.1666666717
SELU = 1.7580993409  # its scale times its alpha

CONSTANTS: dict[type, Callable[[Any], float]] = {
    nn.ReLU: lambda _: 1.0,
    nn.ReLU6: lambda _: 1.0,
    nn.Hardtanh: lambda _: 1.0,
    nn.LeakyReLU: lambda layer: max(1.0, abs(layer.negative_slope)),
    nn.PReLU: lambda layer: max(1.0, float(layer.weight.detach().abs().max())),
    nn.Tanh: lambda _: 1.0,
    nn.Tanhshrink: lambda _: 1.0,
    nn.Softsign: lambda _: 1.0,
    nn.Softshrink: lambda _: 1.0,
    nn.LogSigmoid: lambda _: 1.0,
    nn.Sigmoid: lambda _: 0.25,
    # torch differentiates these with the 1/6 of float32, 3e-8 above
    nn.Hardsigmoid: lambda _: SIXTH,
    nn.Hardswish: lambda _: 9 * SIXTH,
    nn.ELU: lambda layer: max(1.0, abs(layer.alpha)),
    nn.CELU: lambda _: 1.0,
    nn.SELU: lambda _: SELU,
    nn.SiLU: lambda _: SILU,
    nn.Mish: lambda _: MISH,
    nn.GELU: lambda layer: GELU[layer.approximate],
}


def activation_constant(layer: Any, kind: type) -> float | None:
    """Constant of an activation; None for another layer.

    Softplus counts with a threshold of 20 at least, where torch goes over to the identity with a jump of
    2e-9 / beta; a lower one jumps more, and there is no constant. CELU has none for a negative alpha.
    """
    if kind is nn.CELU and layer.alpha <= 0:
        return None
    if kind is nn.Softplus:
        return 1.0 if layer.threshold >= 20 and layer.beta > 0 else None
    return CONSTANTS[kind](layer) if kind in CONSTANTS else None
