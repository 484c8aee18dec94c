"""Potentials in twice the precision of float64, for small costs beside large ones.

Potentials of distant clusters differ by the distance between these, and round at that size, which hides the
transport costs within a cluster. As sums of two floats they keep about 32 digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.bounds import two_sum
from otdist.metrics.base import make_row_blocks
from otdist.typing import Array, Index

DOUBLE_DOUBLE_ROUNDOFF = 2.0**-102  # relative error bound of the arithmetic below, with a margin of two bits


class DoubleDouble(NamedTuple):
    """Numbers as unevaluated sums ``high + low``, with ``abs(low)`` at most half a unit of ``high``."""

    high: Array
    low: Array

    @classmethod
    def of(cls, numbers: Array) -> DoubleDouble:
        """Represent floats exactly."""
        return cls(numbers, np.zeros_like(numbers))

    def take(self, index: Index) -> DoubleDouble:
        """Select entries by index."""
        return DoubleDouble(self.high[index], self.low[index])

    def add(self, change: Array) -> DoubleDouble:
        """Add floats; the relative error is below ``DOUBLE_DOUBLE_ROUNDOFF``."""
        high, error = two_sum(self.high, change)
        return DoubleDouble(*two_sum(high, self.low + error))


def reduced_costs(cost: Array, f: DoubleDouble, g: DoubleDouble) -> Array:
    """Compute ``cost - (f + g)``, elementwise with broadcasting.

    The error is at most ``DOUBLE_DOUBLE_ROUNDOFF * (|f| + |g|)``, plus two roundings of the result.
    """
    total, error = two_sum(f.high, g.high)
    rest, second_error = two_sum(cost, -total)
    return rest + (second_error - (error + (f.low + g.low)))


def c_transform_double_double(cost: Array, g: DoubleDouble) -> DoubleDouble:
    """Compute potentials ``f_i <= min_j cost_ij - g_j``, tight up to double-double rounding."""
    n, m = cost.shape
    f = DoubleDouble(np.empty(n), np.empty(n))
    for rows in make_row_blocks(n, 4 * m):
        high, low = two_sum(cost[rows], -g.high)
        high, low = two_sum(high, low - g.low)
        f.high[rows] = high.min(axis=1)
        f.low[rows] = np.where(high == f.high[rows, None], low, np.inf).min(axis=1)
    margin = DOUBLE_DOUBLE_ROUNDOFF * (np.abs(f.high) + float(np.abs(g.high).max()))
    return f.add(-margin)
