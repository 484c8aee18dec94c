"""Critics of orthogonal layers and folds, whose weights are moved along orthogonal ones."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError

Activation = Literal["abs", "maxmin", "groupsort"]
ROUNDS = 2  # Newton-Schulz steps after an update; singular values are then 1 to 1e-6
GROUP = 8  # units that "groupsort" sorts among themselves
UP = 1.0 + 1e-12  # rounding of a singular value in float64


class Orthogonal(nn.Module):
    r"""Orthogonal layers with activations that keep the norm of the gradient.

    .. math:: f(z) = w^\top s(W_L \cdots s(W_1 z + b_1) \cdots + b_L), \qquad
              W_l^\top W_l = I \text{ or } W_l W_l^\top = I, \quad |w| = 1

    Parameters
    ----------
    d : int
        Columns of the points.
    width : int
        Units of each layer, even.
    depth : int
        Layers.
    activation : {"abs", "maxmin", "groupsort"}
        ``|x|`` of each unit, larger and smaller of each pair, or groups of eight sorted.
    generator : torch.Generator, optional
        For the first weights.

    Notes
    -----
    :meth:`lipschitz` computes the constant from singular values in float64. After a step of an optimiser
    :meth:`retract` brings the weights back to the nearest orthogonal ones. A fold ``|x|`` is a reflection:
    it keeps the norm of the gradient, and "maxmin" is the same in turned coordinates.

    Cost: O(n width (d + depth width)) for n points, O(depth width^3) for a retraction. Source: Anil, Lucas,
    Grosse (2019); differs in that weights are moved on the manifold, not orthogonalised in each pass.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Orthogonal
    >>> critic = Orthogonal(3, width=16, depth=2, generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 4)
    1.0
    """

    def __init__(
        self,
        d: int,
        *,
        width: int = 128,
        depth: int = 3,
        activation: Activation = "abs",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if activation not in ("abs", "maxmin", "groupsort"):
            raise InputError(
                "activation", f"{activation!r} is unknown", "use 'abs', 'maxmin' or 'groupsort': see the docs"
            )
        unit = {"abs": 1, "maxmin": 2, "groupsort": GROUP}[activation]
        if min(d, depth, width) < 1 or width % unit:
            raise InputError("width", f"{width} is not a multiple of {unit}", "change it")
        sizes = [d] + [width] * depth
        self.weights = nn.ParameterList(
            nn.Parameter(_orthogonal(rows, cols, generator)) for cols, rows in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.randn(width, generator=generator)) for _ in range(depth)
        )
        head = torch.randn(width, generator=generator)
        self.head = nn.Parameter(head / head.norm())
        self.activation: Activation = activation

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            z = self._folded(torch.addmm(bias, z, weight.T))
        return z @ self.head

    def lipschitz(self) -> float:
        """Bound of the constant, from singular values in float64, rounded up."""
        norms = [float(torch.linalg.matrix_norm(w.detach().double().cpu(), 2)) for w in self.weights]
        norms.append(float(self.head.detach().double().norm()))
        return math.prod(norm * UP for norm in norms)

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the weights back to orthogonal ones, and the head to norm 1."""
        for weight in self.weights:
            weight.copy_(retracted(weight))
        self.head.div_(self.head.norm())

    def _folded(self, x: Tensor) -> Tensor:
        if self.activation == "abs":
            return x.abs()
        if self.activation == "maxmin":
            left, right = x.chunk(2, 1)
            return torch.cat([torch.maximum(left, right), torch.minimum(left, right)], 1)
        return x.view(len(x), -1, GROUP).sort(-1).values.flatten(1)


def units(d: int) -> int:
    """Width of a network for points of d columns."""
    return min(max(4 * d, 128), 256)


def retracted(weight: Tensor) -> Tensor:
    """Orthogonal matrix near one whose singular values are below sqrt(3), by Newton-Schulz steps."""
    wide = weight.shape[0] < weight.shape[1]
    x = weight.T if wide else weight
    for _ in range(ROUNDS):
        x = torch.addmm(x, x, x.T @ x, beta=1.5, alpha=-0.5)
    return x.T if wide else x


def _orthogonal(rows: int, cols: int, generator: torch.Generator | None) -> Tensor:
    u, _, v = torch.linalg.svd(torch.randn(rows, cols, generator=generator), full_matrices=False)
    return u @ v
