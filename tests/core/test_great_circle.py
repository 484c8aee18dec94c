"""Distances on the Earth: relations, digits against mpmath, and every function that takes a metric."""

from __future__ import annotations

import math
import pickle

import exact
import mpmath
import numpy as np
import pytest
from cases import refused
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import otdist
from otdist.metrics import great_circle

PARIS, LONDON = [48.8566, 2.3522], [51.5074, -0.1278]
MILLIMETRE = 180 / math.pi / 6371008.8e3  # degrees of latitude
latitudes = st.one_of(st.sampled_from([-90.0, 0.0, 45.0, 90.0]), st.floats(-90, 90))
longitudes = st.one_of(st.sampled_from([-180.0, 0.0, 90.0, 180.0, 540.0]), st.floats(-720, 720))
places = st.tuples(latitudes, longitudes).map(np.array)


def random_points(rng, n):
    """Points that are uniform on the sphere."""
    return np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)])


def unit_vectors(x):
    lat, lon = np.radians(x).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def angle(u, v):
    """Central angle to 60 digits, of the floats that are given."""
    with mpmath.workdps(exact.DIGITS):
        lat_u, lon_u, lat_v, lon_v = (mpmath.mpf(float(t)) / 180 for t in (*u, *v))
        scale = mpmath.cospi(lat_u) * mpmath.cospi(lat_v)  # 0 at a pole, where cos(pi / 2) is 1e-61
        near = mpmath.sinpi((lat_u - lat_v) / 2) ** 2 + scale * mpmath.sinpi((lon_u - lon_v) / 2) ** 2
        far = mpmath.sinpi((lat_u + lat_v) / 2) ** 2 + scale * mpmath.cospi((lon_u - lon_v) / 2) ** 2
        return 2 * mpmath.atan2(mpmath.sqrt(near), mpmath.sqrt(far))


def distance(u, v, metric="great_circle", **options):
    return otdist.wasserstein(np.array([u]), np.array([v]), [1.0], [1.0], metric=metric, **options)


@pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")  # of 1e-138 km beside a turn
class TestRelations:
    @given(places, places, st.floats(-360, 360))
    def test_longitudes_turn_together(self, u, v, turn):
        east = np.array([0.0, turn])
        turned = distance(u + east, v + east, p=1)
        assert turned.value == pytest.approx(distance(u, v, p=1).value, rel=1e-12, abs=1e-9)

    @given(places, places, st.integers(-3, 3))
    def test_laps_are_one_place(self, u, v, laps):
        u, v = np.round(u, 3), np.round(v, 3)
        there = distance(u + np.array([0.0, 360.0 * laps]), v, p=1)  # rounded, to 1e-13 degrees
        assert there.value == pytest.approx(distance(u, v, p=1).value, rel=1e-9, abs=1e-7)
        assert distance(u, u, p=1).value == 0

    @given(places, places, places)
    def test_axioms_of_a_metric(self, u, v, w):
        x = np.array([u, v, w])
        d = great_circle().matrix(x, x)
        np.testing.assert_array_equal(d, d.T)
        assert (np.diag(d) == 0).all()
        assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-9).all()
        assert d.max() <= math.pi * 6371.0088 * (1 + 1e-15)

    @given(places, places)
    def test_north_is_as_south_and_east_as_west(self, u, v):
        expected = distance(u, v, p=1).value
        for mirror in ([-1, 1], [1, -1]):
            assert distance(u * mirror, v * mirror, p=1).value == expected

    @given(places, places)
    def test_a_way_past_a_point_to_its_antipode_is_half_a_turn(self, u, v):
        opposite = np.array([-v[0], v[1] + 180.0])
        total = distance(u, v, "great_circle", p=1).value + distance(u, opposite, p=1).value
        assert total == pytest.approx(math.pi * 6371.0088, rel=1e-12)

    def test_poles_and_the_180th_meridian_are_one_place(self):
        for u, v in [
            ([90.0, 12.0], [90.0, -170.0]),
            ([-90.0, 0.0], [-90.0, 1e-300]),
            ([10.0, -180.0], [10.0, 180.0]),
            ([-0.0, 0.0], [0.0, -0.0]),
            ([5.0, 359.0], [5.0, -1.0]),
        ]:
            result = distance(u, v, p=1)
            assert (result.lower, result.value, result.upper) == (0.0, 0.0, 0.0)

    def test_angular_of_unit_vectors_is_the_same_angle(self, rng):
        x, y = random_points(rng, 40), random_points(rng, 30)
        here = great_circle().matrix(x, y)
        there = otdist.metrics.NAMED["angular"].matrix(unit_vectors(x), unit_vectors(y))
        np.testing.assert_allclose(here, 6371.0088 * there, rtol=1e-13, atol=1e-11)
        a = rng.random(40)
        for p in (1, 2, math.inf):
            weights = a if p < math.inf else None
            great_circle_w1 = otdist.wasserstein(x, y, weights, p=p, metric=great_circle("rad"))
            angular_w1 = otdist.wasserstein(unit_vectors(x), unit_vectors(y), weights, p=p, metric="angular")
            assert great_circle_w1.value == pytest.approx(angular_w1.value, rel=1e-12)

    def test_scikit_learn_has_the_same_angles(self, rng):
        pairwise = pytest.importorskip("sklearn.metrics.pairwise")
        x, y = random_points(rng, 50), random_points(rng, 40)
        expected = pairwise.haversine_distances(np.radians(x), np.radians(y))
        np.testing.assert_allclose(great_circle("rad").matrix(x, y), expected, rtol=1e-10)


class TestDigits:
    """Errors against 60 digits."""

    @given(places, places)
    def test_any_two_points(self, u, v):
        self.require(u, v)

    @given(places, st.floats(-12, 0), st.floats(0, 360))
    def test_nearby_points(self, u, exponent, way):
        step = 10**exponent * np.array([math.cos(way), math.sin(way)])
        self.require(u, np.clip(u + step, [-90, -np.inf], [90, np.inf]))

    @given(places, st.floats(-12, 0), st.floats(0, 360))
    def test_nearly_opposite_points(self, u, exponent, way):
        step = 10**exponent * np.array([math.cos(way), math.sin(way)])
        v = np.array([-u[0], u[1] + 180]) + step
        self.require(u, np.clip(v, [-90, -np.inf], [90, np.inf]))

    @given(st.floats(-15, 1), st.floats(-15, 1), longitudes, longitudes)
    def test_both_beside_a_pole(self, first, second, east, west):
        self.require([90 - 10**first, east], [90 - 10**second, west])
        self.require([90 - 10**first, east], [10**second - 90, west])

    @given(latitudes, latitudes, st.floats(-13, 1), st.floats(-13, 1))
    def test_both_sides_of_the_180th_meridian(self, north, south, first, second):
        self.require([north, 180 - 10**first], [south, 10**second - 180])

    def test_a_millimetre_north_and_east(self):
        for u in (PARIS, [0.0, 0.0], [89.999999, 170.0], [-33.0, 179.9999999999]):
            for step in ([MILLIMETRE, 0.0], [0.0, MILLIMETRE], [MILLIMETRE, -MILLIMETRE]):
                self.require(u, np.add(u, step))
        north = distance([0.0, 0.0], [MILLIMETRE, 0.0], great_circle("m"), p=1).value
        assert north == pytest.approx(1e-3, rel=1e-15)

    def test_antipodes(self):
        for u in (PARIS, [0.0, 0.0], [0.0, 90.0], [45.0, -135.0], [90.0, 0.0]):
            result = distance(u, [-u[0], u[1] - 180.0], great_circle("deg"), p=1)
            assert result.value == pytest.approx(180.0, rel=1e-15)

    @given(places, places, st.sampled_from([1, 2, 3, 10, 100]))
    def test_the_interval_holds_the_truth(self, u, v, p):
        truth = angle(u, v)
        if truth < 1e-3:  # 100 times as small to the power 100
            return
        result = distance(u, v, great_circle("rad"), p=p)
        exact.holds(result, truth)
        assert result.converged and result.gap < 2.5e-14

    @pytest.mark.filterwarnings(
        "ignore::otdist.ConvergenceWarning"
    )  # of "sinkhorn": small steps, a large map
    @pytest.mark.parametrize("p", [1, 2, 6])
    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    def test_the_interval_of_a_few_points_holds_the_truth(self, method, p, rng):
        x = np.array([[48.0, 2.0], [48.0, 2.1], [-33.0, 151.0], [89.9999, 0.0], [0.0, 180.0]])
        y = x[::-1] + 1e-4 * rng.random((5, 2))
        truth = exact.assignment([[angle(u, v) for v in y] for u in x], p)
        result = otdist.wasserstein(x, y, p=p, metric=great_circle("rad"), method=method)
        exact.holds(result, truth)
        assert result.converged or method == "sinkhorn"

    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    def test_coordinates_whose_squares_underflow(self):
        result = distance([0.0, 0.0], [1e-200, 0.0], great_circle("rad"), p=1)
        exact.holds(result, angle([0.0, 0.0], [1e-200, 0.0]))
        assert 0 < result.upper < 1e-140

    @staticmethod
    def require(u, v):
        truth = angle(u, v)
        left, right = np.array([u], float), np.array([v], float)
        for radians in (
            great_circle("rad").matrix(left, right)[0, 0],
            great_circle("rad").pairs(np, left, right)[0],
        ):
            with mpmath.workdps(exact.DIGITS):
                allowed = RADIANS.roundings(2) * 2.0**-53 * truth + RADIANS.error(left, right)
                assert abs(mpmath.mpf(float(radians)) - truth) <= allowed  # as an interval allows


RADIANS = great_circle("rad")
SIZES = {"km": 1.0, "m": 1e3, "mi": 1 / 1.609344, "nmi": 1 / 1.852, "rad": 1 / 6371.0088}


class TestUnits:
    @pytest.mark.parametrize("unit", SIZES)
    def test_they_differ_by_a_factor(self, unit):
        kilometres = distance(PARIS, LONDON, p=1)
        result = distance(PARIS, LONDON, great_circle(unit), p=1)
        assert result.value == pytest.approx(kilometres.value * SIZES[unit], rel=1e-14)
        assert (kilometres.unit, result.unit, result.name) == ("km", unit, "W1")

    def test_a_quarter_of_the_equator(self):
        assert distance([0.0, 0.0], [0.0, 90.0], p=1).value == pytest.approx(
            6371.0088 * math.pi / 2, rel=1e-15
        )
        assert distance([0.0, 0.0], [0.0, 90.0], great_circle("deg"), p=1).value == pytest.approx(
            90, rel=1e-15
        )

    def test_the_unit_is_in_the_text_and_in_costs_to_a_power(self, rng):
        x, y = random_points(rng, 5), random_points(rng, 5)
        assert " km " in str(otdist.w1(x, y, metric=great_circle()))
        assert otdist.wasserstein(x, y, metric=great_circle()).unit == "km"
        assert otdist.unbalanced_w1(x, y, p=2, reach=1000.0, metric=great_circle()).unit == "km^2"

    @pytest.mark.parametrize("unit", ["feet", "KM", "", None, 6371.0, "kilometres"])
    def test_other_units_are_refused(self, unit):
        assert "'km'" in refused(great_circle, "unit", unit).problem


class TestEveryFunction:
    @pytest.fixture
    def clouds(self, rng):
        return random_points(rng, 30), random_points(rng, 24)

    @pytest.mark.parametrize("p", [1, 2])
    def test_methods_and_cost_matrices_agree(self, p, clouds, rng):
        x, y = clouds
        a, b = rng.random(30), rng.random(24)
        cost = great_circle().matrix(x, y) ** p
        exact_one = otdist.emd(cost, a, b).value ** (1 / p)
        for method, gap in (("dense", 1e-12), ("sparse", 1e-11), ("sinkhorn", 0.02)):
            result = otdist.wasserstein(x, y, a, b, p=p, metric=great_circle(), method=method)
            assert result.value == pytest.approx(exact_one, rel=gap)
            assert result.lower <= exact_one * (1 + 1e-12) and result.upper >= exact_one * (1 - 1e-12)
            assert result.unit == "km"

    def test_by_a_function_of_two_points(self, clouds):
        def haversine(u, v):
            (lat_u, lon_u), (lat_v, lon_v) = np.radians(u), np.radians(v)
            h = math.sin((lat_u - lat_v) / 2) ** 2
            h += math.cos(lat_u) * math.cos(lat_v) * math.sin((lon_u - lon_v) / 2) ** 2
            return 2 * 6371.0088 * math.asin(math.sqrt(h))

        x, y = clouds
        expected = cdist(x, y, haversine)
        np.testing.assert_allclose(great_circle().matrix(x, y), expected, rtol=1e-9)

    def test_bottleneck(self, clouds):
        x, y = clouds[0][:6], clouds[1][:6]
        result = otdist.wasserstein(x, y, p=math.inf, metric=great_circle())
        d = great_circle().matrix(x, y)
        assert result.value in d and result.value >= d.min(axis=1).max()

    def test_unequal_mass(self, clouds):
        x, y = clouds
        all_of_it = otdist.w1(x, y, metric=great_circle()).value
        partial = otdist.partial_w1(x, y, moved=1.0, metric=great_circle())
        assert partial.value == pytest.approx(otdist.partial_w1(x, y, moved=1.0, metric="great_circle").value)
        assert partial.unit == "km" and partial.value <= all_of_it * 30
        # Where mass may travel as far as it likes, all of it does.
        a, b = np.full(30, 1 / 30), np.full(24, 1 / 24)
        flat = otdist.unbalanced_w1(x, y, a, b, reach=1e6, metric=great_circle())
        assert flat.value == pytest.approx(all_of_it, rel=1e-9)

    def test_divergence(self, clouds):
        x, y = clouds
        assert otdist.sinkhorn_divergence(x, y, metric=great_circle()).value > 0
        assert otdist.sinkhorn_divergence(x, x, metric=great_circle()).value == pytest.approx(0, abs=1e-6)

    def test_noise(self, rng):
        x, y = random_points(rng, 60), random_points(rng, 50)
        floor = otdist.stats.noise_floor(x, 30, 30, metric=great_circle(), n_resamples=19, rng=0)
        assert floor.unit == "km" and 500 < floor.mean < 6000
        test = otdist.stats.permutation_test(x, y, metric=great_circle(), n_resamples=19, rng=0)
        assert test.pvalue > 0.05
        east = x * [1.0, 0.1]
        test = otdist.stats.permutation_test(x, east, metric=great_circle(), n_resamples=19, rng=0)
        assert test.pvalue == 0.05

    def test_critic_is_1_lipschitz_in_kilometres(self, clouds):
        x, y = clouds
        result = otdist.w1(x, y, metric=great_circle())
        z = np.concatenate([x, y])
        steps = np.abs(result.critic(z)[:, None] - result.critic(z)[None, :])
        assert (steps <= great_circle().matrix(z, z) + 1e-8).all()
        assert "from -90 to 90" in refused(result.critic, "z", [[91.0, 0.0]]).problem

    def test_recommend(self):
        assert otdist.recommend(500, 2, metric="great_circle").method == "dense"
        recommendation = otdist.recommend(5000, 2, metric=great_circle("mi"))
        assert recommendation.method == "sparse" and recommendation.bytes > 8 * 5000**2

    def test_a_weight_of_2_is_a_point_twice(self, clouds):
        x, y = clouds
        twice = otdist.w1(np.concatenate([x, x[:1]]), y, metric=great_circle())
        weights = np.array([2.0, *np.ones(29)])
        assert otdist.w1(x, y, weights, metric=great_circle()).value == pytest.approx(twice.value, rel=1e-12)

    def test_pickled_and_equal_metrics(self, clouds):
        x, y = clouds
        copy = pickle.loads(pickle.dumps(great_circle("mi")))
        assert otdist.w1(x, y, metric=copy).value == otdist.w1(x, y, metric=great_circle("mi")).value
        assert great_circle() is otdist.metrics.NAMED["great_circle"]


class TestGradients:
    @pytest.mark.parametrize("p", [1, 2])
    def test_they_are_slopes(self, p, rng):
        torch = pytest.importorskip("torch")
        x, y = random_points(rng, 6), random_points(rng, 5)
        x[0], y[0], y[1] = [10.0, 179.9], [12.0, -179.9], [0.0, 20.0]
        left, right = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
        otdist.wasserstein(left, right, p=p, metric=great_circle()).value.backward()

        def value(x, y):
            return float(otdist.wasserstein(x, y, p=p, metric=great_circle()))

        for k in range(2):
            for i in range(5):
                step = np.zeros_like(x)
                step[i, k] = 1e-6
                slope = (value(x + step, y) - value(x - step, y)) / 2e-6
                assert float(left.grad[i, k]) == pytest.approx(slope, rel=1e-6, abs=1e-5)
                step = step[: len(y)]
                slope = (value(x, y + step) - value(x, y - step)) / 2e-6
                assert float(right.grad[i, k]) == pytest.approx(slope, rel=1e-6, abs=1e-5)

    @pytest.mark.parametrize(
        ("u", "v"),
        [
            (PARIS, PARIS),
            ([90.0, 0.0], [90.0, 50.0]),
            ([0.0, 0.0], [0.0, 180.0]),
            ([30.0, -100.0], [-30.0, 80.0]),
            ([90.0, 0.0], [-90.0, 0.0]),
            ([10.0, -180.0], [10.0, 180.0]),
            ([0.0, 0.0], [20.0, 0.0]),
        ],
    )
    def test_they_are_finite_everywhere(self, u, v):
        torch = pytest.importorskip("torch")
        points = [torch.tensor([point], dtype=torch.float64, requires_grad=True) for point in (u, v)]
        value = distance_of_tensors(*points)
        value.backward()
        one_degree = math.pi / 180 * 6371.0088
        for point in points:
            assert torch.isfinite(point.grad).all()
            assert float(point.grad.abs().max()) <= one_degree * (1 + 1e-12)


def distance_of_tensors(x, y):
    return otdist.w1(x, y, [1.0], [1.0], metric=great_circle()).value


class TestBadInput:
    @pytest.mark.parametrize(
        ("points", "says"),
        [
            ([[2.35, 48.86], [151.2, -33.9]], ("row 1", "151.2", "swap")),
            ([[5e6, 4e5], [5e6, 4e5]], ("row 0", "projection")),
            ([[-90.0000001, 0.0]], ("row 0", "-90")),
            ([48.0, 2.0], ("2 columns", "got 1", "[[48.86, 2.35]]")),
            ([[48.0, 2.0, 35.0]], ("2 columns", "got 3", "(latitude, longitude)")),
            ([[48.0, math.inf]], ("row 0", "infinite")),
            ([[math.nan, 2.0]], ("row 0", "missing")),
        ],
    )
    @pytest.mark.parametrize("side", ["x", "y"])
    def test_points(self, side, points, says):
        good = np.zeros((2, np.shape(points)[1] if np.ndim(points) == 2 else 1))
        given = {"x": good, "y": good, side: points}
        name = side if "column" not in says[0] else "x"
        error = refused(otdist.w1, name, **given, metric=great_circle())
        assert all(word in str(error) for word in says)

    def test_the_row_is_the_caller_s(self):
        points = [[95.0, 0.0], [math.nan, 0.0], [3.0, 1.0], [99.0, 1.0]]
        error = refused(
            otdist.w1, "y", [PARIS], points, None, [0, 1, 1, 1], metric=great_circle(), nan_policy="omit"
        )
        assert "got 99 in row 3" in error.problem

    def test_the_factory_itself(self):
        assert (
            "great_circle(...)" in refused(otdist.w1, "metric", [PARIS], [LONDON], metric=great_circle).remedy
        )

    def test_times_are_no_degrees(self):
        times = np.zeros((2, 2), "m8[s]")
        assert "durations" in refused(otdist.w1, "x", times, times, metric=great_circle()).problem

    def test_no_method_of_the_line(self):
        refused(otdist.w1, "method", [PARIS], [LONDON], metric=great_circle(), method="line")
