"""Cases 13 to 17, 20 and 42: what type the numbers can have, and costs given as a matrix."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal

import numpy as np
import pytest
from cases import (
    POINTS,
    STRICT,
    TABLES,
    at,
    case,
    each,
    each_weight,
    refused,
    samples,
    weights,
)
from optional import torch

import otdist
from otdist import InputError, PrecisionWarning
from otdist.metrics import Metric

NAN, INF = math.nan, math.inf
HUGE = 2**63 - 1
PER_COLUMN = [*POINTS, TABLES]


class TestNumbers:
    @case(13)
    @each(PER_COLUMN)
    def test_float32_at_ten_thousand_keeps_the_last_unit(self, f, d):
        x, y = at(d, 10_000, 20_000).astype("f4"), at(d, 10_001, 20_001).astype("f4")
        assert f(x, y) == 1.0

    @case(14)
    @each(PER_COLUMN)
    def test_float16_does_not_overflow(self, f, d):
        x, y = at(d, 65504, 65504).astype("f2"), at(d, -65504, -65504).astype("f2")
        assert f(x, y) == 131008.0

    @case(14, 42)
    @each(POINTS)
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
    def test_short_torch_floats_do_not_overflow(self, f, d, dtype):
        top = torch.finfo(dtype).max
        x, y = (torch.tensor(at(d, s * top, s * top)).to(dtype) for s in (1, -1))
        assert f(x, y) == 2 * top

    @case(15)
    @each(PER_COLUMN)
    @pytest.mark.parametrize(
        ("dtype", "low", "high"),
        [("u1", 0, 255), ("i1", -128, 127), ("u2", 0, 65535), ("i4", -(2**31), 2**31 - 1)],
    )
    def test_short_integers_do_not_wrap(self, f, d, dtype, low, high):
        assert f(at(d, low, low).astype(dtype), at(d, high, high).astype(dtype)) == high - low

    @case(15)
    @each(PER_COLUMN)
    @pytest.mark.parametrize("dtype", ["i8", "u8"])
    def test_integers_beyond_2_53_warn(self, f, d, dtype):
        x, y = np.array([HUGE, HUGE - 2**60], dtype), np.array([0, 2**61], dtype)
        if d == 2:
            x, y = (np.stack([z, np.zeros_like(z)], axis=1) for z in (x, y))
        with pytest.warns(PrecisionWarning, match=r"2\*\*53"):
            value = f(x, y)
        assert value == pytest.approx(f(x.astype(float), y.astype(float)), rel=1e-12)

    @case(15)
    @pytest.mark.parametrize("place", [0, 1, 2, 3], ids=["x", "y", "a", "b"])
    def test_the_warning_names_the_argument_and_points_at_the_caller(self, place):
        given = [[1, 2], [3, 4], [1, 1], [1, 1]]
        given[place] = [2**55 + 3, 1]
        with pytest.warns(PrecisionWarning, match=f"^{'xyab'[place]}:") as caught:
            otdist.w1(*given)
        assert {str(w.filename) for w in caught} == {__file__}

    @case(15)
    @pytest.mark.parametrize(
        "big",
        [[2**70 + 1, 0], [2**63 + 1, -1], [2**53 + 1, None], np.array([2**60 + 1, 0.5], dtype=object)],
        ids=["2**70", "2**63 and -1", "beside None", "objects"],
    )
    def test_large_python_integers_warn_too(self, big):
        with pytest.warns(PrecisionWarning):
            otdist.w1(big, [0, 1], nan_policy="omit")

    @case(15)
    def test_integers_at_2_53_and_distances_between_them_are_exact(self):
        assert otdist.w1([2**53, -(2**53)], [2**53 - 1, -(2**53)]).value == 0.5

    @case(6, 15)
    @pytest.mark.parametrize("big", [10**400, Decimal("1e400")], ids=["int", "decimal"])
    def test_a_number_that_no_float64_can_hold_is_refused(self, big):
        refused(otdist.w1, "x", [0, big], [1, 2], says=(1,))

    @case(6, 15)
    @pytest.mark.skipif(
        np.finfo(np.longdouble).max == np.finfo(float).max, reason="long double is double here"
    )
    def test_a_long_double_beyond_float64_is_refused(self):
        refused(otdist.w1, "x", np.array([0, np.longdouble("1e400")]), [1, 2], says=(1,))

    @case(16)
    @each(PER_COLUMN)
    def test_booleans_are_zero_and_one(self, f, d):
        x, y = at(d, 0, 0, 0, 1).astype(bool), at(d, 1, 1, 0, 0).astype(bool)
        assert f(x, y) == pytest.approx(f(x.astype(float), y.astype(float))) == 0.25 ** (1 / f.p)


class TestNotNumbers:
    @case(16)
    @each(STRICT, side=True)
    @pytest.mark.parametrize("dtype", ["complex128", "<U5", "S5"])
    def test_what_is_not_a_real_number_is_refused_with_its_type(self, f, d, side, dtype):
        given = samples(d)
        given[side] = given[side].astype(int).astype(dtype)
        refused(f, f.sides[side], *given, says=(str(np.dtype(dtype)),))

    @case(16)
    @each([f for f in STRICT if len(f.sides) == 2], side=True)
    @pytest.mark.parametrize(
        ("dtype", "meaning"), [("datetime64[s]", "without a time zone"), ("timedelta64[s]", "durations")]
    )
    def test_times_against_numbers_are_refused(self, f, d, side, dtype, meaning):
        given = samples(d)
        given[side] = given[side].astype(int).astype(dtype)
        refused(f, "y", *given, says=(meaning, "plain numbers"))

    @case(16)
    @each_weight
    @pytest.mark.parametrize("dtype", ["complex128", "<U5", "datetime64[s]"])
    def test_weights_are_real_numbers(self, side, dtype):
        given = [*samples(), *weights()]
        given[2 + side] = given[2 + side].astype(int).astype(dtype)
        refused(otdist.w1, "ab"[side], *given, says=(str(np.dtype(dtype)),))

    @case(16)
    @pytest.mark.parametrize(
        "item", ["2.5", 2 + 1j, b"2", [1, 2], {}, object()], ids=lambda v: type(v).__name__
    )
    def test_an_object_array_is_refused_at_its_first_entry_that_is_no_number(self, item):
        x = np.array([1.0, 2.0, 3.0], dtype=object)
        x[1] = item
        refused(otdist.w1, "x", x, [0.0], says=(1,))
        refused(otdist.wasserstein_1d, "x", x, [0.0], says=(1,))

    @case(16)
    @pytest.mark.parametrize(
        "thing",
        ["abc", None, 3.0, object(), {}, {1.0, 2.0}, np.zeros(3, dtype="f8,f8"), b"abc", len],
        ids=repr,
    )
    def test_what_is_no_sample_is_refused(self, thing):
        refused(otdist.w1, "x", thing, [1.0, 2.0])
        refused(otdist.w1, "y", [1.0, 2.0], thing)

    @case(16)
    def test_compare_reads_dates_and_labels_but_not_complex_numbers(self):
        days = np.array(["2026-01-01", "2026-01-03"], dtype="datetime64[D]")
        column = otdist.compare({"t": days}, {"t": days + 2}, n_resamples=9).columns[0]
        assert (column.kind, column.w1, column.unit) == ("datetime", 2.0, "days")
        assert otdist.compare({"s": ["a", "b"]}, {"s": ["a", "a"]}, n_resamples=9).columns[0].w1 == 0.5
        tables = {"z": [1j, 2.0], "a": [1, 2]}, {"z": [1.0, 2.0], "a": [1, 2]}
        odd = otdist.compare(*tables, n_resamples=9)["z"]
        assert odd.verdict == "unreadable" and odd.note == "reference has type list"


class TestCosts:
    @case(20)
    @pytest.mark.parametrize("bad", [NAN, -NAN, INF, -INF, -1e-300])
    def test_a_cost_that_is_not_finite_and_non_negative_is_refused_with_its_place(self, bad):
        cost = np.ones((3, 4))
        cost[1, 2] = cost[2, 3] = bad
        refused(otdist.emd, "cost", cost, says=("[1, 2]",))

    @case(20)
    def test_nan_from_the_difference_of_infinities_is_refused(self):
        with np.errstate(invalid="ignore"):
            cost = np.abs(np.array([0.0, INF])[:, None] - np.array([1.0, INF]))
        refused(otdist.emd, "cost", cost, says=("[0, 1]", 3))

    @case(16, 20, 32, 35)
    @pytest.mark.parametrize(
        "cost",
        [
            np.ones((2, 2), complex),
            np.ones(3),
            np.ones((2, 2, 2)),
            np.empty((0, 3)),
            np.empty((3, 0)),
            "ab",
            None,
        ],
    )
    def test_what_is_no_cost_matrix_is_refused(self, cost):
        refused(otdist.emd, "cost", cost)

    @case(20)
    @pytest.mark.parametrize("bad", [NAN, INF, -1.0])
    def test_a_metric_that_returns_no_cost_is_refused_with_the_pair(self, bad):
        def broken(u, v):
            return bad if u[0] == 2 and v[0] == 5 else abs(u[0] - v[0])

        refused(otdist.w1, "metric", [1.0, 2.0], [4.0, 5.0], metric=broken, says=("x[1]", "y[1]"))
        refused(
            otdist.w1,
            "metric",
            [9.0, 1.0, 2.0],
            [4.0, 5.0],
            [0, 1, 1],
            None,
            metric=broken,
            says=("x[2]", "y[1]"),
        )
        refused(otdist.w1, "metric", [1.0, 1.0, 2.0], [4.0, 4.0, 5.0], metric=broken, says=("x[2]", "y[2]"))

    @case(20)
    def test_a_matrix_metric_that_returns_nan_is_refused(self):
        broken = Metric("broken", lambda x, y: np.full((len(x), len(y)), NAN))
        refused(otdist.w1, "metric", [1.0, 2.0], [4.0, 5.0], metric=broken)


class TestTorch:
    @case(42)
    @each([f for f in POINTS if f.name != "permutation_test"])
    def test_a_tensor_that_requires_grad_gets_its_gradient_and_is_not_modified(self, f, d):
        x, y = (torch.tensor(z, requires_grad=True) for z in samples(d))
        before = x.detach().clone(), y.detach().clone()
        result = f.function(x, y, **f.options)
        value = getattr(result, "value", result)
        value.backward()
        assert x.grad.isfinite().all() and x.grad.shape == x.shape and x.grad.any()
        assert float(value.detach()) == pytest.approx(f(*samples(d)), rel=1e-14)
        assert torch.equal(x, before[0]) and torch.equal(y, before[1]) and x.requires_grad

    @case(42)
    @each([*STRICT, TABLES])
    def test_a_tensor_gives_the_numbers_of_its_array(self, f, d):
        assert f(*(torch.tensor(z) for z in samples(d))) == pytest.approx(f(*samples(d)), rel=1e-14)

    @case(42)
    @each(STRICT)
    def test_reading_the_number_of_an_answer_with_gradient_does_not_warn(self, f, d):
        torch.set_warn_always(True)  # torch says it once in a process otherwise
        try:
            value = f(*(torch.tensor(z, requires_grad=True) for z in samples(d)))
        finally:
            torch.set_warn_always(False)
        assert value == pytest.approx(f(*samples(d)), rel=1e-14)

    @case(13, 42)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
    def test_the_value_of_a_short_tensor_lies_in_its_interval(self, dtype):
        r = otdist.w1(torch.tensor([0.1, 0.2], dtype=dtype), torch.tensor([0.4, 0.7], dtype=dtype))
        assert r.lower <= float(r) <= r.upper

    @case(42)
    @pytest.mark.parametrize("place", [1, 2, 3], ids=["y", "a", "b"])
    def test_tensors_on_two_devices_are_refused(self, place):
        given = [torch.tensor(z) for z in (*samples(), *weights())]
        given[place] = given[place].to("meta")  # a device that every machine has
        error = refused(otdist.w1, "xyab"[place], *given)
        assert "meta" in error.problem

    @case(42)
    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    @pytest.mark.parametrize("place", [1, 2, 3], ids=["y", "a", "b"])
    def test_cuda_against_cpu_is_refused(self, place):
        given = [torch.tensor(z) for z in (*samples(), *weights())]
        given[place] = given[place].cuda()
        error = refused(otdist.w1, "xyab"[place], *given)
        assert "cuda" in error.problem

    @case(42)
    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    @each([f for f in POINTS if f.name != "permutation_test"])
    def test_cuda_tensors_get_an_answer_on_their_device(self, f, d):
        result = f.function(*(torch.tensor(z).cuda() for z in samples(d)), **f.options)
        value = getattr(result, "value", result)
        assert value.is_cuda and float(value) == pytest.approx(f(*samples(d)), rel=1e-14)

    @case(16, 42)
    @each(STRICT, side=True)
    def test_a_complex_tensor_is_refused(self, f, d, side):
        given = [torch.tensor(z) for z in samples(d)]
        given[side] = given[side].to(torch.complex64)
        refused(f, f.sides[side], *given, says=("must be real", "torch.complex64"))

    @case(15, 42)
    def test_tensors_of_integers_booleans_and_sparse_layout_are_read(self):
        x, y = [[0, 1], [1, 1]], [[0, 0], [0, 0]]
        expected = otdist.w1(x, y).value
        for make in (
            torch.ByteTensor,
            torch.BoolTensor,
            lambda v: torch.tensor(v, dtype=torch.float64).to_sparse(),
        ):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse", UserWarning)  # torch's own beta notice
                tensor = make(x)
            assert float(otdist.w1(tensor, y)) == pytest.approx(expected, rel=1e-7)
        with pytest.warns(PrecisionWarning):
            otdist.w1(torch.tensor([HUGE, 0]), torch.tensor([0, 1]))
        with pytest.raises(InputError):
            otdist.w1(torch.tensor([NAN]), torch.tensor([0.0]))
