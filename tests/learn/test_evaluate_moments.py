"""Frechet and kernel distances and the Vendi score: against other formulas, closed cases, simulations."""

import numpy as np
import pytest
import scipy.linalg

from otdist import closed
from otdist.errors import InputError

torch = pytest.importorskip("torch")
from otdist.learn import frechet_distance, kernel_distance, median_distance, vendi_score  # noqa: E402


def by_square_roots(x, y):
    """The Frechet distance as it is usually computed."""
    a, b = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(a @ b)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root.real)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 5), (90, 400, 30)])
def test_frechet_is_the_formula_with_square_roots(n, m, d):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    y = rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 0.5
    assert frechet_distance(x, y) == pytest.approx(by_square_roots(x, y), rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y), rel=1e-12)


def test_frechet_is_the_square_of_w2_between_the_fits():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(40, 3)) * [1.0, 2.0, 0.0]  # one covariance is singular
    fits = (x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(closed.gaussian(*fits).value ** 2, rel=1e-10)


def test_frechet_with_fewer_rows_than_columns_is_said_and_still_right():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 30)), rng.normal(size=(9, 30)) + 1.0
    with pytest.warns(UserWarning, match="12 real and 9 fake rows in 30 columns"):
        value = frechet_distance(x, y)
    fits = (x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert value == pytest.approx(closed.gaussian(*fits).value ** 2, rel=1e-6)


def test_frechet_of_shifts_scales_and_offsets():
    x = np.random.default_rng(0).normal(size=(300, 4))
    step = np.array([0.0, 0.0, 3.0, 4.0])
    assert 0 <= frechet_distance(x, x) < 1e-25
    assert frechet_distance(x, x + step) == pytest.approx(25.0)
    assert frechet_distance(x + 1e8, x + 1e8 + step) == pytest.approx(25.0, rel=1e-6)
    assert frechet_distance(x, 3 * x) == pytest.approx(
        4 * np.cov(x.T).trace() + 4 * (x.mean(0) ** 2).sum(), rel=1e-10
    )


def mmd(x, y):
    """Unbiased MMD^2 from three whole matrices."""
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = ((u @ v.T / d + 1) ** 3 for u, v in ((x, x), (y, y), (x, y)))
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return sum(own) - 2 * xy.sum() / (n * m)


def test_kernel_distance_is_its_formula_and_its_error_a_jackknife():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(31, 5)), rng.normal(size=(23, 5)) + 0.4
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(mmd(x, y), rel=1e-11)
    less = [np.array([mmd(np.delete(x, i, 0), y) for i in range(31)])]
    less.append(np.array([mmd(x, np.delete(y, j, 0)) for j in range(23)]))
    variance = sum((len(v) - 1) * v.var() for v in less)
    assert found.stderr == pytest.approx(variance**0.5, rel=1e-9)


@pytest.mark.parametrize(("shift", "low", "high"), [(2.0, 0.9, 1.1), (0.0, 0.95, 1.6)])
def test_kernel_distance_is_unbiased_and_knows_its_error(shift, low, high):
    rng = np.random.default_rng(1)
    found = [
        kernel_distance(rng.normal(size=(80, 3)), rng.normal(size=(60, 3)) + shift / 3**0.5)
        for _ in range(300)
    ]
    values = np.array([one.value for one in found])
    spread = values.std(ddof=1)
    errors = np.mean([one.stderr**2 for one in found]) ** 0.5
    assert low < errors / spread < high
    # E k(x, y) for normal laws with means u, v: with s = (x.y)/3, moments of x.y.
    truth = 0.0 if shift == 0 else _normal_mmd(shift**2, 3)
    assert abs(values.mean() - truth) < 4 * spread / 300**0.5


def _normal_mmd(square, d):
    """MMD^2 of N(0, I) and N(v, I), |v|^2 = square: by the moments of x.y, up to the third."""

    def expected(u, v, dot):
        # x.y for independent x ~ N(a, I), y ~ N(b, I); u = |a|^2, v = |b|^2, dot = a.b
        one, two = dot, dot**2 + u + v + d
        three = dot**3 + 3 * dot * (u + v + d) + 6 * dot
        return three / d**3 + 3 * two / d**2 + 3 * one / d + 1

    return expected(0, 0, 0) + expected(square, square, square) - 2 * expected(0, square, 0)


def test_vendi_counts_equal_groups_that_are_unlike():
    corners = np.eye(5)
    assert vendi_score(np.repeat(corners, 7, axis=0), "cosine") == pytest.approx(5)
    assert vendi_score(np.repeat(100 * corners, 7, axis=0), bandwidth=1.0) == pytest.approx(5)
    assert vendi_score(np.repeat(corners, 7, axis=0), bandwidth=0.0) == pytest.approx(5)
    assert vendi_score(np.ones((6, 2))) == pytest.approx(1)
    assert vendi_score([[3.0, 1.0]]) == pytest.approx(1)
    uneven = np.repeat(corners[:2], [3, 1], axis=0)
    shares = np.array([0.75, 0.25])
    assert vendi_score(uneven, "cosine") == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_vendi_of_two_points_is_a_closed_form():
    x = np.array([[0.0, 0.0], [1.0, 1.0]])
    k = np.exp(-2 / (2 * 0.7**2))
    shares = np.array([1 + k, 1 - k]) / 2
    assert vendi_score(x, bandwidth=0.7) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert median_distance(x) == pytest.approx(2**0.5)


@pytest.mark.parametrize(("n", "d"), [(40, 3), (12, 30)])
def test_vendi_by_cosines_of_n_rows_or_of_d_columns(n, d):
    x = np.random.default_rng(n).normal(size=(n, d))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    values = scipy.linalg.eigvalsh(unit @ unit.T / n)
    values = values[values > 1e-14]
    assert vendi_score(x, "cosine") == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)


def test_vendi_with_the_bandwidth_of_real_rows_sees_a_collapse_that_its_own_hides():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 2))
    width = median_distance(real)
    assert vendi_score(0.01 * real, bandwidth=width) < 1.01 < vendi_score(real, bandwidth=width)
    assert vendi_score(0.01 * real) == pytest.approx(vendi_score(real))


def test_median_distance_is_the_median():
    x = np.random.default_rng(0).normal(size=(51, 4)) * 1e-6 + 3.0
    from scipy.spatial.distance import pdist

    assert median_distance(x) == pytest.approx(np.median(pdist(x)), rel=1e-9)
    assert median_distance(np.repeat([[0.1, 0.7], [0.2, 0.4]], [50, 2], axis=0)) == 0.0


def test_options_that_are_none():
    with pytest.raises(InputError, match="kernel"):
        vendi_score(np.eye(3), "linear")
    with pytest.raises(InputError, match="bandwidth"):
        vendi_score(np.eye(3), bandwidth=-1.0)
    with pytest.raises(InputError, match="row 1 is zero"):
        vendi_score(np.array([[1.0, 0.0], [0.0, 0.0]]), "cosine")
    with pytest.raises(InputError, match="max_rows"):
        vendi_score(np.eye(3), max_rows=0)
