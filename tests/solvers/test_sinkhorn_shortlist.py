"""Entropic transport on a shortlist of pairs: sums on it, and what it proves for all pairs."""

from __future__ import annotations

import time
from unittest import mock

import instances
import numpy as np
import pytest

import otdist
from otdist.runtime.deadline import Deadline
from otdist.solvers.entropic.iteration import SinkhornState
from otdist.solvers.entropic.shortlist import Shortlist
from otdist.solvers.sinkhorn import annealing, exact_finish, truncated

POWERS = 5e-7  # relative error of a sum of float32 powers


def listed(rng, n, m, share):
    """A cost matrix, some of its entries as a list, and the matrix with all others infinite."""
    cost = rng.random((n, m))
    kept = rng.random((n, m)) < share
    kept[:, 0] = kept[0, :] = True
    rows, cols = np.nonzero(kept)
    return cost, Shortlist((rows, cols, cost[rows, cols]), (n, m)), np.where(kept, cost, np.inf)


def test_sums_are_those_of_a_matrix(rng):
    _, shortlist, matrix = listed(rng, 30, 20, 0.3)
    for eps in (1.0, 1e-2, 1e-6):
        for flip, cost in ((False, matrix), (True, matrix.T)):
            potential, log_mass = rng.normal(size=(2, cost.shape[1]))
            terms = log_mass + (potential - cost) / eps
            top = terms.max(axis=1)
            expected = -eps * (top + np.log(np.exp(terms - top[:, None]).sum(axis=1)))
            found = shortlist.softmin(potential, log_mass, eps, flip)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=POWERS * eps + 1e-12)
            np.testing.assert_array_equal(
                shortlist.c_transform(potential, flip), (cost - potential).min(axis=1)
            )


def test_pairs_join_once(rng):
    cost, shortlist, matrix = listed(rng, 15, 25, 0.2)
    rows, cols = rng.integers(0, 15, 40), rng.integers(0, 25, 40)
    more = shortlist.merge((rows, cols, cost[rows, cols]))
    matrix[rows, cols] = cost[rows, cols]
    np.testing.assert_array_equal(np.stack([more.rows, more.cols]), np.stack(np.nonzero(matrix < np.inf)))
    np.testing.assert_array_equal(more.cost, matrix[more.rows, more.cols])
    a, b = np.full(15, 1 / 15), np.full(25, 1 / 25)
    state = SinkhornState(np.zeros(15), rng.random(25), 0.1)
    state.f = more.softmin(state.g, np.log(b), 0.1)
    np.testing.assert_allclose(np.bincount(more.rows, more.plan_masses(state, a, b)), a, rtol=POWERS)


@pytest.mark.parametrize("shape", instances.SHAPES)
@pytest.mark.parametrize("weights", instances.WEIGHTS)
def test_the_interval_holds_the_exact_value(shape, weights, rng):
    for base in (4, 16, 64):
        n, m, d = rng.integers(2, 150), rng.integers(2, 150), rng.integers(2, 9)
        x, y = instances.points(rng, shape, n, d), instances.points(rng, shape, m, d)
        a, b = instances.weights(rng, weights, n), instances.weights(rng, weights, m)
        metric = str(rng.choice(instances.KERNELS))
        tol = float(rng.choice([0.2, 0.03, 0.003]))
        with instances.quiet(), instances.base(base):
            r = otdist.w1(x, y, a, b, metric=metric, method="sinkhorn", tol=tol, max_iter=300)
        exact = otdist.w1(x, y, a, b, metric=metric, method="dense")
        assert r.lower <= exact.upper and exact.lower <= r.upper, (str(r), str(exact))
        assert r.lower <= r.value <= r.upper
        assert r.converged == (r.gap <= tol)
        np.testing.assert_allclose(r.plan.sum(axis=1), a / a.sum(), rtol=0, atol=1e-11)
        np.testing.assert_allclose(r.plan.sum(axis=0), b / b.sum(), rtol=0, atol=1e-11)
        assert (r.plan.data >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 4, 16])
def test_the_gap_is_reached_on_few_pairs(d, rng):
    x, y = rng.normal(size=(700, d)), rng.normal(size=(900, d)) + 0.3
    a, b = rng.random(700) + 0.1, rng.random(900) + 0.1
    exact = otdist.w1(x, y, a, b).value
    for tol in (0.03, 0.003):
        r = otdist.w1(x, y, a, b, method="sinkhorn", tol=tol)
        assert r.converged and r.gap <= tol
        assert r.lower <= exact <= r.value <= exact / (1 - tol)
        assert 0 < r.info["eps"] < tol and 0 < r.info["residual"] < 0.2
        assert d < 16 or "pivots" not in r.info
        if "pivots" not in r.info:
            assert r.info["pairs"] < 0.2 * 700 * 900 and r.plan.nnz < 2 * r.info["pairs"]


def test_potentials_are_feasible_for_all_pairs(rng):
    x, y = rng.normal(size=(200, 5)), rng.normal(size=(150, 5)) + 0.3
    r = otdist.w1(x, y, method="sinkhorn", tol=0.01)
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    f, g = r.potentials
    assert (f[:, None] + g <= cost + 1e-12).all()
    assert f.mean() + g.mean() == pytest.approx(r.lower, rel=1e-9)
    slopes = np.abs(r.critic(x)[:, None] - r.critic(y)) / cost
    assert slopes.max() <= 1 + 1e-9


def test_the_gradient_is_that_of_the_plan(rng):
    torch = pytest.importorskip("torch")
    points = rng.normal(size=(2, 120, 4))
    x, y = (torch.tensor(side, requires_grad=True) for side in points)
    r = otdist.w1(x, y, method="sinkhorn", tol=0.02)
    r.value.backward()
    assert "pairs" in r.info
    apart = points[0][:, None] - points[1]
    pull = np.asarray(r.plan.toarray())[..., None] * apart / np.linalg.norm(apart, axis=2, keepdims=True)
    np.testing.assert_allclose(x.grad.numpy(), pull.sum(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(y.grad.numpy(), -pull.sum(axis=0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("many", [130, 5000])
@pytest.mark.parametrize("d", [2, 6])
def test_the_exact_solver_closes_what_is_left_of_the_gap(many, d, rng):
    """From entropic potentials, or in the plane from copies; with masses that do and do not differ."""
    x, y = rng.normal(size=(170, d)), rng.normal(size=(150, d)) + 0.1
    for n, weights in ((150, None), (170, rng.random(170) + 0.1)):
        exact = otdist.w1(x[:n], y, weights, method="dense")
        with (
            mock.patch.object(truncated, "SHORTLIST_SCHEDULES", ((0.5, 1.0),)),
            mock.patch.object(annealing, "MAX_POINTS_PLANAR", many),
        ):
            r = otdist.w1(x[:n], y, weights, method="sinkhorn", tol=1e-6)
        assert r.converged and r.gap <= 1e-6 and r.info["pivots"] > 0 and "pairs" not in r.info
        assert r.lower <= exact.value <= r.upper and r.value == pytest.approx(exact.value, rel=1e-6)
        shares = np.ones(n) / n if weights is None else weights / weights.sum()
        np.testing.assert_allclose(r.plan.sum(axis=1), shares, rtol=1e-9)
        np.testing.assert_allclose(r.plan.sum(axis=0), 1 / 150, rtol=1e-9)
        f, g = r.potentials
        assert (f[:, None] + g <= np.linalg.norm(x[:n, None] - y, axis=2) + 1e-12).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "tol"), [(3000, 2500, 0.1), (2100, 100, 0.02), (2500, 2500, 1e-3)])
def test_many_points_in_the_plane_start_from_a_copy(n, m, tol, rng):
    x, y, weights = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.1, rng.random(n) + 0.1
    exact = otdist.w1(x, y, weights)
    r = otdist.w1(x, y, weights, method="sinkhorn", tol=tol)
    assert r.converged and r.gap <= tol and 0 < r.info["residual"] < 0.1
    assert r.lower <= exact.value * (1 + 1e-12) and exact.value <= r.upper * (1 + 1e-12)
    np.testing.assert_allclose(r.plan.sum(axis=1), weights / weights.sum(), rtol=1e-9)


def test_a_deadline_in_the_exact_part_leaves_an_interval(rng):
    x, y = rng.normal(size=(2, 400, 2))
    exact = otdist.w1(x, y).value
    for many, name in ((130, "finish_from_copy"), (5000, "finish_exactly")):
        ended = getattr(exact_finish, name)
        with (
            mock.patch.object(annealing, "MAX_POINTS_PLANAR", many),
            mock.patch.object(annealing, name, lambda *a, ended=ended: ended(*a[:3], Deadline(1e-9), a[4])),
            pytest.warns(otdist.ConvergenceWarning, match="The gap is"),
        ):
            r = otdist.w1(x, y, method="sinkhorn", tol=1e-9)
        assert not r.converged and 0 <= r.lower <= exact <= r.upper < 2 * exact


def test_a_gap_that_is_reached_needs_no_exact_solver(rng):
    x, y = rng.normal(size=(2, 300, 8))
    with mock.patch.object(annealing, "finish_exactly", side_effect=AssertionError):
        assert otdist.w1(x, y, method="sinkhorn", tol=0.01).converged


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 8])
def test_a_deadline_on_the_way_leaves_an_interval(d, rng):
    x, y = rng.normal(size=(1500, d)), rng.normal(size=(1300, d)) + 0.3
    otdist.w1(x, y, method="sinkhorn", tol=0.1)  # compiled
    exact = otdist.w1(x, y, method="sparse").value
    with pytest.warns(otdist.ConvergenceWarning):
        quick = otdist.w1(x, y, method="sinkhorn", tol=1e-7, max_seconds=1e-9)
    for seconds in (1e-3, 0.05):
        start = time.monotonic()
        with pytest.warns(otdist.ConvergenceWarning, match="max_iter or max_seconds"):
            r = otdist.w1(x, y, method="sinkhorn", tol=1e-7, max_seconds=seconds)
        assert time.monotonic() - start < 5  # a generous machine's share of what cannot be interrupted
        assert not r.converged and 0 < r.lower <= exact <= r.upper <= quick.upper < 2 * exact


def test_iterations_are_limited(rng):
    x, y = rng.normal(size=(2, 400, 8))
    exact = otdist.w1(x, y).value
    for options, most in (({"tol": 1e-7}, 7 + 2 * truncated.PLAIN_UPDATES), ({"eps": 1e-4}, 7 + 2)):
        with pytest.warns(otdist.ConvergenceWarning, match="max_iter or max_seconds"):
            r = otdist.w1(x, y, method="sinkhorn", max_iter=7, **options)
        assert not r.converged and 7 <= r.info["iterations"] <= most
        assert r.lower <= exact <= r.upper
