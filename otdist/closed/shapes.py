"""What is known of named families beyond their quantile functions.

Two facts turn quantiles into proofs, and neither can be read off a black box:

- between two turning points of the density the quantile function is convex or concave, because its
  derivative is one over the density. Cells between turning points have second-order bounds.
- where ``y -> f(e^y)`` is log-concave on each side of 0 (f is "hyperbolically monotone"), the generalised
  failure rate ``x f(x) / (1 - F(x))`` increases: Lariviere (2006). The tail beyond x then lies below
  the power law that is tangent to it at x. This holds for every family below on each unbounded side.

A family that is not listed keeps the bounds that hold for any monotone function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


def _nowhere(*shapes: float) -> tuple[float, ...]:
    return ()


def _at_zero(*shapes: float) -> tuple[float, ...]:
    return (0.0,)


def _never(*shapes: float) -> float:
    return math.inf


@dataclass(frozen=True)
class Shape:
    """Facts on one family in standard form (loc 0, scale 1), as functions of its shape parameters.

    Attributes
    ----------
    turns
        Where the density passes from increasing to decreasing or back; a point outside the support
        is harmless.
    index
        ``E|X|^p`` is finite if and only if ``p < index``.
    """

    turns: Callable[..., tuple[float, ...]] = _nowhere
    index: Callable[..., float] = _never


def _gamma_turn(a: float) -> tuple[float, ...]:
    return (max(a - 1, 0.0),)


def _weibull_turn(c: float) -> tuple[float, ...]:
    return (((c - 1) / c) ** (1 / c),) if c > 1 else ()


def _beta_turn(a: float, b: float) -> tuple[float, ...]:
    # The mode for a, b > 1 and the lowest point of the U shape for a, b < 1; outside (0, 1) otherwise.
    return ((a - 1) / (a + b - 2),) if a + b != 2 else (0.5,)


def _fisk_turn(c: float) -> tuple[float, ...]:
    return (((c - 1) / (c + 1)) ** (1 / c),) if c > 1 else ()


def _f_turn(dfn: float, dfd: float) -> tuple[float, ...]:
    return ((dfn - 2) / dfn * dfd / (dfd + 2),) if dfn > 2 else ()


SHAPES = {
    "arcsine": Shape(lambda: (0.5,)),
    "beta": Shape(_beta_turn),
    "cauchy": Shape(_at_zero, lambda: 1.0),
    "chi": Shape(lambda df: (math.sqrt(max(df - 1, 0.0)),)),
    "chi2": Shape(lambda df: (max(df - 2, 0.0),)),
    "erlang": Shape(_gamma_turn),
    "expon": Shape(),
    "f": Shape(_f_turn, lambda dfn, dfd: dfd / 2),
    "fisk": Shape(_fisk_turn, lambda c: c),
    "gamma": Shape(_gamma_turn),
    "genpareto": Shape(_nowhere, lambda c: 1 / c if c > 0 else math.inf),
    "gumbel_l": Shape(_at_zero),
    "gumbel_r": Shape(_at_zero),
    "halfcauchy": Shape(_nowhere, lambda: 1.0),
    "halfnorm": Shape(),
    "invgamma": Shape(lambda a: (1 / (a + 1),), lambda a: a),
    "invweibull": Shape(lambda c: ((c / (c + 1)) ** (1 / c),), lambda c: c),
    "laplace": Shape(_at_zero),
    "logistic": Shape(_at_zero),
    "lognorm": Shape(lambda s: (math.exp(-s * s),)),
    "loguniform": Shape(),
    "lomax": Shape(_nowhere, lambda c: c),
    "maxwell": Shape(lambda: (math.sqrt(2),)),
    "norm": Shape(_at_zero),
    "pareto": Shape(_nowhere, lambda b: b),
    "powerlaw": Shape(),
    "rayleigh": Shape(lambda: (1.0,)),
    "reciprocal": Shape(),
    "t": Shape(_at_zero, lambda df: df),
    "triang": Shape(lambda c: (c,)),
    "truncexpon": Shape(),
    "truncnorm": Shape(lambda a, b: (0.0,)),
    "uniform": Shape(),
    "weibull_min": Shape(_weibull_turn),
}
