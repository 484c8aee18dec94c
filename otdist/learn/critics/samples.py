"""Training, validation and test points of critics, in three disjoint parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.critics.feature_map import exact_device
from otdist.learn.distributed import broadcast_from_first, local_rows, rank_and_world_size
from otdist.typing import Array, ArrayInput, ArrayOrTensor, Index

Transform = Callable[[ArrayOrTensor], Tensor]
Source = Callable[[int], ArrayInput]
Rows = list[Index]  # of the training, validation and test part

HELDOUT_SHARES = (0.1, 0.1)  # shares of the rows for validation and for testing
HELDOUT_POINTS = 16_384  # fresh points of each held-out part, if there is a source
MIN_ROWS = 20  # fewest rows of a sample that can be split
SIDE_NAMES = ("x", "y")


@dataclass(frozen=True, eq=False)
class Part:
    """Features and weights, of sum 1, of both samples."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor

    def gap(self, of_x: Tensor, of_y: Tensor) -> float:
        """Return ``sum_i a_i f(x_i) - sum_j b_j f(y_j)`` from the critic's values."""
        return float(of_x @ self.a.to(of_x) - of_y @ self.b.to(of_y))

    def head(self, count: int) -> Part:
        """Return the first points of each sample, which are in random order."""
        a, b = self.a[:count], self.b[:count]
        return Part(self.x[:count], self.y[:count], a / a.sum(), b / b.sum())


@dataclass(frozen=True, eq=False)
class Samples:
    """Two samples, split once; batches are drawn with replacement, with probabilities by weight."""

    train: Part
    validation: Part
    test: Part

    @classmethod
    def of(
        cls, sides: tuple[Array, Array], masses: tuple[Array, Array], rows: list[Rows], transform: Transform
    ) -> Samples:
        """Build the parts from the rows that :func:`split_rows` returned."""
        parts = []
        for k in range(3):
            points = [transform(side[row[k]]) for side, row in zip(sides, rows, strict=True)]
            weights = [mass[row[k]] for mass, row in zip(masses, rows, strict=True)]
            parts.append(Part(*points, *(_tensor(w, points[0].device) for w in weights)))
        return cls(*parts)

    @property
    def has_fresh_batches(self) -> bool:
        """Return True if every batch is of fresh points."""
        return False

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw rows of the training part, and return the share of this process."""
        part = self.train
        return _sample_rows(part.x, part.a, size, generator), _sample_rows(part.y, part.b, size, generator)


@dataclass(frozen=True, eq=False)
class Sources:
    """Two sources of fresh points, with validation and test points that are drawn once."""

    sources: tuple[Source, Source]
    transform: Transform
    d: int
    validation: Part
    test: Part

    @classmethod
    def of(cls, sources: tuple[Source, Source], transform: Transform, d: int) -> Sources:
        """Draw the held-out points; all processes use those of the first."""
        parts = [_draw_part(sources, transform, d) for _ in range(2)]
        for part in parts:
            for name, points in zip(SIDE_NAMES, (part.x, part.y), strict=True):
                if not bool(torch.isfinite(points).all()):
                    raise InputError(name, "must give finite points", "repair the source")
        return cls(sources, transform, d, *parts)

    @property
    def has_fresh_batches(self) -> bool:
        """Return True if every batch is of fresh points."""
        return True

    @property
    def train(self) -> Part:
        """Fresh points, to evaluate the training gap."""
        return _draw_part(self.sources, self.transform, self.d)

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the share of this process of a batch of fresh points."""
        del generator  # the sources have their own
        share = len(local_rows(size))
        x, y = (self.transform(draw_points(self.sources[k], SIDE_NAMES[k], share, self.d)) for k in range(2))
        return x, y


Data = Samples | Sources


def draw_points(source: Source, name: str, size: int, d: int | None = None) -> ArrayOrTensor:
    """Draw points of a source, an array or a tensor, and check their shape."""
    points = source(size)
    points = points.detach() if isinstance(points, Tensor) else np.asarray(points)
    if points.ndim != 2 or len(points) != size or (d is not None and points.shape[1] != d):
        expected = f"({size}, {'d' if d is None else d})"
        raise InputError(
            name, f"must give points of shape {expected}, got {points.shape}", "return one point per row"
        )
    return points


def _draw_part(sources: tuple[Source, Source], transform: Transform, d: int) -> Part:
    x, y = (transform(draw_points(sources[k], SIDE_NAMES[k], HELDOUT_POINTS, d)) for k in range(2))
    broadcast_from_first(x, y)
    equal_weights = _tensor(np.ones(HELDOUT_POINTS), x.device)
    return Part(x, y, equal_weights, equal_weights)


def split_rows(sizes: tuple[int, int], seed: int) -> list[Rows]:
    """Split the rows of both samples: 80 % for training, 10 % for validation, 10 % for testing."""
    rng = np.random.default_rng(seed)
    return [_split_sample(n, name, rng) for n, name in zip(sizes, SIDE_NAMES, strict=True)]


def _split_sample(n: int, name: str, rng: np.random.Generator) -> Rows:
    if n < MIN_ROWS:
        raise InputError(
            name,
            f"must have at least {MIN_ROWS} rows, for training, validation and test parts, got {n}",
            "give more rows, or use method='dense', which is exact",
        )
    order = rng.permutation(n)
    first, second = (max(2, round(share * n)) for share in HELDOUT_SHARES)
    return [order[first + second :], order[:first], order[first : first + second]]


def _tensor(weights: Array, device: torch.device) -> Tensor:
    return torch.as_tensor(weights / weights.sum(), device=exact_device(device))


def _sample_rows(points: Tensor, weights: Tensor, size: int, generator: torch.Generator) -> Tensor:
    if bool((weights == weights[0]).all()):
        rows = torch.randint(len(points), (size,), generator=generator)
    else:
        rows = torch.multinomial(weights.cpu(), size, replacement=True, generator=generator)
    rank, world = rank_and_world_size()
    return points[rows[rank::world].to(points.device)]
