"""Real data as a trainer needs it: in two parts, on one scale, with what it was kept aside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otdist.arrays import is_torch, read
from otdist.errors import InputError

FEWEST = 32  # points: below, no part can be kept aside that would show anything
LARGEST = 64  # pixels on a side: beyond, the networks here are the wrong ones


@dataclass(frozen=True, eq=False)
class Scale:
    """``z = (x - centre) / unit``, per number of a point; ``common`` where there is one unit for all."""

    centre: NDArray[np.float64]
    unit: NDArray[np.float64]
    common: bool

    def place(self, points: NDArray[np.float64]) -> Tensor:
        """Points (n, d) as float32 on the scale of the networks."""
        return torch.from_numpy(((points - self.centre) / self.unit).astype(np.float32))

    def restore(self, z: Tensor) -> NDArray[np.float64]:
        """Points (n, d) in the caller's units."""
        return np.asarray(z.detach().cpu().double().numpy() * self.unit + self.centre)

    @property
    def length(self) -> float:
        """What a distance on this scale is multiplied by; 1 where columns have units of their own."""
        return float(self.unit[0]) if self.common else 1.0


@dataclass(frozen=True, eq=False)
class Real:
    """Data to train on and data kept aside, as points (n, d) on the scale of the networks.

    Attributes
    ----------
    train, heldout : Tensor, shape (n, d), (m, d)
        On the scale of the networks.
    scale : Scale
        How to come back.
    shape : tuple of int
        Shape of one point as the caller gave it.
    columns : tuple of str or None
        Names, if the data had some.
    sha256 : str
        Of the numbers, so that a run is not continued on other data.
    notes : tuple of str
        What is odd about the data, and what to do.
    """

    train: Tensor
    heldout: Tensor
    scale: Scale
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None
    sha256: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, data: Any, *, held_out: float, scale: str, seed: int) -> Real:
        """Check data, keep a share aside by a random draw, and bring both parts on one scale."""
        points, shape, columns = _points(data)
        order = np.random.default_rng([seed, 0]).permutation(len(points))
        aside = max(round(held_out * len(points)), FEWEST // 4)
        if len(points) - aside < FEWEST // 2:
            what = f"{held_out:g} leaves {len(points) - aside} of {len(points)} points to train on"
            raise InputError("held_out", what, "keep less aside")
        train = points[np.sort(order[aside:])]
        per_column = scale == "columns" or (scale == "auto" and columns is not None)
        placed = _scale(train, per_column)
        return cls(
            placed.place(train),
            placed.place(points[np.sort(order[:aside])]),
            placed,
            shape,
            columns,
            hashlib.sha256(np.ascontiguousarray(points).tobytes()).hexdigest(),
            tuple(_oddities(points, columns, images=len(shape) > 1)),
        )

    def to(self, device: torch.device) -> Real:
        """The same on a device."""
        parts = self.train.to(device), self.heldout.to(device)
        return Real(*parts, self.scale, self.shape, self.columns, self.sha256, self.notes)


def _points(data: Any) -> tuple[NDArray[np.float64], tuple[int, ...], tuple[str, ...] | None]:
    """Numbers (n, d), the shape of one point, and names of columns."""
    columns = None
    if isinstance(data, np.ndarray) or is_torch(data):
        # Images: `read` knows rows and columns only, so the axes of a point are flattened first.
        shape = tuple(int(k) for k in data.shape[1:])
        values = (
            read(data.reshape(len(data), -1), "data").values if data.ndim > 1 else read(data, "data").values
        )
    else:
        table = read(data, "data")
        values, columns, shape = table.values, table.columns, table.values.shape[1:]
    if values.ndim < 2 or 0 in values.shape:
        what = f"has shape {values.shape}"
        if values.ndim == 1:
            what += ": a list of numbers, or labels, are no points"
        raise InputError("data", what, "give points of shape (n, d), or images (n, height, width)")
    if len(values) < FEWEST:
        raise InputError("data", f"has {len(values)} points", f"give {FEWEST} or more")
    if len(shape) > 3 or (len(shape) > 1 and max(shape[-2:]) > LARGEST):
        what = f"has points of shape {shape}"
        raise InputError("data", what, f"give images of at most {LARGEST} x {LARGEST}, or flat points")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError("data", f"row {row} is not finite", "drop such rows, or fill them in")
    return values, shape, columns


def _scale(points: NDArray[np.float64], per_column: bool) -> Scale:
    centre = points.mean(0)
    spread = points.std(0)
    if not spread.max() > 0:
        raise InputError("data", "is one point, repeated", "there is nothing to learn from it")
    if per_column:
        return Scale(centre, np.where(spread > 0, spread, 1.0), False)
    # One unit, so that distances keep their meaning: the root mean square over columns that vary.
    unit = float(np.sqrt(np.square(spread[spread > 0]).mean()))
    return Scale(centre, np.full(points.shape[1], unit), True)


def _oddities(points: NDArray[np.float64], columns: tuple[str, ...] | None, *, images: bool) -> list[str]:
    """What may be wrong with data that can be trained on."""
    spread = points.std(0)
    found = []
    still = np.flatnonzero(spread == 0)
    if len(still) and len(still) < points.shape[1] and not images:  # the margin of images is often constant
        names = ", ".join(columns[k] if columns else str(k) for k in still[:5])
        more = f" and {len(still) - 5} more" if len(still) > 5 else ""
        found.append(f"constant columns: {names}{more}; leave them out, or see whether a step lost them")
    repeated = 1 - len(np.unique(points, axis=0)) / len(points)
    if repeated > 0.05:
        found.append(
            f"{repeated:.0%} of the rows are repeated; see whether values were rounded or cast to integers"
        )
    elif points.shape[1] > 1 and np.all(points == np.round(points)) and np.ptp(points) <= 4:
        found.append("few whole numbers only; see whether values were cast to integers")
    ratio = spread[spread > 0].max() / spread[spread > 0].min()
    if ratio > 1e3 and points.ndim == 2 and columns is None and points.shape[1] <= 64:
        found.append(f"columns differ {ratio:.0e}-fold in spread: the largest decide; use scale='columns'")
    return found
