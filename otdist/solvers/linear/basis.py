"""Derivatives of an optimal plan in the weights, and of its potentials in the costs.

The cells of a vertex of the transport polytope form a forest. Where it is one tree of all points, the plan is
the only one with these cells and these weights, and the potentials with ``f_i + g_j = c_ij`` on its cells are
unique up to a constant: both maps are linear, and each is the transpose of the other.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from otdist.autograd import Reason, refuse
from otdist.typing import Array, Index

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx


class Basis:
    """Optimal plan and potentials, for :class:`otdist.autograd.TransportCost`.

    Parameters
    ----------
    cells : (ndarray, ndarray)
        Rows and columns of the plan's cells.
    mass : Tensor
        Masses of the cells.
    potentials : (Tensor or None, Tensor or None)
        Gradients of the cost in the weights of both sides; None if not requested.
    points : (ndarray, ndarray) or None
        Rows and columns that may carry mass. None: the derivative of the plan is not known.
    reason : Reason
        Why mixed second derivatives are refused if the cells are not a tree.
    """

    cells: tuple[Index, Index]
    mass: Tensor
    potentials: tuple[Tensor | None, Tensor | None]
    points: tuple[Index, Index] | None
    reason: Reason

    def __init__(
        self,
        cells: tuple[Index, Index],
        mass: Tensor,
        potentials: tuple[Tensor | None, Tensor | None],
        points: tuple[Index, Index] | None,
        reason: Reason,
    ) -> None:
        self.cells, self.mass, self.potentials = cells, mass, potentials
        self.points, self.reason = points, reason

    def plan(self, a: Tensor | None, b: Tensor | None) -> Tensor:
        """Return the masses of the cells as a function of the weights."""
        moving = [w is not None and w.requires_grad for w in (a, b)]
        if not any(moving):
            return self.mass
        if self.tree is None:
            return refuse(self.reason, self.mass, a, b)
        changes = [
            w - w.detach() if w is not None else torch.zeros(size, dtype=torch.float64)
            for w, size in zip((a, b), self.tree.shape, strict=True)
        ]
        return self.mass + _Flow.apply(self.tree, *changes)

    def duals(self, costs: Tensor) -> list[Tensor | None]:
        """Return the potentials as a function of the costs of the cells."""
        if not costs.requires_grad:
            return list(self.potentials)
        if self.tree is None:
            return [None if side is None else refuse(self.reason, side, costs) for side in self.potentials]
        changes = _Duals.apply(self.tree, costs - costs.detach())
        return [
            None if side is None else side + change
            for side, change in zip(self.potentials, changes, strict=True)
        ]

    @cached_property
    def tree(self) -> Tree | None:
        """Tree of the cells; None if they are not a spanning tree of all points."""
        if self.points is None:
            return None
        rows, cols = (np.unique(index) for index in self.cells)
        whole = all(len(here) == len(there) for here, there in zip((rows, cols), self.points, strict=True))
        if not whole or len(self.mass) != len(rows) + len(cols) - 1:
            return None
        sizes = [
            len(side) if side is not None else int(index.max()) + 1
            for side, index in zip(self.potentials, self.cells, strict=True)
        ]
        return Tree.of(self.cells, (rows, cols), (sizes[0], sizes[1]))


class Tree:
    """Linear maps of a spanning tree of cells: from weights to masses, and from costs to potentials.

    Parameters
    ----------
    points : (ndarray, ndarray)
        Rows and columns in the tree.
    shape : (int, int)
        Numbers of weights of both sides; points outside of the tree have mass 0 and potential 0.
    factors
        LU factors of the incidence matrix without its last column: cells by points.
    """

    points: tuple[Index, Index]
    shape: tuple[int, int]
    factors: Any

    def __init__(self, points: tuple[Index, Index], shape: tuple[int, int], factors: Any) -> None:
        self.points, self.shape, self.factors = points, shape, factors

    @classmethod
    def of(
        cls, cells: tuple[Index, Index], points: tuple[Index, Index], shape: tuple[int, int]
    ) -> Tree | None:
        """Factorise the incidence matrix; None if the cells are not connected."""
        from scipy.sparse import csc_array
        from scipy.sparse.csgraph import connected_components
        from scipy.sparse.linalg import splu

        k = len(cells[0])
        left = np.searchsorted(points[0], cells[0])
        right = len(points[0]) + np.searchsorted(points[1], cells[1])
        ends, numbers = np.concatenate([left, right]), np.tile(np.arange(k), 2)
        incidence = csc_array((np.ones(2 * k), (numbers, ends)), shape=(k, k + 1))
        adjacency = csc_array((np.ones(k), (left, right)), shape=(k + 1, k + 1))
        if connected_components(adjacency, directed=False)[0] > 1:
            return None
        return cls(points, shape, splu(incidence[:, :-1]))

    def masses(self, a: Array, b: Array) -> Array:
        """Compute the masses of the cells for weights with equal totals."""
        supply = np.concatenate([a[self.points[0]], b[self.points[1]]])
        return np.asarray(self.factors.solve(supply[:-1], trans="T"))

    def potentials(self, costs: Array) -> tuple[Array, Array]:
        """Compute potentials with ``f_i + g_j = c_ij`` on the cells, 0 at the last column."""
        solution = np.append(self.factors.solve(costs), 0.0)
        n = len(self.points[0])
        f, g = (np.zeros(size) for size in self.shape)
        f[self.points[0]], g[self.points[1]] = solution[:n], solution[n:]
        return f, g


class _Flow(torch.autograd.Function):
    """Linear map from weights to masses."""

    @staticmethod
    def forward(ctx: FunctionCtx, tree: Tree, a: Tensor, b: Tensor) -> Tensor:
        ctx.tree = tree
        return torch.from_numpy(tree.masses(a.detach().numpy(), b.detach().numpy()))

    @staticmethod
    def backward(ctx: FunctionCtx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_Duals.apply(ctx.tree, grad_output)


class _Duals(torch.autograd.Function):
    """Linear map from costs to potentials, the transpose of the flow."""

    @staticmethod
    def forward(ctx: FunctionCtx, tree: Tree, costs: Tensor) -> tuple[Tensor, Tensor]:
        ctx.tree = tree
        f, g = tree.potentials(costs.detach().numpy())
        return torch.from_numpy(f), torch.from_numpy(g)

    @staticmethod
    def backward(ctx: FunctionCtx, of_f: Tensor, of_g: Tensor) -> tuple[Tensor | None, ...]:
        return None, _Flow.apply(ctx.tree, of_f, of_g)
