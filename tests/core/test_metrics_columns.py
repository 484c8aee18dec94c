"""Columns that are called latitude and longitude: what each metric makes of them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import refused

import otdist
from otdist import MetricWarning
from otdist.metrics import great_circle

X, Y = np.array([[48.8, 2.3], [51.5, -0.1]]), np.array([[52.5, 13.4], [41.9, 12.5]])
PAIRS = [
    ("lat", "lon"),
    ("latitude", "longitude"),
    ("Latitude", "Longitude"),
    ("LAT", "LNG"),
    ("lat", "long"),
    ("pickup_latitude", "pickup_longitude"),
    ("startLat", "startLng"),
    ("Latitude (deg)", "Longitude (deg)"),
    ("home.lat", "home.lon"),
]


def tables(names, values=X, kind=pd.DataFrame):
    if kind is pd.DataFrame:
        return pd.DataFrame(values, columns=names)
    columns = {name: values[:, k] for k, name in enumerate(names)}
    return kind(columns) if kind is pl.DataFrame else pa.table(columns)


def warned(function, *given, **options):
    with pytest.warns(MetricWarning) as caught:
        result = function(*given, **options)
    assert [warning.filename for warning in caught] == [__file__]
    text = str(caught[0].message)
    assert "metric=otdist.metrics.great_circle()" in text and "(latitude, longitude)" in text
    return result, text


@pytest.mark.parametrize("names", PAIRS)
def test_plain_metrics_warn_once_a_call(names):
    x, y = tables(names), tables(names, Y)
    result, text = warned(otdist.w1, x, y)
    assert result.value == otdist.w1(X, Y).value
    assert all(repr(name) in text for name in names)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "angular", "cosine", "sqeuclidean"])
def test_in_every_table_and_plain_metric(kind, metric):
    x, y = tables(PAIRS[0], kind=kind), tables(PAIRS[0], Y, kind)
    _, text = warned(otdist.w1, x, y, metric=metric)
    assert repr(metric) in text


CALLS = {
    "wasserstein": lambda x, y: otdist.wasserstein(x, y),
    "unbalanced": lambda x, y: otdist.unbalanced_w1(x, y, reach=1.0),
    "partial": lambda x, y: otdist.partial_w1(x, y, moved=1.0),
    "divergence": lambda x, y: otdist.sinkhorn_divergence(x, y),
    "sliced": lambda x, y: otdist.sliced_w1(x, y, rng=0),
    "test": lambda x, y: otdist.stats.permutation_test(x, y, n_resamples=9, rng=0),
    "floor": lambda x, y: otdist.stats.noise_floor(x, 1, 1, n_resamples=9, rng=0),
}


@pytest.mark.parametrize("call", CALLS)
def test_in_every_function_of_points(call):
    with pytest.warns(MetricWarning) as caught:
        CALLS[call](tables(PAIRS[0]), tables(PAIRS[0], Y))
    assert len(caught) == 1 and caught[0].filename == __file__


def test_beside_other_columns():
    names = ["price", "lat", "lon"]
    x, y = (tables(names, np.column_stack([[1.0, 2.0], z])) for z in (X, Y))
    _, text = warned(otdist.w1, x, y)
    assert "these two columns alone" in text


@pytest.mark.parametrize(
    ("names", "metric"),
    [
        (("lat", "lon"), great_circle()),
        (("lat", "lon"), "great_circle"),
        (("lat", "lon"), "gower"),
        (("lat", "lon"), otdist.metrics.periodic([None, 360.0])),
        (("lat", "lon"), lambda u, v: abs(u - v).sum()),
        (("lat", "height"), "euclidean"),
        (("plate", "balloon"), "euclidean"),
        (("flat", "colon"), "euclidean"),
    ],
)
def test_nothing_to_say(names, metric):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        otdist.w1(tables(names), tables(names, Y), metric=metric)
        otdist.w1(X, Y)


class TestGreatCircle:
    @pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
    def test_names_in_the_wrong_order(self, kind):
        x, y = (tables(["lon", "lat"], z[:, ::-1], kind) for z in (X, Y))
        error = refused(otdist.w1, "x", x, y, metric=great_circle())
        assert "[['lat', 'lon']]" in error.remedy and "(latitude, longitude)" in error.problem

    def test_one_table_in_another_order_is_matched_by_name(self):
        y = tables(["lon", "lat"], Y[:, ::-1])
        mixed = otdist.w1(tables(["lat", "lon"]), y, metric=great_circle())
        assert mixed.value == otdist.w1(X, Y, metric=great_circle()).value

    def test_names_that_say_radians(self):
        x = tables(["lat_rad", "lon_rad"], np.radians(X))
        assert "np.degrees" in refused(otdist.w1, "x", x, x, metric=great_circle()).remedy

    def test_of_one_sample(self):
        reference = tables(["lon", "lat"], X[:, ::-1])
        refused(otdist.stats.noise_floor, "reference", reference, 1, 1, metric=great_circle())


class Angle(np.ndarray):
    """As astropy: the unit is an attribute of an array, and ``to`` converts."""

    IN_DEGREES = {"deg": 1.0, "rad": 180 / np.pi, "arcmin": 1 / 60}  # noqa: RUF012

    def __new__(cls, values, unit):
        quantity = np.asarray(values, dtype=float).view(cls)
        quantity.unit = unit
        return quantity

    def __array_finalize__(self, other):
        self.unit = getattr(other, "unit", None)

    def to(self, unit):
        if self.unit not in self.IN_DEGREES:
            raise ValueError(f"{self.unit} and {unit} are not convertible")
        return Angle(self.value * self.IN_DEGREES[self.unit] / self.IN_DEGREES[unit], unit)

    @property
    def value(self):
        return self.view(np.ndarray)


class TestUnitsOfPoints:
    @pytest.mark.parametrize(("unit", "factor"), [("deg", 1.0), ("rad", np.pi / 180), ("arcmin", 60.0)])
    def test_angles_become_degrees(self, unit, factor):
        x, y = Angle(X * factor, unit), Angle(Y, "deg")
        result = otdist.w1(x, y, metric=great_circle())
        expected = otdist.w1(X, Y, metric=great_circle())
        assert result.value == pytest.approx(expected.value, rel=1e-12) and result.unit == "km"
        np.testing.assert_allclose(result.critic(x), expected.critic(X), rtol=1e-9)
        as_list = otdist.w1([*x], [*y], metric=great_circle())
        assert as_list.value == pytest.approx(expected.value, rel=1e-12)
        floor = otdist.stats.noise_floor(x, 1, 1, metric=great_circle(), n_resamples=9, rng=0)
        again = otdist.stats.noise_floor(X, 1, 1, metric=great_circle(), n_resamples=9, rng=0)
        assert floor.mean == pytest.approx(again.mean, rel=1e-12) and floor.unit == "km"

    def test_lengths_do_not(self):
        x = Angle(X, "m")
        assert "does not convert to deg" in refused(otdist.w1, "x", x, x, metric=great_circle()).problem

    def test_one_without(self):
        refused(otdist.w1, "x", Angle(X, "deg"), Y, metric=great_circle())
