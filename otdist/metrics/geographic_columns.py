"""Columns named latitude and longitude, and metrics that do not fit them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from otdist.errors import InputError, MetricWarning
from otdist.inputs.arrays import caller_level
from otdist.metrics.base import Metric

LATITUDE_WORDS = {"lat", "lats", "latitude", "latitudes"}
LONGITUDE_WORDS = {"lon", "lons", "lng", "long", "longitude", "longitudes"}
RADIAN_WORDS = {"rad", "rads", "radian", "radians"}
DIRECTION_METRICS = ("angular", "cosine")


def check_column_names(metric: Metric, columns: Sequence[str] | None) -> None:
    """Check the names of the columns against the coordinates that the metric expects.

    Parameters
    ----------
    metric : Metric
        Ground metric.
    columns : sequence of str or None
        Names of the columns; None: no check.

    Raises
    ------
    InputError
        If great_circle would take a longitude for a latitude, or radians for degrees.

    Warns
    -----
    MetricWarning
        If latitudes and longitudes are taken for coordinates in a plane or for a direction.
    """
    words = [_split_words(name) for name in columns or ()]
    latitudes, longitudes = (
        [k for k, column_words in enumerate(words) if column_words & names]
        for names in (LATITUDE_WORDS, LONGITUDE_WORDS)
    )
    if not latitudes or not longitudes:
        return
    assert columns is not None
    if metric.points_unit == "deg":
        _require_order(columns, latitudes, longitudes)
        _require_degrees(columns, words)
    elif metric.degree is not None or metric.name in DIRECTION_METRICS:
        names = f"{columns[latitudes[0]]!r} and {columns[longitudes[0]]!r}"
        restriction = "" if len(columns) == 2 else ", with these two columns alone"
        warnings.warn(
            f"metric {metric.name!r} takes columns {names} for plain numbers, so its distances are not those "
            "on the Earth; pass metric=otdist.metrics.great_circle() for points (latitude, longitude) in "
            f"degrees{restriction}, or arrays without column names if this is meant",
            MetricWarning,
            stacklevel=caller_level(),
        )


def _require_order(columns: Sequence[str], latitudes: list[int], longitudes: list[int]) -> None:
    if len(columns) == 2 and latitudes[0] == 1 and longitudes[0] == 0:
        raise InputError(
            "x",
            f"has columns {list(columns)}, but great_circle takes (latitude, longitude)",
            f"select them in this order: [{[columns[1], columns[0]]}]",
        )


def _require_degrees(columns: Sequence[str], words: list[set[str]]) -> None:
    wrong = [name for name, column_words in zip(columns, words, strict=True) if column_words & RADIAN_WORDS]
    if wrong:
        raise InputError(
            "x",
            f"has column {wrong[0]!r}, but great_circle takes degrees",
            "convert them with np.degrees, and name the columns so",
        )


def _split_words(name: str) -> set[str]:
    """Split a name into words, such as ``pickup_lat``, ``startLongitude`` or ``Latitude (deg)``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return set(re.findall(r"[a-z]+", spaced.lower()))
