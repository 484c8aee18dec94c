"""Entropic transport: what must hold between its value, its objective, its interval and the exact answer."""

from __future__ import annotations

import itertools
from functools import partial

import instances
import numpy as np
import ot
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st

import otdist
from otdist import metrics
from otdist.runtime import parallel
from otdist.solvers.entropic.iteration import FLOAT32_NOISE

W2 = partial(otdist.wasserstein, p=2)
STREAMED = ["euclidean", "cityblock", "chebyshev", "sqeuclidean"]
EPS = [10.0, 1.0, 0.2, 0.05, 0.01, 2e-3]


def quietly(question, *given, **options):
    """Leave it to the test what it makes of an answer that did not converge."""
    with instances.quiet():
        return question(*given, **options)


entropic = partial(quietly, method="sinkhorn", eps=0.05)
exact = partial(quietly, method="dense")


def cost_of(value, question):
    """<P, C> from an answer: W_2 is rooted."""
    return float(value) ** 2 if question is W2 else float(value)


def noise(cost, eps):
    """Bound of the error of an objective: float32 rounding of costs, potentials and exponents."""
    return 8 * FLOAT32_NOISE * (cost.max() + eps)


def plan_of(r, cost, a, b):
    """The entropic plan in float64, from the potentials that come with a result."""
    f, g = r.info["potentials"]
    return a[:, None] * b * np.exp((f[:, None] + g - cost) / r.info["eps_abs"])


def require_relations(r, truth, cost, a, b, question=otdist.w1):
    """Assert where value, interval and objective must lie, and that none is wider than theory allows.

    For a converged plan ``exact <= value <= objective <= independent coupling``; its value is above the
    exact one by at most ``eps min(H(a), H(b))``, as KL(P | a b) is at most that for any plan, and a
    c-transform of its potentials is below its objective by at most ``eps log(1 / min b)``.
    """
    assert r.method == "sinkhorn" and r.lower <= r.value <= r.upper
    assert r.lower <= truth.upper and truth.lower <= r.upper, (str(r), str(truth))
    if not r.converged:
        return
    value, lower, best = (cost_of(v, question) for v in (r.value, r.lower, truth.value))
    eps, objective = r.info["eps_abs"], r.info["objective"]
    # Marginals that are off move mass over all of the costs.
    slack = noise(cost, eps) + 2 * r.info["residual"] * cost.max()
    entropy = min(-(w[w > 0] * np.log(w[w > 0])).sum() for w in (a, b))
    assert best - slack <= value <= objective + slack
    assert objective <= a @ cost @ b + slack
    assert value <= best + eps * entropy + slack
    assert lower >= objective + eps * np.log(min(a[a > 0].min(), b[b > 0].min())) - slack


class TestRelations:
    @pytest.mark.slow
    @s.examples(150)
    @given(s.laws(), st.sampled_from(STREAMED), st.sampled_from(EPS), st.booleans())
    def test_against_the_exact_answer(self, law, metric, eps, squared):
        (x, a), (y, b) = law
        question = W2 if squared else otdist.w1
        name = "euclidean" if squared else metric
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        r = entropic(question, x, y, a, b, metric=name, eps=eps)
        truth = exact(question, x, y, a, b, metric=name)
        cost = metrics.NAMED[name].matrix(x, y) ** (2 if squared else 1)
        require_relations(r, truth, cost, a, b, question)

    @given(s.laws(), st.sampled_from(EPS), st.sampled_from([1.5, 3]))
    def test_against_the_exact_answer_on_a_matrix(self, law, eps, p):
        (x, a), (y, b) = law
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        cost = metrics.NAMED["euclidean"].matrix(x, y) ** p
        r, truth = entropic(otdist.emd, cost, a, b, eps=eps), exact(otdist.emd, cost, a, b)
        require_relations(r, truth, cost, a, b, otdist.emd)

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", instances.SHAPES)
    @pytest.mark.parametrize("weights", instances.WEIGHTS)
    def test_of_every_kind(self, shape, weights):
        rng = np.random.default_rng([instances.SHAPES.index(shape), instances.WEIGHTS.index(weights)])
        for n, m, d in ((60, 50, 2), (5, 130, 3), (40, 270, 9)):
            x, y = (instances.points(rng, shape, k, d) for k in (n, m))
            a, b = (instances.weights(rng, weights, k) for k in (n, m))
            a, b = a / a.sum(), b / b.sum()
            for question, metric in ((otdist.w1, "euclidean"), (otdist.w1, "cityblock"), (W2, "euclidean")):
                truth = exact(question, x, y, a, b, metric=metric)
                cost = metrics.NAMED[metric].matrix(x, y) ** (2 if question is W2 else 1)
                for eps in (1.0, 0.05):
                    r = entropic(question, x, y, a, b, eps=eps, metric=metric, max_iter=200)
                    require_relations(r, truth, cost, a, b, question)

    @pytest.mark.slow
    @pytest.mark.parametrize("question", [otdist.w1, W2])
    def test_less_regularisation_is_closer(self, question, rng):
        x, y, b = rng.normal(size=(150, 2)), rng.normal(size=(130, 2)) + 1.0, rng.random(130)
        truth = exact(question, x, y, None, b)
        answers = [entropic(question, x, y, None, b, eps=eps) for eps in EPS]
        assert all(r.converged for r in answers)
        for more, less in itertools.pairwise(answers):
            assert less.value < more.value and less.info["objective"] < more.info["objective"]
            assert less.lower > more.lower and less.gap < more.gap
        assert truth.value < answers[-1].value < 1.002 * truth.value
        assert answers[-1].lower > 0.997 * truth.value

    def test_eps_is_relative_to_the_mean_cost(self, rng):
        x, y, a, b = *rng.normal(size=(2, 70, 3)), *rng.dirichlet(np.ones(70), 2)
        cost = metrics.NAMED["euclidean"].matrix(x, y)
        for question, table in ((otdist.w1, cost), (W2, cost**2)):
            r = entropic(question, x, y, a, b, eps=0.3)
            assert r.info["eps_abs"] == pytest.approx(0.3 * (a @ table @ b), rel=1e-6)
        r = entropic(otdist.emd, cost, a, b, eps=0.3)
        assert r.info["eps_abs"] == pytest.approx(0.3 * (a @ cost @ b), rel=1e-14)

    @pytest.mark.parametrize("eps", [1.0, 0.05, 5e-3])
    @pytest.mark.parametrize("metric", STREAMED)
    def test_the_residual_is_true(self, metric, eps, rng):
        x, y = rng.normal(size=(150, 3)), rng.normal(size=(200, 3))
        a, b = rng.dirichlet(np.ones(150)), rng.dirichlet(np.ones(200))
        cost = metrics.NAMED[metric].matrix(x, y)
        for max_iter in (2, 2000):
            r = entropic(otdist.w1, x, y, a, b, eps=eps, metric=metric, max_iter=max_iter)
            plan = plan_of(r, cost, a, b)
            slack = 8 * FLOAT32_NOISE * (1 + cost.max() / r.info["eps_abs"])
            assert np.abs(plan.sum(axis=1) / a - 1).max() <= slack
            assert np.abs(plan.sum(axis=0) - b).sum() == pytest.approx(r.info["residual"], abs=slack)
            assert r.converged == (r.info["residual"] <= max(1e-5, FLOAT32_NOISE / eps))


class TestAgainstPot:
    @pytest.mark.slow
    @pytest.mark.parametrize(("metric", "p"), [*((name, 1) for name in STREAMED), ("euclidean", 2)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_points(self, metric, p, weighted, rng):
        x, y = rng.normal(size=(120, 3)), rng.normal(size=(90, 3)) + 0.5
        a, b = (rng.dirichlet(np.ones(k)) if weighted else np.full(k, 1 / k) for k in (120, 90))
        cost = metrics.NAMED[metric].matrix(x, y) ** p
        for eps in (0.5, 0.05):
            r = entropic(otdist.wasserstein, x, y, a, b, p=p, metric=metric, eps=eps, max_residual=1e-9)
            self.require_same(r, cost, a, b, float(r) ** p, 1e-5)

    @pytest.mark.slow
    @pytest.mark.parametrize("metric", ["minkowski", "cosine", "callable"])
    def test_costs_without_a_kernel(self, metric, rng):
        made = {
            "minkowski": metrics.minkowski(3),
            "cosine": "cosine",
            "callable": lambda u, v: float(np.abs(u - v).sum() ** 0.5),
        }[metric]
        x, y = rng.normal(size=(30, 3)), rng.normal(size=(25, 3))
        ground = made if isinstance(made, metrics.Metric) else metrics.NAMED.get(metric)
        cost = ground.matrix(x, y) if ground else np.array([[made(u, v) for v in y] for u in x])
        r = entropic(otdist.w1, x, y, metric=made, eps=0.05, max_residual=1e-12, max_iter=20000)
        self.require_same(r, cost, np.full(30, 1 / 30), np.full(25, 1 / 25), float(r), 1e-9)

    @pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
    def test_matrix(self, unit, rng):
        cost = unit * rng.random((60, 80))
        a, b = rng.dirichlet(np.ones(60)), rng.dirichlet(np.ones(80))
        r = entropic(otdist.emd, cost, a, b, eps=0.05, max_residual=1e-12, max_iter=20000)
        self.require_same(r, cost, a, b, float(r), 1e-9)

    @staticmethod
    def require_same(r, cost, a, b, value, tolerance):
        eps = r.info["eps_abs"]
        plan, log = ot.sinkhorn(
            a, b, cost, eps, method="sinkhorn_log", numItermax=50000, stopThr=1e-13, log=True
        )
        assert value == pytest.approx((plan * cost).sum(), rel=tolerance)
        objective = (plan * cost).sum() + eps * (plan * np.log(plan / (a[:, None] * b))).sum()
        assert r.info["objective"] == pytest.approx(objective, rel=tolerance)
        np.testing.assert_allclose(r.plan.toarray(), plan, atol=20 * tolerance * plan.max())
        # POT's have the masses in them, and either may be shifted against the other.
        for mine, its, mass in zip(r.info["potentials"], (log["log_u"], log["log_v"]), (a, b), strict=True):
            apart = mine - eps * (its - np.log(mass))
            assert np.ptp(apart) <= tolerance * cost.max()


class TestKnownAnswers:
    @pytest.mark.parametrize("apart", [1e-3, 1.0, 700.0])
    @pytest.mark.parametrize("eps", [10.0, 1.0, 0.3, 0.1])
    def test_two_atoms(self, apart, eps):
        # Half of the mass at 0, half at D, on both sides: of every atom's mass z / (1 + z) crosses over.
        points = np.array([[0.0, 0.0], [0.6 * apart, 0.8 * apart]])
        for question, length in ((otdist.w1, apart), (W2, apart**2)):
            r = entropic(question, points, points, eps=eps)
            absolute = eps * length / 2
            z = np.exp(-length / absolute)
            assert cost_of(r, question) == pytest.approx(length * z / (1 + z), rel=1e-5, abs=1e-6 * length)
            assert r.info["objective"] == pytest.approx(-absolute * np.log((1 + z) / 2), rel=1e-5)
            assert cost_of(r.lower, question) <= 1e-12 * length

    @pytest.mark.slow
    @pytest.mark.parametrize("eps", [1.0, 0.05, 0.005])
    def test_a_translation_is_as_long_as_its_vector(self, eps, rng):
        x = rng.normal(size=(200, 2))
        for question, metric, length in (
            (otdist.w1, "euclidean", 5.0),
            (otdist.w1, "cityblock", 7.0),
            (otdist.w1, "chebyshev", 4.0),
            (W2, "euclidean", 5.0),
        ):
            r = entropic(question, x, x + instances.AWAY, eps=eps, metric=metric)
            assert r.lower <= length * (1 + 1e-12) and r.upper >= length * (1 - 1e-12)
            assert r.gap < 0.5

    def test_one_point_against_many(self, rng):
        y = rng.normal(size=(300, 3))
        mean = np.linalg.norm(y, axis=1).mean()
        for left, right in ((np.zeros((1, 3)), y), (y, np.zeros((1, 3)))):
            for eps in EPS:
                r = entropic(otdist.w1, left, right, eps=eps)
                assert r.value == pytest.approx(mean, rel=1e-6) and r.gap < 1e-6
                assert r.info["objective"] == pytest.approx(mean, rel=1e-6)

    def test_a_huge_eps_gives_the_independent_coupling(self, rng):
        x, y = rng.normal(size=(50, 2)), rng.normal(size=(40, 2))
        for eps in (1e3, 1e9, 1e300):
            r = entropic(otdist.w1, x, y, eps=eps)
            np.testing.assert_allclose(r.plan.toarray(), 1 / 2000, rtol=1e-2)
            assert r.value == pytest.approx(metrics.NAMED["euclidean"].matrix(x, y).mean(), rel=1e-3)


class TestInvariances:
    @pytest.mark.parametrize("power", [-900, -500, -30, 30, 500, 900])
    def test_powers_of_two_scale_exactly(self, power, rng):
        x, y = rng.normal(size=(2, 100, 2))
        # A W2 of 2**900 has a distance, but no cost that float64 holds.
        for question in (otdist.w1, W2) if power < 900 else (otdist.w1,):
            unit, scaled = (entropic(question, np.ldexp(x, k), np.ldexp(y, k)) for k in (0, power))
            for name in ("value", "lower", "upper"):
                assert getattr(scaled, name) == np.ldexp(getattr(unit, name), power)

    @pytest.mark.parametrize("scale", [1e-150, 1e-6, 1e6, 1e150])
    def test_any_scale(self, scale, rng):
        x, y = rng.normal(size=(2, 100, 2))
        for question in (otdist.w1, W2):
            unit, scaled = (entropic(question, k * x, k * y) for k in (1.0, scale))
            assert scaled.value == pytest.approx(scale * unit.value, rel=1e-5)
            assert scaled.gap == pytest.approx(unit.gap, rel=1e-3)

    def test_an_offset_changes_nothing(self, rng):
        x, y = np.round(rng.normal(size=(2, 100, 3)), 3)
        near, far = (entropic(otdist.w1, x + c, y + c) for c in (0.0, 1e6))
        assert (far.value, far.lower) == pytest.approx((near.value, near.lower), rel=1e-5)

    @pytest.mark.slow
    @given(s.clouds(), st.integers(0, 7))
    def test_a_zero_weight_is_an_absent_point(self, points, extra):
        x, y = points
        with_ghost = np.concatenate([x, y[[extra % len(y)]]])
        a = np.append(np.ones(len(x)), 0.0)
        ghost, none = entropic(otdist.w1, with_ghost, y, a), entropic(otdist.w1, x, y, np.ones(len(x)))
        assert (ghost.value, ghost.lower, ghost.upper) == (none.value, none.lower, none.upper)

    def test_a_whole_weight_is_that_many_repeats(self, rng):
        x, y, counts = rng.normal(size=(60, 2)), rng.normal(size=(70, 2)), rng.integers(1, 5, 60)
        repeated = entropic(otdist.w1, np.repeat(x, counts, axis=0), y)
        weighted = entropic(otdist.w1, x, y, counts)
        assert repeated.value == pytest.approx(weighted.value, rel=1e-4)
        assert repeated.info["objective"] == pytest.approx(weighted.info["objective"], rel=1e-5)

    @pytest.mark.parametrize("question", [otdist.w1, W2])
    def test_both_sides_may_change_places(self, question, rng):
        x, y, a = rng.normal(size=(150, 2)), rng.normal(size=(70, 2)), rng.random(150)
        there, back = entropic(question, x, y, a), entropic(question, y, x, None, a)
        assert there.value == pytest.approx(back.value, rel=1e-4)
        assert there.info["objective"] == pytest.approx(back.info["objective"], rel=1e-5)

    @pytest.mark.slow
    @given(s.laws(), st.randoms())
    def test_order_of_the_rows(self, law, random):
        (x, a), (y, b) = law
        order = list(range(len(x)))
        random.shuffle(order)
        a, b = s.shares(a, len(x)), s.shares(b, len(y))
        r, shuffled = (entropic(otdist.w1, x[rows], y, a[rows], b) for rows in (np.arange(len(x)), order))
        assert float(shuffled) == pytest.approx(float(r), abs=1e-4 * s.diameter(x, y))

    @pytest.mark.slow
    @pytest.mark.parametrize("d", [2, 9])
    def test_any_number_of_threads(self, d, monkeypatch):
        rng = np.random.default_rng(d)
        x, y = rng.normal(size=(700, d)), rng.normal(size=(600, d))
        answers = []
        for cores in (1, 2, 5):
            monkeypatch.setattr(parallel, "_cores", lambda cores=cores: cores)
            answers.append(entropic(otdist.w1, x, y, eps=0.01))
        for other in answers[1:]:
            assert (other.value, other.lower) == pytest.approx((answers[0].value, answers[0].lower), rel=1e-5)
