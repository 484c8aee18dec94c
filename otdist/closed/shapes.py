"""Properties of named families beyond their quantile functions.

Two properties turn quantiles into proved bounds, and neither follows from quantile values alone:

- between two turning points of the density the quantile function is convex or concave, because its
  derivative is one over the density. Cells between turning points have second-order bounds.
- where ``y -> f(e^y)`` is log-concave on each side of 0 (f is "hyperbolically monotone"), the generalised
  failure rate ``x f(x) / (1 - F(x))`` increases: Lariviere (2006). The tail beyond x then lies below
  the power law that is tangent to it at x. This holds for every family below on each unbounded side.

Other families use the bounds that hold for any monotone function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


def _no_turning_points(*shapes: float) -> tuple[float, ...]:
    return ()


def _turning_point_zero(*shapes: float) -> tuple[float, ...]:
    return (0.0,)


def _infinite_index(*shapes: float) -> float:
    return math.inf


@dataclass(frozen=True)
class Shape:
    """Properties of one family in standard form (loc 0, scale 1), as functions of its shape parameters.

    Attributes
    ----------
    turning_points
        Points where the density changes from increasing to decreasing or back; points outside the support
        are ignored.
    moment_index
        ``E|X|^p`` is finite if and only if ``p < moment_index``.
    """

    turning_points: Callable[..., tuple[float, ...]] = _no_turning_points
    moment_index: Callable[..., float] = _infinite_index


def _compute_gamma_mode(a: float) -> tuple[float, ...]:
    return (max(a - 1, 0.0),)


def _compute_weibull_mode(c: float) -> tuple[float, ...]:
    return (((c - 1) / c) ** (1 / c),) if c > 1 else ()


def _compute_beta_mode(a: float, b: float) -> tuple[float, ...]:
    # The mode for a, b > 1 and the minimum of the U shape for a, b < 1; outside (0, 1) otherwise.
    return ((a - 1) / (a + b - 2),) if a + b != 2 else (0.5,)


def _compute_fisk_mode(c: float) -> tuple[float, ...]:
    return (((c - 1) / (c + 1)) ** (1 / c),) if c > 1 else ()


def _compute_f_mode(dfn: float, dfd: float) -> tuple[float, ...]:
    return ((dfn - 2) / dfn * dfd / (dfd + 2),) if dfn > 2 else ()


FAMILY_SHAPES = {
    "arcsine": Shape(lambda: (0.5,)),
    "beta": Shape(_compute_beta_mode),
    "cauchy": Shape(_turning_point_zero, lambda: 1.0),
    "chi": Shape(lambda df: (math.sqrt(max(df - 1, 0.0)),)),
    "chi2": Shape(lambda df: (max(df - 2, 0.0),)),
    "erlang": Shape(_compute_gamma_mode),
    "expon": Shape(),
    "f": Shape(_compute_f_mode, lambda dfn, dfd: dfd / 2),
    "fisk": Shape(_compute_fisk_mode, lambda c: c),
    "gamma": Shape(_compute_gamma_mode),
    "genpareto": Shape(_no_turning_points, lambda c: 1 / c if c > 0 else math.inf),
    "gumbel_l": Shape(_turning_point_zero),
    "gumbel_r": Shape(_turning_point_zero),
    "halfcauchy": Shape(_no_turning_points, lambda: 1.0),
    "halfnorm": Shape(),
    "invgamma": Shape(lambda a: (1 / (a + 1),), lambda a: a),
    "invweibull": Shape(lambda c: ((c / (c + 1)) ** (1 / c),), lambda c: c),
    "laplace": Shape(_turning_point_zero),
    "logistic": Shape(_turning_point_zero),
    "lognorm": Shape(lambda s: (math.exp(-s * s),)),
    "loguniform": Shape(),
    "lomax": Shape(_no_turning_points, lambda c: c),
    "maxwell": Shape(lambda: (math.sqrt(2),)),
    "norm": Shape(_turning_point_zero),
    "pareto": Shape(_no_turning_points, lambda b: b),
    "powerlaw": Shape(),
    "rayleigh": Shape(lambda: (1.0,)),
    "reciprocal": Shape(),
    "t": Shape(_turning_point_zero, lambda df: df),
    "triang": Shape(lambda c: (c,)),
    "truncexpon": Shape(),
    "truncnorm": Shape(lambda a, b: (0.0,)),
    "uniform": Shape(),
    "weibull_min": Shape(_compute_weibull_mode),
}
