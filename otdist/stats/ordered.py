"""Quantiles, merging and W1 of sorted samples."""

from __future__ import annotations

import numpy as np

from otdist.typing import Array

MERGE_BLOCK_VALUES = 2**18  # values merged at a time


def quantiles(values: Array, levels: Array) -> Array:
    """Compute quantiles of a sorted sample by linear interpolation, as ``numpy.quantile``."""
    last = len(values) - 1
    positions = levels * last
    below = np.minimum(np.floor(positions).astype(np.intp), last)
    fraction = positions - below
    low, high = values[below], values[np.minimum(below + 1, last)]
    step = high - low
    return np.asarray(np.where(fraction >= 0.5, high - step * (1 - fraction), low + step * fraction))


def median(values: Array) -> float:
    """Compute the median of a sorted sample."""
    count = len(values)
    return float((values[(count - 1) // 2] + values[count // 2]) / 2)


def merge(x: Array, y: Array) -> Array:
    """Merge two sorted samples."""
    pool = np.concatenate([x, y])
    pool.sort(kind="stable")  # detects the two sorted runs and merges them
    return pool


def wasserstein(x: Array, y: Array) -> float:
    """Compute W1 between two sorted samples, each with equal weights.

    Differences of the distribution functions are integers until the end, so equal samples give exactly 0
    and cumulated weights of long samples are not rounded.

    Notes
    -----
    Cost: O(n + m) time, and memory for one block of x and the values of y within its range.
    """
    n, m = len(x), len(y)
    if n == m:
        gaps = x - y
        return float(np.abs(gaps, out=gaps).sum() / n)
    step = max(1, MERGE_BLOCK_VALUES * n // (n + m))
    firsts = np.arange(0, n, step)
    seconds = np.searchsorted(y, x[firsts])
    seconds[0] = 0
    ends = np.append(x[firsts[1:]], max(x[-1], y[-1]))
    total = 0.0
    for i, after_i, j, after_j, end in zip(
        firsts, np.append(firsts[1:], n), seconds, np.append(seconds[1:], m), ends, strict=True
    ):
        height = int(i) * m - int(j) * n
        total += _integrate_area(x[i:after_i], y[j:after_j], (n, m), height, float(end))
    return total / n / m


def _integrate_area(x: Array, y: Array, sizes: tuple[int, int], height: int, end: float) -> float:
    """Integrate ``|h|`` up to ``end``, where h rises by ``sizes[1]`` at x and falls by ``sizes[0]`` at y."""
    points = np.concatenate([x, y, [end]])
    order = np.argsort(points[:-1], kind="stable")
    heights = np.where(order < len(x), sizes[1], -sizes[0]).cumsum()
    heights += height
    points[:-1] = points[order]
    return float(np.abs(heights).astype(np.float64) @ np.diff(points))
