"""Ground metrics: definitions by hand, metric axioms, and the pairs that gradients use."""

from __future__ import annotations

import numpy as np
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import otdist
from otdist import metrics
from otdist.metrics.names import resolve

ALL = {
    **metrics.NAMED,
    "minkowski": metrics.minkowski(3),
    "torus": metrics.periodic([2.0, None]),
    "wheel": metrics.periodic(3.0),
    "mixed": metrics.mixed([2.0, 1.0], categorical=[False, True], weights=[1.0, 3.0]),
}


def two(rng):
    return np.round(rng.normal(size=(9, 2)), 1), np.round(rng.normal(size=(7, 2)), 1) + 0.05


@pytest.mark.parametrize("name", ALL)
def test_pairs_and_matrix_are_one_formula(name, rng):
    torch = pytest.importorskip("torch")

    x, y = two(rng)
    matrix = ALL[name].matrix(x, y)
    left, right = np.repeat(x, len(y), axis=0), np.tile(y, (len(x), 1))
    np.testing.assert_allclose(ALL[name].pairs(np, left, right), matrix.ravel(), rtol=1e-12, atol=1e-15)
    tensor = ALL[name].pairs(torch, torch.tensor(left), torch.tensor(right))
    np.testing.assert_allclose(tensor.numpy(), matrix.ravel(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].triangle])
def test_what_calls_itself_a_metric_is_one(name, rng):
    x, y = two(rng)
    z = np.concatenate([x, y])
    d = ALL[name].matrix(z, z)
    np.testing.assert_array_equal(d, d.T)
    assert (np.diag(d) == 0).all()
    assert (d[:, :, None] <= d[:, None, :] + d.T[None, :, :] + 1e-12).all()


@pytest.mark.parametrize("name", ["sqeuclidean", "cosine"])
def test_what_is_no_metric_is_not_called_w1(name, rng):
    x, y = two(rng)
    assert otdist.w1(x, y, metric=name).name == "EMD"
    with pytest.raises(otdist.InputError, match="Lipschitz"):
        otdist.w1(x, y, metric=name).critic(x)


@pytest.mark.parametrize("name", ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine"])
def test_named_metrics_are_scipys(name, rng):
    x, y = two(rng)
    np.testing.assert_allclose(ALL[name].matrix(x, y), cdist(x, y, name), rtol=1e-12, atol=1e-15)


def test_small_angles_do_not_cancel():
    x, y = np.array([[1.0, 0.0]]), np.array([[1.0, 1e-9]])
    assert ALL["angular"].matrix(x, y)[0, 0] == pytest.approx(1e-9, rel=1e-12)
    assert ALL["cosine"].matrix(x, y)[0, 0] == pytest.approx(5e-19, rel=1e-12)


def test_opposite_directions_are_half_a_turn_apart():
    assert ALL["angular"].matrix(np.array([[0.0, 2.0]]), np.array([[0.0, -5.0]]))[0, 0] == pytest.approx(
        np.pi
    )


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 400.0))
def test_a_periodic_distance_by_hand(u, v, period):
    d = metrics.periodic(period).matrix(np.array([[u]]), np.array([[v]]))[0, 0]
    by_hand = min(abs(u - v + k * period) for k in range(-(int(2000 / period) + 2), int(2000 / period) + 3))
    assert d == pytest.approx(by_hand, abs=1e-9)


def test_gower_by_hand():
    x = np.array([[0.0, 1.0], [10.0, 2.0]])
    y = np.array([[5.0, 1.0], [10.0, 1.0]])
    # Ranges 10 and 1; each column has weight 1/2.
    np.testing.assert_allclose(
        metrics.mixed([10.0, 1.0]).matrix(x, y), [[0.25, 0.5], [0.75, 0.5]], rtol=1e-15
    )
    assert otdist.w1(x, y, metric="gower").value == pytest.approx(0.375)


def test_labels_count_as_equal_or_not():
    metric = metrics.mixed([1.0], categorical=[True])
    assert otdist.w1([0.0, 1.0, 2.0], [2.0, 7.0, 1.0], metric=metric).value == pytest.approx(1 / 3)


@given(s.laws(d=2))
def test_a_callable_gives_what_its_name_gives(samples):
    (x, a), (y, b) = samples
    a = np.ones(len(x)) if a is None else a
    by_call = otdist.w1(x, y, a, b, metric=lambda u, v: np.abs(u - v).sum())
    assert by_call.value == pytest.approx(otdist.w1(x, y, a, b, metric="cityblock").value, abs=1e-11)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_callable_that_returns_nonsense_is_named(bad):
    def broken(u, v):
        return bad

    with pytest.raises(otdist.InputError, match=r"broken returned .* x\[0\] and y\[0\]"):
        otdist.w1([[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0]], metric=broken)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: metrics.minkowski(0.5), "power"),
        (lambda: metrics.minkowski(np.inf), "power"),
        (lambda: metrics.periodic(0.0), "period"),
        (lambda: metrics.periodic([1.0, -2.0]), "period"),
        (lambda: metrics.mixed([0.0]), "scale"),
        (lambda: metrics.mixed([1.0, np.nan]), "scale"),
        (lambda: metrics.mixed([1.0], categorical=[True, False]), "categorical"),
        (lambda: metrics.mixed([1.0], weights=[-1.0]), "weights"),
        (lambda: otdist.w1([[0.0, 0.0]], [[1.0, 2.0], [1.0, 1.0]], metric="angular"), "x"),
        (lambda: otdist.w1([[1.0, 2.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]], metric="cosine"), "y"),
        (lambda: otdist.w1(np.ones((2, 3)), np.ones((2, 3)), metric=metrics.periodic([1.0])), "period"),
        (lambda: otdist.w1(np.ones((2, 3)), np.ones((2, 3)), metric=metrics.mixed([1.0])), "scale"),
        (lambda: otdist.w1([1.0], [2.0], metric="precomputed"), "metric"),
        (lambda: otdist.w1([1.0], [2.0], metric="hamming"), "metric"),
        (lambda: otdist.w1([1.0], [2.0], metric=3), "metric"),
    ],
)
def test_wrong_options_are_named(make, argument):
    with pytest.raises(otdist.InputError) as caught:
        make()
    assert caught.value.argument == argument
    assert caught.value.remedy


def test_a_metric_stays_as_it_is():
    metric = metrics.minkowski(2)
    assert resolve(metric) is metric
    assert resolve("euclidean") is metrics.NAMED["euclidean"]
