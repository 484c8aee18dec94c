"""Columns that wrap around: angles, hours of the day, positions in a periodic box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.metrics.base import Metric, row_blocks, same_columns

Array = NDArray[np.float64]


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
        For ``metric=``. In one dimension W1 and W2 on the circle have a closed form.

    Examples
    --------
    >>> import otdist
    >>> float(otdist.w1([350.0], [10.0], metric=otdist.metrics.periodic(360.0)))
    20.0
    """
    scalar = not isinstance(period, Sequence | np.ndarray)
    entries: Any = [period] if scalar else period
    lengths = np.array([np.inf if item is None else float(item) for item in entries])
    if lengths.size == 0 or not (lengths > 0).all():
        raise InputError("period", f"{period} is not positive", "use None for a column without a period")
    only = float(lengths[0]) if lengths.size == 1 and math.isfinite(lengths[0]) else None
    return Metric(
        "periodic",
        partial(_torus_matrix, lengths),
        partial(_torus_pairs, lengths),
        triangle=True,
        period=only,
        canonical=partial(_first_lap, lengths),
        error=_torus_error,
        check=None if scalar else partial(same_columns, lengths.size, "period"),
    )


def _wrapped(xp: Any, difference: Any, length: float) -> Any:
    if not math.isfinite(length):
        return abs(difference)
    rest = abs(difference) % length
    return xp.minimum(rest, length - rest)


def _torus_matrix(lengths: Array, x: Array, y: Array) -> Array:
    out = np.zeros((len(x), len(y)))
    for rows in row_blocks(*out.shape):
        for k, length in enumerate(np.broadcast_to(lengths, x.shape[1])):
            # hypot: squares would over- or underflow, and these points are not scaled.
            np.hypot(out[rows], _wrapped(np, x[rows, k, None] - y[None, :, k], length), out=out[rows])
    return out


def _first_lap(lengths: Array, x: Array) -> Array:
    wraps = np.broadcast_to(np.isfinite(lengths), x.shape[1])
    return np.where(wraps, np.mod(x, np.where(wraps, lengths, 1.0)), x)


def _torus_error(x: Array, y: Array) -> float:
    # The difference rounds before it is wrapped.
    return float(x.shape[1] * (np.abs(x).max() + np.abs(y).max()) * 2.0**-50)


def _torus_pairs(lengths: Array, xp: Any, x: Any, y: Any) -> Any:
    columns = np.broadcast_to(lengths, x.shape[-1])
    along = [_wrapped(xp, x[..., k] - y[..., k], length) for k, length in enumerate(columns)]
    return reduce(xp.hypot, along)
