"""Lipschitz constants of activations, the largest absolute values of their derivatives."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

# Largest derivatives, rounded up in the tenth digit; f'' = 0 at 2.3994, 1.4906, 2**0.5 and 1.4185.
SILU_CONSTANT = 1.0998393202
MISH_CONSTANT = 1.0884981613
GELU_CONSTANTS = {"none": 1.1289041452, "tanh": 1.1289930687}
ONE_SIXTH = 0.1666666717
SELU_CONSTANT = 1.7580993409  # scale times alpha

ACTIVATION_CONSTANTS: dict[type, Callable[[nn.Module], float]] = {
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
    # torch differentiates these with the float32 value of 1/6, which is 3e-8 larger
    nn.Hardsigmoid: lambda _: ONE_SIXTH,
    nn.Hardswish: lambda _: 9 * ONE_SIXTH,
    nn.ELU: lambda layer: max(1.0, abs(layer.alpha)),
    nn.CELU: lambda _: 1.0,
    nn.SELU: lambda _: SELU_CONSTANT,
    nn.SiLU: lambda _: SILU_CONSTANT,
    nn.Mish: lambda _: MISH_CONSTANT,
    nn.GELU: lambda layer: GELU_CONSTANTS[layer.approximate],
}


def activation_constant(layer: nn.Module, kind: type) -> float | None:
    """Return the constant of an activation, or None for other layers.

    Softplus needs a threshold of at least 20, where torch switches to the identity with a jump of 2e-9 /
    beta; the jump is larger for a lower threshold. CELU has no constant for alpha <= 0.
    """
    if kind is nn.CELU and layer.alpha <= 0:
        return None
    if kind is nn.Softplus:
        return 1.0 if layer.threshold >= 20 and layer.beta > 0 else None
    return ACTIVATION_CONSTANTS[kind](layer) if kind in ACTIVATION_CONSTANTS else None
