"""Unbalanced and partial transport against exact answers: rational programmes and closed forms."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from cases import refused
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from optional import torch
from rational import _Flow
from strategies import examples

import otdist
from otdist import partial_w1, unbalanced_w1
from otdist.solvers.linear.exact_flow import exact_bound, exact_plan

seeds = st.integers(0, 2**32 - 1)


def exact_costs(x, y, p):
    """City-block distances to the power p, as fractions."""
    u, v = ([[Fraction(float(c)) for c in point] for point in z] for z in (x, y))
    return [[sum(abs(s - t) for s, t in zip(i, j, strict=True)) ** p for j in v] for i in u]


def programme(cost, a, b):
    """Optimum of a balanced transport problem in fractions."""
    unit = math.lcm(*(entry.denominator for row in cost for entry in row))
    grain = math.lcm(*(mass.denominator for mass in (*a, *b)))
    whole = [[int(entry * unit) for entry in row] for row in cost]
    value = _Flow(whole, [int(w * grain) for w in a], [int(w * grain) for w in b]).solve()
    return Fraction(value, unit * grain)


def at_price(cost, a, b, price):
    """Optimum where each unit that is left behind or created costs a price."""
    table = [[*(min(entry, 2 * price) for entry in row), price] for row in cost]
    return programme([*table, [*[price] * len(b), Fraction(0)]], [*a, sum(b)], [*b, sum(a)])


def of_mass(cost, a, b, moved):
    """Least cost at which a given mass travels."""
    top = max(max(row) for row in cost) + 1
    table = [[*row, Fraction(0)] for row in cost]
    return programme([*table, [*[Fraction(0)] * len(b), top]], [*a, sum(b) - moved], [*b, sum(a) - moved])


def fractions(w):
    return [Fraction(float(mass)) for mass in w]


def cloud(rng, count, d, kind):
    """Points of one kind: a lattice, scales over 24 orders, clusters, outliers, or plain."""
    if kind == "lattice":
        return rng.integers(-3, 4, (count, d)).astype(float)
    points = rng.normal(size=(count, d))
    if kind == "scales":
        return points * 10.0 ** rng.integers(-12, 12, (count, 1))
    if kind == "clusters":
        centres = 10.0 ** rng.integers(0, 12) * rng.integers(0, 3, (count, 1))
        return centres + points * 10.0 ** -rng.integers(1, 12)
    if kind == "outliers":
        points[rng.random(count) < 0.3] += 10.0 ** rng.integers(3, 17)
    return points


def masses(rng, count):
    kind = rng.integers(4)
    if kind == 0:
        return np.ones(count)
    if kind == 1:
        return rng.random(count) + 0.01
    return 10.0 ** rng.uniform(-15, 0, count) if kind == 2 else rng.integers(1, 5, count).astype(float)


class TestRationalProgrammes:
    """The proved interval holds the exact optimum, and is narrow."""

    @pytest.mark.slow
    @examples(150)
    @given(seeds, st.sampled_from(["lattice", "scales", "clusters", "outliers", "plain"]), st.integers(1, 3))
    def test_any_scale_of_points_masses_and_reach(self, seed, kind, p):
        rng = np.random.default_rng(seed)
        (n, m), d = rng.integers(1, 7, 2), rng.integers(1, 3)
        x, y, a, b = cloud(rng, n, d, kind), cloud(rng, m, d, kind), masses(rng, n), masses(rng, m)
        if rng.random() < 0.2 and n == m:
            b = rng.permutation(a)
        cost, left, right = exact_costs(x, y, p), fractions(a), fractions(b)
        options = {"p": p, "metric": "cityblock"}
        reach = float(10.0 ** rng.uniform(-15, 17))
        r = unbalanced_w1(x, y, a, b, reach=reach, **options)
        self.check(r, at_price(cost, left, right, Fraction(reach) ** p))
        most = min(sum(left), sum(right))
        moved = float(most) * rng.random()
        self.check(
            partial_w1(x, y, a, b, moved=moved, **options), of_mass(cost, left, right, Fraction(moved))
        )
        self.check(partial_w1(x, y, a, b, **options), of_mass(cost, left, right, most))

    def check(self, r, true):
        assert Fraction(r.lower) <= true <= Fraction(r.upper) and r.lower <= r.value <= r.upper
        assert r.converged and r.upper - r.lower <= 1e-9 * r.upper

    @examples(25)
    @given(seeds)
    def test_masses_without_weights_are_equal_shares(self, seed):
        rng = np.random.default_rng(seed)
        (n, m), p = rng.integers(2, 7, 2), int(rng.integers(1, 3))
        x, y = cloud(rng, n, 2, "plain"), cloud(rng, m, 2, "plain")
        cost = exact_costs(x, y, p)
        true = at_price(cost, [Fraction(1, int(n))] * n, [Fraction(1, int(m))] * m, Fraction(0.5) ** p)
        self.check(unbalanced_w1(x, y, reach=0.5, p=p, metric="cityblock"), true)


class TestScales:
    @pytest.mark.parametrize("far", [1e3, 1e9, 1e12, 1e15, 1e100])
    def test_an_outlier_that_stays_does_not_cost_digits(self, far):
        r = partial_w1([0.0, 1.0, far], [0.5, 1.5], [1, 1, 1], [1, 1])
        assert r.converged and r.value == 1.0 and r.upper - r.lower <= 1e-13

    def test_an_outlier_that_has_to_travel_does(self):
        # 0.1 + 0.7 is a little less than 0.8: the rest of the mass comes from far away.
        missing = Fraction(0.8) - Fraction(0.1) - Fraction(0.7)
        assert missing > 0
        true = Fraction(0.1) + Fraction(0.7) + missing * Fraction(1e15)
        r = partial_w1([0.0, 0.0, 1e15], [1.0], [0.1, 0.7, 1.0], [0.8])
        assert Fraction(r.lower) <= true <= Fraction(r.upper) and r.converged
        assert r.value == pytest.approx(float(true), rel=1e-12)

    @pytest.mark.parametrize("reach", [1e-3, 1e6, 1e100, 1e300])
    def test_a_reach_far_beyond_the_points(self, reach):
        r = unbalanced_w1([0.0, 1e-9], [1e-12, 1e-9], [1, 1], [1, 1], reach=reach)
        assert r.converged and r.value == pytest.approx(1e-12, rel=1e-14) and r.gap <= 1e-13

    def test_a_price_beyond_all_costs_is_paid_for_what_is_over(self):
        r = unbalanced_w1([0.0, 1e-9], [1e-12, 1e-9], [1, 1], [1, 1.5], reach=1e300)
        assert r.converged and r.value == pytest.approx(0.5e300, rel=1e-14)

    def test_potentials_prove_it_where_all_mass_travels(self, rng):
        x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
        for a, b in ((np.full(6, 0.5), np.full(5, 0.2)), (np.full(6, 0.1), np.full(5, 0.9))):
            r = unbalanced_w1(x, y, a, b, reach=100.0)
            f, g = r.potentials
            assert max(f.max(), g.max()) <= 100.0 and a @ f + b @ g == pytest.approx(r.value, rel=1e-12)

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    def test_the_same_mass_everywhere_costs_nothing(self, penalty, rng):
        x, a = rng.normal(size=(6, 2)), rng.random(6)
        order = rng.permutation(6)
        r = unbalanced_w1(x, x[order], a, a[order], reach=0.5, p=2, penalty=penalty)
        assert (r.value, r.lower, r.upper, r.converged) == (0.0, 0.0, 0.0, True)

    def test_what_float64_cannot_prove_is_not_converged(self):
        with pytest.warns(otdist.ConvergenceWarning, match="float64 cannot prove"):
            r = unbalanced_w1([[1.0, 0.0]], [[1.0, 1e-15]], [1.0], [1.0], reach=1.0, metric="angular")
        assert not r.converged and r.lower <= 1e-15 <= r.upper

    def test_costs_and_prices_beyond_float64_are_refused(self, rng):
        x = rng.normal(size=(3, 2))
        for penalty in ("tv", "kl"):
            refused(unbalanced_w1, "reach", x, x + 1, reach=1e160, p=2, penalty=penalty)
            refused(unbalanced_w1, "reach", x, x + 1, reach=1e-170, p=2, penalty=penalty)
            refused(unbalanced_w1, "x", x * 1e200, x, reach=1.0, p=2, penalty=penalty)
        refused(partial_w1, "x", x * 1e200, x, p=2)

    @pytest.mark.parametrize("penalty", ["tv", "kl"])
    def test_a_reach_that_vanishes_beside_the_points_is_refused(self, penalty, rng):
        # 1e-450 of the costs: as 0 it would make mass free, whatever it costs.
        x = rng.normal(size=(3, 2))
        refused(unbalanced_w1, "reach", x * 1e300, x, reach=1e-150, penalty=penalty)
        r = unbalanced_w1(x * 1e100, x, reach=1e-150, penalty=penalty)
        assert r.converged and r.value == pytest.approx(2e-150, rel=1e-9)


class TestWithoutRounding:
    def test_a_plan_meets_masses_that_float64_sums_do_not(self):
        a = [Fraction(0.1), Fraction(0.2), Fraction(1, 3)]
        b = [Fraction(0.1) + Fraction(0.2), Fraction(1, 3)]
        cost = np.array([[1.0, 5.0], [2.0, 5.0], [5.0, 1.0]])
        rows, cols, mass = exact_plan(cost, np.array([0, 1, 2]), np.array([0, 0, 1]), a, b)
        assert rows.tolist() == [0, 1, 2] and cols.tolist() == [0, 0, 1]
        assert mass.tolist() == [0.1, 0.2, 1 / 3]

    def test_parts_that_do_not_balance_are_joined(self):
        a, b = (
            [Fraction(1), Fraction(2)],
            [Fraction(1) + Fraction(1, 2**60), Fraction(2) - Fraction(1, 2**60)],
        )
        rows, cols, mass = exact_plan(np.array([[0.0, 3], [7, 0]]), np.array([0, 1]), np.array([0, 1]), a, b)
        assert dict(zip(zip(rows.tolist(), cols.tolist(), strict=True), mass.tolist(), strict=True)) == {
            (0, 0): 1.0,
            (1, 0): 2.0**-60,
            (1, 1): 2.0,
        }

    def test_cycles_and_negative_masses_are_not_plans(self):
        one, cost = Fraction(1), np.ones((2, 2))
        square = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        assert exact_plan(cost, *square, [one, one], [one, one]) is None
        path = np.array([0, 0, 1]), np.array([0, 1, 1])
        assert exact_plan(cost, *path, [one, 3 * one], [2 * one, 2 * one]) is None

    @examples(50)
    @given(seeds)
    def test_a_bound_of_any_forest_lies_below_the_optimum(self, seed):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(1, 5, 2)
        cost = 10.0 ** rng.uniform(-12, 12, (n, m))
        a, b = fractions(rng.random(n)), fractions(rng.random(m))
        b = [mass * sum(a) / sum(b) for mass in b]
        true = programme([fractions(row) for row in cost], a, b)
        cells = np.arange(n), rng.integers(0, m, n), np.ones(n)
        assert Fraction(exact_bound(cost, cells, a, b, rng.normal(size=m))) <= true


class TestRelativeEntropy:
    @pytest.mark.slow
    @examples(60)
    @given(seeds)
    def test_pairs_that_are_far_apart_have_a_closed_form(self, seed):
        # One pair of masses a and b at distance t: r = sqrt(a b) exp(-c / 2 rho) of it travels.
        rng, mp.dps = np.random.default_rng(seed), 60
        n, p, reach = int(rng.integers(1, 5)), int(rng.integers(1, 3)), 10.0 ** rng.uniform(-15, 15)
        t = reach * 10.0 ** rng.uniform(-12, 0.5, n)
        a, b = (10.0 ** rng.uniform(-rng.choice([0, 3, 7]), 0, n) for _ in range(2))
        b = a.copy() if rng.random() < 0.3 else b
        at = np.arange(n) * reach * 1e3
        rho, true = mpf(reach) ** p, mpf(0)
        for left, right, far in zip(map(mpf, a), map(mpf, b), map(mpf, t), strict=True):
            stays = (mp.sqrt(left) - mp.sqrt(right)) ** 2
            true += rho * (stays - 2 * mp.sqrt(left * right) * mp.expm1(-(far**p) / (2 * rho)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", otdist.ConvergenceWarning)
            x, y = np.column_stack([at, 0 * t]), np.column_stack([at, t])
            r = unbalanced_w1(x, y, a, b, reach=reach, p=p, penalty="kl")
        assert mpf(r.lower) <= true <= mpf(r.upper) and r.value == r.upper
        assert r.converged == (r.upper - r.lower <= 0.01 * r.upper)
        assert r.gap <= 0.1

    @pytest.mark.parametrize("reach", [1e3, 1e6, 1e100, 1e300])
    def test_a_reach_far_beyond_the_points(self, reach):
        x, y = [[0.0, 0], [1e-9, 0]], [[1e-9, 1e-9], [0, 2e-9]]
        p = 2 if reach < 1e150 else 1
        r = unbalanced_w1(x, y, [1.0, 1.0], [1.0, 1.0], reach=reach, p=p, penalty="kl")
        true = 2 * otdist.wasserstein(x, y, p=p).value ** p
        assert r.converged and r.value == pytest.approx(true, rel=1e-6) and r.gap <= 1e-6

    def test_unequal_totals_and_a_far_reach(self, rng):
        x, y, a, b = rng.normal(size=(6, 2)), rng.normal(size=(5, 2)), rng.random(6), rng.random(5)
        for reach in (1e3, 1e20, 1e300):
            r = unbalanced_w1(x, y, a, b, reach=reach, penalty="kl")
            missed = reach * (math.sqrt(a.sum()) - math.sqrt(b.sum())) ** 2
            moved = math.sqrt(a.sum() * b.sum()) * otdist.w1(x, y, a, b).value
            assert r.converged and r.value == pytest.approx(missed + moved, rel=1e-3)

    def test_plan_potentials_and_gradient_where_the_marginals_are_solved_for(self, rng):
        x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2))
        a, b, rho = rng.random(6) + 0.1, rng.random(5) + 0.1, 1e4
        points = torch.tensor(x, requires_grad=True)
        r = unbalanced_w1(points, y, a, b, reach=rho, penalty="kl", tol=1e-6)
        assert r.converged and r.method == "dense"
        plan, (f, g) = r.plan.toarray(), r.potentials
        cost = np.linalg.norm(x[:, None] - y, axis=2)

        def missed(carried, weights):
            return (carried * np.log(carried / weights) - carried + weights).sum()

        paid = (plan * cost).sum() + rho * (missed(plan.sum(1), a) + missed(plan.sum(0), b))
        assert paid == pytest.approx(r.upper, rel=1e-8)
        assert (f[:, None] + g <= cost + 1e-9).all()
        assert rho * (a @ -np.expm1(-f / rho) + b @ -np.expm1(-g / rho)) >= r.lower * (1 - 1e-9)
        (slope,) = torch.autograd.grad(r.value, points)
        step = 1e-3 * slope / slope.norm()
        up, down = (
            float(unbalanced_w1(z, y, a, b, reach=rho, penalty="kl", tol=1e-6))
            for z in ((points + step).detach(), (points - step).detach())
        )
        assert up - down == pytest.approx(float((2 * step * slope).sum()), rel=0.02)
