"""The line against exact arithmetic: powers, roots, and weights over fifteen orders."""

from __future__ import annotations

from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist.solvers.cumulative_weights import weighted_staircase

POWERS = st.sampled_from([1, 1.5, 2, 3, 6, 10, 20, 100])
places = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-1, 1).map(lambda u: round(u, 12)),
    st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(-25, 12)).map(lambda t: t[0] * 10 ** t[1]),
    st.floats(0, 1).map(lambda u: 1e9 + u),
)
shares = st.one_of(
    st.floats(0.01, 1.0),
    st.integers(1, 9).map(lambda k: k / 10),
    st.floats(-15, 0).map(lambda e: 10**e),
)


@st.composite
def problems(draw, weighted):
    n = draw(st.integers(1, 6))
    m = draw(st.integers(1, 6)) if weighted or draw(st.booleans()) else n
    x, y = (np.array(draw(st.lists(places, min_size=k, max_size=k))) for k in (n, m))
    a, b = (
        np.array(draw(st.lists(shares, min_size=k, max_size=k))) if weighted else np.ones(k) for k in (n, m)
    )
    return x, y, a, b, draw(POWERS)


@given(problems(weighted=False))
def test_equal_masses(problem):
    x, y, a, b, p = problem
    result = otdist.wasserstein(x, y, p=p)
    assert result.method == "line"
    exact.holds(result, exact.line(x, y, a, b, p))
    assert result.converged and result.gap < 1e-12


@pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")
@given(problems(weighted=True))
def test_any_masses(problem):
    x, y, a, b, p = problem
    exact.holds(otdist.wasserstein(x, y, a, b, p=p), exact.line(x, y, a, b, p))


@given(problems(weighted=True))
def test_a_batch_is_exact_for_any_masses(problem):
    """A mass below the rounding of all others counts where it has to travel far."""
    x, y, a, b, p = problem
    truth = exact.line(x, y, a, b, p)
    assert otdist.wasserstein_1d(x, y, a, b, p=p) == pytest.approx(float(truth), rel=1e-12 if p > 1 else 1e-8)
    batch = otdist.wasserstein_1d(np.array([x, x[::-1]]), y, np.array([a, a[::-1]]), b, p=p)
    assert batch == pytest.approx(float(truth), rel=1e-12)


@given(st.sampled_from([1.5, 3, 7, 10, 20]), st.integers(-60, 60))
def test_powers_of_two(p, k):
    result = otdist.wasserstein([0.0], [2.0**k], p=p)
    assert result.lower <= 2.0**k <= result.upper
    assert result.value == pytest.approx(2.0**k, rel=1e-14)


@given(st.integers(0, 2**32))
def test_from_one_point_masses_of_any_size(seed):
    """All mass comes from one point: no sum of masses, so none that rounds."""
    rng = np.random.default_rng(seed)
    y, b = rng.normal(size=5), 10 ** rng.uniform(-15, 0, 5)
    result = otdist.wasserstein([0.5], y, None, b, p=20)
    exact.holds(result, exact.line([0.5], y, [1.0], b, 20))
    assert result.converged


def test_outliers_of_little_mass():
    """The level of an outlier is not moved by a unit in the last place of the total."""
    x, y = np.array([0.0, 1.0, 1e9]), np.array([0.0, 1.5, 1e9])
    a, b = np.array([0.3, 0.7, 1e-15]), np.array([0.1, 0.9, 1e-15])
    for p in (1, 2, 3):
        truth = float(exact.line(x, y, a, b, p))
        assert otdist.wasserstein_1d(x, y, a, b, p=p) == pytest.approx(truth, rel=1e-12)


def test_repeated_rows_are_weights():
    assert otdist.wasserstein_1d([0.0, 0.0, 1.0], [0.0, 1.0], None, [2.0, 1.0]) == 0.0
    assert (
        otdist.wasserstein_1d([0.0, 0.0, 1.0, 5.0], [0.0, 1.0, 5.0], [0.25] * 4, [0.5, 0.25, 0.25], p=3)
        == 0.0
    )


def test_a_batch_of_long_samples_agrees_with_single_ones(rng):
    x, y, a, b = rng.normal(size=(3, 5000)), rng.normal(size=5000), rng.random((3, 5000)), rng.random(5000)
    for p in (1, 2):
        batch = otdist.wasserstein_1d(x, y, a, b, p=p)
        for distance, row, w in zip(batch, x, a, strict=True):
            result = otdist.wasserstein(row, y, w, b, p=p)
            assert result.converged  # the bound of what cumulated masses round knows where the points are
            assert distance == pytest.approx(result.value, rel=1e-10)


@given(st.lists(shares, min_size=1, max_size=8), st.lists(shares, min_size=1, max_size=8))
def test_masses_of_a_weighted_staircase(a, b):
    i, j, mass = weighted_staircase(np.array(a), np.array(b))
    rows, cols = (np.cumsum([Fraction(w) for w in side]) / sum(map(Fraction, side)) for side in (a, b))
    level = Fraction(0)
    for row, col, part in zip(i, j, mass, strict=True):
        end = min(rows[row], cols[col])
        assert float(end - level) == pytest.approx(part, rel=1e-13, abs=1e-28)
        level = max(level, end)
    assert level == 1


class TestLargestNumbers:
    def test_potentials_of_costs_beyond_the_largest_number(self):
        with pytest.warns(otdist.errors.PrecisionWarning):
            result = otdist.w1([1e308, 0.0], [-1e308, 5.0], metric="sqeuclidean")
        assert result.value == np.inf
        assert result.potentials is not None


def test_an_empty_cell_does_not_set_the_unit():
    """A point far off that stays where it is leaves the distance of the others its digits."""
    x, y = np.array([0.0, 0, 0, 1e9, 0]), np.array([0.0, 0, 0, 1e9, 1])
    a = np.array([1.0, 1, 1, 1, 0.5])
    result = otdist.wasserstein(x, y, a, a, p=100)
    exact.holds(result, exact.line(x, y, a, a, 100))
    assert result.converged and result.value == pytest.approx((0.5 / 4.5) ** 0.01, rel=1e-12)
    assert otdist.wasserstein_1d(x, y, a, a, p=100) == pytest.approx(result.value, rel=1e-12)


@pytest.mark.parametrize("p", [1, 1.5, 3])
@pytest.mark.parametrize("place", [0.0, 5e-324, -1e-200, 1e300])
def test_masses_at_one_place_have_no_way_to_go(p, place):
    given = [[place] * 2, [place] * 3, [0.3, 0.7], [0.1, 0.2, 0.7]]
    result = otdist.wasserstein(*given, p=p)
    assert (result.lower, result.value, result.upper) == (0.0, 0.0, 0.0) and result.converged


@pytest.mark.parametrize("p", [1, 2, 6])
def test_many_weighted_points_are_proved(p):
    rng = np.random.default_rng(p)
    x, y = rng.normal(size=(2, 30_000))
    a, b = rng.random((2, 30_000))
    result = otdist.wasserstein(x, y, a, b, p=p)
    assert result.converged and result.gap < 1e-9
    fine = otdist.wasserstein_1d(np.array([x]), y, np.array([a]), b, p=p)[0]
    assert result.lower <= fine * (1 + 1e-14) and fine * (1 - 1e-14) <= result.upper
