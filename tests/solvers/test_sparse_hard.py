"""Problems that are hard for an exact solver: by recipe, and where magnitudes are far apart."""

from __future__ import annotations

from fractions import Fraction

import instances
import numpy as np
import oracles
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import otdist
from otdist.solvers.sparse.column_generation import ColumnGeneration


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("name", instances.HARD)
def test_hard_problems(name, p):
    x, y, a, b = instances.hard(name)
    r = instances.both(otdist.wasserstein, x, y, a, b, p=p)
    assert r.converged and r.gap <= 1e-9


@pytest.mark.parametrize("metric", ["cityblock", "chebyshev", "sqeuclidean"])
@pytest.mark.parametrize("name", instances.HARD)
def test_hard_problems_in_other_metrics_through_more_levels(name, metric):
    x, y, a, b = (z[:150] for z in instances.hard(name))
    with instances.base(8):
        r = instances.both(otdist.w1, x, y, a, b, metric=metric)
    assert r.converged and r.gap <= 1e-9


@pytest.mark.parametrize("name", instances.HARD)
def test_hard_problems_as_cost_matrices(name):
    x, y, a, b = (z[:150] for z in instances.hard(name))
    with instances.base(8):
        r = instances.both(otdist.emd, cdist(x, y), a, b)
    assert r.converged and r.gap <= 1e-9


class TestKnownAnswers:
    def test_a_translation_is_as_long_as_its_vector(self, rng):
        x = np.round(rng.normal(size=(500, 2)), 6)
        for metric, length in (("euclidean", 5.0), ("cityblock", 7.0), ("chebyshev", 4.0)):
            r = otdist.w1(x, x + instances.AWAY, metric=metric, method="sparse")
            assert r.value == pytest.approx(length, rel=1e-14) and r.gap < 1e-14
        assert otdist.wasserstein(x, x + instances.AWAY, p=2, method="sparse").value == pytest.approx(5.0)

    def test_one_point_that_differs(self):
        x, y, a, b = instances.hard("equal but for one point")
        r = otdist.w1(x, y, a, b, method="sparse")
        assert r.value == pytest.approx(np.hypot(0.25, 0.5) / 500, rel=1e-13)
        assert r.info["points"] == 1  # all the rest was cancelled

    def test_a_simplex_of_equal_distances(self):
        r = otdist.w1(*instances.hard("all distances equal"), method="sparse")
        assert r.value == pytest.approx(2**0.5, rel=1e-14)

    def test_one_point_against_many(self):
        x, y, a, b = instances.hard("one against many")
        for left, right, u, v in ((x, y, a, b), (y, x, b, a)):
            r = otdist.w1(left, right, u, v, method="sparse")
            assert r.value == pytest.approx(np.linalg.norm(y - x, axis=1).mean(), rel=1e-14)

    def test_an_offset_changes_nothing(self, rng):
        x, y = np.round(rng.normal(size=(2, 200, 3)), 3)
        near, far = (otdist.w1(x + c, y + c, method="sparse") for c in (0.0, 2.0**27))
        assert far.value == pytest.approx(near.value, rel=1e-6) and far.gap < 1e-9

    @pytest.mark.parametrize("power", [-900, -500, -30, 30, 500, 900])
    def test_powers_of_two_scale_exactly(self, power, rng):
        x, y = rng.normal(size=(2, 100, 2))
        for p in (1, 2):
            unit, scaled = (
                otdist.wasserstein(np.ldexp(x, k), np.ldexp(y, k), p=p, method="sparse") for k in (0, power)
            )
            assert scaled.value == pytest.approx(np.ldexp(unit.value, power), rel=1e-13)
            assert scaled.converged and scaled.gap < 1e-12

    def test_weights_from_1e_300_to_1(self, rng):
        x, y = rng.normal(size=(2, 120, 2))
        a = 10.0 ** np.linspace(-300, 0, 120)
        r = instances.both(otdist.w1, x, y, a, None)
        assert r.converged
        np.testing.assert_allclose(r.plan.sum(axis=0), 1 / 120, rtol=1e-12)

    def test_weights_that_cancel_all_but_rounding(self):
        x = np.array([[-1.0, 0.0], [1.0, 0.0]])
        with instances.quiet():
            r = otdist.wasserstein(x, -x, [1e2, 1e-3], [1e-12, 1e-7], method="sparse")
        assert r.upper >= 1.31e-11


class StuckError(Exception):
    """A solver that does not come to an end by itself."""


@pytest.fixture
def rounds(monkeypatch):
    """End a solver that goes round in circles."""
    priced = ColumnGeneration._price

    def counted(self, tol):
        if self.rounds > 200:
            raise StuckError(f"{self.network.pivots} pivots, {self.network.count} arcs")
        return priced(self, tol)

    monkeypatch.setattr(ColumnGeneration, "_price", counted)


def far_clusters(rng, n, d, power, clusters):
    z = rng.integers(0, clusters, (n, 1)) * 2.0**power
    return rng.normal(size=(n, d)) + z, rng.normal(size=(n, d)) + z


@pytest.mark.usefixtures("rounds")
class TestFarApart:
    """Costs that differ by more than float64 holds: wide intervals are allowed, false ones are not."""

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_small_clusters_at_any_distance(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            n, d, power = (int(rng.integers(*ends)) for ends in ((2, 16), (1, 4), (5, 58)))
            x, y = far_clusters(rng, n, d, power, 3)
            metric = str(rng.choice(["cityblock", "chebyshev"]))
            if n == 1:
                continue
            truth = oracles.exact_assignment(oracles.exact_costs(x, y, metric))
            with instances.base(int(rng.choice([1, 2, 4, 64]))), instances.quiet():
                r = otdist.w1(x, y, metric=metric, method="sparse")
            assert Fraction(r.lower) <= truth <= Fraction(r.upper), (seed, n, d, power, str(r), float(truth))
            assert r.gap <= 1e-9 or power > 20

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_small_matrices_of_any_magnitudes(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            n = int(rng.integers(1, 14))
            cost = rng.random((n, n)) * 2.0 ** rng.integers(-60, 60, (n, n))
            if rng.random() < 0.5:
                cost = np.where(rng.random((n, n)) < 0.5, cost, 1e32)
            truth = oracles.exact_assignment(cost)
            with instances.base(int(rng.choice([1, 2, 4, 64]))), instances.quiet():
                r = otdist.emd(cost, method="sparse")
            assert Fraction(r.lower) <= truth <= Fraction(r.upper), (seed, n, str(r), float(truth))

    @pytest.mark.slow
    @pytest.mark.parametrize("power", [34, 37, 40, 44, 48])
    def test_forbidden_pairs_at_a_large_cost(self, power):
        for seed in range(40):
            rng = np.random.default_rng([seed, power])
            size, n = [(2, rng.integers(6, 20)), (64, rng.integers(65, 130))][seed % 2]
            group = rng.integers(0, 4, (n, 1))
            cost = rng.random((n, n)) + 2.0**power * (group != group.T)
            with instances.base(size), instances.quiet():
                r = otdist.emd(cost, method="sparse")
            i, j = linear_sum_assignment(cost)
            feasible = sum(Fraction(float(c)) for c in cost[i, j]) / int(n)
            assert Fraction(r.lower) <= feasible, (seed, str(r), float(feasible))

    @pytest.mark.slow
    @pytest.mark.parametrize(("power", "seeds"), [(8, [376]), (12, [86, 87, 130, 206, 224, 428])])
    def test_costs_over_many_orders(self, power, seeds):
        for seed in [*range(30), *seeds]:
            rng = np.random.default_rng([seed, power])
            cost = rng.random(rng.integers(10, 40, 2)) ** power
            with instances.base(2):
                instances.both(otdist.emd, cost)

    def test_rows_that_cost_nothing(self, rng):
        for n in (20, 100):
            cost = rng.random((n, n)) + 1.0
            cost[: 6 * n // 10] = 0.0
            instances.both(otdist.emd, cost)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(8))
    def test_it_ends_however_far_clusters_are(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            n, d, power = (int(rng.integers(*ends)) for ends in ((65, 200), (1, 4), (38, 50)))
            x, y = far_clusters(rng, n, d, power, 5)
            with instances.quiet():
                otdist.emd(cdist(x, y, "cityblock"), method="sparse")

    @pytest.mark.parametrize("far", [1e9, 1e11, 1e13, 1e16])
    def test_one_far_outlier_does_not_spoil_the_rest(self, far, rng):
        x, y = rng.normal(size=(100, 2)), rng.normal(size=(100, 2))
        outlier = np.array([[far, 0.0]])
        rest = otdist.w1(x, y).value
        r = otdist.w1(
            np.concatenate([x, outlier]), np.concatenate([y, outlier + np.array([0.0, 4.0])]), method="sparse"
        )
        assert r.converged
        assert r.value == pytest.approx((100 * rest + 4) / 101, rel=1e-9)

    def test_forbidden_pairs_at_1e32(self):
        mass = oracles.FORBIDDEN_MASS
        r = otdist.emd(oracles.FORBIDDEN, mass, mass, method="sparse")
        assert r.converged and r.value == pytest.approx(57.5432, abs=1e-4)

    def test_a_distance_beyond_proof_is_not_called_converged(self):
        with pytest.warns(otdist.ConvergenceWarning, match="tiny"):
            r = otdist.wasserstein([0, 1e9], [1e-9, 3], [1, 1e-17], [1, 1.3e-17], method="sparse")
        assert not r.converged


def test_lowered_potentials_are_rounded_down():
    # Points 1e-7 apart at 2.5: half a unit of a potential is 1e-9 of the distance.
    x = [
        [2.4999999999999956, 1.511647171019936e-14],
        [-2.695582070840803e-15, 2.499999999999993],
        [-6.803934587642113e-15, 2.4999999999999916],
    ]
    y = [
        [2.5000000216320606, 1.6013302897029683e-07],
        [-1.2630825590692458e-07, 2.500000057632175],
        [-1.3793932308209082e-07, 2.4999999712535192],
    ]
    a, b = [836362202438, 144297451372, 118851973966], [836362203358, 144297447500, 118851976918]
    with instances.quiet():
        sparse = otdist.w1(x, y, a, b, method="sparse")
        dense = otdist.w1(x, y, a, b, method="dense")
    assert sparse.lower <= dense.upper and dense.lower <= sparse.upper
