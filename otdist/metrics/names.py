"""Conversion of the argument ``metric`` to a Metric."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

import numpy as np

from otdist.errors import InputError, Option, Remedy
from otdist.inputs.arguments import format_value, is_call_error
from otdist.metrics.base import Metric
from otdist.metrics.sphere import great_circle
from otdist.metrics.tables import mixed
from otdist.metrics.torus import periodic
from otdist.metrics.vectors import VECTOR_METRICS, minkowski
from otdist.typing import Array

NAMED = VECTOR_METRICS | {"great_circle": great_circle()}
GOWER = "gower"  # takes its scales from the samples
FACTORIES: tuple[Callable[..., object], ...] = (minkowski, mixed, periodic, great_circle)
ALIASES = {  # names of the same metrics in other packages
    **dict.fromkeys(("manhattan", "l1", "taxicab", "city_block"), "cityblock"),
    "l2": "euclidean",
    **dict.fromkeys(("l2**2", "squared_euclidean", "sqeuclid", "squared_l2"), "sqeuclidean"),
    **dict.fromkeys(("linf", "l_inf", "linfinity", "infinity", "supremum", "max"), "chebyshev"),
    **dict.fromkeys(("greatcircle", "great_circle_distance"), "great_circle"),
}
GREAT_CIRCLE_REMEDY = Remedy(
    "use {}: points are (latitude, longitude) in degrees (np.degrees(x) of "
    "radians), the distance is in 'km', or in 'm', 'mi', 'nmi', 'rad' or 'deg'",
    Option("metric", "otdist.metrics.great_circle()", "great_circle"),
)
GEODESIC_REMEDY = Remedy(
    "{}; this is the distance on a sphere, within 0.6 % of the ellipsoid; pass geodesics of the ellipsoid "
    "to otdist.emd as a cost matrix",
    GREAT_CIRCLE_REMEDY,
)
PERIODIC_REMEDY = (
    "use metric=otdist.metrics.periodic(360.0) for degrees, 24.0 for hours, or 'angular' for directions"
)
REMEDIES = {
    **dict.fromkeys(
        ("haversine", "geo", "gps", "latlon", "lat_lon", "latlong", "lat_long"), GREAT_CIRCLE_REMEDY
    ),
    **dict.fromkeys(
        ("earth", "sphere", "spherical", "arc", "orthodromic", "orthodrome"), GREAT_CIRCLE_REMEDY
    ),
    **dict.fromkeys(("geodesic", "vincenty", "geodetic", "ellipsoid", "wgs84"), GEODESIC_REMEDY),
    **dict.fromkeys(
        ("circular", "circle", "cyclic", "torus", "angle", "hours", "time_of_day"), PERIODIC_REMEDY
    ),
    "precomputed": "pass the matrix to otdist.emd(cost, a, b)",
    "minkowski": "use metric=otdist.metrics.minkowski(3)",
    "lp": "use metric=otdist.metrics.minkowski(3)",
    "periodic": "use metric=otdist.metrics.periodic([360.0, None])",
    "mixed": "use metric='gower' or otdist.metrics.mixed(...)",
    **dict.fromkeys(
        ("hamming", "matching"),
        "use otdist.metrics.mixed(np.ones(d), categorical=[True] * d): share of differing columns",
    ),
    "mahalanobis": "pass points times the Cholesky factor of the inverse covariance, with metric='euclidean'",
    "seuclidean": "divide each column by its standard deviation, and use metric='euclidean'",
    "correlation": "subtract its mean from each row, and use metric='cosine'",
    "nan_euclidean": Remedy(
        "use {} with {}",
        Option("metric", "'euclidean'", "euclidean"),
        Option("nan_policy", "'omit'", "omit"),
    ),
    **dict.fromkeys(
        ("levenshtein", "edit", "dtw", "shortest_path"),
        "pass a function of two points, or its matrix to otdist.emd(cost, a, b)",
    ),
}
SCIPY_METRICS = frozenset(
    [
        "braycurtis",
        "canberra",
        "dice",
        "jaccard",
        "jensenshannon",
        "kulczynski1",
        "rogerstanimoto",
        "russellrao",
        "sokalmichener",
        "sokalsneath",
        "yule",
    ]
)


def resolve(metric: str | Metric | Callable[..., float]) -> Metric:
    """Return the metric of a name, a Metric or a callable; raises InputError."""
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        name = _normalise_name(metric)
        name = ALIASES.get(name, name)
        if name in NAMED:
            return NAMED[name]
        raise InputError("metric", f"must be a known name, got {format_value(metric)}", _find_remedy(name))
    if isinstance(metric, type) or any(metric is factory for factory in FACTORIES):
        call = f"otdist.metrics.{metric.__name__}(...)"
        raise InputError("metric", f"is {metric.__name__} itself", f"call it: metric={call}")
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, partial(_compute_callable_matrix, metric))
    raise InputError(
        "metric",
        f"must be a name, a Metric or a function, got {format_value(metric)}",
        "use metric='euclidean'",
    )


def is_gower(metric: object) -> bool:
    """Return whether this is the name of Gower's metric, which is made with the samples."""
    return isinstance(metric, str) and _normalise_name(metric) == GOWER


def _normalise_name(name: str) -> str:
    """Normalise case, blanks and hyphens of a name."""
    return "_".join(name.lower().replace("-", " ").split())


def _find_remedy(name: str) -> str:
    """Find the remedy for an unknown name."""
    if name in REMEDIES:
        return REMEDIES[name]
    if name in SCIPY_METRICS:
        return f"pass otdist.emd(scipy.spatial.distance.cdist(x, y, {name!r}), a, b)"
    names = [*NAMED, GOWER]
    matches = difflib.get_close_matches(name, [*names, *ALIASES, *REMEDIES, *SCIPY_METRICS], 1, 0.75)
    if matches and matches[0] not in REMEDIES and matches[0] not in SCIPY_METRICS:
        return f"did you mean {ALIASES.get(matches[0], matches[0])!r}?"
    if matches:
        return Remedy("did you mean {}? Then {}", repr(matches[0]), _find_remedy(matches[0]))
    return f"use one of {', '.join(repr(known_name) for known_name in names)}, or a function of two points"


def _compute_callable_matrix(function: Callable[..., float], x: Array, y: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, partial(_call_metric, function)))


def _call_metric(function: Callable[..., float], u: Array, v: Array) -> float:
    try:
        cost = function(u, v)
    except TypeError as error:
        if not is_call_error(error):
            raise
        problem = f"{format_value(function)} cannot be called with two points ({error})"
        raise InputError("metric", problem, "pass a function of two points") from error
    try:
        return float(cost)
    except (TypeError, ValueError):
        problem = f"must return a number, got {format_value(cost)} from {format_value(function)}"
        raise InputError("metric", problem, "return a finite, non-negative float") from None
