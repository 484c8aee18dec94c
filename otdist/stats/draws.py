"""W1 between random parts of one pool, many times: the engine of every test here.

A pool of N rows is split at random into k rows against l others. With the pool x and y
together that is a permutation test; with the reference alone it is the noise floor. Each
engine takes (k, l, count, rng) and returns ``count`` distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.simplex import transport_cost

Array = NDArray[np.float64]
Draws = Callable[[int, int, int, np.random.Generator], Array]

BATCH = 2**21  # labels drawn at a time: 16 MB
LONG = 20_000  # rows from which one split at a time is faster


@dataclass(frozen=True, eq=False)
class LinePool:
    """Values on the line: W1 is the area between two distribution functions."""

    values: Array

    def __call__(self, k: int, l: int, count: int, rng: np.random.Generator) -> Array:  # noqa: E741
        """Split and measure ``count`` times."""
        values = np.sort(self.values)
        widths = np.diff(values)
        if len(values) > LONG:
            return np.array([_long_split(widths, k, l, rng) for _ in range(count)]) / (k * l)
        # Whole numbers: +l for the k rows on one side, -k for the l rows on the other.
        labels = np.zeros(len(values), dtype=np.int64)
        labels[:k], labels[k : k + l] = l, -k
        out = np.empty(count)
        step = max(1, BATCH // len(values))
        for start in range(0, count, step):
            size = min(step, count - start)
            heights = rng.permuted(np.tile(labels, (size, 1)), axis=1)
            np.abs(np.cumsum(heights, axis=1, out=heights), out=heights)
            out[start : start + size] = heights[:, :-1] @ widths
        return out / (k * l)


def _long_split(widths: Array, k: int, l: int, rng: np.random.Generator) -> float:  # noqa: E741
    chosen = random_subset(len(widths) + 1, k + l, rng)
    heights = np.zeros(len(chosen))  # whole numbers still: far below 2**53
    left = random_subset(k + l, k, rng)
    heights[chosen] = np.where(left, float(l), -float(k))
    np.abs(np.cumsum(heights, out=heights), out=heights)
    return float(heights[:-1] @ widths)


def random_subset(n: int, k: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose k of n uniformly at random, as a mask, ten times faster than by shuffling.

    Every element is in with about the right probability; then a uniform choice of those in
    (or out) is flipped to make it k. Given its size the first choice is uniform, hence the last.
    """
    if k == n:
        return np.ones(n, dtype=bool)
    chosen = rng.integers(0, 2**16, n, dtype=np.uint16) < round(2**16 * k / n)
    surplus = int(chosen.sum()) - k
    candidates = np.flatnonzero(chosen if surplus > 0 else ~chosen)
    flipped = rng.choice(candidates, abs(surplus), replace=False, shuffle=False)
    chosen[flipped] = surplus < 0
    return np.asarray(chosen)


@dataclass(frozen=True, eq=False)
class MatrixPool:
    """Rows with any cost between them, divided by ``2**exponent``: an exact solve for each split."""

    cost: Array
    n_jobs: int | None = None
    exponent: int = 0

    @classmethod
    def of(cls, cost: Array, n_jobs: int | None) -> MatrixPool:
        """Bring costs near 1: sums of costs near 1e308 would overflow."""
        exponent = math.frexp(float(cost.max()))[1]
        if -4 < exponent < 8:
            return cls(cost, n_jobs)
        return cls(np.ldexp(cost, -exponent), n_jobs, exponent)

    def __call__(self, k: int, l: int, count: int, rng: np.random.Generator) -> Array:  # noqa: E741
        """Split and measure ``count`` times."""
        from joblib import Parallel, delayed

        orders = [rng.permutation(len(self.cost))[: k + l] for _ in range(count)]
        # Threads: the solver releases the interpreter lock, and the matrix is shared.
        solve = Parallel(n_jobs=self.n_jobs, prefer="threads")
        splits = solve(delayed(self._split)(order[:k], order[k:]) for order in orders)
        return np.asarray(np.ldexp(np.array(splits), self.exponent))

    def _split(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> float:
        return transport_cost(self.cost[np.ix_(rows, cols)])


def shrunk(n: int, m: int, available: int) -> tuple[int, int]:
    """Largest sizes in the ratio n : m that fit into a pool, at least 1 each."""
    if n + m <= available:
        return n, m
    k = min(max(round(available * n / (n + m)), 1), available - 1)
    return k, available - k
