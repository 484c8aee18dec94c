"""Funnels: transport along rays towards the tips of a minimum of cones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import cdist

from otdist.bench.problems.pair import FloatArray, normalise_rows
from otdist.typing import Array, FloatType, Index

PUBLISHED_HALF_WIDTH, PUBLISHED_POWER = 2.5, 8.0  # of the published pairs

DISTANCES_PER_BLOCK = 2**17  # small enough for the cache
W1_RAYS = 2**16  # sampled rays of an estimate of W1
# Columns from which on float32 misplaces a point by less than 1e-4, and W1 by less than 1e-6. In 2 columns,
# where 256 tips are close together and K is small, the error is 3e-4, and float64 costs little.
MIN_FLOAT32_COLUMNS = 8


@dataclass(frozen=True, eq=False)
class Funnels:
    """Q uniform on a cube, and P its image under transport along rays towards the tips.

    ``u(z) = min_n |z - a_n| + b_n``; the ray through y leads from the tip a_n of its cone to the point where
    another cone becomes smaller or the cube ends, at the length R. With ``t = |y - a_n| / R``, y moves to
    ``x = a_n + t^(power - 1) (y - a_n)``.

    Attributes
    ----------
    tips : ndarray, shape (n, d)
        Tips a_n inside the cube; no cone lies above another one everywhere (`drop_hidden_cones`).
    offsets : ndarray, shape (n,)
        Offsets b_n.
    half_width : float
        The cube is ``[-half_width, half_width]^d``.
    power : float
        Exponent above 1; larger values move mass closer to the tips.

    Notes
    -----
    Let ``K_nm = |a_n - a_m|^2 - (b_n - b_m)^2``, which is positive where no cone lies above another. On the
    ray ``y = a_n + r v`` the number ``N_m = |y - a_m|^2 - (r + b_n - b_m)^2`` is linear in r: K_nm at
    the tip, and 0 where cone m becomes smaller. So the relative position of y on the ray is
    ``1 - N_m / K_nm``, and ``(y - a_n)_i / (+-half_width - a_n,i)`` for a wall; t is their maximum. No
    divisor can vanish, so every sample is finite, also in float32; where rounding selects the wrong one of
    two tied cones, t is 1 for either and x is y.
    """

    tips: Array
    offsets: Array
    half_width: float = PUBLISHED_HALF_WIDTH
    power: float = PUBLISHED_POWER

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.tips.shape[1])

    @cached_property
    def _tables64(self) -> RayTables:
        return RayTables.from_funnels(self, np.dtype(np.float64))

    @cached_property
    def _tables32(self) -> RayTables:
        return RayTables.from_funnels(self, np.dtype(np.float32))

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        y = rng.random((count, self.d), dtype=dtype)
        y *= 2 * self.half_width
        y -= dtype.type(self.half_width)
        return y

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        return self._transport(self.sample_q(count, rng, dtype))

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw from the optimal coupling."""
        y = self.sample_q(count, rng, np.dtype(np.float64))
        return self._transport(y), y

    def potential(self, z: Array) -> Array:
        """Evaluate ``-u``, which has its peaks at the tips."""
        out = np.empty(len(z))
        for rows in self._iterate_blocks(len(z)):
            out[rows] = -self._evaluate_cones(z[rows]).min(axis=1)
        return out

    def gradient(self, z: Array) -> Array:
        """Evaluate the gradient, the unit vector to the tip; 0 at a tip."""
        nearest = np.empty(len(z), dtype=np.intp)
        for rows in self._iterate_blocks(len(z)):
            nearest[rows] = self._evaluate_cones(z[rows]).argmin(axis=1)
        return normalise_rows(self.tips[nearest] - z)

    def _evaluate_cones(self, z: Array) -> Array:
        # cdist subtracts first: the expanded square is dominated by rounding near a tip, where mass of P is.
        cones: Array = cdist(z, self.tips) + self.offsets
        return cones

    def estimate_mean_ray(self, count: int, rng: np.random.Generator) -> tuple[float, float]:
        """Estimate the mean length of the rays through points of Q, and its standard error."""
        lengths = np.empty(count)
        for rows in self._iterate_blocks(count):
            y = self.sample_q(rows.stop - rows.start, rng, np.dtype(np.float64))
            nearest, position = self._tables64.find_rays(y)
            lengths[rows] = np.sqrt(((y - self.tips[nearest]) ** 2).sum(axis=1)) / position
        return float(lengths.mean()), float(lengths.std(ddof=1) / math.sqrt(count))

    def estimate_w1(self, rng: np.random.Generator) -> tuple[float, float]:
        """Estimate W1 and its standard error by sampling R; t is Beta(d, 1) and independent of the ray."""
        mean, error = self.estimate_mean_ray(W1_RAYS, rng)
        factor = self.d / (self.d + 1) - self.d / (self.d + self.power)
        return factor * mean, factor * error

    @property
    def upper_bound(self) -> float:
        """Upper bound of u on the cube."""
        # A minimum is at most each of its terms, and at most their mean (Jensen).
        corner = self.half_width + np.abs(self.tips)
        each = np.sqrt((corner**2).sum(axis=1)) + self.offsets
        mean = self.half_width**2 + (self.tips**2).mean(axis=0)
        mean += 2 * self.half_width * np.abs(self.tips.mean(axis=0))
        return min(float(each.min()), math.sqrt(mean.sum()) + float(self.offsets.mean()))

    @property
    def minimum(self) -> float:
        """Minimum of u."""
        return float(self.offsets.min())

    def _iterate_blocks(self, count: int) -> Iterator[slice]:
        step = max(DISTANCES_PER_BLOCK // max(self.tips.shape), 1)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def _transport(self, y: FloatArray) -> FloatArray:
        tables = self._tables32 if y.dtype == np.float32 and self.d >= MIN_FLOAT32_COLUMNS else self._tables64
        out = np.empty_like(y)
        for rows in self._iterate_blocks(len(y)):
            part = y[rows].astype(tables.tips.dtype, copy=False)
            nearest, position = tables.find_rays(part)
            tips = tables.tips[nearest]
            out[rows] = tips + (position ** (self.power - 1))[:, None] * (part - tips)
        return out


@dataclass(frozen=True, eq=False)
class RayTables:
    """Quantities of the tips for the computation of rays, in one precision."""

    tips: FloatArray
    offsets: FloatArray
    tip_products: FloatArray  # (d + 2, n): product of (y, |y|^2, 1) with this matrix gives squared distances
    inverse_k: FloatArray  # 1 / K_nm
    offset_shares: FloatArray  # (b_n - b_m)^2 / K_nm
    upper_walls: FloatArray  # 1 / (half_width - a)
    lower_walls: FloatArray  # 1 / (half_width + a)

    @classmethod
    def from_funnels(cls, funnels: Funnels, dtype: FloatType) -> RayTables:
        """Compute the tables in float64, and round once."""
        tips, offsets, half = funnels.tips, funnels.offsets, funnels.half_width
        steps = offsets[:, None] - offsets
        distances = cdist(tips, tips)
        k_values = (distances - np.abs(steps)) * (distances + np.abs(steps))
        np.fill_diagonal(k_values, np.inf)
        tip_products = np.vstack([-2 * tips.T, np.ones(len(tips)), (tips**2).sum(axis=1)])
        walls = [np.divide(1, half - z, out=np.zeros_like(z), where=z < half) for z in (tips, -tips)]
        arrays = tips, offsets, tip_products, 1 / k_values, steps**2 / k_values, *walls
        return cls(*(table.astype(dtype) for table in arrays))

    def find_rays(self, y: FloatArray) -> tuple[Index, FloatArray]:
        """Find the tip of each point, and its relative position t on the ray."""
        norms = np.einsum("ij,ij->i", y, y)[:, None]
        squares = np.hstack([y, norms, np.ones_like(norms)]) @ self.tip_products
        np.maximum(squares, 0, out=squares)
        cones = np.sqrt(squares)
        cones += self.offsets
        nearest = cones.argmin(axis=1)
        steps = y - self.tips[nearest]
        radius = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        squares += np.multiply(2 * radius[:, None], self.offsets, out=cones)
        squares -= (radius * (radius + 2 * self.offsets[nearest]))[:, None]
        squares *= self.inverse_k[nearest]
        squares -= self.offset_shares[nearest]
        squares[np.arange(len(y)), nearest] = 1
        position = 1 - squares.min(axis=1)
        upper_walls, lower_walls = steps * self.upper_walls[nearest], steps * -self.lower_walls[nearest]
        walls = np.maximum(upper_walls, lower_walls, out=upper_walls).max(axis=1)
        return nearest, np.clip(np.maximum(position, walls), 0, 1)


def drop_hidden_cones(tips: Array, offsets: Array) -> tuple[Array, Array]:
    """Drop cones that lie above another one everywhere; u is the same without them."""
    visible: list[int] = []
    for k in np.argsort(offsets, kind="stable"):
        # A dropped cone lies above a kept one, by the triangle inequality.
        if not visible or (cdist(tips[[k]], tips[visible])[0] + offsets[visible] > offsets[k]).all():
            visible.append(int(k))
    visible.sort()
    return tips[visible], offsets[visible]
