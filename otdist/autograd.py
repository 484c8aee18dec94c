"""Values as nodes of torch's graph, whose derivatives are computed or refused with a sentence.

Imported only where torch tensors went in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otdist.errors import InputError

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

    from otdist.solvers.linear.basis import Basis

Formula = Callable[..., Tensor]


@dataclass(frozen=True)
class Reason:
    """Why a derivative is refused: the problem and the remedy of an InputError about ``value``."""

    problem: str
    remedy: str

    def error(self) -> InputError:
        """Error to raise."""
        return InputError("value", self.problem, self.remedy)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives of a value in its data.

    Attributes
    ----------
    formula : callable
        From the data (tensors in float64 on the CPU, None where the caller gave no tensor) to a 0-d
        tensor with the first derivatives of the value.
    twice_differentiable : callable or None
        The same with all derivatives, for ``create_graph=True``; None where there is no such formula.
    reason : Reason
        Why second derivatives are refused where ``twice_differentiable`` is None.
    """

    formula: Formula
    twice_differentiable: Formula | None
    reason: Reason = Reason("has no second derivatives", "call without create_graph=True")


class Value(torch.autograd.Function):
    """A number as a function of data: ``Value.apply(number, derivatives, *data)``."""

    @staticmethod
    def forward(ctx: FunctionCtx, number: float, derivatives: Derivatives, *data: Tensor | None) -> Tensor:
        """Return the number as a 0-d tensor."""
        ctx.derivatives = derivatives
        ctx.save_for_backward(*data)
        return torch.tensor(number, dtype=torch.float64)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate the formula; with a graph of the gradient where the caller asks for one."""
        data, wanted = ctx.saved_tensors, ctx.needs_input_grad[2:]
        derivatives = ctx.derivatives
        create_graph = torch.is_grad_enabled()
        if create_graph and derivatives.twice_differentiable is not None:
            gradients = _differentiate(derivatives.twice_differentiable, data, wanted, create_graph=True)
            gradients = [None if g is None else _with_graph(g, data, wanted) for g in gradients]
        else:
            leaves = [
                t.detach().requires_grad_() if needed else t for t, needed in zip(data, wanted, strict=True)
            ]
            gradients = _differentiate(derivatives.formula, leaves, wanted, create_graph=False)
            if create_graph:
                inputs = [t for t, needed in zip(data, wanted, strict=True) if needed]
                gradients = [None if g is None else refuse(derivatives.reason, g, *inputs) for g in gradients]
        return None, None, *(None if g is None else g * grad_output for g in gradients)


def _differentiate(
    formula: Formula, data: Sequence[Tensor | None], wanted: Sequence[bool], *, create_graph: bool
) -> list[Tensor | None]:
    inputs = [t for t, needed in zip(data, wanted, strict=True) if needed]
    with torch.enable_grad():
        value = formula(*data)
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if value.requires_grad:
        found = torch.autograd.grad(value, inputs, create_graph=create_graph, allow_unused=True)
    rest = iter(torch.zeros_like(t) if g is None else g for g, t in zip(found, inputs, strict=True))
    return [next(rest) if needed else None for needed in wanted]


def _with_graph(gradient: Tensor, data: Sequence[Tensor | None], wanted: Sequence[bool]) -> Tensor:
    """Give a constant gradient second derivatives, which are 0: without a graph torch raises."""
    if gradient.requires_grad:
        return gradient
    inputs = [
        t for t, needed in zip(data, wanted, strict=True) if needed and t is not None and t.requires_grad
    ]
    return _Constant.apply(gradient, *inputs) if inputs else gradient


class _Constant(torch.autograd.Function):
    """Values that do not depend on the data, with a place in the graph."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, *data: Tensor) -> Tensor:
        ctx.save_for_backward(*data)
        return values.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(torch.zeros_like(t) for t in ctx.saved_tensors)


class _Refused(torch.autograd.Function):
    """Values whose derivatives in the data are refused."""

    @staticmethod
    def forward(ctx: FunctionCtx, reason: Reason, values: Tensor, *data: Tensor) -> Tensor:
        ctx.reason = reason
        return values.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        raise ctx.reason.error()


def refuse(reason: Reason, values: Tensor, *data: Tensor | None) -> Tensor:
    """Values as they are, whose derivatives in the data raise an InputError."""
    inputs = [t for t in data if t is not None and t.requires_grad]
    return _Refused.apply(reason, values, *inputs) if inputs else values


class _ZeroRefusingSecondDerivative(torch.autograd.Function):
    """Zeros with the derivative 0, whose second derivative is refused."""

    @staticmethod
    def forward(ctx: FunctionCtx, reason: Reason, values: Tensor) -> Tensor:
        ctx.reason = reason
        ctx.save_for_backward(values)
        return torch.zeros_like(values)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        (values,) = ctx.saved_tensors
        zeros = torch.zeros_like(values)
        return None, refuse(ctx.reason, zeros, values) if torch.is_grad_enabled() else zeros


def zero_refusing_second_derivative(problem: str, values: Tensor) -> Tensor:
    """Zeros for places where a first derivative is 0 and a second one does not exist."""
    reason = Reason(problem, "use p=1, p=2 or another metric, or move the points apart")
    return _ZeroRefusingSecondDerivative.apply(reason, values)


class _DotWithGradient(torch.autograd.Function):
    """Inner product with a gradient, whose own derivatives are refused."""

    @staticmethod
    def forward(ctx: FunctionCtx, reason: Reason, gradient: Tensor, data: Tensor) -> Tensor:
        ctx.reason = reason
        ctx.save_for_backward(gradient, data)
        return (gradient * data).sum()

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        gradient, data = ctx.saved_tensors
        if torch.is_grad_enabled():
            gradient = refuse(ctx.reason, gradient, data)
        return None, None, gradient * grad_output


def dot_with_gradient(reason: Reason, gradient: Tensor, data: Tensor) -> Tensor:
    """``sum(gradient * data)`` as a function of the data; second derivatives raise an InputError."""
    return _DotWithGradient.apply(reason, gradient, data)


class TransportCost(torch.autograd.Function):
    """``<P, c>`` at an optimal plan P, as a function of the costs c of its cells and of the weights.

    ``TransportCost.apply(number, basis, costs, a, b)`` is the number given. Its derivative in the costs is
    P, that in the weights are the potentials. What second derivatives need, how P moves with the weights and
    the potentials with the costs, is known to the basis.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, number: float, basis: Basis, costs: Tensor, *weights: Tensor | None
    ) -> Tensor:
        """Return the number as a 0-d tensor."""
        ctx.basis = basis
        ctx.save_for_backward(costs, *weights)
        return torch.tensor(number, dtype=torch.float64)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Return plan and potentials; with their own derivatives where the caller asks for a graph."""
        costs, *weights = ctx.saved_tensors
        wanted = ctx.needs_input_grad[2:]
        create_graph = torch.is_grad_enabled()
        mass = None
        if wanted[0]:
            mass = ctx.basis.plan(*weights) if create_graph else ctx.basis.mass
        potentials = [None, None]
        if any(wanted[1:]):
            potentials = ctx.basis.duals(costs) if create_graph else ctx.basis.potentials
        out = [mass, *(side if needed else None for side, needed in zip(potentials, wanted[1:], strict=True))]
        return None, None, *(None if part is None else part * grad_output for part in out)
