"""Map from points to the features of a critic, in units of the spread of distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.metrics import Metric
from otdist.typing import Array

UNIT_PAIRS = 4096  # points of each sample whose distances give the unit
LEARNED_METRICS = ("euclidean", "cityblock", "chebyshev")  # metrics with learned anchors


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Centre and unit of the features, and landmarks for metrics without a gradient.

    Attributes
    ----------
    metric : Metric
        Ground metric.
    centre : ndarray, shape (d,)
        Subtracted from the points in float64, so that data far from 0 lose no digits in float32.
    unit : float
        Standard deviation of distances, the scale on which a critic has to vary. Unlike the mean distance
        it does not grow with the number of columns.
    device : torch.device
        Device of the features.
    landmarks : ndarray, shape (K, d), optional
        Points; the features are the distances to them, 1-Lipschitz in the maximum norm.
    """

    metric: Metric
    centre: Array
    unit: float
    device: torch.device
    landmarks: Array | None = None

    @classmethod
    def of(
        cls, x: Array, y: Array, metric: Metric, device: torch.device, seed: int, count: int
    ) -> FeatureMap:
        """Compute centre, unit and landmarks from two samples."""
        rng = np.random.default_rng(seed)
        is_learned = metric.name in LEARNED_METRICS
        centre = (x.mean(0) + y.mean(0)) / 2 if is_learned else np.zeros(x.shape[1])
        pool = np.concatenate([_random_rows(x, UNIT_PAIRS, rng), _random_rows(y, UNIT_PAIRS, rng)])
        shuffled = pool[rng.permutation(len(pool))]
        distances = np.concatenate(
            [
                np.diagonal(metric.matrix(pool[k : k + 64], shuffled[k : k + 64]))
                for k in range(0, len(pool), 64)
            ]
        )
        largest = float(distances.max()) or 1.0
        vanished = is_learned and not distances.any() and bool((pool != shuffled).any())
        if vanished or not math.isfinite(largest):
            raise InputError(
                "x",
                "and y have distances that overflow or underflow",
                "scale the points of both by one factor",
            )
        unit = float((distances / largest).std()) * largest or largest  # squares do not overflow
        if is_learned:
            return cls(metric, centre, unit, device)
        landmarks = np.concatenate(
            [_random_rows(x, count // 2, rng), _random_rows(y, count - count // 2, rng)]
        )
        return cls(metric, centre, unit, device, landmarks)

    @property
    def uses_points(self) -> bool:
        """Return True if the features are the scaled points themselves."""
        return self.landmarks is None

    def transform(self, points: Array | Tensor) -> Tensor:
        """Return float32 features (n, d) or (n, K) of points (n, d), for training."""
        if self.landmarks is None and points.dtype in (torch.float32, np.float32):
            tensor = torch.as_tensor(points, device=self.device)
            return (tensor - torch.as_tensor(self.centre).float().to(self.device)) / self.unit
        return torch.as_tensor(self._features(np.asarray(points))).float().to(self.device)

    def transform_exact(self, points: Array) -> Tensor:
        """Return the features in float64."""
        return torch.as_tensor(self._features(points), device=exact_device(self.device))

    def _features(self, points: Array) -> Array:
        points = np.asarray(points, dtype=np.float64)
        if self.landmarks is None:
            return (points - self.centre) / self.unit
        return self.metric.matrix(points, self.landmarks) / self.unit


def exact_device(device: torch.device) -> torch.device:
    """Return the device for float64: the CPU for MPS, which has none, else the same device."""
    return torch.device("cpu") if device.type == "mps" else device


def _random_rows(points: Array, count: int, rng: np.random.Generator) -> Array:
    return points[rng.permutation(len(points))[:count]]
