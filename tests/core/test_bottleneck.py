"""W_p for p = infinity: the bottleneck distance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import strategies as s
from hypothesis import given
from scipy.spatial.distance import cdist

import otdist
from otdist.metrics import minkowski, mixed, periodic
from otdist.solvers.bottleneck import largest_flow, require_hall_violation


def winf(x, y, a=None, b=None, **options):
    return otdist.wasserstein(x, y, a, b, p=math.inf, **options)


def best_permutation(distance):
    n = len(distance)
    return min(max(distance[i, order[i]] for i in range(n)) for order in itertools.permutations(range(n)))


@given(s.clouds(samples=2, max_size=6))
def test_equal_samples_match_all_permutations(clouds):
    x, y = clouds
    n = min(len(x), len(y))
    x, y = x[:n], y[:n]
    r = winf(x, y, np.ones(n), np.ones(n))
    truth = best_permutation(cdist(x, y))
    assert r.lower <= truth <= r.upper and r.converged
    assert r.value == pytest.approx(truth, rel=1e-14)


@given(s.clouds(samples=2, max_size=4))
def test_counts_are_repeated_points(clouds):
    x, y = clouds
    a, b = np.arange(1, len(x) + 1), np.arange(1, len(y) + 1)[::-1]
    total = math.lcm(int(a.sum()), int(b.sum()))
    left, right = np.repeat(x, a * (total // a.sum()), axis=0), np.repeat(y, b * (total // b.sum()), axis=0)
    ones = np.ones(total)
    assert winf(x, y, a, b).value == winf(left, right, ones, ones).value


@given(s.clouds(d=1, samples=2))
def test_the_line_is_the_plane_with_a_constant(clouds):
    x, y = clouds
    in_plane = winf(np.c_[x, np.zeros(len(x))], np.c_[y, np.zeros(len(y))], np.ones(len(x)), np.ones(len(y)))
    assert winf(x[:, 0], y[:, 0]).value == pytest.approx(in_plane.value, rel=1e-14, abs=1e-300)


@given(s.clouds(samples=2))
def test_it_is_the_limit_of_large_orders(clouds):
    x, y = clouds
    ones = np.ones(len(x)), np.ones(len(y))
    limit = winf(x, y, *ones)
    for p in (1, 4, 60):
        assert otdist.wasserstein(x, y, *ones, p=p).lower <= limit.upper
    # The least mass of a cell, 1 / (n m), to the power 1/60 is at least 0.8 here.
    high = otdist.wasserstein(x, y, *ones, p=60).upper * (len(x) * len(y)) ** (1 / 60)
    assert limit.lower <= high * (1 + 1e-12)


@given(s.clouds(samples=3))
def test_axioms(clouds):
    x, y, z = clouds
    w = [np.ones(len(points)) for points in clouds]
    assert winf(x, x, w[0], w[0]).value == 0
    forth, back = winf(x, y, w[0], w[1]), winf(y, x, w[1], w[0])
    assert forth.value == back.value
    assert forth.value <= winf(x, z, w[0], w[2]).value + winf(z, y, w[2], w[1]).value + s.tolerance(x, y, z)
    assert winf(4 * x, 4 * y, w[0], w[1]).value == 4 * forth.value


@pytest.mark.parametrize(
    "metric", ["cityblock", "chebyshev", "angular", minkowski(3), mixed([1.0, 2.0]), periodic([2.0, None])]
)
def test_any_metric(rng, metric):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    r = winf(x, y, metric=metric)
    rows, cols = r.plan.coords
    plan = r.plan.toarray()
    assert plan.sum(axis=0) == pytest.approx(1 / 30) and plan.sum(axis=1) == pytest.approx(1 / 40)
    ground = otdist.metrics.NAMED[metric] if isinstance(metric, str) else metric
    assert ground.matrix(x, y)[rows, cols].max() == pytest.approx(r.value, rel=1e-13)
    assert r.name == "Winf" and r.method == "bottleneck" and r.converged
    assert otdist.wasserstein(x, y, p=3, metric=metric).lower <= r.upper


def test_common_mass_may_have_to_move():
    # With p = 1 the two points in common stay; here each moves on by one.
    assert winf([0.0, 1.0, 2.0], [1.0, 2.0, 3.0]).value == 1.0
    assert winf([[0, 0], [1, 0], [2, 0]], [[1, 0], [2, 0], [3, 0]]).value == 1.0


def test_a_sliver_of_mass_counts():
    assert winf([0.0, 1.0], [0.0, 1.0], [2**40, 2**40], [2**40 + 1, 2**40 - 1]).value == 1.0


def test_weights_that_are_not_whole_are_refused():
    with pytest.raises(otdist.InputError, match=r"whole numbers.*give counts"):
        winf([0.0, 1.0], [0.0, 1.0], [0.1, 0.9], [0.9, 0.1])


def test_other_methods_and_functions_refuse_it():
    x = np.zeros((3, 2))
    for method in ("sparse", "sinkhorn", "critic", "circle"):
        with pytest.raises(otdist.InputError, match="p = infinity"):
            winf(x, x, method=method)
    with pytest.raises(otdist.InputError, match="p: "):
        otdist.sliced_w1(x, x, p=math.inf)


def test_missing_and_infinite_points():
    x = [[0.0, 0.0], [math.nan, 1.0], [1.0, 1.0]]
    assert winf(x, [[0.0, 0.0], [1.0, 2.0]], nan_policy="omit").value == 1.0
    assert math.isnan(winf(x, [[0.0, 0.0]], nan_policy="propagate").value)
    assert winf([0.0, math.inf], [0.0, 1.0]).value == math.inf


def test_scale(rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    for k in (-900, -300, 300, 900):
        assert winf(np.ldexp(x, k), np.ldexp(y, k)).value == pytest.approx(np.ldexp(winf(x, y).value, k))


def test_a_deadline_leaves_a_proved_interval(rng, monkeypatch):
    x, y = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    truth = winf(x, y).value
    clock = itertools.count()
    monkeypatch.setattr("otdist.solvers.bottleneck.time.monotonic", lambda: float(next(clock)))
    with pytest.warns(otdist.ConvergenceWarning, match="max_seconds"):
        r = winf(x, y, max_seconds=2.5)
    assert not r.converged and r.lower <= truth <= r.upper and r.lower < r.upper


def test_memory_is_asked_for():
    with pytest.raises(otdist.BudgetError, match="p = infinity"):
        winf(np.zeros((100, 2)), np.ones((100, 2)), max_bytes=1000)


def test_the_proof_exposes_a_flow_that_is_not_the_largest():
    allowed = np.array([[True, True], [True, False]])
    one = np.ones(2)
    flow = largest_flow(allowed, one, one)
    assert flow.mass.sum() == 2
    small = type(flow)(flow.rows[:1], flow.cols[:1], flow.mass[:1])
    with pytest.raises(AssertionError, match="Hall"):
        require_hall_violation(allowed, one, one, small)


class TestGradient:
    torch = pytest.importorskip("torch")

    def test_it_is_that_of_the_longest_step(self, rng):
        torch = self.torch
        x, y = (torch.tensor(rng.normal(size=(k, 3)), requires_grad=True) for k in (6, 4))
        r = winf(x, y)
        r.value.backward()
        step = 1e-6
        for points, other, flip in ((x, y, False), (y, x, True)):
            for i, k in itertools.product(range(len(points)), range(3)):
                moved = [points.detach().clone() for _ in range(2)]
                moved[0][i, k] += step
                moved[1][i, k] -= step
                pairs = [(other.detach(), z) if flip else (z, other.detach()) for z in moved]
                values = [float(winf(*pair)) for pair in pairs]
                assert float(points.grad[i, k]) == pytest.approx(
                    (values[0] - values[1]) / (2 * step), abs=1e-7
                )

    def test_weights_have_a_gradient_of_zero(self):
        a = self.torch.tensor([1.0, 2.0], dtype=self.torch.float64, requires_grad=True)
        r = winf([[0.0, 0], [1, 1]], [[3.0, 0], [1, 1]], a, [1, 2])
        r.value.backward()
        assert a.grad.tolist() == [0.0, 0.0]

    def test_coincident_samples_have_a_gradient_of_zero(self):
        x = self.torch.ones((3, 2), dtype=self.torch.float64, requires_grad=True)
        winf(x, np.ones((3, 2))).value.backward()
        assert not x.grad.any()
