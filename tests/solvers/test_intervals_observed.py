"""A function given as on_interval sees every proved interval, and changes no answer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import otdist
from otdist.errors import InputError
from otdist.runtime.deadline import active_deadline

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(500, 2)), RNG.normal(size=(400, 2)) + 0.5


class Seen(list):
    """Intervals in order, as (lower, upper, seconds)."""

    def __call__(self, lower, upper, seconds):
        self.append((lower, upper, seconds))


def require_narrowing(seen, result):
    for lower, upper, seconds in seen:
        assert lower <= result.value <= upper and seconds >= 0
    for before, after in itertools.pairwise(seen):
        assert after[1] - after[0] < before[1] - before[0]
        assert after[2] >= before[2]
    assert seen[-1][:2] == (result.lower, result.upper)


@pytest.mark.parametrize(("method", "options"), [("sparse", {"tol": 1e-5}), ("sinkhorn", {"tol": 1e-7})])
@pytest.mark.parametrize("scale", [1.0, 1e150])
def test_intervals_narrow_to_the_answer_in_its_units(method, options, scale):
    seen = Seen()
    result = otdist.w1(scale * X, scale * Y, method=method, on_interval=seen, **options)
    assert len(seen) > 1
    require_narrowing(seen, result)


def test_a_root_is_observed_as_a_root():
    seen = Seen()
    result = otdist.wasserstein(X, Y, p=2, method="sparse", tol=1e-3, max_seconds=1e6, on_interval=seen)
    assert len(seen) > 1
    require_narrowing(seen, result)


@pytest.mark.parametrize(
    ("method", "options"),
    [("sparse", {}), ("sparse", {"tol": 0.01}), ("sinkhorn", {"tol": 0.01}), ("sinkhorn", {"eps": 0.1})],
)
def test_an_observer_changes_no_bit(method, options):
    seen = Seen()
    observed = otdist.w1(X, Y, method=method, on_interval=seen, **options)
    plain = otdist.w1(X, Y, method=method, **options)
    assert (plain.value, plain.lower, plain.upper, plain.info.keys()) == (
        observed.value,
        observed.lower,
        observed.upper,
        observed.info.keys(),
    )
    np.testing.assert_array_equal(plain.plan.toarray(), observed.plan.toarray())
    assert seen[-1][:2] == (plain.lower, plain.upper)
    assert ("eps" in options) <= (len(seen) == 1)


def test_samples_that_are_equal_have_one_interval():
    seen = Seen()
    otdist.w1(X, X, method="sparse", on_interval=seen)
    assert [interval[:2] for interval in seen] == [(0.0, 0.0)]


@pytest.mark.parametrize("method", ["sparse", "sinkhorn"])
def test_what_an_observer_raises_reaches_the_caller(method):
    def refuse(lower, upper, seconds):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        otdist.w1(X, Y, method=method, tol=0.05, on_interval=refuse)


@pytest.mark.parametrize("method", ["sparse", "sinkhorn"])
def test_the_deadline_of_the_call_does_not_end_the_observer(method):
    deadlines = []

    def observe(lower, upper, seconds):
        deadlines.append(active_deadline())

    otdist.w1(X, Y, method=method, tol=0.05, max_seconds=60, on_interval=observe)
    assert deadlines and set(deadlines) == {math.inf}


@pytest.mark.parametrize("method", ["sparse", "sinkhorn"])
@pytest.mark.parametrize("value", [3, "print", (1, 2), True])
def test_what_cannot_be_called_is_refused(method, value):
    with pytest.raises(InputError, match=r"on_interval: must be callable, got .*; pass a function"):
        otdist.w1(X, Y, method=method, on_interval=value)


def test_methods_without_intervals_on_the_way_have_no_such_option():
    with pytest.raises(InputError, match="on_interval: is not an option of method='dense'"):
        otdist.w1(X[:50], Y[:50], method="dense", on_interval=print)
