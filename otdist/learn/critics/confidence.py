"""Confidence bounds of W1 between populations from a critic's mean difference on test points."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from otdist.typing import Array


class Confidence(NamedTuple):
    """Lower confidence bounds of W1 between the populations, each at the same level, one-sided.

    Attributes
    ----------
    level : float
        Probability that a bound is at most W1.
    normal : float
        Bound by the central limit theorem, for many points.
    hoeffding, bernstein : float
        Bounds for any number of points, if no two points of the populations are farther apart than
        ``diameter``; NaN for weighted points.
    diameter : float
        Diagonal of the bounding box of the points, unless given.
    """

    level: float
    normal: float
    hoeffding: float
    bernstein: float
    diameter: float


def confidence_bounds(
    of_x: Array, of_y: Array, a: Array | None, b: Array | None, diameter: float, level: float
) -> Confidence:
    r"""Compute lower confidence bounds from values of a fixed 1-Lipschitz function on independent points.

    .. math:: \bar f(x) - \bar f(y) - z_{\alpha} \sqrt{s_x^2 / n + s_y^2 / m}

    with ``alpha = 1 - level``. Hoeffding subtracts ``D sqrt(log(1 / alpha) (1 / n + 1 / m) / 2)``, and
    empirical Bernstein ``sqrt(2 s^2 log(4 / alpha) / n) + 7 D log(4 / alpha) / (3 (n - 1))`` for each sample
    (Maurer, Pontil 2009, theorem 4, with alpha / 2 each): a 1-Lipschitz function varies by at most D.
    """
    largest = max(float(np.abs(of_x).max()), float(np.abs(of_y).max()))
    exponent = math.frexp(largest)[1] if largest > 0 else 0
    if abs(exponent) > 64:  # squares would overflow or underflow
        scaled = confidence_bounds(
            np.ldexp(of_x, -exponent), np.ldexp(of_y, -exponent), a, b, math.ldexp(diameter, -exponent), level
        )
        values = (math.ldexp(bound, exponent) for bound in scaled[1:])
        return Confidence(level, *values)
    alpha = 1.0 - level
    (mean_x, error_x), (mean_y, error_y) = (_mean_and_error(v, w) for v, w in ((of_x, a), (of_y, b)))
    gap = mean_x - mean_y
    normal = gap - float(ndtri(level)) * math.hypot(error_x, error_y)
    if a is not None or b is not None:
        return Confidence(level, normal, math.nan, math.nan, diameter)
    n, m = len(of_x), len(of_y)
    hoeffding = gap - diameter * math.sqrt(math.log(1 / alpha) * (1 / n + 1 / m) / 2)
    bernstein = gap - sum(_bernstein(v, diameter, alpha / 2) for v in (of_x, of_y))
    return Confidence(level, normal, hoeffding, bernstein, diameter)


def _mean_and_error(values: Array, weights: Array | None) -> tuple[float, float]:
    """Return the mean and its standard error, of a ratio of sums if there are weights."""
    n = len(values)
    weights = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    mean = float(weights @ values)
    spread = float(np.square(weights) @ np.square(values - mean))
    return mean, math.sqrt(spread * n / max(n - 1, 1))


def _bernstein(values: Array, diameter: float, alpha: float) -> float:
    n = len(values)
    log = math.log(2 / alpha)
    return math.sqrt(2 * float(values.var(ddof=1)) * log / n) + 7 * diameter * log / (3 * (n - 1))
