"""Great-circle distances of points on the Earth, as latitude and longitude in degrees."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice
from otdist.inputs.clouds import find_first_row
from otdist.metrics.base import Metric, evaluate_linear, make_row_blocks, return_extent
from otdist.metrics.differentiable import detach, safe_sqrt
from otdist.metrics.torus import compute_circle_distance, wrap_coordinates
from otdist.typing import Array, ArrayOrTensor, Index

if TYPE_CHECKING:
    from types import ModuleType

EARTH_KM = 6371.0088  # mean radius of the Earth by the IUGG, (2 a + b) / 3 of the ellipsoid
RADII = {
    "km": EARTH_KM,
    "m": 1000 * EARTH_KM,
    "mi": EARTH_KM / 1.609344,
    "nmi": EARTH_KM / 1.852,
    "rad": 1.0,
    "deg": 180 / math.pi,
}
RADIANS_PER_DEGREE = math.pi / 180
TURN_DEGREES = 360.0
TINY_DEGREES = 2.0**-300  # squares of sines of larger angles do not underflow
UNDERFLOW_RADIANS = 2.0**-500  # bound of the underflow error of a distance between smaller coordinates
FAR_HAVERSINE = 0.8  # haversine beyond which the arc sine of its root is too steep
COLUMN_ORDER = "the columns are (latitude, longitude) in degrees"


def great_circle(unit: str = "km") -> Metric:
    r"""Make the great-circle distance between points on the Earth: (latitude, longitude), in degrees.

    .. math::
        d = 2 R \operatorname{atan2}(\sqrt{h}, \sqrt{1 - h}), \quad
        h = \sin^2 \tfrac{\varphi_x - \varphi_y}{2}
            + \cos \varphi_x \cos \varphi_y \sin^2 \tfrac{\lambda_x - \lambda_y}{2}

    Points are rows (latitude, longitude), in this order: latitude from -90 to 90, north positive; any
    longitude, east positive, with 180 and -180 (and 0 and 360) the same meridian. At a pole the longitude
    has no effect.

    Parameters
    ----------
    unit : {"km", "m", "mi", "nmi", "rad", "deg"}
        Unit of the distance: kilometres, metres, statute or nautical miles on a sphere with the mean
        radius of the Earth, 6371.0088 km (IUGG); or the central angle in radians or degrees.

    Returns
    -------
    Metric
        For ``metric=``. The unit of a W1 is ``unit``. ``metric="great_circle"`` is in kilometres.

    Raises
    ------
    InputError
        If the unit is not known. With points: unless there are two columns, with the first between -90
        and 90; column names, if any, must have this order.

    Notes
    -----
    The relative rounding error is below 1e-14 at any distance: for points a millimetre apart, beside a
    pole, on both sides of the 180th meridian, or opposite to each other. Only between coordinates below
    1e-90 degrees squares may underflow, which the interval includes. scikit-learn's
    ``haversine_distances`` is the same angle of points in radians; it loses digits near the antipode.

    A sphere is not the ellipsoid: distances differ by up to 0.6 %. For distances on the ellipsoid pass a
    matrix of geodesic distances to :func:`otdist.emd`.

    Points with a unit (astropy, pint, unyt) are converted to degrees.

    Cost: about 100 ns a pair. All methods compute the matrix of distances: 8 n m bytes.

    References
    ----------
    Sinnott (1984), *Virtues of the haversine*, Sky and Telescope 68, p. 159; here 1 - h is computed
    from sums of positive terms, too. Moritz (2000), *Geodetic Reference System 1980*, Journal of Geodesy
    74, p. 128, for the radius.

    Examples
    --------
    >>> import otdist
    >>> paris, london = [48.8566, 2.3522], [51.5074, -0.1278]
    >>> r = otdist.w1([paris], [london], metric=otdist.metrics.great_circle())
    >>> round(r.value, 3), r.unit
    (343.557, 'km')
    """
    return _make_great_circle(check_choice(unit, "unit", tuple(RADII)))


@cache
def _make_great_circle(unit: str) -> Metric:
    radius = RADII[unit]
    return Metric(
        "great_circle",
        partial(_compute_sphere_matrix, radius),
        partial(_compute_sphere_pairs, radius),
        triangle=True,
        check=_require_coordinates,
        canonical=_to_canonical_coordinates,
        error=partial(_bound_underflow, radius),
        extent=partial(return_extent, math.pi * radius * (1 + 2.0**-40)),
        roundings=partial(evaluate_linear, 0.0, 80.0),
        near_zero=(partial(_compute_squared_chords, radius), 0.5),
        unit=unit,
        points_unit="deg",
    )


# Rounding errors in units of 2**-53, with 4 units in the last place for a sine, an arc sine or an arc
# tangent: a difference of angles in radians has an error of at most 7, a sine of 15, the cosine of a
# latitude of 12, h and 1 - h of 58 each, their roots of 30; an arc tangent of the quotient of 60 + 8, an arc
# sine up to FAR_HAVERSINE of 55 + 8. Constants and the last products and sums add at most 10.


def _compute_sphere_matrix(radius: float, x: Array, y: Array) -> Array:
    x, y = _to_canonical_coordinates(x), _to_canonical_coordinates(y)
    scale_x, scale_y = (_compute_cosine(np, points[:, 0]) for points in (x, y))
    out = np.empty((len(x), len(y)))
    for rows in make_row_blocks(*out.shape):
        left, right = x[rows, None, :], y[None, :, :]
        scale = scale_x[rows, None] * scale_y
        h = _compute_haversine(left, right, scale)
        block = out[rows]
        np.multiply(np.arcsin(np.sqrt(np.minimum(h, FAR_HAVERSINE))), 2 * radius, out=block)
        i, j = np.nonzero(h > FAR_HAVERSINE)
        if i.size:
            antipodal = _compute_antipodal_haversine(left[i, 0], right[0, j], scale[i, j])
            block[i, j] = math.pi * radius - 2 * radius * np.arcsin(np.sqrt(antipodal))
    return out


def _compute_haversine(x: Array, y: Array, scale: Array) -> Array:
    """Compute the haversine ``h``, the squared half chord; ``scale`` is the product of the cosines."""
    north = _compute_half_sine(np, x[..., 0] - y[..., 0])
    east = _compute_half_sine(np, compute_circle_distance(x[..., 1], y[..., 1], TURN_DEGREES))
    return np.asarray(north * north + scale * (east * east))


def _compute_antipodal_haversine(x: Array, y: Array, scale: Array) -> Array:
    """Compute ``1 - h`` without cancellation, as the haversine to the point opposite to y."""
    north = _compute_half_sine(np, x[..., 0] + y[..., 0])
    east = _compute_half_sine(np, _compute_antimeridian_distance(np, x[..., 1], y[..., 1]))
    return np.asarray(north * north + scale * (east * east))


def _compute_sphere_pairs(radius: float, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    haversine, antipodal = _compute_haversines(xp, x, y)
    return 2 * radius * xp.arctan2(safe_sqrt(xp, haversine), safe_sqrt(xp, antipodal))


def _compute_squared_chords(
    radius: float, xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> ArrayOrTensor:
    return 4 * radius**2 * _compute_haversines(xp, x, y)[0]


def _compute_haversines(
    xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor
) -> tuple[ArrayOrTensor, ArrayOrTensor]:
    """Compute ``h`` and ``1 - h`` with derivatives in the coordinates."""
    fixed = detach(x[..., 1]), detach(y[..., 1])
    lon_x, lon_y = (wrap_coordinates(lon, TURN_DEGREES, xp) for lon in fixed)
    shorter = compute_circle_distance(lon_x, lon_y, TURN_DEGREES, xp)
    # Direction of the shorter path from x to y. Whole turns are constants: the derivative is that of x - y.
    east = xp.where((lon_x > lon_y) == (abs(lon_x - lon_y) <= TURN_DEGREES / 2), 1.0, -1.0)
    change = (x[..., 1] - y[..., 1]) - (fixed[0] - fixed[1])
    along = _compute_half_sine(xp, shorter * east + change)
    beyond = _compute_half_sine(xp, _compute_antimeridian_distance(xp, lon_x, lon_y) * east - change)
    scale = _compute_cosine(xp, x[..., 0]) * _compute_cosine(xp, y[..., 0])
    north, south = (_compute_half_sine(xp, lat) for lat in (x[..., 0] - y[..., 0], x[..., 0] + y[..., 0]))
    return north * north + scale * (along * along), south * south + scale * (beyond * beyond)


def _compute_half_sine(xp: ModuleType, degrees: ArrayOrTensor) -> ArrayOrTensor:
    return xp.sin(degrees * (RADIANS_PER_DEGREE / 2))


def _compute_cosine(xp: ModuleType, latitude: ArrayOrTensor) -> ArrayOrTensor:
    """Compute the cosine of latitudes: 0 at a pole, and accurate near it."""
    from_pole = xp.sin((90.0 - abs(latitude)) * RADIANS_PER_DEGREE)
    return xp.where(abs(latitude) < 45.0, xp.cos(latitude * RADIANS_PER_DEGREE), from_pole)


def _compute_antimeridian_distance(xp: ModuleType, x: ArrayOrTensor, y: ArrayOrTensor) -> ArrayOrTensor:
    """Compute the distance of longitudes x from the longitudes opposite to y, both wrapped.

    ``180 - larger`` is exact where the difference is small: then ``larger`` is at least 64, and the
    result a multiple of its last place.
    """
    larger, smaller = xp.maximum(abs(x), abs(y)), xp.minimum(abs(x), abs(y))
    remainder = TURN_DEGREES / 2 - larger
    return xp.where((x < 0) == (y < 0), remainder + smaller, abs(remainder - smaller))


def _to_canonical_coordinates(x: Array) -> Array:
    """Convert points to longitudes in (-180, 180], and to longitude 0 at the poles."""
    latitude, longitude = x[:, 0] + 0.0, wrap_coordinates(x[:, 1], TURN_DEGREES)  # -0.0 is 0.0
    return np.stack([latitude, np.where(np.abs(latitude) == 90.0, 0.0, longitude)], axis=1)


def _bound_underflow(radius: float, x: Array, y: Array) -> float:
    """Bound the absolute underflow error; 0 unless coordinates are of the order of 1e-90 degrees."""
    sizes = np.concatenate([np.abs(x).ravel(), np.abs(y).ravel()])
    return radius * UNDERFLOW_RADIANS if bool(((sizes > 0) & (sizes < TINY_DEGREES)).any()) else 0.0


def _require_coordinates(x: Array, name: str, rows: Index | None) -> None:
    """Raise InputError unless these are latitudes and longitudes."""
    if x.shape[1] != 2:
        remedy = f"pass shape (n, 2), where {COLUMN_ORDER}; one point is [[48.86, 2.35]]"
        raise InputError(name, f"must have 2 columns for great_circle, got {x.shape[1]}", remedy)
    out_of_range = np.abs(x[:, 0]) > 90
    if not out_of_range.any():
        return
    latitude, row = float(x[np.argmax(out_of_range), 0]), find_first_row(out_of_range, rows)
    if (np.abs(x[:, 1]) <= 90).all() and (np.abs(x[:, 0]) <= TURN_DEGREES).all():
        remedy = f"{COLUMN_ORDER}: if longitude comes first, swap them, [:, [1, 0]]"
    else:
        remedy = f"{COLUMN_ORDER}: convert other coordinates, such as metres of a map projection, first"
    raise InputError(name, f"must have latitudes from -90 to 90, got {latitude:g} in row {row}", remedy)
