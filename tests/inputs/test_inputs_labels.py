"""Labels of pandas: what belongs together is matched by label or refused, never paired by position."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import refused
from hypothesis import given
from hypothesis import strategies as st

import otdist

X = pd.DataFrame({"u": [0.0, 1.0, 5.0], "v": [0.0, 0.0, 0.0]}, index=list("pqr"))
HERE = np.zeros((1, 2))
W = pd.Series([3.0, 1.0, 2.0], index=list("rqp"))  # p: 2, q: 1, r: 3
ALIGNED = (0 * 2 + 1 * 1 + 5 * 3) / 6
CALLS = {
    "w1": (otdist.w1, ALIGNED),
    "wasserstein": (lambda x, y, a: otdist.wasserstein(x, y, a, p=1), ALIGNED),
    "sliced_w1": (lambda x, y, a: otdist.sliced_w1(x, y, a, directions=[[1, 0]]), ALIGNED),
    "max_sliced_w1": (lambda x, y, a: otdist.max_sliced_w1(x, y, a, rng=0), ALIGNED),
    "unbalanced_w1": (lambda x, y, a: otdist.unbalanced_w1(x, y, a, [6.0], reach=100.0), 6 * ALIGNED),
    "partial_w1": (lambda x, y, a: otdist.partial_w1(x, y, a, [6.0]), 6 * ALIGNED),
    "sinkhorn_divergence": (lambda x, y, a: otdist.sinkhorn_divergence(x, y, a, debias=False), ALIGNED),
    "wasserstein_1d": (lambda x, y, a: otdist.wasserstein_1d(x["u"], y[:, 0], a), ALIGNED),
}
each_call = pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)


class TestWeights:
    @each_call
    def test_weights_in_another_order_are_matched_by_label(self, call, expected):
        assert float(call(X, HERE, W)) == pytest.approx(expected, rel=1e-9)
        assert float(call(X, HERE, W.to_numpy())) != pytest.approx(expected, rel=1e-3)  # these have none
        assert float(call(X.iloc[::-1], HERE, W)) == pytest.approx(expected, rel=1e-9)

    @each_call
    def test_other_labels_are_refused_with_the_first_and_a_way_on(self, call, expected):
        error = refused(call, "a", X[X["u"] > 0], HERE, W, says=("'p'", "a only"))
        assert "to_numpy()" in error.remedy
        refused(call, "a", X, HERE, pd.Series([2.0, 1.0, 3.0]), says=("'p'",))  # a fresh index 0, 1, 2
        refused(call, "a", X, HERE, W.rename({"p": "z"}), says=("'p'", "x"))

    def test_a_filtered_table_keeps_its_weights(self):
        frame = pd.DataFrame({"u": [9.0, 1.0, 5.0], "w": [7.0, 1.0, 3.0]})
        some = frame[frame["u"] < 9]
        assert otdist.w1(some[["u"]], [0.0], some["w"]).value == 4.0
        refused(otdist.w1, "a", some[["u"]], [0.0], frame["w"], says=("0", "a only"))

    def test_sorted_weights_find_their_points(self):
        x, w = pd.Series([0.0, 1.0, 5.0]), pd.Series([3.0, 1.0, 2.0])
        assert otdist.w1(x, [0.0], w.sort_values()).value == otdist.w1(x, [0.0], w).value == 11 / 6

    def test_the_second_sample_has_labels_of_its_own(self):
        assert otdist.w1(HERE, X, None, W).value == pytest.approx(ALIGNED, rel=1e-12)
        assert otdist.w1(X, X.iloc[::-1].set_axis(list("abc"))).value == 0.0

    @pytest.mark.parametrize("make", [pd.Series.to_frame, lambda w: w.to_frame().T], ids=["column", "row"])
    def test_tables_of_weights_are_matched_along_their_length(self, make):
        assert otdist.w1(X, HERE, make(W)).value == pytest.approx(ALIGNED, rel=1e-12)

    def test_labels_that_stand_twice_are_refused_unless_both_orders_are_one(self):
        twice, other = X.set_axis(list("ppq")), W.set_axis(list("pqp"))
        assert otdist.w1(twice, HERE, W.set_axis(list("ppq"))).value == pytest.approx(11 / 6)
        refused(otdist.w1, "a", twice, HERE, other, says=("'p'", "twice"))

    @pytest.mark.parametrize(
        "labels",
        [
            pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")]),
            pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2025-01-01"], tz="UTC"),
            pd.CategoricalIndex(["a", "b", "c"]),
            pd.Index([1.5, np.nan, 2.5]),
            pd.RangeIndex(7, 10),
        ],
        ids=lambda index: type(index).__name__,
    )
    def test_any_kind_of_index(self, labels):
        x, w = X.set_axis(labels), W.iloc[::-1].set_axis(labels)
        assert otdist.w1(x, HERE, w.iloc[[2, 0, 1]]).value == pytest.approx(ALIGNED, rel=1e-12)
        refused(otdist.w1, "a", x, HERE, W)

    def test_indexes_of_kinds_that_cannot_be_compared_are_refused(self):
        x = X.set_axis(pd.IntervalIndex.from_tuples([(0, 2), (1, 3), (2, 4)]))
        refused(otdist.w1, "a", x, HERE, W, says=("interval[int64, right]",))
        aware = X.set_axis(pd.DatetimeIndex(["2024", "2025", "2026"]))
        refused(otdist.w1, "a", aware, HERE, W.set_axis(aware.index.tz_localize("UTC")))

    def test_arrays_tensors_and_polars_have_no_labels(self):
        assert otdist.w1(X.to_numpy(), HERE, W).value == pytest.approx((3 * 0 + 1 * 1 + 2 * 5) / 6)
        assert otdist.w1(pl.from_pandas(X), HERE, W).value == pytest.approx(11 / 6)
        counts = pd.Series([1.0, 1.0, 2.0]).value_counts()
        assert otdist.w1(counts.index, [0.0], counts).value == pytest.approx(4 / 3)

    @pytest.mark.slow
    @given(st.permutations(range(6)), st.permutations(range(6)))
    def test_any_two_orders_give_one_answer(self, first, second):
        x, w = pd.Series(np.arange(6.0) ** 2), pd.Series([1.0, 0.0, 2.0, 5.0, 0.5, 3.0])
        value = otdist.w1(x.iloc[first], [0.0], w.iloc[second]).value
        assert value == pytest.approx(otdist.w1(x, [0.0], w).value, rel=1e-14)


class TestCosts:
    COST = pd.DataFrame([[0.0, 10.0], [10.0, 0.0]], list("ab"), list("ab"))
    A, B = pd.Series({"b": 0.9, "a": 0.1}), pd.Series({"a": 0.1, "b": 0.9})

    def test_rows_and_columns_find_their_weights(self):
        assert otdist.emd(self.COST, self.A, self.B).value == 0.0
        assert otdist.emd(self.COST, self.A.to_numpy(), self.B).value == pytest.approx(8.0)
        assert otdist.emd(self.COST[["b", "a"]], self.A, self.B).value == 0.0

    def test_other_labels_are_refused(self):
        refused(otdist.emd, "b", self.COST, self.A, self.B.rename({"b": "c"}), says=("'b'", "columns"))
        refused(otdist.emd, "a", self.COST, self.B.reset_index(drop=True), self.B, says=("'a'", "rows"))

    def test_the_plan_is_in_the_order_of_the_matrix(self):
        plan = otdist.emd(self.COST, self.A, self.B).plan.toarray()
        assert plan == pytest.approx(np.diag([0.1, 0.9]))


class TestBatches:
    def test_columns_that_number_pairs_are_matched_by_name(self):
        y = X[["v", "u"]] + [1.0, 0.0]
        assert otdist.wasserstein_1d(X, y, axis=0).tolist() == [0.0, 1.0]
        refused(
            lambda x, z: otdist.wasserstein_1d(x, z, axis=0),
            "y",
            X,
            X.rename(columns={"u": "z"}),
            says=("'u'",),
        )

    def test_rows_that_number_pairs_are_matched_by_label(self):
        assert otdist.wasserstein_1d(X, X.iloc[::-1]).tolist() == [0.0, 0.0, 0.0]
