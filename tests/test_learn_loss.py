"""The Sinkhorn divergence as a loss: gradients, second derivatives, memory, and life inside torch."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import otdist
from otdist.learn import SinkhornLoss, divergence

EXACT = {"tol": 1e-12, "n_iter": 5000}
MARGINALS = {"exact": {}, "kl": {"reach": 1.0}, "tv": {"reach": 0.7, "penalty": "tv"}}


def inputs(*batch, n=4, m=3, d=2, seed=0):
    """Points and weights that require gradients."""
    rng = torch.Generator().manual_seed(seed)
    points = [torch.randn(*batch, k, d, generator=rng, dtype=torch.float64) for k in (n, m)]
    weights = [torch.rand(*batch, k, generator=rng, dtype=torch.float64) + 0.5 for k in (n, m)]
    return [t.requires_grad_() for t in (*points, *weights)]


# eps_abs, since the gradient holds eps as a share of the mean cost for a constant.
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("p", [1, 2, 1.5])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_first_derivatives(marginals, p, debias):
    loss = SinkhornLoss(p, eps_abs=0.4, debias=debias, **MARGINALS[marginals], **EXACT)
    assert torch.autograd.gradcheck(loss, inputs(), atol=1e-6)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_second_derivatives(marginals, p):
    loss = SinkhornLoss(p, eps_abs=0.4, **MARGINALS[marginals], **EXACT)
    assert torch.autograd.gradgradcheck(loss, inputs(), atol=1e-5)


def test_derivatives_of_a_batch_in_tiles():
    loss = SinkhornLoss(1, eps_abs=1.0, block=8, **EXACT)
    data = inputs(2, n=3, m=2)
    assert torch.autograd.gradcheck(loss, data, atol=1e-6)
    assert torch.autograd.gradgradcheck(loss, data, atol=1e-5)


def test_second_derivatives_where_a_point_has_no_mass():
    x, y, a, b = inputs(n=5, m=4)
    with torch.no_grad():
        a[2] = 0
        b[1] = 0

    def gradient(x, y):
        value = SinkhornLoss(2, eps_abs=0.5, **EXACT)(x, y, a, b)
        return torch.autograd.grad(value, (x, y, a, b), create_graph=True)

    assert torch.autograd.gradcheck(gradient, (x, y), atol=1e-5)


def test_a_third_derivative_is_refused():
    x, y, _, _ = inputs()
    first = torch.autograd.grad(SinkhornLoss(2)(x, y), x, create_graph=True)[0]
    second = torch.autograd.grad(first.square().sum(), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


@pytest.mark.parametrize("p", [1, 2, 1.5])
def test_derivatives_at_coincident_points_are_finite(p):
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = SinkhornLoss(p)(x, x.detach()[:2].clone())
    (first,) = torch.autograd.grad(value, x, create_graph=True)
    assert torch.isfinite(first).all() and first[0, 1] == 0
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.isfinite(second).all()


@pytest.mark.parametrize("p", [1, 2])
def test_equal_clouds_are_a_minimum(p):
    x = inputs(n=8)[0]
    value = SinkhornLoss(p, tol=1e-6)(x, x.detach().clone())
    value.backward()
    assert abs(value.item()) < 1e-7 and x.grad.abs().max().item() < 1e-5


def test_a_shift_has_the_gradient_of_its_square():
    x = inputs(n=6)[0]
    SinkhornLoss(2, tol=1e-9)(x, x.detach() + 2).backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, -4.0 / 6), rtol=1e-7, atol=0)


def test_gradients_grow_with_the_scale_of_the_data():
    x, y, _, _ = inputs(n=8, m=7)
    (near,) = torch.autograd.grad(SinkhornLoss(1)(x, y), x)
    (far,) = torch.autograd.grad(SinkhornLoss(1)(2.0**300 * x, 2.0**300 * y), x)
    assert torch.equal(far, 2.0**300 * near)


class Largest(TorchDispatchMode):
    """Remember the largest tensor that was made."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, tuple | list) else (out,):
            self.numel = max(self.numel, t.numel() if isinstance(t, torch.Tensor) else 0)
        return out


def test_no_tensor_holds_all_pairs():
    x, y, _, _ = inputs(n=120, m=100, d=3)
    with Largest() as largest:
        value = SinkhornLoss(1, 0.2, block=2000)(x, y)
        (first,) = torch.autograd.grad(value, x, create_graph=True)
        first.square().sum().backward()
    assert largest.numel <= 2000


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype):
    x, y, _, _ = (t.detach() for t in inputs(n=9, m=8))
    x, y = x.to(dtype).requires_grad_(), y.to(dtype)
    value = SinkhornLoss(2)(x, y)
    value.backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert x.grad.dtype == dtype
    expected = divergence(x.detach().double(), y.double(), p=2)[0].item()
    assert value.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("d", [3, 30])
def test_autocast_changes_nothing(d):
    x, y, _, _ = inputs(n=9, m=8, d=d)
    x, y = x.detach().float().requires_grad_(), y.detach().float()
    loss = SinkhornLoss(1)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, y)
        (first,) = torch.autograd.grad(value, x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
    again = loss(x, y)
    (same,) = torch.autograd.grad(again, x, create_graph=True)
    assert value == again and torch.equal(first, same)
    torch.testing.assert_close(second, torch.autograd.grad(same.square().sum(), x)[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_lower_precision_of_products_changes_little(precision):
    x, y, _, _ = (t.detach().float() for t in inputs(n=40, m=30, d=40))
    value = SinkhornLoss(1)(x, y).item()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        assert SinkhornLoss(1)(x, y).item() == pytest.approx(value, rel=1e-6)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks at it on its own
def test_torch_compile_leaves_the_loss_as_it_is():
    layer, loss = torch.nn.Linear(2, 2).double(), SinkhornLoss(2)
    x, y, _, _ = inputs(n=7)

    def model(x):
        return loss(layer(x), y.detach()) * 2

    compiled = torch.compile(model, backend="eager")
    value, expected = compiled(x), model(x)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    value.backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().max() > 0


def test_a_compiled_tile_computes_the_same(monkeypatch):
    import otdist.learn.softmin as module

    # The default backend takes 20 s for C++; what it is given is what counts here.
    monkeypatch.setattr(
        module, "_compiled", lambda: torch.compile(module._tile, dynamic=True, backend="eager")
    )
    for d in (2, 8):
        x, y, _, _ = inputs(n=9, m=8, d=d)
        value = divergence(x, y, engine="compile", n_iter=20, tol=None)[0].item()
        assert value == pytest.approx(divergence(x, y, n_iter=20, tol=None)[0].item(), rel=1e-12)


def test_weights_are_trained_to_those_of_the_other_cloud():
    x = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    loss, step = SinkhornLoss(2, 0.5), torch.optim.Adam([logits], lr=0.1)
    for _ in range(50):
        step.zero_grad()
        loss(x, x, logits.softmax(0), wanted).backward()
        step.step()
    torch.testing.assert_close(logits.softmax(0), wanted, rtol=0, atol=0.02)


def test_an_unfinished_loss_warns_and_says_how_far_it_is():
    x, y, _, _ = inputs(n=20, m=20)
    loss = SinkhornLoss(1, 0.01, n_iter=3)
    assert loss.last == {}
    with pytest.warns(otdist.ConvergenceWarning):
        loss(x, y)
    assert loss.last["residual"] > 1e-4 and not loss.last["converged"]
    assert loss.last["iterations"] == 3


def test_the_module_copies_pickles_and_prints():
    loss = SinkhornLoss(2, reach=1.0)
    x, y, _, _ = inputs()
    value = loss(x, y)
    assert repr(loss) == "SinkhornLoss(debias=True, p=2, reach=1.0)"
    assert copy.deepcopy(loss)(x, y) == value == pickle.loads(pickle.dumps(loss))(x, y)
    assert loss.state_dict() == {}


def test_torch_is_asked_for_by_name_where_it_is_missing():
    code = """if True:
        import sys
        import otdist
        assert "torch" not in sys.modules
        sys.modules["torch"] = None
        try:
            import otdist.learn
        except ImportError as error:
            assert 'pip install "otdist[torch]"' in str(error)
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.cuda
@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("p", [1, 2])
def test_on_a_gpu(engine, p):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x, y, _, _ = (t.detach().float() for t in inputs(n=200, m=150, d=3))
    near = x.cuda().requires_grad_()
    value = SinkhornLoss(p, engine=engine, block=1000)(near, y.cuda())
    value.backward()
    x = x.requires_grad_()
    expected = SinkhornLoss(p)(x, y)
    expected.backward()
    assert value.is_cuda and value.item() == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(near.grad.cpu(), x.grad, rtol=1e-3, atol=1e-5)
