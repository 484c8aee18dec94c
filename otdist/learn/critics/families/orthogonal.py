"""Networks of orthogonal layers and folds, with weights that stay on the orthogonal matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice, check_integer
from otdist.learn.critics.families.cones import soft_max
from otdist.learn.critics.families.kmeans import kmeans_centres
from otdist.learn.critics.families.triangle_wave import TriangleWave, triangle_wave
from otdist.learn.modes import in_transform

Activation = Literal["abs", "wave", "maxmin", "groupsort"]
RETRACTION_ITERATIONS = 2  # Newton-Schulz steps after an update; singular values are then 1 within 1e-6
SORT_GROUP_SIZE = 8  # units in a group of "groupsort"
WAVE_REACH_SDS = 2.0  # quarter period of the wave, in standard deviations of its input
HEADS_TAU = 0.02  # initial temperature of heads, in units of the points
PLACING_BATCH_POINTS = 4096  # points of each sample at which folds are placed
UNIT_ROUNDOFF = 2.0**-53  # of float64
ROUND_UP = 1.0 + 1e-12  # covers the rounding error of a singular value in float64


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
        ``|x|`` of each unit, a triangle wave (repeated folds), maximum and minimum of each pair, or sorted
        groups of eight.
    heads : int
        Number of heads.
    orientation : {"max", "min"}
        "max": the apexes lie at mass of the first sample, "min": of the second one.
    generator : torch.Generator, optional
        Random generator for the initial weights.

    Notes
    -----
    :meth:`lipschitz` computes the constant from singular values in float64 on the host,
    :meth:`lipschitz_bound` a bound from Gram matrices on the device. After a step of an optimiser
    :meth:`retract` replaces the weights by the nearest orthogonal matrices. A fold ``|x|`` is a reflection:
    it keeps the norm of the gradient, and "maxmin" is the same in rotated coordinates. A fold that no point
    reaches has no effect: call :meth:`initialise` before training.

    Cost: O(n width (d + depth width + heads)) for n points, O(depth width^3) for a retraction. Source: Anil,
    Lucas, Grosse (2019). Differs in that weights are optimised on the manifold instead of being
    orthogonalised in each forward pass, in the wave, and in the heads.

    Examples
    --------
    >>> import torch
    >>> from otdist.learn.critics import Orthogonal
    >>> critic = Orthogonal(3, width=16, depth=2, generator=torch.Generator().manual_seed(0))
    >>> round(critic.lipschitz(), 4)
    1.0
    """

    weights: nn.ParameterList
    biases: nn.ParameterList
    head: nn.Parameter
    offsets: nn.Parameter

    def __init__(
        self,
        d: int,
        *,
        width: int = 128,
        depth: int = 3,
        activation: Activation = "abs",
        heads: int = 1,
        orientation: Literal["max", "min"] = "max",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _require_sizes(d, width, depth, heads, activation, orientation)
        sizes = [d] + [width] * depth
        self.weights = nn.ParameterList(
            nn.Parameter(random_orthogonal(rows, cols, generator)) for cols, rows in pairwise(sizes)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.randn(width, generator=generator)) for _ in range(depth)
        )
        head = torch.randn(*([heads] if heads > 1 else []), width, generator=generator)
        self.head = nn.Parameter(head / head.norm(dim=-1, keepdim=True))
        self.activation: Activation = activation
        self.orientation = orientation
        if heads > 1:
            self.offsets = nn.Parameter(torch.zeros(heads))
            self.tau = HEADS_TAU
        self.periods: Tensor
        if activation == "wave":  # of each layer
            self.register_buffer("periods", torch.full((depth,), 4 * WAVE_REACH_SDS))

    def forward(self, z: Tensor) -> Tensor:
        """Return values (n,) at points z (n, d)."""
        z = self.features(z)
        if self.head.ndim == 1:
            return z @ self.head
        scores = torch.addmm(self.offsets, z, self.head.T)
        return soft_max(scores, self.tau) if self.orientation == "max" else -soft_max(-scores, self.tau)

    def features(self, z: Tensor) -> Tensor:
        """Return the output of the last layer (n, width), a 1-Lipschitz map of the points."""
        for layer in range(len(self.weights)):
            z = self._activate(self._linear(z, layer), layer)
        return z

    @torch.no_grad()
    def initialise(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> None:
        """Place the folds at points of the samples, and call :meth:`initialise_heads`.

        With random biases most units have all points on one side: nine in ten of 128 units for points in 16
        columns of spread 1. Each unit is centred at one of the points instead. To start from a function with
        almost no folds, call :meth:`initialise_heads` alone.

        Parameters
        ----------
        x, y : Tensor, shape (n, d), (m, d)
            Points of the two samples, in random order.
        generator : torch.Generator, optional
            Random generator for the choice of points.
        """
        z = torch.cat([x[:PLACING_BATCH_POINTS], y[:PLACING_BATCH_POINTS]])
        for layer, bias in enumerate(self.biases):
            rows = torch.randint(len(z), (len(bias),), generator=generator).to(z.device)
            bias.zero_()
            inputs = self._linear(z, layer)
            bias.sub_(inputs[rows, torch.arange(len(bias), device=z.device)])
            if self.activation == "wave":
                spread = float((inputs - inputs.mean(0)).square().mean().sqrt())
                self.periods[layer] = 4 * WAVE_REACH_SDS * (spread or 1.0)
            z = self._activate(inputs + bias, layer)
        self.initialise_heads(x, y, generator)

    @torch.no_grad()
    def initialise_heads(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> None:
        """Initialise the heads by differences of means, or of k-means centres if there are several heads."""
        of_x, of_y = self.features(x), self.features(y)
        middle = (of_x.mean(0) + of_y.mean(0)) / 2
        if self.head.ndim == 1:
            self._set_heads(of_x.mean(0) - of_y.mean(0))
            return
        if self.orientation == "max":
            self._set_heads(kmeans_centres(of_x, len(self.head), generator) - of_y.mean(0))
        else:
            self._set_heads(of_x.mean(0) - kmeans_centres(of_y, len(self.head), generator))
        self.offsets.copy_(-(self.head @ middle))

    def lipschitz(self) -> float:
        """Return an upper bound of the Lipschitz constant, from singular values in float64."""
        return multiply_norms(self.weights, self.head)

    @torch.no_grad()
    def lipschitz_bound(self) -> Tensor:
        """Return an upper bound of the Lipschitz constant as a float64 tensor, shape (), on the device.

        It is at least :meth:`lipschitz`, and after :meth:`retract` larger by less than 1e-5. It is computed
        from Gram matrices, without singular values and without waiting for the device. For MPS, which has no
        float64, it is computed on the CPU.
        """
        head = _to_float64(self.head)
        # The sum of squares and its root are precise to (width + 2) rounding errors.
        bound = head.norm(dim=-1).max() * (1 + (head.shape[-1] + 8) * UNIT_ROUNDOFF)
        for weight in self.weights:
            bound = bound * bound_spectral_norm(weight) * ROUND_UP
        return bound

    @torch.no_grad()
    def retract(self) -> None:
        """Retract the weights to orthogonal matrices, and normalise the heads."""
        for weight in self.weights:
            weight.copy_(retract_orthogonal(weight))
        self.head.div_(self.head.norm(dim=-1, keepdim=True))

    @torch.no_grad()
    def retract_rectangular(self) -> None:
        """Bring weights that are not square closer to orthogonal ones, between two retractions.

        Directions of equal singular values are tangent to the square orthogonal matrices, but not to others,
        whose singular values a step moves by its angle.
        """
        for weight in self.weights:
            if weight.shape[0] != weight.shape[1]:
                weight.copy_(retract_orthogonal(weight, iterations=1))

    def _linear(self, z: Tensor, layer: int) -> Tensor:
        return torch.addmm(self.biases[layer], z, self.weights[layer].T)

    def _activate(self, x: Tensor, layer: int) -> Tensor:
        if self.activation == "abs":
            return x.abs()
        if self.activation == "wave":
            explicit = self.training and not in_transform()
            return (
                TriangleWave.apply(x, self.periods[layer])
                if explicit
                else triangle_wave(x, self.periods[layer])
            )
        if self.activation == "maxmin":
            left, right = x.chunk(2, 1)
            return torch.cat([torch.maximum(left, right), torch.minimum(left, right)], 1)
        return x.view(len(x), -1, SORT_GROUP_SIZE).sort(-1).values.flatten(1)

    def _set_heads(self, directions: Tensor) -> None:
        """Set the heads to normalised directions; a head whose direction is 0 does not change."""
        lengths = directions.norm(dim=-1, keepdim=True)
        self.head.copy_(torch.where(lengths > 0, directions / lengths.clamp_min(1e-30), self.head))


def default_width(d: int) -> int:
    """Return the default width of a network for points with d columns."""
    return min(max(4 * d, 128), 256)


def retract_orthogonal(weight: Tensor, iterations: int = RETRACTION_ITERATIONS) -> Tensor:
    """Return the nearest orthogonal matrix, by Newton-Schulz steps; singular values must be below sqrt(3)."""
    is_wide = weight.shape[0] < weight.shape[1]
    x = weight.T if is_wide else weight
    for _ in range(iterations):
        x = torch.addmm(x, x, x.T @ x, beta=1.5, alpha=-0.5)
    return x.T if is_wide else x


def multiply_norms(weights: Iterable[Tensor], head: Tensor) -> float:
    """Return the product of the spectral norms of matrices and of the largest norm of a head, rounded up."""
    norms = [float(torch.linalg.matrix_norm(w.detach().cpu().double(), 2)) for w in weights]
    norms.append(float(head.detach().cpu().double().norm(dim=-1).max()))
    return math.prod(norm * ROUND_UP for norm in norms)


def bound_spectral_norm(weight: Tensor) -> Tensor:
    r"""Return an upper bound of the largest singular value of a matrix, shape (), in float64.

    It is close to it for matrices that are close to orthogonal: with :math:`E = W^\top W - I`,

    .. math:: \|W\|_2^2 = \|W^\top W\|_2 \le 1 + \|E\|_2, \qquad
              \|E\|_2^2 = \|E^\top E\|_2 \le \|E^\top E\|_F.
    """
    # Rounding, with u = 2^-53: a computed inner product of n terms, in any order of summation, has an error
    # of at most gamma_n sum |terms|, gamma_n = n u / (1 - n u) < 2 n u (Higham 2002, section 3.1). So a
    # computed product A'A has an error of at most gamma_n |A|'|A| elementwise, and gamma_n |A|_F^2 in the
    # Frobenius norm. |A|_F^2 is the trace of A'A, which is computed to within a factor of 2. The subtraction
    # of I, norms of k^2 numbers and roots add relative errors below (k^2 + 8) u, covered by ``relative``.
    w = _to_float64(weight)
    w = w.T if w.shape[0] < w.shape[1] else w
    n, k = w.shape
    relative = 1 + 4 * (k * k + 8) * UNIT_ROUNDOFF
    gram = w.T @ w
    allowance = gram.trace() * (4 * n * UNIT_ROUNDOFF)
    gram.diagonal().sub_(1.0)
    square = gram.T @ gram
    error = (square.norm() + square.trace() * (4 * k * UNIT_ROUNDOFF)).sqrt() * relative
    return (1 + (error + allowance) * relative).sqrt() * ROUND_UP


def _to_float64(weight: Tensor) -> Tensor:
    weight = weight.detach()
    return (weight.cpu() if weight.device.type == "mps" else weight).double()


def _require_sizes(d: int, width: int, depth: int, heads: int, activation: str, orientation: str) -> None:
    groups = {"abs": 1, "wave": 1, "maxmin": 2, "groupsort": SORT_GROUP_SIZE}
    check_choice(activation, "activation", groups)
    if min(d, depth, width) < 1 or width % groups[activation]:
        problem = f"must be a positive multiple of {groups[activation]}, got {width} (d={d}, depth={depth})"
        raise InputError("width", problem, "give d, depth and width >= 1")
    check_integer(heads, "heads")
    check_choice(orientation, "orientation", ("max", "min"))


def random_orthogonal(rows: int, cols: int, generator: torch.Generator | None) -> Tensor:
    """Draw a random matrix with orthonormal rows or columns."""
    u, _, v = torch.linalg.svd(torch.randn(rows, cols, generator=generator), full_matrices=False)
    return u @ v
