"""Bracket of W1 between two distributions, from samples of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from otdist.api.distance import w1
from otdist.typing import Array

Potential = Callable[[Array], Array]

MISS_PROBABILITY = 0.025  # of each bound; the bracket has level 95 %


@dataclass(frozen=True, eq=False)
class SampleBracket:
    """Bracket of W1 between two distributions, and estimates from their samples.

    Attributes
    ----------
    lower, upper : float
        Bounds of W1 between the distributions, with joint level 95 %.
    estimate : float
        Mean W1 between a sample of each distribution.
    floor : float
        W1 between two samples of the first distribution.
    debiased : float
        Estimate less half of W1 between two samples of each distribution.
    influence : ndarray, shape (4, n)
        Derivatives of ``debiased`` by the weights of the points, for the halves of x and of y; each half has
        an arbitrary constant.
    potential : callable
        1-Lipschitz function computed from the first half of the points.
    """

    lower: float
    upper: float
    estimate: float
    floor: float
    debiased: float
    influence: Array
    potential: Potential


def bracket_w1(
    x: Array, y: Array, critic: Potential | None = None, *, miss: float = MISS_PROBABILITY
) -> SampleBracket:
    r"""Bracket W1 between the distributions of x and y by exact transport between halves of the samples.

    .. math::

        \text{upper} = \bar W + z \, s, \quad \bar W = \tfrac12 \sum_k W_1(x_k, y_k), \quad
        s^2 = \tfrac14 \sum_k \tfrac1n \left(\mathrm{Var} f_k(x_k) + \mathrm{Var} g_k(y_k)\right)

    over both halves, with the potentials of each transport. `lower` is the mean difference of the potential
    of one half on the other half, less a margin of the same kind.

    Parameters
    ----------
    x, y : ndarray, shape (2 n, d)
        Independent points of each distribution, n at least 2.
    critic : callable, optional
        1-Lipschitz function that does not depend on these points, for a second lower bound.
    miss : float
        Probability of each bound to miss W1.

    Returns
    -------
    SampleBracket
        The bounds and estimates.

    Notes
    -----
    The mean of W1 between samples is at least W1 between the distributions (Jensen: W1 is convex), so `upper`
    can only be too small by noise about that mean. Its variance is at most (tr Cov P + tr Cov Q) / n for one
    sample of n points (Efron, Stein 1981: replacing a point changes W1 by at most its displacement over n).
    The code uses the infinitesimal jackknife, which is sharper for distributions far apart and equals the
    limit (del Barrio, Loubes 2019 for W2): the potentials are the derivative of W1 with respect to the
    weights. Means of n points are assumed normal. Cost: four exact transports of n points.
    """
    (x1, x2), (y1, y2) = np.split(x, 2), np.split(y, 2)
    halves = [(x1, y1), (x2, y2)]
    *results, y_within, x_within = _solve_transports([*halves, (y1, y2), (x1, x2)])
    floor = float(x_within)
    estimate = float(np.mean([float(result) for result in results]))
    estimate_error = math.sqrt(sum(_variance(*result.potentials) for result in results)) / 2
    lower_bounds = [_cross_evaluate(results, halves)]
    if critic is not None:
        lower_bounds.append(mean_difference(critic(x), critic(y)))
    margin = normal_quantile(miss / len(lower_bounds))
    between = [
        potentials for pair in zip(*(r.potentials for r in results), strict=True) for potentials in pair
    ]
    within = [*x_within.potentials, *y_within.potentials]
    return SampleBracket(
        lower=max(0.0, *(gap - margin * error for gap, error in lower_bounds)),
        upper=estimate + normal_quantile(miss) * estimate_error,
        estimate=estimate,
        floor=floor,
        debiased=estimate - (floor + float(y_within)) / 2,
        influence=(np.array(between) - np.array(within)) / 2,
        potential=results[0].critic,
    )


def standard_error(influence: Array) -> float:
    """Return the standard error of ``debiased``, or of a difference of two, from its influence (4, n)."""
    return math.sqrt(float(influence.var(axis=1, ddof=1).sum()) / influence.shape[1])


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile that is exceeded with this probability."""
    return -float(ndtri(probability))


def mean_difference(f: Array, g: Array) -> tuple[float, float]:
    """Return the difference of two means and its standard error."""
    return float(f.mean() - g.mean()), math.sqrt(_variance(f, g))


def _cross_evaluate(results: list[Any], halves: list[tuple[Array, Array]]) -> tuple[float, float]:
    """Return the mean gap of each half's potential on the other half, and a bound of its standard error."""
    gaps, errors = zip(
        *(
            mean_difference(result.critic(a), result.critic(b))
            for result, (a, b) in zip(results, halves[::-1], strict=True)
        ),
        strict=True,
    )
    # The two gaps share all points; the mean of the errors is a bound for any correlation.
    return float(np.mean(gaps)), float(np.mean(errors))


def _variance(f: Array, g: Array) -> float:
    """Return the variance of the difference of two sample means."""
    return float(f.var(ddof=1) / len(f) + g.var(ddof=1) / len(g))


def _solve_transports(pairs: Sequence[Sequence[Array]]) -> list[Any]:
    """Solve exact transports in parallel threads: solvers release the interpreter lock."""
    with ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(lambda pair: w1(*pair), pairs))
