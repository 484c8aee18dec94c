"""Optimal transport with given costs, with a proved interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

import numpy as np

from otdist.errors import InputError
from otdist.gradient import (
    guard_tensors,
    with_cost_gradient,
)
from otdist.inputs.arguments import check_on_fail
from otdist.inputs.arrays import read_costs
from otdist.inputs.labels import get_axis_labels
from otdist.inputs.times import SECOND_UNIT
from otdist.inputs.units import get_unit_name, strip_unit
from otdist.inputs.weights import read_weights
from otdist.metrics.precomputed import precomputed_metric
from otdist.number import change
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.solve import Solver, solve
from otdist.typing import Array, ArrayInput, Labels, MassRule, OnFail

if TYPE_CHECKING:
    from typing import Unpack

    from torch import Tensor

    from otdist.typing import CostOptions, MethodOptions, TensorInput


@overload
def emd(
    cost: TensorInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    **options: Unpack[CostOptions],
) -> Result[Tensor]: ...
@overload
def emd(
    cost: ArrayInput, a: TensorInput, b: ArrayInput | None = None, **options: Unpack[CostOptions]
) -> Result[Tensor]: ...
@overload
def emd(
    cost: ArrayInput, a: ArrayInput | None, b: TensorInput, **options: Unpack[CostOptions]
) -> Result[Tensor]: ...
@overload
def emd(cost: ArrayInput, *, b: TensorInput, **options: Unpack[CostOptions]) -> Result[Tensor]: ...
@overload
def emd(
    cost: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    method: str | Solver = "auto",
    max_seconds: float | None = None,
    progress: bool = False,
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result[float]: ...
@guard_tensors
@isolate_errstate
def emd(
    cost: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    method: str | Solver = "auto",
    max_seconds: float | None = None,
    progress: bool = False,
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result:
    r"""Earth mover's distance for any cost matrix, with a proved interval.

    .. math:: \min_{P \ge 0} \sum_{ij} P_{ij} C_{ij} \quad\text{with}\quad P 1 = a,\; P^\top 1 = b

    Parameters
    ----------
    cost : array_like, shape (n, m)
        Cost of moving one unit from row to column: finite and non-negative, any unit; durations
        become seconds.
    a, b : array_like, shape (n,) and (m,), optional
        Weights, each side divided by its sum. None: all equal. Weights with pandas labels are
        matched with the labels of the rows, or columns, of a pandas ``cost``; other labels are an
        error.
    method, max_seconds, progress, mass, on_fail, **options
        As in :func:`w1`.

    Returns
    -------
    Result
        ``value`` is <P, C> at mass 1, in the unit of ``cost``, within [``lower``, ``upper``]. If
        ``cost`` is a tensor, so is the value, and its gradient with respect to it is the plan. Second
        derivatives as in :func:`w1`.

    Raises
    ------
    InputError
        If an entry is NaN, infinite or negative, or a weight cannot be used.
    BudgetError, ConvergenceError
        As in :func:`w1`.

    Notes
    -----
    Cost: "dense" about O(n^2.5) time and 41 n m bytes. "sparse", from about a million entries on:
    a few passes of O(n m) over the matrix, and O(n + m + arcs) memory beside it. The matrix
    itself, 8 bytes a pair, is yours; it is copied if it is no contiguous float64 array, if some
    weights are 0, or if its largest entry is not between 1/16 and 128. Sources as in :func:`w1`;
    here the coarser copies of "sparse" are every other row and column.

    Examples
    --------
    >>> import otdist
    >>> otdist.emd([[0.0, 2.0], [2.0, 1.0]], [0.5, 0.5], [0.25, 0.75]).value
    1.0
    """
    numbers, unit = strip_unit(cost, "cost"), get_unit_name(cost)
    table = read_costs(numbers, "cost")
    matrix, unit = table.values, unit if table.clock is None else SECOND_UNIT
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            "cost",
            f"must be a matrix with at least one row and column, got shape {matrix.shape}",
            "give shape (n, m)",
        )
    _require_costs(matrix)
    x, y, ground = precomputed_metric(matrix)
    row_weights = _align_weights(a, "a", table.labels[0], "the rows of cost")
    column_weights = _align_weights(b, "b", table.labels[1], "the columns of cost")
    check_on_fail(on_fail)
    problem = Problem.of(
        x,
        y,
        row_weights,
        column_weights,
        metric=ground,
        mass=mass,
        rooted=False,
        max_seconds=max_seconds,
        progress=progress,
    )
    result = with_cost_gradient(
        solve(problem, method, on_fail, **options), problem, numbers, row_weights, column_weights
    )
    if row_weights is not None or column_weights is not None:
        # Rows without mass need the matrix, which belongs to the caller and may change.
        _ = result.potentials
    return change(result, unit=unit) if unit else result


def _align_weights(weights: object, name: str, labels: Labels, owner: str) -> object:
    """Bring labelled weights into the order of labelled rows; others are returned unchanged."""
    if labels is None or get_axis_labels(weights)[0] is None or get_unit_name(weights):
        return weights
    return read_weights(weights, name, len(labels), labels, owner)


def _require_costs(matrix: Array) -> None:
    low, high = float(matrix.min()), float(matrix.max())
    if low >= 0 and high < math.inf:
        return
    bad = ~np.isfinite(matrix)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise InputError(
            "cost",
            f"must be finite, got [{i}, {j}] = {matrix[i, j]} ({bad.sum()} entries are not finite)",
            "give every pair a finite cost (a large one for pairs to avoid)",
        )
    i, j = np.argwhere(matrix < 0)[0]
    raise InputError(
        "cost",
        f"must be >= 0, got [{i}, {j}] = {matrix[i, j]}",
        "add a constant to all entries: it raises the answer by that constant and changes no plan",
    )
