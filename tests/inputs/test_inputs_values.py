"""Cases 1, 3, 17 and 18: values that are missing or infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import (
    POINTS,
    STRICT,
    at,
    case,
    each,
    refused,
    samples,
    weights,
)

import otdist
from otdist import metrics

NAN, INF = math.nan, math.inf


def spoil(points, rows, value):
    points.reshape(len(points), -1)[rows, 0] = value


class TestMissing:
    @case(1)
    @each(STRICT, side=True)
    def test_nan_is_refused_with_count_and_first_row(self, f, d, side):
        given = samples(d)
        spoil(given[side], [1, 3], NAN)
        refused(f, f.sides[side], *given, says=(2, 1))

    @case(1)
    @each(POINTS, takes="nan_policy")
    def test_omit_drops_the_rows(self, f, d):
        x, y = samples(d)
        expected = f(np.delete(x, [1, 3], axis=0), np.delete(y, 2, axis=0))
        spoil(x, [1, 3], NAN)
        spoil(y, 2, NAN)
        assert f(x, y, nan_policy="omit") == pytest.approx(expected, rel=1e-14)

    @case(1)
    def test_omit_drops_the_weights_too_and_counts_the_rows(self):
        (x, y), (a, b) = samples(2), weights()
        spoil(x, [1, 3], NAN)
        spoil(y, 2, NAN)
        r = otdist.w1(x, y, a, b, nan_policy="omit")
        keep = [0, 2, 4], [0, 1, 3]
        assert r.value == otdist.w1(x[keep[0]], y[keep[1]], a[keep[0]], b[keep[1]]).value
        assert r.info["omitted"] == (2, 1) and (r.n, r.m) == (5, 4)

    @case(1)
    @each(POINTS, takes="nan_policy", side=True)
    def test_propagate_gives_nan(self, f, d, side):
        given = samples(d)
        spoil(given[side], 1, NAN)
        assert math.isnan(f(*given, nan_policy="propagate"))

    @case(1)
    @pytest.mark.parametrize("metric", ["gower", "angular", "cosine", metrics.periodic(9.0)])
    def test_propagate_gives_nan_for_every_metric(self, metric):
        x, y = samples(2)
        spoil(x, 1, NAN)
        assert math.isnan(float(otdist.w1(x, y, metric=metric, nan_policy="propagate")))

    @case(1)
    @each(POINTS, takes="nan_policy", side=True)
    def test_nothing_but_missing_rows_is_refused_under_omit(self, f, d, side):
        given = samples(d)
        given[side][:] = NAN
        refused(f, f.sides[side], *given, nan_policy="omit")

    @case(17)
    @each(STRICT, side=True)
    def test_none_in_an_object_array_is_missing(self, f, d, side):
        given = samples(d)
        given[side] = given[side].astype(object)
        spoil(given[side], 2, None)
        refused(f, f.sides[side], *given, says=(1, 2))

    @case(17)
    @each(POINTS, takes="nan_policy")
    def test_omit_drops_none(self, f, d):
        x, y = samples(d)
        holed = x.astype(object)
        spoil(holed, 2, None)
        expected = pytest.approx(f(np.delete(x, 2, axis=0), y), rel=1e-14)
        assert f(holed, y, nan_policy="omit") == expected == f(holed.tolist(), y, nan_policy="omit")

    @case(18)
    @each(STRICT, side=True)
    def test_a_masked_entry_is_missing_whatever_lies_under_the_mask(self, f, d, side):
        given = samples(d)
        mask = np.zeros(given[side].shape, dtype=bool)
        spoil(mask, 3, True)
        given[side] = np.ma.masked_array(given[side], mask)
        refused(f, f.sides[side], *given, says=(1, 3))

    @case(18)
    @each(POINTS, takes="nan_policy")
    @pytest.mark.parametrize("under", [100.0, INF, NAN])
    def test_omit_gives_the_masked_answer(self, f, d, under):
        x = np.ma.masked_array(at(d, 1.0, 2.0, under, 3.0), at(d, 0, 0, 1, 0))
        assert f(x, at(d, 1.0, 2.0, 3.0), nan_policy="omit") == 0.0

    @case(18)
    @pytest.mark.parametrize("table", [lambda v: v, lambda v: {"v": v}], ids=["array", "dict"])
    def test_compare_honours_the_mask(self, table):
        x = np.ma.masked_array([1.0, 2.0, 100.0, 3.0], [0, 0, 1, 0])
        report = otdist.compare(table(x), table(np.array([1.0, 2.0, 3.0])), n_resamples=9).columns[0]
        assert report.w1 == 0.0 and report.missing_reference == 0.25


class TestInfinity:
    @case(3)
    @each(POINTS, takes="infinity", side=True)
    @pytest.mark.parametrize("sign", [1, -1])
    def test_mass_at_infinity_on_one_side_makes_the_distance_infinite(self, f, d, side, sign):
        given = samples(d)
        spoil(given[side], 2, sign * INF)
        assert f(*given) == INF

    @case(3)
    @each(POINTS, takes="infinity")
    def test_unequal_mass_or_opposite_infinities_make_it_infinite(self, f, d):
        assert f(at(d, INF, 0), at(d, INF, 0, 0)) == INF
        assert f(at(d, INF, 0), at(d, -INF, 0)) == INF

    @case(3)
    @each(POINTS, takes="infinity")
    def test_equal_mass_at_the_same_infinity_is_refused(self, f, d):
        refused(f, "x", at(d, 0, 1, INF), at(d, INF, 2, 3), says=(2,))

    @case(3, 24)
    def test_the_row_named_is_the_row_of_the_caller_also_behind_rows_without_mass(self):
        refused(otdist.w1, "x", [5.0, INF, 0.0], [INF, 0.0], [0, 1, 1], None, says=(1,))
        refused(otdist.w1, "x", [NAN, 5.0, NAN], [0.0], [0, 1, 1], None, says=(2,))
        points = np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 0.0]])
        refused(otdist.w1, "x", points, points[:1], [0, 1, 1], None, metric="angular", says=(2,))
        refused(otdist.w1, "y", points[:1], points, None, [0, 1, 1], metric="cosine", says=(2,))

    @case(3)
    @each([f for f in STRICT if "infinity" not in f.takes], side=True)
    def test_functions_without_an_infinite_answer_refuse_infinity(self, f, d, side):
        given = samples(d)
        spoil(given[side], 2, INF)
        error = refused(
            lambda *points: f(*points), f.sides[0] if f.name == "permutation_test" else f.sides[side], *given
        )
        assert "infinit" in error.problem

    @case(3)
    @pytest.mark.parametrize(
        "metric",
        [
            "gower",
            "angular",
            "cosine",
            metrics.periodic(9.0),
            metrics.mixed([1.0, 1.0], categorical=[True, False]),
        ],
        ids=["gower", "angular", "cosine", "periodic", "labels"],
    )
    def test_a_metric_that_cannot_be_infinite_or_is_undefined_there_refuses_infinity(self, metric):
        x, y = samples(2)
        spoil(x, 2, INF)
        refused(otdist.w1, "x", x, y, metric=metric, says=(2,))

    @case(3)
    def test_compare_says_infinite(self):
        column = otdist.compare({"v": [0.0, INF]}, {"v": [0.0, 1.0]}).columns[0]
        assert (column.status, column.w1) == ("infinite", INF)
        assert math.isnan(otdist.compare({"v": [0.0, INF]}, {"v": [0.0, INF]}).columns[0].w1)
