"""Order of points in which neighbours are adjacent, and the half-size copy it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.pairs.compiled import jit
from otdist.typing import Array, Index

Masses = NDArray[Any]  # integers; floats for entropic plans


def kd_order(x: Array) -> Index:
    """Compute the order of a kd-tree whose cells, at every scale, are aligned blocks of 2^k points.

    Points 2k and 2k + 1 are neighbours, and so are the pairs 2k and 2k + 1, and so on: one order serves
    every level of a hierarchy. O(n d log n).
    """
    order = np.arange(len(x))
    _split_cells(np.ascontiguousarray(x), order)
    return order


def sum_pairs(mass: Masses) -> Masses:
    """Add up the masses of neighbours: 0 and 1, 2 and 3, ..."""
    return np.add.reduceat(mass, np.arange(0, len(mass), 2))


def merge_pairs(x: Array, mass: Masses) -> Array:
    """Replace neighbours by their weighted mean."""
    share = mass / np.repeat(sum_pairs(mass), 2)[: len(mass)]  # the masses are too large to multiply
    return np.add.reduceat(x * share[:, None], np.arange(0, len(x), 2), axis=0)


@jit
def _split_cells(x, order):
    """Sort ``order`` into nested cells; the left cell of a split is full, a power of two."""
    stack = [(0, len(order))]
    while len(stack) > 0:
        low, high = stack.pop()
        if high - low <= 2:
            continue
        left = 1
        while 2 * left < high - low:
            left *= 2
        _quickselect(x[:, _widest_coordinate(x, order, low, high)], order, low, high - 1, low + left)
        stack.append((low, low + left))
        stack.append((low + left, high))


@jit
def _widest_coordinate(x, order, low, high):
    """Coordinate with the largest range in the cell."""
    d = x.shape[1]
    least, most = x[order[low]].copy(), x[order[low]].copy()
    for q in range(low + 1, high):
        i = order[q]
        for c in range(d):
            least[c] = min(least[c], x[i, c])
            most[c] = max(most[c], x[i, c])
    return np.argmax(most - least)


@jit
def _quickselect(value, order, low, high, k):
    """Quickselect (Hoare): no value before position k exceeds a value after it."""
    while low < high:
        middle = value[order[(low + high) // 2]]
        first, last = value[order[low]], value[order[high]]
        pivot = max(min(first, middle), min(max(first, middle), last))  # median of three
        i, j = low, high
        while i <= j:
            while value[order[i]] < pivot:
                i += 1
            while value[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            return
