"""The gradient penalty: a price on slopes other than 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.constraints.checks import refuse_batch_layers, scores

SIDES = ("two", "one")
PLACES = ("lines", "x", "y", "both")


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    weight: float = 10.0,
    sided: str = "two",
    between: str = "lines",
    generator: Any = None,
) -> Tensor:
    r"""Penalty on slopes of a critic that differ from 1, to be added to its loss.

    .. math::

        \lambda \, \frac1n \sum_i \left(|\nabla f(z_i)| - 1\right)^2, \qquad
        z_i = t_i x_i + (1 - t_i) y_i, \quad t_i \sim U(0, 1),

    with one :math:`t_i` a sample, and the norm over all entries of a sample. One-sided, only slopes above 1
    cost: :math:`\max(|\nabla f| - 1, 0)^2`.

    Parameters
    ----------
    critic : callable
        From points (n, ...) to (n,) or (n, 1); a torch.nn.Module or a function.
    x, y : Tensor, shape (n, ...)
        Samples of the two sides, at least one feature axis, on one device. They are paired in the order they
        have, and are constants: the penalty has no gradient with respect to them.
    weight : float
        Lambda, above 0, in units of the data. The bias of the gap depends on it: see :func:`corrected_gap`.
    sided : {"two", "one"}
        Whether slopes below 1 cost as well.
    between : {"lines", "x", "y", "both"}
        Where: on the lines between paired samples; at the samples x; at y; at both, with equal weights.
    generator : torch.Generator, optional
        Source of the t. None: torch's default generator.

    Returns
    -------
    Tensor, shape ()
        Penalty, part of the graph of the critic's parameters (``create_graph``), in float32 at least.

    Raises
    ------
    InputError
        If shapes or devices do not fit, the critic does not give one number a sample, its values carry no
        gradient, or a BatchNorm layer is in training mode.

    Notes
    -----
    *No certificate*: slopes are looked at in a few places, and a price is not a bound. See
    :func:`lipschitz_constant`.

    Where the gradient is exactly 0, the norm's kink has derivative 0 instead of NaN; a critic that does not
    depend on x costs exactly ``weight``. Autocast is switched off, since second derivatives overflow in
    float16. torch.compile cannot differentiate twice; leave this part of the step uncompiled.

    Cost: a forward pass and a backward pass; differentiating it is a backward pass through both.

    Source: Gulrajani et al. (2017), algorithm 1; one-sided: Petzka, Fischer and Lukovnikov (2018).

    Examples
    --------
    >>> import torch
    >>> from otdist.learn import gradient_penalty
    >>> slope = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> x, y = torch.zeros(5, 2), torch.ones(5, 2)
    >>> value = gradient_penalty(lambda z: z @ slope, x, y, weight=0.1)  # 0.1 * (5 - 1)**2
    >>> round(value.item(), 4)
    1.6
    >>> value.backward()  # 0.1 * 2 * (5 - 1) * slope / 5
    >>> slope.grad
    tensor([0.4800, 0.6400])
    """
    if not (math.isfinite(weight) and weight > 0):
        raise InputError("weight", f"is {weight!r}", "give a finite number above 0, as 10.0")
    if sided not in SIDES:
        raise InputError("sided", f"is {sided!r}", f"use one of {SIDES}")
    refuse_batch_layers(critic, training_only=True)
    points = _places(x, y, between, generator)
    with torch.enable_grad(), torch.autocast(points.device.type, enabled=False):
        slopes = _slopes(critic, points.requires_grad_())
        excess = slopes - 1 if sided == "two" else (slopes - 1).clamp(min=0)
        return weight * excess.square().mean()


def _slopes(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Norms (n,) of the gradients of the critic at the points, in its graph."""
    total = scores(critic, points).sum()
    (gradient,) = torch.autograd.grad(total, points, create_graph=True, allow_unused=True)
    if gradient is None:
        # The values do not depend on the points: slope 0, and parameters get the gradient 0 that is theirs.
        gradient = torch.zeros_like(points) + 0 * total
    # vector_norm has the derivative 0 at 0, where sqrt(sum of squares) has NaN.
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


def _places(x: Tensor, y: Tensor, between: str, generator: Any) -> Tensor:
    """Points at which the slopes are looked at, detached, in float32 at least."""
    if between not in PLACES:
        raise InputError("between", f"is {between!r}", f"use one of {PLACES}")
    for name, z in (("x", x), ("y", y)):
        if z.ndim < 2 or len(z) == 0 or not z.is_floating_point():
            raise InputError(
                name,
                f"has shape {tuple(z.shape)} of {z.dtype}",
                "pass floats of shape (n, ...) with n above 0",
            )
    if x.shape[1:] != y.shape[1:] or x.device != y.device:
        raise InputError(
            "y",
            f"has samples of shape {tuple(y.shape[1:])} on {y.device}, x {tuple(x.shape[1:])} on {x.device}",
            "give both the same shape and device",
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    x, y = x.detach().to(dtype), y.detach().to(dtype)
    if between != "lines":
        return {"x": x.clone, "y": y.clone, "both": lambda: torch.cat([x, y])}[between]()
    if len(x) != len(y):
        raise InputError("y", f"has {len(y)} samples, x {len(x)}", "give as many, or choose between='both'")
    source = x.device if generator is None else generator.device
    t = torch.rand(len(x), *[1] * (x.ndim - 1), generator=generator, device=source, dtype=dtype).to(x.device)
    return t * x + (1 - t) * y
