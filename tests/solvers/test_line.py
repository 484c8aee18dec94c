"""The line and the circle at sizes where threads and buffers take part."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import otdist


@pytest.fixture
def many(rng):
    x, y = rng.normal(size=250_000), rng.normal(0.1, 2, size=230_000)
    return x, y, rng.random(250_000), rng.random(230_000)


@pytest.mark.slow
def test_large_weighted_samples_agree_with_scipy(many):
    x, y, a, b = many
    r = otdist.w1(x, y, a, b)
    assert r.value == pytest.approx(wasserstein_distance(x, y, a, b), rel=1e-9)
    assert r.lower <= r.value <= r.upper and r.gap < 1e-9


def test_large_equal_samples_agree_with_scipy(many):
    x, y, _, _ = many
    assert otdist.w1(x[: len(y)], y).value == pytest.approx(wasserstein_distance(x[: len(y)], y), rel=1e-12)


@pytest.mark.slow
def test_a_large_sample_is_at_distance_zero_of_its_permutation(many, rng):
    x, _, a, _ = many
    order = rng.permutation(len(x))
    assert otdist.w1(x, x[order]).value == 0.0
    assert otdist.w1(x, x[order], a, a[order]).value == 0.0


def test_a_large_batch_agrees_with_single_calls(rng):
    x, y = rng.normal(size=(4000, 60)), rng.normal(size=(4000, 60))
    batch = otdist.wasserstein_1d(x, y, p=2)
    for k in (0, 1999, 2000, 3999):
        assert batch[k] == pytest.approx(otdist.wasserstein(x[k], y[k], p=2).value, rel=1e-13)


@pytest.mark.slow
def test_one_missing_value_in_a_large_batch_is_found(rng):
    x, y = rng.normal(size=(4000, 60)), rng.normal(size=(4000, 60))
    x[3210, 7] = np.nan
    with pytest.raises(otdist.InputError, match=r"\(3210, 7\)"):
        otdist.wasserstein_1d(x, y)
    holed = otdist.wasserstein_1d(x, y, nan_policy="propagate")
    assert np.flatnonzero(np.isnan(holed)).tolist() == [3210]
    omitted = otdist.wasserstein_1d(x, y, nan_policy="omit")
    assert omitted[3210] == pytest.approx(wasserstein_distance(np.delete(x[3210], 7), y[3210]), rel=1e-12)


def test_the_plan_of_a_large_problem_is_sparse_and_has_its_marginals(many):
    x, y, a, b = many
    plan = otdist.w1(x, y, a, b).plan
    assert plan.nnz < len(x) + len(y)
    np.testing.assert_allclose(plan.sum(axis=1), a / a.sum(), atol=1e-14)


def test_eight_threads_at_once_get_the_answers_of_one(rng):
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(50, 2))
    z = rng.normal(size=150_000)
    expected = otdist.w1(x, y).value, otdist.w1(z, z + 1).value
    answers = []

    def ask():
        answers.append((otdist.w1(x, y).value, otdist.w1(z, z + 1).value))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 8
