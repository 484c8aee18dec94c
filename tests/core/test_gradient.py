"""Gradients against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import otdist
from otdist import metrics

CASES = {
    "line": (1, "euclidean", 1.0, {}),
    "line, p=2": (1, "euclidean", 2.0, {}),
    "dense": (2, "euclidean", 1.0, {}),
    "dense on the line": (1, "euclidean", 1.0, {"method": "dense"}),
    "W2": (3, "euclidean", 2.0, {}),
    "W1.5": (2, "euclidean", 1.5, {}),
    "cityblock": (2, "cityblock", 1.0, {}),
    "chebyshev": (2, "chebyshev", 1.0, {}),
    "sqeuclidean": (2, "sqeuclidean", 1.0, {}),
    "minkowski": (2, metrics.minkowski(3), 1.0, {}),
    "angular": (3, "angular", 1.0, {}),
    "cosine": (3, "cosine", 1.0, {}),
    "torus": (2, metrics.periodic([1.0, None]), 1.0, {}),
    "sphere": (2, metrics.great_circle("deg"), 1.0, {}),
    "mixed": (2, metrics.mixed([2.0, 0.5]), 1.0, {}),
}


def tensors(rng, d, n=6, m=5):
    points = [torch.tensor(rng.normal(size=(k, d)), requires_grad=True) for k in (n, m)]
    weights = [torch.tensor(rng.uniform(0.5, 1.5, size=k), requires_grad=True) for k in (n, m)]
    return (*points, *weights)


@pytest.mark.parametrize("case", CASES)
def test_gradient_of_points_and_weights(case, rng):
    d, metric, p, options = CASES[case]

    def distance(x, y, a, b):
        return otdist.wasserstein(x, y, a, b, p=p, metric=metric, **options).value

    assert torch.autograd.gradcheck(distance, tensors(rng, d), atol=1e-6)


def test_gradient_on_the_circle(rng):
    x, y, _, _ = tensors(rng, 1)
    wheel = metrics.periodic(1.0)
    assert torch.autograd.gradcheck(lambda x, y: otdist.w1(x, y, metric=wheel).value, (x, y), atol=1e-6)


@pytest.mark.slow
def test_gradient_of_a_batch_on_the_line(rng):
    x = torch.tensor(rng.normal(size=(3, 5)), requires_grad=True)
    y = torch.tensor(rng.normal(size=(4, 1, 6)), requires_grad=True)
    for p in (1, 2, 1.5):
        assert torch.autograd.gradcheck(lambda x, y, p=p: otdist.wasserstein_1d(x, y, p=p), (x, y), atol=1e-6)


def test_gradient_is_zero_where_points_coincide():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    value = otdist.w1(x, x.detach().clone()).value
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_gradient_at_distance_zero_is_finite(p):
    x = torch.zeros((3, 2), dtype=torch.float64, requires_grad=True)
    otdist.wasserstein(x, torch.zeros((2, 2), dtype=torch.float64), p=p).value.backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_gradient_of_extreme_scales(scale):
    x = (torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64) * scale).requires_grad_()
    y = torch.tensor([[3.0, 4.0], [4.0, 5.0]], dtype=torch.float64) * scale
    otdist.w1(x, y).value.backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.norm().item() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_value_is_float64_and_gradients_have_the_dtype_of_the_points(dtype):
    x = torch.tensor([0.0, 1.0], dtype=dtype, requires_grad=True)
    value = otdist.w1(x, x.detach() + 1).value
    assert value.dtype == torch.float64
    value.backward()
    assert x.grad.dtype == dtype


def test_without_a_gradient_the_value_is_still_a_tensor():
    r = otdist.w1(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0]))
    assert isinstance(r.value, torch.Tensor) and not r.value.requires_grad
    assert float(r) == 5.0
    assert isinstance(r.lower, float)


def test_omitted_rows_have_gradient_zero():
    x = torch.tensor([[0.0], [float("nan")], [1.0]], dtype=torch.float64, requires_grad=True)
    otdist.w1(x, np.array([[2.0], [3.0]]), nan_policy="omit").value.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[-0.5], [0.0], [-0.5]])


def test_a_callable_metric_has_no_gradient_and_says_so():
    x = torch.zeros((2, 2), requires_grad=True)
    with pytest.raises(otdist.InputError, match="detach"):
        otdist.w1(x, torch.ones((2, 2)), metric=lambda u, v: abs(u - v).sum())


def test_weights_on_the_circle_have_no_gradient_and_say_so():
    a = torch.ones(2, requires_grad=True)
    with pytest.raises(otdist.InputError, match="dense"):
        otdist.w1([0.0, 1.0], [2.0, 3.0], a, metric=metrics.periodic(7.0))


@pytest.mark.cuda
def test_on_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x = torch.randn(20, 2, device="cuda", requires_grad=True)
    value = otdist.w1(x, torch.randn(20, 2, device="cuda")).value
    value.backward()
    assert value.is_cuda and x.grad.is_cuda


def test_the_gradient_of_a_cost_matrix_is_the_plan(rng):
    cost = torch.tensor(rng.random((4, 3)), requires_grad=True)
    r = otdist.emd(cost)
    r.value.backward()
    np.testing.assert_array_equal(cost.grad.numpy(), r.plan.toarray())
    a = torch.tensor(rng.uniform(0.5, 1, size=4), requires_grad=True)
    assert torch.autograd.gradcheck(lambda c, w: otdist.emd(c, w).value, (cost, a), atol=1e-6)


def test_weights_of_omitted_rows_have_gradient_zero():
    a = torch.ones(3, dtype=torch.float64, requires_grad=True)
    otdist.w1([0.0, np.nan, 2.0], [5.0], a, nan_policy="omit").value.backward()
    np.testing.assert_allclose(a.grad.numpy(), [0.5, 0.0, -0.5])


def test_weights_of_a_batch_have_no_gradient_and_say_so():
    a = torch.ones(3, requires_grad=True)
    with pytest.raises(otdist.InputError, match="pair by pair"):
        otdist.wasserstein_1d([1.0, 2.0, 3.0], [1.0, 2.0], a)


def test_one_side_may_be_an_array(rng):
    x = torch.tensor(rng.normal(size=4), requires_grad=True)
    otdist.wasserstein_1d(x, rng.normal(size=3)).backward()
    assert torch.isfinite(x.grad).all()
