"""From the caller's points to a critic's features, in units of the spread of distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otdist.errors import InputError
from otdist.metrics import Metric

Array = NDArray[np.float64]

PAIRS = 4096  # distances that the unit is found from
LEARNED = ("euclidean", "cityblock", "chebyshev")  # metrics whose anchors move


@dataclass(frozen=True, eq=False)
class Frame:
    """Centre and unit; for metrics without a gradient the points that distances are taken to.

    Attributes
    ----------
    metric : Metric
        Ground metric.
    centre : ndarray, shape (d,)
        Subtracted from points. Kept apart so that data far from 0 lose nothing in float32.
    unit : float
        Standard deviation of distances: the scale on which a critic has to vary. Unlike the mean distance
        it does not grow with the number of columns.
    device : torch.device
        Where features go.
    landmarks : ndarray, shape (K, d), optional
        Features are the distances to these points: 1-Lipschitz in the largest of them.
    """

    metric: Metric
    centre: Array
    unit: float
    device: torch.device
    landmarks: Array | None = None

    @classmethod
    def of(cls, x: Array, y: Array, metric: Metric, device: torch.device, seed: int, count: int) -> Frame:
        """Measure the spread of two samples."""
        rng = np.random.default_rng(seed)
        moves = metric.name in LEARNED
        centre = (x.mean(0) + y.mean(0)) / 2 if moves else np.zeros(x.shape[1])
        both = np.concatenate([_some(x, PAIRS, rng), _some(y, PAIRS, rng)])
        others = both[rng.permutation(len(both))]
        distances = np.concatenate(
            [
                np.diagonal(metric.matrix(both[k : k + 64], others[k : k + 64]))
                for k in range(0, len(both), 64)
            ]
        )
        size = float(distances.max()) or 1.0
        vanished = moves and not distances.any() and bool((both != others).any())
        if vanished or not math.isfinite(size):
            raise InputError(
                "x", "and y have distances that over- or underflow", "scale the points of both alike"
            )
        unit = float((distances / size).std()) * size or size  # squares do not overflow
        if moves:
            return cls(metric, centre, unit, device)
        marks = np.concatenate([_some(x, count // 2, rng), _some(y, count - count // 2, rng)])
        return cls(metric, centre, unit, device, marks)

    @property
    def moving(self) -> bool:
        """Whether features are the points themselves."""
        return self.landmarks is None

    def place(self, points: Array | Tensor) -> Tensor:
        """Features (n, d) or (n, K) of points (n, d), float32 for training."""
        if self.landmarks is None and points.dtype in (torch.float32, np.float32):
            moved = torch.as_tensor(points, device=self.device)
            return (moved - torch.as_tensor(self.centre, device=self.device).float()) / self.unit
        return self.exact(np.asarray(points)).float()

    def exact(self, points: Array) -> Tensor:
        """The same in float64."""
        points = np.asarray(points, dtype=np.float64)
        if self.landmarks is None:
            features = (points - self.centre) / self.unit
        else:
            features = self.metric.matrix(points, self.landmarks) / self.unit
        return torch.as_tensor(features, device=self.device)


def _some(points: Array, count: int, rng: np.random.Generator) -> Array:
    return points[rng.permutation(len(points))[:count]]
