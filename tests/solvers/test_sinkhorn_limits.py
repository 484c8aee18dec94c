"""Entropic transport at its limits: stops, options, extreme data, plans, potentials, gradients."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import partial

import instances
import numpy as np
import oracles
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from optional import torch
from scipy.spatial.distance import cdist

import otdist
from otdist import metrics
from otdist.runtime import budget
from otdist.solvers.entropic.iteration import FLOAT32_NOISE

W1 = partial(otdist.w1, method="sinkhorn")
W2 = partial(otdist.wasserstein, p=2, method="sinkhorn")


def quietly(question, *given, **options):
    with instances.quiet():
        return question(*given, **options)


def normal(rng, n=100, m=80, d=2):
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


class TestStops:
    @pytest.mark.parametrize("max_iter", [1, 2, 7, 30])
    def test_too_few_iterations_are_said_and_the_interval_is_right(self, max_iter, rng):
        x, y = normal(rng)
        for question, plain in ((W1, otdist.w1), (W2, partial(otdist.wasserstein, p=2))):
            with pytest.warns(otdist.ConvergenceWarning, match="max_iter"):
                r = question(x, y, eps=2e-3, max_iter=max_iter)
            truth = plain(x, y)
            assert not r.converged and "marginals" in r.message
            assert r.info["residual"] > 1e-5
            assert r.lower <= truth.value <= r.upper
            with pytest.raises(otdist.ConvergenceError) as caught:
                question(x, y, eps=2e-3, max_iter=max_iter, on_fail="raise")
            assert caught.value.result.lower == r.lower

    def test_more_iterations_bring_smaller_residuals(self, rng):
        x, y = normal(rng)
        found = [quietly(W1, x, y, eps=0.01, max_iter=k).info["residual"] for k in (10, 30, 100)]
        assert found[0] > 3 * found[1] > 9 * found[2]

    def test_a_larger_residual_may_be_enough(self, rng):
        x, y = normal(rng)
        loose, tight = (W1(x, y, eps=0.01, max_residual=r) for r in (1e-2, 1e-5))
        assert loose.converged and tight.converged
        assert loose.info["iterations"] < tight.info["iterations"]
        assert 1e-5 < loose.info["residual"] <= 1e-2 and tight.info["residual"] <= 1e-5 + FLOAT32_NOISE / 0.01

    @pytest.mark.slow
    def test_a_deadline(self, rng):
        x, y = normal(rng, 800, 700)
        truth = otdist.w1(x, y)
        with pytest.warns(otdist.ConvergenceWarning, match="max_seconds"):
            r = W1(x, y, eps=1e-4, max_seconds=1e-3, max_iter=10**6)
        assert r.lower <= truth.value <= r.upper

    @pytest.mark.slow
    @pytest.mark.parametrize("eps", [1e-4, 1e-6, 1e-7, 1e-9, 1e-12, 1e-16, 1e-30])
    def test_an_eps_beyond_float32_leaves_the_interval_right(self, eps, rng):
        for d, shape in ((2, "normal"), (9, "normal"), (2, "clusters"), (2, "cauchy")):
            x, y = (instances.points(rng, shape, k, d) for k in (60, 50))
            truth, r = quietly(otdist.w1, x, y), quietly(W1, x, y, eps=eps, max_iter=60)
            assert r.lower <= truth.upper and truth.lower <= r.upper
            assert np.isfinite([r.value, r.lower, r.upper]).all()
            assert not r.converged or r.info["residual"] <= 1e-2
            table = quietly(otdist.emd, cdist(x, y), method="sinkhorn", eps=eps, max_iter=60)
            assert table.lower <= truth.upper and truth.lower <= table.upper

    def test_an_eps_whose_exponents_float32_does_not_hold_is_refused(self, rng):
        x, y = normal(rng)
        for eps in (1e-40, 1e-100, 5e-324):
            with pytest.raises(otdist.InputError, match="exponentials") as caught:
                W1(x, y, eps=eps)
            assert caught.value.argument == "eps" and "sparse" in caught.value.remedy


class TestOptions:
    @pytest.mark.parametrize("value", [0, 0.0, -1, -0.05, np.nan, np.inf, -np.inf, "a", True, [0.1], 1j])
    @pytest.mark.parametrize("name", ["eps", "max_residual", "max_iter"])
    def test_no_positive_number(self, name, value):
        for call in (partial(W1, [0.0, 1.0], [1.0]), partial(otdist.emd, [[1.0, 2.0]], method="sinkhorn")):
            with pytest.raises(otdist.InputError) as caught:
                call(**{"eps": 0.05, name: value})
            assert caught.value.argument == name and repr(value) in str(caught.value)

    @pytest.mark.parametrize("value", [1, np.float32(0.5), np.int64(1), np.float64(0.1)])
    def test_any_number_will_do(self, value, rng):
        x, y = normal(rng)
        assert W1(x, y, eps=value).value == pytest.approx(W1(x, y, eps=float(value)).value, rel=1e-6)

    def test_a_mistyped_option_is_refused_with_those_there_are(self, rng):
        with pytest.raises(otdist.InputError, match=r"epsilon: .* eps, max_residual"):
            W1(*normal(rng), epsilon=0.05)

    def test_bytes(self, rng):
        x, y = normal(rng)
        with pytest.raises(otdist.BudgetError, match="max_bytes"):
            W1(x, y, eps=0.05, max_bytes=1000)
        with pytest.raises(otdist.BudgetError, match="sinkhorn"):
            otdist.emd(cdist(x, y), method="sinkhorn", eps=0.05, max_bytes=1000)
        assert W1(x, y, eps=0.05, max_bytes=10**8).converged

    @pytest.mark.slow
    def test_the_plan_of_many_points_is_refused_and_nothing_else(self, rng, monkeypatch):
        x, y = normal(rng, 2700, 2600, 3)
        monkeypatch.setattr(budget, "free_memory", lambda: 10**8)
        r = W1(x, y, eps=1.0)
        assert r.converged and r.potentials[0].shape == (2700,)
        with pytest.raises(otdist.BudgetError, match="sparse"):
            _ = r.plan


class TestExtremes:
    def test_points_that_all_coincide(self):
        for n, m in ((1, 1), (3, 4)):
            x, y = np.full((n, 2), 7.0), np.full((m, 2), 7.0)
            for question in (W1, W2, partial(W1, metric="sqeuclidean"), partial(W1, metric="cosine")):
                r = question(x, y, np.ones(n), np.ones(m), eps=0.05)
                assert r.converged and r.value == r.lower == 0.0 and r.upper <= 1e-6
                np.testing.assert_allclose(r.plan.toarray().sum(axis=0), 1 / m)

    @pytest.mark.parametrize("options", [{"eps": 0.05}, {}])
    def test_costs_that_are_all_zero(self, options):
        r = otdist.emd(np.zeros((3, 4)), [1, 2, 3], method="sinkhorn", **options)
        assert r.converged and (r.value, r.lower) == (0.0, 0.0) and r.upper <= 1e-12
        np.testing.assert_allclose(r.plan.sum(axis=1), [1 / 6, 2 / 6, 3 / 6])
        assert np.abs(r.potentials[0]).max() <= 1e-12

    def test_identical_sets(self, rng):
        x, _ = normal(rng)
        for question in (W1, W2):
            r = quietly(question, x, x, eps=0.05, max_iter=100)
            # An entropic plan moves mass even so; the interval says that it need not.
            assert r.lower <= 1e-12 and 0 < r.value <= 0.5

    @pytest.mark.parametrize("question", [W1, W2])
    def test_one_point_each(self, question):
        r = question([[0.0, 0.0]], [[3.0, 4.0]], [1.0], [1.0], eps=0.05)
        assert r.value == pytest.approx(5.0, rel=1e-6) and r.gap <= 1e-6

    @pytest.mark.slow
    def test_costs_that_float32_rounds_all_alike(self):
        # Too many pairs for a plan in float64: the interval has to allow for float32 sums.
        for length in np.sqrt(np.arange(2.0, 9.0)):
            r = W1(np.zeros((1500, 2)), np.full((1500, 2), length), eps=1.0, metric="cityblock")
            assert r.lower <= 2 * length <= r.upper and r.gap < 1e-5

    def test_duplicates(self, rng):
        x, y = (rng.integers(0, k, (30 * k, 2)).astype(float) for k in (3, 4))
        r, truth = W1(x, y, eps=0.01), otdist.w1(x, y)
        assert r.lower <= truth.value <= r.upper and r.gap < 0.2

    @pytest.mark.parametrize("far", [1e2, 1e4, 1e6, 1e9, 1e12])
    def test_one_far_outlier(self, far, rng):
        x, y = normal(rng)
        x = np.concatenate([x, [[far, 0.0]]])
        a = np.append(np.ones(100), 1.0 / far)
        truth, r = quietly(otdist.w1, x, y, a), quietly(W1, x, y, a, eps=0.05, max_iter=100)
        assert r.lower <= truth.upper and truth.lower <= r.upper

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(4))
    def test_small_clusters_at_any_distance(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(25):
            n, d, power = (int(rng.integers(*ends)) for ends in ((2, 12), (1, 4), (5, 58)))
            z = rng.integers(0, 3, (n, 1)) * 2.0**power
            x, y = rng.normal(size=(n, d)) + z, rng.normal(size=(n, d)) + z
            metric = str(rng.choice(["cityblock", "chebyshev"]))
            truth = oracles.exact_assignment(oracles.exact_costs(x, y, metric))
            for eps in (0.05, 1e-3, 1e-6):
                r = quietly(W1, x, y, metric=metric, eps=eps, max_iter=40)
                assert Fraction(r.lower) <= truth <= Fraction(r.upper), (seed, n, d, power, eps, str(r))

    def test_weights_from_1e_300_to_1(self, rng):
        x, y = normal(rng, 120, 120)
        a = 10.0 ** np.linspace(-300, 0, 120)
        r, truth = W1(x, y, a, eps=0.05), otdist.w1(x, y, a)
        assert r.lower <= truth.value <= r.upper and r.gap < 0.2
        np.testing.assert_allclose(r.plan.sum(axis=1), a / a.sum(), rtol=1e-12, atol=1e-20)
        assert W1(x[:3], y[:3], [5e-324, 1, 1], eps=0.5).converged


class TestPlansAndPotentials:
    @pytest.mark.slow
    @given(s.laws(), st.sampled_from([1.0, 0.05, 1e-3]), st.sampled_from([1, 2]))
    def test_the_plan_has_the_marginals_and_costs_the_value(self, law, eps, p):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        r = quietly(otdist.wasserstein, x, y, a, b, p=p, method="sinkhorn", eps=eps, max_iter=100)
        plan = r.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-14)
        np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-14)
        assert plan.min() >= 0
        cost = metrics.NAMED["euclidean"].matrix(x, y) ** p
        assert (plan * cost).sum() == pytest.approx(float(r) ** p, rel=1e-5, abs=1e-5 * cost.max())

    @pytest.mark.slow
    @pytest.mark.parametrize("question", [W1, W2, partial(W1, metric="cityblock")])
    def test_of_more_points_than_are_written_out(self, question, rng):
        x, y = normal(rng, 1700, 1500)
        b = rng.random(1500)
        r = quietly(question, x, y, None, b, eps=0.02, max_iter=3)  # columns are off
        cost = cdist(x, y, "cityblock" if r.metric == "cityblock" else "euclidean") ** (
            2 if r.name == "W2" else 1
        )
        plan = r.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), 1 / 1700, atol=1e-14)
        np.testing.assert_allclose(plan.sum(axis=0), b / b.sum(), atol=1e-14)
        # What columns lack is coupled greedily: float32 sums may lead to other pairs.
        assert (plan * cost).sum() == pytest.approx(float(r) ** (2 if r.name == "W2" else 1), rel=2e-4)
        self.require_feasible(r, cost, np.full(1700, 1 / 1700), b / b.sum())

    @pytest.mark.slow
    @given(s.laws(), st.sampled_from([1.0, 0.05, 1e-3]), st.sampled_from([1, 2]))
    def test_the_potentials_are_feasible_and_prove_the_lower_bound(self, law, eps, p):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        r = quietly(otdist.wasserstein, x, y, a, b, p=p, method="sinkhorn", eps=eps, max_iter=100)
        self.require_feasible(r, metrics.NAMED["euclidean"].matrix(x, y) ** p, a, b)

    @staticmethod
    def require_feasible(r, cost, a, b):
        """Assert that none of the potentials could be raised by itself, and that they prove ``lower``."""
        f, g = r.potentials
        slack = 1e-12 * (1 + cost.max())
        p = 2 if r.name == "W2" else 1
        np.testing.assert_allclose(f, (cost - g)[:, b > 0].min(axis=1), rtol=0, atol=slack)
        # Over all rows: potentials of points without mass are feasible against each other, too.
        np.testing.assert_allclose(g, (cost - f[:, None]).min(axis=0), rtol=0, atol=slack)
        assert max(a @ f + b @ g, 0.0) == pytest.approx(r.lower**p, abs=4 * slack)

    def test_the_critic_is_a_witness(self, rng):
        x, y = normal(rng)
        r = W1(x, y, eps=0.05)
        points = np.concatenate([x, y])
        phi = r.critic(points)
        assert (np.abs(phi[:, None] - phi) <= cdist(points, points) + 1e-12).all()
        assert phi[:100].mean() - phi[100:].mean() == pytest.approx(r.lower, rel=1e-12)


class TestGradients:
    """The plan and the potentials give the gradient: that of the objective, not of <P, C>."""

    def test_of_points_is_that_of_the_objective_at_a_fixed_absolute_eps(self, rng):
        ground = metrics.minkowski(3)
        x, y = normal(rng, 8, 7, 2)

        def objective(x):
            eps = 0.1 / ground.matrix(np.asarray(x.detach() if torch.is_tensor(x) else x), y).mean()
            return W1(x, y, metric=ground, eps=eps, max_residual=1e-13, max_iter=20000)

        points = torch.tensor(x, requires_grad=True)
        r = objective(points)
        r.value.backward()
        assert float(r.value.detach()) == pytest.approx(objective(x).value, rel=1e-12)
        for i, c in ((0, 0), (3, 1), (7, 0)):
            step = np.zeros((8, 2))
            step[i, c] = 1e-4
            slope = (objective(x + step).info["objective"] - objective(x - step).info["objective"]) / 2e-4
            assert float(points.grad[i, c]) == pytest.approx(slope, rel=1e-5, abs=1e-8)

    def test_of_a_cost_matrix_is_the_plan(self, rng):
        cost = torch.tensor(rng.random((9, 8)), requires_grad=True)
        r = otdist.emd(cost, method="sinkhorn", eps=0.1)
        r.value.backward()
        np.testing.assert_allclose(cost.grad.numpy(), r.plan.toarray(), rtol=1e-12)

    def test_of_points_and_weights_tend_to_those_of_the_exact_distance(self, rng):
        x, y = normal(rng, 20, 20)
        a, b = rng.random(20) + 0.5, rng.random(20) + 0.5
        grads = {}
        for method, options in (("dense", {}), ("sinkhorn", {"eps": 1e-3, "max_iter": 20000})):
            given = [torch.tensor(z, requires_grad=True) for z in (x, y, a, b)]
            quietly(otdist.w1, *given, method=method, **options).value.backward()
            grads[method] = [z.grad.numpy() for z in given]
        for mine, its in zip(grads["sinkhorn"], grads["dense"], strict=True):
            assert np.linalg.norm(mine - its) <= 0.1 * np.linalg.norm(its)

    def test_is_finite_where_points_coincide(self, rng):
        x = torch.tensor(rng.normal(size=(6, 2)), requires_grad=True)
        W1(x, x.detach().clone(), eps=0.05).value.backward()
        assert torch.isfinite(x.grad).all()


def test_nothing_warns(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in (1e-150, 1.0, 1e150):
            x, y = (scale * z for z in normal(rng))
            for eps in (1e6, 1.0, 0.05):
                r = W1(x, y, eps=eps)
                assert r.plan is not None and r.potentials is not None and str(r)


def test_potentials_that_rounding_holds_in_place_are_no_success(rng):
    cost = rng.random((20, 30))
    with pytest.warns(otdist.ConvergenceWarning, match="marginals"):
        r = otdist.emd(cost, method="sinkhorn", eps=1e-20)
    assert not r.converged and r.lower <= otdist.emd(cost).value <= r.upper


def test_entropic_potentials_stand_at_the_callers_rows(rng):
    x, y = rng.normal(size=(2, 30, 3))
    a = np.r_[0.0, np.ones(29)]
    f, g = otdist.w1(x, y, a, method="sinkhorn", eps=0.1).info["potentials"]
    assert f.shape == g.shape == (30,)
    assert np.isnan(f[0]) and np.isfinite(f[1:]).all() and np.isfinite(g).all()
    rest = otdist.w1(x[1:], y, method="sinkhorn", eps=0.1).info["potentials"]
    np.testing.assert_allclose(f[1:] - f[1], rest[0] - rest[0][0], atol=1e-4)
