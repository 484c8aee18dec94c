"""Periodic columns: angles, hours of the day, positions in a periodic box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import check_number
from otdist.metrics.base import Metric, bounding_box, evaluate_linear, make_row_blocks, require_columns
from otdist.metrics.differentiable import detach, norm, squared_norm
from otdist.typing import Array, ArrayOrTensor

if TYPE_CHECKING:
    from types import ModuleType

MIN_PERIOD, MAX_PERIOD = 2.0**-1000, 2.0**1020  # half periods are exact, and multiples of a period are finite


def periodic(period: float | Sequence[float | None]) -> Metric:
    """Make the Euclidean distance on a torus: columns with a period wrap around.

    Along a column with period L the difference is ``min(|x - y| mod L, L - |x - y| mod L)``.

    Parameters
    ----------
    period : float or sequence of (float or None)
        One period for every column, or one entry a column; None for a column that does not
        wrap. In the units of the column, positive.

    Returns
    -------
    Metric
        For ``metric=``. In one dimension W_p on the circle has a closed form.

    Raises
    ------
    InputError
        If a period is not a number between 2**-1000 and 2**1020.

    Notes
    -----
    Points are wrapped to the interval from ``-L / 2`` to ``L / 2`` without rounding. Distances are
    accurate to a few units in the last place, however many periods apart the points are.

    Examples
    --------
    >>> import otdist
    >>> float(otdist.w1([350.0], [10.0], metric=otdist.metrics.periodic(360.0)))
    20.0
    """
    scalar = isinstance(period, str) or not isinstance(period, Sequence | np.ndarray)
    entries = [period] if isinstance(period, str) or not isinstance(period, Sequence | np.ndarray) else period
    lengths = np.array([_read_period(item) for item in entries])
    if lengths.size == 0:
        raise InputError(
            "period",
            "must have one entry a column, got none",
            "give one entry a column, such as [360.0, None]",
        )
    out_of_range = lengths[np.isfinite(lengths) & ((lengths < MIN_PERIOD) | (lengths > MAX_PERIOD))]
    if out_of_range.size > 0:
        raise InputError(
            "period",
            f"must be from {MIN_PERIOD:.3g} to {MAX_PERIOD:.3g}, got {out_of_range[0]}",
            "use another unit of length, or None for a column without a period",
        )
    single_period = float(lengths[0]) if lengths.size == 1 and math.isfinite(lengths[0]) else None
    return Metric(
        "periodic",
        partial(_compute_torus_matrix, lengths),
        partial(_compute_torus_pairs, lengths),
        triangle=True,
        shift_invariant=True,
        period=single_period,
        canonical=partial(_wrap_columns, lengths),
        extent=partial(_bound_torus_extent, lengths),
        roundings=partial(evaluate_linear, 2.0, 1.0),
        near_zero=(partial(_compute_torus_squares, lengths), 0.5),
        check=None if scalar else partial(require_columns, lengths.size, "period"),
    )


def _read_period(period: object) -> float:
    """Read a period; infinite for None."""
    if period is None or (isinstance(period, float) and period == math.inf):
        return math.inf
    remedy = "give its length, such as 24.0 for hours, or None for a column that does not wrap"
    return check_number(period, "period", above=0.0, remedy=remedy)


def _compute_torus_matrix(lengths: Array, x: Array, y: Array) -> Array:
    x, y = _wrap_columns(lengths, x), _wrap_columns(lengths, y)
    out = np.zeros((len(x), len(y)))
    for rows in make_row_blocks(*out.shape):
        for k, length in enumerate(np.broadcast_to(lengths, x.shape[1])):
            along = compute_circle_distance(x[rows, k, None], y[None, :, k], length)
            # hypot: squares could over- or underflow, since these points are not scaled.
            out[rows] = along if k == 0 else np.hypot(out[rows], along)
    return out


def compute_circle_distance(
    x: ArrayOrTensor, y: ArrayOrTensor, length: float, xp: ModuleType = np
) -> ArrayOrTensor:
    """Compute distances on a circle between wrapped points, to three units in the last place.

    The path is direct, or through the point opposite to 0. If the latter is shorter, it is at least
    ``length / 4`` long, or ``length / 2 - abs(x)`` and ``length / 2 - abs(y)`` are both exact (Sterbenz).
    """
    direct = abs(x - y)
    if not math.isfinite(length):
        return direct
    around = (length / 2 - abs(x)) + (length / 2 - abs(y))
    return xp.minimum(direct, around)


def wrap_coordinates(x: ArrayOrTensor, length: float, xp: ModuleType = np) -> ArrayOrTensor:
    """Wrap points of a circle to the interval ``(-length / 2, length / 2]``, without rounding."""
    remainder = xp.fmod(x, length)  # exact, with the sign of x
    # These are exact, too (Sterbenz). The point opposite to 0 has one representation.
    remainder = xp.where(remainder > length / 2, remainder - length, remainder)
    remainder = xp.where(remainder <= -length / 2, remainder + length, remainder)
    return remainder + 0.0  # -0.0 is 0.0


def _wrap_columns(lengths: Array, x: Array) -> Array:
    columns = np.broadcast_to(lengths, x.shape[1])
    if not np.isfinite(columns).any():
        return x
    parts = [
        wrap_coordinates(x[:, k], length) if math.isfinite(length) else x[:, k]
        for k, length in enumerate(columns)
    ]
    return np.stack(parts, axis=1)


def _bound_torus_extent(lengths: Array, x: Array, y: Array) -> float:
    low, high = bounding_box(x, y)
    # Halves: a range may overflow where a distance does not.
    halves = np.minimum(high / 2 - low / 2, np.broadcast_to(lengths, x.shape[1]) / 4)
    return 2 * math.hypot(*halves) * (1 + 2.0**-40)


def _compute_torus_pairs(lengths: Array, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    return norm(xp, _compute_wrapped_differences(lengths, xp, x, y), 2, "periodic")


def _compute_torus_squares(
    lengths: Array, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    return squared_norm(xp, _compute_wrapped_differences(lengths, xp, x, y))


def _compute_wrapped_differences(
    lengths: Array, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    """Compute differences along the shorter path of each column; derivative 0 if both have equal length."""
    columns = np.broadcast_to(lengths, x.shape[-1])
    differences = []
    for k, length in enumerate(columns):
        difference = x[..., k] - y[..., k]
        if not math.isfinite(length):
            differences.append(difference)
            continue
        fixed = detach(difference)
        remainder = abs(fixed) % length
        wrapped = xp.where(remainder > length - remainder, remainder - length, remainder) * xp.where(
            fixed < 0, -1.0, 1.0
        )
        # Multiples of the period are constants, so the derivative is that of the difference.
        differences.append(xp.where(remainder == length - remainder, wrapped, wrapped + (difference - fixed)))
    return xp.stack(differences, -1)
