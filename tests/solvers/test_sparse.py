"""The sparse solver against the dense one, HiGHS and exact arithmetic, on many small problems."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import partial
from unittest import mock

import cases
import instances
import numpy as np
import oracles
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import otdist
from otdist import metrics
from otdist.solvers.entropic import warm_start
from otdist.solvers.sparse import multiscale

W2 = partial(otdist.wasserstein, p=2)
BASES = st.sampled_from([1, 2, 3, 4, 64])


def gower(u, v):
    return float(np.abs(u - v).sum() / (1 + np.abs(u).max() + np.abs(v).max()))


def entries(r):
    return *r.plan.coords, r.plan.data


QUESTIONS = {
    **{name: partial(otdist.w1, metric=name) for name in instances.KERNELS},
    "W2": W2,
    "W3": partial(otdist.wasserstein, p=3),
    "W2 cityblock": partial(otdist.wasserstein, p=2, metric="cityblock"),
    "minkowski": partial(otdist.w1, metric=metrics.minkowski(3)),
    "torus": partial(otdist.w1, metric=metrics.periodic([7.0, *[None] * 2])),
}


class TestAgainstDense:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", [*instances.KERNELS, "W2"])
    @pytest.mark.parametrize("seed", range(8))
    def test_small_problems_through_many_levels(self, name, seed):
        rng = np.random.default_rng([seed, len(name)])
        for _ in range(50):
            n, m = rng.integers(1, 28, 2)
            with instances.base(int(rng.choice([1, 2, 3, 4, 8, 64]))):
                instances.both(QUESTIONS[name], *instances.law(rng, n, m))

    @pytest.mark.parametrize("name", [*instances.KERNELS, "W2"])
    def test_problems_with_a_hierarchy_of_their_own(self, name):
        rng = np.random.default_rng(len(name))
        for n, m in ((65, 65), (64, 65), (65, 3), (129, 300), (257, 256), (400, 90)):
            instances.both(QUESTIONS[name], *instances.law(rng, n, m))

    @given(s.laws(), st.sampled_from([*instances.KERNELS, "W2", "W3", "W2 cityblock", "minkowski"]), BASES)
    def test_any_small_law(self, law, name, base):
        (x, a), (y, b) = law
        if len(x) == len(y) == 1:
            a = np.ones(1) if a is None else a
        with instances.base(base):
            instances.both(QUESTIONS[name], x, y, a, b)

    @pytest.mark.parametrize("name", ["minkowski", "W3", "W2 cityblock", "torus"])
    def test_metrics_without_a_kernel_are_searched_as_a_matrix(self, name, rng):
        for n, m in ((5, 9), (40, 30), (90, 130)):
            with instances.base(8):
                x, y, a, b = instances.law(rng, n, m, 3)
                instances.both(QUESTIONS[name], x % 50, y % 50, a, b)

    @pytest.mark.parametrize("metric", ["angular", "cosine", gower])
    def test_directions_and_functions(self, metric, rng):
        for n, m in ((5, 9), (30, 40)):
            x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
            with instances.base(4):
                instances.both(otdist.w1, x, y, rng.random(n), rng.random(m), metric=metric)

    def test_a_function_is_not_taken_for_the_metric_whose_name_it_has(self, rng):
        def euclidean(u, v):
            return 3.0 * abs(u - v).sum()

        x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
        assert instances.both(otdist.w1, x, y, metric=euclidean).value == pytest.approx(
            3 * otdist.w1(x, y, metric="cityblock").value, rel=1e-12
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_cost_matrices(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            n, m = rng.integers(1, 30, 2)
            kind = rng.integers(4)
            cost = rng.random((n, m)) if kind else rng.integers(0, 4, (n, m)).astype(float)
            if kind == 2:
                cost = cost * 10.0 ** rng.integers(-2, 3, (n, m))
            if kind == 3:
                cost = np.where(rng.random((n, m)) < 0.3, 1e4, cost)
            weights = (instances.weights(rng, rng.choice(instances.WEIGHTS), k) for k in (n, m))
            with instances.base(int(rng.choice([1, 3, 64]))):
                instances.both(otdist.emd, cost, *weights)

    def test_cost_matrices_with_a_hierarchy_of_their_own(self, rng):
        for n, m in ((65, 65), (200, 70), (3, 300), (150, 1), (260, 257)):
            instances.both(otdist.emd, rng.random((n, m)) ** 4, rng.random(n), rng.random(m))

    @pytest.mark.parametrize("scale", [1e-300, 1e-15, 1e15, 1e300])
    def test_cost_matrices_of_any_scale(self, scale, rng):
        cost = rng.random((80, 70))
        r = instances.both(otdist.emd, cost * scale)
        assert r.value == pytest.approx(otdist.emd(cost).value * scale, rel=1e-12)


class TestAgainstHiGHS:
    @pytest.mark.slow
    @given(s.laws(), st.sampled_from([*instances.KERNELS, "W2"]), BASES)
    def test_highs_lies_in_the_interval(self, law, name, base):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        power, metric = (2, "euclidean") if name == "W2" else (1, name)
        cost = cdist(x, y, metric) ** power
        with instances.base(base):
            r = QUESTIONS[name](x, y, a, b, method="sparse")
        slack = 1e-7 * (cost.max() + 1e-300)  # HiGHS meets its constraints to 1e-7
        assert r.lower**power - slack <= oracles.highs(cost, a, b) <= r.upper**power + slack
        assert r.gap <= 1e-9

    @pytest.mark.parametrize("seed", range(5))
    def test_larger_matrices(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(8):
            n, m = rng.integers(5, 40, 2)
            cost = rng.integers(0, 9, (n, m)).astype(float)
            a, b = (rng.integers(1, 5, k).astype(float) for k in (n, m))
            with instances.base(4):
                r = otdist.emd(cost, a, b, method="sparse")
            truth = oracles.highs(cost, a / a.sum(), b / b.sum())
            assert r.value == pytest.approx(truth, abs=1e-7) and r.gap <= 1e-12
            value = r.value * a.sum() * b.sum()  # whole masses and costs
            assert value == pytest.approx(round(value), rel=1e-12)


class TestAgainstExactArithmetic:
    @pytest.mark.slow
    @pytest.mark.parametrize("metric", ["cityblock", "chebyshev"])
    @pytest.mark.parametrize("seed", range(4))
    def test_the_interval_holds_the_exact_assignment(self, metric, seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            n, d = int(rng.integers(2, 14)), int(rng.integers(1, 4))
            spread = 2.0 ** rng.integers(0, 20) * rng.integers(0, 2, (n, 1))  # far clusters with one answer
            x, y = (rng.normal(size=(n, d)) + spread for _ in range(2))
            truth = oracles.exact_assignment(oracles.exact_costs(x, y, metric))
            with instances.base(int(rng.choice([1, 2, 4]))):
                r = otdist.w1(x, y, metric=metric, method="sparse")
            assert Fraction(r.lower) <= truth <= Fraction(r.upper)
            assert r.gap <= 1e-9

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(4))
    def test_the_interval_holds_the_exact_answer_on_the_line(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            n, m = (int(k) for k in rng.integers(1, 25, 2))
            x, y, a, b = instances.law(rng, n, m, 1)
            truth = cases.exact_line(x[:, 0], y[:, 0], a, b)
            with instances.base(int(rng.choice([1, 2, 4, 64]))), instances.quiet():
                metric = str(rng.choice(["euclidean", "cityblock", "chebyshev"]))
                r = otdist.w1(x, y, a, b, metric=metric, method="sparse")
            assert Fraction(r.lower) <= truth <= Fraction(r.upper)
            assert r.gap <= 1e-9 or float(truth) < 1e-6 * np.ptp(np.concatenate([x, y]))

    def test_the_best_of_all_permutations(self, rng):
        for n in range(1, 7):
            x, y = rng.normal(size=(2, n, 3))
            with instances.base(2):
                r = otdist.w1(x, y, np.ones(n), np.ones(n), method="sparse")
            assert r.value == pytest.approx(oracles.best_permutation(cdist(x, y)), rel=1e-14)


class TestTheSame:
    @pytest.mark.parametrize("name", [*instances.KERNELS, "W2", "minkowski"])
    def test_the_same_input_gives_the_same_answer_to_the_last_bit(self, name):
        for n, m in ((30, 40), (200, 150)):
            law = instances.law(np.random.default_rng(n), n, m, 3)
            with instances.quiet():
                one, two = (QUESTIONS[name](*law, method="sparse") for _ in range(2))
            assert (one.value, one.lower, one.upper, one.info) == (two.value, two.lower, two.upper, two.info)
            for k in range(2):
                np.testing.assert_array_equal(one.potentials[k], two.potentials[k])
            for left, right in zip(entries(one), entries(two), strict=True):
                np.testing.assert_array_equal(left, right)

    def test_nothing_that_was_passed_is_changed(self, rng):
        x, y, a, b = instances.law(rng, 90, 80, 2)
        cost = rng.random((90, 80)) * 1e9
        given_arrays = [x, y, a, b, cost]
        before = [z.copy() for z in given_arrays]
        with instances.quiet():
            otdist.w1(x, y, a, b, method="sparse")
            otdist.emd(cost, a, b, method="sparse")
        for z, old in zip(given_arrays, before, strict=True):
            np.testing.assert_array_equal(z, old)

    def test_rows_in_another_order(self, rng):
        x, y = rng.normal(size=(2, 150, 2))
        order = rng.permutation(150)
        one, two = otdist.w1(x, y, method="sparse"), otdist.w1(x[order], y, method="sparse")
        assert one.value == pytest.approx(two.value, rel=1e-14)

    def test_nothing_global_is_touched(self, rng):
        filters = list(warnings.filters)
        otdist.w1(rng.normal(size=(80, 2)), rng.normal(size=(80, 2)), method="sparse")
        assert list(warnings.filters) == filters


@pytest.mark.parametrize("metric", instances.KERNELS)
@pytest.mark.parametrize("shape", instances.SHAPES)
def test_entropic_potentials_to_start_from(shape, metric, rng):
    for weights in ("counts", "random", "wild"):
        n, m = rng.integers(20, 90, 2)
        x, y = (instances.points(rng, shape, k, multiscale.ENTROPIC_START_COLUMNS) for k in (n, m))
        a, b = (instances.weights(rng, weights, k) for k in (n, m))
        with (
            mock.patch.object(multiscale, "ENTROPIC_START_POINTS", 5),
            mock.patch.object(warm_start, "entropic_dual", wraps=warm_start.entropic_dual) as seed,
        ):
            instances.both(otdist.w1, x, y, a, b, metric=metric)
        assert seed.called or shape == "copies"  # which leaves few points


def test_who_starts_from_entropic_potentials(rng):
    def asked(d, weights, **options):
        x, y = rng.normal(size=(2, 300, d))
        a = rng.random(300) if weights else None
        with (
            mock.patch.object(multiscale, "ENTROPIC_START_POINTS", 100),
            mock.patch.object(warm_start, "entropic_dual", wraps=warm_start.entropic_dual) as seed,
        ):
            otdist.w1(x, y, a, method="sparse", **options)
        return seed.called

    assert asked(multiscale.ENTROPIC_START_COLUMNS, True)
    assert not asked(multiscale.ENTROPIC_START_COLUMNS - 1, True)
    assert not asked(multiscale.ENTROPIC_START_COLUMNS, False)  # an auction
    assert not asked(multiscale.ENTROPIC_START_COLUMNS, True, tol=0.1)  # copies have intervals
