"""Closed forms against the proved quadrature, against other oracles, and against the axioms of a distance."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import examples

from otdist import closed
from otdist.closed.reading import read_distribution
from otdist.closed.shapes import FAMILY_SHAPES
from otdist.errors import ConvergenceWarning, InputError
from otdist.result import Result

pytestmark = pytest.mark.filterwarnings("error")
place = st.floats(-100, 100)
size = st.floats(0.01, 100)
orders = st.floats(1, 6)


def holds(result: Result, true: float, rtol: float = 1e-6) -> None:
    """Check both halves of a certificate: the truth lies inside, and the interval is narrow."""
    assert result.converged
    assert result.lower <= result.value <= result.upper
    assert result.lower * (1 - 1e-14) <= true <= result.upper * (1 + 1e-14)
    assert result.upper - result.lower <= rtol * result.upper
    assert abs(result.value - true) <= max(2 * result.info.get("estimated_error", 0.0), 1e-12 * true)


# --- closed forms against the quadrature ----------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("pair", [(0, 1, 1, 1), (0, 1, 0.5, 3), (-2, 0.5, 7, 0.25), (1e6, 1, 1e6 + 1, 1)])
def test_normal_lies_in_its_bracket(pair: tuple[float, ...], p: int) -> None:
    m1, s1, m2, s2 = pair
    holds(closed.laws(stats.norm(m1, s1), stats.norm(m2, s2), p=p), closed.normal(*pair, p=p).value)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 8])
@pytest.mark.parametrize(
    "pair", [(0, 1, 0.2, 2.2), (0, 3, 1, 2.5), (-1, 1, -0.9, 0.2), (0, 3, 1, 2), (0, 1, 5, 6)]
)
def test_uniform_lies_in_its_bracket(pair: tuple[float, ...], p: float) -> None:
    a, b, c, d = pair
    result = closed.laws(stats.uniform(a, b - a), stats.uniform(c, d - c), p=p)
    holds(result, closed.uniform(*pair, p=p).value)


@pytest.mark.parametrize("p", [1, 1.5, 2, 7.5, 40])
def test_exponential_lies_in_its_bracket(p: float) -> None:
    result = closed.laws(stats.expon(scale=1), stats.expon(scale=3), p=p)
    holds(result, closed.exponential(1, 3, p=p).value)


def absolute_moment_of_t(df: float) -> float:
    """E|T| for Student's t."""
    half = math.gamma((df + 1) / 2) / math.gamma(df / 2)
    return 2 * math.sqrt(df / math.pi) * half / (df - 1)


@pytest.mark.parametrize("df", [1.1, 1.5, 2, 3, 5, 30])
def test_heavy_tails_of_t(df: float) -> None:
    """W1(T, 2 T) = E|T|, also where the variance is infinite (df <= 2)."""
    holds(closed.laws(stats.t(df), stats.t(df, scale=2)), absolute_moment_of_t(df))


@pytest.mark.parametrize("b", [1.1, 1.5, 4])
def test_heavy_tails_of_pareto(b: float) -> None:
    holds(closed.laws(stats.pareto(b), stats.pareto(b, scale=3)), 2 * b / (b - 1))


# A distribution of each family, at parameters that change its turning point.
LISTED: dict[str, list[tuple[float, ...]]] = {
    "arcsine": [()],
    "beta": [(2, 3), (0.5, 0.5), (0.8, 3), (3, 0.5), (1, 1), (1, 2)],  # scipy warns at (0.5, 3)
    "cauchy": [],  # infinite mean
    "chi": [(1,), (4,)],
    "chi2": [(1,), (5,)],
    "erlang": [(3,)],
    "expon": [()],
    "f": [(4, 5), (1, 6)],
    "fisk": [(2.5,), (4,)],
    "gamma": [(0.3,), (2.5,)],
    "genpareto": [(0.6,), (0,), (-0.4,), (-1.5,)],
    "gumbel_l": [()],
    "gumbel_r": [()],
    "halfcauchy": [],
    "halfnorm": [()],
    "invgamma": [(2.5,)],
    "invweibull": [(2.2,)],
    "laplace": [()],
    "logistic": [()],
    "lognorm": [(0.5,), (1.5,)],
    "loguniform": [(0.1, 10)],
    "lomax": [(1.7,)],
    "maxwell": [()],
    "norm": [()],
    "pareto": [(1.6,)],
    "powerlaw": [(0.4,), (3,)],
    "rayleigh": [()],
    "reciprocal": [(0.1, 10)],
    "t": [(1.5,), (4,)],
    "triang": [(0.3,), (0,), (1,)],
    "truncexpon": [(2,)],
    "truncnorm": [(-1, 2), (0.5, 3), (-3, -1), (-1, math.inf)],
    "uniform": [()],
    "weibull_min": [(0.7,), (1,), (2.5,)],
}
CASES = [(name, shapes) for name, every in LISTED.items() for shapes in every]


def test_every_listed_family_is_tested() -> None:
    assert set(LISTED) == set(FAMILY_SHAPES)


@pytest.mark.parametrize(("name", "shapes"), CASES)
def test_shift_of_every_listed_family(name: str, shapes: tuple[float, ...]) -> None:
    """A wrong turning point breaks the convexity bounds, and with them the bracket of a shift."""
    family = getattr(stats, name)
    result = closed.laws(family(*shapes), family(*shapes, loc=3), rtol=1e-5)
    holds(result, 3.0, 1e-5)


@pytest.mark.parametrize(("name", "shapes"), CASES)
def test_convexity_between_turning_points(name: str, shapes: tuple[float, ...]) -> None:
    """Second differences of the quantile function change sign at the turning points only."""
    distribution: Any = read_distribution(getattr(stats, name)(*shapes), "mu")
    for top in (False, True):
        edges = np.unique(distribution.compute_edges(top))
        edges = edges[edges > 1e-9]
        for start, stop in pairwise(edges):
            if stop - start < 1e-7:
                continue
            x = distribution.evaluate(np.linspace(start, stop, 9), np.full(9, top))
            bend = np.diff(x, 2)
            noise = 1e-13 * (np.abs(x).max() + distribution.iqr)
            assert (bend > -noise).all() or (bend < noise).all()


@pytest.mark.parametrize(("name", "shapes"), CASES)
@pytest.mark.parametrize("top", [False, True])
def test_power_tail_bounds_the_tail(name: str, shapes: tuple[float, ...], top: bool) -> None:
    """At mass 1e-3 the bound holds against a quadrature of the tail, and is not absurd."""
    distribution: Any = read_distribution(getattr(stats, name)(*shapes, loc=0.5, scale=2), "mu")
    mass = 1e-3
    bound = distribution.bound_tail(top, mass, 1, 0.5)
    edges = mass * 2.0 ** -np.arange(80.0)
    edges = edges[edges >= distribution.get_smallest_mass(top)]
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = (edges[:-1] - edges[1:])[:, None] / 2
    u = (edges[:-1] + edges[1:])[:, None] / 2 + half * nodes
    x = distribution.evaluate(u.ravel(), np.full(u.size, top)).reshape(u.shape)
    true = float(np.sum(np.abs(x - 0.5) * half * weights))
    assert true <= bound * (1 + 1e-9)
    # One-sided families have an almost empty lower side, which the bound by the support covers coarsely.
    assert bound <= 3 * true or math.isfinite(distribution.support[top])


def test_tail_cells_reach_masses_of_1e_299() -> None:
    assert read_distribution(stats.norm(), "mu").get_smallest_mass(True) == 2.0**-992
    # scipy's t(5).ppf(2**-992) is +inf and t(1.5).ppf(2**-992) is off by forty orders: both must be left out.
    # Before scipy 1.17 the quantiles of both are right only as far as 1e-150.
    recent = tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17)
    assert 0 < read_distribution(stats.t(5), "mu").get_smallest_mass(False) < (1e-250 if recent else 1e-150)
    assert (
        1e-299
        < read_distribution(stats.t(1.5), "mu").get_smallest_mass(False)
        < (1e-200 if recent else 1e-149)
    )


# --- other oracles --------------------------------------------------------------------------------


def test_samples_against_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=300), rng.exponential(size=171)
    a, b = rng.random(300), rng.random(171)
    holds(closed.laws(x, y), stats.wasserstein_distance(x, y), 1e-12)
    holds(closed.laws((x, a), (y, b)), stats.wasserstein_distance(x, y, a, b), 1e-12)


def test_samples_against_rational_arithmetic() -> None:
    x, y = [0, 1, 5], [2, 2, 3, 9, 4]
    quantiles = [(sorted(x)[u // 5], sorted(y)[u // 3]) for u in range(15)]
    for p in (1, 2, 3):
        cost = sum((Fraction(abs(s - t)) ** p for s, t in quantiles), Fraction(0)) / 15
        holds(closed.laws(x, y, p=p), float(cost) ** (1 / p), 1e-12)


def test_repeated_samples_are_at_distance_exactly_0() -> None:
    x = np.random.default_rng(1).normal(size=7) + 1e8
    for p in (1, 2, 5):
        assert closed.laws(x, np.repeat(x, 3), p=p).upper == 0.0
        assert closed.laws(x, x[::-1], p=p).upper == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_sample_against_law_by_brute_force(p: float) -> None:
    x = np.random.default_rng(2).normal(0.3, 1.2, size=50)
    result = closed.laws(x, stats.norm(), p=p)
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    step = np.abs(np.sort(x)[np.minimum((u * 50).astype(int), 49)] - stats.norm.ppf(u))
    brute = float(np.mean(step**p)) ** (1 / p)
    holds(result, result.value)
    assert result.value == pytest.approx(brute, rel=2e-5)  # the sum leaves out 2.5e-7 on each side


def test_one_sample_is_dirac() -> None:
    """W1(norm, delta_0) = E|Z| and W2 = 1."""
    holds(closed.laws([0.0], stats.norm()), math.sqrt(2 / math.pi))
    holds(closed.laws(stats.norm(), [0.0], p=2), 1.0)
    x, a = np.array([1.0, -2.0, 5.0]), np.array([0.2, 0.3, 0.0])
    holds(closed.laws((x, a), [0.5], p=3), closed.dirac(x, 0.5, a, p=3).value)


def test_discrete_laws() -> None:
    holds(closed.laws(stats.poisson(4), stats.poisson(4, loc=1)), 1.0)
    holds(closed.laws(stats.poisson(4), stats.poisson(6)), 2.0)  # stochastically ordered: difference of means
    holds(closed.laws(stats.binom(10, 0.3), stats.binom(10, 0.5)), 2.0)
    holds(closed.laws(stats.skellam(3, 4), stats.skellam(5, 4)), 2.0)
    die = stats.rv_discrete(values=([1, 2.5, 7], [0.2, 0.3, 0.5]))()
    holds(closed.laws(die, ([1, 2.5, 7], [2, 3, 5])), 0.0)
    x = np.arange(60)
    oracle = stats.wasserstein_distance(x, x, stats.poisson.pmf(x, 4), stats.geom.pmf(x, 0.4))
    assert closed.laws(stats.poisson(4), stats.geom(0.4)).value == pytest.approx(oracle, rel=1e-9)


def test_discrete_against_continuous() -> None:
    """Exp(1) against its floor: the fractional part of an exponential has mean 1 - 1 / (e - 1)."""
    result = closed.laws(stats.geom(1 - math.exp(-1), loc=-1), stats.expon())
    holds(result, 1 - 1 / (math.e - 1))


@pytest.mark.slow
def test_unlisted_family_keeps_a_proved_bracket() -> None:
    result = closed.laws(stats.skewnorm(3), stats.skewnorm(3, loc=2), rtol=1e-3)
    holds(result, 2.0, 1e-3)


def test_histogram_and_custom_distributions() -> None:
    counts, edges = np.array([1.0, 3.0, 0.0, 2.0]), np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    # A misleading name must not lend it a known shape.
    distribution = stats.rv_histogram((counts, edges), density=False, name="norm")()
    # Bin k holds a uniform distribution; against the sample of its left edges it moves by 1/2 on average.
    holds(closed.laws(distribution, (edges[:-1], counts), rtol=1e-4), 0.5, 1e-4)
    assert read_distribution(distribution, "mu").convex_or_concave is False


def gaussian_by_mpmath(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Bures distance by the trace formula in 60 digits."""
    with mpmath.workdps(60):
        a, b = mpmath.matrix(first.tolist()), mpmath.matrix(second.tolist())
        values, vectors = mpmath.eigsy(a)
        root = vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T
        middle = root * b * root
        inner, _ = mpmath.eigsy((middle + middle.T) / 2)
        cross = sum(mpmath.sqrt(max(v, 0)) for v in inner)
        trace = sum(a[i, i] + b[i, i] for i in range(a.rows))
        return float(mpmath.sqrt(max(trace - 2 * cross, 0)))


@pytest.mark.parametrize("far", [1e-12, 1e-9, 1e-6, 1e-3, 1.0])
def test_gaussian_of_nearly_equal_covariances(far: float) -> None:
    first = np.array([[2.0, 1.0, 0.3], [1.0, 3.0, 0.0], [0.3, 0.0, 1.0]])
    second = first + far * np.array([[1.0, 0.3, 0.0], [0.3, 0.5, 0.2], [0.0, 0.2, 2.0]])
    result = closed.gaussian(np.zeros(3), first, np.zeros(3), second)
    true = gaussian_by_mpmath(first, second)
    assert result.value == pytest.approx(true, rel=1e-12)
    assert result.lower <= true <= result.upper
    assert result.gap < 1e-10


@pytest.mark.parametrize("seed", range(40))
def test_gaussian_against_sixty_digits(seed: int) -> None:
    """Random pairs, up to singular ones: the truth lies in the interval."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    factor = rng.normal(size=(d, int(rng.integers(1, d + 1))))
    spread = np.geomspace(1, 10.0 ** -rng.uniform(0, 10), d)
    frame, _ = np.linalg.qr(rng.normal(size=(d, d)))
    first = (frame * spread) @ frame.T
    first, second = (first + first.T) / 2, np.round(factor, 2) @ np.round(factor, 2).T
    result = closed.gaussian(np.zeros(d), first, np.zeros(d), second)
    assert result.lower <= gaussian_by_mpmath(first, second) <= result.upper
    assert result.gap < 1e-6
    other = closed.gaussian(np.zeros(d), second, np.zeros(d), first)
    assert abs(other.value - result.value) <= other.upper - other.lower + result.upper - result.lower


@pytest.mark.parametrize("small", [1e-4, 1e-8, 1e-10, 1e-12, 1e-15])
@pytest.mark.parametrize("angle", [0.075, 0.4, 1.2])
@pytest.mark.parametrize("white", [1.0, 0.7, 1.3])
def test_gaussian_of_white_and_nearly_singular_covariances(small: float, angle: float, white: float) -> None:
    """The difference is as large as the smallest eigenvalue of the one: the other may be anything."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    thin = (turn * [1.0, small]) @ turn.T
    thin = (thin + thin.T) / 2
    pair = thin, white * np.eye(2)
    true = gaussian_by_mpmath(*pair)
    for first, second in (pair, pair[::-1]):
        result = closed.gaussian([0, 0], first, [0, 0], second)
        assert result.lower <= true <= result.upper
        assert result.gap < 1e-6


@examples(50)
@given(st.lists(st.tuples(size, size, place, place), min_size=1, max_size=5))
def test_gaussian_of_commuting_covariances(rows: list[tuple[float, float, float, float]]) -> None:
    """Diagonal covariances: coordinates decouple."""
    s, t, m, k = (np.array(column) for column in zip(*rows, strict=True))
    result = closed.gaussian(m, np.diag(s**2), k, np.diag(t**2))
    pairs = zip(m, s, k, t, strict=True)
    true = math.hypot(*(closed.normal(*map(float, row), p=2).value for row in pairs))
    assert result.value == pytest.approx(true, rel=1e-9, abs=1e-12)


def test_gaussian_identity_and_scale() -> None:
    cov = np.array([[4.0, 2.0], [2.0, 1.0]])  # singular
    assert closed.gaussian([1, 2], cov, [1, 2], cov).upper == 0.0
    assert closed.gaussian([1, 2], cov, [4, 6], cov).value == 5.0
    one = closed.gaussian([0, 1], cov, [1, 0], np.eye(2)).value
    for factor in (2.0**-250, 2.0**300):
        scaled = closed.gaussian([0, factor], cov * factor**2, [factor, 0], np.eye(2) * factor**2)
        assert scaled.value == one * factor


def test_golden_numbers() -> None:
    assert closed.normal(0, 1, 0, 0).value == pytest.approx(math.sqrt(2 / math.pi), rel=1e-15)
    assert closed.normal(3, 1, 0, 1).value == 3.0
    assert closed.exponential(0, 1, p=2).value == pytest.approx(math.sqrt(2), rel=1e-15)
    assert closed.uniform(0, 1, 0.5, 0.5).value == 0.25
    assert closed.uniform(0, 1, 0, 2, p=2).value == pytest.approx(1 / math.sqrt(3), rel=1e-15)
    assert closed.gaussian(0, 4, 0, 1).value == 1.0
    # E|X| of the Laplace and the logistic distribution.
    holds(closed.laws(stats.laplace(), [0.0]), 1.0)
    holds(closed.laws(stats.logistic(), [0.0]), 2 * math.log(2))


@pytest.mark.parametrize("width", [1e-15, 1e-9, 1e-3, 0.5, 0.999999])
@pytest.mark.parametrize("p", [1, 2, 3.7, 50])
def test_uniform_keeps_its_digits(width: float, p: float) -> None:
    """Nearly parallel quantile functions, against 60 digits."""
    high2 = 2 + width
    with mpmath.workdps(60):
        t, q = mpmath.mpf(high2) - 1, mpmath.mpf(p)
        true = float(((t ** (q + 1) - 1) / ((q + 1) * (t - 1))) ** (1 / q)) if t != 1 else 1.0
    assert closed.uniform(0, 1, 1, high2, p=p).value == pytest.approx(true, rel=4e-15)


@pytest.mark.parametrize("p", [1, 1.5, 2, 700, 1e6])
def test_large_orders_and_sizes_do_not_overflow(p: float) -> None:
    for factor in (1e-200, 1.0, 1e200):
        one = closed.uniform(0, factor, 0, 3 * factor, p=p).value
        assert one == pytest.approx(factor * closed.uniform(0, 1, 0, 3, p=p).value, rel=1e-13)
        x = np.array([[3.0, 4.0], [0.0, 0.0]]) * factor
        assert closed.dirac(x, [0, 0], p=p).value == pytest.approx(5 * factor * 0.5 ** (1 / p), rel=1e-13)
        assert closed.shift([3 * factor, 4 * factor], p=p).value == pytest.approx(5 * factor, rel=1e-15)
        assert 0 < closed.exponential(factor, 2 * factor, p=p).value < math.inf


# --- axioms and invariances -----------------------------------------------------------------------


@examples(50)
@given(place, size, place, size, place, size, st.sampled_from([1, 2]))
def test_normal_is_a_distance(
    m1: float, s1: float, m2: float, s2: float, m3: float, s3: float, p: int
) -> None:
    def between(a: tuple[float, float], b: tuple[float, float]) -> float:
        return float(closed.normal(*a, *b, p=p).value)

    one, two, three = (m1, s1), (m2, s2), (m3, s3)
    assert between(one, one) == 0.0
    assert between(one, two) == between(two, one)
    assert between(one, three) <= (between(one, two) + between(two, three)) * (1 + 1e-14)
    assert abs(m1 - m2) <= between(one, two) * (1 + 1e-15)
    assert between((2 * m1, 2 * s1), (2 * m2, 2 * s2)) == 2 * between(one, two)
    assert closed.normal(*one, *two).value <= closed.normal(*one, *two, p=2).value * (1 + 1e-14)


@examples(50)
@given(st.tuples(place, size), st.tuples(place, size), st.tuples(place, size), orders, orders)
def test_uniform_is_a_distance(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], p: float, q: float
) -> None:
    def between(s: tuple[float, float], t: tuple[float, float], p: float = p) -> float:
        return float(closed.uniform(s[0], s[0] + s[1], t[0], t[0] + t[1], p=p).value)

    assert between(a, a) == 0.0
    assert between(a, b) == between(b, a)
    assert between(a, c) <= (between(a, b) + between(b, c)) * (1 + 1e-13)
    assert between(a, b, min(p, q)) <= between(a, b, max(p, q)) * (1 + 1e-13)


@examples(50)
@given(size, size, size, orders, orders)
def test_exponential_is_a_distance(a: float, b: float, c: float, p: float, q: float) -> None:
    def between(s: float, t: float, p: float = p) -> float:
        return float(closed.exponential(s, t, p=p).value)

    assert between(a, a) == 0.0
    assert between(a, b) == between(b, a)
    assert between(a, c) <= (between(a, b) + between(b, c)) * (1 + 1e-13)
    assert between(a, b, min(p, q)) <= between(a, b, max(p, q)) * (1 + 1e-13)


@examples(50)
@given(st.lists(st.tuples(place, st.floats(0, 1)), min_size=1, max_size=8), place, orders)
def test_dirac_agrees_with_laws(rows: list[tuple[float, float]], point: float, p: float) -> None:
    x, a = (np.array(column) for column in zip(*rows, strict=True))
    a[0] = 1.0
    value = closed.dirac(x, point, a, p=p).value
    assert closed.laws((x, a), [point], p=p).value == pytest.approx(value, rel=1e-12)
    assert abs(np.average(x, weights=a) - point) <= value * (1 + 1e-12) + 1e-12


ANY_LAW = st.one_of(
    st.builds(lambda m, s: stats.norm(m, s), st.floats(-3, 3), st.floats(0.2, 3)),
    st.builds(lambda m, s: stats.gamma(m, scale=s), st.floats(0.3, 5), st.floats(0.2, 3)),
    st.builds(lambda m, s: stats.t(m, scale=s), st.floats(3.5, 9), st.floats(0.2, 3)),
    st.builds(lambda m: stats.poisson(m), st.floats(0.1, 9)),
    st.lists(st.floats(-5, 5), min_size=1, max_size=9),
)


@pytest.mark.slow
@examples(25)
@pytest.mark.filterwarnings("ignore::otdist.errors.ConvergenceWarning")
@given(ANY_LAW, ANY_LAW, ANY_LAW, st.sampled_from([1.0, 2.0]))
def test_brackets_obey_the_axioms(a: Any, b: Any, c: Any, p: float) -> None:
    def between(mu: Any, nu: Any, p: float = p) -> Result:
        return closed.laws(mu, nu, p=p, rtol=1e-3, max_cells=20_000)

    direct = between(a, c)
    assert direct.lower <= between(a, b).upper + between(b, c).upper
    back = between(c, a)
    assert direct.lower <= back.upper and back.lower <= direct.upper
    assert back.value == pytest.approx(direct.value, rel=1e-6, abs=1e-9)
    assert between(a, c, 1).lower <= between(a, c, 2).upper
    finer = closed.laws(a, c, p=p, rtol=1e-4, max_cells=40_000)
    assert direct.lower <= finer.upper and finer.lower <= direct.upper
    assert abs(finer.value - direct.value) <= direct.info.get("estimated_error", 0) * 2 + 1e-12


def test_shift_and_scale_of_brackets() -> None:
    x = np.random.default_rng(3).normal(size=40)
    one = closed.laws(x, stats.gumbel_r())
    shifted = closed.laws(x + 64, stats.gumbel_r(64))
    scaled = closed.laws(8 * x, stats.gumbel_r(scale=8))
    assert shifted.value == pytest.approx(one.value, rel=1e-9)
    assert scaled.value == pytest.approx(8 * one.value, rel=1e-9)
    assert scaled.info["cells"] == pytest.approx(one.info["cells"], rel=0.1)


# --- infinite moments, limits and convergence -----------------------------------------------------


@pytest.mark.parametrize(
    ("mu", "nu", "p"),
    [
        (stats.cauchy(), stats.norm(), 1),
        ([1.0, 2.0], stats.halfcauchy(), 1),
        (stats.t(1.5), stats.norm(), 2),
        (stats.t(1.5), stats.norm(), 1.5),
        (stats.norm(), stats.levy(), 1),
        (stats.zipf(1.5), stats.poisson(3), 1),
    ],
)
def test_infinite_distance(mu: Any, nu: Any, p: float) -> None:
    result = closed.laws(mu, nu, p=p)
    assert result.value == result.lower == result.upper == math.inf
    assert result.converged and "infinite moment" in result.message and result.gap == 0


def test_same_law_is_exactly_0() -> None:
    assert closed.laws(stats.norm(), stats.norm(0, scale=1.0)).upper == 0.0
    assert closed.laws(stats.poisson(4), stats.poisson(mu=4), p=2).upper == 0.0
    assert closed.laws(stats.t(1.5), stats.t(1.5)).upper == 0.0


def test_equal_laws_under_two_names_are_not_called_0_without_proof() -> None:
    with pytest.warns(ConvergenceWarning, match="may be equal"):
        result = closed.laws(stats.expon(), stats.gamma(1), max_cells=2000)
    assert not result.converged
    assert 0.0 == result.lower <= result.value <= result.upper < 1e-2
    assert result.value < 1e-12


def test_limit_on_cells_is_kept_and_said() -> None:
    with pytest.warns(ConvergenceWarning, match="raise max_cells"):
        result = closed.laws(stats.norm(), stats.norm(0.5, 2), max_cells=500)
    assert result.info["cells"] <= 500
    assert result.lower <= closed.normal(0, 1, 0.5, 2).value <= result.upper


@pytest.mark.slow
def test_unbounded_tail_is_said() -> None:
    """An unknown family with moments beyond scipy's reach: the lower bound stands, upper is inf."""
    with pytest.warns(ConvergenceWarning, match="tails"):
        result = closed.laws(stats.skewnorm(3), stats.skewnorm(3, loc=1), p=6, rtol=1e-2)
    assert not result.converged and result.upper == math.inf
    assert 0.9 < result.lower <= 1.0


def test_moments_that_scipy_gets_wrong() -> None:
    """scipy 1.17 gives invweibull(0.9) the mean -9.7 on [0, inf); it is infinite."""
    assert closed.laws(stats.invweibull(0.9), stats.norm()).value == math.inf
    for shape in (1.3, 2.2):  # a finite kurtosis that is not there must not bound the tail
        holds(closed.laws(stats.invweibull(shape), stats.invweibull(shape, loc=1), rtol=1e-4), 1.0, 1e-4)

    class Wrong(stats.rv_continuous):
        def _ppf(self, q: Any, *args: Any) -> Any:
            return stats.invweibull.ppf(q, 0.9)

        def _stats(self, *args: Any, **kwds: Any) -> Any:
            return -9.7, 2.0, 0.0, 0.0

    with pytest.raises(InputError, match="moments"):
        closed.laws(Wrong(a=0)(), stats.norm())


def test_rounding_is_a_standstill_not_a_loop() -> None:
    with pytest.warns(ConvergenceWarning, match="relative width"):
        result = closed.laws(stats.norm(1e9, 1), stats.norm(1e9 + 1e-3, 1), rtol=1e-4)
    assert result.lower <= 1e-3 <= result.upper


def test_results_are_plain_and_named() -> None:
    result = closed.laws(stats.norm(), [0.0, 1.0], p=1.5)
    assert (result.name, result.method, result.n, result.m, result.d) == ("W1.5", "closed", 0, 2, 1)
    assert closed.dirac([[0, 1]], [0, 0], p=2).name == "W2"
    for entry in (result.value, result.lower, result.upper, *result.info.values()):
        assert type(entry) in (float, int)
    assert pickle.loads(pickle.dumps(result)).value == result.value


@pytest.mark.slow
def test_import_leaves_scipy_stats_alone() -> None:
    code = "import sys, otdist.closed; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- bad input ------------------------------------------------------------------------------------

nan, inf, one = math.nan, math.inf, np.eye(2)
BAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (closed.shift, ([nan, 1],), {}, "delta"),
    (closed.shift, ([],), {}, "delta"),
    (closed.shift, ([[1.0, 2.0]],), {}, "delta"),
    (closed.shift, ([1j],), {}, "delta"),
    (closed.shift, ("far",), {}, "delta"),
    (closed.shift, ([1.7e308, 1.7e308],), {}, "delta"),
    (closed.shift, (1.0,), {"p": 0.5}, "p"),
    (closed.shift, (1.0,), {"p": inf}, "p"),
    (closed.shift, (1.0,), {"p": nan}, "p"),
    (closed.shift, (1.0,), {"p": None}, "p"),
    (closed.normal, (0, 1, nan, 1), {}, "mean2"),
    (closed.normal, (0, -1, 0, 1), {}, "std1"),
    (closed.normal, (0, 1, 0, -1e-300), {}, "std2"),
    (closed.normal, (0, 1, 0, inf), {}, "std2"),
    (closed.normal, ([0, 1], 1, 0, 1), {}, "mean1"),
    (closed.normal, (0, 1 + 0j, 0, 1), {}, "std1"),
    (closed.normal, (0, 1, 0, 1), {"p": 3}, "p"),
    (closed.normal, (1.7e308, 1, -1.7e308, 1), {}, "mean1"),
    (closed.uniform, (1, 0, 0, 1), {}, "low1"),
    (closed.uniform, (0, 1, 3, 2), {}, "low2"),
    (closed.uniform, (0, inf, 0, 1), {}, "high1"),
    (closed.uniform, (0, 1, 0, 1), {"p": 0}, "p"),
    (closed.uniform, (-1.7e308, 1, 1.7e308, 1.7e308), {}, "low1"),
    (closed.exponential, (-1, 1), {}, "scale1"),
    (closed.exponential, (1, nan), {}, "scale2"),
    (closed.exponential, (1, 2), {"p": 2.0**60}, "p"),
    (closed.dirac, ([], 0), {}, "x"),
    (closed.dirac, ([1, nan], 0), {}, "x"),
    (closed.dirac, ([[[1.0]]], 0), {}, "x"),
    (closed.dirac, ([1, 2], [0, 0]), {}, "point"),
    (closed.dirac, ([1, 2], inf), {}, "point"),
    (closed.dirac, ([1, 2], 0, [1, -1]), {}, "a"),
    (closed.dirac, ([1, 2], 0, [1]), {}, "a"),
    (closed.dirac, ([1, 2], 0, [0, 0]), {}, "a"),
    (closed.dirac, ([1, 2], 0, [nan, 1]), {}, "a"),
    (closed.dirac, ([1, 2j], 0), {}, "x"),
    (closed.dirac, ([1.7e308], -1.7e308), {}, "x"),
    (closed.dirac, ([1, 2], 0), {"p": 0.99}, "p"),
    (closed.gaussian, ([0, 0], one, [0], one), {}, "mean2"),
    (closed.gaussian, ([0, 0], one, [0, 0], [1, 1]), {}, "cov2"),
    (closed.gaussian, ([0, 0], np.eye(3), [0, 0], one), {}, "cov1"),
    (closed.gaussian, ([0, 0], [[1, 0.1], [0, 1]], [0, 0], one), {}, "cov1"),
    (closed.gaussian, ([0, 0], one, [0, 0], [[1, 2], [2, 1]]), {}, "cov2"),
    (closed.gaussian, ([0, 0], one, [0, 0], [[1, 0], [0, -1e-9]]), {}, "cov2"),
    (closed.gaussian, ([0, 0], one, [0, 0], [[1, 0], [0, nan]]), {}, "cov2"),
    (closed.gaussian, ([0, 0], one * 1j, [0, 0], one), {}, "cov1"),
    (closed.gaussian, (0, 1, 0, -1), {}, "cov2"),
    (closed.gaussian, ([nan, 0], one, [0, 0], one), {}, "mean1"),
    (closed.laws, ([], stats.norm()), {}, "mu"),
    (closed.laws, ([1, nan], stats.norm()), {}, "mu"),
    (closed.laws, ([1, inf], [1]), {}, "mu"),
    (closed.laws, (stats.norm(), [[1.0, 2.0]]), {}, "nu"),
    (closed.laws, (stats.norm(), [1j]), {}, "nu"),
    (closed.laws, (stats.norm(), ([1, 2], [1, -1])), {}, "nu weights"),
    (closed.laws, (stats.norm(), ([1, 2], [1])), {}, "nu weights"),
    (closed.laws, (stats.norm(), ([1, 2], [0, 0])), {}, "nu weights"),
    (closed.laws, (stats.norm(), (1.0, 2.0, 3.0)), {}, "nu"),
    (closed.laws, (stats.norm(), (1.0, 2.0)), {}, "nu"),
    (closed.laws, (stats.norm, [1]), {}, "mu"),
    (closed.laws, (stats.norm(0, -1), [1]), {}, "mu"),
    (closed.laws, (stats.norm(nan, 1), [1]), {}, "mu"),
    (closed.laws, (stats.norm([0, 1], 1), [1]), {}, "mu"),
    (closed.laws, (stats.multivariate_normal([0, 0]), [1]), {}, "mu"),
    # Distributions of another kind, since scipy 1.15.
    *([(closed.laws, (stats.Normal(), [1]), {}, "mu")] if hasattr(stats, "Normal") else []),
    (closed.laws, (stats.gaussian_kde([1, 2, 3]), [1]), {}, "mu"),
    (closed.laws, (stats.poisson(-1), [1]), {}, "mu"),
    (closed.laws, (stats.poisson(1e12), [1]), {}, "mu"),
    (closed.laws, (stats.cauchy(), stats.cauchy(1)), {}, "mu, nu"),
    (closed.laws, (stats.cauchy(), stats.cauchy()), {}, "mu, nu"),
    (closed.laws, (stats.norm(), [1]), {"p": 0.5}, "p"),
    (closed.laws, (stats.norm(), [1]), {"p": inf}, "p"),
    (closed.laws, (stats.norm(), [1]), {"rtol": 0}, "rtol"),
    (closed.laws, (stats.norm(), [1]), {"rtol": nan}, "rtol"),
    (closed.laws, (stats.norm(), [1]), {"max_cells": 0}, "max_cells"),
    (closed.laws, (stats.norm(), [1]), {"max_cells": 2.5}, "max_cells"),
]


@pytest.mark.parametrize(("function", "arguments", "options", "name"), BAD)
def test_bad_input_is_named(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], name: str
) -> None:
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    assert caught.value.argument == name
    assert caught.value.problem and caught.value.remedy
