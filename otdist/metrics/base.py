"""Interface between ground metrics and solvers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.typing import Array, ArrayOrTensor, Index, PairCosts

if TYPE_CHECKING:
    from types import ModuleType

BLOCK_ENTRIES = 2**18  # matrix entries of a block: 2 MB, which stays in cache


def bounding_box(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the smallest and the largest coordinates of two samples, in each column."""
    return np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))


def count_root_roundings(d: int) -> float:
    """Return the rounding error of a root of a sum of squares: units in the last place, for d columns."""
    return d / 2 + 3


@dataclass(frozen=True, eq=False)
class Metric:
    """Ground cost with the properties that a solver may assume.

    Attributes
    ----------
    name : str
        Name in results.
    matrix : callable
        ``matrix(x, y)``: costs of all pairs, (n, d) and (m, d) to (n, m).
    pairs : callable or None
        ``pairs(xp, x, y)``: costs row by row, for ``xp`` numpy or torch; None if only the
        matrix is known (then there is no gradient).
    degree : int or None
        The cost ignores a common shift and grows as ``s**degree`` when both clouds are scaled
        by s. None: the points are not scaled.
    shift_invariant : bool
        Whether the cost ignores a common shift, for metrics without ``degree`` (with one it does).
    triangle : bool
        Whether it is a metric, so that Kantorovich-Rubinstein duality holds.
    line_power : float or None
        On the line the cost is ``abs(x - y)**line_power``.
    period : float or None
        In one dimension the points lie on a circle of this length.
    check : callable or None
        ``check(x, name, rows)`` raises InputError for points where the cost is not defined;
        ``rows`` are the caller's row numbers, or None.
    canonical : callable or None
        ``canonical(x)``: points at distance 0 from these, the same for all such points.
    error : callable or None
        ``error(x, y)``: bound of the absolute rounding error of one distance, in addition to the
        relative error. None: no absolute error.
    extent : callable or None
        ``extent(x, y)``: upper bound of all distances between the points, in O(n + m). None: the distance
        grows with the points, or no bound is known.
    roundings : callable
        ``roundings(d)``: bound of the error of a distance in d columns, in units in the last place,
        unless an operation underflows.
    near_zero : (callable, float) or None
        ``(square, power)``: up to second order the cost of points that coincide, or nearly so, is
        ``square(xp, x, y)**power``, and ``square`` is smooth there. Second derivatives are those of this
        form. None: ``cost**p`` has none there for 1 < p <= 2.
    unit : str
        Unit of the distances, if it does not depend on the unit of the points. "": the unit of the points
        to the power ``degree``, or no unit.
    points_unit : str
        Required unit of the points: quantities are converted to it, and times raise an error. "": any
        unit.
    """

    name: str
    matrix: Callable[[Array, Array], Array]
    pairs: PairCosts | None = None
    degree: int | None = None
    triangle: bool = False
    line_power: float | None = None
    period: float | None = None
    check: Callable[[Array, str, Index | None], None] | None = None
    canonical: Callable[[Array], Array] | None = None
    error: Callable[[Array, Array], float] | None = None
    extent: Callable[[Array, Array], float] | None = None
    roundings: Callable[[int], float] = count_root_roundings
    shift_invariant: bool = False
    near_zero: tuple[PairCosts, float] | None = None
    unit: str = ""
    points_unit: str = ""

    def divide(self, exponent: int) -> Metric:
        """Divide distances by ``2**exponent``, at least 2**-1000; points are not scaled."""
        if exponent == 0:
            return self
        scale = math.ldexp(1.0, -exponent)
        near_zero = None
        if self.near_zero is not None:
            square, power = self.near_zero
            near_zero = partial(_scale_pairs, square, scale ** (1 / power)), power
        return replace(
            self,
            matrix=partial(_divide_matrix, self.matrix, exponent),
            pairs=None if self.pairs is None else partial(_scale_pairs, self.pairs, scale),
            error=None if self.error is None else partial(_divide_bound, self.error, exponent),
            extent=None if self.extent is None else partial(_divide_bound, self.extent, exponent),
            near_zero=near_zero,
        )


# Functions of a module, also in partial(), so that metrics can be pickled.
def evaluate_linear(slope: float, constant: float, d: int) -> float:
    """Return ``slope * d + constant``."""
    return slope * d + constant


def return_extent(extent: float, x: Array, y: Array) -> float:
    """Return an upper bound of the distances that does not depend on the points."""
    return extent


def _divide_matrix(matrix: Callable[[Array, Array], Array], exponent: int, x: Array, y: Array) -> Array:
    out = matrix(x, y)
    return np.asarray(np.ldexp(out, -exponent, out=out))


def _scale_pairs(
    pairs: PairCosts, scale: float, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    return pairs(xp, x, y) * scale


def _divide_bound(bound: Callable[[Array, Array], float], exponent: int, x: Array, y: Array) -> float:
    return math.ldexp(bound(x, y), -exponent)


def require_columns(expected: int, option: str, x: Array, name: str, rows: Index | None) -> None:
    """Raise InputError unless the points have as many columns as an option has entries."""
    if x.shape[1] != expected:
        raise InputError(
            option,
            f"must have {x.shape[1]} entries, one a column of {name}, got {expected}",
            "give one entry a column",
        )


def require_costs(cost: Array, name: str, rows: Index, cols: Index) -> None:
    """Raise InputError unless the costs of these pairs are finite and non-negative."""
    if cost.min() >= 0 and cost.max() < np.inf:  # false for NaN
        return
    i, j = np.argwhere(~(cost >= 0) | np.isinf(cost))[0]
    raise InputError(
        "metric",
        f"{name} returned {cost[i, j]} for points x[{rows[i]}] and y[{cols[j]}]",
        "return a finite, non-negative float",
    )


def make_row_blocks(n: int, m: int) -> list[slice]:
    """Make slices of the rows of an (n, m) matrix, in blocks that stay in cache."""
    step = max(1, BLOCK_ENTRIES // max(m, 1))
    return [slice(start, start + step) for start in range(0, n, step)]
