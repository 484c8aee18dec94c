"""Metrics of differences and of directions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.metrics.base import Metric

Array = NDArray[np.float64]


def _cdist(name: Any, x: Array, y: Array, **options: Any) -> Array:
    from scipy.spatial.distance import cdist

    matrix: Array = cdist(x, y, name, **options)
    return matrix


def _power_sum(power: float, xp: Any, x: Any, y: Any) -> Any:
    total = (abs(x - y) ** power).sum(-1)
    return total ** (1.0 / power) if power != 1 else total


def _squared(xp: Any, x: Any, y: Any) -> Any:
    return ((x - y) ** 2).sum(-1)


def _largest(xp: Any, x: Any, y: Any) -> Any:
    return xp.amax(abs(x - y), -1)


def minkowski(power: float) -> Metric:
    """Minkowski distance, ``(sum_k |x_k - y_k|**power)**(1/power)``.

    Parameters
    ----------
    power : float
        At least 1: below it the triangle inequality fails.

    Returns
    -------
    Metric
        For ``metric=``.

    Examples
    --------
    >>> import otdist
    >>> float(otdist.w1([[0.0, 0.0]], [[3.0, 4.0]], [1], [1], metric=otdist.metrics.minkowski(1)))
    7.0
    """
    if not (math.isfinite(power) and power >= 1):
        raise InputError(
            "power", f"{power} is not a finite number of at least 1", "use 'chebyshev' for infinity"
        )
    return Metric(
        f"minkowski({power:g})",
        partial(_cdist, "minkowski", p=power),
        partial(_power_sum, power),
        degree=1,
        triangle=True,
        line_power=1.0,
    )


def _unit(xp: Any, x: Any) -> Any:
    # Scale by the largest entry first: the squares neither overflow nor vanish.
    x = x / xp.amax(abs(x), -1)[..., None]
    return x / ((x**2).sum(-1) ** 0.5)[..., None]


def _no_origin(x: Array, name: str, rows: Any) -> None:
    zero = ~np.any(x, axis=1)
    if zero.any():
        row = int(np.argmax(zero))
        row = row if rows is None else int(rows[row])
        raise InputError(
            name, f"row {row} is the origin, which has no direction", "drop it or use 'euclidean'"
        )


def _unit_error(x: Array, y: Array) -> float:
    # Points of length 1 are known to a few units in the last place of 1.
    return float(x.shape[1] + 8) * 2.0**-50


def _cosine_matrix(x: Array, y: Array) -> Array:
    # |u - v|^2 / 2 = 1 - cos, without the cancellation of 1 - cos for small angles.
    matrix = _cdist("sqeuclidean", _unit(np, x), _unit(np, y))
    matrix /= 2
    return matrix


def _cosine_pairs(xp: Any, x: Any, y: Any) -> Any:
    return _squared(xp, _unit(xp, x), _unit(xp, y)) / 2


def _angle(xp: Any, chord: Any) -> Any:
    return 2 * xp.arcsin(xp.clip(chord / 2, None, 1.0))


def _angular_matrix(x: Array, y: Array) -> Array:
    # As _angle, in place: the matrix is the largest thing there is.
    angles = _cdist("euclidean", _unit(np, x), _unit(np, y))
    angles /= 2
    np.arcsin(np.minimum(angles, 1.0, out=angles), out=angles)
    angles *= 2
    return angles


def _angular_pairs(xp: Any, x: Any, y: Any) -> Any:
    return _angle(xp, _power_sum(2, xp, _unit(xp, x), _unit(xp, y)))


NAMED = {
    "euclidean": Metric(
        "euclidean",
        partial(_cdist, "euclidean"),
        partial(_power_sum, 2),
        degree=1,
        triangle=True,
        line_power=1.0,
    ),
    "sqeuclidean": Metric("sqeuclidean", partial(_cdist, "sqeuclidean"), _squared, degree=2, line_power=2.0),
    "cityblock": Metric(
        "cityblock",
        partial(_cdist, "cityblock"),
        partial(_power_sum, 1),
        degree=1,
        triangle=True,
        line_power=1.0,
    ),
    "chebyshev": Metric(
        "chebyshev", partial(_cdist, "chebyshev"), _largest, degree=1, triangle=True, line_power=1.0
    ),
    "cosine": Metric("cosine", _cosine_matrix, _cosine_pairs, check=_no_origin, error=_unit_error),
    "angular": Metric(
        "angular", _angular_matrix, _angular_pairs, triangle=True, check=_no_origin, error=_unit_error
    ),
}
