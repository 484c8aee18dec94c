"""Critics of orthogonal layers and folds, whose weights are moved along orthogonal ones."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.cones import soft_max
from otdist.learn.critics.groups import centres
from otdist.learn.critics.waves import Waves, waves

Activation = Literal["abs", "wave", "maxmin", "groupsort"]
ROUNDS = 2  # Newton-Schulz steps after an update; singular values are then 1 to 1e-6
GROUP = 8  # units that "groupsort" sorts among themselves
REACH = 2.0  # from the middle of a wave to where it turns, in standard deviations of what comes in
COOL = 0.02  # temperature of heads, in units of the points, where training sets no other
SOME = 4096  # points that folds are placed at
UP = 1.0 + 1e-12  # rounding of a singular value in float64


class Orthogonal(nn.Module):
    r"""Orthogonal layers with activations that keep the norm of the gradient.

    .. math:: h(z) = s(W_L \cdots s(W_1 z + b_1) \cdots + b_L), \qquad
              W_l^\top W_l = I \text{ or } W_l W_l^\top = I

    and :math:`f = w^\top h` with one head, or the soft maximum or minimum of :math:`w_k^\top h + o_k`
    with several; :math:`|w| = |w_k| = 1`.

    Parameters
    ----------
    d : int
        Columns of the points.
    width : int
        Units of each layer, even.
    depth : int
        Layers.
    activation : {"abs", "wave", "maxmin", "groupsort"}
        ``|x|`` of each unit, a triangle wave (folded again and again), larger and smaller of each pair, or
        groups of eight sorted.
    heads : int
        How many heads.
    poles : {"max", "min"}
        "max": mass of the first sample lies at the tips, "min": mass of the second one.
    generator : torch.Generator, optional
        For the first weights.

    Notes
    -----
    :meth:`lipschitz` computes the constant from singular values in float64. After a step of an optimiser
    :meth:`retract` brings the weights back to the nearest orthogonal ones. A fold ``|x|`` is a reflection:
    it keeps the norm of the gradient, and "maxmin" is the same in turned coordinates. A fold that no point
    reaches does nothing: call :meth:`settle` before training.

    Cost: O(n width (d + depth width + heads)) for n points, O(depth width^3) for a retraction. Source: Anil,
    Lucas, Grosse (2019); differs in that weights are moved on the manifold, not orthogonalised in each pass,
    in the wave, and in the heads.

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
        heads: int = 1,
        poles: Literal["max", "min"] = "max",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _require(d, width, depth, heads, activation, poles)
        sizes = [d] + [width] * depth
        self.weights = nn.ParameterList(
            nn.Parameter(drawn_orthogonal(rows, cols, generator)) for cols, rows in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.randn(width, generator=generator)) for _ in range(depth)
        )
        head = torch.randn(*([heads] if heads > 1 else []), width, generator=generator)
        self.head = nn.Parameter(head / head.norm(dim=-1, keepdim=True))
        self.activation: Activation = activation
        self.poles = poles
        if heads > 1:
            self.offsets = nn.Parameter(torch.zeros(heads))
            self.tau = COOL
        self.periods: Tensor
        if activation == "wave":  # of each layer
            self.register_buffer("periods", torch.full((depth,), 4 * REACH))

    def forward(self, z: Tensor) -> Tensor:
        """Values (n,) at points z (n, d)."""
        z = self.features(z)
        if self.head.ndim == 1:
            return z @ self.head
        scores = torch.addmm(self.offsets, z, self.head.T)
        return soft_max(scores, self.tau) if self.poles == "max" else -soft_max(-scores, self.tau)

    def features(self, z: Tensor) -> Tensor:
        """What the last layer gives (n, width): no two points are farther apart than they were."""
        for layer in range(len(self.weights)):
            z = self._folded(self._turned(z, layer), layer)
        return z

    @torch.no_grad()
    def settle(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> None:
        """Put folds where the points are, and :meth:`aim`.

        Random biases leave most units without a point on one of their sides: of 128 units on 16 columns
        spread over 1, nine in ten. Each unit is centred at one of the points instead. A function that hardly
        folds is left so: call :meth:`aim` alone to start from one.

        Parameters
        ----------
        x, y : Tensor, shape (n, d), (m, d)
            Points of both samples, in random order.
        generator : torch.Generator, optional
            For the choice among them.
        """
        z = torch.cat([x[:SOME], y[:SOME]])
        for layer, bias in enumerate(self.biases):
            rows = torch.randint(len(z), (len(bias),), generator=generator).to(z.device)
            bias.zero_()
            before = self._turned(z, layer)
            bias.sub_(before[rows, torch.arange(len(bias), device=z.device)])
            if self.activation == "wave":
                spread = float((before - before.mean(0)).square().mean().sqrt())
                self.periods[layer] = 4 * REACH * (spread or 1.0)
            z = self._folded(before + bias, layer)
        self.aim(x, y, generator)

    @torch.no_grad()
    def aim(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> None:
        """Let heads point from one sample to the other, or several to the groups of the one at the tips."""
        of_x, of_y = self.features(x), self.features(y)
        middle = (of_x.mean(0) + of_y.mean(0)) / 2
        if self.head.ndim == 1:
            self._aim(of_x.mean(0) - of_y.mean(0))
            return
        if self.poles == "max":
            self._aim(centres(of_x, len(self.head), generator) - of_y.mean(0))
        else:
            self._aim(of_x.mean(0) - centres(of_y, len(self.head), generator))
        self.offsets.copy_(-(self.head @ middle))

    def lipschitz(self) -> float:
        """Bound of the constant, from singular values in float64, rounded up."""
        norms = [float(torch.linalg.matrix_norm(w.detach().double().cpu(), 2)) for w in self.weights]
        norms.append(float(self.head.detach().double().norm(dim=-1).max()))
        return math.prod(norm * UP for norm in norms)

    @torch.no_grad()
    def retract(self) -> None:
        """Bring the weights back to orthogonal ones, and heads to norm 1."""
        for weight in self.weights:
            weight.copy_(retracted(weight))
        self.head.div_(self.head.norm(dim=-1, keepdim=True))

    def _turned(self, z: Tensor, layer: int) -> Tensor:
        return torch.addmm(self.biases[layer], z, self.weights[layer].T)

    def _folded(self, x: Tensor, layer: int) -> Tensor:
        if self.activation == "abs":
            return x.abs()
        if self.activation == "wave":
            return Waves.apply(x, self.periods[layer]) if self.training else waves(x, self.periods[layer])
        if self.activation == "maxmin":
            left, right = x.chunk(2, 1)
            return torch.cat([torch.maximum(left, right), torch.minimum(left, right)], 1)
        return x.view(len(x), -1, GROUP).sort(-1).values.flatten(1)

    def _aim(self, ways: Tensor) -> None:
        """Take over directions; those of length 0 say nothing, and heads stay as they are there."""
        long = ways.norm(dim=-1, keepdim=True)
        self.head.copy_(torch.where(long > 0, ways / long.clamp_min(1e-30), self.head))


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


def _require(d: int, width: int, depth: int, heads: int, activation: str, poles: str) -> None:
    groups = {"abs": 1, "wave": 1, "maxmin": 2, "groupsort": GROUP}
    if activation not in groups:
        raise InputError("activation", f"{activation!r} is unknown", f"use one of {list(groups)}")
    if min(d, depth, width) < 1 or width % groups[activation]:
        raise InputError("width", f"{width} is not a multiple of {groups[activation]}", "change it")
    if heads < 1:
        raise InputError("heads", f"{heads} is no number of heads", "give a whole number from 1 on")
    if poles not in ("max", "min"):
        raise InputError("poles", f"{poles!r} is unknown", "use 'max' or 'min'")


def drawn_orthogonal(rows: int, cols: int, generator: torch.Generator | None) -> Tensor:
    """Random matrix with orthonormal rows or columns."""
    u, _, v = torch.linalg.svd(torch.randn(rows, cols, generator=generator), full_matrices=False)
    return u @ v
