"""Samplers of W1 between disjoint random subsets of one pool.

A pool of N rows is split at random into k rows and l others. With x and y pooled, the distances give a
permutation test; with the reference alone, the noise floor. Each sampler takes (k, l, count, rng) and
returns ``count`` distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.solvers.linear.simplex import transport_cost
from otdist.typing import Array, Index, Mask

DistanceSampler = Callable[[int, int, int, np.random.Generator], Array]

SPLIT_BATCH_LABELS = 2**21  # labels drawn at a time: 16 MB
MAX_BATCHED_ROWS = 20_000  # rows above which one split at a time is faster


@dataclass(frozen=True, eq=False)
class LinePool:
    """Pool of values on the line: W1 is the area between two distribution functions."""

    values: Array

    def __call__(self, k: int, l: int, count: int, rng: np.random.Generator) -> Array:  # noqa: E741
        """Return distances of ``count`` random splits."""
        values = np.sort(self.values)
        widths = np.diff(values)
        if len(values) > MAX_BATCHED_ROWS:
            return np.array([_measure_long_split(widths, k, l, rng) for _ in range(count)]) / (k * l)
        # Integers: +l for the k rows of the first part, -k for the l rows of the second.
        labels = np.zeros(len(values), dtype=np.int64)
        labels[:k], labels[k : k + l] = l, -k
        out = np.empty(count)
        step = max(1, SPLIT_BATCH_LABELS // len(values))
        for start in range(0, count, step):
            size = min(step, count - start)
            heights = rng.permuted(np.tile(labels, (size, 1)), axis=1)
            np.abs(np.cumsum(heights, axis=1, out=heights), out=heights)
            out[start : start + size] = heights[:, :-1] @ widths
        return out / (k * l)


def _measure_long_split(widths: Array, k: int, l: int, rng: np.random.Generator) -> float:  # noqa: E741
    selected = draw_subset(len(widths) + 1, k + l, rng)
    heights = np.zeros(len(selected))  # holds integers far below 2**53: exact
    left = draw_subset(k + l, k, rng)
    heights[selected] = np.where(left, float(l), -float(k))
    np.abs(np.cumsum(heights, out=heights), out=heights)
    return float(heights[:-1] @ widths)


def draw_subset(n: int, k: int, rng: np.random.Generator) -> Mask:
    """Draw a mask of k of n elements uniformly at random, ten times faster than by shuffling.

    Each element is selected with a probability of about k / n; then a uniform choice of the selected
    elements (or of the others) is flipped so that k remain. Given its size the first selection is uniform,
    hence the final one.
    """
    if k == n:
        return np.ones(n, dtype=bool)
    selected = rng.integers(0, 2**16, n, dtype=np.uint16) < round(2**16 * k / n)
    surplus = int(selected.sum()) - k
    candidates = np.flatnonzero(selected if surplus > 0 else ~selected)
    flipped = rng.choice(candidates, abs(surplus), replace=False, shuffle=False)
    selected[flipped] = surplus < 0
    return np.asarray(selected)


@dataclass(frozen=True, eq=False)
class MatrixPool:
    """Pool of rows with any pairwise cost, divided by ``2**exponent``: one exact solve for each split."""

    cost: Array
    n_jobs: int | None = None
    exponent: int = 0

    @classmethod
    def of(cls, cost: Array, n_jobs: int | None) -> MatrixPool:
        """Scale costs to near 1: sums of costs near 1e308 would overflow."""
        exponent = math.frexp(float(cost.max()))[1]
        if -4 < exponent < 8:
            return cls(cost, n_jobs)
        return cls(np.ldexp(cost, -exponent), n_jobs, exponent)

    def __call__(self, k: int, l: int, count: int, rng: np.random.Generator) -> Array:  # noqa: E741
        """Return distances of ``count`` random splits."""
        from joblib import Parallel, delayed

        orders = [rng.permutation(len(self.cost))[: k + l] for _ in range(count)]
        # Threads: the solver releases the interpreter lock, and the matrix is shared.
        solve = Parallel(n_jobs=self.n_jobs, prefer="threads")
        distances = solve(delayed(self._solve_split)(order[:k], order[k:]) for order in orders)
        return np.asarray(np.ldexp(np.array(distances), self.exponent))

    def _solve_split(self, rows: Index, cols: Index) -> float:
        return transport_cost(self.cost[np.ix_(rows, cols)])


def shrink_sizes(n: int, m: int, available: int) -> tuple[int, int]:
    """Compute the largest sizes in the ratio n : m that fit into a pool, at least 1 each."""
    if n + m <= available:
        return n, m
    k = min(max(round(available * n / (n + m)), 1), available - 1)
    return k, available - k
