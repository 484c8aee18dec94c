"""Metrics against exact arithmetic: rounding, underflow, overflow, in powers from 1 to 100."""

from __future__ import annotations

import math
from fractions import Fraction

import exact
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import metrics
from otdist.solvers.costs import cost_rounding

POWERS = st.sampled_from([1, 1.5, 2, 3, 6, 10, 20, 100])
numbers = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1, 1).map(lambda u: round(u, 12)),
    st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-14, 3)).map(lambda t: t[0] * 10 ** t[1]),
)


@st.composite
def pairs(draw, same=False):
    """Two points of one to five columns."""
    d = draw(st.integers(1, 5))
    u, v = (np.array(draw(st.lists(numbers, min_size=d, max_size=d))) for _ in range(2))
    if same:  # parts of a point that differ in few columns or by little
        v = np.where(draw(st.lists(st.booleans(), min_size=d, max_size=d)), u, v)
    return u, v


def one_pair(u, v, **options):
    return otdist.wasserstein(u[None], v[None], [1.0], [1.0], **options)


def gap(x, y):
    """Distance of the first column: a metric of the caller's."""
    return abs(x[0] - y[0])


class TestAngles:
    @given(pairs(), st.sampled_from([1, 2, 3, 10, 100]))
    def test_any_two_directions(self, pair, p):
        u, v = pair
        if u.any() and v.any() and exact.angle(u, v) > 1e-3:
            exact.holds(one_pair(u, v, p=p, metric="angular"), exact.angle(u, v))

    @given(pairs(), st.floats(0.1, 10.0), st.floats(-17, -3), st.sampled_from([1, 2, 10]))
    def test_nearly_opposite_directions(self, pair, size, exponent, p):
        u, step = pair
        v = -size * u + 10**exponent * step
        if u.any() and v.any() and exact.angle(u, v) > 1e-3:
            result = one_pair(u, v, p=p, metric="angular")
            exact.holds(result, exact.angle(u, v))
            assert result.converged and result.upper - result.lower < 1e-13

    @pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")
    @given(pairs(), st.floats(0.1, 10.0), st.floats(-20, -3), st.sampled_from([1, 2, 10]))
    def test_nearly_equal_directions(self, pair, size, exponent, p):
        u, step = pair
        v = size * u + 10**exponent * step
        if u.any() and v.any():
            result = one_pair(u, v, p=p, metric="angular")
            exact.holds(result, exact.angle(u, v))
            assert result.upper - result.lower < 1e-13

    def test_opposite_points(self, rng):
        for _ in range(50):
            u = rng.normal(size=3)
            with mpmath.workdps(exact.DIGITS):
                exact.holds(one_pair(u, -rng.uniform(0.1, 9) * u, p=1, metric="angular"), exact.angle(u, -u))
        result = one_pair(np.array([1.0, 0]), np.array([-1.0, 1e-8]), p=1, metric="angular")
        exact.holds(result, exact.angle([1.0, 0], [-1.0, 1e-8]))

    def test_small_angles_beside_large_ones_in_powers(self):
        """The error of a distance moves W_p by as much, not the cost of the farthest pair."""
        x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        y = x + 1e-3 * np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        result = otdist.wasserstein(x, y, p=6, metric="angular")
        distances = [[exact.angle(u, v) for v in y] for u in x]
        exact.holds(result, exact.assignment(distances, 6))
        assert result.converged

    @given(pairs(), st.sampled_from([1, 2, 3]))
    def test_cosines(self, pair, p):
        u, v = pair
        if u.any() and v.any() and exact.angle(u, v) > 1e-2:
            with mpmath.workdps(exact.DIGITS):
                truth = 1 - mpmath.cos(exact.angle(u, v))
            exact.holds(one_pair(u, v, p=p, metric="cosine"), truth)


def distance(name, u, v):
    """The same distances without rounding."""
    steps = exact.differences(u, v)
    if name == "torus":
        return exact.norm([exact.around(step, 7.0) if k == 0 else step for k, step in enumerate(steps)])
    if name == "mixed":
        return exact.decimal(sum(abs(step) / Fraction(0.3) for step in steps) / len(steps))
    if name == "callable":
        return exact.decimal(Fraction(gap(u, v)))
    if name == "sqeuclidean":
        return exact.decimal(sum(step * step for step in steps))
    if name == "chebyshev":
        return exact.decimal(max(abs(step) for step in steps))
    return exact.norm(
        steps, {"euclidean": 2, "cityblock": 1, "minkowski(1.5)": 1.5, "minkowski(50)": 50}[name]
    )


def metric_of(name, d):
    return {
        "torus": metrics.periodic([7.0, *[None] * (d - 1)]),
        "mixed": metrics.mixed([0.3] * d),
        "callable": gap,
        "minkowski(1.5)": metrics.minkowski(1.5),
        "minkowski(50)": metrics.minkowski(50),
    }.get(name, name)


NAMES = ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "minkowski(1.5)", "minkowski(50)"]
NAMES += ["torus", "mixed", "callable"]


@pytest.mark.parametrize("name", NAMES)
class TestPowers:
    @given(pair=pairs(same=True), p=POWERS)
    def test_one_point_a_side(self, name, pair, p):
        """Distances from 1e-14 to 1e3: their powers, and the roots of these, round outwards."""
        u, v = pair
        result = one_pair(u, v, p=p, metric=metric_of(name, len(u)), method="dense")
        exact.holds(result, distance(name, u, v))
        assert result.converged and result.gap < 1e-12

    @given(data=st.data(), p=POWERS)
    def test_a_few_points_a_side(self, name, data, p):
        """Clusters and single points at distances over many orders, by trying all permutations."""
        d, n = data.draw(st.integers(1, 2)), data.draw(st.integers(2, 4))
        centres = np.array(data.draw(st.lists(st.integers(-2, 2).map(float), min_size=n * d, max_size=n * d)))
        noise = [data.draw(st.lists(numbers, min_size=n * d, max_size=n * d)) for _ in range(2)]
        size = 10.0 ** data.draw(st.integers(-13, 0))
        x, y = (np.reshape(centres + size * np.array(part), (n, d)) for part in noise)
        result = otdist.wasserstein(x, y, p=p, metric=metric_of(name, d), method="dense")
        exact.holds(result, exact.assignment([[distance(name, u, v) for v in y] for u in x], p))
        assert result.converged

    def test_the_bound_of_the_rounding_is_not_loose(self, name, rng):
        """In powers of 100 a bound that is ten thousand times too wide would not prove 1e-9."""
        from otdist.problem import Problem

        u, v = rng.normal(size=(2, 4, 3))
        assert cost_rounding(Problem.of(u, v, metric=metric_of(name, 3), p=1)) < 1e-14
        assert cost_rounding(Problem.of(u, v, metric=metric_of(name, 3), p=100)) < 1e-12


class TestUnderflow:
    @pytest.mark.parametrize(("p", "d"), [(100, 1e-4), (50, 1e-7), (20, 1e-17), (10, 1e-33), (3, 1e-108)])
    @pytest.mark.parametrize(
        "metric", [metrics.mixed([1.0]), gap, metrics.periodic([10.0, None]), "euclidean"]
    )
    @pytest.mark.parametrize("method", ["dense", "sparse"])
    def test_powers_that_vanish_beside_others(self, p, d, metric, method):
        columns = 2 if getattr(metric, "name", "") == "periodic" else 1
        x, y = np.zeros((2, columns)), np.zeros((2, columns))
        x[:, 0], y[:, 0] = (0, 1), (d, 1)
        result = otdist.wasserstein(x, y, p=p, metric=metric, method=method)
        assert result.value == pytest.approx(d * 0.5 ** (1 / p), rel=1e-12)
        assert result.converged

    @given(POWERS, st.floats(-300, -5), st.integers(2, 4))
    def test_no_distance_is_0_but_0(self, p, exponent, n):
        """Tiny distances beside those of 1: bounded where they are not found, never 0 in [0, 0]."""
        x = np.arange(float(n))
        y = x.copy()
        y[0] = 10.0**exponent
        result = otdist.wasserstein(x[:, None], y[:, None], p=p, metric=metrics.mixed([1.0]), on_fail="warn")
        exact.holds(
            result, exact.decimal(Fraction(y[0])) * exact.root_of_mean([(Fraction(1, n), Fraction(1))], p)
        )
        assert result.upper > 0

    def test_powers_of_minkowski(self):
        x, y = [[0.0, 0], [5, 5]], [[1e-7, 1e-7], [5, 5.00001]]
        result = otdist.w1(x, y, metric=metrics.minkowski(50))
        steps = [[exact.norm(exact.differences(u, v), 50) for v in y] for u in x]
        exact.holds(result, exact.assignment(steps, 1))
        assert result.converged
        tiny = otdist.w1([[0.0, 0]], [[2.0**-60, 0]], [1], [1], metric=metrics.minkowski(20))
        exact.holds(tiny, exact.decimal(2.0**-60))
        assert tiny.converged


class TestOverflow:
    def test_powers_beyond_the_largest_number(self):
        x, y = [[1e200, 0], [0, 1]], [[-1e200, 0], [3, 1]]
        for method in ("dense", "sparse", "sinkhorn"):
            result = otdist.wasserstein(x, y, p=2, metric=metrics.periodic([None, 1.0]), method=method)
            assert (
                result.value == pytest.approx(1e200, rel=1e-12) and result.converged
            )  # each point moves by 1e200
        result = otdist.wasserstein([[0.0], [2.0]], [[1.0], [4.0]], p=2, metric=metrics.mixed([1e-200]))
        assert result.value == pytest.approx(math.sqrt(2.5) * 1e200, rel=1e-13)

    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    def test_a_distance_beyond_the_largest_number(self, method):
        with pytest.raises(otdist.InputError, match="exceed"):
            otdist.w1([[0.0], [2.0]], [[1e10], [4.0]], metric=metrics.mixed([1e-300]), method=method)
        with pytest.raises(otdist.InputError, match="exceed"):
            otdist.w1(
                [[1.7e308, 0.0]],
                [[-1.7e308, 0.0]],
                [1],
                [1],
                metric=metrics.periodic([None, 1.0]),
                method=method,
            )

    def test_a_range_beyond_the_largest_number(self):
        x, y = [[1.7e308, 0.0]] * 2, [[-1.7e308, 0.0], [0.0, 1.0]]
        assert otdist.w1(x, y, metric="gower").value == 0.625  # (1 + 0) / 2 and (1 / 2 + 1) / 2

    @pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")
    @pytest.mark.parametrize("p", [400, 1000, 1e5])
    @pytest.mark.parametrize("metric", ["euclidean", metrics.periodic([1.0, 1.0]), metrics.mixed([0.3, 0.7])])
    def test_high_powers(self, rng, p, metric):
        """W_p is at most the bottleneck distance, and at least that times the share of one point."""
        x, y = rng.random((2, 5, 2))
        result = otdist.wasserstein(x, y, p=p, metric=metric)
        longest = otdist.wasserstein(x, y, p=np.inf, metric=metric)
        assert result.lower <= longest.upper and result.upper >= longest.lower * 0.2 ** (1 / p)
        assert result.lower <= result.value <= result.upper < np.inf

    def test_huge_coordinates_do_not_turn_the_interval(self):
        """The error of a distance is not the difference of two rounded powers, which may be negative."""
        result = otdist.wasserstein([[1.3e24]], [[-1.3e24]], [1], [1], p=3, metric=metrics.periodic([None]))
        exact.holds(result, exact.decimal(2 * Fraction(1.3e24)))

    @pytest.mark.parametrize("scale", [1e-310, 1e-320])
    def test_scales_too_small_to_divide_by(self, scale):
        with pytest.raises(otdist.InputError) as caught:
            metrics.mixed([scale])
        assert caught.value.argument == "scale"

    @pytest.mark.parametrize("period", [1e-305, 1e308])
    def test_periods_beyond_use(self, period):
        with pytest.raises(otdist.InputError) as caught:
            metrics.periodic(period)
        assert caught.value.argument == "period"

    def test_costs_beyond_the_largest_number_are_refused(self):
        """The answer of an unbalanced problem is a cost, not its root."""
        x, y = [[1e200, 0], [0, 1]], [[-1e200, 0], [3, 1]]
        for options in ({"penalty": "tv"}, {"penalty": "kl"}):
            with pytest.raises(otdist.InputError, match="power 2"):
                otdist.unbalanced_w1(x, y, p=2, reach=1.0, metric=metrics.periodic([None, 1.0]), **options)


@pytest.mark.parametrize("metric", ["cosine", "angular", "sqeuclidean", "euclidean", gap])
def test_mass_that_rounding_moved_travels_no_further_than_is_claimed(metric, rng):
    """Weights that are divided by their sum move mass of 1e-16: its way is bounded for any cost."""
    from otdist.problem import Problem
    from otdist.solvers.costs import weight_rounding_cost

    for _ in range(20):
        x, y, a, b = *rng.normal(size=(2, 6, 2)), *rng.random((2, 6))
        problem = Problem.of(x, y, a, b, metric=metric)
        assert problem.mass_error > 0
        assert weight_rounding_cost(problem) >= problem.mass_error * problem.costs(problem.x, problem.y).max()
