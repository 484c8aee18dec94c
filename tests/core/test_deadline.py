"""Deadlines: work over all pairs stops between two blocks, and what is answered then is proved."""

from __future__ import annotations

import itertools
import time
from functools import partial

import instances
import numpy as np
import pytest

import otdist
from otdist import metrics
from otdist.problem import Problem
from otdist.runtime import parallel
from otdist.runtime.deadline import NO_DEADLINE, Deadline, OutOfTimeError, active_deadline, check_deadline
from otdist.solvers.distance_blocks import all_distances
from otdist.solvers.merge import MergedProblem
from otdist.solvers.quick import Sides, mean_cost_bound, quick_result


def sum_of_coordinates(u, v):
    return float(np.abs(u - v).sum())


COSTS = {
    "euclidean": ("euclidean", 1.0),
    "W2": ("euclidean", 2.0),
    "W3": ("euclidean", 3.0),
    "sqeuclidean": ("sqeuclidean", 1.0),
    "cityblock": ("cityblock", 1.0),
    "chebyshev": ("chebyshev", 1.5),
    "minkowski": (metrics.minkowski(3), 1.0),
    "angular": ("angular", 1.0),
    "cosine": ("cosine", 1.0),
    "periodic": (metrics.periodic([7.0, 7.0, None]), 2.0),
    "gower": ("gower", 1.0),
    "callable": (sum_of_coordinates, 1.0),
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second with every look at it."""
    ticks = itertools.count()
    monkeypatch.setattr("otdist.runtime.deadline.time.monotonic", lambda: float(next(ticks)))
    return ticks


class TestDeadline:
    def test_without_an_end_it_is_never_over(self):
        assert (
            not NO_DEADLINE.is_finite
            and NO_DEADLINE.seconds_left == np.inf
            and not NO_DEADLINE.is_over(1e300)
        )
        with NO_DEADLINE.enforce(grace=True):
            check_deadline()

    def test_it_counts_the_time_that_is_asked_for(self, clock):
        deadline = Deadline(5)  # now 0
        assert [deadline.is_over() for _ in range(6)] == [False] * 5 + [True]  # at 1 to 6
        assert deadline.seconds_left == -2  # at 7

    def test_time_for_something_else_is_left(self, clock):
        assert not Deadline(10).is_over(8) and Deadline(10).is_over(9.5)
        assert Deadline(10).earlier_by(7).seconds_left < 3

    def test_the_innermost_block_counts(self):
        early, late = Deadline(1e-9), Deadline(100)
        with early.enforce():
            with pytest.raises(OutOfTimeError):
                check_deadline()
            with late.enforce():
                check_deadline()
            with early.enforce(grace=True):
                assert active_deadline() == early.at + early.grace
        check_deadline()  # nothing of it stays behind


@pytest.mark.parametrize("cores", [1, 4])
def test_a_pass_stops_between_two_blocks(cores, clock, monkeypatch):
    monkeypatch.setattr(parallel, "_cores", lambda: cores)
    done = []
    with pytest.raises(OutOfTimeError), Deadline(10).enforce():
        parallel.run_in_parts(lambda first, last: done.append(first), 10_000, 10)
    assert 0 < len(done) <= 10


@pytest.mark.parametrize("cores", [1, 4])
def test_without_a_deadline_a_pass_is_whole(cores, monkeypatch):
    monkeypatch.setattr(parallel, "_cores", lambda: cores)
    done = []
    parallel.run_in_parts(lambda first, last: done.extend(range(first, last)), 10_000, 10)
    assert sorted(done) == list(range(10_000))


@pytest.mark.parametrize("name", COSTS)
def test_a_cost_matrix_in_blocks_is_the_same_matrix(name, rng):
    metric, p = COSTS[name]
    for n, m in ((130, 70), (40, 300), (3, 1000)):  # a first block holds some rows, or part of one
        problem = Problem.of(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), metric=metric, p=p)
        with Deadline(1e6).enforce():
            found = all_distances(problem, problem.x, problem.y)
        np.testing.assert_array_equal(found, problem.metric.matrix(problem.x, problem.y))


def test_a_cost_matrix_ends_by_the_deadline(clock, rng):
    asked = []

    def slow(u, v):
        asked.append(1)
        time.monotonic()
        return 1.0

    problem = Problem.of(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)), metric=slow)
    with pytest.raises(OutOfTimeError), Deadline(500).enforce():
        all_distances(problem, problem.x, problem.y)
    assert 0 < len(asked) < 1000  # of 40,000


class TestQuickInterval:
    @pytest.mark.parametrize("weights", [False, True])
    @pytest.mark.parametrize("name", COSTS)
    def test_it_holds_the_exact_answer(self, name, weights, rng):
        metric, p = COSTS[name]
        for shift in (0.0, 0.3, 30.0):
            x, y = rng.normal(size=(60, 3)), rng.normal(size=(50 if weights else 60, 3)) + shift
            a, b = (rng.random(60) ** 5, rng.random(50)) if weights else (None, None)
            truth = otdist.wasserstein(x, y, a, b, metric=metric, p=p, method="dense")
            found = quick_result(
                MergedProblem.of(Problem.of(x, y, a, b, metric=metric, p=p)).rescale(), "dense", "late"
            )
            assert found.lower <= truth.lower and truth.upper <= found.upper < np.inf
            assert not found.converged and found.message == "late"

    @pytest.mark.parametrize("name", ["euclidean", "W2", "minkowski", "periodic", "angular"])
    def test_plan_and_potentials_prove_it(self, name, rng):
        metric, p = COSTS[name]
        x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 0.5
        problem = Problem.of(x, y, metric=metric, p=p)
        found = quick_result(MergedProblem.of(problem).rescale(), "dense", "late")
        cost = problem.costs(problem.x, problem.y)
        f, g = found.potentials
        assert (f[:, None] + g <= cost).all()
        assert f.mean() + g.mean() == pytest.approx(found.lower**p, rel=1e-9)
        plan = found.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), 1 / 40, rtol=1e-9)
        np.testing.assert_allclose(plan.sum(axis=0), 1 / 30, rtol=1e-9)
        assert (plan * cost).sum() == pytest.approx(found.upper**p, rel=1e-9)

    def test_of_two_clouds_far_apart_it_is_narrow(self, rng):
        x, y = rng.normal(size=(500, 3)), rng.normal(size=(400, 3)) + 1e3
        for p in (1, 2):
            found = quick_result(MergedProblem.of(Problem.of(x, y, p=p)).rescale(), "dense", "late")
            assert found.gap < 1e-4

    @pytest.mark.parametrize("name", [name for name in COSTS if name not in ("cosine", "callable")])
    def test_the_mean_cost_is_bounded(self, name, rng):
        metric, p = COSTS[name]
        for shift in (0.0, 3.0):
            problem = Problem.of(
                rng.normal(size=(50, 3)), rng.normal(size=(40, 3)) + shift, metric=metric, p=p
            )
            sides = Sides(problem, problem.x, problem.y, problem.a, problem.b)
            mean = problem.costs(problem.x, problem.y).mean()
            assert mean <= mean_cost_bound(sides) < 10 * mean


def ask(solve, seconds, **options):
    with pytest.warns(otdist.ConvergenceWarning, match="max_seconds") as caught:
        result = solve(max_seconds=seconds, **options)
    assert len(caught) == 1
    assert not result.converged and "max_seconds" in result.message
    return result


class TestAnyMethod:
    """Whatever is stopped, and however early, the interval holds the exact answer."""

    @pytest.mark.slow
    @pytest.mark.parametrize("seconds", [1e-9, 0.01])
    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    @pytest.mark.parametrize("name", ["euclidean", "W2", "minkowski", "cosine", "callable"])
    def test_distances(self, name, method, seconds, rng):
        metric, p = COSTS[name]
        x, y = rng.normal(size=(600, 3)), rng.normal(size=(500, 3)) + 0.2
        exact = otdist.wasserstein(x, y, p=p, metric=metric, method="dense")
        options = {"eps": 1e-3} if method == "sinkhorn" else {}
        found = ask(partial(otdist.wasserstein, x, y, p=p, metric=metric, method=method, **options), seconds)
        assert 0 <= found.lower <= exact.lower and exact.upper <= found.upper < np.inf
        np.testing.assert_allclose(found.plan.sum(axis=1), 1 / 600, rtol=1e-6)

    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    def test_a_cost_matrix(self, method, rng):
        cost = rng.random((700, 600))
        exact = otdist.emd(cost, method="dense")
        found = ask(partial(otdist.emd, cost, method=method), 1e-9)
        assert found.lower <= exact.lower and exact.upper <= found.upper <= 1.0

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    @pytest.mark.parametrize("metric", ["euclidean", metrics.minkowski(3)])
    def test_unbalanced(self, metric, penalty, rng):
        x, y, a, b = (
            rng.normal(size=(300, 2)),
            rng.normal(size=(200, 2)) + 1,
            rng.random(300),
            rng.random(200),
        )
        solve = partial(otdist.unbalanced_w1, x, y, a, b, reach=1.0, metric=metric, penalty=penalty)
        exact = solve(tol=1e-3) if penalty == "kl" else solve()
        found = ask(solve, 1e-9)
        assert 0 <= found.lower <= exact.upper and exact.lower <= found.upper
        assert (found.plan.sum(axis=1) <= a * (1 + 1e-9)).all() or penalty == "kl"

    def test_partial(self, rng):
        x, y = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) + 1
        solve = partial(otdist.partial_w1, x, y, metric=metrics.minkowski(3))
        exact, found = solve(), ask(solve, 1e-9)
        assert 0 <= found.lower <= exact.lower and exact.upper <= found.upper
        assert found.plan.sum() == pytest.approx(exact.plan.sum(), rel=1e-9)

    @pytest.mark.slow
    @pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", metrics.minkowski(3)])
    @pytest.mark.parametrize("reach", [None, 1.0])
    def test_divergence(self, metric, reach, rng):
        x, y = rng.normal(size=(400, 2)), rng.normal(size=(300, 2)) + 1
        for debias in (True, False):
            solve = partial(otdist.sinkhorn_divergence, x, y, metric=metric, reach=reach, debias=debias)
            exact, found = solve(), ask(solve, 1e-9)
            assert found.lower <= exact.lower and exact.upper <= found.upper < np.inf

    @pytest.mark.slow
    def test_more_time_is_a_narrower_interval(self, rng):
        x, y = rng.normal(size=(1500, 8)), rng.normal(size=(1500, 8)) + 0.3
        solve = partial(otdist.wasserstein, x, y, p=2, method="sparse")
        assert solve(max_seconds=60).converged
        assert ask(solve, 1e-9).gap > 1e-2


class TestEveryMoment:
    """A clock that goes on with every look stops each run somewhere else."""

    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    @pytest.mark.parametrize("name", ["euclidean", "W2", "minkowski"])
    def test_leaves_a_proved_interval(self, name, method, rng, monkeypatch):
        metric, p = COSTS[name]
        x, y = rng.normal(size=(150, 2)), rng.normal(size=(130, 2))
        exact = otdist.wasserstein(x, y, p=p, metric=metric, method="dense")
        stopped = 0
        for limit in (2, 5, 9, 14, 20, 30, 50, 80, 120, 200, 400):
            ticks = itertools.count()
            with monkeypatch.context() as patch, instances.quiet():
                patch.setattr(
                    "otdist.runtime.deadline.time.monotonic", lambda ticks=ticks: float(next(ticks))
                )
                found = otdist.wasserstein(x, y, p=p, metric=metric, method=method, max_seconds=limit)
            stopped += not found.converged
            assert found.lower <= exact.upper and exact.lower <= found.upper < np.inf
        assert stopped > 1
