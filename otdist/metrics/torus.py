"""Columns that wrap around: angles, hours of the day, positions in a periodic box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import check_number
from otdist.metrics.base import Metric, linear, row_blocks, same_columns
from otdist.metrics.smooth import constant, norm, squared_norm

Array = NDArray[np.float64]

SHORTEST, LONGEST = 2.0**-1000, 2.0**1020  # halves of a period are exact, and some laps are finite


def periodic(period: float | Sequence[float | None]) -> Metric:
    """Euclidean distance on a torus: columns with a period wrap around.

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
    Points are brought to the first lap, from ``-L / 2`` to ``L / 2``, without rounding. Distances are
    precise to a few units in the last place, however many laps apart the points are.

    Examples
    --------
    >>> import otdist
    >>> float(otdist.w1([350.0], [10.0], metric=otdist.metrics.periodic(360.0)))
    20.0
    """
    scalar = isinstance(period, str) or not isinstance(period, Sequence | np.ndarray)
    entries: Any = [period] if scalar else period
    lengths = np.array([_length(item) for item in entries])
    if lengths.size == 0:
        raise InputError("period", "is empty", "give one entry a column, such as [360.0, None]")
    beyond = lengths[np.isfinite(lengths) & ((lengths < SHORTEST) | (lengths > LONGEST))]
    if beyond.size > 0:
        raise InputError(
            "period",
            f"{beyond[0]} is not between {SHORTEST:.3g} and {LONGEST:.3g}",
            "use another unit of length, or None for a column without a period",
        )
    only = float(lengths[0]) if lengths.size == 1 and math.isfinite(lengths[0]) else None
    return Metric(
        "periodic",
        partial(_torus_matrix, lengths),
        partial(_torus_pairs, lengths),
        triangle=True,
        shift_invariant=True,
        period=only,
        canonical=partial(_first_lap, lengths),
        extent=partial(_torus_extent, lengths),
        roundings=partial(linear, 2.0, 1.0),
        near_zero=(partial(_torus_squares, lengths), 0.5),
        check=None if scalar else partial(same_columns, lengths.size, "period"),
    )


def _length(period: Any) -> float:
    """Length of a lap; infinite for None."""
    if period is None or (isinstance(period, float) and period == math.inf):
        return math.inf
    remedy = "give its length, such as 24.0 for hours, or None for a column that does not wrap"
    return check_number(period, "period", above=0.0, remedy=remedy)


def _torus_matrix(lengths: Array, x: Array, y: Array) -> Array:
    x, y = _first_lap(lengths, x), _first_lap(lengths, y)
    out = np.zeros((len(x), len(y)))
    for rows in row_blocks(*out.shape):
        for k, length in enumerate(np.broadcast_to(lengths, x.shape[1])):
            along = wrapped_distance(x[rows, k, None], y[None, :, k], length)
            # hypot: squares would over- or underflow, and these points are not scaled.
            out[rows] = along if k == 0 else np.hypot(out[rows], along)
    return out


def wrapped_distance(x: Any, y: Any, length: float, xp: Any = np) -> Any:
    """Distances on a circle between points of the first lap, to three units in the last place.

    Directly, or by way of the point opposite to 0. Where that way is the shorter one, it is at least
    ``length / 4`` long, or ``length / 2 - abs(x)`` and ``length / 2 - abs(y)`` are both exact (Sterbenz).
    """
    direct = abs(x - y)
    if not math.isfinite(length):
        return direct
    around = (length / 2 - abs(x)) + (length / 2 - abs(y))
    return xp.minimum(direct, around)


def first_lap(x: Any, length: float, xp: Any = np) -> Any:
    """The same points of a circle between ``-length / 2`` and ``length / 2``; without any rounding."""
    rest = xp.fmod(x, length)  # exact, with the sign of x
    # So are these: Sterbenz. The point opposite to 0 has one name.
    rest = xp.where(rest > length / 2, rest - length, rest)
    rest = xp.where(rest <= -length / 2, rest + length, rest)
    return rest + 0.0  # -0.0 is 0.0


def _first_lap(lengths: Array, x: Array) -> Array:
    columns = np.broadcast_to(lengths, x.shape[1])
    if not np.isfinite(columns).any():
        return x
    parts = [
        first_lap(x[:, k], length) if math.isfinite(length) else x[:, k] for k, length in enumerate(columns)
    ]
    return np.stack(parts, axis=1)


def _torus_extent(lengths: Array, x: Array, y: Array) -> float:
    low, high = np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))
    # Halves, because a range may be beyond float64 where a distance is not.
    halves = np.minimum(high / 2 - low / 2, np.broadcast_to(lengths, x.shape[1]) / 4)
    return 2 * math.hypot(*halves) * (1 + 2.0**-40)


def _torus_pairs(lengths: Array, xp: Any, x: Any, y: Any) -> Any:
    return norm(xp, _shortest_way(lengths, xp, x, y), 2, "periodic")


def _torus_squares(lengths: Array, xp: Any, x: Any, y: Any) -> Any:
    return squared_norm(xp, _shortest_way(lengths, xp, x, y))


def _shortest_way(lengths: Array, xp: Any, x: Any, y: Any) -> Any:
    """Differences along the shorter way round, column by column; derivative 0 where both are as long."""
    columns = np.broadcast_to(lengths, x.shape[-1])
    ways = []
    for k, length in enumerate(columns):
        difference = x[..., k] - y[..., k]
        if not math.isfinite(length):
            ways.append(difference)
            continue
        fixed = constant(difference)
        rest = abs(fixed) % length
        way = xp.where(rest > length - rest, rest - length, rest) * xp.where(fixed < 0, -1.0, 1.0)
        # A lap is a constant, so the derivative is that of the difference.
        ways.append(xp.where(rest == length - rest, way, way + (difference - fixed)))
    return xp.stack(ways, -1)
