"""Gradient penalty: a penalty of gradient norms other than 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice, check_number
from otdist.learn.constraints.checks import critic_scores, named_layers, refuse_batch_layers
from otdist.learn.modes import require_outside, training_mode

SIDED_CHOICES = ("two", "one")
BETWEEN_CHOICES = ("lines", "x", "y", "both")


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    weight: float = 10.0,
    sided: str = "two",
    between: str = "lines",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Penalise gradient norms of a critic that differ from 1; to be added to its loss.

    .. math::

        \lambda \, \frac1n \sum_i \left(|\nabla f(z_i)| - 1\right)^2, \qquad
        z_i = t_i x_i + (1 - t_i) y_i, \quad t_i \sim U(0, 1),

    with one :math:`t_i` per sample, and the norm over all entries of a sample. The one-sided penalty is
    :math:`\max(|\nabla f| - 1, 0)^2`.

    Parameters
    ----------
    critic : callable
        Map from points (n, ...) to (n,) or (n, 1), or to () for one sample; a torch.nn.Module or a function.
    x, y : Tensor, shape (n, ...)
        Samples, with at least one feature axis, on one device. They are paired in order, and are constants:
        the penalty has no gradient with respect to them.
    weight : float
        Lambda, positive, in units of the data. The bias of the gap depends on it: see :func:`corrected_gap`.
    sided : {"two", "one"}
        "two" penalises gradient norms below 1 as well.
    between : {"lines", "x", "y", "both"}
        Points of evaluation: on lines between paired samples; at x; at y; at both, with equal weights.
    generator : torch.Generator, optional
        Random generator of the t. None: torch's default generator.

    Returns
    -------
    Tensor, shape ()
        Penalty, part of the graph of the critic's parameters (``create_graph``), in float32 at least.

    Raises
    ------
    InputError
        If shapes or devices do not match, the critic does not return one number per sample, its values carry
        no gradient, or a BatchNorm layer is in training mode.

    Notes
    -----
    *Not a certificate*: gradients are evaluated at a few points, and a penalty is not a bound. See
    :func:`lipschitz_constant`.

    Where the gradient is exactly 0, the derivative of its norm is 0 instead of NaN; the penalty of a constant
    critic is exactly ``weight``. Autocast is disabled, since second derivatives overflow in float16.
    Attention uses torch's math kernel, and RNN layers of a module do not use cuDNN, since the fused kernels
    have no second derivative. torch.compile cannot differentiate twice; leave this part of the step
    uncompiled.

    A critic that returns a map of scores, one per patch (PatchGAN), needs one score per sample, the mean of
    the map as in its loss: ``gradient_penalty(lambda z: critic(z).mean((1, 2, 3)), x, y)``.

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
    check_number(weight, "weight", above=0, remedy="use 10.0")
    check_choice(sided, "sided", SIDED_CHOICES)
    require_outside("critic", "cannot be penalised", "call gradient_penalty outside of it")
    refuse_batch_layers(critic, training_only=True)
    with training_mode(), torch.autocast(x.device.type, enabled=False), _twice_differentiable(critic):
        grad_norms = _grad_norms(critic, _penalty_points(x, y, between, generator).requires_grad_())
        excess = grad_norms - 1 if sided == "two" else (grad_norms - 1).clamp(min=0)
        return weight * excess.square().mean()


@training_mode()
def squared_grad_norms(critic: nn.Module | Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return squared gradient norms (n,) of a critic at points, part of the graph of its parameters.

    Zero-centred penalties are means of them: R1 at real points and R2 at fakes (Mescheder et al. 2018).
    """
    with torch.autocast(points.device.type, enabled=False), _twice_differentiable(critic):
        return _gradients(critic, points.detach().float().requires_grad_()).square().sum(1)


@contextmanager
def _twice_differentiable(critic: nn.Module | Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Use kernels with second derivatives, which fused attention and cuDNN's RNNs do not have."""
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(layer, nn.RNNBase) for _, layer in named_layers(critic)):
            cudnn = torch.backends.cudnn
            stack.enter_context(
                cudnn.flags(enabled=False, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic)
            )
        yield


def _grad_norms(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the norms (n,) of the critic's gradients at points, with a graph."""
    # vector_norm has the derivative 0 at 0, where sqrt(sum of squares) has NaN.
    return torch.linalg.vector_norm(_gradients(critic, points), dim=1)


def _gradients(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the critic's gradients (n, d) at points, with a graph."""
    total = critic_scores(critic, points).sum()
    (gradient,) = torch.autograd.grad(total, points, create_graph=True, allow_unused=True)
    if gradient is None:
        # The values do not depend on the points: their gradient is 0, and so is that of the parameters.
        gradient = torch.zeros_like(points) + 0 * total
    return gradient.flatten(1)


def _penalty_points(x: Tensor, y: Tensor, between: str, generator: torch.Generator | None) -> Tensor:
    """Return the points of evaluation, detached, in float32 at least."""
    check_choice(between, "between", BETWEEN_CHOICES)
    for name, z in (("x", x), ("y", y)):
        if z.ndim < 2 or len(z) == 0 or not z.is_floating_point():
            raise InputError(
                name,
                f"must be floats of shape (n, ...) with n > 0, got {z.dtype} of shape {tuple(z.shape)}",
                "pass such samples",
            )
    if x.shape[1:] != y.shape[1:] or x.device != y.device:
        raise InputError(
            "y",
            f"must have samples of shape {tuple(x.shape[1:])} on {x.device} like x, "
            f"got {tuple(y.shape[1:])} on {y.device}",
            "give both the same shape and device",
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    x, y = x.detach().to(dtype), y.detach().to(dtype)
    if between != "lines":
        return {"x": x.clone, "y": y.clone, "both": lambda: torch.cat([x, y])}[between]()
    if len(x) != len(y):
        problem = f"must have {len(x)} samples like x, got {len(y)}"
        raise InputError("y", problem, "give as many, or choose between='both'")
    generator_device = x.device if generator is None else generator.device
    t = torch.rand(len(x), *[1] * (x.ndim - 1), generator=generator, device=generator_device, dtype=dtype).to(
        x.device
    )
    return t * x + (1 - t) * y
