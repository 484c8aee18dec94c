"""What a ground metric is, for a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError

Array = NDArray[np.float64]

BLOCK = 2**18  # entries of a matrix that are worked on at a time: 2 MB, which stays in cache


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
        ``error(x, y)``: bound of the absolute rounding error of one distance. None: it is
        relative, a few units in the last place.
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
