"""Unbalanced and partial transport: relations, oracles, intervals and gradients."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import numpy as np
import ot
import pytest
import strategies as s
from cases import case, refused, samples
from hypothesis import given
from hypothesis import strategies as st
from optional import torch
from oracles import flat, least_of_mass
from scipy.spatial.distance import cdist

import otdist
from otdist import partial_w1, unbalanced_w1

METRICS = ["euclidean", "cityblock", "chebyshev"]


def clouds_of(rng, d=2, n=20, m=15):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    y[:, 0] += 1.0
    return x, y, rng.random(n) + 0.1, rng.random(m) + 0.1


def masses(w, n):
    return np.full(n, 1.0 / n) if w is None else np.asarray(w, float)


def ask(f, x, y, a=None, b=None, **options):
    if len(x) == len(y) == 1 and a is None:
        a = [1.0]
    return f(x, y, a, b, **options)


def kl(r, q):
    return np.where(r > 0, r * np.log(np.where(r > 0, r, 1.0) / q), 0.0).sum() - r.sum() + q.sum()


def softened(plan, cost, a, b, rho):
    return (plan * cost).sum() + rho * (kl(plan.sum(1), a) + kl(plan.sum(0), b))


class TestFlatNorm:
    @given(s.laws(), st.sampled_from(METRICS), st.sampled_from([1, 2]), st.sampled_from([0.25, 1.0, 40.0]))
    def test_the_linear_programme_lies_in_the_interval(self, law, metric, p, reach):
        (x, a), (y, b) = law
        r = ask(unbalanced_w1, x, y, a, b, reach=reach, metric=metric, p=p)
        a, b, cost = masses(a, len(x)), masses(b, len(y)), cdist(x, y, metric) ** p
        true, _ = flat(cost, a, b, reach**p)
        slack = 1e-9 * reach**p * (a.sum() + b.sum())  # what HiGHS meets
        assert r.converged and r.lower - slack <= true <= r.upper + slack
        assert r.upper - r.lower <= slack and r.lower <= r.value <= r.upper

    @given(s.laws(), st.sampled_from([1, 2]), st.sampled_from([0.25, 1.0, 40.0]))
    def test_plan_and_potentials_prove_it(self, law, p, reach):
        (x, a), (y, b) = law
        r = ask(unbalanced_w1, x, y, a, b, reach=reach, p=p)
        a, b, cost, price = masses(a, len(x)), masses(b, len(y)), cdist(x, y) ** p, reach**p
        slack = 1e-11 * price * (1 + a.sum() + b.sum())
        plan, (f, g) = r.plan.toarray(), r.potentials
        left, created = a - plan.sum(axis=1), b - plan.sum(axis=0)
        assert plan.min() >= 0 and left.min() >= -slack and created.min() >= -slack
        assert (plan * cost).sum() + price * (left.sum() + created.sum()) == pytest.approx(r.value, abs=slack)
        assert (cost[plan > 0] <= 2 * price).all() and plan.sum() == pytest.approx(r.info["moved"])
        assert (f[:, None] + g <= cost + 1e-11 * (1 + cost.max())).all()
        assert max(f.max(), g.max()) <= price and a @ f + b @ g == pytest.approx(r.value, abs=slack)

    @pytest.mark.slow
    @given(s.laws(samples=3), st.sampled_from([0.5, 3.0]))
    def test_it_is_a_metric(self, laws, reach):
        (x, a), (y, b), (z, c) = laws
        pairs = ((x, y, a, b), (y, z, b, c), (x, z, a, c), (y, x, b, a))
        xy, yz, xz, yx = (ask(unbalanced_w1, *pair, reach=reach) for pair in pairs)
        slack = 1e-9 * reach * 50
        assert xz.lower <= xy.upper + yz.upper + slack
        assert xy.value == pytest.approx(yx.value, abs=slack)
        order = np.arange(len(x))[::-1]
        same = ask(unbalanced_w1, x, x[order], a, None if a is None else a[order], reach=reach)
        assert same.value <= 1e-12 * reach and same.lower == 0

    @given(s.laws(), st.integers(-40, 40))
    def test_scale_of_points_and_of_mass(self, law, k):
        (x, a), (y, b) = law
        plain = ask(unbalanced_w1, x, y, a, b, reach=1.0).value
        t = 2.0**k
        assert ask(unbalanced_w1, t * x, t * y, a, b, reach=t).value == pytest.approx(
            t * plain, rel=1e-9, abs=1e-12 * t
        )
        a, b = masses(a, len(x)), masses(b, len(y))
        assert unbalanced_w1(x, y, t * a, t * b, reach=1.0).value == pytest.approx(
            t * plain, rel=1e-9, abs=1e-12 * t
        )

    @case(31)
    def test_equal_supports_pay_for_the_difference_of_mass_alone(self, rng):
        x, _, a, _ = clouds_of(rng)
        for factor in (0.25, 1.5, 3.0):
            r = unbalanced_w1(x, x, a, factor * a, reach=0.7)
            assert r.value == pytest.approx(0.7 * abs(factor - 1) * a.sum(), rel=1e-12)

    @pytest.mark.slow
    @case(31)
    @given(s.laws(), st.sampled_from(["tv", "kl"]))
    @s.examples(25)
    def test_monotone_in_the_reach_and_in_mass_that_is_far_away(self, law, penalty):
        (x, a), (y, b) = law
        prices = [ask(unbalanced_w1, x, y, a, b, reach=reach, penalty=penalty) for reach in (0.2, 1.0, 5.0)]
        for low, high in pairwise(prices):
            assert low.lower <= high.upper + 1e-9
        far = np.full((1, x.shape[1]), 1e4)
        x, a = np.concatenate([x, far]), np.append(masses(a, len(x)), 0.0)
        values = []
        for mass in (0.5, 1.0, 2.0):
            a[-1] = mass
            values.append(unbalanced_w1(x, y, a, b, reach=1.0, penalty=penalty))
        # Each unit of it is left behind at its price.
        for low, high, more in zip(values, values[1:], (0.5, 1.0), strict=False):
            assert low.lower + more - 1e-6 <= high.upper and high.lower <= low.upper + more + 1e-6

    def test_a_large_reach_is_w1_and_a_small_one_is_the_total_variation(self, rng):
        x, y, a, b = clouds_of(rng)
        a, b = a / a.sum(), b / b.sum()
        assert unbalanced_w1(x, y, a, b, reach=100.0).value == pytest.approx(
            otdist.w1(x, y, a, b).value, rel=1e-10
        )
        assert unbalanced_w1(x, y, a, b, reach=1e-3).value == pytest.approx(2e-3, rel=1e-12)

    def test_the_critic_is_lipschitz_bounded_and_a_witness(self, rng):
        x, y, a, b = clouds_of(rng)
        r = unbalanced_w1(x, y, a, b, reach=0.8)
        z = np.concatenate([x, y, 100 * rng.normal(size=(10, 2))])
        phi = r.critic(z)
        assert (np.abs(phi[:, None] - phi) <= cdist(z, z) + 1e-12).all() and np.abs(phi).max() <= 0.8 + 1e-15
        assert a @ r.critic(x) - b @ r.critic(y) == pytest.approx(r.value, rel=1e-12)
        with pytest.raises(otdist.InputError):
            unbalanced_w1(x, y, a, b, reach=0.8, p=2).critic(x)


class TestPartial:
    @pytest.mark.slow
    @given(s.laws(), st.sampled_from([1, 2]), st.floats(0.05, 1.0))
    def test_the_linear_programme_lies_in_the_interval(self, law, p, share):
        (x, a), (y, b) = law
        weights = masses(a, len(x)), masses(b, len(y))
        moved = share * min(weights[0].sum(), weights[1].sum())
        r = ask(partial_w1, x, y, a, b, moved=moved, p=p)
        cost = cdist(x, y) ** p
        true = least_of_mass(cost, *weights, moved)
        slack = 1e-9 * (cost.max() + 1e-3) * (weights[0].sum() + weights[1].sum())
        assert r.lower - slack <= true <= r.upper + slack and r.upper - r.lower <= slack
        plan = r.plan.toarray()
        assert plan.sum() == pytest.approx(moved, rel=1e-9) and (plan * cost).sum() == pytest.approx(
            r.value, abs=slack
        )

    @pytest.mark.parametrize("p", [1, 2])
    def test_pot_agrees(self, p, rng):
        x, y, a, b = clouds_of(rng)
        for moved in (0.5, 3.0, None):
            mass = min(a.sum(), b.sum()) if moved is None else moved
            theirs = ot.partial.partial_wasserstein(a, b, cdist(x, y) ** p, m=mass)
            ours = partial_w1(x, y, a, b, moved=moved, p=p)
            assert ours.value == pytest.approx((theirs * cdist(x, y) ** p).sum(), rel=1e-9)

    @pytest.mark.parametrize("p", [1, 2])
    def test_it_is_the_flat_norm_at_its_price(self, p, rng):
        x, y, a, b = clouds_of(rng)
        for reach in (0.3, 0.8, 1.2):
            r = unbalanced_w1(x, y, a, b, reach=reach, p=p)
            moved = r.info["moved"]
            part = partial_w1(x, y, a, b, moved=moved, p=p)
            left = reach**p * (a.sum() + b.sum() - 2 * moved)
            assert part.value + left == pytest.approx(r.value, rel=1e-12)
            slightly = unbalanced_w1(x, y, a, b, reach=part.info["reach"] * (1 + 1e-9), p=p)
            assert slightly.info["moved"] >= moved * (1 - 1e-9)

    def test_convex_and_increasing_in_the_mass(self, rng):
        x, y, a, b = clouds_of(rng)
        steps = np.linspace(0.1, 1.0, 10) * min(a.sum(), b.sum())
        values = np.array([partial_w1(x, y, a, b, moved=moved).value for moved in steps])
        assert (np.diff(values) > 0).all() and (np.diff(values, 2) >= -1e-12).all()

    def test_all_mass_of_equal_samples_is_w1(self, rng):
        x, y, _, _ = clouds_of(rng)
        assert partial_w1(x, y).value == pytest.approx(otdist.w1(x, y).value, rel=1e-12)
        assert partial_w1(x, np.concatenate([x, y]), np.ones(20), np.ones(35)).value == pytest.approx(
            0, abs=1e-15
        )

    def test_more_than_there_is_is_refused(self, rng):
        x, y, a, b = clouds_of(rng)
        refused(partial_w1, "moved", x, y, a, b, moved=a.sum() + b.sum())
        for moved in (0, -1.0, math.nan, "1"):
            refused(partial_w1, "moved", x, y, a, b, moved=moved)


class TestRelativeEntropy:
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    @s.examples(25)
    @given(s.laws(), st.sampled_from([1, 2]), st.sampled_from([0.5, 3.0]), st.sampled_from([0.3, 1e-3]))
    def test_plan_and_potentials_prove_the_interval(self, law, p, reach, tol):
        (x, a), (y, b) = law
        r = ask(unbalanced_w1, x, y, a, b, reach=reach, p=p, penalty="kl", tol=tol)
        a, b, cost, rho = masses(a, len(x)), masses(b, len(y)), cdist(x, y) ** p, reach**p
        plan, (f, g) = r.plan.toarray(), r.potentials
        keep = np.ix_(a > 0, b > 0)
        slack = 1e-5 * (rho + cost.max()) * (1 + a.sum() + b.sum())  # float32 costs, written out in float64
        assert softened(plan[keep], cost[keep], a[a > 0], b[b > 0], rho) == pytest.approx(r.upper, abs=slack)
        assert (f[:, None] + g <= cost + 1e-11 * (1 + cost.max() + np.abs(f).max() + np.abs(g).max())).all()
        # Rows without mass have potentials, too, which may be far below 0.
        sides = (a[a > 0], f[a > 0]), (b[b > 0], g[b > 0])
        dual = rho * sum(w @ -np.expm1(-q / rho) for w, q in sides)
        assert dual >= r.lower - 1e-9 * slack and 0 <= r.lower <= r.value <= r.upper
        assert r.converged or r.upper - r.lower > tol * r.upper

    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2])
    @pytest.mark.parametrize("reach", [0.3, 1.0, 3.0])
    def test_majorisation_by_pot_ends_inside(self, p, reach, rng):
        x, y, a, b = clouds_of(rng)
        cost, rho = cdist(x, y) ** p, reach**p
        r = unbalanced_w1(x, y, a, b, reach=reach, p=p, penalty="kl", tol=2e-3)
        plan = ot.unbalanced.mm_unbalanced(a, b, cost, rho, div="kl", stopThr=1e-10, numItermax=20_000)
        attained = softened(plan, cost, a, b, rho)
        assert r.converged and r.gap <= 2e-3
        assert r.lower <= attained <= r.upper * (1 + 1e-3)

    def test_one_point_each_has_a_closed_form(self):
        # Stationary mass r of a unit at distance t from a unit: t + 2 rho log r = 0.
        t, rho = 0.7, 0.4
        r = unbalanced_w1([0.0], [t], [1.0], [1.0], reach=rho, penalty="kl", tol=1e-6)
        mass = math.exp(-t / (2 * rho))
        true = 2 * rho * (1 - mass)
        assert r.lower <= true <= r.upper and r.value == pytest.approx(true, rel=1e-6)
        assert r.info["moved"] == pytest.approx(mass, rel=1e-3)

    def test_equal_samples_have_potentials_that_prove_zero(self):
        x = [0.0, 0.0, 12.0]
        r = unbalanced_w1(x, x, reach=0.5, penalty="kl", tol=0.3)
        assert r.lower == r.upper == 0 and not any(potential.any() for potential in r.potentials)

    def test_equal_places_need_no_transport(self, rng):
        x, _, a, _ = clouds_of(rng)
        r = unbalanced_w1(x, x, a, 2.25 * a, reach=2.0, penalty="kl", tol=1e-2)
        # Stationary: a point keeps sqrt(1 * 2.25) times its mass; what is paid is (sqrt(2.25) - 1)^2.
        assert r.lower <= 2.0 * a.sum() * 0.25 <= r.upper

    def test_it_is_below_the_flat_norm_in_the_same_reach_where_little_moves(self, rng):
        x, y, a, b = clouds_of(rng)
        far = unbalanced_w1(x, y + 1e3, a, b, reach=0.5, penalty="kl")
        assert far.value == pytest.approx(0.5 * (a.sum() + b.sum()), rel=1e-6)
        assert far.value == pytest.approx(unbalanced_w1(x, y + 1e3, a, b, reach=0.5).value, rel=1e-6)

    def test_an_unfinished_run_says_so(self, rng):
        x, y, a, b = clouds_of(rng)
        with pytest.warns(otdist.ConvergenceWarning, match="raise tol") as caught:
            r = unbalanced_w1(x, y, a, b, reach=1.0, penalty="kl", tol=1e-4, max_iter=3)
        assert caught[0].filename == __file__ and not r.converged and r.lower < r.upper
        with pytest.raises(otdist.ConvergenceError):
            unbalanced_w1(x, y, a, b, reach=1.0, penalty="kl", tol=1e-9, max_seconds=1e-3, on_fail="raise")


class TestGradients:
    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2])
    @pytest.mark.parametrize(
        ("f", "options"),
        [(unbalanced_w1, {"reach": 0.6}), (partial_w1, {"moved": 1.0})],
        ids=["tv", "partial"],
    )
    def test_gradcheck(self, f, options, p, rng):
        given = [torch.tensor(z, requires_grad=True) for z in clouds_of(rng, n=7, m=5)]
        assert torch.autograd.gradcheck(lambda *t: f(*t, p=p, **options).value, given, eps=1e-6, atol=1e-5)

    @pytest.mark.slow
    def test_relative_entropy_is_near_the_gradient(self, rng):
        given = [torch.tensor(z, requires_grad=True) for z in clouds_of(rng, n=7, m=5)]

        def value(*tensors):
            return unbalanced_w1(*tensors, reach=1.0, penalty="kl", tol=1e-3)

        slopes = torch.autograd.grad(value(*given).value, given)
        for k, slope in enumerate(slopes):
            step = 0.2 * slope / slope.norm()
            moved = [list(given), list(given)]
            moved[0][k], moved[1][k] = given[k] + step, given[k] - step
            rise = float(value(*moved[0])) - float(value(*moved[1]))
            assert rise == pytest.approx(float((2 * step * slope).sum()), rel=0.1)

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    def test_finite_where_points_coincide(self, penalty, rng):
        x, _, a, _ = clouds_of(rng)
        points = torch.tensor(x, requires_grad=True)
        (slope,) = torch.autograd.grad(
            unbalanced_w1(points, x, a, 2 * a, reach=1.0, penalty=penalty).value, points
        )
        assert torch.isfinite(slope).all()


class TestArguments:
    def test_options_are_checked(self):
        x, y = samples(2)
        for reach in (0, -1.0, math.nan, math.inf, "1"):
            refused(unbalanced_w1, "reach", x, y, reach=reach)
        refused(unbalanced_w1, "penalty", x, y, reach=1.0, penalty="l2")
        refused(unbalanced_w1, "p", x, y, reach=1.0, p=0.5)
        refused(unbalanced_w1, "tol", x, y, reach=1.0, tol=-1.0)
        refused(unbalanced_w1, "on_fail", x, y, reach=1.0, on_fail="hide")
        refused(partial_w1, "on_fail", x, y, on_fail="hide")
        refused(unbalanced_w1, "x", [0.0, math.inf], [1.0], reach=1.0, says=("row 1",))
        with pytest.raises(TypeError):
            unbalanced_w1(x, y)

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    def test_zero_weights_and_missing_rows_are_absent(self, penalty, rng):
        x, y, a, b = clouds_of(rng)
        a[2] = 0.0
        x[5] = np.nan
        keep = [k for k in range(20) if k not in (2, 5)]
        r = unbalanced_w1(x, y, a, b, reach=1.0, penalty=penalty, nan_policy="omit")
        assert r.value == pytest.approx(
            unbalanced_w1(x[keep], y, a[keep], b, reach=1.0, penalty=penalty).value, rel=1e-10
        )
        assert r.info["omitted"] == (1, 0) and r.plan.shape == (20, 15)
        f, _ = r.potentials
        assert np.isnan(f[5]) and np.isfinite(np.delete(f, 5)).all()
        assert math.isnan(unbalanced_w1(x, y, a, b, reach=1.0, penalty=penalty, nan_policy="propagate").value)

    def test_a_batch_is_its_problems_one_by_one(self, rng):
        x, y = rng.normal(size=(3, 8, 2)), rng.normal(size=(3, 6, 2))
        for f, options in ((unbalanced_w1, {"reach": 0.5}), (partial_w1, {"moved": 0.5})):
            batch = f(x, y, **options)
            assert batch.value.tolist() == [f(*pair, **options).value for pair in zip(x, y, strict=True)]
            tensor = f(torch.tensor(x, requires_grad=True), y, **options).value
            assert tensor.shape == (3,) and tensor.requires_grad

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    def test_an_answer_survives_pickling_and_says_what_it_is(self, penalty, rng):
        r = unbalanced_w1(*clouds_of(rng), reach=1.0, penalty=penalty)
        twin = pickle.loads(pickle.dumps(r))
        assert str(twin) == str(r) and np.array_equal(twin.plan.toarray(), r.plan.toarray())
        assert str(r).startswith("UW1 = ") and r.to_dict()["info"]["penalty"] == penalty

    @pytest.mark.parametrize("metric", ["angular", "cosine", "gower"])
    def test_any_metric(self, metric, rng):
        x, y, a, b = clouds_of(rng)
        r = unbalanced_w1(x, y, a, b, reach=0.2, metric=metric)
        if metric != "gower":
            true, _ = flat(otdist.metrics.NAMED[metric].matrix(x, y), a, b, 0.2)
            assert r.lower - 1e-9 <= true <= r.upper + 1e-9
        soft = unbalanced_w1(x, y, a, b, reach=0.2, metric=metric, penalty="kl", tol=0.02)
        assert soft.converged

    @pytest.mark.slow
    def test_large_problems_go_to_the_sparse_solver_and_the_budget_is_asked(self, rng, monkeypatch):
        x, y = rng.normal(size=(1230, 2)), rng.normal(size=(1230, 2))
        r = unbalanced_w1(x, y, reach=0.2, tol=0.3)
        assert r.method == "sparse" and r.converged
        monkeypatch.setattr("otdist.runtime.budget.free_memory", lambda: 2**20)
        with pytest.raises(otdist.BudgetError):
            unbalanced_w1(rng.normal(size=(6000, 2)), rng.normal(size=(6000, 2)), reach=0.2)
