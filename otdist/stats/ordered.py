"""Samples in increasing order: quantiles, merging and W1 without sorting again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK_VALUES = 2**18  # values merged at a time


def quantiles(values: Array, levels: Array) -> Array:
    """Quantiles of a sorted sample, interpolated linearly as by ``numpy.quantile``."""
    last = len(values) - 1
    places = levels * last
    below = np.minimum(np.floor(places).astype(np.intp), last)
    fraction = places - below
    low, high = values[below], values[np.minimum(below + 1, last)]
    rise = high - low
    return np.asarray(np.where(fraction >= 0.5, high - rise * (1 - fraction), low + rise * fraction))


def median(values: Array) -> float:
    """Median of a sorted sample."""
    count = len(values)
    return float((values[(count - 1) // 2] + values[count // 2]) / 2)


def merge(x: Array, y: Array) -> Array:
    """Values of two sorted samples in order."""
    pool = np.concatenate([x, y])
    pool.sort(kind="stable")  # finds the two runs and merges them
    return pool


def wasserstein(x: Array, y: Array) -> float:
    """W1 between two sorted samples, each with equal weights.

    Differences of the distribution functions are whole numbers until the end, so equal samples give exactly
    0 and long ones lose nothing to rounded cumulated weights.

    Notes
    -----
    Cost: O(n + m) time, and memory for the values between two neighbours of one block of x.
    """
    n, m = len(x), len(y)
    if n == m:
        gaps = x - y
        return float(np.abs(gaps, out=gaps).sum() / n)
    step = max(1, BLOCK_VALUES * n // (n + m))
    firsts = np.arange(0, n, step)
    seconds = np.searchsorted(y, x[firsts])
    seconds[0] = 0
    ends = np.append(x[firsts[1:]], max(x[-1], y[-1]))
    total = 0.0
    for i, after_i, j, after_j, end in zip(
        firsts, np.append(firsts[1:], n), seconds, np.append(seconds[1:], m), ends, strict=True
    ):
        height = int(i) * m - int(j) * n
        total += _area(x[i:after_i], y[j:after_j], (n, m), height, float(end))
    return total / n / m


def _area(x: Array, y: Array, sizes: tuple[int, int], height: int, end: float) -> float:
    """Integral up to ``end`` of ``|h|``, which rises by ``sizes[1]`` at x and falls by ``sizes[0]`` at y."""
    places = np.concatenate([x, y, [end]])
    order = np.argsort(places[:-1], kind="stable")
    heights = np.where(order < len(x), sizes[1], -sizes[0]).cumsum()
    heights += height
    places[:-1] = places[order]
    return float(np.abs(heights).astype(np.float64) @ np.diff(places))
