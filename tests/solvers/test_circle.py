"""The circle against exact arithmetic: turns, laps, slivers of mass, powers from 1 to 100."""

from __future__ import annotations

from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import metrics
from otdist.metrics.torus import compute_circle_distance, wrap_coordinates

POWERS = st.sampled_from([1, 1.5, 2, 3, 6, 10, 20, 100])
PERIODS = st.sampled_from([1.0, 1.4, 7.0, 360.0, 2 * np.pi, 1e-30, 1e100, 1e201])


@st.composite
def places(draw, length, size):
    """Points near one of four corners of a circle, at distances over 25 orders, or laps away."""
    corner = st.integers(-6, 6).map(lambda k: k * length / 4)
    away = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-25, -0.5)).map(
        lambda t: t[0] * 10 ** t[1] * length
    )
    point = st.one_of(
        corner, away, st.tuples(corner, away).map(sum), st.floats(-3, 3).map(lambda u: round(u, 12) * length)
    )
    return np.array(draw(st.lists(point, min_size=size, max_size=size)))


@st.composite
def problems(draw, weighted):
    """Two samples on a circle, with weights over fifteen orders or none."""
    length = draw(PERIODS)
    n = draw(st.integers(1, 4))
    m = draw(st.integers(1, 4)) if weighted else n
    x, y = draw(places(length, n)), draw(places(length, m))
    shares = st.one_of(
        st.floats(0.01, 1.0), st.integers(1, 9).map(lambda k: k / 10), st.floats(-15, 0).map(lambda e: 10**e)
    )
    a, b = (
        np.array(draw(st.lists(shares, min_size=k, max_size=k))) if weighted else np.ones(k) for k in (n, m)
    )
    return x, y, a, b, length, draw(POWERS)


@given(problems(weighted=False))
def test_equal_masses(problem):
    x, y, a, b, length, p = problem
    result = otdist.wasserstein(x, y, p=p, metric=metrics.periodic(length))
    assert result.method == "circle"
    exact.holds(result, exact.circle(x, y, a, b, length, p))
    assert result.gap <= 1e-12  # in powers of 100 as well


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")
@given(problems(weighted=True))
def test_any_masses(problem):
    x, y, a, b, length, p = problem
    result = otdist.wasserstein(x, y, a, b, p=p, metric=metrics.periodic(length))
    exact.holds(result, exact.circle(x, y, a, b, length, p))
    if p <= 2 and min(a.min() / a.sum(), b.min() / b.sum()) > 1e-3 and result.value > 1e-3 * length:
        assert result.converged


@given(problems(weighted=False))
def test_the_circle_and_the_dense_solver_agree(problem):
    x, y, _, _, length, p = problem
    circle = otdist.wasserstein(x, y, p=p, metric=metrics.periodic(length))
    dense = otdist.wasserstein(x, y, p=p, metric=metrics.periodic(length), method="dense")
    assert circle.lower <= dense.upper and dense.lower <= circle.upper
    assert dense.value == pytest.approx(circle.value, rel=1e-9)


@given(PERIODS.flatmap(lambda length: st.tuples(st.just(length), places(length, 2))))
def test_points_of_the_base_interval_are_exact(length_and_points):
    length, (u, v) = length_and_points
    s, t = wrap_coordinates(np.array([u, v]), length)
    for point, place in ((u, s), (v, t)):
        assert (Fraction(float(place)) - Fraction(float(point))) % Fraction(length) == 0
        assert -length / 2 < place <= length / 2
    truth = exact.around(exact.differences(u, v)[0], length)
    distance = Fraction(float(compute_circle_distance(np.array(s), np.array(t), length)))
    assert abs(distance - truth) <= 3 * truth / 2**53


class TestKnownCases:
    @pytest.mark.parametrize(("p", "d"), [(100, 1e-4), (50, 1e-7), (20, 1e-17), (10, 1e-33), (3, 1e-108)])
    def test_powers_that_vanish(self, p, d):
        result = otdist.wasserstein([0.0, 1.0], [d, 1.0], p=p, metric=metrics.periodic(10.0))
        assert result.value == pytest.approx(d * 0.5 ** (1 / p), rel=1e-13)
        assert result.converged

    def test_a_remainder_below_the_rounding_of_the_period(self):
        assert otdist.w1([-1e-15], [0.0], metric=metrics.periodic(360.0)).value == 1e-15
        x, y = [[-1e-15, 0], [5, 5]], [[-2e-15, 0], [5, 5]]
        result = otdist.w1(x, y, metric=metrics.periodic([360.0, 360.0]))
        exact.holds(result, exact.decimal((Fraction(2e-15) - Fraction(1e-15)) / 2))
        assert result.converged

    def test_powers_that_overflow(self):
        x, y = [0.0, 2e200], [1e200, 4e200]
        result = otdist.wasserstein(x, y, p=3, metric=metrics.periodic(1e201))
        exact.holds(result, exact.circle(x, y, [1, 1], [1, 1], 1e201, 3))
        assert result.converged

    @pytest.mark.parametrize("p", [3, 5, 10, 20])
    def test_slivers_of_mass_go_the_short_way(self, p):
        result = otdist.wasserstein(
            [2.0], [0.0, 6.999999999999, 0.0], None, [0.1, 0.2, 0.3], p=p, metric=metrics.periodic(7.0)
        )
        exact.holds(result, exact.circle([2.0], [0.0, 6.999999999999, 0.0], [1], [0.1, 0.2, 0.3], 7.0, p))
        assert result.converged

    @pytest.mark.parametrize("p", [1, 3, 20])
    def test_a_sample_against_itself(self, rng, p):
        x, a = rng.random(30), rng.random(30)
        result = otdist.wasserstein(x, x, a, a, p=p, metric=metrics.periodic(1.4))
        assert (result.lower, result.value, result.upper) == (0.0, 0.0, 0.0)
        assert result.converged

    @pytest.mark.parametrize("p", [1, 2, 3])
    def test_flat_minima_of_a_grid(self, p):
        """On a grid many turns are equally good: slopes of 0, which the bound has to survive."""
        hours = np.arange(24.0)
        result = otdist.wasserstein(
            np.tile(hours, 50), np.tile(hours + 0.5, 50), p=p, metric=metrics.periodic(24.0)
        )
        assert result.value == pytest.approx(0.5, rel=1e-12)
        assert result.converged and result.gap < 1e-10

    def test_plan_has_its_marginals_and_its_cost(self, rng):
        x, y, a, b = *rng.random((2, 40)), *rng.random((2, 40))
        metric = metrics.periodic(1.0)
        result = otdist.wasserstein(x, y, a, b, p=2, metric=metric)
        plan = result.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), a / a.sum(), atol=1e-15)
        np.testing.assert_allclose(plan.sum(axis=0), b / b.sum(), atol=1e-15)
        assert np.sum(plan * metric.matrix(x[:, None], y[:, None]) ** 2) == pytest.approx(
            result.value**2, rel=1e-12
        )
