"""Gradients whatever stands on the other side, and tensors without numbers that are refused."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

import otdist

POINTS = np.array([[0.5, 2.0], [1.0, 0.0], [4.0, 3.5]])
WEIGHTS = np.array([1.0, 2.0, 1.5])


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def backwards(values):
    return np.ascontiguousarray(values[::-1])[::-1]


OTHERS = {
    "array": np.asarray,
    "read-only": read_only,
    "negative strides": backwards,
    "Fortran order": np.asfortranarray,
    "big-endian": lambda values: values.astype(">f8"),
    "objects": lambda values: values.astype(object),
    "longdouble": lambda values: values.astype(np.longdouble),
    "float16": lambda values: values.astype(np.float16),
    "masked": np.ma.masked_invalid,
    "list": lambda values: values.tolist(),
    "tensor": torch.tensor,
    "tensor of integers": lambda values: torch.tensor(values).long(),
    "pandas": lambda values: (
        pd.DataFrame(values, index=[7, 8, 9]) if values.ndim == 2 else pd.Series(values, index=[7, 8, 9])
    ),
    "polars": lambda values: (
        pl.DataFrame(values, schema=["u", "v"]) if values.ndim == 2 else pl.Series(values)
    ),
    "scipy.sparse": scipy.sparse.csr_array,
}

FUNCTIONS = {
    "w1": lambda *given: otdist.w1(*given).value,
    "wasserstein": lambda *given: otdist.wasserstein(*given, p=2).value,
    "line": lambda x, y, a, b: otdist.wasserstein_1d(x.T, np.asarray(y).T, p=2).sum(),
    "sliced": lambda *given: otdist.sliced_w1(*given, n_projections=5, rng=0).value,
    "max-sliced": lambda *given: otdist.max_sliced_w1(*given, n_starts=2, rng=0).value,
    "divergence": lambda *given: otdist.sinkhorn_divergence(*given).value,
    "unbalanced": lambda *given: otdist.unbalanced_w1(*given, reach=2.0).value,
    "kl": lambda *given: otdist.unbalanced_w1(*given, reach=2.0, penalty="kl").value,
    "partial": lambda *given: otdist.partial_w1(*given, moved=2.0).value,
}


def tensors():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(4, 2)), rng.uniform(0.5, 1.5, size=4)
    return [torch.tensor(part, requires_grad=True) for part in (x, a)]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_other_side_may_be_any_container(name, other):
    if name == "line" and other in (
        "pandas",
        "polars",
        "scipy.sparse",
        "tensor",
        "tensor of integers",
        "masked",
    ):
        pytest.skip("a batch is an array; its containers have a test of their own")
    make, function = OTHERS[other], FUNCTIONS[name]
    y, b = POINTS, WEIGHTS
    if other == "tensor of integers":
        y, b = 2 * y, 2 * b
    (x, a), (x_too, a_too) = tensors(), tensors()
    function(x, make(y), a, make(b) if other != "scipy.sparse" else b).backward()
    function(x_too, y, a_too, b).backward()
    torch.testing.assert_close(x.grad, x_too.grad, rtol=1e-12, atol=0)
    if name != "line":
        torch.testing.assert_close(a.grad, a_too.grad, rtol=1e-12, atol=0)
        assert a.grad.any()
    assert x.grad.any()


@pytest.mark.parametrize("other", sorted(set(OTHERS) - {"scipy.sparse"}))
def test_the_other_samples_on_the_line_may_be_any_container(other):
    y = 2 * WEIGHTS
    x = torch.tensor([0.0, 3.0, 7.0, 8.0], dtype=torch.float64, requires_grad=True)
    (mine,) = torch.autograd.grad(otdist.wasserstein_1d(x, OTHERS[other](y), p=2), x)
    (theirs,) = torch.autograd.grad(otdist.wasserstein_1d(x, y, p=2), x)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=0)


def test_weights_may_have_a_gradient_where_no_points_do():
    for make in OTHERS.values():
        if make is scipy.sparse.csr_array:
            continue
        a = torch.tensor(WEIGHTS, requires_grad=True)
        otdist.w1(make(POINTS), POINTS + 1, a, make(WEIGHTS)).value.backward()
        assert torch.isfinite(a.grad).all()


def test_sparse_tensors_have_gradients():
    dense = torch.tensor(POINTS, requires_grad=True)
    sparse = torch.tensor(POINTS).to_sparse().requires_grad_()
    for x in (dense, sparse):
        otdist.w1(x, POINTS[::-1] + 1).value.backward()
    torch.testing.assert_close(sparse.grad.to_dense(), dense.grad)


def test_the_data_may_change_before_the_gradient_is_taken():
    x = torch.tensor(POINTS, requires_grad=True)
    y = POINTS + np.array([1.0, 0.0])
    moved = y.copy()
    value = otdist.w1(x, moved).value
    moved += 100.0
    value.backward()
    expected = torch.autograd.grad(otdist.w1(x, y).value, x)[0]
    torch.testing.assert_close(x.grad, expected)


def test_a_method_without_a_plan_says_so():
    x = torch.tensor(POINTS, requires_grad=True)

    class Nothing:
        def __call__(self, problem):
            return otdist.Result(1.0, 1.0, 1.0, "nothing")

    with pytest.raises(otdist.InputError, match="no plan") as caught:
        otdist.w1(x, POINTS + 1, method=Nothing())
    assert caught.value.argument == "method"


PUBLIC = {
    **{name: function for name, function in FUNCTIONS.items() if name != "line"},
    "line": lambda x, y, a, b: otdist.wasserstein_1d(x[..., 0], y[:, 0]),
    "emd": lambda x, y, a, b: otdist.emd(x, None, None).value,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's forward mode warns of itself
@pytest.mark.parametrize("transform", ["grad", "jacrev", "jacfwd", "vmap"])
@pytest.mark.parametrize("name", PUBLIC)
def test_torch_func_is_refused(name, transform):
    x, a = (t.detach() for t in tensors())

    def value(x):
        return PUBLIC[name](x.abs() if name == "emd" else x, POINTS, a, WEIGHTS)

    with pytest.raises(otdist.InputError, match=r"torch\.func") as caught:
        getattr(torch.func, transform)(value)(x[None] if transform == "vmap" else x)
    assert caught.value.argument == ("cost" if name == "emd" else "x")


def test_weights_inside_torch_func_are_refused_by_name():
    x, a = (t.detach() for t in tensors())
    with pytest.raises(otdist.InputError, match=r"torch\.func") as caught:
        torch.func.grad(lambda a: otdist.w1(x, POINTS, a=a).value)(a)
    assert caught.value.argument == "a"


@pytest.mark.slow
def test_a_tangent_is_refused():
    x, _ = (t.detach() for t in tensors())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(otdist.InputError, match="forward-mode"):
            otdist.w1(dual, POINTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks at it on its own
@pytest.mark.parametrize("name", ["w1", "divergence"])
def test_torch_compile_leaves_the_call_as_it_is(name):
    layer = torch.nn.Linear(2, 2).double()
    x, a = tensors()
    y, b = torch.tensor(POINTS), torch.tensor(WEIGHTS)

    def model(x):
        return FUNCTIONS[name](layer(x), y, a, b) * 2

    value, expected = torch.compile(model, backend="eager")(x), model(x)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(value, x), torch.autograd.grad(expected, x))


def test_public_functions_keep_their_names_and_signatures():
    assert str(inspect.signature(otdist.emd)).startswith("(cost: 'ArrayInput', a: ")
    for f in (otdist.w1, otdist.emd, otdist.wasserstein_1d, otdist.partial_w1):
        assert f.__module__.startswith("otdist.") and f.__doc__ and f is getattr(otdist, f.__name__)
    functions = [f for f in vars(otdist).values() if inspect.isfunction(f)]
    measured = {
        f.__name__ for f in functions if list(inspect.signature(f).parameters)[:1] in (["x"], ["cost"])
    }
    guarded = {f.__name__ for f in functions if hasattr(f, "__wrapped__")}
    assert measured <= guarded
