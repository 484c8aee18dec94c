"""Trained critic in the units of the caller."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from otdist.errors import InputError
from otdist.learn.critics.feature_map import FeatureMap, exact_device
from otdist.learn.critics.training import EVALUATION_ENTRIES, divisor, entries_per_point
from otdist.learn.modes import training_mode
from otdist.problem import Problem
from otdist.typing import Array


@dataclass(frozen=True, eq=False)
class ExactScaling:
    """Exact shift and scaling of the caller's points."""

    centre: Array | None
    exponent: int
    degree: int

    @classmethod
    def of(cls, problem: Problem) -> ExactScaling:
        """Return the shift and scaling of a problem."""
        return cls(problem.centre, problem.exponent if problem.degree else 0, problem.degree)

    def equals(self, other: ExactScaling) -> bool:
        """Return True if both transform points alike."""
        left, right = (np.zeros(1) if one.centre is None else one.centre for one in (self, other))
        return self.exponent == other.exponent and bool(np.all(left == right))

    def transform(self, points: Array) -> Array:
        """Return points on the scale of training."""
        shifted = points if self.centre is None else points - self.centre
        return shifted if self.exponent == 0 else np.ldexp(shifted, -self.exponent)

    def to_units(self, values: Array) -> Array:
        """Return values in the caller's units."""
        return np.ldexp(values, self.exponent * self.degree)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A critic and its constant: ``|f(z) - f(z')| <= lipschitz d(z, z')`` for all points.

    Attributes
    ----------
    name : str
        Kind of critic.
    module : Module
        Map from features to values, in the unit of the feature map.
    feature_map : FeatureMap
        Map from points to features.
    scaling : ExactScaling
        Map from the caller's points to points on the scale of training.
    bound : float
        Upper bound of the module's Lipschitz constant.
    constant : float
        Divisor of the values: the bound, or 1 for "gp", "lp" and "clip".
    box : float
        Largest distance within the bounding box of the points, on the scale of training.
    """

    name: str
    module: nn.Module
    feature_map: FeatureMap
    scaling: ExactScaling
    bound: float
    constant: float
    box: float

    @classmethod
    def of(
        cls, name: str, module: nn.Module, feature_map: FeatureMap, scaling: ExactScaling, box: float
    ) -> Self:
        """Copy a module in float64, freeze it and compute its constant."""
        device = exact_device(feature_map.device)
        frozen = copy.deepcopy(module).to(device).double().eval().requires_grad_(False)
        return cls(name, frozen, feature_map, scaling, float(frozen.lipschitz()), divisor(frozen), box)

    @property
    def lipschitz(self) -> float:
        """Upper bound of the Lipschitz constant of the critic: above 1 only for "gp", "lp" and "clip"."""
        return self.bound / self.constant

    def values(self, points: Array) -> Array:
        """Return float64 values at points (n, d)."""
        return self.scaling.to_units(self.scaled_values(self.scaling.transform(points)))

    def scaled_values(self, points: Array) -> Array:
        """Return values on the scale of training, at points on that scale."""
        parts = [self._evaluate(self.feature_map.transform_exact(part)) for part in self._batches(points)]
        return torch.cat(parts).cpu().numpy() if parts else np.empty(0)

    @training_mode()
    def gradient(self, points: Array) -> Array:
        """Return the gradient (n, d), of norm at most 1 for the Euclidean distance."""
        if not self.feature_map.uses_points:
            raise InputError(
                "metric",
                f"{self.feature_map.metric.name!r} has no gradient in the points",
                "use 'euclidean', 'cityblock' or 'chebyshev'",
            )
        parts = []
        for part in self._batches(points):
            z = self.feature_map.transform_exact(self.scaling.transform(part)).requires_grad_(True)
            (gradient,) = torch.autograd.grad(self._evaluate(z).sum() / self.feature_map.unit, z)
            parts.append(gradient)
        return torch.cat(parts).cpu().numpy() if parts else np.empty_like(points)

    def values_at_features(self, features: Tensor) -> Array:
        """Return values in the caller's units, at features."""
        step = max(1, EVALUATION_ENTRIES // entries_per_point(self.module, features.shape[1]))
        parts = [
            self._evaluate(features[k : k + step].to(exact_device(self.feature_map.device)).double())
            for k in range(0, len(features), step)
        ]
        return self.scaling.to_units(torch.cat(parts).cpu().numpy())

    @property
    def diameter(self) -> float:
        """Largest distance within the bounding box of the points, in the caller's units."""
        return float(self.scaling.to_units(np.asarray(self.box)))

    def _evaluate(self, features: Tensor) -> Tensor:
        value: Tensor = self.module(features)
        return value * (self.feature_map.unit / self.constant)

    def _batches(self, points: Array) -> list[Array]:
        step = max(1, EVALUATION_ENTRIES // entries_per_point(self.module, points.shape[1]))
        return [points[k : k + step] for k in range(0, len(points), step)]
