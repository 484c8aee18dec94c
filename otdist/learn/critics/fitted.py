"""A trained critic in the caller's units."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.frame import Frame
from otdist.learn.critics.training import ROWS, divisor, width
from otdist.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """How the caller's points were shifted and scaled, exactly, before anything else."""

    centre: Array | None
    exponent: int
    degree: int

    @classmethod
    def of(cls, problem: Problem) -> Placement:
        """Take over what a problem did."""
        return cls(problem.centre, problem.exponent if problem.degree else 0, problem.degree)

    def same(self, other: Placement) -> bool:
        """Whether both place points alike."""
        left, right = (np.zeros(1) if one.centre is None else one.centre for one in (self, other))
        return self.exponent == other.exponent and bool(np.all(left == right))

    def place(self, points: Array) -> Array:
        """Points on the scale of training."""
        shifted = points if self.centre is None else points - self.centre
        return shifted if self.exponent == 0 else np.ldexp(shifted, -self.exponent)

    def units(self, values: Array) -> Array:
        """Values in the caller's units."""
        return np.ldexp(values, self.exponent * self.degree)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A critic and its constant: ``|f(z) - f(z')| <= lipschitz d(z, z')`` for all points.

    Attributes
    ----------
    name : str
        Which kind it is.
    module : Module
        Maps features to values, in units of the frame.
    frame : Frame
        Maps points to features.
    placement : Placement
        Maps the caller's points to those.
    bound : float
        The module's Lipschitz constant, from above.
    constant : float
        What values are divided by: the bound, or 1 for kinds that only a penalty or clipping holds back.
    box : float
        Largest distance within the box around the points it was made from, on the scale of training.
    """

    name: str
    module: nn.Module
    frame: Frame
    placement: Placement
    bound: float
    constant: float
    box: float

    @classmethod
    def of(cls, name: str, module: nn.Module, frame: Frame, placement: Placement, box: float) -> Self:
        """Freeze a module, in float64, and compute its constant."""
        exact = copy.deepcopy(module).double().eval().requires_grad_(False)
        return cls(name, exact, frame, placement, float(exact.lipschitz()), divisor(exact), box)

    @property
    def lipschitz(self) -> float:
        """Constant of the function that this is, from above: at most 1, unless nothing holds it there."""
        return self.bound / self.constant

    def values(self, points: Array) -> Array:
        """Critic at points (n, d), float64."""
        return self.placement.units(self.values_placed(self.placement.place(points)))

    def values_placed(self, points: Array) -> Array:
        """Critic at points on the scale of training, on that scale."""
        out = [self._at(self.frame.exact(part)) for part in self._parts(points)]
        return torch.cat(out).cpu().numpy() if out else np.empty(0)

    def gradient(self, points: Array) -> Array:
        """Its gradient (n, d); of norm at most 1 for the Euclidean distance."""
        if not self.frame.moving:
            raise InputError(
                "metric",
                f"{self.frame.metric.name!r} has no gradient in the points",
                "use 'euclidean', 'cityblock' or 'chebyshev'",
            )
        out = []
        for part in self._parts(points):
            z = self.frame.exact(self.placement.place(part)).requires_grad_(True)
            (slope,) = torch.autograd.grad(self._at(z).sum() / self.frame.unit, z)
            out.append(slope)
        return torch.cat(out).cpu().numpy() if out else np.empty_like(points)

    def at_features(self, features: Tensor) -> Array:
        """Critic at features, in the caller's units."""
        step = max(1, ROWS // width(self.module, features.shape[1]))
        parts = [self._at(features[k : k + step].double()) for k in range(0, len(features), step)]
        return self.placement.units(torch.cat(parts).cpu().numpy())

    @property
    def diameter(self) -> float:
        """Largest distance within the box around the given points, in the caller's units."""
        return float(self.placement.units(np.asarray(self.box)))

    def _at(self, features: Tensor) -> Tensor:
        value: Tensor = self.module(features)
        return value * (self.frame.unit / self.constant)

    def _parts(self, points: Array) -> list[Array]:
        step = max(1, ROWS // width(self.module, points.shape[1]))
        return [points[k : k + step] for k in range(0, len(points), step)]
