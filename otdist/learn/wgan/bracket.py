"""W1 between two laws from samples of both: a bracket, and what the samples make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]
Potential = Callable[[Array], Array]

MISS = 0.025  # chance that a bound fails, each: together at 95 %


@dataclass(frozen=True, eq=False)
class Bracketed:
    """W1 between two laws, as far as samples know it.

    Attributes
    ----------
    lower, upper : float
        Together at 95 % around W1 between the laws.
    estimate : float
        Mean W1 between a sample of one and a sample of the other.
    floor : float
        W1 between two samples of the first law.
    debiased : float
        Estimate less half of W1 between two samples of one law, for either law.
    potential : callable
        A 1-Lipschitz function made from the first half of the points.
    """

    lower: float
    upper: float
    estimate: float
    floor: float
    debiased: float
    potential: Potential


def bracketed(
    x: Array, y: Array, critic: Potential | None = None, *, floor: float | None = None
) -> Bracketed:
    r"""Bracket W1 between the laws of x and y by exact transport between their halves.

    .. math::

        \text{upper} = \bar W + z \, s, \quad \bar W = \tfrac12 \sum_k W_1(x_k, y_k), \quad
        s^2 = \tfrac14 \sum_k \tfrac1n \left(\mathrm{Var} f_k(x_k) + \mathrm{Var} g_k(y_k)\right)

    over both halves, with the potentials of each transport; `lower` is the mean difference of the potential
    of one half on the other, less the same kind of margin.

    Parameters
    ----------
    x, y : ndarray, shape (2 n, d)
        Independent points of either law, n at least 2.
    critic : callable, optional
        A 1-Lipschitz function made without any of these points: a second lower bound.
    floor : float, optional
        W1 between the halves of x, where it is known already.

    Returns
    -------
    Bracketed
        The bounds, and what they were made of.

    Notes
    -----
    The mean of W1 between samples is at least W1 between the laws (Jensen: W1 is convex), so only noise about
    that mean can make `upper` too small. Its variance is at most (tr Cov P + tr Cov Q) / n for one sample of
    n points (Efron, Stein 1981: a point that is replaced moves W1 by at most its way, divided by n). What is
    used is the infinitesimal jackknife, sharper where laws are apart and equal to the limit (del Barrio,
    Loubes 2019 for W2): the potentials are the derivative of W1 with respect to the weights. Means of n
    points are taken to be normal. Cost: four exact transports of n points, or three.
    """
    halves = list(zip(np.split(x, 2), np.split(y, 2), strict=True))
    same = [np.split(y, 2)] if floor is not None else [np.split(y, 2), np.split(x, 2)]
    first, second, itself, *found = _transports([*halves, *same])
    results = [first, second]
    floor = float(found[0]) if floor is None else floor
    estimate = float(np.mean([float(result) for result in results]))
    noise = math.sqrt(sum(_variance(*result.potentials) for result in results)) / 2
    tries = [_crossed(results, halves)]
    if critic is not None:
        tries.append(difference(critic(x), critic(y)))
    margin = quantile(MISS / len(tries))
    return Bracketed(
        lower=max(0.0, *(gap - margin * error for gap, error in tries)),
        upper=estimate + quantile(MISS) * noise,
        estimate=estimate,
        floor=floor,
        debiased=estimate - (floor + float(itself)) / 2,
        potential=results[0].critic,
    )


def quantile(miss: float) -> float:
    """What a normal number exceeds with this chance, in its standard deviations."""
    return -float(ndtri(miss))


def difference(f: Array, g: Array) -> tuple[float, float]:
    """Difference of two means, and its standard error."""
    return float(f.mean() - g.mean()), math.sqrt(_variance(f, g))


def _crossed(results: list[Any], halves: list[tuple[Array, Array]]) -> tuple[float, float]:
    """Mean of what the potential of each half makes of the other half, and a bound of its standard error."""
    gaps, errors = zip(
        *(
            difference(result.critic(a), result.critic(b))
            for result, (a, b) in zip(results, halves[::-1], strict=True)
        ),
        strict=True,
    )
    # Both share all points, in other roles: the mean of the errors holds whatever their correlation.
    return float(np.mean(gaps)), float(np.mean(errors))


def _variance(f: Array, g: Array) -> float:
    """Of the difference of the means of two samples."""
    return float(f.var(ddof=1) / len(f) + g.var(ddof=1) / len(g))


def _transports(pairs: Sequence[Sequence[Array]]) -> list[Any]:
    """Exact transports, at once where there are cores: solvers let go of the interpreter."""
    import otdist

    with ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(lambda pair: otdist.w1(*pair), pairs))
