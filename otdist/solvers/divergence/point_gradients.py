"""Gradients of entropic costs in the points, for metrics without compiled loops."""

from __future__ import annotations

import numpy as np

from otdist.errors import InputError
from otdist.metrics.base import make_row_blocks
from otdist.problem import Problem
from otdist.typing import Array, Index, PairCosts


def point_gradients_by_torch(problem: Problem, rows: Array, cols: Array, eps: float) -> tuple[Array, Array]:
    """Compute the gradient of ``<P, C>`` in the points at fixed P, by autograd.

    ``P_ij = exp(rows_i + cols_j - c_ij / eps)``; coincident pairs are left out.
    """
    import torch

    pairs = _pairs(problem)
    out = np.zeros(problem.x.shape), np.zeros(problem.y.shape)
    for part in make_row_blocks(len(problem.x), len(problem.y) * problem.d):
        cost = problem.costs(problem.x[part], problem.y)
        plan = np.exp(rows[part, None] + cols - cost / eps)
        i, j = np.nonzero((cost > 0) & (plan > 0))
        x, y = (torch.tensor(z, requires_grad=True) for z in (problem.x[part], problem.y))
        cost_sum = (torch.as_tensor(plan[i, j]) * pairs(torch, x[i], y[j]) ** problem.p).sum()
        if cost_sum.requires_grad:  # not if all pairs coincide, nor for a metric of labels alone
            gradients = torch.autograd.grad(cost_sum, (x, y))
            out[0][part] += gradients[0].numpy()
            out[1][:] += gradients[1].numpy()
    return out


def point_gradients_of_cells(problem: Problem, rows: Index, cols: Index, mass: Array) -> tuple[Array, Array]:
    """Compute the gradient of the cost of a plan in the points, by autograd; coincident pairs are left out.

    In the caller's units, for the rows of the problem.
    """
    import torch

    pairs = _pairs(problem)
    x, y = (torch.tensor(z, requires_grad=True) for z in (problem.x, problem.y))
    apart = (problem.x[rows] != problem.y[cols]).any(axis=1)
    i, j = rows[apart], cols[apart]
    if len(i) == 0:
        return np.zeros(problem.x.shape), np.zeros(problem.y.shape)
    cost_sum = (torch.as_tensor(mass[apart]) * pairs(torch, x[i], y[j]) ** problem.p).sum()
    unit = float(problem.to_caller_costs(1.0))
    left, right = (gradient.numpy() for gradient in torch.autograd.grad(cost_sum, (x, y)))
    return np.ldexp(left * unit, -problem.exponent), np.ldexp(right * unit, -problem.exponent)


def _pairs(problem: Problem) -> PairCosts:
    if problem.metric.pairs is None:
        raise InputError(
            "metric",
            f"{problem.metric.name!r} has no gradient",
            "use a named metric, or detach the points (x.detach())",
        )
    return problem.metric.pairs
