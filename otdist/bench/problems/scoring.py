"""Scores of critics on problems with known potential and W1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from otdist.bench.problems.pair import Pair, divide_rows
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_integer, check_rng
from otdist.inputs.arrays import read
from otdist.inputs.clouds import require_finite
from otdist.typing import Array, ArrayInput

MAX_STANDARD_ERRORS = 3.0  # joint standard errors


@dataclass(frozen=True)
class CriticScores:
    """Scores of a critic against the true potential, on fresh samples.

    Attributes
    ----------
    cosine : float
        Mean over P of the cosine between the critic's gradient and the true one; 1 is best.
    squared_l2 : float
        Mean over P of the squared distance of the gradients; 0 is best.
    estimate : float
        ``mean f(x) - mean f(y)``, in the units of the points.
    estimate_error : float
        Standard error of `estimate`.
    deviation : float
        ``|estimate - W1| / W1``.
    overstates : bool
        Whether the estimate exceeds W1 by more than three joint standard errors: f is not 1-Lipschitz.
    undefined : int
        Points of P where the true potential has no gradient (tips); cosine and squared_l2 leave them out.
    """

    cosine: float
    squared_l2: float
    estimate: float
    estimate_error: float
    deviation: float
    overstates: bool
    undefined: int


def scores(
    pair: Pair,
    value: Callable[[Array], ArrayInput],
    gradient: Callable[[Array], ArrayInput],
    rng: Rng = None,
    n: int = 4096,
) -> CriticScores:
    """Score a critic by its gradient and its estimate of W1 on n fresh points of each distribution.

    Parameters
    ----------
    pair : Pair
        The problem.
    value : callable
        Critic: maps z of shape (n, d), in float64, to an array or tensor of shape (n,); larger on P.
    gradient : callable
        Gradient of the critic: maps z to shape (n, d).
    rng : int or Generator, optional
        Seed of the samples.
    n : int
        Number of points of each distribution, at least 2.

    Returns
    -------
    CriticScores
        Scores, computed in float64. A gradient of 0 has cosine 0.

    Raises
    ------
    InputError
        If ``value`` or ``gradient`` returns another shape or non-finite values, n is too small, or the
        potential has no gradient at any point drawn from P.

    Notes
    -----
    Source: Korotin, Kolesov, Burnaev (2022), section 5. Differs in that the true gradient is computed in
    float64, and in that the standard error of the estimate is returned.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.funnels(2, 4, rng=0)
    >>> best = problems.scores(pair, pair.potential, pair.gradient, rng=1)
    >>> round(best.cosine, 12), round(best.squared_l2, 12), best.overstates
    (1.0, 0.0, False)
    """
    check_integer(n, "n", at_least=2, remedy="pass more: a standard error needs two points")
    x, y = pair.sample(n, rng=check_rng(rng))
    true_gradients = pair.gradient(x)
    defined = np.abs(true_gradients).max(axis=1) > 0
    if not defined.any():
        raise InputError(
            "n", f"must be larger, got {n}: all points of P are tips of the potential", "pass a larger n"
        )
    gradients, true_gradients = _evaluate(gradient, x, "gradient", x.shape)[defined], true_gradients[defined]
    norms = np.sqrt((gradients**2).sum(axis=1))  # true gradients have norm 1
    at_x, at_y = (_evaluate(value, z, "value", (n,)) for z in (x, y))
    estimate = float(at_x.mean() - at_y.mean())
    error = math.sqrt((at_x.var(ddof=1) + at_y.var(ddof=1)) / n)
    return CriticScores(
        cosine=float((divide_rows(gradients, norms) * true_gradients).sum(axis=1).mean()),
        squared_l2=float(((gradients - true_gradients) ** 2).sum(axis=1).mean()),
        estimate=estimate,
        estimate_error=error,
        deviation=abs(estimate - pair.w1) / pair.w1,
        overstates=estimate - pair.w1 > MAX_STANDARD_ERRORS * math.hypot(error, pair.w1_error),
        undefined=int(n - defined.sum()),
    )


def _evaluate(function: Callable[[Array], ArrayInput], z: Array, name: str, shape: tuple[int, ...]) -> Array:
    """Evaluate a function of the user and check its values."""
    out = read(function(z.copy()), name).values  # a copy, since the function may write to its argument
    if out.shape != shape:
        raise InputError(name, f"must return shape {shape}, got {out.shape}", "return one row per point")
    require_finite(out, name, "make all values finite")
    return out
