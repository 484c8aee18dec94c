"""Intervals on the way, goals, deadlines and interrupts."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from functools import partial

import instances
import numpy as np
import pytest

import otdist
from otdist.solvers.sparse.column_generation import ColumnGeneration
from otdist.solvers.sparse.multiscale import MultiscaleSolver

METRICS = ["euclidean", "cityblock", "chebyshev"]
W2 = partial(otdist.wasserstein, p=2)


@pytest.fixture
def proofs(monkeypatch):
    """Every proof for the finest level, as (lower, upper), in order."""
    seen = []
    keep = MultiscaleSolver._update_best

    def kept(self, certificate):
        best = keep(self, certificate)
        seen.append((best.lower, best.upper))
        return best

    monkeypatch.setattr(MultiscaleSolver, "_update_best", kept)
    return seen


def require_nested(seen, final, dense):
    """Assert that intervals hold the final value and never widen, up to the rounding of their sums."""
    slack = 1e-13 * final.upper
    for lower, upper in seen:
        assert lower - slack <= final.value <= upper + slack
        assert lower - slack <= dense.upper and dense.lower <= upper + slack
    for (low, high), (lower, upper) in itertools.pairwise(seen):
        assert lower >= low - slack and upper <= high + slack


class TestOnTheWay:
    @pytest.mark.slow
    @pytest.mark.parametrize("metric", METRICS)
    def test_intervals_only_get_narrower(self, proofs, metric):
        rng = np.random.default_rng(1)
        looks = 0
        for shape in ("normal", "clusters", "cauchy", "offset"):
            x, y = (instances.points(rng, shape, k, 2) for k in (300, 260))
            b = rng.random(260)
            proofs.clear()
            with instances.base(16):
                r = otdist.w1(x, y, None, b, metric=metric, method="sparse", max_seconds=1e6)
            assert r.converged
            require_nested(proofs, r, otdist.w1(x, y, None, b, metric=metric, method="dense"))
            assert proofs[-1][1] - proofs[-1][0] <= 1e-12 * proofs[-1][1] < proofs[0][1] - proofs[0][0]
            looks += len(proofs)
        assert looks >= 4 * 6  # one a level, and those of the last one

    @pytest.mark.slow
    def test_thousands_of_small_descents(self, proofs):
        rng = np.random.default_rng(2)
        total = 0
        for _ in range(150):
            n, m = rng.integers(3, 40, 2)
            x, y = (instances.points(rng, str(rng.choice(["normal", "cauchy"])), k, 2) for k in (n, m))
            a, b = rng.random(n), rng.random(m)
            proofs.clear()
            with instances.base(int(rng.choice([1, 2, 3]))):
                r = otdist.w1(x, y, a, b, method="sparse", max_seconds=1e6)
            assert r.converged
            require_nested(proofs, r, otdist.w1(x, y, a, b, method="dense"))
            total += len(proofs)
        assert total > 600

    def test_the_last_level_narrows_it_for_any_cost(self, proofs, rng):
        x, y = rng.normal(size=(2, 200, 2))
        r = W2(x, y, method="sparse")
        squared = W2(x, y, method="dense").value ** 2
        assert proofs and r.converged
        for lower, upper in proofs:
            assert lower <= squared * (1 + 1e-13) and squared <= upper * (1 + 1e-13)

    def test_every_round_adds_arcs_or_ends(self, monkeypatch, rng):
        counts = []
        priced = ColumnGeneration._price

        def noted(self, tol):
            found = priced(self, tol)
            counts.append((self, self.network.count, len(found[0])))
            return found

        monkeypatch.setattr(ColumnGeneration, "_price", noted)
        otdist.w1(*rng.normal(size=(2, 300, 3)), method="sparse")
        for (one, before, added), (two, after, _) in itertools.pairwise(counts):
            assert one is not two or after == before + added


class TestGoals:
    @pytest.mark.slow
    @pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-4, 1e-7])
    def test_a_gap_that_is_good_enough(self, tol):
        rng = np.random.default_rng(4)
        for metric in METRICS:
            for n, m in ((400, 350), (30, 200)):
                x, y, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + 0.1, rng.random(m)
                r = otdist.w1(x, y, None, b, metric=metric, method="sparse", tol=tol)
                truth = otdist.w1(x, y, None, b, metric=metric, method="dense")
                assert r.converged and r.gap <= tol and r.message == ""
                assert r.lower <= truth.upper and truth.lower <= r.upper

    @pytest.mark.parametrize("tol", [1e-2, 1e-4])
    def test_costs_that_are_no_metric(self, tol, rng):
        x, y = rng.normal(size=(300, 2)), rng.normal(size=(280, 2))
        for question in (W2, partial(otdist.wasserstein, p=3)):
            r, truth = (question(x, y, method=m, tol=tol) for m in ("sparse", "dense"))
            assert r.converged and r.gap <= tol
            assert r.lower <= truth.upper and truth.lower <= r.upper

    def test_a_wide_goal_is_reached_without_the_finest_level(self, rng):
        x, y = rng.normal(size=(2, 2000, 2)) + np.array([[[0.0]], [[3.0]]])
        r = otdist.w1(x, y, method="sparse", tol=0.2)
        assert r.converged and r.info["points"] < 2000
        assert r.gap > 1e-6  # and it did not do more than it had to
        plan, (f, g) = r.plan, r.potentials
        np.testing.assert_allclose(plan.sum(axis=0), 1 / 2000, rtol=1e-12)
        cost = np.linalg.norm(x[plan.coords[0]] - y[plan.coords[1]], axis=1)
        assert plan.data @ cost == pytest.approx(r.upper, rel=1e-12)
        assert f.mean() + g.mean() == pytest.approx(r.lower, rel=1e-9)
        assert np.abs(np.diff(r.critic(x))).max() <= np.linalg.norm(np.diff(x, axis=0), axis=1).max() + 1e-12

    @pytest.mark.slow
    def test_the_goal_holds_after_rounding(self, rng):
        for tol in 10.0 ** rng.uniform(-8, -1, 20):
            x, y = rng.normal(size=(2, 90, 2))
            assert otdist.w1(x, y, method="sparse", tol=float(tol)).gap <= tol


QUESTIONS = {
    **{metric: partial(otdist.w1, metric=metric) for metric in METRICS},
    "W2": W2,
    "W3": partial(otdist.wasserstein, p=3),
}


class TestDeadlines:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", QUESTIONS)
    @pytest.mark.parametrize("seconds", [1e-9, 0.02])
    def test_what_is_proved_by_then_is_returned(self, name, seconds):
        rng = np.random.default_rng(6)
        x, y = rng.normal(size=(900, 3)), rng.normal(size=(800, 3))
        ask = QUESTIONS[name]
        start = time.monotonic()
        with pytest.warns(otdist.ConvergenceWarning, match="max_seconds"):
            r = ask(x, y, method="sparse", max_seconds=seconds)
        assert time.monotonic() - start < 20  # generous: the test is not about speed
        truth = ask(x, y, method="dense")
        assert not r.converged and "max_seconds" in r.message
        assert 0 <= r.lower <= truth.lower and truth.upper <= r.upper < np.inf
        np.testing.assert_allclose(r.plan.sum(axis=1), 1 / 900, rtol=1e-12)

    @pytest.mark.slow
    def test_or_an_error_that_carries_it(self, rng):
        x, y = rng.normal(size=(2, 900, 3))
        with pytest.raises(otdist.ConvergenceError) as caught:
            otdist.w1(x, y, method="sparse", max_seconds=1e-9, on_fail="raise")
        result = caught.value.result
        assert result.lower <= otdist.w1(x, y, method="dense").value <= result.upper

    def test_a_goal_that_is_reached_in_time_is_no_failure(self, rng):
        x, y = rng.normal(size=(2, 300, 2))
        assert otdist.w1(x, y, method="sparse", max_seconds=1e-9, tol=0.999).converged
        for seconds in (60, float("inf")):
            r = otdist.w1(x, y, method="sparse", max_seconds=seconds)
            assert r.converged and r.value == pytest.approx(otdist.w1(x, y, method="dense").value, rel=1e-13)

    @pytest.mark.slow
    def test_any_moment_leaves_a_proved_interval(self, monkeypatch):
        # Time that passes with every look at the clock: each deadline stops it somewhere else.
        rng = np.random.default_rng(8)
        x, y, a = rng.normal(size=(150, 2)), rng.normal(size=(130, 2)), rng.random(150)
        truth = otdist.w1(x, y, a, method="dense")
        ticks = itertools.count()
        monkeypatch.setattr("otdist.runtime.deadline.time.monotonic", lambda: float(next(ticks)))
        gaps = []
        for limit in range(2, 60):
            ticks = itertools.count()
            with instances.base(8), instances.quiet():
                r = otdist.w1(x, y, a, method="sparse", max_seconds=float(limit))
            assert r.lower <= truth.upper and truth.lower <= r.upper
            assert r.converged == (r.gap <= 1e-9)
            gaps.append(r.gap)
        assert gaps[0] > 0.5 and len(set(np.round(gaps, 6))) > 4


CHILD = """
import sys, time, warnings
import numpy as np, otdist
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, int(sys.argv[1]), 2))
otdist.w1(x[:2000], y[:2000], method="sparse")  # compiles what is not compiled yet
print("started", flush=True)
start = time.monotonic()
r = otdist.w1(x, y, method="sparse", max_seconds=float(sys.argv[2]))
print(time.monotonic() - start, r.lower, r.upper, r.converged)
"""


def child(n, seconds):
    """Start a solve in another process; returns when it is at work."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(n), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "started\n"
    return process


unix = pytest.mark.skipif(sys.platform == "win32", reason="no signals to send")


class TestAnotherProcess:
    @unix
    @pytest.mark.alone
    @pytest.mark.parametrize("after", [0.5, 3.0])
    def test_an_interrupt_is_answered(self, after):
        process = child(60_000, 600)
        try:
            time.sleep(after)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            _, errors = process.communicate(timeout=60)
            took = time.monotonic() - sent
        finally:
            process.kill()
        assert errors.strip().endswith("KeyboardInterrupt")
        assert process.returncode != 0
        assert took < 5  # 2 s are promised; other processes may be at work

    @pytest.mark.slow
    @unix
    def test_an_interrupt_of_compiled_code_stays_one(self):
        # What numba wraps into arrays after a call may take the interrupt for an error of its own.
        from otdist.solvers.sparse.initial_plans import northwest_corner

        masses = np.ones((20, 2**20), np.int64)
        northwest_corner(masses[0, :2].copy(), masses[1, :2].copy())
        start = time.monotonic()
        northwest_corner(masses[0], masses[1])
        took = time.monotonic() - start
        old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            for k in range(2, 20, 2):  # the middle of a call may be missed when the machine is busy
                with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                    signal.setitimer(signal.ITIMER_REAL, took / 2)
                    northwest_corner(masses[k], masses[k + 1])
                    time.sleep(1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)

    @pytest.mark.alone
    def test_a_deadline_is_kept(self):
        process = child(60_000, 2)
        try:
            output, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        took, lower, upper, converged = output.split()
        assert converged == "False"
        assert 0 < float(lower) < float(upper)
        assert float(took) < 10  # 2 s are promised; other processes may be at work
