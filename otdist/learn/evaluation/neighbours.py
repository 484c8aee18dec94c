"""Nearest neighbours in blocks: fast distances, and exact differences where rounding could decide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from otdist.bounds import FLOAT64_EPS
from otdist.typing import Array, FloatOrArray, Index, Mask

BLOCK_DISTANCES = 2**16  # distances in a block: half a megabyte, which stays in cache
MIN_BLOCK_ROWS = 32  # for efficient matrix products; 13 MB at 50,000 columns
DIRECT_COORDINATES = 2**22  # coordinates at a time in direct distances
REFINED_ROUNDINGS = 2**10  # distances below this multiple of the rounding bound are recomputed


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points prepared for distances by matrix products.

    ``points`` are scaled by a power of two, so that ties are kept. ``centred`` are the points minus a centre
    that all clouds share, since products of large offsets cancel.
    """

    points: Array
    centred: Array
    squares: Array
    minus_twice_transposed: Array

    def __len__(self) -> int:
        return len(self.points)


def make_clouds(*samples: Array) -> tuple[list[Cloud], float]:
    """Make clouds with a common centre and scale; return them and the unit of their distances."""
    centre = samples[0].mean(axis=0)
    extent = max(float(np.abs(points - centre).max()) for points in samples)
    exponent = math.frexp(extent)[1] if extent > 0 else 0
    out = []
    for points in samples:
        centred = np.ldexp(points - centre, -exponent)
        squares = np.einsum("ij,ij->i", centred, centred)
        out.append(
            Cloud(np.ldexp(points, -exponent), centred, squares, np.ascontiguousarray(-2.0 * centred.T))
        )
    return out, math.ldexp(1.0, exponent)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slice the rows into blocks of about ``BLOCK_DISTANCES`` distances."""
    step = max(MIN_BLOCK_ROWS, BLOCK_DISTANCES // max(columns, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def squared_distances(x: Cloud, y: Cloud, rows: slice) -> Array:
    """Compute squared distances of some rows of x to all of y, by one matrix product."""
    out: Array = x.centred[rows] @ y.minus_twice_transposed
    out += x.squares[rows, None]
    out += y.squares
    return out


def _rounding_bound(x: Cloud, squares: FloatOrArray) -> FloatOrArray:
    """Bound the rounding error of :func:`squared_distances`; ``squares`` is the sum of squared norms."""
    return (2 * x.centred.shape[1] + 16) * FLOAT64_EPS * squares


def direct_distances(x: Cloud, y: Cloud, i: Index, j: Index) -> Array:
    """Compute squared distances of pairs (i, j) from differences: ties are kept, equal points have 0."""
    out = np.empty(len(i))
    step = max(1, DIRECT_COORDINATES // x.points.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        gaps = x.points[i[part]] - y.points[j[part]]
        out[part] = np.einsum("ij,ij->i", gaps, gaps)
    return out


def all_squared_distances(x: Cloud) -> Array:
    """Compute squared distances between all rows, (n, n), the small ones from differences."""
    distances = squared_distances(x, x, slice(0, len(x)))
    i, j = np.nonzero(distances <= REFINED_ROUNDINGS * _rounding_bound(x, x.squares[:, None] + x.squares))
    distances[i, j] = direct_distances(x, x, i, j)
    return distances


def kth_nearest_distances(x: Cloud, y: Cloud, k: int = 1) -> Array:
    """Compute the squared distance of each row of x to its k-th nearest other row of y."""
    out = np.empty(len(x))
    for rows in blocks(len(x), len(y)):
        distances = squared_distances(x, y, rows)
        first = np.arange(rows.start, rows.stop)
        if x is y:
            distances[np.arange(len(first)), first] = np.inf
        nearest_rows = (
            distances.argmin(axis=1) if k == 1 else np.argpartition(distances, k - 1, axis=1)[:, :k]
        )
        exact = direct_distances(x, y, np.repeat(first, k), nearest_rows.ravel())
        out[rows] = exact.reshape(-1, k).max(axis=1)
    return out


def nearest_neighbours(x: Cloud, y: Cloud) -> tuple[Array, Index]:
    """Compute the squared distance of each row of x to its nearest row of y, and its index."""
    nearest_rows = np.empty(len(x), dtype=np.intp)
    for rows in blocks(len(x), len(y)):
        nearest_rows[rows] = squared_distances(x, y, rows).argmin(axis=1)
    return direct_distances(x, y, np.arange(len(x)), nearest_rows), nearest_rows


def is_within(x: Cloud, y: Cloud, rows: slice, distances: Array, limit: Array) -> Mask:
    """Return the mask of pairs with a squared distance of at most ``limit``, which is broadcast."""
    inside: Mask = distances <= limit
    # One bound for the block shows quickly that no pair is doubtful; otherwise each pair has its own bound.
    margin = _rounding_bound(x, x.squares[rows].max() + y.squares.max())
    if not np.array_equal(distances <= limit - margin, distances <= limit + margin):
        pairs = _rounding_bound(x, x.squares[rows, None] + y.squares)
        i, j = np.nonzero(np.abs(distances - limit) <= pairs)
        limits = np.broadcast_to(limit, distances.shape)[i, j]
        inside[i, j] = direct_distances(x, y, i + rows.start, j) <= limits
    return inside


def count_close_pairs(x: Cloud, limit: float) -> int:
    """Count unordered pairs of rows with a squared distance of at most ``limit``."""
    count = 0
    for rows in blocks(len(x), len(x)):
        distances = squared_distances(x, x, rows)
        count += int(is_within(x, x, rows, distances, np.full((1, 1), limit)).sum())
    return (count - len(x)) // 2  # each row has distance 0 to itself
