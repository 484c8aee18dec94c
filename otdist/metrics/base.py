"""What a ground metric is, for a solver."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError

Array = NDArray[np.float64]

BLOCK = 2**18  # entries of a matrix that are worked on at a time: 2 MB, which stays in cache


def half_the_columns(d: int) -> float:
    """Units in the last place of a root of a sum of squares: differences, squares, sums, root."""
    return d / 2 + 3


@dataclass(frozen=True, eq=False)
class Metric:
    """A ground cost and what a solver may assume about it.

    Attributes
    ----------
    name : str
        How results call it.
    matrix : callable
        ``matrix(x, y)``: costs of all pairs, (n, d) and (m, d) to (n, m).
    pairs : callable or None
        ``pairs(xp, x, y)``: costs row by row, for ``xp`` numpy or torch; None where only the
        matrix is known (then there is no gradient).
    degree : int or None
        The cost ignores a common shift and grows as ``s**degree`` when both clouds are scaled
        by s. None: the points are left as they are.
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
        ``rows`` are the caller's numbers of the rows, or None.
    canonical : callable or None
        ``canonical(x)``: points at distance 0 from these, the same for all such points.
    error : callable or None
        ``error(x, y)``: bound of the absolute rounding error of one distance, on top of the
        relative one. None: there is none.
    extent : callable or None
        ``extent(x, y)``: upper bound of all distances between the points, in O(n + m). None: as for
        a distance that grows with the points, or not known.
    roundings : callable
        ``roundings(d)``: units in the last place that a distance in d columns is off at most,
        unless something underflows.
    near_zero : (callable, float) or None
        ``(square, power)``: up to second order the cost of points that coincide, or nearly so, is
        ``square(xp, x, y)**power``, and ``square`` is smooth there. Second derivatives are taken from
        it. None: ``cost**p`` has none there for 1 < p <= 2.
    unit : str
        Unit of the distances where they have one of their own, whatever that of the points. "": that of
        the points to the power ``degree``, or none.
    points_unit : str
        Unit of the points where the metric takes no other: quantities are converted to it, and times are
        refused. "": any.
    """

    name: str
    matrix: Callable[[Array, Array], Array]
    pairs: Callable[[Any, Any, Any], Any] | None = None
    degree: int | None = None
    triangle: bool = False
    line_power: float | None = None
    period: float | None = None
    check: Callable[[Array, str, Any], None] | None = None
    canonical: Callable[[Array], Array] | None = None
    error: Callable[[Array, Array], float] | None = None
    extent: Callable[[Array, Array], float] | None = None
    roundings: Callable[[int], float] = half_the_columns
    shift_invariant: bool = False
    near_zero: tuple[Callable[[Any, Any, Any], Any], float] | None = None
    unit: str = ""
    points_unit: str = ""

    def divided(self, exponent: int) -> Metric:
        """Measure in units of ``2**exponent``, at least 2**-1000: distances are divided, points stay."""
        if exponent == 0:
            return self
        scale = math.ldexp(1.0, -exponent)
        near_zero = None
        if self.near_zero is not None:
            square, power = self.near_zero
            near_zero = partial(_scaled_pairs, square, scale ** (1 / power)), power
        return replace(
            self,
            matrix=partial(_divided_matrix, self.matrix, exponent),
            pairs=None if self.pairs is None else partial(_scaled_pairs, self.pairs, scale),
            error=None if self.error is None else partial(_divided_bound, self.error, exponent),
            extent=None if self.extent is None else partial(_divided_bound, self.extent, exponent),
            near_zero=near_zero,
        )


# Functions of modules, and parts of them, so that metrics can be pickled.
def linear(slope: float, constant: float, d: int) -> float:
    """``slope * d + constant``."""
    return slope * d + constant


def constant_extent(extent: float, x: Array, y: Array) -> float:
    """Bound of distances that never exceed it, whatever the points."""
    return extent


def _divided_matrix(matrix: Callable[[Array, Array], Array], exponent: int, x: Array, y: Array) -> Array:
    out = matrix(x, y)
    return np.asarray(np.ldexp(out, -exponent, out=out))


def _scaled_pairs(pairs: Callable[[Any, Any, Any], Any], scale: float, xp: Any, x: Any, y: Any) -> Any:
    return pairs(xp, x, y) * scale


def _divided_bound(bound: Callable[[Array, Array], float], exponent: int, x: Array, y: Array) -> float:
    return math.ldexp(bound(x, y), -exponent)


def same_columns(expected: int, option: str, x: Array, name: str, rows: Any) -> None:
    """Raise InputError unless the points have the columns that an option was made for."""
    if x.shape[1] != expected:
        raise InputError(
            option, f"has {expected} entries, but {name} has {x.shape[1]} columns", "give one entry a column"
        )


def row_blocks(n: int, m: int) -> list[slice]:
    """Slices of the rows of an (n, m) matrix that keep a block in cache."""
    step = max(1, BLOCK // max(m, 1))
    return [slice(start, start + step) for start in range(0, n, step)]
