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
@pytest.mark.slow
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("p", [1, 2, 1.5])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_first_derivatives(marginals, p, debias):
    loss = SinkhornLoss(p, eps_abs=0.4, debias=debias, **MARGINALS[marginals], **EXACT)
    assert torch.autograd.gradcheck(loss, inputs(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_second_derivatives(marginals, p):
    loss = SinkhornLoss(p, eps_abs=0.4, **MARGINALS[marginals], **EXACT)
    assert torch.autograd.gradgradcheck(loss, inputs(), atol=1e-5)


@pytest.mark.slow
def test_derivatives_of_a_batch_in_tiles():
    loss = SinkhornLoss(1, eps_abs=1.0, block=8, **EXACT)
    data = inputs(2, n=3, m=2)
    assert torch.autograd.gradcheck(loss, data, atol=1e-6)
    assert torch.autograd.gradgradcheck(loss, data, atol=1e-5)


@pytest.mark.slow
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
    with pytest.raises(otdist.InputError, match="third derivatives"):
        second.sum().backward()


def second_along(loss, data, direction):
    """Second derivative along a direction by double backward, and by central differences of the gradient."""
    first = torch.autograd.grad(loss(*data), data, create_graph=True)
    second = torch.autograd.grad(sum((g * v).sum() for g, v in zip(first, direction, strict=True)), data)
    ends = []
    for step in (1e-5, -1e-5):
        moved = [(t.detach() + step * v).requires_grad_() for t, v in zip(data, direction, strict=True)]
        ends.append(torch.autograd.grad(loss(*moved), moved))
    slopes = [(up - down) / 2e-5 for up, down in zip(*ends, strict=True)]
    return tuple(
        sum(float((g * v).sum()) for g, v in zip(part, direction, strict=True)) for part in (second, slopes)
    )


@pytest.mark.slow
@pytest.mark.parametrize("which", ["points", "weights", "all"])
@pytest.mark.parametrize(("p", "reach"), [(1, 0.125), (2, 0.35), (1, 0.4)])
def test_second_derivatives_where_potentials_are_cut(p, reach, which):
    loss = SinkhornLoss(p, eps_abs=1.0, reach=reach, penalty="tv", tol=1e-13, n_iter=1500)
    for seed in range(2):
        data = inputs(seed=seed)
        rng = torch.Generator().manual_seed(seed)
        direction = [torch.randn(t.shape, generator=rng, dtype=t.dtype) for t in data]
        for k in {"points": (2, 3), "weights": (0, 1), "all": ()}[which]:
            direction[k] = torch.zeros_like(direction[k])
        got, expected = second_along(loss, data, direction)
        assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("p", [2, 4])
def test_second_derivatives_where_points_coincide(p, debias):
    x = torch.tensor([[0.0, 0.0], [0.5, 1.0], [0.5, 1.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    loss = SinkhornLoss(p, eps_abs=0.5, debias=debias, **EXACT)
    direction = [torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.3, 0.7]], dtype=torch.float64)]
    got, expected = second_along(lambda x: loss(x, y), [x], direction)
    assert got == pytest.approx(expected, rel=1e-4)


def test_infinite_second_derivatives_are_refused():
    x = torch.tensor([[0.0, 0.0], [0.5, 1.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    (first,) = torch.autograd.grad(SinkhornLoss(1.5, eps_abs=0.5)(x, y), x, create_graph=True)
    with pytest.raises(otdist.InputError, match="coincide"):
        first.sum().backward()
    (first,) = torch.autograd.grad(SinkhornLoss(1.5, eps_abs=0.5)(x, y + 0.1), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)  # a point and itself do not count
    assert torch.isfinite(second).all() and second.any()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's forward mode warns of itself
@pytest.mark.parametrize("transform", ["grad", "jacrev", "jacfwd", "vmap"])
def test_torch_func_is_refused(transform):
    x, y, _, _ = (t.detach() for t in inputs())
    for loss in (SinkhornLoss(2), otdist.learn.W1Loss("exact"), otdist.learn.W1Loss()):
        with pytest.raises(otdist.InputError, match=r"torch\.func"):
            getattr(torch.func, transform)(lambda x, loss=loss: loss(x, y))(
                x[None] if transform == "vmap" else x
            )


@pytest.mark.parametrize("p", [1, 2, 1.5])
def test_derivatives_at_coincident_points_are_finite(p):
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = SinkhornLoss(p)(x, x.detach()[:2].clone())
    (first,) = torch.autograd.grad(value, x, create_graph=True)
    assert torch.isfinite(first).all() and first[0, 1] == 0
    if p == 1.5:  # the second derivative of |x - y|**1.5 at 0 is infinite
        with pytest.raises(otdist.InputError, match="coincide"):
            torch.autograd.grad(first.sum(), x)
    else:
        assert torch.isfinite(torch.autograd.grad(first.sum(), x)[0]).all()


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_compiled_tile_computes_the_same(monkeypatch):
    import otdist.learn.sinkhorn.softmin as module

    # The default backend takes 20 s for C++; what it is given is what counts here.
    monkeypatch.setattr(
        module, "_compile_tile", lambda: torch.compile(module._softmin_tile, dynamic=True, backend="eager")
    )
    for d in (2, 8):
        x, y, _, _ = inputs(n=9, m=8, d=d)
        value = divergence(x, y, engine="compile", n_iter=20, tol=None)[0].item()
        assert value == pytest.approx(divergence(x, y, n_iter=20, tol=None)[0].item(), rel=1e-12)


@pytest.mark.slow
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
    assert repr(loss) == "SinkhornLoss(debias=True, p=2, reach=1)"
    assert copy.deepcopy(loss)(x, y) == value == pickle.loads(pickle.dumps(loss))(x, y)
    assert loss.state_dict() == {}


@pytest.mark.slow
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
