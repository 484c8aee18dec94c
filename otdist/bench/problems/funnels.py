"""Funnels: rays that end in the tips of a minimum of cones, and mass drawn towards the tips along them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from otdist.arrays import Array
from otdist.bench.problems.pair import Floating, unit

HALF_WIDTH, POWER = 2.5, 8.0  # of the published pairs

BLOCK = 2**17  # distances at a time: they stay in cache
TRUTH_RAYS = 2**16
# From here on float32 misplaces a point by less than 1e-4, and W1 by less than 1e-6; in 2 columns, where
# 256 tips crowd and K is small, by 3e-4. There float64 costs little.
SINGLE = 8


@dataclass(frozen=True, eq=False)
class Funnels:
    """Q uniform on a cube; P its image when every point moves along its ray towards the tip.

    ``u(z) = min_n |z - a_n| + b_n``; the ray through y leads from the tip a_n of its cone to where another
    cone takes over or the cube ends, at the length R. With ``t = |y - a_n| / R``, y moves to
    ``x = a_n + t^(power - 1) (y - a_n)``.

    Attributes
    ----------
    tips : ndarray, shape (n, d)
        Tips a_n inside the cube, of which no cone lies above another one (`standing`).
    offsets : ndarray, shape (n,)
        Offsets b_n.
    half_width : float
        The cube is ``[-half_width, half_width]^d``.
    power : float
        Above 1: how strongly mass is drawn towards the tips.

    Notes
    -----
    Let ``K_nm = |a_n - a_m|^2 - (b_n - b_m)^2``, which is positive where no cone lies above another. On the
    ray ``y = a_n + r v`` the number ``N_m = |y - a_m|^2 - (r + b_n - b_m)^2`` is linear in r: K_nm at
    the tip, and 0 where cone m takes over. So the share of the ray that lies behind y is
    ``1 - N_m / K_nm``, and ``(y - a_n)_i / (+-half_width - a_n,i)`` for a wall; t is the largest of
    them. Nothing is divided by a number that may vanish, so every sample is finite, in float32 too;
    where rounding picks the wrong one of two cones that tie, t is 1 for either and x is y.
    """

    tips: Array
    offsets: Array
    half_width: float = HALF_WIDTH
    power: float = POWER

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.tips.shape[1])

    @cached_property
    def _double(self) -> Tables:
        return Tables.of(self, np.dtype(np.float64))

    @cached_property
    def _single(self) -> Tables:
        return Tables.of(self, np.dtype(np.float32))

    def second(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from Q."""
        y = rng.random((count, self.d), dtype=dtype)
        y *= 2 * self.half_width
        y -= dtype.type(self.half_width)
        return y

    def first(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from P."""
        return self._moved(self.second(count, rng, dtype))

    def coupled(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw from the optimal coupling."""
        y = self.second(count, rng, np.dtype(np.float64))
        return self._moved(y), y

    def potential(self, z: Array) -> Array:
        """Evaluate ``-u``, whose peaks are the tips."""
        out = np.empty(len(z))
        for rows in self._blocks(len(z)):
            out[rows] = -self._heights(z[rows]).min(axis=1)
        return out

    def gradient(self, z: Array) -> Array:
        """Direction to the tip; 0 at a tip, where there is none."""
        nearest = np.empty(len(z), dtype=np.intp)
        for rows in self._blocks(len(z)):
            nearest[rows] = self._heights(z[rows]).argmin(axis=1)
        return unit(self.tips[nearest] - z)

    def _heights(self, z: Array) -> Array:
        # cdist takes differences first: the expanded square is all rounding near a tip, where P lives.
        heights: Array = cdist(z, self.tips) + self.offsets
        return heights

    def mean_ray(self, count: int, rng: np.random.Generator) -> tuple[float, float]:
        """Mean length of the rays through points of Q, and its standard error."""
        lengths = np.empty(count)
        for rows in self._blocks(count):
            y = self.second(rows.stop - rows.start, rng, np.dtype(np.float64))
            nearest, share = self._double.rays(y)
            lengths[rows] = np.sqrt(((y - self.tips[nearest]) ** 2).sum(axis=1)) / share
        return float(lengths.mean()), float(lengths.std(ddof=1) / math.sqrt(count))

    def w1(self, rng: np.random.Generator) -> tuple[float, float]:
        """W1 and its standard error: t is Beta(d, 1) and independent of the ray, so only R is sampled."""
        mean, error = self.mean_ray(TRUTH_RAYS, rng)
        factor = self.d / (self.d + 1) - self.d / (self.d + self.power)
        return factor * mean, factor * error

    @property
    def highest(self) -> float:
        """Upper bound of u on the cube."""
        # The least of several numbers is at most each of them, and at most their mean (Jensen).
        corner = self.half_width + np.abs(self.tips)
        each = np.sqrt((corner**2).sum(axis=1)) + self.offsets
        mean = self.half_width**2 + (self.tips**2).mean(axis=0)
        mean += 2 * self.half_width * np.abs(self.tips.mean(axis=0))
        return min(float(each.min()), math.sqrt(mean.sum()) + float(self.offsets.mean()))

    @property
    def lowest(self) -> float:
        """Least value of u."""
        return float(self.offsets.min())

    def _blocks(self, count: int) -> Iterator[slice]:
        step = max(BLOCK // max(self.tips.shape), 1)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def _moved(self, y: Floating) -> Floating:
        tables = self._single if y.dtype == np.float32 and self.d >= SINGLE else self._double
        out = np.empty_like(y)
        for rows in self._blocks(len(y)):
            part = y[rows].astype(tables.tips.dtype, copy=False)
            nearest, share = tables.rays(part)
            tips = tables.tips[nearest]
            out[rows] = tips + (share ** (self.power - 1))[:, None] * (part - tips)
        return out


@dataclass(frozen=True, eq=False)
class Tables:
    """What rays need of the tips, in one precision."""

    tips: Floating
    offsets: Floating
    lifted: Floating  # (d + 2, n): (y, |y|^2, 1) times it are the squared distances
    inverse: Floating  # 1 / K_nm
    handicap: Floating  # (b_n - b_m)^2 / K_nm
    above: Floating  # 1 / (half_width - a)
    below: Floating  # 1 / (half_width + a)

    @classmethod
    def of(cls, funnels: Funnels, dtype: Any) -> Tables:
        """Compute them in float64, and round once."""
        tips, offsets, half = funnels.tips, funnels.offsets, funnels.half_width
        steps = offsets[:, None] - offsets
        distances = cdist(tips, tips)
        shares = (distances - np.abs(steps)) * (distances + np.abs(steps))
        np.fill_diagonal(shares, np.inf)
        lifted = np.vstack([-2 * tips.T, np.ones(len(tips)), (tips**2).sum(axis=1)])
        walls = [np.divide(1, half - z, out=np.zeros_like(z), where=z < half) for z in (tips, -tips)]
        every = tips, offsets, lifted, 1 / shares, steps**2 / shares, *walls
        return cls(*(table.astype(dtype) for table in every))

    def rays(self, y: Floating) -> tuple[NDArray[np.intp], Floating]:
        """Nearest tips, and the share t of the ray that lies behind each point."""
        norms = np.einsum("ij,ij->i", y, y)[:, None]
        squares = np.hstack([y, norms, np.ones_like(norms)]) @ self.lifted
        np.maximum(squares, 0, out=squares)
        heights = np.sqrt(squares)
        heights += self.offsets
        nearest = heights.argmin(axis=1)
        steps = y - self.tips[nearest]
        radius = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        squares += np.multiply(2 * radius[:, None], self.offsets, out=heights)
        squares -= (radius * (radius + 2 * self.offsets[nearest]))[:, None]
        squares *= self.inverse[nearest]
        squares -= self.handicap[nearest]
        squares[np.arange(len(y)), nearest] = 1
        share = 1 - squares.min(axis=1)
        above, below = steps * self.above[nearest], steps * -self.below[nearest]
        walls = np.maximum(above, below, out=above).max(axis=1)
        return nearest, np.clip(np.maximum(share, walls), 0, 1)


def standing(tips: Array, offsets: Array) -> tuple[Array, Array]:
    """Leave out cones that lie above another one everywhere: u is the same without them."""
    kept: list[int] = []
    for k in np.argsort(offsets, kind="stable"):
        # A cone that is left out lies above one that is kept: the triangle inequality.
        if not kept or (cdist(tips[[k]], tips[kept])[0] + offsets[kept] > offsets[k]).all():
            kept.append(int(k))
    kept.sort()
    return tips[kept], offsets[kept]
