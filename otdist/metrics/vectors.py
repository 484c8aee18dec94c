"""Metrics of differences and directions of vectors."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import check_number
from otdist.inputs.clouds import find_first_row
from otdist.metrics.base import Metric, evaluate_linear, make_row_blocks, return_extent
from otdist.metrics.differentiable import detach, norm, safe_sqrt, squared_norm
from otdist.typing import Array, ArrayOrTensor, Index

if TYPE_CHECKING:
    from types import ModuleType


def _cdist(name: Literal["euclidean", "sqeuclidean", "cityblock", "chebyshev"], x: Array, y: Array) -> Array:
    from scipy.spatial.distance import cdist

    matrix: Array = cdist(x, y, name)
    return matrix


def _compute_minkowski_pairs(
    power: float, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    return norm(xp, x - y, power, f"minkowski({power:g})")


def _compute_sqeuclidean_pairs(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return squared_norm(xp, x - y)


def _compute_chebyshev_pairs(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return xp.amax(abs(x - y), -1)


def minkowski(power: float) -> Metric:
    """Make the Minkowski distance ``(sum_k |x_k - y_k|**power)**(1/power)``.

    Parameters
    ----------
    power : float
        At least 1: below it the triangle inequality fails.

    Returns
    -------
    Metric
        For ``metric=``.

    Raises
    ------
    InputError
        If the power is not a finite number of at least 1.

    Examples
    --------
    >>> import otdist
    >>> float(otdist.w1([[0.0, 0.0]], [[3.0, 4.0]], [1], [1], metric=otdist.metrics.minkowski(1)))
    7.0
    """
    power = check_number(power, "power", at_least=1.0, remedy="use metric='chebyshev' for infinity")
    return Metric(
        f"minkowski({power:g})",
        partial(_compute_minkowski_matrix, power),
        partial(_compute_minkowski_pairs, power),
        degree=1,
        triangle=True,
        line_power=1.0,
        roundings=partial(evaluate_linear, 1.0, 2.0)
        if power == 1
        else partial(evaluate_linear, 1 / power, 20 / power + 24),
        near_zero=(_compute_sqeuclidean_pairs, 0.5) if power == 2 else None,
    )


def _compute_minkowski_matrix(power: float, x: Array, y: Array) -> Array:
    if power in (1, 2):
        return _cdist("cityblock" if power == 1 else "euclidean", x, y)
    out = _cdist("chebyshev", x, y)
    if x.shape[1] == 1:
        return out
    for rows in make_row_blocks(*out.shape):
        # Powers relative to the largest difference: powers of the differences themselves could underflow.
        largest = out[rows]
        unit = np.where(largest > 0, largest, 1.0)
        total = np.zeros_like(largest)
        for k in range(x.shape[1]):
            share = x[rows, k, None] - y[None, :, k]
            np.abs(share, out=share)
            share /= unit
            total += np.power(share, power, out=share)
        np.power(total, 1.0 / power, out=total)
        largest *= total
    return out


def _normalise_rows(xp: ModuleType, x: ArrayOrTensor) -> ArrayOrTensor:
    # Scale by the largest entry first, so that squares neither overflow nor underflow.
    x = x / detach(xp.amax(abs(x), -1))[..., None]
    return x / ((x**2).sum(-1) ** 0.5)[..., None]


def _require_directions(x: Array, name: str, rows: Index | None) -> None:
    zero = ~np.any(x, axis=1)
    if zero.any():
        problem = f"row {find_first_row(zero, rows)} is the origin, which has no direction"
        raise InputError(name, problem, "drop it or use 'euclidean'")


def _bound_cosine_error(x: Array, y: Array) -> float:
    # Normalised points have errors of a few units in the last place of 1.
    return float(x.shape[1] + 8) * 2.0**-50


def _bound_angular_error(x: Array, y: Array) -> float:
    # Directions have errors of 4 units in the last place, lengths of d + 8, which enter an angle at most
    # once; both chords have relative errors of d / 2 + 3 units, which change the angle by at most d + 6;
    # the remainder is for the arc tangent.
    return float(x.shape[1] + 16) * 2.0**-52


def _compute_cosine_matrix(x: Array, y: Array) -> Array:
    # |u - v|^2 / 2 = 1 - cos, without the cancellation of 1 - cos for small angles.
    matrix = _cdist("sqeuclidean", _normalise_rows(np, x), _normalise_rows(np, y))
    matrix /= 2
    return matrix


def _compute_cosine_pairs(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return _compute_squared_chords(xp, x, y) / 2


def _compute_angular_matrix(x: Array, y: Array) -> Array:
    # tan(angle / 2) = |u - v| / |u + v|: unlike arcsin(|u - v| / 2), accurate for opposite directions, too.
    u, v = _normalise_rows(np, x), _normalise_rows(np, y)
    angles = np.empty((len(u), len(v)))
    for rows in make_row_blocks(*angles.shape):
        np.arctan2(_cdist("euclidean", u[rows], v), _cdist("euclidean", u[rows], -v), out=angles[rows])
    angles *= 2
    return angles


def _compute_angular_pairs(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    # tan(angle / 2) = |u - v| / |u + v|, whose derivative is finite for opposite directions, too: 0.
    u, v = _normalise_rows(xp, x), _normalise_rows(xp, y)
    opposite = ((x.shape[-1] + 8) * 2.0**-52) ** 2  # rounding error of |u + v|**2 for opposite directions
    return 2 * xp.arctan2(norm(xp, u - v, 2, "angular"), safe_sqrt(xp, squared_norm(xp, u + v), opposite))


def _compute_squared_chords(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return squared_norm(xp, _normalise_rows(xp, x) - _normalise_rows(xp, y))


VECTOR_METRICS = {
    "euclidean": Metric(
        "euclidean",
        partial(_cdist, "euclidean"),
        partial(_compute_minkowski_pairs, 2),
        degree=1,
        triangle=True,
        line_power=1.0,
        near_zero=(_compute_sqeuclidean_pairs, 0.5),
    ),
    "sqeuclidean": Metric(
        "sqeuclidean",
        partial(_cdist, "sqeuclidean"),
        _compute_sqeuclidean_pairs,
        degree=2,
        line_power=2.0,
        near_zero=(_compute_sqeuclidean_pairs, 1.0),
        roundings=partial(evaluate_linear, 1.0, 3.0),
    ),
    "cityblock": Metric(
        "cityblock",
        partial(_cdist, "cityblock"),
        partial(_compute_minkowski_pairs, 1),
        degree=1,
        triangle=True,
        line_power=1.0,
        roundings=partial(evaluate_linear, 1.0, 2.0),
    ),
    "chebyshev": Metric(
        "chebyshev",
        partial(_cdist, "chebyshev"),
        _compute_chebyshev_pairs,
        degree=1,
        triangle=True,
        line_power=1.0,
        roundings=partial(evaluate_linear, 0.0, 2.0),
    ),
    "cosine": Metric(
        "cosine",
        _compute_cosine_matrix,
        _compute_cosine_pairs,
        check=_require_directions,
        error=_bound_cosine_error,
        extent=partial(return_extent, 2.0),
        near_zero=(_compute_cosine_pairs, 1.0),
    ),
    "angular": Metric(
        "angular",
        _compute_angular_matrix,
        _compute_angular_pairs,
        triangle=True,
        check=_require_directions,
        error=_bound_angular_error,
        extent=partial(return_extent, math.pi),
        near_zero=(_compute_squared_chords, 0.5),
    ),
}
