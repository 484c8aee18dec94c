"""Points on the Earth, given as latitude and longitude in degrees."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice
from otdist.metrics.base import Metric, constant_extent, linear, row_blocks
from otdist.metrics.smooth import constant, root
from otdist.metrics.torus import first_lap, wrapped_distance

Array = NDArray[np.float64]

EARTH_KM = 6371.0088  # mean radius of the Earth by the IUGG, (2 a + b) / 3 of the ellipsoid
RADII = {
    "km": EARTH_KM,
    "m": 1000 * EARTH_KM,
    "mi": EARTH_KM / 1.609344,
    "nmi": EARTH_KM / 1.852,
    "rad": 1.0,
    "deg": 180 / math.pi,
}
RADIAN = math.pi / 180  # in radians, one degree
TURN = 360.0  # degrees
TINY = 2.0**-300  # degrees; the squares of what is computed from larger numbers do not underflow
UNDERFLOW = 2.0**-500  # radians; bounds what underflow loses of a distance between smaller numbers
FAR = 0.8  # h from which the arc sine of its root has too large a slope
COLUMNS = "the columns are (latitude, longitude) in degrees"


def great_circle(unit: str = "km") -> Metric:
    r"""Great-circle distance between points on the Earth: (latitude, longitude), in degrees.

    .. math::
        d = 2 R \operatorname{atan2}(\sqrt{h}, \sqrt{1 - h}), \quad
        h = \sin^2 \tfrac{\varphi_x - \varphi_y}{2}
            + \cos \varphi_x \cos \varphi_y \sin^2 \tfrac{\lambda_x - \lambda_y}{2}

    Points are rows (latitude, longitude), in this order: latitude from -90 to 90, north positive; any
    longitude, east positive, with 180 and -180 (and 0 and 360) the same meridian. At a pole the longitude
    does not count.

    Parameters
    ----------
    unit : {"km", "m", "mi", "nmi", "rad", "deg"}
        Unit of the distance: kilometres, metres, statute or nautical miles on a sphere with the mean
        radius of the Earth, 6371.0088 km (IUGG); or the central angle in radians or degrees.

    Returns
    -------
    Metric
        For ``metric=``. The unit of a W1 is ``unit``. ``metric="great_circle"`` is the one in kilometres.

    Raises
    ------
    InputError
        If the unit is not known. When it is used: unless there are two columns, with the first between -90
        and 90, and named in this order where they are named.

    Notes
    -----
    The relative rounding error is below 1e-14 at any distance: for points a millimetre apart, beside a
    pole, on both sides of the 180th meridian, or opposite to each other. Only between coordinates below
    1e-90 degrees squares may underflow, which the interval accounts for. scikit-learn's
    ``haversine_distances`` is the same angle of points in radians; it loses digits near the antipode.

    A sphere is not the ellipsoid: distances differ by up to 0.6 %. For those of the ellipsoid pass a matrix
    of geodesic distances to :func:`otdist.emd`.

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
    return _great_circle(check_choice(unit, "unit", tuple(RADII)))


@cache
def _great_circle(unit: str) -> Metric:
    radius = RADII[unit]
    return Metric(
        "great_circle",
        partial(_sphere_matrix, radius),
        partial(_sphere_pairs, radius),
        triangle=True,
        check=_require_places,
        canonical=_one_name_each,
        error=partial(_underflow, radius),
        extent=partial(constant_extent, math.pi * radius * (1 + 2.0**-40)),
        roundings=partial(linear, 0.0, 80.0),
        near_zero=(partial(_small_squares, radius), 0.5),
        unit=unit,
        points_unit="deg",
    )


# Where the roundings come from, in units of 2**-53 and with 4 units in the last place for a sine, an arc
# sine or an arc tangent: a difference of angles in radians is off by 7 of them, a sine by 15, the cosine of a
# latitude by 12, h and 1 - h by 58 each, their roots by 30; an arc tangent of the quotient by 60 + 8, an arc
# sine up to FAR by 55 + 8. Constants and the last products and sums take 10 at most.


def _sphere_matrix(radius: float, x: Array, y: Array) -> Array:
    x, y = _one_name_each(x), _one_name_each(y)
    scale_x, scale_y = (_cosine(np, points[:, 0]) for points in (x, y))
    out = np.empty((len(x), len(y)))
    for rows in row_blocks(*out.shape):
        left, right = x[rows, None, :], y[None, :, :]
        scale = scale_x[rows, None] * scale_y
        h = _half_chord(left, right, scale)
        block = out[rows]
        np.multiply(np.arcsin(np.sqrt(np.minimum(h, FAR))), 2 * radius, out=block)
        i, j = np.nonzero(h > FAR)
        if i.size:
            rest = _half_chord_to_antipode(left[i, 0], right[0, j], scale[i, j])
            block[i, j] = math.pi * radius - 2 * radius * np.arcsin(np.sqrt(rest))
    return out


def _half_chord(x: Array, y: Array, scale: Array) -> Array:
    """``h``, the square of half the chord between two points; ``scale``: product of their cosines."""
    north = _sine_of_half(np, x[..., 0] - y[..., 0])
    east = _sine_of_half(np, wrapped_distance(x[..., 1], y[..., 1], TURN))
    return np.asarray(north * north + scale * (east * east))


def _half_chord_to_antipode(x: Array, y: Array, scale: Array) -> Array:
    """``1 - h`` without cancellation: the same for the point opposite to y."""
    north = _sine_of_half(np, x[..., 0] + y[..., 0])
    east = _sine_of_half(np, _to_opposite_meridian(np, x[..., 1], y[..., 1]))
    return np.asarray(north * north + scale * (east * east))


def _sphere_pairs(radius: float, xp: Any, x: Any, y: Any) -> Any:
    near, far = _half_chords(xp, x, y)
    return 2 * radius * xp.arctan2(root(xp, near), root(xp, far))


def _small_squares(radius: float, xp: Any, x: Any, y: Any) -> Any:
    return 4 * radius**2 * _half_chords(xp, x, y)[0]


def _half_chords(xp: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """``h`` and ``1 - h`` with derivatives in the coordinates that are given."""
    fixed = constant(x[..., 1]), constant(y[..., 1])
    lon_x, lon_y = (first_lap(lon, TURN, xp) for lon in fixed)
    shorter = wrapped_distance(lon_x, lon_y, TURN, xp)
    # On which side of x the shorter way to y leads. Laps are constants, so the derivative is that of x - y.
    east = xp.where((lon_x > lon_y) == (abs(lon_x - lon_y) <= TURN / 2), 1.0, -1.0)
    change = (x[..., 1] - y[..., 1]) - (fixed[0] - fixed[1])
    along = _sine_of_half(xp, shorter * east + change)
    beyond = _sine_of_half(xp, _to_opposite_meridian(xp, lon_x, lon_y) * east - change)
    scale = _cosine(xp, x[..., 0]) * _cosine(xp, y[..., 0])
    north, south = (_sine_of_half(xp, lat) for lat in (x[..., 0] - y[..., 0], x[..., 0] + y[..., 0]))
    return north * north + scale * (along * along), south * south + scale * (beyond * beyond)


def _sine_of_half(xp: Any, degrees: Any) -> Any:
    return xp.sin(degrees * (RADIAN / 2))


def _cosine(xp: Any, latitude: Any) -> Any:
    """Cosine of latitudes: 0 at a pole, and with all digits beside it."""
    from_pole = xp.sin((90.0 - abs(latitude)) * RADIAN)
    return xp.where(abs(latitude) < 45.0, xp.cos(latitude * RADIAN), from_pole)


def _to_opposite_meridian(xp: Any, x: Any, y: Any) -> Any:
    """Distance of longitudes x from those opposite to y, both of the first lap.

    ``180 - larger`` is exact where the difference is small: then ``larger`` is at least 64, and the
    result a multiple of its last place.
    """
    larger, smaller = xp.maximum(abs(x), abs(y)), xp.minimum(abs(x), abs(y))
    left = TURN / 2 - larger
    return xp.where((x < 0) == (y < 0), left + smaller, abs(left - smaller))


def _one_name_each(x: Array) -> Array:
    """The same points with longitudes in (-180, 180], and 0 at the poles."""
    latitude, longitude = x[:, 0] + 0.0, first_lap(x[:, 1], TURN)  # -0.0 is 0.0
    return np.stack([latitude, np.where(np.abs(latitude) == 90.0, 0.0, longitude)], axis=1)


def _underflow(radius: float, x: Array, y: Array) -> float:
    """Absolute error by underflow; 0 unless coordinates are of the order of 1e-90 degrees."""
    sizes = np.concatenate([np.abs(x).ravel(), np.abs(y).ravel()])
    return radius * UNDERFLOW if bool(((sizes > 0) & (sizes < TINY)).any()) else 0.0


def _require_places(x: Array, name: str, rows: Any) -> None:
    """Raise InputError unless these are latitudes and longitudes."""
    if x.shape[1] != 2:
        count = "1 column" if x.shape[1] == 1 else f"{x.shape[1]} columns"
        remedy = f"pass shape (n, 2), where {COLUMNS}; one point is [[48.86, 2.35]]"
        raise InputError(name, f"has {count}, but great_circle takes 2", remedy)
    beyond = np.abs(x[:, 0]) > 90
    if not beyond.any():
        return
    row = int(np.argmax(beyond))
    latitude = float(x[row, 0])
    row = row if rows is None else int(rows[row])
    if (np.abs(x[:, 1]) <= 90).all() and (np.abs(x[:, 0]) <= TURN).all():
        remedy = f"{COLUMNS}: if longitude comes first, swap them, [:, [1, 0]]"
    else:
        remedy = f"{COLUMNS}: convert other coordinates, such as metres of a map projection, first"
    raise InputError(name, f"row {row} has latitude {latitude:g}, which is not between -90 and 90", remedy)
