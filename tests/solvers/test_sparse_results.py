"""What the sparse solver's result promises: plan, potentials, critic, gradients, errors, figures."""

from __future__ import annotations

import pickle
import re
from contextlib import contextmanager
from functools import partial

import instances
import numpy as np
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from optional import torch

import otdist
from otdist import metrics
from otdist.problem import Problem
from otdist.solvers import choose

BASES = st.sampled_from([1, 2, 4, 64])
QUESTIONS = {  # metric, p
    **{name: (name, 1) for name in instances.KERNELS},
    "W2": ("euclidean", 2),
    "W3": ("euclidean", 3),
    "minkowski": (metrics.minkowski(3), 1),
}
FIGURES = {"points", "rounds", "arcs", "pivots"}


def ask(name, *given, **options):
    metric, p = QUESTIONS[name]
    return otdist.wasserstein(*given, metric=metric, p=p, **{"method": "sparse", **options})


def cost_between(name, x, y):
    metric, p = QUESTIONS[name]
    return (metrics.NAMED[metric] if isinstance(metric, str) else metric).matrix(x, y) ** p


def require_contract(name, x, y, a, b, r):
    """Assert that plan and potentials prove the value, each by itself."""
    _, p = QUESTIONS[name]
    a, b, cost = s.shares(a, len(x)), s.shares(b, len(y)), cost_between(name, x, y)
    slack = 1e-12 * (1e-300 + cost.max())
    plan = r.plan.toarray()
    assert plan.shape == cost.shape and plan.min() >= 0
    np.testing.assert_allclose(plan.sum(axis=1), a, atol=1e-14)
    np.testing.assert_allclose(plan.sum(axis=0), b, atol=1e-14)
    assert (plan * cost).sum() == pytest.approx(float(r) ** p, abs=slack)
    assert r.plan.nnz <= len(x) + len(y) + min(len(x), len(y))  # a forest, and what stays in its place
    f, g = r.potentials
    assert (f[:, None] + g <= cost + slack).all()
    assert a @ f + b @ g == pytest.approx(float(r) ** p, abs=slack)
    assert a @ f == pytest.approx(b @ g, abs=slack)  # of all shifts, this one


class TestProofs:
    @given(s.laws(), st.sampled_from(list(QUESTIONS)), BASES)
    def test_plan_and_potentials_of_any_small_law(self, law, name, base):
        (x, a), (y, b) = law
        a = np.ones(len(x)) if a is None else a
        with instances.base(base), instances.quiet():
            require_contract(name, x, y, a, b, ask(name, x, y, a, b))

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_plan_and_potentials_of_larger_laws(self, name):
        rng = np.random.default_rng(2)
        for n, m in ((65, 66), (150, 40), (3, 200), (300, 280)):
            x, y, a, b = instances.law(rng, n, m)
            with instances.quiet():
                require_contract(name, x, y, a, b, ask(name, x, y, a, b))

    @pytest.mark.parametrize("shape", [(40, 30), (200, 3), (130, 140)])
    def test_plan_and_potentials_of_a_cost_matrix(self, shape, rng):
        cost, a, b = rng.random(shape), rng.random(shape[0]), rng.integers(1, 4, shape[1]).astype(float)
        r = otdist.emd(cost, a, b, method="sparse")
        plan, (f, g) = r.plan.toarray(), r.potentials
        np.testing.assert_allclose(plan.sum(axis=1), a / a.sum(), atol=1e-14)
        np.testing.assert_allclose(plan.sum(axis=0), b / b.sum(), atol=1e-14)
        assert (f[:, None] + g <= cost + 1e-14).all()
        assert (plan * cost).sum() == pytest.approx(r.value, rel=1e-13)
        assert a @ f / a.sum() + b @ g / b.sum() == pytest.approx(r.value, rel=1e-13)

    @pytest.mark.parametrize("name", ["euclidean", "cityblock", "chebyshev", "minkowski"])
    @pytest.mark.parametrize("n", [30, 150])
    def test_the_critic_is_a_witness(self, name, n):
        rng = np.random.default_rng(n)
        for shape in ("normal", "grid"):
            x, y = instances.points(rng, shape, n, 3), instances.points(rng, shape, n + 20, 3)
            b = rng.random(n + 20)
            r = ask(name, x, y, None, b)
            points = np.concatenate([x, y, rng.normal(size=(20, 3)) * 5])
            phi = r.critic(points)
            assert (np.abs(phi[:, None] - phi) <= cost_between(name, points, points) + 1e-12).all()
            gain = phi[:n].mean() - b @ phi[n : 2 * n + 20] / b.sum()
            assert gain == pytest.approx(r.lower, rel=1e-11)

    def test_costs_that_are_no_metric_have_no_critic(self, rng):
        with pytest.raises(otdist.InputError, match="Lipschitz"):
            ask("W2", *rng.normal(size=(2, 9, 2))).critic([[0.0, 0.0]])

    def test_a_result_survives_pickling(self, rng):
        r = ask("euclidean", *rng.normal(size=(2, 80, 2)))
        copy = pickle.loads(pickle.dumps(r))
        np.testing.assert_array_equal(copy.plan.toarray(), r.plan.toarray())
        np.testing.assert_allclose(copy.potentials[0], r.potentials[0], atol=1e-15)

    def test_a_result_does_not_follow_its_inputs_when_they_change(self, rng):
        x, y, a = rng.normal(size=(80, 2)), rng.normal(size=(70, 2)), np.append(rng.random(79), 0.0)
        expected = ask("euclidean", x.copy(), y.copy(), a.copy())
        r = ask("euclidean", x, y, a)
        x *= 10
        y += 7
        a[:] = 1.0
        for k in range(2):
            np.testing.assert_array_equal(r.potentials[k], expected.potentials[k])
        np.testing.assert_array_equal(r.plan.toarray(), expected.plan.toarray())


class TestGradients:
    @pytest.mark.parametrize("name", QUESTIONS)
    @pytest.mark.parametrize("sizes", [(7, 6), (90, 75)])
    def test_values_and_gradients_are_those_of_the_dense_method(self, name, sizes, rng):
        # Normal points and random weights: one plan, one pair of potentials.
        points = [rng.normal(size=(k, 3)) for k in sizes]
        mass = [rng.uniform(0.5, 1.5, size=k) for k in sizes]
        found = []
        for method in ("sparse", "dense"):
            tensors = [torch.tensor(z, requires_grad=True) for z in (*points, *mass)]
            value = ask(name, *tensors, method=method).value
            value.backward()
            found.append([value.detach(), *(t.grad for t in tensors)])
        for sparse, dense in zip(*found, strict=True):
            np.testing.assert_allclose(sparse.numpy(), dense.numpy(), rtol=1e-8, atol=1e-9)

    @pytest.mark.slow
    def test_central_differences(self, rng):
        tensors = [torch.tensor(rng.normal(size=(k, 2)), requires_grad=True) for k in (6, 5)]
        tensors += [torch.tensor(rng.uniform(0.5, 1.5, size=k), requires_grad=True) for k in (6, 5)]
        for name in ("euclidean", "W2", "cityblock"):
            assert torch.autograd.gradcheck(lambda *t, name=name: ask(name, *t).value, tensors, atol=1e-6)

    def test_the_gradient_of_a_cost_matrix_is_the_plan(self, rng):
        cost = torch.tensor(rng.random((70, 66)), requires_grad=True)
        r = otdist.emd(cost, method="sparse")
        r.value.backward()
        np.testing.assert_array_equal(cost.grad.numpy(), r.plan.toarray())


class TestLeftOut:
    def test_missing_rows_and_rows_without_weight(self, rng):
        x, y = rng.normal(size=(90, 2)), rng.normal(size=(80, 2))
        a, b = rng.random(90), rng.integers(1, 4, 80).astype(float)
        gone, without = np.array([3, 50]), np.array([0, 44, 89])
        holes = x.copy()
        holes[gone] = np.nan
        a[without] = 0.0
        kept = np.setdiff1d(np.arange(90), [*gone, *without])
        r = ask("euclidean", holes, y, a, b, nan_policy="omit")
        plain = ask("euclidean", x[kept], y, a[kept], b)
        assert r.value == plain.value and r.info["omitted"] == (2, 0)
        plan = r.plan.toarray()
        assert plan.shape == (90, 80) and not plan[[*gone, *without]].any()
        np.testing.assert_array_equal(plan[kept], plain.plan.toarray())
        f, g = r.potentials
        assert np.isnan(f[gone]).all() and np.isfinite(np.delete(f, gone)).all()
        present = np.setdiff1d(np.arange(90), gone)
        cost = cost_between("euclidean", x[present], y)
        assert (f[present][:, None] + g <= cost + 1e-13).all()

    @pytest.mark.parametrize("name", QUESTIONS)
    @pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
    def test_potentials_of_many_rows_come_from_compiled_code(self, name, scale, monkeypatch, rng):
        if scale != 1.0 and name in ("sqeuclidean", "W2", "W3"):
            scale **= 0.2  # costs themselves must fit into float64
        x, y, z = (scale * rng.normal(size=(k, 3)) for k in (70, 60, 300))
        a = rng.random(70)
        a[:40] = 0.0
        found = []
        for many in (2**40, 1):
            monkeypatch.setattr("otdist.solvers.answer.MIN_PAIRS_COMPILED", many)
            r = ask(name, x, y, a)
            critic = r.critic(z) if r.name == "W1" else []
            found.append([*r.potentials, critic])
        for plain, compiled in zip(*found, strict=True):
            np.testing.assert_allclose(plain, compiled, rtol=1e-13, atol=1e-13 * np.abs(plain).max(initial=0))

    def test_policies(self, rng):
        x, y = rng.normal(size=(2, 9, 2))
        x[4, 1] = np.nan
        assert np.isnan(ask("euclidean", x, y, nan_policy="propagate").value)
        with pytest.raises(otdist.InputError, match="row 4"):
            ask("euclidean", x, y)

    def test_when_nothing_moves(self, rng):
        x = rng.integers(0, 3, (80, 2)).astype(float)
        for name in ("euclidean", "W2", "sqeuclidean"):
            r = ask(name, x, x[rng.permutation(80)])
            assert (r.value, r.lower, r.upper) == (0.0, 0.0, 0.0) and r.converged
            np.testing.assert_allclose(r.plan.sum(axis=0), 1 / 80, rtol=1e-14)
            assert (r.potentials[0] == 0).all()
        r = ask("euclidean", np.zeros((5, 2)), np.zeros((9, 2)))
        assert r.value == 0.0 and r.message


class TestAsked:
    def test_memory_is_asked_for_before_it_is_taken(self, rng):
        x, y = rng.normal(size=(1000, 2)), rng.normal(size=(900, 2))
        with pytest.raises(otdist.BudgetError, match=r"method 'sparse' on 1000 x 900 points.*random subset"):
            ask("euclidean", x, y, max_bytes=10**5)
        with pytest.raises(otdist.BudgetError, match="max_bytes"):
            ask("W3", x, y, max_bytes=7 * 10**6)  # the matrix alone has 7.2 MB
        ask("euclidean", x, y, max_bytes=7 * 10**6)

    def test_memory_grows_with_points_not_with_pairs(self, monkeypatch, rng):
        asked = []
        monkeypatch.setattr(
            "otdist.solvers.sparse.prepared_problem.require_memory",
            lambda needed, *rest: asked.append(needed),
        )
        for n in (100, 1000):
            ask("euclidean", *rng.normal(size=(2, n, 2)))
        assert asked[1] == 10 * asked[0]

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({"tol": -1.0}, "tol"),
            ({"tol": float("nan")}, "tol"),
            ({"max_seconds": 0}, "max_seconds"),
            ({"max_seconds": "1"}, "max_seconds"),
            ({"method": "spares"}, "method"),
            ({"on_fail": "shrug"}, "on_fail"),
        ],
    )
    def test_bad_options_are_named(self, options, names):
        with pytest.raises(otdist.InputError, match=names) as caught:
            ask("euclidean", [[0.0, 0.0]], [[1.0, 1.0], [2.0, 0.0]], **options)
        assert caught.value.argument == names and caught.value.remedy

    def test_a_mistyped_option_is_refused_with_those_there_are(self):
        with pytest.raises(otdist.InputError, match=r"max_byte: .* max_bytes"):
            ask("euclidean", [[0.0, 0.0]], [[1.0, 1.0], [2.0, 0.0]], max_byte=5)

    def test_figures(self, rng):
        x, y = rng.normal(size=(200, 2)), rng.normal(size=(150, 2))
        for r in (ask("euclidean", x, y), ask("W2", x, y), ask("W3", x, y)):
            assert r.info.keys() == FIGURES and r.method == "sparse"
            assert r.info["points"] == 200 and r.info["rounds"] >= 1 and r.info["pivots"] > 0
            assert 350 < r.info["arcs"] < 40 * 350
            assert (r.n, r.m, r.d, r.message) == (200, 150, 2, "")
        assert str(ask("euclidean", x, y)).endswith("sparse, n=200/150, d=2, euclidean")

    def test_progress_says_how_far_the_proof_is(self, monkeypatch, rng):
        news = []

        @contextmanager
        def display_progress(show, text):
            assert show
            yield news.append

        monkeypatch.setattr("otdist.solvers.sparse.display_progress", display_progress)
        r = ask("euclidean", *rng.normal(size=(2, 300, 2)) + 1e6, progress=True)
        assert "of 300 points" in news[0] and "300 of 300 points" in news[-1]
        low, high = (float(word) for word in re.search(r"(\S+) to ([^\s,]+)", news[-1]).groups())
        assert low == pytest.approx(r.lower, rel=1e-5) and high == pytest.approx(r.upper, rel=1e-5)

    def test_progress_goes_to_standard_error(self, capsys, rng):
        ask("euclidean", *rng.normal(size=(2, 90, 2)), progress=True)
        assert capsys.readouterr().out == ""

    def test_large_problems_are_solved_sparsely_by_themselves(self, monkeypatch, rng):
        x, y = rng.normal(size=(2, 40, 2))
        assert otdist.w1(x, y).method == "dense"
        monkeypatch.setattr(
            "otdist.solvers.solve.find_cheapest_exact",
            lambda n, m, d, tol: "sparse" if n * m >= 1600 else "dense",
        )
        assert otdist.w1(x, y).method == "sparse"
        assert otdist.w1(x[:, 0], y[:, 0]).method == "line"
        assert type(choose("auto", Problem.of(x, y[1:]), {})).__name__ == "Dense"


def test_threads_find_the_same_as_one(monkeypatch, rng):
    x, y = rng.normal(size=(2, 300, 12))
    found = []
    for cores in (1, 2, 3):
        monkeypatch.setattr("otdist.runtime.parallel._cores", partial(int, cores))
        r = ask("euclidean", x, y)
        found.append((r.value, r.lower, r.upper, r.info["pivots"]))
    assert found[0] == found[1] == found[2]
