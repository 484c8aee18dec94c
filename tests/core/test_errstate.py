"""numpy's settings for floating-point errors are the caller's own, and change nothing here."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import PUBLIC, each, samples, weights

import otdist


def spread(rng, n, d):
    """Points whose squares, and exponentials of whose distances, underflow."""
    return rng.normal(size=(n, d)) * 10.0 ** rng.integers(-200, 3, (n, 1))


class TestErrstate:
    @each(PUBLIC)
    def test_ordinary_data_never_raise(self, f, d):
        x, y = samples(d)
        with np.errstate(all="raise"):
            strict = f(x, y)
        assert strict == f(x, y)

    @pytest.mark.parametrize(
        "name", ["w1", "sinkhorn_divergence", "unbalanced_w1", "partial_w1", "sliced_w1"]
    )
    @pytest.mark.parametrize("options", [{}, {"max_seconds": 60.0}], ids=["", "deadline"])
    def test_points_over_many_orders(self, name, options, rng):
        x, y = spread(rng, 12, 2), spread(rng, 9, 2)
        f = getattr(otdist, name)
        taken = inspect.signature(f).parameters
        options = {key: value for key, value in options.items() if key in taken}
        if name == "unbalanced_w1":
            options = {**options, "reach": 1.0, "penalty": "kl"}
        with np.errstate(all="raise"):
            r = f(x, y, **options)
            if name != "sliced_w1":
                assert r.lower <= r.value <= r.upper

    def test_plan_potentials_and_critic_are_made_later(self, rng):
        x, y = spread(rng, 12, 2), spread(rng, 9, 2)
        for r in (otdist.w1(x, y, method="dense"), otdist.w1(x[:, 0], y[:, 0])):
            with np.errstate(all="raise"):
                assert r.plan.sum() == pytest.approx(1.0)
                assert (
                    np.isfinite(r.potentials[0]).all()
                    and np.isfinite(r.critic(x if r.d == 2 else x[:, 0])).all()
                )

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["sparse", "sinkhorn"])
    def test_helper_threads_have_their_own_state(self, method, rng, monkeypatch):
        # Enough pairs that the work is shared out, and threads that start under the caller's setting.
        monkeypatch.setattr("otdist.runtime.parallel._cores", lambda: 2)
        x, y = rng.normal(size=(3000, 9)), rng.normal(size=(3000, 9))
        with np.errstate(all="raise"):
            r = otdist.w1(x, y, method=method, tol=0.3)
        assert r.lower <= r.upper

    def test_calls_from_threads_of_the_caller(self):
        x, y = samples(2)

        def strict(_):
            with np.errstate(all="raise"):
                return otdist.sinkhorn_divergence(x, y, eps=0.01).value

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(strict, range(8)))) == 1

    def test_the_callers_setting_is_back_afterwards(self):
        a, b = weights()
        x, y = samples()
        with np.errstate(all="raise"):
            before = np.geterr()
            otdist.w1(x, y, a, b)
            with pytest.raises(otdist.InputError):
                otdist.w1(x, y, a, -b)
            assert np.geterr() == before

    def test_signatures_and_docs_are_those_of_the_functions(self):
        assert list(inspect.signature(otdist.w1).parameters)[:4] == ["x", "y", "a", "b"]
        assert otdist.w1.__doc__.startswith("Wasserstein-1") and otdist.w1.__name__ == "w1"
