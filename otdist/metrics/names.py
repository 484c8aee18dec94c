"""From what the caller passed as ``metric`` to a Metric."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError, Option, Remedy
from otdist.inputs.arguments import call_error, shown
from otdist.metrics.base import Metric
from otdist.metrics.sphere import great_circle
from otdist.metrics.tables import mixed
from otdist.metrics.torus import periodic
from otdist.metrics.vectors import OF_VECTORS, minkowski

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NAMED = OF_VECTORS | {"great_circle": great_circle()}
GOWER = "gower"  # takes its scales from the samples, so it is made with them
FACTORIES: tuple[Callable[..., Any], ...] = (minkowski, mixed, periodic, great_circle)
ALIASES = {  # names that other packages have for the same
    **dict.fromkeys(("manhattan", "l1", "taxicab", "city_block"), "cityblock"),
    "l2": "euclidean",
    **dict.fromkeys(("l2**2", "squared_euclidean", "sqeuclid", "squared_l2"), "sqeuclidean"),
    **dict.fromkeys(("linf", "l_inf", "linfinity", "infinity", "supremum", "max"), "chebyshev"),
    **dict.fromkeys(("greatcircle", "great_circle_distance"), "great_circle"),
}
ON_EARTH = Remedy(
    "use {}: points are (latitude, longitude) in degrees (np.degrees(x) of "
    "radians), the distance is in 'km', or in 'm', 'mi', 'nmi', 'rad' or 'deg'",
    Option("metric", "otdist.metrics.great_circle()", "great_circle"),
)
ON_ELLIPSOID = Remedy(
    "{}; it is that of a sphere, within 0.6 %, and geodesics of the ellipsoid go into otdist.emd "
    "as a cost matrix",
    ON_EARTH,
)
AROUND = "use metric=otdist.metrics.periodic(360.0) for degrees, 24.0 for hours, or 'angular' for directions"
HINTS = {
    **dict.fromkeys(("haversine", "geo", "gps", "latlon", "lat_lon", "latlong", "lat_long"), ON_EARTH),
    **dict.fromkeys(("earth", "sphere", "spherical", "arc", "orthodromic", "orthodrome"), ON_EARTH),
    **dict.fromkeys(("geodesic", "vincenty", "geodetic", "ellipsoid", "wgs84"), ON_ELLIPSOID),
    **dict.fromkeys(("circular", "circle", "cyclic", "torus", "angle", "hours", "time_of_day"), AROUND),
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
OF_SCIPY = frozenset(
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
    """Find or make the metric; raises InputError."""
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        name = _plain(metric)
        name = ALIASES.get(name, name)
        if name in NAMED:
            return NAMED[name]
        raise InputError("metric", f"{shown(metric)} is not a known name", _remedy(name))
    if isinstance(metric, type) or any(metric is factory for factory in FACTORIES):
        call = f"otdist.metrics.{metric.__name__}(...)"
        raise InputError("metric", f"is {metric.__name__} itself", f"call it: metric={call}")
    if callable(metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, partial(_by_callable, metric))
    raise InputError("metric", f"{shown(metric)} is neither a name nor a function", "use metric='euclidean'")


def is_gower(metric: Any) -> bool:
    """Whether this is the name of the metric that is made with the samples."""
    return isinstance(metric, str) and _plain(metric) == GOWER


def _plain(name: str) -> str:
    """Name without regard to case, blanks and hyphens."""
    return "_".join(name.lower().replace("-", " ").split())


def _remedy(name: str) -> str:
    """Way on for a name that is none of ours."""
    if name in HINTS:
        return HINTS[name]
    if name in OF_SCIPY:
        return f"pass otdist.emd(scipy.spatial.distance.cdist(x, y, {name!r}), a, b)"
    known = [*NAMED, GOWER]
    near = difflib.get_close_matches(name, [*known, *ALIASES, *HINTS, *OF_SCIPY], 1, 0.75)
    if near and near[0] not in HINTS and near[0] not in OF_SCIPY:
        return f"did you mean {ALIASES.get(near[0], near[0])!r}?"
    if near:
        return Remedy("did you mean {}? Then {}", repr(near[0]), _remedy(near[0]))
    return f"use one of {', '.join(repr(one) for one in known)}, or a function of two points"


def _by_callable(function: Callable[..., float], x: Array, y: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y, partial(_cost, function)))


def _cost(function: Callable[..., Any], u: Array, v: Array) -> float:
    try:
        cost = function(u, v)
    except TypeError as error:
        if not call_error(error):
            raise
        problem = f"{shown(function)} cannot be called with two points ({error})"
        raise InputError("metric", problem, "pass a function of two points") from error
    try:
        return float(cost)
    except (TypeError, ValueError):
        problem = f"{shown(function)} returned {shown(cost)}, not a number"
        raise InputError("metric", problem, "return a finite, non-negative float") from None


def require_costs(cost: Array, name: str, rows: Index, cols: Index) -> None:
    """Raise InputError unless the costs of these pairs are finite and non-negative."""
    if cost.min() >= 0 and cost.max() < np.inf:  # false for NaN
        return
    i, j = np.argwhere(~(cost >= 0) | np.isinf(cost))[0]
    raise InputError(
        "metric",
        f"{name} returned {cost[i, j]} for points x[{rows[i]}] and y[{cols[j]}]",
        "return a finite, non-negative float",
    )
