"""Numbers with a unit: converted to that of the first sample, or refused; never stripped in silence.

Two doubles stand for the packages: an array subclass with ``unit``, as astropy and unyt have it, and a
wrapper with ``units``, as pint has it. Where the packages are installed, they are tried themselves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases import refused

import otdist
from otdist import metrics

METRES = {"m": 1.0, "km": 1000.0}


class Array(np.ndarray):
    """As astropy: the unit is an attribute of an array."""

    def __new__(cls, values, unit):
        quantity = np.asarray(values, dtype=float).view(cls)
        quantity.unit = unit
        return quantity

    def __array_finalize__(self, other):
        self.unit = getattr(other, "unit", None)

    def to(self, unit):
        if (unit in METRES) != (self.unit in METRES):
            raise ValueError(f"{self.unit} and {unit} are not convertible")
        return Array(self.value * METRES[self.unit] / METRES[unit], unit)

    @property
    def value(self):
        return self.view(np.ndarray)


class Mute(np.ndarray):
    """An array that knows its unit and cannot convert it."""

    __new__ = Array.__new__
    __array_finalize__ = Array.__array_finalize__


class Wrapped:
    """As pint: no array, but its magnitude is one."""

    def __init__(self, values, units):
        self.magnitude, self.units = np.asarray(values, dtype=float), units

    def to(self, units):
        return Wrapped(Array(self.magnitude, self.units).to(units).value, units)

    def __array__(self, dtype=None, copy=None):
        return self.magnitude  # pint strips the unit here, with a warning


def astropy(values, unit):
    units = pytest.importorskip("astropy.units")
    return values * units.Unit(unit)


def pint(values, unit):
    return pytest.importorskip("pint").get_application_registry().Quantity(values, unit)


def unyt(values, unit):
    return pytest.importorskip("unyt").unyt_array(values, unit)


MAKERS = {f.__name__: f for f in (Array, Wrapped, astropy, pint, unyt)}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
KM, M = np.array([1.0, 2.5]), np.array([1000.0, 2500.0])


@each_maker
class TestPackages:
    def test_the_second_sample_takes_the_unit_of_the_first(self, make):
        assert otdist.w1(make(KM, "km"), make(M, "m")).value == 0.0
        r = otdist.w1(make(M, "m"), make(KM + 0.5, "km"))
        assert r.value == pytest.approx(500.0, rel=1e-14) and r.unit in ("m", "meter")
        assert f" {r.unit} (exact)" in str(r)

    def test_one_unit_is_not_converted_at_all(self, make):
        x = np.array([0.1, 0.7])
        assert otdist.w1(make(x, "km"), make(x / 3, "km")).value == otdist.w1(x, x / 3).value

    def test_a_unit_on_one_side_only_is_refused(self, make):
        refused(otdist.w1, "x", make(KM, "km"), M, says=("has unit",))
        refused(otdist.w1, "y", M, make(KM, "km"), says=("has unit",))

    def test_units_that_do_not_fit_are_refused(self, make):
        refused(otdist.w1, "y", make(KM, "km"), make(KM, "s"), says=("does not convert",))

    def test_lists_of_quantities(self, make):
        lists = [[make(v, unit) for v in values] for values, unit in ((KM, "km"), (M, "m"))]
        assert otdist.w1(*lists).value == 0.0
        refused(otdist.w1, "x", [make(1.0, "km"), 2.0], lists[1], says=("beside",))

    def test_masses_share_a_unit(self, make):
        a, b = make(KM, "km"), make(M, "m")
        assert otdist.unbalanced_w1([0.0, 1.0], [0.0, 1.0], a, b, reach=1.0).value == 0.0
        assert otdist.w1([0.0, 1.0], [0.5], a).value == otdist.w1([0.0, 1.0], [0.5], KM).value
        refused(otdist.w1, "a", [0.0, 1.0], [0.0, 1.0], a, M, says=("has unit",))

    def test_further_points_take_the_unit_of_the_first_sample(self, make):
        r = otdist.w1(make(KM, "km"), make(M + 100, "m"))
        assert r.critic(make(M, "m")) == pytest.approx(r.potentials[0])
        refused(r.critic, "z", KM, says=("no unit",))
        refused(otdist.w1(KM, M).critic, "z", make(KM, "km"), says=("has unit",))

    @pytest.mark.parametrize(
        ("call", "power"),
        [
            (otdist.wasserstein_1d, None),
            (lambda x, y: otdist.w1(x, y, metric="sqeuclidean"), 2),
            (lambda x, y: otdist.w1(x, y, metric=metrics.periodic(100.0)), 1),
            (lambda x, y: otdist.w1(x, y, metric="gower"), 0),
            (lambda x, y: otdist.sliced_w1(x, y), 1),
            (lambda x, y: otdist.partial_w1(x, y), 1),
            (lambda x, y: otdist.sinkhorn_divergence(x, y, p=2), 2),
            (lambda x, y: otdist.stats.permutation_test(x, y, n_resamples=3, rng=0).result, 1),
        ],
    )
    def test_every_function_converts(self, make, call, power):
        r, expected = call(make(KM, "km"), make(M + 300, "m")), call(KM, KM + 0.3)
        assert float(r) == pytest.approx(float(expected), rel=1e-6)
        if power is not None:
            km = otdist.w1(make(KM, "km"), make(KM, "km")).unit
            assert r.unit == {0: "", 1: km, 2: f"{km}^2"}[power]

    def test_costs_and_floors_keep_their_unit(self, make):
        assert otdist.emd(make(np.array([[1.0, 2.0]]), "km")).unit.startswith("k")
        floor = otdist.stats.noise_floor(make(np.arange(6.0), "km"), 2, 2, n_resamples=3, rng=0)
        assert floor.unit.startswith("k")

    def test_where_no_unit_is_meant_it_is_refused(self, make):
        refused(otdist.sliced_w1, "directions", KM, KM, directions=make(np.ones((1, 1)), "km"))
        refused(otdist.compare, "reference", {"v": make(KM, "km")}, {"v": make(M, "m")}, says=("has unit",))


class TestOthers:
    def test_a_unit_that_nothing_converts_must_be_the_same(self):
        assert otdist.w1(Mute(KM, "km"), Mute(KM + 1, "km")).unit == "km"
        refused(otdist.w1, "y", Mute(KM, "km"), Mute(M, "m"), says=("m", "km"))

    def test_the_resolution_of_pandas_is_no_unit(self):
        times = pd.DatetimeIndex(["2024"])
        assert times.unit and otdist.w1(times, times.as_unit("s")).unit == "s"

    @pytest.mark.parametrize("make", [astropy, pint, unyt], ids=lambda f: f.__name__)
    def test_pure_numbers_are_plain_numbers(self, make):
        ratio = make(KM, "km/m")
        assert otdist.w1(M, ratio).value == 0.0 == otdist.w1(ratio, M).value
        assert otdist.w1(M, ratio).unit == ""


class TestXarray:
    @pytest.fixture
    def xr(self):
        return pytest.importorskip("xarray")

    def test_columns_rows_and_axes_are_matched_by_label(self, xr):
        x = xr.DataArray([[1.0, 2], [3, 4]], dims=("s", "f"), coords={"f": ["a", "b"], "s": [7, 8]})
        assert otdist.w1(x, x.isel(f=[1, 0])).value == 0.0
        refused(otdist.w1, "y", x, x.T, says=("axes",))
        a = xr.DataArray([5.0, 0.0], dims="s", coords={"s": [8, 7]})
        assert otdist.w1(x, [[3.0, 4.0]], a).value == 0.0

    def test_units_in_attributes_must_agree(self, xr):
        x, y = (xr.DataArray(KM, attrs={"units": unit}) for unit in ("km", "m"))
        refused(otdist.w1, "y", x, y, says=("km", "attributes"))
        assert otdist.w1(x, x + 0.5).unit == "km"
