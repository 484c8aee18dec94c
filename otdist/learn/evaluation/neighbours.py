"""Nearest neighbours in blocks: fast distances, and direct ones wherever rounding could decide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

ENTRIES = 2**16  # distances at a time: half a megabyte, which stays in cache
ROWS = 32  # of a block at least, for the sake of matrix products: 13 MB at 50,000 columns
DIRECT = 2**22  # coordinates at a time where distances are computed directly
REFINED = 2**10  # distances below so many roundings are computed anew
UNIT = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points ready for distances by matrix products.

    ``given`` are the points times a power of two: ties among them stay ties. ``near`` are the same
    about a centre that all clouds share, since products of large offsets cancel; ``turned`` is -2 times
    their transpose.
    """

    given: Array
    near: Array
    squares: Array
    turned: Array

    def __len__(self) -> int:
        return len(self.given)


def clouds(*samples: Array) -> tuple[list[Cloud], float]:
    """Clouds about one centre on one scale, and the factor from their distances to the caller's."""
    centre = samples[0].mean(axis=0)
    reach = max(float(np.abs(points - centre).max()) for points in samples)
    exponent = math.frexp(reach)[1] if reach > 0 else 0
    out = []
    for points in samples:
        near = np.ldexp(points - centre, -exponent)
        squares = np.einsum("ij,ij->i", near, near)
        out.append(Cloud(np.ldexp(points, -exponent), near, squares, np.ascontiguousarray(-2.0 * near.T)))
    return out, math.ldexp(1.0, exponent)


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of the rows, so that a block has about ``ENTRIES`` distances."""
    step = max(ROWS, ENTRIES // max(columns, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def squared(x: Cloud, y: Cloud, rows: slice) -> Array:
    """Squared distances of some rows of x to all of y, in one product of matrices."""
    out: Array = x.near[rows] @ y.turned
    out += x.squares[rows, None]
    out += y.squares
    return out


def _rounding(x: Cloud, squares: Any) -> Any:
    """Bound of the rounding of :func:`squared`, where two squared norms add up to ``squares``."""
    return (2 * x.near.shape[1] + 16) * UNIT * squares


def direct(x: Cloud, y: Cloud, i: Index, j: Index) -> Array:
    """Squared distances of pairs (i, j) from differences: ties stay ties, equal points are at 0."""
    out = np.empty(len(i))
    step = max(1, DIRECT // x.given.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        gaps = x.given[i[part]] - y.given[j[part]]
        out[part] = np.einsum("ij,ij->i", gaps, gaps)
    return out


def all_squared(x: Cloud) -> Array:
    """Squared distances between all rows, (n, n); the small ones from differences: equal rows are at 0."""
    near = squared(x, x, slice(0, len(x)))
    i, j = np.nonzero(near <= REFINED * _rounding(x, x.squares[:, None] + x.squares))
    near[i, j] = direct(x, x, i, j)
    return near


def nearest(x: Cloud, y: Cloud, k: int = 1) -> Array:
    """Squared distance of each row of x to its k-th nearest in y; of the others, if x is y."""
    out = np.empty(len(x))
    for rows in blocks(len(x), len(y)):
        near = squared(x, y, rows)
        first = np.arange(rows.start, rows.stop)
        if x is y:
            near[np.arange(len(first)), first] = np.inf
        found = near.argmin(axis=1) if k == 1 else np.argpartition(near, k - 1, axis=1)[:, :k]
        exact = direct(x, y, np.repeat(first, k), found.ravel())
        out[rows] = exact.reshape(-1, k).max(axis=1)
    return out


def neighbours(x: Cloud, y: Cloud) -> tuple[Array, Index]:
    """Squared distance of each row of x to its nearest in y, and which row that is."""
    found = np.empty(len(x), dtype=np.intp)
    for rows in blocks(len(x), len(y)):
        found[rows] = squared(x, y, rows).argmin(axis=1)
    return direct(x, y, np.arange(len(x)), found), found


def within(x: Cloud, y: Cloud, rows: slice, near: Array, limit: Array) -> Mask:
    """Which pairs are no farther apart than ``limit``, which broadcasts against the block ``near``."""
    inside: Mask = near <= limit
    # One bound for the block says quickly that there is no doubt; where there is, each pair has its own.
    margin = _rounding(x, x.squares[rows].max() + y.squares.max())
    if not np.array_equal(near <= limit - margin, near <= limit + margin):
        pairs = _rounding(x, x.squares[rows, None] + y.squares)
        i, j = np.nonzero(np.abs(near - limit) <= pairs)
        edge = np.broadcast_to(limit, near.shape)[i, j]
        inside[i, j] = direct(x, y, i + rows.start, j) <= edge
    return inside


def close_pairs(x: Cloud, limit: float) -> int:
    """Number of unordered pairs of rows whose squared distance is at most ``limit``."""
    count = 0
    for rows in blocks(len(x), len(x)):
        near = squared(x, x, rows)
        count += int(within(x, x, rows, near, np.full((1, 1), limit)).sum())
    return (count - len(x)) // 2  # a row is at distance 0 of itself
