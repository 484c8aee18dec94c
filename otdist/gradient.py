"""Gradients for torch: the value as a tensor that knows how it changes with the input.

By the envelope theorem the optimal plan and potentials may be held fixed: the derivative with
respect to the points is that of ``sum_ij P_ij cost(x_i, y_j)``, and with respect to the weights
it is the potentials. Where points coincide the cost has a kink, and the gradient is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from otdist.arrays import is_torch
from otdist.errors import InputError
from otdist.problem import Problem
from otdist.result import Result

R = TypeVar("R", bound=Result)


def with_gradient(result: Result, problem: Problem, x: Any, y: Any, a: Any, b: Any) -> Result:
    """Replace the value by a 0-d tensor if torch tensors went in.

    It is float64, as the proof is, whatever the dtype of the points; gradients have theirs.
    """
    tensors = [t for t in (x, y, a, b) if is_torch(t)]
    if not tensors:
        return result
    import torch

    value = torch.tensor(float(result.value), dtype=torch.float64)
    if any(t.requires_grad for t in tensors) and math.isfinite(result.value):
        problem = problem.tamed()
        change = _of_points(result, problem, x, y) + _of_weights(result, problem, a, b)
        value = value + _slope(result, problem) * (change - change.detach())
    return replace(result, value=on_device(value, tensors[0].device))


def with_slopes(
    result: R,
    problem: Problem,
    given: tuple[Any, Any, Any, Any],
    of_points: Callable[[], tuple[Any, Any]],
    of_weights: Callable[[], tuple[Any, Any]],
    *,
    normalised: bool = True,
) -> R:
    """As :func:`with_gradient`, for gradients that a method knows as arrays.

    ``of_points`` makes them for the rows of ``problem.x`` and ``problem.y``, ``of_weights`` for all
    rows of the caller, both on the problem's scale; they are made when a tensor asks for them.
    ``normalised``: whether weights count as shares of their sum, or as they are.
    """
    tensors = [t for t in given if is_torch(t)]
    if not tensors:
        return result
    import torch

    value = torch.tensor(float(result.value), dtype=torch.float64)
    wanted = [is_torch(t) and t.requires_grad for t in given]
    if any(wanted) and math.isfinite(result.value):
        change = torch.zeros((), dtype=torch.float64)
        slopes = of_points() if any(wanted[:2]) else (None, None)
        for side, rows in enumerate((problem.rows, problem.cols)):
            if wanted[side]:
                points = _column(on_cpu(given[side]))
                points = points if rows is None else points[torch.as_tensor(rows)]
                change = change + (_scaled(problem, points) * torch.as_tensor(slopes[side])).sum()
        slopes = of_weights() if any(wanted[2:]) else (None, None)
        for side in range(2):
            if wanted[2 + side]:
                shares = _shares(problem, given[2 + side], side, normalised)
                change = change + (shares * torch.as_tensor(slopes[side])).sum()
        half = problem.exponent // 2  # in two steps: 2**exponent itself may overflow
        value = value + (change - change.detach()) * 2.0**half * 2.0 ** (problem.exponent - half)
    return replace(result, value=on_device(value, tensors[0].device))


def with_plan_and_prices(
    result: R, problem: Problem, given: tuple[Any, Any, Any, Any], prices: Callable[[], tuple[Any, Any]]
) -> R:
    """As :func:`with_gradient`, for a cost whose weights count as they are, not as shares.

    ``prices`` makes its derivatives in the weights, for all rows of the caller and in his units.
    """
    tensors = [t for t in given if is_torch(t)]
    if not tensors:
        return result
    import torch

    value = torch.tensor(float(result.value), dtype=torch.float64)
    wanted = [is_torch(t) and t.requires_grad for t in given]
    if any(wanted) and math.isfinite(result.value):
        change = _of_points(result, problem, given[0], given[1]) * float(problem.cost_units(1.0))
        slopes = prices() if any(wanted[2:]) else ()
        for side, slope in enumerate(slopes):
            if wanted[2 + side]:
                shares = _shares(problem, given[2 + side], side, normalised=False)
                change = change + (shares * torch.as_tensor(np.nan_to_num(slope))).sum()
        value = value + (change - change.detach())
    return replace(result, value=on_device(value, tensors[0].device))


def with_cost_gradient(result: Result, cost: Any) -> Result:
    """Add the gradient with respect to a cost matrix, which is the plan."""
    if not is_torch(cost):
        return result
    import torch

    value = result.value if is_torch(result.value) else torch.tensor(float(result.value), dtype=torch.float64)
    if cost.requires_grad and result.plan is not None:
        rows, cols = (torch.as_tensor(index) for index in result.plan.coords)
        spent = (on_cpu(cost)[rows, cols] * torch.as_tensor(result.plan.data)).sum()
        value = value + (spent - spent.detach()).to(value.device)
    return replace(result, value=on_device(value, cost.device))


def on_device(value: Any, device: Any) -> Any:
    """Move an answer to the device of the points; Apple's has no float64."""
    return value.float().to(device) if device.type == "mps" else value.to(device)


def on_cpu(tensor: Any) -> Any:
    """Copy in float64 that keeps the gradient: the arithmetic is the CPU's."""
    return tensor.cpu().double()


def _slope(result: Result, problem: Problem) -> float:
    """Derivative of the answer in the cost on the problem's scale; 0 at a distance of 0."""
    if not problem.rooted or problem.p == 1:
        return float(problem.cost_units(1.0))
    unit = float(np.ldexp(1.0, problem.exponent * problem.degree))
    scaled = float(result.value) / unit
    return 0.0 if scaled == 0 else unit * scaled ** (1 - problem.p) / problem.p


def _of_points(result: Result, problem: Problem, x: Any, y: Any) -> Any:
    """``<P, cost(x, y)>`` over the cells of the plan, as a function of the points."""
    import torch

    if not any(is_torch(t) and t.requires_grad for t in (x, y)):
        return torch.zeros((), dtype=torch.float64)
    pairs = problem.metric.pairs
    if pairs is None or result.plan is None:
        raise InputError(
            "metric",
            f"{problem.metric.name!r} has no gradient",
            "use a named metric, or detach the points (x.detach())",
        )
    xs, ys = _column(on_cpu(torch.as_tensor(x))), _column(on_cpu(torch.as_tensor(y)))
    rows, cols = (torch.as_tensor(index) for index in result.plan.coords)
    left, right = _scaled(problem, xs[rows]), _scaled(problem, ys[cols])
    apart = pairs(torch, left.detach(), right.detach()) > 0
    mass = torch.as_tensor(result.plan.data)[apart]
    return (mass * pairs(torch, left[apart], right[apart]) ** problem.p).sum()


def _of_weights(result: Result, problem: Problem, a: Any, b: Any) -> Any:
    """``a.f + b.g`` with normalised weights, as a function of the weights."""
    import torch

    total = torch.zeros((), dtype=torch.float64)
    for weight, side in ((a, 0), (b, 1)):
        if not (is_torch(weight) and weight.requires_grad):
            continue
        if result.potentials is None:
            raise InputError(
                "ab"[side],
                f"method {result.method!r} has no potentials, so no gradient for weights",
                "use method='dense', or detach the weights",
            )
        potential = np.nan_to_num(result.potentials[side]) / float(problem.cost_units(1.0))
        total = total + (_shares(problem, weight, side) * torch.as_tensor(potential)).sum()
    return total


def _shares(problem: Problem, weight: Any, side: int, normalised: bool = True) -> Any:
    """Weights divided by their sum; rows that were left out as missing have none, whatever was given."""
    import torch

    w = on_cpu(weight.ravel()) * torch.as_tensor(np.isfinite(problem.given[side]).all(axis=1))
    return w / w.sum() if normalised else w


def _scaled(problem: Problem, points: Any) -> Any:
    """Points on the problem's scale, where no square over- or underflows."""
    import torch

    if problem.centre is not None:
        points = points - torch.as_tensor(problem.centre)
    half = -problem.exponent // 2  # in two steps: 2**-exponent itself may overflow
    return points * 2.0**half * 2.0 ** (-problem.exponent - half)


def _column(points: Any) -> Any:
    return points[:, None] if points.ndim == 1 else points
