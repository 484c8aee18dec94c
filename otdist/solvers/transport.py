"""Transport costs as differentiable functions of points, costs and weights, for torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from otdist.autograd import Reason, TransportCost, zero_refusing_second_derivative
from otdist.errors import InputError
from otdist.gradient import column, shares, to_problem_scale
from otdist.metrics.differentiable import squared_norm
from otdist.problem import Problem
from otdist.solvers.linear.basis import Basis
from otdist.typing import Array, ArrayOrTensor, Index

if TYPE_CHECKING:
    from types import ModuleType

    from scipy.sparse import coo_array

Cells = tuple[Index, Index, Tensor]  # rows, columns, masses


@dataclass(frozen=True, eq=False)
class Transport:
    """Value of an optimal plan as a function of (x, y, a, b), or of (cost, a, b).

    Attributes
    ----------
    problem : Problem
        The problem, rescaled.
    value : float
        Answer in the caller's units: a distance, or a cost if the problem is not rooted.
    plan, potentials : callable
        Return the plan as a sparse array, and the gradients of the cost in the weights.
    costs : callable
        Maps the cells and the data before the weights to the costs of the cells: in the caller's units, or
        relative to the total cost if the value is its root.
    mixed : Reason
        Why mixed second derivatives in weights and points or costs are refused.
    balanced : bool
        Whether weights are normalised and all mass is transported.
    """

    problem: Problem
    value: float
    plan: Callable[[], coo_array | None]
    potentials: Callable[[], Sequence[Array | None] | None]
    costs: Callable[..., Tensor]
    mixed: Reason
    balanced: bool = True

    def __call__(self, *data: Tensor | None) -> Tensor:
        """Return the value with its derivatives in the given tensors."""
        rooted = is_rooted(self.problem)
        if rooted and self.value == 0:
            return torch.zeros((), dtype=torch.float64)  # a kink, in points and in weights
        ground, weights = data[:-2], data[-2:]
        travels = any(part is not None for part in ground)
        costs = self.costs(self._cells, *ground) if travels else torch.empty(0, dtype=torch.float64)
        masses = [
            None if w is None else shares(self.problem, w, side, self.balanced)
            for side, w in enumerate(weights)
        ]
        basis = self._basis([w is not None for w in weights], travels)
        total = TransportCost.apply(1.0 if rooted else self.value, basis, costs, *masses)
        # Relative to the total cost, so that no power over- or underflows.
        return self.value * total ** (1.0 / self.problem.p) if rooted else total

    @cached_property
    def _cells(self) -> Cells:
        plan = self.plan()
        assert plan is not None
        rows, cols = (np.asarray(index, dtype=np.intp) for index in plan.coords)
        return rows, cols, torch.from_numpy(np.array(plan.data, dtype=np.float64))

    def _basis(self, weighted: list[bool], travels: bool) -> Basis:
        duals: list[Tensor | None] = [None, None]
        if any(weighted):
            potentials = self.potentials()
            assert potentials is not None
            duals = [
                self._dual(potential, side) if needed and potential is not None else None
                for side, (needed, potential) in enumerate(zip(weighted, potentials, strict=True))
            ]
        if not travels:
            nothing = np.empty(0, dtype=np.intp)
            return Basis((nothing, nothing), torch.empty(0), (duals[0], duals[1]), None, self.mixed)
        rows, cols, mass = self._cells
        points = None
        if self.balanced:
            present = [np.flatnonzero(np.isfinite(side).all(axis=1)) for side in self.problem.caller_points]
            points = present[0], present[1]
        return Basis((rows, cols), mass, (duals[0], duals[1]), points, self.mixed)

    def _dual(self, potential: Array, side: int) -> Tensor:
        """Return a potential, relative to the cost if the value is its root; 0 at missing rows."""
        potential = np.where(np.isnan(potential), 0.0, potential)
        if is_rooted(self.problem):
            with np.errstate(all="ignore"):
                potential = potential / np.float64(self.value) ** self.problem.p
        if not np.isfinite(potential).all():
            raise InputError(
                "ab"[side],
                "has a derivative beyond the largest float64",
                "scale the points, or detach the weights",
            )
        return torch.from_numpy(potential)


def is_rooted(problem: Problem) -> bool:
    """Whether the answer is a root of the cost."""
    return problem.rooted and problem.p != 1


def costs_of_matrix(cells: Cells, cost: Tensor) -> Tensor:
    """Select the costs of the cells of a plan from the cost matrix."""
    return cost[torch.from_numpy(cells[0]), torch.from_numpy(cells[1])]


def costs_of_points(
    problem: Problem, value: float, exact: bool, cells: Cells, x: Tensor | None, y: Tensor | None
) -> Tensor:
    """Compute the costs of a plan's cells as a function of the points; unit as in :class:`Transport`.

    ``exact``: whether the value is the cost of the plan, or its root.
    """
    ends = _ends(problem, cells, x, y)
    mean, apart = _mean_distance(problem, ends[0], ends[1], cells[2])
    rooted = is_rooted(problem)
    unit = 1.0 if rooted else value
    if mean == 0 or not exact:
        unit = float(problem.to_caller_costs(mean**problem.p if mean > 0 else 1.0))
        unit = unit / value**problem.p if rooted else unit
    return unit * _powers(problem, ends[0], ends[1], mean or 1.0, apart)


def longest_step(
    problem: Problem,
    value: float,
    plan: Callable[[], coo_array | None],
    x: Tensor | None,
    y: Tensor | None,
    *_weights: Tensor | None,
) -> Tensor:
    """Compute the length of the plan's longest step, the first of several, as a function of the points."""
    if (x is None and y is None) or value == 0:
        return torch.zeros((), dtype=torch.float64)
    assert problem.metric.pairs is not None
    cells_of_plan = plan()
    assert cells_of_plan is not None
    rows, cols = cells_of_plan.coords
    cells = np.asarray(rows, dtype=np.intp), np.asarray(cols, dtype=np.intp), torch.empty(0)
    with torch.no_grad():
        longest = int(problem.metric.pairs(torch, *_ends(problem, cells, x, y)).argmax())
    cell = cells[0][[longest]], cells[1][[longest]], cells[2]
    length = problem.metric.pairs(torch, *_ends(problem, cell, x, y))[0]
    return value * length / length.detach()


def _ends(problem: Problem, cells: Cells, x: Tensor | None, y: Tensor | None) -> list[Tensor]:
    """Return both points of each cell, on the problem's scale."""
    ends = []
    for points, read, index in zip((x, y), problem.caller_points, cells[:2], strict=True):
        # The points that were read, not the caller's container, which may have any type.
        end = torch.from_numpy(read[index]) if points is None else column(points)[torch.from_numpy(index)]
        ends.append(to_problem_scale(problem, end))
    return ends


def _mean_distance(problem: Problem, x: Tensor, y: Tensor, mass: Tensor) -> tuple[float, Tensor]:
    """Compute the power mean of the distances, which scales them, and a mask of positive distances."""
    assert problem.metric.pairs is not None
    with torch.no_grad():
        distances = problem.metric.pairs(torch, x, y)
        largest = float(distances.max()) if len(distances) else 0.0
        if largest == 0:
            return 0.0, distances > 0
        powers = (distances / largest) ** problem.p
        return largest * float((mass * powers).sum()) ** (1.0 / problem.p), distances > 0


def _powers(problem: Problem, x: Tensor, y: Tensor, mean: float, apart: Tensor) -> Tensor:
    """Compute ``(distance / mean)**p`` row by row, with its second derivatives at distance 0."""
    metric, p = problem.metric, problem.p
    assert metric.pairs is not None
    costs = torch.zeros(len(x), dtype=torch.float64)
    if bool(apart.any()):
        powers = (metric.pairs(torch, x[apart], y[apart]) / mean) ** p
        costs = costs.index_put((apart.nonzero()[:, 0],), powers)
    if bool(apart.all()):
        return costs
    x, y = x[~apart], y[~apart]
    near = metric.near_zero
    if problem.d == 1 and metric.line_power is not None:
        near = _squared_difference, metric.line_power / 2
    # Near coincident points the cost is |x - y|**(2 k), up to second order and a linear map.
    k = p / 2 if near is None else near[1] * p
    if near is not None and k == 1:
        flat = near[0](torch, x, y) / mean**p
    elif 0.5 < k < 1 or (near is None and k == 1):
        what = f"{metric.name} to the power {p:g} is not twice differentiable where points coincide"
        flat = zero_refusing_second_derivative(what, (x - y).sum(-1))
    else:
        return costs
    return costs.index_put(((~apart).nonzero()[:, 0],), flat)


def _squared_difference(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return squared_norm(xp, x - y)
