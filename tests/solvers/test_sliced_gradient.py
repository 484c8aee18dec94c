"""Gradients of sliced distances against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import otdist

ORDERS = [1, 1.5, 2, 3]


def tensors(rng, d, n=6, m=5):
    points = [torch.tensor(rng.normal(size=(k, d)), requires_grad=True) for k in (n, m)]
    weights = [torch.tensor(rng.uniform(0.5, 1.5, size=k), requires_grad=True) for k in (n, m)]
    return (*points, *weights)


def sliced(*given, **options):
    return otdist.sliced_w1(*given, n_projections=20, rng=3, **options).value


@pytest.mark.slow
@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("d", [1, 3])
def test_gradient_of_points_and_weights(p, d, rng):
    assert torch.autograd.gradcheck(lambda *given: sliced(*given, p=p), tensors(rng, d), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("m", [6, 5, 9])
def test_gradient_of_points_of_equal_mass(p, m, rng):
    points = tensors(rng, 3, 6, m)[:2]
    assert torch.autograd.gradcheck(lambda *given: sliced(*given, p=p), points, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("p", ORDERS)
def test_gradient_of_max_sliced_is_that_along_its_direction(p, rng):
    x, y, a, b = tensors(rng, 3, 20, 15)
    most = otdist.max_sliced_w1(x, y, a, b, p=p, rng=0)
    along = otdist.sliced_w1(x, y, a, b, p=p, directions=most.direction[None])
    assert float(most) == pytest.approx(float(along), rel=1e-14)
    got = torch.autograd.grad(most.value, (x, y, a, b))
    for mine, theirs in zip(got, torch.autograd.grad(along.value, (x, y, a, b)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("p", ORDERS)
def test_gradient_of_max_sliced_at_a_smooth_maximum(p, rng):
    x, y, a, b = tensors(rng, 3)
    with torch.no_grad():
        y += torch.tensor([9.0, 0.0, 0.0])  # all of y beyond all of x, along all directions near

    def most(*given):
        return otdist.max_sliced_w1(*given, p=p, rng=0, n_starts=2).value

    assert torch.autograd.gradcheck(most, (x, y, a, b), eps=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("f", [otdist.sliced_w1, otdist.max_sliced_w1])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_gradient_at_ties_and_at_distance_zero_is_finite(f, p):
    for y in (torch.zeros((3, 2)), torch.ones((2, 2)), torch.tensor([[0.0, 0.0], [1.0, 0.0]])):
        x = torch.zeros((3, 2), dtype=torch.float64, requires_grad=True)
        a = torch.ones(3, requires_grad=True)
        f(x, y, a, p=p, rng=0).value.backward()
        assert torch.isfinite(x.grad).all() and torch.isfinite(a.grad).all()
        assert y.any() or not x.grad.any()


def test_a_weight_of_zero_has_the_gradient_of_putting_mass_there(rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    a = torch.tensor([1.0, 0.0, 2.0, 0.0, 1.5], dtype=torch.float64, requires_grad=True)
    b = torch.tensor(rng.random(4))
    sliced(x, y, a, b).backward()
    for row in (1, 3):
        more = a.detach().clone()
        more[row] = 1e-6
        rise = (float(sliced(x, y, more, b)) - float(sliced(x, y, a.detach(), b))) / 1e-6
        assert float(a.grad[row]) == pytest.approx(rise, rel=1e-4)


@pytest.mark.parametrize("f", [otdist.sliced_w1, otdist.max_sliced_w1])
def test_omitted_rows_have_gradient_zero(f):
    x = torch.tensor([[0.0, 0.0], [float("nan"), 0.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    a = torch.ones(3, dtype=torch.float64, requires_grad=True)
    r = f(x, np.array([[2.0, 0.0], [3.0, 1.0]]), a, nan_policy="omit", rng=0)
    r.value.backward()
    assert r.info["omitted"] == (1, 0)
    assert x.grad[1].tolist() == [0.0, 0.0] and a.grad[1] == 0.0
    assert torch.isfinite(x.grad).all() and x.grad[0].any()


@pytest.mark.parametrize("f", [otdist.sliced_w1, otdist.max_sliced_w1])
def test_value_is_float64_and_gradients_have_the_dtype_of_the_points(f):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=dtype, requires_grad=True)
        value = f(x, x.detach() + 1, rng=0).value
        assert value.dtype == torch.float64
        value.backward()
        assert x.grad.dtype == dtype
    plain = f(torch.zeros((2, 2)), torch.ones((3, 2)), rng=0)
    assert isinstance(plain.value, torch.Tensor) and not plain.value.requires_grad
    assert isinstance(plain.lower, float) and isinstance(plain.directions, np.ndarray)


@pytest.mark.parametrize("f", [otdist.sliced_w1, otdist.max_sliced_w1])
def test_a_missing_value_gives_a_tensor_of_nan(f):
    x = torch.tensor([[0.0, float("nan")], [1.0, 2.0]], requires_grad=True)
    assert torch.isnan(f(x, torch.zeros((2, 2)), nan_policy="propagate", rng=0).value)


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e300])
def test_gradient_of_extreme_scales(scale, rng):
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    gradients = []
    for s in (1.0, scale):
        t = torch.tensor(x * s, requires_grad=True)
        sliced(t, y * s, p=2).backward()
        gradients.append(t.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=0)


def test_blocks_and_threads_sum_to_the_gradient_of_the_batch_on_the_line(rng):
    x = torch.tensor(rng.normal(size=(1500, 30)), requires_grad=True)
    y = torch.tensor(rng.normal(size=(1200, 30)) + 0.2)
    r = otdist.sliced_w1(x, y, n_projections=150, rng=0)
    thetas = torch.tensor(r.directions)
    batch = otdist.wasserstein_1d(thetas @ x.T, thetas @ y.T).mean()
    assert batch.item() == pytest.approx(float(r), rel=1e-12)
    (mine,), (theirs,) = torch.autograd.grad(r.value, (x,)), torch.autograd.grad(batch, (x,))
    torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-14)


@pytest.mark.cuda
@pytest.mark.parametrize("f", [otdist.sliced_w1, otdist.max_sliced_w1])
def test_on_a_gpu(f):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x = torch.randn(20, 3, device="cuda", requires_grad=True)
    value = f(x, torch.randn(20, 3, device="cuda"), rng=0).value
    value.backward()
    assert value.is_cuda and x.grad.is_cuda
