"""Gradients for torch: the value as a tensor with derivatives in the input.

By the envelope theorem the optimal plan and potentials may be held fixed: the gradient in the points is the
gradient of ``sum_ij P_ij cost(x_i, y_j)``, and the gradient in the weights is given by the potentials. Where
points coincide and the cost has a kink, the gradient is 0.

Second derivatives are computed from the same formula where they exist, and refused otherwise.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.typing import Array, Inputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from otdist.autograd import Derivatives, Formula

R = TypeVar("R", bound=Result)
P = ParamSpec("P")
T = TypeVar("T")
Sides = Callable[[], Sequence[Array | None]]

# Reasons why mixed second derivatives in weights and points or costs are refused.
SEVERAL_OPTIMA = (
    "has no second derivatives between weights and points or costs where several optima exist",
    "detach the weights, or the points or costs",
)
MASS_MAY_STAY = (
    "second derivatives between points and weights are not computed where mass may stay behind",
    "detach the points or the weights",
)


def guard_tensors(function: Callable[P, T]) -> Callable[P, T]:
    """Run a public function outside of ``torch.compile``, and refuse tensors without numbers.

    ``torch.compile`` breaks its graph here. Under ``torch.func`` or ``torch.vmap`` there are no numbers to
    solve with, and a tangent of forward-mode differentiation would be lost: both raise InputError.
    """
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        torch = sys.modules.get("torch")
        compiler = getattr(torch, "compiler", None)
        if compiler is not None and compiler.is_compiling():
            eager: Callable[P, T] = compiler.disable(function)
            return eager(*args, **kwargs)
        for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
            if is_torch(value):
                require_numbers(value, name)
        return function(*args, **kwargs)

    return run


def require_numbers(tensor: Tensor, name: str) -> None:
    """Raise InputError for a tensor whose numbers, or whose tangent, cannot be used."""
    import torch

    wrapped = getattr(torch._C._functorch, "is_functorch_wrapped_tensor", None)
    remedy = "use torch.autograd.grad or value.backward(), and a loop or a batch instead of vmap"
    if wrapped is not None and wrapped(tensor):
        raise InputError(name, "must hold numbers, got a tensor inside torch.func or torch.vmap", remedy)
    if torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None:
        raise InputError(name, "carries a tangent of forward-mode differentiation", remedy)


def with_gradient(result: R, problem: Problem, inputs: Inputs) -> R:
    """Replace the value by a 0-d tensor if torch tensors were passed.

    It is float64, as the interval, for points of any dtype; gradients have the dtype of the points.
    """

    def derivatives() -> Derivatives:
        from otdist.solvers.transport import costs_of_points

        _require_gradient(result, problem, inputs)
        tame, value = problem.rescale(), float(result.value)
        costs = functools.partial(costs_of_points, tame, value, _is_optimal(result, tame))
        return _of_plan(result, tame, lambda: result.potentials, costs, SEVERAL_OPTIMA)

    return _with_value(result, inputs, derivatives)


def with_transport_gradient(result: R, problem: Problem, inputs: Inputs, weight_gradients: Sides) -> R:
    """Attach gradients as :func:`with_gradient`, for a cost whose weights are not normalised.

    ``weight_gradients`` returns its gradients in the weights, for all rows and in the units of the caller.
    """

    def derivatives() -> Derivatives:
        from otdist.solvers.transport import costs_of_points

        _require_gradient(result, problem, inputs)
        costs = functools.partial(costs_of_points, problem, float(result.value), False)
        return _of_plan(result, problem, weight_gradients, costs, MASS_MAY_STAY, balanced=False)

    return _with_value(result, inputs, derivatives)


def with_cost_gradient(result: Result, problem: Problem, cost: object, a: object, b: object) -> Result:
    """Attach gradients as :func:`with_gradient`, for a cost matrix: its gradient is the plan."""

    def derivatives() -> Derivatives:
        from otdist.solvers.transport import costs_of_matrix

        _require_gradient(result, problem, Inputs(cost, None, a, b))
        return _of_plan(result, problem, lambda: result.potentials, costs_of_matrix, SEVERAL_OPTIMA)

    return _with_value(result, (cost, a, b), derivatives)


def with_longest_step_gradient(result: Result, problem: Problem, inputs: Inputs) -> Result:
    """Attach gradients as :func:`with_gradient`, for p = infinity: the gradient of the plan's longest step.

    Of several longest steps the first is used, a subgradient; in the weights the distance is piecewise
    constant, and the gradient 0.
    """

    def derivatives() -> Derivatives:
        from otdist.autograd import Derivatives
        from otdist.solvers.transport import longest_step

        _require_gradient(result, problem, Inputs(inputs.x, inputs.y))
        formula = functools.partial(longest_step, problem.rescale(), float(result.value), lambda: result.plan)
        return Derivatives(formula, formula)

    return _with_value(result, inputs, derivatives)


def with_array_gradients(
    result: R,
    problem: Problem,
    inputs: Inputs,
    point_gradients: Sides,
    weight_gradients: Sides,
    *,
    normalised: bool = True,
    formula: Formula | None = None,
    refusal: tuple[str, str] | None = None,
) -> R:
    """Attach gradients as :func:`with_gradient`, for a method that computes them as arrays.

    ``point_gradients`` returns them for the rows of ``problem.x`` and ``problem.y``, ``weight_gradients`` for
    all rows of the caller, both on the problem's scale; they are called if a tensor requires a gradient.
    ``normalised``: whether weights are divided by their sum. ``formula``: the value as a function of
    (x, y, a, b) with all derivatives; without it second ones are refused, with ``refusal`` (problem and
    remedy).
    """

    def derivatives() -> Derivatives:
        from otdist.autograd import Derivatives, Reason

        _require_pairs(problem, inputs)
        first_order = functools.partial(_linear, problem, point_gradients, weight_gradients, normalised)
        reason = Reason(*(refusal or ("has no second derivatives", "call without create_graph=True")))
        return Derivatives(first_order, formula, reason)

    return _with_value(result, inputs, derivatives)


def _with_value(result: R, inputs: tuple[object, ...], derivatives: Callable[[], Derivatives]) -> R:
    tensors = [t for t in inputs if is_torch(t)]
    if not tensors:
        return result
    import torch

    from otdist.autograd import Value

    number = float(result.value)
    value = torch.tensor(number, dtype=torch.float64)
    needs_gradient = [is_torch(t) and t.requires_grad for t in inputs]
    if any(needs_gradient) and torch.is_grad_enabled() and math.isfinite(number):
        data = [on_cpu(t) if needed else None for t, needed in zip(inputs, needs_gradient, strict=True)]
        value = Value.apply(number, derivatives(), *data)
    return change(result, value=on_device(value, tensors[0].device))


def on_device(value: Tensor, device: torch.device) -> Tensor:
    """Move an answer to the device of the points, in float32 on "mps", which has no float64."""
    return value.float().to(device) if device.type == "mps" else value.to(device)


def on_cpu(tensor: Tensor) -> Tensor:
    """Copy a tensor to the CPU in float64, with its gradient."""
    import torch

    # Entries that a sparse tensor does not store have derivatives as well.
    dense = tensor if tensor.layout == torch.strided else tensor.to_dense(masked_grad=False)
    return dense.cpu().double()


def _of_plan(
    result: Result,
    problem: Problem,
    potentials: Callable[[], Sequence[Array | None] | None],
    costs: Formula,
    mixed: tuple[str, str],
    *,
    balanced: bool = True,
) -> Derivatives:
    """Make the derivatives of a cost from its plan and potentials."""
    from otdist.autograd import Derivatives, Reason
    from otdist.solvers.transport import Transport

    value = float(result.value)
    formula = Transport(problem, value, lambda: result.plan, potentials, costs, Reason(*mixed), balanced)
    if _is_optimal(result, problem):
        return Derivatives(formula, formula)
    why = f"second derivatives need an optimal plan, and {result.method!r} proves a gap of {result.gap:.1e}"
    return Derivatives(formula, None, Reason(why, "use method='auto' with tol=0, or differentiate once"))


def _is_optimal(result: Result, problem: Problem) -> bool:
    """Whether the plan is an optimal vertex of the linear programme."""
    from otdist.solvers.answer import EXACT_GAP

    if result.method in ("line", "circle") or result.gap <= EXACT_GAP:
        return True
    return result.converged and problem.tol <= EXACT_GAP and result.method in ("dense", "sparse")


def _require_gradient(result: Result, problem: Problem, inputs: Inputs) -> None:
    """Raise InputError if a tensor requires a gradient that does not exist."""
    needs_gradient = [is_torch(t) and t.requires_grad for t in inputs]
    _require_pairs(problem, inputs)
    if any(needs_gradient[:2]) and result._make_plan is None:
        raise InputError(
            "method",
            f"{result.method!r} has no plan, so no gradient for points",
            "use method='auto', or detach the points (x.detach())",
        )
    if any(needs_gradient[2:]) and result._make_potentials is None:
        raise InputError(
            "ab"[not needs_gradient[2]],
            f"method {result.method!r} has no potentials, so no gradient for weights",
            "use method='dense', or detach the weights",
        )


def _require_pairs(problem: Problem, inputs: Inputs) -> None:
    """Raise InputError if points require the gradient of a metric without one."""
    needs_gradient = any(is_torch(t) and t.requires_grad for t in inputs[:2])
    if needs_gradient and problem.metric.pairs is None and problem.metric.name != "precomputed":
        raise InputError(
            "metric",
            f"{problem.metric.name!r} has no gradient",
            "use a named metric, or detach the points (x.detach())",
        )


def _linear(
    problem: Problem,
    point_gradients: Sides,
    weight_gradients: Sides,
    normalised: bool,
    x: Tensor | None,
    y: Tensor | None,
    a: Tensor | None,
    b: Tensor | None,
) -> Tensor:
    """Compute the sum of points and weights times their gradients, as a function of these."""
    import torch

    change = torch.zeros((), dtype=torch.float64)
    if x is not None or y is not None:
        for gradient, points, rows in zip(
            point_gradients(), (x, y), (problem.rows, problem.cols), strict=True
        ):
            if points is not None:
                points = column(points)
                points = points if rows is None else points[torch.as_tensor(rows)]
                change = change + (to_problem_scale(problem, points) * torch.as_tensor(gradient)).sum()
    if a is not None or b is not None:
        for side, (gradient, weights) in enumerate(zip(weight_gradients(), (a, b), strict=True)):
            if weights is not None:
                mass = shares(problem, weights, side, normalised)
                change = change + (mass * torch.as_tensor(gradient)).sum()
    half = problem.exponent // 2  # in two steps: 2**exponent itself may overflow
    return change * 2.0**half * 2.0 ** (problem.exponent - half)


def shares(problem: Problem, weights: Tensor, side: int, normalised: bool = True) -> Tensor:
    """Divide weights by their sum; rows that were left out as missing get weight 0."""
    import torch

    w = weights.ravel()
    w = w * torch.as_tensor(np.isfinite(problem.caller_points[side]).all(axis=1))
    if not normalised:
        return w
    w = w / w.detach().max()  # a sum of weights near 1e308 must not overflow
    return w / w.sum()


def to_problem_scale(problem: Problem, points: Tensor) -> Tensor:
    """Transform points to the problem's scale, where no square over- or underflows."""
    import torch

    if problem.centre is not None:
        points = points - torch.as_tensor(problem.centre)
    half = -problem.exponent // 2  # in two steps: 2**-exponent itself may overflow
    return points * 2.0**half * 2.0 ** (-problem.exponent - half)


def column(points: Tensor) -> Tensor:
    """Reshape points on the line to a column."""
    return points[:, None] if points.ndim == 1 else points
