"""Sinkhorn divergences: relations, oracles, intervals and gradients."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import ot
import pytest
import strategies as s
from cases import refused, samples
from hypothesis import given
from hypothesis import strategies as st
from optional import geomloss, torch
from oracles import entropic
from scipy.spatial.distance import cdist

import otdist
from otdist import sinkhorn_divergence as divergence

METRICS = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]
SHARP = {"max_residual": 1e-10, "max_iter": 20_000}


def clouds_of(rng, d=2, n=40, m=30):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    y[:, 0] += 1.0
    return x, y, rng.random(n) + 0.1, rng.random(m) + 0.1


def ask(x, y, a=None, b=None, **options):
    if len(x) == len(y) == 1 and a is None:
        a = [1.0]
    return divergence(x, y, a, b, **options)


def by_hand(x, y, a, b, eps, p=1, metric="euclidean", rho=None):
    """The divergence from three independent runs, and the first of its terms with its potentials."""
    cost = [cdist(u, v, metric) ** p for u, v in ((x, y), (x, x), (y, y))]
    between, f, g = entropic(cost[0], a, b, eps, rho)
    own = entropic(cost[1], a, a, eps, rho)[0] + entropic(cost[2], b, b, eps, rho)[0]
    lost = 0.0 if rho is None else eps / 2 * (a.sum() - b.sum()) ** 2
    return between - own / 2 + lost, between, f, g


class TestOracles:
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("p", [1, 2, 1.5])
    @pytest.mark.parametrize("reach", [None, 1.5])
    def test_plain_updates_in_float64_agree(self, metric, p, reach, rng):
        x, y, a, b = clouds_of(rng, n=20, m=15)
        eps = 0.2 * float((cdist(x, y, metric) ** p).mean())
        r = divergence(x, y, a, b, p=p, metric=metric, eps_abs=eps, reach=reach, **SHARP)
        if reach is None:
            a, b = a / a.sum(), b / b.sum()
        true = by_hand(x, y, a, b, eps, p, metric, None if reach is None else reach**p)[0]
        size = abs(r.info["terms"]["xy"][0])
        assert r.converged and r.value == pytest.approx(true, abs=1e-9 * size)
        assert r.lower - 1e-12 * size <= true <= r.upper + 1e-12 * size
        assert r.upper - r.lower <= 1e-7 * size

    @pytest.mark.parametrize("p", [1, 2])
    def test_pot_agrees_on_value_and_potentials(self, p, rng):
        x, y, a, b = clouds_of(rng)
        a, b, cost = a / a.sum(), b / b.sum(), cdist(x, y) ** p
        r = divergence(x, y, a, b, p=p, eps_abs=0.5, debias=False, **SHARP)
        plan, log = ot.sinkhorn(
            a, b, cost, 0.5, method="sinkhorn_log", stopThr=1e-13, numItermax=10_000, log=True
        )
        entropy = (plan * np.log(plan / np.outer(a, b))).sum()
        assert r.value == pytest.approx((plan * cost).sum() + 0.5 * entropy, rel=1e-10)
        f, g = r.potentials
        theirs = 0.5 * (log["log_u"] - np.log(a)), 0.5 * (log["log_v"] - np.log(b))
        np.testing.assert_allclose(f[:, None] + g, theirs[0][:, None] + theirs[1], atol=1e-8)

    @pytest.mark.parametrize("p", [1, 2])
    def test_pot_agrees_on_unequal_mass(self, p, rng):
        x, y, a, b = clouds_of(rng)
        cost, reach = cdist(x, y) ** p, 1.5
        r = divergence(x, y, a, b, p=p, eps_abs=0.5, reach=reach, debias=False, **SHARP)
        plan = ot.unbalanced.sinkhorn_unbalanced(
            a, b, cost, 0.5, reach**p, reg_type="kl", stopThr=1e-13, numItermax=10_000
        )

        def kl(r, q):
            return (r * np.log(r / q) - r + q).sum()

        missed = kl(plan.sum(1), a) + kl(plan.sum(0), b)
        theirs = (plan * cost).sum() + 0.5 * kl(plan, np.outer(a, b)) + reach**p * missed
        assert r.value == pytest.approx(theirs, rel=1e-10)

    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2])
    @pytest.mark.parametrize("reach", [None, 2.0])
    @pytest.mark.parametrize("debias", [True, False])
    def test_geomloss_agrees(self, p, reach, debias, rng):
        x, y, a, b = clouds_of(rng)
        a, b = a / a.sum(), b / b.sum() * (1.0 if reach is None else 1.5)
        blur = 0.6
        loss = geomloss.SamplesLoss(
            "sinkhorn", p=p, blur=blur, reach=reach, scaling=0.997, debias=debias, backend="tensorized"
        )
        theirs = float(loss(*(torch.tensor(z) for z in (a, x, b, y))))
        # Their cost for p = 2 is |x - y|^2 / 2: twice their value is ours at twice eps and rho.
        factor, wider = (1.0, 1.0) if p == 1 else (2.0, math.sqrt(2.0))
        ours = divergence(
            x,
            y,
            a,
            b,
            p=p,
            eps_abs=factor * blur**p,
            reach=None if reach is None else wider * reach,
            debias=debias,
            **SHARP,
        )
        if reach is not None and not debias:
            # They leave out eps ((A + B) / 2 - A B), which is constant where mass is.
            theirs += blur**p * (a.sum() * b.sum() - (a.sum() + b.sum()) / 2)
        assert ours.value == pytest.approx(factor * theirs, rel=1e-4)

    @pytest.mark.parametrize("p", [1, 2])
    def test_two_atoms_have_a_closed_form(self, p):
        # Half the mass at 0 and at t on both sides: each term is -2 eps log of a mean of two kernels.
        t, eps = 1.25, 0.3
        z = math.exp(-(t**p) / eps)
        r = divergence([0.0, t], [0.0, t], p=p, eps_abs=eps, debias=False, **SHARP)
        assert r.value == pytest.approx(-eps * math.log((1 + z) / 2), rel=1e-12)
        # One atom against another: the cost itself.
        assert divergence([0.0], [t], p=p, eps_abs=eps).value == pytest.approx(t**p, rel=1e-14)


class TestIntervals:
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    @s.examples(10)  # the oracle takes up to 20,000 updates
    @given(s.laws(), st.sampled_from([1, 2]), st.sampled_from([None, 2.0]), st.sampled_from([2, 5, 2000]))
    def test_every_run_holds_the_exact_value_however_early_it_stops(self, law, p, reach, max_iter):
        (x, a), (y, b) = law
        r = ask(x, y, a, b, p=p, reach=reach, eps=0.2, max_iter=max_iter)
        assert r.lower <= r.value <= r.upper
        if r.lower == r.upper == 0:
            return
        a, b = s.shares(a, len(x)) if a is None else a, s.shares(b, len(y)) if b is None else b
        a, b = np.asarray(a, float), np.asarray(b, float)
        if reach is None:
            a, b = a / a.sum(), b / b.sum()
        x, y, a, b = x[a > 0], y[b > 0], a[a > 0], b[b > 0]
        rho = None if reach is None else reach**p
        true, between, _, _ = by_hand(x, y, a, b, r.info["eps_abs"], p, rho=rho)
        slack = 1e-11 * (1 + abs(between) + abs(true) + a.sum() * b.sum() * r.info["eps_abs"])
        assert r.lower <= true + slack and true <= r.upper + slack
        if r.converged and reach is None:
            far = max(cdist(u, v).max() for u, v in ((x, y), (x, x), (y, y)))
            assert r.upper - r.lower <= 3e-4 * (1 + far**p)

    @pytest.mark.slow
    def test_an_unfinished_run_may_be_negative_says_so_and_is_not_clamped(self, rng):
        # Two far groups, of which one is a little heavier: little mass takes long to get there.
        x = rng.normal(size=(120, 2))
        x[60:, 0] += 20.0
        a, b = np.repeat([1.001, 0.999], 60), np.ones(120)
        with pytest.warns(otdist.ConvergenceWarning, match="raise max_iter") as caught:
            r = divergence(x, x.copy(), a, b, eps=0.02, max_iter=1)
        assert caught[0].filename == __file__
        assert not r.converged and r.value < 0 and r.info["residual"] > 1e-5
        assert r.lower <= r.value < 0 < r.upper and r.gap > 1
        assert otdist.Result(-1.0, -2.0, -0.5, "sinkhorn").gap == math.inf
        assert "NOT CONVERGED" in str(r) and r.to_dict()["value"] == r.value
        with pytest.raises(otdist.ConvergenceError) as raised:
            divergence(x, x.copy(), a, b, eps=0.02, max_iter=1, on_fail="raise")
        assert raised.value.result.value == r.value
        assert 0 < divergence(x, x.copy(), a, b, eps=0.02, max_iter=50_000).value < r.upper

    def test_a_deadline_ends_it(self, rng):
        x, y, _, _ = clouds_of(rng, n=2000, m=2000)
        with pytest.warns(otdist.ConvergenceWarning):
            r = divergence(x, y, eps=1e-4, max_seconds=0.01)
        assert not r.converged and r.lower < r.upper


class TestStalls:
    """Groups of points that balance each other exactly, where plain updates converge like 1 / k."""

    @pytest.mark.slow
    def test_blocks_of_equal_mass_converge_at_the_defaults(self):
        r = divergence([0.0, 0, 3], [0.0, 0, 0, 0, 1, 2])
        assert r.converged and r.info["residual"] <= 1e-5 and r.info["iterations"] < 1000
        # Any potentials prove a lower bound; plain updates get as far as 3e-5 in a thousand rounds.
        cost = np.abs(np.subtract.outer([0.0, 0, 3], [0.0, 0, 0, 0, 1, 2]))
        proved = entropic(cost, np.full(3, 1 / 3), np.full(6, 1 / 6), r.info["eps_abs"], rounds=1000)[0]
        value, lower, upper = r.info["terms"]["xy"]
        assert proved <= upper and lower <= value <= proved + 2e-4 and upper - lower <= 3e-5

    def test_newton_steps_find_the_potentials_of_a_sharp_residual(self):
        r = divergence([0.0, 0, 3], [0.0, 0, 0, 0, 1, 2], max_residual=1e-11, debias=False)
        assert r.converged and r.info["residual"] <= 1e-11 and r.upper - r.lower <= 1e-10

    @pytest.mark.parametrize("k", [2, 5, 20])
    def test_many_blocks(self, k, rng):
        sites = 10.0 * np.arange(k)[:, None] * [1.0, 0.3]
        x, y = (np.repeat(sites, 6, axis=0) + 0.1 * rng.normal(size=(6 * k, 2)) for _ in range(2))
        r = divergence(x, y, eps=0.01)
        assert r.converged and r.info["iterations"] < 2000

    @pytest.mark.slow
    @s.examples(100)
    @given(st.integers(0, 2**32 - 1))
    def test_small_problems_with_ties_converge_at_the_defaults(self, seed):
        draw = np.random.default_rng(seed)
        (n, m), d, size = draw.integers(2, 9, 2), draw.integers(1, 4), draw.choice([1, 2, 4, 100])
        x, y = (draw.integers(-size, size + 1, (count, d)).astype(float) for count in (n, m))
        a, b = (draw.choice([1.0, 2.0, 3.0], count) if draw.random() < 0.5 else None for count in (n, m))
        reach = float(10.0 ** draw.integers(-3, 6)) if draw.random() < 0.3 else None
        metric = str(draw.choice(METRICS))
        assert divergence(x, y, a, b, p=draw.choice([1, 2, 3]), metric=metric, reach=reach).converged


class TestScales:
    """What rounding costs is in the interval, and a gap above the goal is never converged."""

    @pytest.mark.parametrize("k", [1e-3, 1e-9, 1e-12, 1e-100])
    def test_near_equal_clouds_of_equal_mass_whatever_the_reach(self, k):
        x, y, ones = np.array([[0.0, 0], [1, 0]]), np.array([[1.0, 1], [0, 2]]), np.ones(2)
        r = divergence(k * x, k * y, ones, ones, p=2, reach=1.0)
        # Where the reach is far beyond the points, all mass travels as it does without one.
        plain = divergence(x, y, p=2)
        assert r.converged and r.value == pytest.approx(2 * k**2 * plain.value, rel=1e-3)
        assert r.upper - r.lower <= 1e-4 * r.value

    @pytest.mark.parametrize("reach", [1e-300, 1e-20, 1e-3, 1e3, 1e20, 1e300])
    def test_unequal_masses_over_all_reaches(self, reach, rng):
        x, y, a, b = clouds_of(rng, n=6, m=5)
        r = divergence(x, y, a, b, reach=reach)
        assert r.converged and 0 < r.lower <= r.value <= r.upper
        if reach >= 1e20:  # what is missing is paid for, and nothing else counts
            paid = reach * (math.sqrt(a.sum()) - math.sqrt(b.sum())) ** 2
            assert r.value == pytest.approx(paid, rel=1e-12)

    @pytest.mark.parametrize("reach", [1e-12, 1e-6, 1e-2])
    @pytest.mark.parametrize("metric", ["angular", "cosine", "euclidean"])
    def test_gradients_in_the_weights_with_a_reach_far_below_eps(self, metric, reach, rng):
        x, y, a, b = clouds_of(rng, n=6, m=5)
        weights = torch.tensor(a, requires_grad=True)
        options = {"metric": metric, "reach": reach, "eps_abs": 0.3}
        (slope,) = torch.autograd.grad(divergence(x, y, weights, b, **options).value, weights)
        h = 1e-5
        for k in range(6):
            step = h * (np.arange(6) == k)
            up, down = (float(divergence(x, y, w, b, **options)) for w in (a + step, a - step))
            assert float(slope[k]) == pytest.approx((up - down) / (2 * h), abs=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize("reach", [None, 1.0])
    @pytest.mark.parametrize("eps", [1e-300, 1e-40, 1e-20, 1e-14, 1e12, 1e300])
    def test_an_eps_out_of_all_proportion_is_bounded_and_not_converged(self, eps, reach, rng):
        x, y, _, _ = clouds_of(rng, n=6, m=5)
        with pytest.warns(otdist.ConvergenceWarning):
            r = divergence(x, y, eps_abs=eps, reach=reach)
        assert not r.converged and -math.inf < r.lower <= r.value <= r.upper < math.inf

    def test_float64_says_what_it_cannot_prove(self, rng):
        x, y, _, _ = clouds_of(rng, n=6, m=5)
        x[0, 0] = 1e15
        with pytest.warns(otdist.ConvergenceWarning, match="float64 cannot prove"):
            assert not divergence(x, y, eps_abs=0.1).converged

    def test_costs_and_prices_beyond_float64_are_refused(self, rng):
        x, y, _, _ = clouds_of(rng, n=6, m=5)
        refused(divergence, "x", x * 1e307, y * 1e307, metric="sqeuclidean", says=("overflow",))
        refused(divergence, "x", x * 1e-200, y * 1e-200, p=2, says=("vanish",))
        refused(divergence, "reach", x, y, reach=1e200, p=2)
        refused(divergence, "reach", x, y, reach=1e-200, p=2)
        refused(divergence, "reach", x * 1e300, y, reach=1e-150)
        refused(divergence, "eps_abs", x * 1e300, y, eps_abs=1e-150)
        assert divergence(x * 1e307, y * 1e307).converged


class TestRelations:
    @pytest.mark.slow
    @s.examples(25)
    @given(s.laws(), st.sampled_from([1, 2]), st.sampled_from([None, 3.0]))
    def test_non_negative_symmetric_and_zero_between_equal_laws(self, law, p, reach):
        (x, a), (y, b) = law
        more = {"p": p, "reach": reach, "eps": 0.2, "max_iter": 20_000}
        r, back = ask(x, y, a, b, **more), ask(y, x, b, a, **more)
        assert r.converged and r.upper >= 0 and r.value >= -(r.upper - r.lower)
        slack = 1e-12 * abs(r.info["terms"]["xy"][0]) if "terms" in r.info else 0.0
        assert r.lower <= back.upper + slack and back.lower <= r.upper + slack
        order = np.arange(len(x))[::-1]
        same = ask(x, x[order], a, None if a is None else a[order], p=p, reach=reach)
        assert (same.value, same.lower, same.upper) == (0.0, 0.0, 0.0)

    @pytest.mark.slow
    @s.examples(30)
    @given(s.laws(), st.sampled_from([1, 2]), st.integers(-60, 60))
    def test_scale(self, law, p, k):
        (x, a), (y, b) = law
        plain, scaled = ask(x, y, a, b, p=p), ask(x * 2.0**k, y * 2.0**k, a, b, p=p)
        unit = 2.0 ** (k * p)
        slack = 1e-9 * unit * cdist(x, y).max() ** p
        assert scaled.value == pytest.approx(unit * plain.value, rel=1e-9, abs=slack)

    def test_a_shift_of_both_changes_nothing_and_of_one_is_a_lower_bound_for_p_2(self, rng):
        x, y, a, b = clouds_of(rng)
        r = divergence(x, y, a, b)
        assert divergence(x + 1024.0, y + 1024.0, a, b).value == pytest.approx(r.value, rel=1e-6)
        v = np.array([0.5, -2.0])
        # For squared distances a shift adds its square, whatever eps is (Feydy et al. 2019).
        moved = divergence(x, x + v, p=2, eps_abs=0.7, **SHARP)
        assert moved.value == pytest.approx(float(v @ v), rel=1e-9)

    def test_between_the_transport_cost_and_an_energy_distance(self, rng):
        x, y, _, _ = clouds_of(rng, n=30, m=30)
        sharp = divergence(x, y, eps=1e-3, max_iter=50_000, max_residual=1e-4)
        assert sharp.value == pytest.approx(otdist.w1(x, y).value, rel=1e-2)
        energy = cdist(x, y).mean() - cdist(x, x).mean() / 2 - cdist(y, y).mean() / 2
        assert divergence(x, y, eps=1e5).value == pytest.approx(energy, rel=1e-4)

    def test_zero_weights_are_absent_points_and_weights_are_repeats(self, rng):
        x, y, a, b = clouds_of(rng, n=12, m=9)
        a[3] = 0.0
        keep = a > 0
        r = divergence(x, y, a, b)
        assert r.value == pytest.approx(divergence(x[keep], y, a[keep], b).value, rel=1e-12)
        assert np.isfinite(r.potentials[0]).all()
        counts = np.arange(12) % 3 + 1
        assert divergence(np.repeat(x, counts, axis=0), y).value == pytest.approx(
            divergence(x, y, counts).value, rel=1e-5
        )

    def test_a_multiple_of_a_sample_is_not_itself_where_mass_counts(self, rng):
        x = rng.normal(size=(20, 2))
        r = divergence(x, x, np.full(20, 0.05), np.full(20, 0.1), reach=1.0)
        assert r.lower > 0

    @pytest.mark.slow
    def test_other_metrics_go_by_their_matrix(self, rng):
        x, y, a, b = clouds_of(rng, d=3, n=20, m=15)
        a, b = a / a.sum(), b / b.sum()
        r = divergence(x, y, a, b, metric="angular", eps_abs=0.3, **SHARP)
        cost = [otdist.metrics.NAMED["angular"].matrix(u, v) for u, v in ((x, y), (x, x), (y, y))]
        weighed = zip(cost, ((a, b), (a, a), (b, b)), strict=True)
        terms = [entropic(c, u, v, 0.3)[0] for c, (u, v) in weighed]
        true = terms[0] - (terms[1] + terms[2]) / 2
        assert r.value == pytest.approx(true, abs=1e-10)


class TestGradients:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            *({"metric": metric} for metric in ("euclidean", "cityblock", "chebyshev", "angular")),
            {"p": 2},
            {"p": 1.5},
            {"debias": False},
            {"reach": 1.0},
            {"reach": 1.0, "p": 2, "debias": False},
        ],
        ids=str,
    )
    def test_gradcheck(self, options, rng):
        x, y, a, b = clouds_of(rng, n=6, m=5)
        given = [torch.tensor(z, requires_grad=True) for z in (x, y, a, b)]

        def value(*tensors):
            return divergence(*tensors, eps_abs=0.3, **options, **SHARP).value

        assert torch.autograd.gradcheck(value, given, eps=1e-5, atol=1e-6)

    @pytest.mark.parametrize("p", [1, 2])
    def test_finite_and_downhill_at_coincident_points(self, p, rng):
        x, y, _, _ = clouds_of(rng, n=8, m=8)
        x[:3] = y[:3]
        x[3] = x[4]
        points = torch.tensor(x, requires_grad=True)
        r = divergence(points, y, p=p, eps_abs=0.2, **SHARP)
        (slope,) = torch.autograd.grad(r.value, points)
        assert torch.isfinite(slope).all()
        assert divergence(points.detach() - 1e-3 * slope, y, p=p, eps_abs=0.2, **SHARP).value < r.value
        (zero,) = torch.autograd.grad(divergence(points, points.detach()).value, points)
        assert torch.equal(zero, torch.zeros_like(points))

    def test_a_weight_of_zero_has_a_gradient_and_a_missing_row_has_none(self, rng):
        x, y, a, b = clouds_of(rng, n=6, m=5)
        a[1] = 0.0
        x[2] = np.nan
        points, weights = torch.tensor(x, requires_grad=True), torch.tensor(a, requires_grad=True)
        r = divergence(points, y, weights, b, eps_abs=0.3, nan_policy="omit", **SHARP)
        r.value.backward()
        assert r.info["omitted"] == (1, 0)
        assert torch.equal(points.grad[1:3], torch.zeros(2, 2)) and torch.isfinite(points.grad).all()
        assert np.isnan(r.potentials[0][2]) and weights.grad[1] != 0
        h = 1e-6
        keep = [0, 1, 3, 4, 5]
        up = a + h * (np.arange(6) == 1)
        change = [float(divergence(x[keep], y, w[keep], b, eps_abs=0.3, **SHARP)) for w in (up, a)]
        assert (change[0] - change[1]) / h == pytest.approx(float(weights.grad[1]), rel=1e-3)


class TestBatches:
    def test_a_batch_is_its_problems_one_by_one(self, rng):
        x, y = rng.normal(size=(3, 8, 2)), rng.normal(size=(3, 6, 2))
        a = rng.random((3, 8))
        batch = divergence(x, y, a)
        one_by_one = [divergence(*parts) for parts in zip(x, y, a, strict=True)]
        assert isinstance(batch, otdist.ResultBatch) and len(batch) == 3
        assert batch.value.tolist() == [r.value for r in one_by_one] == [r.value for r in batch]
        assert batch.lower.tolist() == [r.lower for r in one_by_one] and batch.converged.all()
        assert batch[1].upper == batch.upper[1] and len(batch[1:]) == 2 and str(batch).count("S_eps") == 3
        shared = divergence(x, y[0], a[0])
        assert shared.value[2] == divergence(x[2], y[0], a[0]).value
        refused(divergence, "x", x.tolist(), y[0])  # an array says what its axes are, a list may be a mistake

    def test_tensors_keep_their_gradient(self, rng):
        x = torch.tensor(rng.normal(size=(2, 7, 2)), requires_grad=True)
        y = torch.tensor(rng.normal(size=(2, 5, 2)))
        batch = divergence(x, y)
        batch.value.sum().backward()
        for k in range(2):
            one = x.detach()[k].clone().requires_grad_()
            divergence(one, y[k]).value.backward()
            assert torch.equal(one.grad, x.grad[k])

    def test_bad_batches_name_the_problem(self, rng):
        x, y = rng.normal(size=(3, 5, 2)), rng.normal(size=(2, 4, 2))
        refused(divergence, "y", x, y, says=(2, 3))
        x[1, 4, 0] = np.nan
        error = refused(divergence, "x", x, y[0], says=("row 4",))
        assert error.argument == "x[1]"
        refused(divergence, "x", np.empty((0, 4, 2)), y[0])


class TestArguments:
    @pytest.mark.parametrize("option", ["eps", "eps_abs", "reach", "max_residual", "max_iter", "max_seconds"])
    @pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "1", True])
    def test_options_that_are_not_positive_numbers_are_refused(self, option, value):
        if (option, value) in (("max_seconds", True), ("max_seconds", math.inf)):
            return
        refused(divergence, option, *samples(), **{option: value})

    def test_other_options_are_checked_as_everywhere(self):
        refused(divergence, "p", *samples(), p=0.5)
        refused(divergence, "metric", *samples(), metric="euclid")
        refused(divergence, "on_fail", *samples(), on_fail="ignore")
        refused(divergence, "mass", *samples(), mass="keep")
        refused(divergence, "x", [0.0, math.inf], [1.0], says=("row 1",))
        refused(divergence, "a", [0.0, 1.0], [1.0], [1.7e308, 1.7e308], reach=1.0)
        given = [torch.tensor(z, requires_grad=True) for z in samples(2)]
        with pytest.raises(otdist.InputError, match="gradient"):
            divergence(*given, metric=lambda u, v: float(np.abs(u - v).sum()))

    def test_missing_values_follow_the_policy(self):
        assert math.isnan(divergence([0.0, math.nan], [1.0], nan_policy="propagate").value)
        value = divergence([0.0, math.nan], [1.0], nan_policy="omit").value
        assert value == divergence([0.0], [1.0]).value

    def test_an_answer_survives_pickling(self, rng):
        r = divergence(*clouds_of(rng))
        twin = pickle.loads(pickle.dumps(r))
        assert str(twin) == str(r) and np.array_equal(twin.potentials[0], r.potentials[0])

    def test_nothing_warns_at_extreme_scales(self, rng):
        x, y, a, b = clouds_of(rng, n=10, m=8)
        plain = divergence(x, y, a, b).value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for k in (1e-290, 1e-100, 1e100, 1e290):
                assert divergence(k * x, k * y, a, b).value == pytest.approx(k * plain, rel=1e-6)
