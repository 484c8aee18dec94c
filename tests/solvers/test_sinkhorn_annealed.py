"""Sinkhorn's iteration down to a gap that was asked for."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import instances
import numpy as np
import pytest

import otdist
from otdist.solvers import sinkhorn

TIMELY = {"max_iter": 400}


@pytest.mark.parametrize("shape", instances.SHAPES)
@pytest.mark.parametrize("weights", instances.WEIGHTS)
def test_the_interval_holds_the_exact_value(shape, weights, rng):
    for _ in range(2):
        n, m, d = rng.integers(2, 60), rng.integers(2, 60), rng.integers(2, 6)
        x, y = instances.points(rng, shape, n, d), instances.points(rng, shape, m, d)
        a, b = instances.weights(rng, weights, n), instances.weights(rng, weights, m)
        metric = str(rng.choice(instances.KERNELS))
        tol = float(rng.choice([0.0, 0.2, 0.03]))
        with instances.quiet():
            r = otdist.w1(x, y, a, b, metric=metric, method="sinkhorn", tol=tol, **TIMELY)
        exact = otdist.w1(x, y, a, b, metric=metric, method="dense")
        assert r.lower <= exact.upper and exact.lower <= r.upper, (str(r), str(exact))
        assert r.lower <= r.value <= r.upper
        assert r.converged == (r.gap <= (tol or 0.01))


@pytest.mark.parametrize("d", [2, 16])
def test_the_gap_is_reached(d, rng):
    x, y = rng.normal(size=(400, d)), rng.normal(size=(300, d)) + 0.3
    exact = otdist.w1(x, y).value
    for tol in (0.1, 0.01):
        r = otdist.w1(x, y, method="sinkhorn", tol=tol)
        assert r.converged and r.gap <= tol
        assert r.lower <= exact <= r.value <= exact / (1 - tol)
        plan = r.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), 1 / 400, rtol=1e-9)
        np.testing.assert_allclose(plan.sum(axis=0), 1 / 300, rtol=1e-9)


@pytest.mark.slow
def test_streamed_plans_are_as_good(rng):
    x, y = rng.normal(size=(1700, 2)), rng.normal(size=(1500, 2)) + 0.3  # more pairs than are written out
    r = otdist.w1(x, y, method="sinkhorn", tol=0.05)
    assert r.converged and r.lower <= otdist.w1(x, y).value <= r.upper


def test_samples_that_are_equal_have_distance_0(rng):
    x = rng.normal(size=(50, 3))
    r = otdist.w1(x, x[rng.permutation(50)], method="sinkhorn")
    assert r.value == r.lower == r.upper == 0.0 and r.converged


def test_common_points_cancel(rng):
    x = rng.normal(size=(60, 2))
    y = x.copy()
    y[7] += [3.0, 4.0]
    r = otdist.w1(x, y, method="sinkhorn", tol=1e-6)
    assert r.converged and r.value == pytest.approx(5 / 60, rel=1e-6)


@pytest.mark.slow
def test_other_metrics_and_orders(rng):
    x, y = rng.random((2, 80, 3)) + 0.1
    for p, metric in ((2, "euclidean"), (3, "cityblock"), (1, "angular")):
        with instances.quiet():
            r = otdist.wasserstein(x, y, p=p, metric=metric, method="sinkhorn", tol=0.02, **TIMELY)
        assert r.lower <= otdist.wasserstein(x, y, p=p, metric=metric).value <= r.upper
    cost = rng.random((30, 40))
    r = otdist.emd(cost, method="sinkhorn", max_iter=100_000)
    assert r.converged and r.lower <= otdist.emd(cost).value <= r.upper


def test_it_stops_where_it_is_told_and_says_so(rng):
    x, y = rng.normal(size=(2, 200, 2))
    exact = otdist.w1(x, y).value
    for options in ({"max_iter": 30}, {"max_seconds": 1e-3}):
        with pytest.warns(otdist.ConvergenceWarning, match="max_iter or max_seconds"):
            r = otdist.w1(x, y, method="sinkhorn", tol=1e-9, **options)
        assert not r.converged and r.lower <= exact <= r.upper


def test_progress_shows_the_gap(rng):
    said = []

    @contextmanager
    def heard(show, text):
        assert show
        yield said.append

    with mock.patch.object(sinkhorn, "display_progress", heard):
        r = otdist.w1(*rng.normal(size=(2, 100, 2)), method="sinkhorn", tol=0.03, progress=True)
    assert r.converged and said[-1] == f"gap {r.gap:.0e} at eps {r.info['eps']:.0e}"
