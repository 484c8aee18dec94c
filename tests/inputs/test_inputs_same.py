"""The same numbers in any container give the same answer to the bit, and what holds none is refused."""

from __future__ import annotations

import array
import collections
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from cases import refused
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

import otdist

# Whole multiples of 1/8 up to 8 have few enough digits for every type here, float8 apart.
eighths = st.integers(-64, 64).map(lambda k: k / 8)


class Protocol:
    """An object with one way to become an array."""

    def __init__(self, values, name):
        self.values = np.array(values)
        setattr(self, name, getattr(self.values, name))


class WithArray(Protocol):
    def __init__(self, values):
        self.values = np.array(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


class WithDlpack(WithArray):
    __array__ = property()  # hasattr says no

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class Capsule:
    def __init__(self, values):
        self.table = table(values, pa.table)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Subclass(torch.Tensor):
    """A tensor of one's own class, as libraries have them."""


class AppleLike(torch.Tensor):
    """A tensor that has no float64 where it is, as on Apple's devices."""

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def table(values, make):
    return make({f"c{k}": list(column) for k, column in enumerate(np.asarray(values).T)})


def bfloat16(values):
    return np.asarray(values).astype(pytest.importorskip("ml_dtypes").bfloat16)


def quiet_csr(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: beta
        return torch.tensor(values).to_sparse_csr()


def quantised(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: deprecated
        return torch.quantize_per_tensor(torch.tensor(values, dtype=torch.float32), 1 / 8, 128, torch.quint8)


TWO_AXES = {
    **{d: (lambda v, d=d: np.asarray(v).astype(d)) for d in ("f2", "f4", ">f8", "<f8", "g", "O")},
    **{
        str(d): (lambda v, d=d: torch.tensor(v).to(d)) for d in (torch.float16, torch.bfloat16, torch.float32)
    },
    "bfloat16": bfloat16,
    "list": lambda v: v.tolist(),
    "list of arrays": list,
    "list of tensors": lambda v: [torch.tensor(row) for row in v],
    "iterator": lambda v: iter(v.tolist()),
    "transposed": lambda v: np.ascontiguousarray(v.T).T,
    "memoryview": lambda v: memoryview(np.array(v)),
    "masked": np.ma.array,
    "csr": sparse.csr_array,
    "coo matrix": sparse.coo_matrix,
    "torch coo": lambda v: torch.tensor(v).to_sparse(),
    "torch csr": quiet_csr,
    "torch quantised": quantised,
    "torch strided": lambda v: torch.tensor(np.repeat(v, 2, axis=0))[::2],
    "torch negative": lambda v: torch.tensor(v * 1j).conj().imag.mul(-1),
    "torch negative view": lambda v: torch.imag(torch.conj(torch.tensor(v * -1j))),
    "parameter": lambda v: torch.nn.Parameter(torch.tensor(v)).detach().requires_grad_(False),
    "subclass": lambda v: torch.tensor(v).as_subclass(Subclass),
    "apple-like": lambda v: torch.tensor(v).as_subclass(AppleLike),
    "pandas": lambda v: table(v, pd.DataFrame),
    "pandas float16": lambda v: pd.DataFrame(np.asarray(v, np.float16)),
    "pandas sparse": lambda v: pd.DataFrame(v).astype(pd.SparseDtype("float64", 0.0)),
    "pandas Float64": lambda v: table(v, pd.DataFrame).convert_dtypes(),
    "polars": lambda v: table(v, pl.DataFrame),
    "pyarrow": lambda v: table(v, pa.table),
    "pyarrow float16": lambda v: pa.table({"a": np.float16(v[:, 0])}),
    "record batch": lambda v: table(v, pa.table).to_batches()[0],
    "arrow stream": Capsule,
    "__array__": WithArray,
    "__dlpack__": WithDlpack,
    "__array_interface__": lambda v: Protocol(v, "__array_interface__"),
}
ONE_AXIS = {
    "array.array": lambda v: array.array("d", v),
    "deque": lambda v: collections.deque(v.tolist()),
    "dict values": lambda v: dict(enumerate(v.tolist())).values(),
    "sparse vector": lambda v: sparse.coo_array(v),
    "pandas Series": pd.Series,
    "pandas Index": pd.Index,
    "pandas array": lambda v: pd.array(v, dtype="Float64"),
    "pandas half": lambda v: pd.Series(v.astype("f2")).astype("halffloat[pyarrow]"),
    "polars Series": pl.Series,
    "pyarrow array": pa.array,
    "pyarrow half": lambda v: pa.array(v.astype("f2")),
    "pyarrow chunked": lambda v: pa.chunked_array([v[:1], v[1:]], type=pa.float64()),
    "list of scalars": lambda v: [np.float32(item) for item in v],
    "list of tensors": lambda v: [torch.tensor(item) for item in v],
    "list of bfloat16 tensors": lambda v: [torch.tensor(item).bfloat16() for item in v],
}


class TestSame:
    @pytest.mark.parametrize("make", TWO_AXES.values(), ids=TWO_AXES)
    @given(hnp.arrays(float, (4, 1), elements=eighths), hnp.arrays(float, (3, 1), elements=eighths))
    def test_a_column(self, make, x, y):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse", UserWarning)
            assert float(otdist.w1(make(x), make(y))) == otdist.w1(x, y).value

    @pytest.mark.parametrize("make", TWO_AXES.values(), ids=TWO_AXES)
    def test_points_weights_and_costs(self, make, rng):
        x, y = rng.integers(-64, 64, (5, 2)) / 8, rng.integers(-64, 64, (4, 2)) / 8
        a = rng.integers(1, 64, (5, 1)) / 8
        if make is TWO_AXES["pyarrow float16"]:  # has one column only
            x, y = x[:, :1], y[:, :1]
        assert float(otdist.w1(make(x), make(y), make(a))) == otdist.w1(x, y, a).value
        assert float(otdist.emd(make(np.abs(x)))) == otdist.emd(np.abs(x)).value
        assert float(otdist.sliced_w1(make(x), make(y), rng=0)) == otdist.sliced_w1(x, y, rng=0).value

    @pytest.mark.parametrize("make", ONE_AXIS.values(), ids=ONE_AXIS)
    def test_a_vector(self, make, rng):
        x, y, a = rng.integers(-64, 64, 5) / 8, rng.integers(-64, 64, 4) / 8, rng.integers(1, 64, 5) / 8
        assert float(otdist.w1(make(x), make(y), make(a))) == otdist.w1(x, y, a).value
        assert float(otdist.wasserstein_1d(make(x), make(y), make(a))) == otdist.wasserstein_1d(x, y, a)
        assert float(otdist.w1(x, make(y))) == float(otdist.w1(make(x), y)) == otdist.w1(x, y).value

    def test_an_iterator_of_weights_is_read_once(self):
        x, y = [0.0, 1.0], [0.5]
        for f in (otdist.w1, lambda *g: otdist.unbalanced_w1(*g, reach=1.0), otdist.wasserstein_1d):
            assert float(f(x, y, iter([1.0, 3.0]), iter([4.0]))) == float(f(x, y, [1.0, 3.0], [4.0]))


def fake():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(3)


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: prototype
        return torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])


class Device:
    """As CuPy: an array that does not come to the CPU unasked."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")


SELF: list = []
SELF.append(SELF)
REFUSED = {
    "meta": (lambda: torch.ones(3, device="meta"), "meta"),
    "fake": (fake, "FakeTensor"),
    "nested": (nested, "pass a plain tensor"),
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), "two columns"),
    "list with gradient": (lambda: [torch.ones(1, requires_grad=True)], "torch.stack"),
    "device": (Device, "Device"),
    "bytes of two": (lambda: np.zeros(3, "V2"), "ml_dtypes.bfloat16"),
    "structured": (lambda: np.zeros(3, "f8,f8"), "structured_to_unstructured"),
    "record": (lambda: np.rec.array([(1.0, 2.0)]), "fields f0, f1"),
    "StringDType": (lambda: np.array(["1"], dtype=np.dtypes.StringDType()), "otdist.compare"),
    "number": (lambda: np.array(3.0), "[3]"),
    "0-d tensor": (lambda: torch.tensor(3.0), "[3]"),
    "dict": (lambda: {"a": [1.0]}, "mapping"),
    "set": (lambda: {1.0}, "set"),
    "text": (lambda: "1.0", "not numeric"),
    "self": (lambda: SELF, "same columns"),
    "period": (lambda: pd.Series(pd.period_range("2024", periods=2, freq="M")), "Period"),
    "categories": (lambda: pd.Series(pd.Categorical([1, 2])), "Categorical"),
    "lazy": (lambda: pl.LazyFrame({"a": [1.0]}), "collect"),
}


class TestRefused:
    @pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
    def test_what_holds_no_numbers(self, make, words):
        for call in (otdist.w1, otdist.wasserstein_1d, otdist.sinkhorn_divergence):
            single = call is otdist.wasserstein_1d and words == "[3]"  # there it has no axis
            for points, name in (((make(), [1.0]), "x"), (([1.0], make()), "y")):
                with pytest.raises(otdist.InputError) as caught:
                    call(*points)
                assert caught.value.argument.split("[")[0] == name
                assert ("axis" if single else words) in str(caught.value) or "device" in str(caught.value)
        with pytest.raises(otdist.InputError):
            otdist.w1([1.0], [2.0], make())
        with pytest.raises(otdist.InputError):
            otdist.emd(make())

    def test_a_sparse_tensor_that_cannot_be_made_dense(self):
        huge = torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6), check_invariants=False)
        with pytest.raises(otdist.BudgetError, match="8000"):
            otdist.w1(huge, huge)

    def test_functions_transformed_by_torch_are_refused(self):
        with pytest.raises(otdist.InputError):
            torch.func.vmap(lambda z: otdist.w1(z, [0.0]).value)(torch.ones((2, 1)))

    def test_a_remedy_for_strange_bytes_works(self):
        values = np.array([1.0, 2.5])
        saved = bfloat16(values).view("V2")
        refused(otdist.w1, "x", saved, [1.0], says=("bytes",))
        assert otdist.w1(saved.view(bfloat16(values).dtype), values).value == 0.0
