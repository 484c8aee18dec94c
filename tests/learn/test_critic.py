"""Critic and method="critic": bounds against exact answers, sources, confidence, files, what is refused."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from cases import refused
from critics import FEW, KINDS, METRICS, OWN, clouds
from strategies import shares, tolerance

import otdist
from otdist.learn import Anchors, Critic
from otdist.learn.critics.samples import Samples, split_rows
from otdist.learn.critics.selection import Budget, Selection
from otdist.learn.critics.training import Training
from otdist.metrics.names import resolve


def problem(seed):
    """A small problem with a little of everything: points, weights and a scale."""
    rng = np.random.default_rng(seed)
    d, (n, m) = 1 + seed % 5, rng.integers(20, 81, size=2)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * rng.choice([0.1, 1, 3]) + rng.normal(size=d)
    if seed % 3 == 0:  # ties, and points of both
        x[: n // 3], y[:5] = x[0], x[-5:]
    a, b = ((None, None), (rng.uniform(0.01, 1, n), None), (rng.uniform(0.01, 1, n), np.arange(m) % 7 + 1.0))[
        seed % 3
    ]
    scale = (1.0, 1e-8, 1e200)[seed // 4 % 3]
    offset = 1e6 if seed % 4 == 1 and scale == 1 else 0.0
    return (x * scale + offset, y * scale + offset, a, b), scale


def source(x, calls=math.inf, kind=np.asarray):
    """Fresh points around ``x``; NaN after so many calls."""
    rng, count = np.random.default_rng(3), [0]

    def draw(size):
        count[0] += 1
        points = rng.normal(size=(size, len(x))) + x
        return kind(points if count[0] <= calls else np.full_like(points, np.nan))

    return draw


class TestBounds:
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(24))
    def test_the_interval_its_plan_and_its_potentials(self, seed):
        given, scale = problem(seed)
        x, y, a, b = given
        metric = METRICS[seed % 4 if seed % 4 != 1 else 0]
        exact = otdist.w1(*given, metric=metric)
        r = otdist.w1(*given, metric=metric, method="critic", rng=seed, **FEW)
        slack = scale * tolerance(x / scale, y / scale)
        assert r.method == "critic" and r.converged and r.value == r.lower
        assert 0 <= r.lower <= exact.upper and r.upper >= exact.lower
        a, b = shares(a, len(x)), shares(b, len(y))
        plan = r.plan.tocsr()
        assert plan.data.min() >= 0
        np.testing.assert_allclose(plan.sum(axis=1), a, rtol=0, atol=1e-12)
        np.testing.assert_allclose(plan.sum(axis=0), b, rtol=0, atol=1e-12)
        d = resolve(metric).matrix
        scaled = x / scale, y / scale
        unit = scale if metric != "angular" else 1.0
        cost = d(*scaled)
        f, g = (part / unit for part in r.potentials)
        assert (f[:, None] + g[None] <= cost + 4 * slack / scale).all()
        assert unit * (f @ a + g @ b) >= r.lower - 4 * slack
        fx, fy = (np.asarray(r.critic(z)) / unit for z in (x, y))
        assert (np.abs(fx[:, None] - fy[None]) <= (1 + 1e-9) * cost + 4 * slack / scale).all()
        assert (np.abs(fx[:, None] - fx[None]) <= (1 + 1e-9) * d(scaled[0], scaled[0]) + 4 * slack).all()
        assert unit * (a @ fx - b @ fy) <= exact.upper + 4 * slack
        assert unit * (a @ fx - b @ fy) <= r.lower + 4 * slack  # which has the c-transform on x

    @pytest.mark.slow
    def test_swapped_samples_have_a_bound_too(self):
        x, y = clouds(1)
        exact = otdist.w1(x, y)
        there, back = (otdist.w1(*pair, method="critic", **FEW) for pair in ((x, y), (y, x)))
        assert 0 < min(there.lower, back.lower) <= max(there.lower, back.lower) <= exact.upper
        assert min(there.upper, back.upper) >= exact.lower

    @pytest.mark.parametrize("metric", METRICS)
    def test_identical_samples_have_distance_zero(self, metric):
        x, _ = clouds(2)
        r = otdist.w1(x, x[::-1], metric=metric, method="critic", **FEW)
        assert r.lower == r.value == r.upper == 0

    @pytest.mark.slow
    @pytest.mark.parametrize("d", [1, 2])
    def test_nine_tenths_of_the_distance_are_found(self, d):
        x, y = clouds(3, d, 300, 300)
        options = {"steps": 300, "anchors": 32, "batch": 128}
        exact = otdist.w1(x, y).value
        assert 0.9 * exact <= otdist.w1(x, y, method="critic", **options).lower <= exact * (1 + 1e-12)

    def test_functions_that_are_declared_metrics(self):
        x, y = clouds(4)
        r = otdist.w1(x, y, metric=OWN, method="critic", **FEW)
        exact = otdist.w1(x, y, metric="cityblock")
        assert 0 < r.lower <= exact.upper and r.upper >= exact.lower


class TestEstimator:
    @pytest.mark.parametrize(("family", "metric"), KINDS)
    def test_gaps_are_mean_differences_of_the_critic(self, family, metric):
        x, y = clouds(5)
        critic = Critic(family=family, metric=metric, **FEW).fit(x, y)
        assert critic.converged and critic.message == "" and critic.lipschitz <= 1 + 1e-9
        gaps = critic.gaps
        shares = {"train": 0.8, "validation": 0.1, "test": 0.1}
        means = sum(share * gaps[part] for part, share in shares.items())
        assert means == pytest.approx(critic(x).mean() - critic(y).mean(), rel=1e-4, abs=1e-5)
        assert critic.confidence.normal <= gaps["test"]
        assert math.isnan(critic.confidence.hoeffding) == (metric == "angular")
        best = max(row["validation"] for row in critic.history)
        unit = critic.fitted.feature_map.unit
        assert gaps["validation"] == pytest.approx(best * unit, rel=1e-3, abs=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    def test_any_scale(self, scale):
        x, y = clouds(5)
        plain, scaled = Critic(**FEW).fit(x, y), Critic(**FEW).fit(x * scale, y * scale)
        assert scaled.gaps["test"] == pytest.approx(plain.gaps["test"] * scale, rel=1e-3)
        np.testing.assert_allclose(scaled(x * scale) / scale, plain(x), rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize(
        "kind",
        [
            np.asarray,
            pytest.param(torch.as_tensor, marks=pytest.mark.slow),
            lambda z: torch.as_tensor(z).float(),
        ],
    )
    def test_sources_of_fresh_points(self, kind):
        draws = source([1.5, 0.0], kind=kind), source([0.0, 0.0], kind=kind)
        critic = Critic(steps=60, anchors=16, batch=128).fit(*draws)
        assert set(critic.gaps) == {"train", "validation", "test"}
        assert 1.2 < critic.gaps["test"] < 1.6 and critic.confidence.normal < 1.5
        assert critic.converged

    @pytest.mark.slow
    def test_given_weights_have_no_bounds_for_few_points(self):
        x, y = clouds(6)
        critic = Critic(**FEW).fit(x, y, np.arange(1.0, 51))
        assert critic.confidence.normal <= critic.gaps["test"]
        assert math.isnan(critic.confidence.hoeffding) and math.isnan(critic.confidence.bernstein)
        points = x[np.arange(50) % 25]
        doubled = Critic(**FEW).fit(points, y)
        assert math.isfinite(doubled.confidence.hoeffding)

    @pytest.mark.slow
    @pytest.mark.parametrize("metric", ["euclidean", "angular"])
    def test_test_points_do_not_shape_the_critic(self, metric):
        # Only what is computed from the test points may change with them.
        x, y = clouds(7)
        critic = Critic(metric=metric, **FEW).fit(x, y)
        held = np.random.default_rng(0).permutation(50)[:10]  # as in the split
        known = np.setdiff1d(np.arange(50), held)
        feature_map = critic.fitted.feature_map
        marks = feature_map.landmarks
        if marks is not None:
            assert all((x[known] == mark).all(1).any() or (y == mark).all(1).any() for mark in marks)
            assert not any((x[row] == mark).all() for mark in marks for row in held)
        moved = x.copy()
        moved[held[5:]] += 3.0
        other = Critic(metric=metric, **FEW).fit(moved, y)
        assert other(y).tobytes() == critic(y).tobytes()
        assert other.gaps["train"] == critic.gaps["train"] and other.gaps["test"] != critic.gaps["test"]

    @pytest.mark.slow
    @pytest.mark.parametrize(("family", "metric"), KINDS)
    def test_one_seed_gives_one_critic_and_leaves_other_numbers_alone(self, family, metric):
        x, y = clouds(8)
        before = torch.get_rng_state()
        first, again, other = (
            Critic(family=family, metric=metric, rng=seed, **FEW).fit(x, y)(x).tobytes() for seed in (1, 1, 2)
        )
        assert first == again != other
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.slow
    @pytest.mark.parametrize(("family", "metric"), KINDS)
    def test_a_resumed_critic_is_no_worse_where_it_is_chosen(self, family, metric):
        x, y = clouds(9)
        critic = Critic(family=family, metric=metric, **FEW).fit(x, y)
        for _ in range(2):
            before = critic.gaps["validation"]
            critic.fit(x, y, resume=True)
            assert critic.gaps["validation"] >= before - 1e-5
        refused(critic.fit, "x", x[:, :1], y[:, :1], resume=True)
        if metric != "angular":
            refused(critic.fit, "x", x * 1e200, y * 1e200, resume=True)

    @pytest.mark.slow
    def test_values_and_gradients_of_tensors(self):
        x, y = clouds(10)
        critic = Critic(**FEW).fit(x, y)
        z = torch.as_tensor(x).float()
        assert critic(z).dtype == torch.float32 and critic(z).shape == (50,)
        step = 1e-6
        for k, slope in enumerate(critic.gradient(x).T):
            moved = x + step * np.eye(2)[k]
            np.testing.assert_allclose((critic(moved) - critic(x)) / step, slope, atol=1e-3)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "argument"),
        [
            ({"family": "conv"}, "family"),
            ({"family": []}, "family"),
            ({"family": 5}, "family"),
            ({"family": "orthogonal", "metric": "cityblock"}, "family"),
            ({"family": "pieces", "metric": "angular"}, "family"),
            ({"metric": "euclid"}, "metric"),
            ({"metric": "sqeuclidean"}, "metric"),
            ({"metric": lambda u, v: 0.0}, "metric"),
            ({"device": "no such"}, "device"),
            ({"precision": "float8"}, "precision"),
            ({"steps": 0}, "steps"),
            ({"anchors": 1}, "anchors"),
            ({"batch": 2.5}, "batch"),
            ({"max_seconds": -1}, "max_seconds"),
            ({"max_seconds": math.nan}, "max_seconds"),
            ({"rng": "a"}, "rng"),
            ({"level": 95}, "level"),
            ({"level": "high"}, "level"),
        ],
        ids=str,
    )
    def test_options_that_cannot_be_used(self, options, argument):
        x, y = clouds(12)
        refused(lambda: Critic(**FEW | options).fit(x, y), argument)
        refused(lambda: otdist.w1(x, y, method="critic", **FEW | options), argument)

    def test_costs_that_are_no_distance(self):
        x, y = clouds(12)
        refused(lambda: otdist.wasserstein(x, y, method="critic", **FEW), "metric", says=("p=2",))

    @pytest.mark.slow
    def test_data_that_cannot_be_used(self):
        x, y = clouds(12)
        missing = x.copy()
        missing[3, 1] = np.nan
        critic = Critic(**FEW)
        refused(critic.fit, "x", missing, y, says=(3,))
        refused(critic.fit, "y", x, y[:19], says=(19,))
        refused(critic.fit, "y", source([0, 0]), y)
        refused(critic.fit, "y", x, source([0, 0]))
        refused(critic.fit, "resume", x, y, resume=True)
        for call, given in ((critic, x), (critic.gradient, x), (critic.save, "nowhere")):
            refused(call, "critic", given)
        critic.fit(x, y)
        refused(critic, "z", x[:, :1])
        refused(critic.gradient, "z", missing, says=(3,))
        angular = Critic(metric="angular", **FEW).fit(x, y)
        refused(angular, "z", np.zeros((1, 2)), says=(0,))
        refused(angular.gradient, "metric", x)

    def test_sources_that_cannot_be_used(self):
        good = source([0.0, 0.0])
        for bad in (
            lambda size: np.zeros(size),
            lambda size: np.zeros((size - 1, 2)),
            lambda size: np.zeros((size, 3)),
        ):
            refused(Critic(**FEW).fit, "y", good, bad)
        # The first points, those that it is chosen by, and those that it is judged by.
        for calls in (0, 1, 2):
            refused(Critic(**FEW).fit, "y", good, source([0, 0], calls), says=("finite",))
        wide = source([0, 0])
        refused(Critic(**FEW).fit, "x", lambda size: 1e200 * wide(size), good)

    @pytest.mark.slow
    def test_a_source_that_fails_leaves_the_last_good_state(self):
        critic = Critic(steps=200, anchors=16, batch=64).fit(source([2.0, 0.0], 3 + 150), source([0.0, 0.0]))
        assert not critic.converged and "not finite" in critic.message
        assert 0 < max(row["steps"] for row in critic.history) < 150  # starts draw points, too
        assert 1.6 < critic.gaps["test"] < 2.1 and math.isfinite(critic.confidence.normal)
        assert np.isfinite(critic(np.random.default_rng(0).normal(size=(9, 2)))).all()

    @pytest.mark.slow
    def test_without_torch(self):
        code = """if True:
            import sys
            sys.modules["torch"] = None
            import otdist
            try:
                otdist.w1([[0.0]] * 30, [[1.0]] * 30, method="critic")
            except otdist.InputError as error:
                assert error.argument == "method" and 'pip install "otdist[torch]"' in str(error)
            else:
                raise AssertionError
        """
        subprocess.run([sys.executable, "-c", code], check=True)


class TestBudget:
    @pytest.mark.parametrize(("ago", "seconds"), [(0.0, 10.0), (6.0, 4.0), (100.0, 0.3 * 7.5)])
    def test_the_last_run_has_what_starts_and_trials_leave(self, ago, seconds):
        selection = Selection(None, 64, torch.Generator(), print, start_time=time.monotonic() - ago)
        assert selection.get_remaining(Budget(10.0), 0.75).seconds == pytest.approx(seconds, abs=0.1)

    def test_steps_are_shared_whatever_the_clock_says(self):
        selection = Selection(None, 64, torch.Generator(), print, start_time=time.monotonic() - 100)
        assert selection.get_remaining(Budget(None, 100), 0.75) == Budget(None, 75)
        assert selection.get_remaining(Budget(10.0, 100), 0.75).steps == 75

    @pytest.mark.alone
    def test_no_more_starts_are_made_once_half_of_the_time_is_gone(self):
        made = []

        def slow(generator):
            made.append(time.monotonic())
            time.sleep(1.0)
            return Training("slow", Anchors(torch.zeros(2, 2)), 0.01)

        x, y = (np.random.default_rng(seed).normal(size=(200, 2)) for seed in range(2))
        ones, rows = np.ones(200), split_rows((200, 200), 0)
        data = Samples.of((x, y), (ones, ones), rows, lambda z: torch.as_tensor(z).float())
        for seconds, count in ((1.5, 1), (3.0, 2)):
            made.clear()
            selection = Selection(data, 64, torch.Generator(), lambda text: None)
            selection.select([[slow] * 4, [slow]], Budget(seconds))
            assert len(made) == count  # of five
            assert time.monotonic() - selection.start_time < 2 * seconds
