"""Sliced distances: what must hold between them, W_p and the closed form on the line."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import ot
import pytest
import strategies as s
from cases import exact_line, refused, samples
from hypothesis import given
from hypothesis import strategies as st
from optional import torch
from scipy.special import gamma
from scipy.stats import ortho_group

import otdist
from otdist.solvers.sliced import sphere_ascent
from otdist.solvers.sliced.projections import normalize

ORDERS = [1, 1.5, 2, 3]
FAST = {"n_starts": 4, "max_iter": 100}
MAX = {"sliced": otdist.sliced_w1, "max": otdist.max_sliced_w1}
both = pytest.mark.parametrize("f", MAX.values(), ids=MAX)


def ask(f, x, y, a=None, b=None, **options):
    if len(x) == len(y) == 1 and a is None:
        a = [1.0]  # says that (1, d) is one point in d dimensions
    limits = FAST if f is otdist.max_sliced_w1 else {"n_projections": 30}
    return f(x, y, a, b, **{"rng": 0, **limits, **options})


def clouds_of(rng, d, n=60, m=50, shift=0.5):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    y[:, 0] += shift
    return x, y


def all_directions(count=4001):
    angles = np.linspace(0, math.pi, count)
    return np.column_stack([np.cos(angles), np.sin(angles)])


class TestLowerBounds:
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    @given(s.laws(), st.sampled_from(ORDERS))
    def test_sliced_below_max_sliced_below_the_distance_below_the_coupling(self, law, p):
        (x, a), (y, b) = law
        exact = otdist.wasserstein(x, y, [1.0] * len(x) if a is None else a, b, p=p)
        mean, most = ask(otdist.sliced_w1, x, y, a, b, p=p), ask(otdist.max_sliced_w1, x, y, a, b, p=p)
        for r in (mean, most):
            assert 0 <= r.lower <= r.value <= r.upper
            assert r.lower <= exact.upper
        assert mean.lower <= mean.info["at_least"] <= min(exact.upper, most.upper)
        assert exact.lower <= most.upper

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    @given(s.laws())
    def test_max_sliced_is_at_least_the_shift_of_the_mean(self, law):
        (x, a), (y, b) = law
        shift = np.linalg.norm(s.shares(a, len(x)) @ x - s.shares(b, len(y)) @ y)
        assert ask(otdist.max_sliced_w1, x, y, a, b).upper >= shift - s.tolerance(x, y)

    @pytest.mark.parametrize("p", ORDERS)
    @pytest.mark.parametrize("seed", range(6))
    def test_max_sliced_finds_the_maximum_in_the_plane(self, p, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(15, 2)), rng.normal(size=(11, 2)) * [1.0, 2.0]
        grid = otdist.sliced_w1(x, y, p=p, directions=all_directions())
        r = otdist.max_sliced_w1(x, y, p=p, rng=seed)
        assert r.converged and r.value >= grid.distances.max() * (1 - 1e-8)
        assert r.value <= grid.distances.max() * (1 + 1e-3)

    def test_max_sliced_beats_a_thousand_random_directions(self, rng):
        x, y = clouds_of(rng, 20, 300, 300)
        assert otdist.max_sliced_w1(x, y, rng=0).value > 1.2 * otdist.sliced_w1(x, y, rng=0).distances.max()

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_ascents_follow_kinks_to_their_maximum(self, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
        r = otdist.max_sliced_w1(x, y, p=2, rng=0)
        assert r.converged and np.ptp(r.distances[:6]) < 2e-6 * r.value

    def test_no_start_ends_lower_than_it_began(self, rng):
        from otdist.problem import Problem
        from otdist.solvers.sliced.projections import distances_along, normalize
        from otdist.solvers.sliced.sphere_ascent import ascend

        problem = Problem.of(*clouds_of(rng, 4), p=1.5)
        starts = normalize(rng.normal(size=(40, 4)))
        ends, _, rounds = ascend(problem, starts, 25)
        low, high = distances_along(problem, starts)[0], distances_along(problem, ends)[0]
        assert rounds <= 25 and (high >= low * (1 - 1e-14)).all()


class TestLine:
    @pytest.mark.slow
    @given(s.laws(d=1), st.sampled_from(ORDERS))
    def test_one_column_is_the_closed_form(self, law, p):
        (x, a), (y, b) = law
        exact = otdist.wasserstein(x, y, a, b, p=p)
        for f in MAX.values():
            r = ask(f, x, y, a, b, p=p)
            assert r.value == pytest.approx(exact.value, rel=1e-14, abs=s.tolerance(x, y) ** (1 / p))
            assert r.lower <= exact.upper and exact.lower <= r.upper and r.converged
            assert abs(r.directions).tolist() == [[1.0]]

    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2, 1.5])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("m", [3000, 2500])
    def test_every_distance_is_that_of_the_projections(self, p, weighted, m, rng):
        x, y = clouds_of(rng, 40, 3000, m)
        a, b = (rng.random(3000), rng.random(m)) if weighted else (None, None)
        r = otdist.sliced_w1(x, y, a, b, p=p, n_projections=150, rng=1)
        one_by_one = otdist.wasserstein_1d(r.directions @ x.T, r.directions @ y.T, a, b, p=p)
        np.testing.assert_allclose(r.distances, one_by_one, rtol=1e-11)
        assert r.value == pytest.approx((one_by_one**p).mean() ** (1 / p), rel=1e-12)
        assert r.gap < 1e-7

    @pytest.mark.slow
    @given(s.laws(d=2))
    def test_the_interval_holds_the_exact_rational_answer(self, law):
        (x, a), (y, b) = law
        if len(x) == len(y) == 1 and a is None:
            a = [1.0]
        r = otdist.sliced_w1(x, y, a, b, directions=[[3.0, 4.0]])
        along = [[3 * Fraction(u) + 4 * Fraction(v) for u, v in z.tolist()] for z in (x, y)]
        true = exact_line(*along, a, b) / 5
        assert Fraction(r.lower) <= true <= Fraction(r.upper)
        assert r.upper - r.lower <= 1e-12 * (1 + np.abs(x).max() + np.abs(y).max())

    @pytest.mark.parametrize("seed", range(5))
    def test_the_interval_holds_where_large_coordinates_cancel(self, seed):
        rng = np.random.default_rng(seed)
        x = rng.integers(-(2**30), 2**30, size=(40, 2)).astype(float)
        r = otdist.sliced_w1(x, x + np.array([2.0**-12, 0.0]), directions=[[3.0, 4.0]])
        assert Fraction(r.lower) <= Fraction(3, 5 * 2**12) <= Fraction(r.upper)
        assert r.lower > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(5))
    def test_the_interval_holds_where_weights_are_rounded(self, seed):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 64, size=200) + 2.0**40 * rng.integers(-1, 2, size=200)
        y, a, order = x + rng.integers(0, 2, size=200), rng.random(200), rng.permutation(200)
        true = exact_line(x, y, a, a)
        r = otdist.sliced_w1(x, y[order], a, a[order])
        assert Fraction(r.lower) <= true <= Fraction(r.upper) <= 2 * true


class TestShift:
    @pytest.mark.parametrize("d", [2, 7, 32])
    @pytest.mark.parametrize("p", ORDERS)
    def test_a_shift_is_its_length_along_its_direction_and_less_on_average(self, d, p, rng):
        x, v = rng.normal(size=(80, d)), rng.normal(size=d)
        length = np.linalg.norm(v)
        most = otdist.max_sliced_w1(x + v, x, p=p, rng=0)
        assert most.value == pytest.approx(length, rel=1e-9)
        np.testing.assert_allclose(most.direction, v / length, atol=1e-4)
        mean = otdist.sliced_w1(x + v, x, p=p, n_projections=4000, rng=0)
        np.testing.assert_allclose(mean.distances, abs(mean.directions @ v), rtol=1e-10)
        shrinkage = gamma(d / 2) * gamma((p + 1) / 2) / gamma(0.5) / gamma((d + p) / 2)
        assert mean.info["shrinkage"] == pytest.approx(shrinkage ** (1 / p), rel=1e-12)
        assert abs(mean.value - mean.info["shrinkage"] * length) < 4 * mean.info["stderr"]

    def test_the_upper_end_of_a_shift_along_an_axis_is_tight(self, rng):
        x = rng.normal(size=(50, 3))
        r = otdist.max_sliced_w1(x + np.array([0.0, 2.0, 0.0]), x, rng=0)
        assert r.gap < 1e-9

    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2])
    def test_the_standard_error_covers_the_mean_over_the_sphere(self, p, rng):
        x, v = rng.normal(size=(6, 4)), np.array([1.0, 0.0, 2.0, 0.0])
        runs = [otdist.sliced_w1(x, x + v, p=p, n_projections=100, rng=seed) for seed in range(600)]
        true = runs[0].info["shrinkage"] * np.linalg.norm(v)
        covered = np.mean([abs(r.value - true) < 1.96 * r.info["stderr"] for r in runs])
        assert 0.925 < covered < 0.975  # 2.5 standard errors around 0.95

    @pytest.mark.slow
    def test_the_standard_error_covers_the_mean_of_other_clouds_too(self, rng):
        x, y = clouds_of(rng, 3, 20, 15)
        true = otdist.sliced_w1(x, y, n_projections=200_000, rng=1).value
        runs = [otdist.sliced_w1(x, y, n_projections=100, rng=seed) for seed in range(600)]
        covered = np.mean([abs(r.value - true) < 1.96 * r.info["stderr"] for r in runs])
        assert 0.92 < covered < 0.98


class TestInvariances:
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    @both
    @given(law=s.laws(samples=1), p=st.sampled_from(ORDERS), random=st.randoms())
    def test_a_law_is_at_distance_exactly_zero_of_itself_in_any_order(self, f, law, p, random):
        (x, a) = law[0]
        order = list(range(len(x)))
        random.shuffle(order)
        r = ask(f, x, x[order], a, None if a is None else a[order], p=p)
        assert (r.value, r.lower, r.upper) == (0.0, 0.0, 0.0)

    @both
    def test_repeated_rows_are_at_distance_exactly_zero(self, f, rng):
        x = rng.normal(size=(101, 37))
        assert ask(f, x, np.repeat(x, 3, axis=0)).value == 0.0
        assert ask(f, x, np.repeat(x, 2, axis=0)[::-1], p=2).value == 0.0

    @pytest.mark.slow
    @both
    @given(law=s.laws(), p=st.sampled_from(ORDERS), k=st.integers(-60, 60))
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    def test_scale(self, f, law, p, k):
        (x, a), (y, b) = law
        scaled, plain = (ask(f, x * t, y * t, a, b, p=p) for t in (2.0**k, 1.0))
        tolerance = 1e-12 if f is otdist.sliced_w1 else 1e-3  # it may end at another local maximum
        assert scaled.value == pytest.approx(2.0**k * plain.value, rel=tolerance)

    @pytest.mark.slow
    @both
    @given(law=s.laws())
    @pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")
    def test_symmetry(self, f, law):
        (x, a), (y, b) = law
        there, back = ask(f, x, y, a, b), ask(f, y, x, b, a)
        if f is otdist.sliced_w1:
            assert there.value == pytest.approx(back.value, abs=s.tolerance(x, y))
        else:
            assert there.lower <= back.upper and back.lower <= there.upper

    @pytest.mark.parametrize("seed", range(5))
    def test_rotation(self, seed):
        rng = np.random.default_rng(seed)
        x, y = clouds_of(rng, 5, 200, 150)
        turn = ortho_group.rvs(5, random_state=seed)
        plain, turned = otdist.max_sliced_w1(x, y, rng=0), otdist.max_sliced_w1(x @ turn, y @ turn, rng=0)
        assert turned.value == pytest.approx(plain.value, rel=1e-4)
        same = otdist.sliced_w1(x @ turn, y @ turn, directions=plain.directions @ turn)
        np.testing.assert_allclose(same.distances, plain.distances, rtol=1e-10)

    @pytest.mark.slow
    @given(s.laws(d=3, samples=3))
    def test_the_triangle_inequality_holds_for_common_directions(self, laws):
        (x, a), (y, b), (z, c) = laws
        xy, yz, xz = (ask(otdist.sliced_w1, *q, p=2) for q in ((x, y, a, b), (y, z, b, c), (x, z, a, c)))
        assert xz.lower <= xy.upper + yz.upper + s.tolerance(x, y, z)

    @both
    def test_a_seed_fixes_the_answer_and_the_global_state_does_not(self, f, rng):
        x, y = clouds_of(rng, 4)
        np.random.seed(1)  # noqa: NPY002
        first = ask(f, x, y, rng=7)
        np.random.seed(2)  # noqa: NPY002
        second, third = ask(f, x, y, rng=np.random.default_rng(7)), ask(f, x, y, rng=8)
        assert first.value == second.value and np.array_equal(first.directions, second.directions)
        assert first.value != third.value or f is otdist.max_sliced_w1


class TestPeers:
    @pytest.mark.parametrize("p", ORDERS)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_pot_agrees_on_the_same_directions(self, p, weighted, rng):
        x, y = clouds_of(rng, 6)
        a, b = (s.shares(rng.random(len(z)), len(z)) if weighted else None for z in (x, y))
        r = otdist.sliced_w1(x, y, a, b, p=p, n_projections=70, rng=0)
        peer = ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=r.directions.T)  # rooted, too
        assert r.value == pytest.approx(float(peer), rel=1e-12)
        most = ot.max_sliced_wasserstein_distance(x, y, a, b, p=p, projections=r.directions.T)
        assert r.distances.max() == pytest.approx(float(most), rel=1e-12)
        assert otdist.max_sliced_w1(x, y, a, b, p=p, rng=0).value >= float(most)


class TestCertificates:
    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 2])
    def test_max_sliced_has_feasible_potentials_and_a_plan(self, p, rng):
        x, y = clouds_of(rng, 3)
        a, b = rng.random(len(x)), rng.random(len(y))
        a[3] = 0.0
        r = otdist.max_sliced_w1(x, y, a, b, p=p, rng=0)
        f, g = r.potentials
        a, b = a / a.sum(), b / b.sum()
        cost = np.linalg.norm(x[:, None] - y[None], axis=-1) ** p
        assert (f[:, None] + g[None] <= cost + 1e-12).all()
        assert a @ f + b @ g == pytest.approx(r.value**p, rel=1e-10)
        plan = r.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-15)
        np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-15)
        assert (plan * cost).sum() ** (1 / p) == pytest.approx(r.upper, rel=1e-9)

    @pytest.mark.slow
    def test_the_critic_proves_no_less_than_the_projection(self, rng):
        x, y = clouds_of(rng, 3)
        r, exact = otdist.max_sliced_w1(x, y, rng=0), otdist.w1(x, y)
        assert r.value - 1e-12 <= r.critic(x).mean() - r.critic(y).mean() <= exact.upper
        with pytest.raises(otdist.InputError):
            otdist.max_sliced_w1(x, y, p=2, rng=0).critic(x)

    def test_an_ascent_that_is_stopped_warns_and_is_a_lower_bound_all_the_same(self, rng):
        x, y = clouds_of(rng, 10)
        with pytest.warns(otdist.ConvergenceWarning, match="max_iter=2") as caught:
            r = otdist.max_sliced_w1(x, y, max_iter=2, rng=0)
        assert caught[0].filename == __file__
        assert not r.converged and r.lower <= otdist.w1(x, y).upper <= r.upper * (1 + 1e-12)

    @both
    def test_an_answer_survives_pickling_and_says_what_it_is(self, f, rng):
        r = ask(f, *clouds_of(rng, 3), p=2)
        twin = pickle.loads(pickle.dumps(r))
        assert str(twin) == str(r) and np.array_equal(twin.directions, r.directions)
        assert r.name == {"sliced": "SW2", "max-sliced": "max-SW2"}[r.method]
        assert str(r).startswith(r.name) and "direction" in str(r)
        assert r.to_dict()["name"] == r.name
        np.testing.assert_allclose(np.linalg.norm(r.directions, axis=1), 1.0, rtol=1e-15)
        assert r.direction.shape == (3,) and r.distances.shape == (len(r.directions),)


class TestDirections:
    @pytest.mark.parametrize("length", [3.0, 1e300, 5e-324])
    def test_their_length_does_not_count(self, length, rng):
        x, y = clouds_of(rng, 2)
        r = otdist.sliced_w1(x, y, directions=[[0.0, length], [length, 0.0]])
        assert r.value == otdist.sliced_w1(x, y, directions=np.eye(2)[::-1]).value
        assert r.info["stderr"] is None and r.info["n_projections"] == 2

    def test_one_direction_has_no_standard_error(self, rng):
        assert otdist.sliced_w1(*clouds_of(rng, 2), n_projections=1, rng=0).info["stderr"] is None

    @pytest.mark.parametrize(
        ("bad", "says"),
        [
            ([[1.0, 0.0, 0.0]], ("(1, 3)", 2)),
            ([1.0, 0.0], ("(2,)",)),
            (np.empty((0, 2)), ("(0, 2)",)),
            ([[1.0, 0.0], [0.0, 0.0]], (1, "zero")),
            ([[1.0, 0.0], [0.0, 1.0], [math.nan, 1.0]], (2,)),
            ([[math.inf, 0.0]], (0,)),
            ("ab", ()),
            (torch.ones((1, 2), requires_grad=True), ()),
        ],
        ids=["columns", "flat", "empty", "zero", "nan", "inf", "text", "gradient"],
    )
    def test_what_is_no_direction_is_refused(self, bad, says):
        refused(otdist.sliced_w1, "directions", *samples(2), directions=bad, says=says)

    @pytest.mark.parametrize("count", [0, -1, 2.5, None, "9", True, math.nan])
    def test_a_number_that_is_no_count_is_refused(self, count):
        refused(otdist.sliced_w1, "n_projections", *samples(2), n_projections=count)
        refused(otdist.max_sliced_w1, "n_starts", *samples(2), n_starts=count)
        refused(otdist.max_sliced_w1, "max_iter", *samples(2), max_iter=count)

    @both
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            *[("p", v) for v in (0.5, 0, -1, math.inf, math.nan, "2", None, True, 1j)],
            *[("rng", v) for v in (-1, "seed", 1.5)],
            *[("nan_policy", v) for v in ("drop", None)],
            *[("mass", v) for v in ("keep", None)],
        ],
    )
    def test_other_options_are_checked(self, f, option, value):
        refused(f, option, *samples(2), **{option: value})

    def test_more_directions_than_fit_are_refused_before_they_are_drawn(self):
        with pytest.raises(otdist.BudgetError, match="n_projections"):
            otdist.sliced_w1(*samples(2), n_projections=10**13)

    @both
    @pytest.mark.parametrize("p", [40, 200])
    @pytest.mark.parametrize("k", [-300, 0, 300])
    def test_high_orders_at_any_scale(self, f, p, k, rng):
        x, y = clouds_of(rng, 2, 9, 7)
        scaled, plain = ask(f, x * 2.0**k, y * 2.0**k, p=p), ask(f, x, y, p=p)
        assert math.ldexp(scaled.value, -k) == pytest.approx(plain.value, rel=1e-6)
        assert plain.lower <= otdist.wasserstein(x, y, p=p).upper and plain.value > 0


class TestAscentOfWhatIsZero:
    """Distances that are what rounding leaves of 0, with gradients of rounding errors."""

    @pytest.mark.parametrize("back", [1.0, 1 + 1e-12, 1e10])
    def test_a_gradient_to_the_origin_ends_an_ascent(self, monkeypatch, back):
        monkeypatch.setattr(
            sphere_ascent, "log_gradients", lambda _, theta: (np.full(len(theta), 1e-17), -back * theta)
        )
        starts = normalize(np.array([[3.0, 4.0], [1.0, 0.0], [1.0, 1e-8]]))
        theta, settled, _ = sphere_ascent.ascend(None, starts, 50)
        assert settled.all()
        np.testing.assert_array_equal(theta, starts)

    @pytest.mark.slow
    @given(seed=st.integers(0, 10**6))
    def test_gradients_of_any_noise_leave_directions_of_length_one(self, seed):
        rng = np.random.default_rng(seed)

        def noise(_, theta):
            size = 10.0 ** rng.integers(-3, 18, size=(len(theta), 1))
            kind = rng.integers(3, size=(len(theta), 1))
            rise = np.where(
                kind == 0, -theta, np.where(kind == 1, -size * theta, size * rng.normal(size=theta.shape))
            )
            return 1e-17 * rng.random(len(theta)), rise

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sphere_ascent, "log_gradients", noise)
            theta = sphere_ascent.ascend(None, normalize(rng.normal(size=(6, 2))), 30)[0]
        np.testing.assert_allclose(np.linalg.norm(theta, axis=1), 1.0)

    def test_a_zero_vector_has_no_direction(self):
        np.testing.assert_array_equal(normalize(np.array([[0.0, 0.0], [0.0, -2.0]])), [[0, 0], [0, -1]])
