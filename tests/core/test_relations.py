"""What must hold between answers, whatever the numbers are."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import strategies as s
from hypothesis import assume, given
from hypothesis import strategies as st

import otdist
from otdist import metrics

NAMED = ["euclidean", "cityblock", "chebyshev"]
ORDERS = [1, 1.5, 2, 3]


def w(x, y, a=None, b=None, p=1, **options):
    if len(x) == len(y) == 1 and a is None:
        a = [1.0]  # says that (1, d) is one point in d dimensions
    return otdist.wasserstein(x, y, a, b, p=p, **options)


class TestAxioms:
    @given(s.laws(samples=1), st.sampled_from(ORDERS), st.randoms())
    def test_a_law_is_at_distance_exactly_zero_of_itself_in_any_order(self, law, p, random):
        (x, a) = law[0]
        order = list(range(len(x)))
        random.shuffle(order)
        r = w(x, x[order], a, None if a is None else a[order], p)
        assert (r.value, r.lower, r.upper) == (0.0, 0.0, 0.0)

    @given(s.laws(), st.sampled_from(ORDERS), st.sampled_from(NAMED))
    def test_symmetry(self, law, p, metric):
        (x, a), (y, b) = law
        there, back = w(x, y, a, b, p, metric=metric), w(y, x, b, a, p, metric=metric)
        assert there.lower <= back.upper and back.lower <= there.upper
        assert float(there) == pytest.approx(float(back), abs=s.tolerance(x, y) ** (1 / p))

    @given(s.laws(samples=3), st.sampled_from(ORDERS), st.sampled_from(NAMED))
    def test_triangle_inequality(self, law, p, metric):
        (x, a), (y, b), (z, c) = law
        direct = w(x, z, a, c, p, metric=metric)
        detour = w(x, y, a, b, p, metric=metric).upper + w(y, z, b, c, p, metric=metric).upper
        assert direct.lower <= detour + s.tolerance(x, y, z)

    @given(s.laws(), st.sampled_from(NAMED))
    def test_different_laws_are_apart(self, law, metric):
        (x, a), (y, b) = law
        places = {tuple(point) for point in np.concatenate([x, y]) + 0.0}
        mass = [
            {place: s.shares(v, len(q))[(q + 0.0 == place).all(axis=1)].sum() for place in places}
            for q, v in ((x, a), (y, b))
        ]
        assume(max(abs(mass[0][place] - mass[1][place]) for place in places) > 1e-9)
        assert w(x, y, a, b, metric=metric).lower > 0


class TestInvariances:
    @given(s.laws(), st.sampled_from(ORDERS), st.integers(-60, 60))
    def test_scale(self, law, p, k):
        (x, a), (y, b) = law
        assert float(w(x * 2.0**k, y * 2.0**k, a, b, p)) == pytest.approx(
            2.0**k * float(w(x, y, a, b, p)), rel=1e-12
        )

    @given(s.laws(), st.sampled_from(ORDERS))
    def test_shift(self, law, p):
        (x, a), (y, b) = law
        moved = w(x + 1024.0, y + 1024.0, a, b, p)  # rounds the coordinates to 1e-13
        assert float(moved) == pytest.approx(float(w(x, y, a, b, p)), abs=1e-9)

    @given(s.laws(d=2), st.floats(0, 6.28))
    def test_rotation(self, law, angle):
        (x, a), (y, b) = law
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert float(w(x @ turn, y @ turn, a, b)) == pytest.approx(float(w(x, y, a, b)), abs=1e-9)

    @pytest.mark.slow
    @given(s.clouds(), st.integers(0, 7))
    def test_a_zero_weight_is_an_absent_point(self, points, extra):
        x, y = points
        a = np.append(np.ones(len(x)), 0.0)
        with_ghost = np.concatenate([x, y[[extra % len(y)]]])
        assert w(with_ghost, y, a).value == w(x, y).value

    @given(s.clouds(), st.data())
    def test_a_whole_weight_is_that_many_repeats(self, points, data):
        x, y = points
        counts = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(x), max_size=len(x))))
        assert float(w(np.repeat(x, counts, axis=0), y)) == pytest.approx(
            float(w(x, y, counts)), abs=s.tolerance(x, y)
        )

    @given(s.clouds(samples=1), st.integers(1, 7))
    def test_repeating_every_point_changes_nothing_at_all(self, points, times):
        (x,) = points
        assert w(x, np.repeat(x, times, axis=0)).value == 0.0

    @given(s.laws(), st.randoms())
    def test_order_of_the_rows(self, law, random):
        (x, a), (y, b) = law
        order = list(range(len(x)))
        random.shuffle(order)
        shuffled = w(x[order], y, None if a is None else a[order], b)
        assert float(shuffled) == pytest.approx(float(w(x, y, a, b)), abs=s.tolerance(x, y))

    @given(s.laws(samples=3), st.integers(0, 9).map(lambda k: k / 10))
    def test_common_mass_does_not_travel(self, law, t):
        (x, a), (y, b), (z, c) = law
        a, b, c = s.shares(a, len(x)), s.shares(b, len(y)), s.shares(c, len(z))
        mixed = w(
            np.concatenate([x, z]),
            np.concatenate([y, z]),
            np.concatenate([(1 - t) * a, t * c]),
            np.concatenate([(1 - t) * b, t * c]),
        )
        assert float(mixed) == pytest.approx((1 - t) * float(w(x, y, a, b)), abs=s.tolerance(x, y, z))


class TestBounds:
    @given(s.laws(), st.sampled_from(NAMED))
    def test_between_the_shift_of_the_mean_and_the_independent_coupling(self, law, metric):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        difference = a @ x - b @ y
        norm = {"euclidean": 2, "cityblock": 1, "chebyshev": np.inf}[metric]
        r = w(x, y, a, b, metric=metric)
        independent = a @ metrics.NAMED[metric].matrix(x, y) @ b
        slack = s.tolerance(x, y)
        assert np.linalg.norm(difference, norm) - slack <= r.upper
        assert r.lower <= independent + slack

    @given(s.laws())
    def test_at_most_diameter_times_total_variation(self, law):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        points = np.concatenate([x, y]) + 0.0
        _, where = np.unique(points, axis=0, return_inverse=True)
        variation = np.abs(np.bincount(where.ravel(), np.concatenate([a, -b]))).sum() / 2
        assert w(x, y, a, b).lower <= s.diameter(x, y) * variation + s.tolerance(x, y)

    @given(s.laws())
    def test_orders_increase(self, law):
        (x, a), (y, b) = law
        answers = [w(x, y, a, b, p) for p in ORDERS]
        for low, high in itertools.pairwise(answers):
            assert low.lower <= high.upper + s.tolerance(x, y)

    @given(s.laws(d=2), st.floats(0, 6.28))
    def test_projections_are_shorter(self, law, angle):
        (x, a), (y, b) = law
        direction = np.array([np.cos(angle), np.sin(angle)])
        assert w(x @ direction, y @ direction, a, b).lower <= w(x, y, a, b).upper + s.tolerance(x, y)

    @pytest.mark.slow
    @given(s.laws(samples=4), st.integers(0, 10).map(lambda k: k / 10))
    def test_convexity_in_the_weights(self, law, t):
        (x, a), (y, b), (u, c), (v, e) = law
        a, b, c, e = (s.shares(q, len(p)) for p, q in law)
        first, second = [np.append((1 - t) * p, t * q) for p, q in ((a, c), (b, e))]
        try:
            mixed = w(np.concatenate([x, u]), np.concatenate([y, v]), first, second)
        except (ValueError, otdist.InputError):
            assume(False)
        bound = (1 - t) * w(x, y, a, b).upper + t * w(u, v, c, e).upper
        assert mixed.lower <= bound + s.tolerance(x, y, u, v)


class TestMethodsAgree:
    @given(s.laws(d=1), st.sampled_from(ORDERS))
    def test_line_and_linear_programme(self, law, p):
        (x, a), (y, b) = law
        line, dense = w(x, y, a, b, p), w(x, y, a, b, p, method="dense")
        assert (line.method, dense.method) == ("line", "dense")
        # Each interval holds the truth, so they meet; and both are narrow.
        assert line.lower <= dense.upper and dense.lower <= line.upper
        assert line.upper - line.lower <= 1e-6 + 1e-9 * line.upper
        assert dense.converged

    @given(s.laws(d=1), st.sampled_from(ORDERS), st.sampled_from([1.0, 7.0, 360.0]))
    def test_circle_and_linear_programme(self, law, p, period):
        (x, a), (y, b) = law
        wheel = metrics.periodic(period)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)  # as below
            circle, dense = w(x, y, a, b, p, metric=wheel), w(x, y, a, b, p, metric=wheel, method="dense")
        assert circle.method == "circle"
        slack = (1e-12 * period**p) ** (1 / p)  # masses and remainders round to 1e-16
        assert circle.lower <= dense.upper + slack and dense.lower <= circle.upper + slack
        assert abs(float(circle) ** p - float(dense) ** p) <= 1e-14 * period**p + 1e-12

    @given(s.laws(d=1), st.floats(-400, 400))
    def test_the_circle_has_no_beginning(self, law, turn):
        (x, a), (y, b) = law
        wheel = metrics.periodic(360.0)
        assert float(w(x + turn, y + turn, a, b, metric=wheel)) == pytest.approx(
            float(w(x, y, a, b, metric=wheel)), abs=1e-9
        )

    @given(s.laws(d=1), st.sampled_from(ORDERS))
    def test_a_circle_is_no_longer_than_the_line(self, law, p):
        (x, a), (y, b) = law
        with warnings.catch_warnings():
            # A circle of 1000 around points of extent 8: weights that were rounded may go around.
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)
            circle, line = w(x, y, a, b, p, metric=metrics.periodic(1000.0)), w(x, y, a, b, p)
        assert circle.lower <= line.upper and line.lower <= circle.upper
        assert abs(float(circle) ** p - float(line) ** p) <= 1e-14 * 1000.0**p  # mass 1e-14, once around

    @given(s.laws(d=1), st.sampled_from(ORDERS))
    def test_one_pair_of_a_batch(self, law, p):
        (x, a), (y, b) = law
        single = otdist.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=p)
        assert single == pytest.approx(float(w(x, y, a, b, p)), abs=s.tolerance(x, y) ** (1 / p))


class TestCertificates:
    @given(s.laws(), st.sampled_from(ORDERS), st.sampled_from(["auto", "dense"]))
    def test_the_plan_has_the_marginals_and_costs_the_value(self, law, p, method):
        (x, a), (y, b) = law
        r = w(x, y, a, b, p, method=method)
        plan = r.plan.toarray()
        np.testing.assert_allclose(plan.sum(axis=1), s.shares(a, len(x)), atol=1e-14)
        np.testing.assert_allclose(plan.sum(axis=0), s.shares(b, len(y)), atol=1e-14)
        assert plan.min() >= 0
        cost = metrics.NAMED["euclidean"].matrix(x, y) ** p
        assert (plan * cost).sum() == pytest.approx(float(r) ** p, abs=1e-11 * (1 + cost.max()))

    @given(s.laws(), st.sampled_from(ORDERS), st.sampled_from(["auto", "dense"]))
    def test_the_potentials_are_feasible_and_tight(self, law, p, method):
        (x, a), (y, b) = law
        r = w(x, y, a, b, p, method=method)
        f, g = r.potentials
        cost = metrics.NAMED["euclidean"].matrix(x, y) ** p
        slack = 1e-11 * (1 + cost.max())
        assert (f[:, None] + g <= cost + slack).all()
        dual = s.shares(a, len(x)) @ f + s.shares(b, len(y)) @ g
        assert dual == pytest.approx(float(r) ** p, abs=slack)

    @given(s.laws(), st.sampled_from(["auto", "dense"]))
    def test_the_critic_is_a_witness(self, law, method):
        (x, a), (y, b) = law
        r = w(x, y, a, b, method=method)
        points = np.concatenate([x, y])
        phi = r.critic(points)
        steps = np.abs(phi[:, None] - phi)
        assert (steps <= metrics.NAMED["euclidean"].matrix(points, points) + s.tolerance(x, y)).all()
        gain = s.shares(a, len(x)) @ phi[: len(x)] - s.shares(b, len(y)) @ phi[len(x) :]
        assert gain == pytest.approx(float(r), abs=s.tolerance(x, y))

    @given(s.laws(d=2), st.integers(1, 12))
    def test_a_stopped_solver_still_holds_the_truth_between_its_bounds(self, law, pivots):
        (x, a), (y, b) = law
        truth = w(x, y, a, b)
        solver = otdist.solvers.Dense(max_iter=pivots)
        a = np.ones(len(x)) if a is None else a
        r = solver(otdist.problem.Problem.of(x, y, a, b))
        slack = s.tolerance(x, y)
        assert r.lower <= truth.upper + slack and truth.lower <= r.upper + slack
        assert r.converged or r.message
