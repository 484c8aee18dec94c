"""Points that critics are trained, chosen and judged on: three parts that share no row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otdist.errors import InputError
from otdist.learn.critics.processes import of_first, own, rank_and_world

Array = NDArray[np.float64]
Place = Callable[[Any], Tensor]
Draw = Callable[[int], Any]
Rows = list[NDArray[np.intp]]  # to train on, to choose by, to judge by

SHARES = (0.1, 0.1)  # of the rows for validation and for the test
HELD = 16_384  # fresh points of each part, where they are drawn
FEWEST = 20  # rows of a sample that can be split
SIDES = ("x", "y")


@dataclass(frozen=True, eq=False)
class Part:
    """Features and weights (of total 1) of both samples."""

    x: Tensor
    y: Tensor
    a: Tensor
    b: Tensor

    def gap(self, of_x: Tensor, of_y: Tensor) -> float:
        """``sum_i a_i f(x_i) - sum_j b_j f(y_j)`` from the critic's values."""
        return float(of_x @ self.a.to(of_x) - of_y @ self.b.to(of_y))

    def some(self, count: int) -> Part:
        """Return the first of each, which stand in random order."""
        a, b = self.a[:count], self.b[:count]
        return Part(self.x[:count], self.y[:count], a / a.sum(), b / b.sum())


@dataclass(frozen=True, eq=False)
class Samples:
    """Two given samples, split once; batches are drawn with replacement, by weight."""

    train: Part
    validation: Part
    test: Part

    @classmethod
    def of(
        cls, sides: tuple[Array, Array], masses: tuple[Array, Array], rows: list[Rows], place: Place
    ) -> Samples:
        """Take the parts of both samples that :func:`split` chose."""
        parts = []
        for k in range(3):
            points = [place(side[row[k]]) for side, row in zip(sides, rows, strict=True)]
            weights = [mass[row[k]] for mass, row in zip(masses, rows, strict=True)]
            parts.append(Part(*points, *(_tensor(w, points[0].device) for w in weights)))
        return cls(*parts)

    @property
    def plentiful(self) -> bool:
        """Whether new points never run out."""
        return False

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows of the training part; of several processes, which draw alike, each has its share of them."""
        part = self.train
        return _chosen(part.x, part.a, size, generator), _chosen(part.y, part.b, size, generator)


@dataclass(frozen=True, eq=False)
class Streams:
    """Two sources of fresh points; what the critic is chosen and judged by is drawn beforehand."""

    draws: tuple[Draw, Draw]
    place: Place
    d: int
    validation: Part
    test: Part

    @classmethod
    def of(cls, draws: tuple[Draw, Draw], place: Place, d: int) -> Streams:
        """Draw the points that are held back, on all processes those of the first."""
        held = [_held(draws, place, d) for _ in range(2)]
        for part in held:
            for name, points in zip(SIDES, (part.x, part.y), strict=True):
                if not bool(torch.isfinite(points).all()):
                    raise InputError(name, "gave a point that is not finite", "repair the source")
        return cls(draws, place, d, *held)

    @property
    def plentiful(self) -> bool:
        """Whether new points never run out."""
        return True

    @property
    def train(self) -> Part:
        """Fresh points, as a measure of what is learned on such."""
        return _held(self.draws, self.place, self.d)

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Fresh points; of several processes each draws its share of them."""
        del generator  # the sources keep their own
        share = len(own(size))
        x, y = (self.place(drawn(self.draws[k], SIDES[k], share, self.d)) for k in range(2))
        return x, y


Data = Samples | Streams


def drawn(draw: Draw, name: str, size: int, d: int | None = None) -> Any:
    """Fresh points of a source, an array or a tensor, checked."""
    points = draw(size)
    points = points.detach() if isinstance(points, Tensor) else np.asarray(points)
    if points.ndim != 2 or len(points) != size or (d is not None and points.shape[1] != d):
        wanted = f"({size}, {'d' if d is None else d})"
        raise InputError(name, f"gave points of shape {points.shape}, not {wanted}", "return one point a row")
    return points


def _held(draws: tuple[Draw, Draw], place: Place, d: int) -> Part:
    x, y = (place(drawn(draws[k], SIDES[k], HELD, d)) for k in range(2))
    of_first(x, y)
    even = torch.full((HELD,), 1.0 / HELD, dtype=torch.float64, device=x.device)
    return Part(x, y, even, even)


def split(sizes: tuple[int, int], seed: int) -> list[Rows]:
    """Rows of both samples: four fifths to train on, a tenth to choose by, a tenth to judge by."""
    rng = np.random.default_rng(seed)
    return [_split(n, name, rng) for n, name in zip(sizes, SIDES, strict=True)]


def _split(n: int, name: str, rng: np.random.Generator) -> Rows:
    if n < FEWEST:
        raise InputError(
            name,
            f"has {n} rows: too few to train, choose and judge a critic on rows of their own",
            f"give at least {FEWEST}, or use method='dense', which is exact",
        )
    order = rng.permutation(n)
    first, second = (max(2, round(share * n)) for share in SHARES)
    return [order[first + second :], order[:first], order[first : first + second]]


def _tensor(weights: Array, device: torch.device) -> Tensor:
    return torch.as_tensor(weights / weights.sum(), device=device)


def _chosen(points: Tensor, weights: Tensor, size: int, generator: torch.Generator) -> Tensor:
    if bool((weights == weights[0]).all()):
        rows = torch.randint(len(points), (size,), generator=generator)
    else:
        rows = torch.multinomial(weights.cpu(), size, replacement=True, generator=generator)
    rank, world = rank_and_world()
    return points[rows[rank::world].to(points.device)]
