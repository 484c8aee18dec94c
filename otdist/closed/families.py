"""Formulas for W_p between distributions of the same family."""

from __future__ import annotations

import math

import numpy as np

from otdist.closed.checks import (
    compute_length,
    make_result,
    read_number,
    read_points,
    read_scale,
    read_vector,
    read_weights,
    require_finite,
)
from otdist.errors import InputError
from otdist.inputs.arguments import check_order
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.typing import ArrayInput


@isolate_errstate
def shift(delta: ArrayInput, *, p: float = 1) -> Result:
    """Compute W_p between any distribution and its translate by a vector.

    ``W_p(mu, mu + delta) = |delta|`` in any dimension and for every p >= 1.

    Parameters
    ----------
    delta : array_like, shape (d,) or a number
        The translation, in the units of the points.
    p : float in [1, 2**53)
        Order of the distance; the value does not depend on it.

    Returns
    -------
    Result
        Exact up to one rounding: ``lower == value == upper``.

    Raises
    ------
    InputError
        If ``delta`` is empty, not finite or not a vector, or ``p < 1``.

    Notes
    -----
    O(d). The translation is itself a map of cost ``|delta|``; by Jensen's inequality every
    coupling costs at least the distance of the means, ``|delta|``.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.shift([3.0, 4.0]).value
    5.0
    """
    step = read_vector(delta, "delta")
    return make_result(compute_length(step, "delta"), check_order(p), len(step))


@isolate_errstate
def normal(mean1: float, std1: float, mean2: float, std2: float, *, p: float = 1) -> Result:
    """Compute W1 or W2 between two Gaussian distributions on the line.

    With ``m = |mean1 - mean2|`` and ``s = |std1 - std2|``,
    ``W1 = E|m + s Z| = s sqrt(2/pi) exp(-m^2 / (2 s^2)) + m erf(m / (s sqrt(2)))`` and
    ``W2 = sqrt(m^2 + s^2)``.

    Parameters
    ----------
    mean1, mean2 : float
        Means, in the units of the points.
    std1, std2 : float >= 0
        Standard deviations (not variances), in the same units; 0 is a single point.
    p : {1, 2}
        Order of the distance.

    Returns
    -------
    Result
        Exact up to a few roundings: ``lower == value == upper``.

    Raises
    ------
    InputError
        If a standard deviation is negative, a number is not finite, or p is neither 1 nor 2.

    Notes
    -----
    O(1). The monotone coupling is ``X = mean1 + std1 Z``, ``Y = mean2 + std2 Z``, so that X - Y is
    Gaussian. W1 is the mean of a folded normal: Leone, Nelson, Nottingham (1961). All its
    terms are positive, so nothing cancels. Other p need a hypergeometric function that
    loses digits for large m / s: `laws` brackets those.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.normal(0, 1, 3, 5, p=2).value
    5.0
    >>> round(closed.normal(0, 1, 0, 2).value, 12)
    0.797884560803
    """
    mean_difference = abs(read_number(mean1, "mean1") - read_number(mean2, "mean2"))
    std_difference = abs(read_scale(std1, "std1") - read_scale(std2, "std2"))
    power = check_order(p)
    if power not in (1, 2):
        raise InputError(
            "p",
            f"must be 1 or 2, got {power:g}",
            f"use closed.laws(scipy.stats.norm(mean1, std1), scipy.stats.norm(mean2, std2), p={power:g})",
        )
    if power == 2:
        value = math.hypot(mean_difference, std_difference)
    elif std_difference == 0:
        value = mean_difference
    else:
        ratio = (
            mean_difference / std_difference
        )  # may overflow to inf: then exp is 0 and erf is 1, the correct limits
        value = std_difference * math.sqrt(2 / math.pi) * math.exp(-ratio * ratio / 2)
        value += mean_difference * math.erf(ratio / math.sqrt(2))
    return make_result(require_finite(value, "mean1"), power, 1)


@isolate_errstate
def uniform(low1: float, high1: float, low2: float, high2: float, *, p: float = 1) -> Result:
    """Compute W_p between two uniform distributions on the line.

    The quantile functions differ by a straight line from ``s = low2 - low1`` to
    ``t = high2 - high1``, so ``W_p^p = int_0^1 |s + (t - s) u|^p du``: with ``M >= m`` the
    sizes of s and t, this is ``(M^(p+1) + m^(p+1)) / ((p+1) (M + m))`` where the quantile
    functions cross (s t < 0) and ``(M^(p+1) - m^(p+1)) / ((p+1) (M - m))`` where they do not.

    Parameters
    ----------
    low1, high1, low2, high2 : float
        Ends of the intervals, in the units of the points; ``low <= high``, equal for a single point.
    p : float in [1, 2**53)
        Order of the distance.

    Returns
    -------
    Result
        Exact up to a few roundings: ``lower == value == upper``.

    Raises
    ------
    InputError
        If ``low > high``, a number is not finite, or ``p < 1``.

    Notes
    -----
    O(1). The differences of powers go through ``expm1`` and ``log1p``, so that nearly parallel
    quantile functions lose no digits. Source: the quantile formula, Santambrogio (2015), Prop. 2.17.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.uniform(0, 1, 0, 3).value
    1.0
    >>> closed.uniform(0, 3, 1, 2).value  # the quantile functions cross
    0.5
    """
    ends = [
        read_number(value, name)
        for value, name in ((low1, "low1"), (high1, "high1"), (low2, "low2"), (high2, "high2"))
    ]
    for k in (0, 2):
        if ends[k] > ends[k + 1]:
            name = f"low{k // 2 + 1}"
            problem = f"must be at most the upper end {ends[k + 1]:g}, got {ends[k]:g}"
            raise InputError(name, problem, "swap the two ends")
    power = check_order(p)
    start, stop = require_finite(ends[2] - ends[0], "low1"), require_finite(ends[3] - ends[1], "high1")
    small, large = sorted((abs(start), abs(stop)))
    if large == 0:
        return make_result(0.0, power, 1)
    if min(start, stop) < 0 < max(start, stop):
        ratio = small / large
        mean = (1 + ratio ** (power + 1)) / (power + 1) / (1 + ratio)
    else:
        mean = _compute_mean_power((large - small) / large, power)
    # mean is the mean of (|difference| / large)^p: at most 1, so nothing overflows.
    return make_result(large * mean ** (1 / power), power, 1)


def _compute_mean_power(width: float, p: float) -> float:
    """Compute the mean of r^p for r uniform on [1 - slack, 1]: ``(1 - (1-slack)^(p+1)) / ((p+1) slack)``."""
    if width == 0:
        return 1.0
    if width == 1:
        return 1 / (p + 1)
    return -math.expm1((p + 1) * math.log1p(-width)) / (p + 1) / width


@isolate_errstate
def exponential(scale1: float, scale2: float, *, p: float = 1) -> Result:
    """Compute W_p between two exponential distributions.

    ``W_p = |scale1 - scale2| Gamma(p + 1)^(1/p)``.

    Parameters
    ----------
    scale1, scale2 : float >= 0
        Means of the distributions (1 / rate), in the units of the points; 0 is the single point 0.
    p : float in [1, 2**53)
        Order of the distance.

    Returns
    -------
    Result
        Exact up to a few roundings: ``lower == value == upper``.

    Raises
    ------
    InputError
        If a scale is negative or not finite, or ``p < 1``.

    Notes
    -----
    O(1). The quantile functions are ``-scale log(1 - u)``, so their difference is an exponential
    distribution of scale ``|scale1 - scale2|``, whose p-th moment is ``scale^p Gamma(p + 1)``.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.exponential(1.0, 3.0).value
    2.0
    """
    step = abs(read_scale(scale1, "scale1") - read_scale(scale2, "scale2"))
    power = check_order(p)
    factor = math.exp(math.lgamma(power + 1) / power)  # Gamma itself overflows from p = 171 on
    return make_result(require_finite(step * factor, "scale1"), power, 1)


@isolate_errstate
def dirac(x: ArrayInput, point: ArrayInput, a: ArrayInput | None = None, *, p: float = 1) -> Result:
    """Compute W_p between weighted samples and a single point.

    ``W_p^p = sum_i a_i |x_i - point|^p`` with the weights normalised to mass 1: all mass goes to one point.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,) when d = 1
        Samples.
    point : array_like, shape (d,) or a number when d = 1
        The point, in the units of ``x``.
    a : array_like, shape (n,), optional
        Weights >= 0, normalised to mass 1; None means equal weights.
    p : float in [1, 2**53)
        Order of the distance.

    Returns
    -------
    Result
        Exact up to the rounding of the sum: ``lower == value == upper``.

    Raises
    ------
    InputError
        If an array is empty, not finite, complex or of the wrong length, a weight is
        negative, or ``p < 1``.

    Notes
    -----
    O(n d) time and memory. The only coupling is the product, so nothing is optimised.

    Examples
    --------
    >>> from otdist import closed
    >>> closed.dirac([[0.0, 0.0], [3.0, 4.0]], [0.0, 0.0], a=[1, 3]).value
    3.75
    """
    cloud = read_points(x, "x", (1, 2))
    cloud = cloud[:, None] if cloud.ndim == 1 else cloud
    target = read_vector(point, "point")
    n, d = cloud.shape
    if len(target) != d:
        problem = f"must have {d} coordinates, one a column of x, got {len(target)}"
        raise InputError("point", problem, "pass one a column")
    power = check_order(p)
    mass = np.ones(n) if a is None else read_weights(a, "a", n)
    with np.errstate(over="ignore"):  # reported by require_finite() below
        steps = np.abs(cloud - target)[mass > 0]
    mass = mass[mass > 0]
    largest = require_finite(float(steps.max()), "x")
    if largest == 0:
        return make_result(0.0, power, d, n, 1)
    # Relative to the largest coordinate and then to the farthest point: no power overflows or vanishes.
    radii = np.sqrt(((steps / largest) ** 2).sum(axis=1))
    farthest = float(radii.max())
    mean = float(np.sum(mass * (radii / farthest) ** power) / np.sum(mass))
    return make_result(require_finite(largest * farthest * mean ** (1 / power), "x"), power, d, n, 1)
