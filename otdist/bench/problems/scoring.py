"""How good a critic is where the answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.arrays import Array, read
from otdist.bench.problems.pair import Pair, divided, require_finite
from otdist.errors import InputError
from otdist.inputs.arguments import Rng
from otdist.inputs.arguments import check_count as require_count
from otdist.inputs.arguments import check_rng as generator

BEYOND = 3.0  # joint standard errors


@dataclass(frozen=True)
class CriticScores:
    """A critic against the truth, on fresh samples.

    Attributes
    ----------
    cosine : float
        Mean over P of the cosine between the critic's gradient and the true one; 1 is best.
    squared_l2 : float
        Mean over P of the squared distance of the gradients; 0 is best.
    estimate : float
        ``mean f(x) - mean f(y)``, in the units of the points.
    estimate_error : float
        Its standard error.
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
    value: Callable[[Array], Any],
    gradient: Callable[[Array], Any],
    rng: Rng = None,
    n: int = 4096,
) -> CriticScores:
    """Judge a critic by its gradient and its estimate of W1 on n fresh points of each law.

    Parameters
    ----------
    pair : Pair
        The problem.
    value : callable
        The critic: z of shape (n, d), in float64, to an array or tensor of shape (n,), large where P is.
    gradient : callable
        Its gradient: z to shape (n, d).
    rng : int or Generator, optional
        Seed of the samples.
    n : int
        Number of points of each law, at least 2.

    Returns
    -------
    CriticScores
        All computed in float64. A gradient of 0 has cosine 0.

    Raises
    ------
    InputError
        If what ``value`` or ``gradient`` returns has another shape or is not finite, n is too small, or no
        point drawn from P has a gradient.

    Notes
    -----
    Source: Korotin, Kolesov, Burnaev (2022), section 5. Differs in that the true gradient is computed in
    float64, and in that the error of the estimate is stated.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.funnels(2, 4, rng=0)
    >>> best = problems.scores(pair, pair.potential, pair.gradient, rng=1)
    >>> round(best.cosine, 12), round(best.squared_l2, 12), best.overstates
    (1.0, 0.0, False)
    """
    require_count(n, "n")
    if n < 2:
        raise InputError("n", f"is {n}", "pass at least 2: the error of a mean needs two points")
    x, y = pair.sample(n, rng=generator(rng))
    true = pair.gradient(x)
    defined = np.abs(true).max(axis=1) > 0
    if not defined.any():
        raise InputError("n", f"all {n} points of P are tips of the potential", "pass a larger n")
    slopes, true = _returned(gradient, x, "gradient", x.shape)[defined], true[defined]
    lengths = np.sqrt((slopes**2).sum(axis=1))  # the true ones have length 1
    at_x, at_y = (_returned(value, z, "value", (n,)) for z in (x, y))
    estimate = float(at_x.mean() - at_y.mean())
    error = math.sqrt((at_x.var(ddof=1) + at_y.var(ddof=1)) / n)
    return CriticScores(
        cosine=float((divided(slopes, lengths) * true).sum(axis=1).mean()),
        squared_l2=float(((slopes - true) ** 2).sum(axis=1).mean()),
        estimate=estimate,
        estimate_error=error,
        deviation=abs(estimate - pair.w1) / pair.w1,
        overstates=estimate - pair.w1 > BEYOND * math.hypot(error, pair.w1_error),
        undefined=int(n - defined.sum()),
    )


def _returned(function: Callable[[Array], Any], z: Array, name: str, shape: tuple[int, ...]) -> Array:
    """Values of what is judged, checked."""
    out = read(function(z.copy()), name).values  # a copy: it may write to its argument
    if out.shape != shape:
        raise InputError(name, f"returned shape {out.shape}, not {shape}", "return one row for each point")
    require_finite(out, name)
    return out
