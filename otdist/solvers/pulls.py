"""Derivatives of entropic costs in the points, for metrics without compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.metrics.base import row_blocks
from otdist.problem import Problem

Array = NDArray[np.float64]


def pulls_by_torch(problem: Problem, rows: Array, cols: Array, eps: float) -> tuple[Array, Array]:
    """Derivatives of ``<P, C>`` in the points with P held fixed, by autograd.

    ``P_ij = exp(rows_i + cols_j - c_ij / eps)``; pairs that coincide are left out.
    """
    import torch

    pairs = problem.metric.pairs
    if pairs is None:
        raise InputError(
            "metric",
            f"{problem.metric.name!r} has no gradient",
            "use a named metric, or detach the points (x.detach())",
        )
    out = np.zeros(problem.x.shape), np.zeros(problem.y.shape)
    for part in row_blocks(len(problem.x), len(problem.y) * problem.d):
        cost = problem.costs(problem.x[part], problem.y)
        plan = np.exp(rows[part, None] + cols - cost / eps)
        i, j = np.nonzero((cost > 0) & (plan > 0))
        x, y = (torch.tensor(z, requires_grad=True) for z in (problem.x[part], problem.y))
        paid = (torch.as_tensor(plan[i, j]) * pairs(torch, x[i], y[j]) ** problem.p).sum()
        if len(i):
            found = torch.autograd.grad(paid, (x, y))
            out[0][part] += found[0].numpy()
            out[1][:] += found[1].numpy()
    return out
