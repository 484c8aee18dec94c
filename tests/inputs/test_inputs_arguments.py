"""Wrong arguments: every parameter of every public function, with a zoo of values that it may be given."""

from __future__ import annotations

import datetime
import inspect
import math
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from cases import refused
from scipy.spatial.distance import cdist

import otdist
from otdist import BudgetError, InputError, metrics, solvers, stats
from otdist.inputs.arguments import check_count, check_integer, check_number, check_rng, check_seed


class Odd:
    """A value that fails whatever is asked of it."""

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __bool__(self):
        raise RuntimeError("no truth")


def return_none(*points):
    """A function that returns no number."""


RIGHT = [0, 1, -1, 2, 0.5, 1.5, np.int8(1), np.uint64(3), np.float32(1.5), np.array(2), torch.tensor(2)]
ZOO = [
    *(None, True, np.True_, np.array(True), torch.tensor(True), Ellipsis, object(), object, len, Odd()),
    *(10**400, -math.inf, math.inf, math.nan, 1j, Decimal("NaN"), Decimal("sNaN"), np.float64("nan")),
    *("", "a", "1", "auto", b"a", np.str_("raise"), np.array(["a", "b"]), np.array(None)),
    *([], [1], (0, 1), {}, {"a": 1}, set(), np.array([1, 2]), torch.tensor([1.0, 2.0]), range(3)),
    *(torch.tensor(1.0, device="meta"), datetime.timedelta(1), np.timedelta64(1, "s"), np.datetime64("NaT")),
    *(pd.NA, pd.NaT, np.random.default_rng(0), torch.Generator(), return_none),
    *(metrics.periodic, metrics.Metric, metrics.periodic(3.0), solvers.Dense, solvers.Dense()),
]
X, Y = np.array([[0.0, 1.0], [2.0, 0.5], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.25, 3.0]])
A, B = np.array([1.0, 2.0, 1.0]), np.array([1.0, 3.0])
BOTH = {"x": X, "y": Y, "a": A, "b": B}
few = {"n_resamples": 3, "rng": 0}
CALLS = {
    "w1": (otdist.w1, BOTH),
    "w1-line": (otdist.w1, BOTH | {"x": X[:, 0], "y": Y[:, 0]}),
    "wasserstein": (otdist.wasserstein, BOTH),
    "emd": (otdist.emd, {"cost": np.abs(X[:, :1] - Y[:, 0]), "a": A, "b": B}),
    "wasserstein_1d": (otdist.wasserstein_1d, BOTH | {"x": X[:, 0], "y": Y[:, 0]}),
    "sliced_w1": (otdist.sliced_w1, BOTH | {"n_projections": 3, "rng": 0}),
    "max_sliced_w1": (otdist.max_sliced_w1, BOTH | {"n_starts": 2, "rng": 0, "max_iter": 5}),
    "sinkhorn_divergence": (otdist.sinkhorn_divergence, BOTH),
    "unbalanced_w1": (otdist.unbalanced_w1, BOTH | {"reach": 1.0}),
    "unbalanced_w1-kl": (otdist.unbalanced_w1, BOTH | {"reach": 1.0, "penalty": "kl"}),
    "partial_w1": (otdist.partial_w1, BOTH),
    "permutation_test": (stats.permutation_test, {"x": X, "y": Y, **few}),
    "noise_floor": (stats.noise_floor, {"reference": X, "n": 1, "m": 1, **few}),
    "recommend": (otdist.recommend, {"n": 10, "d": 2}),
}
PLACES = [(name, place) for name, (f, _) in CALLS.items() for place in inspect.signature(f).parameters]


def evaluate(call, **options):
    """Whether there is an answer; any exception but an InputError or a BudgetError fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence and precision, which tests of their own cover
        try:
            call(**options)
        except (InputError, BudgetError):
            return False
    return True


class TestZoo:
    def test_every_public_function_is_here(self):
        called = {name.split("-")[0] for name in CALLS} | {"compare"}  # compare: test_inputs_tables.py
        names = [*otdist.__all__, *stats.__all__]
        functions = [getattr(otdist, n, None) or getattr(stats, n) for n in names]
        assert {f.__name__ for f in functions if inspect.isfunction(f)} == called

    @pytest.mark.parametrize(("name", "place"), [p for p in PLACES if p[1] != "options"])
    def test_any_value_gets_an_answer_or_an_input_error(self, name, place):
        function, given = CALLS[name]
        assert evaluate(function, **given)
        for value in (*RIGHT, *ZOO):
            if place == "method" and any(value is f for f in (return_none, metrics.periodic)):
                continue  # a callable is a solver, whose own errors are the caller's to see
            evaluate(function, **{**given, place: value})

    @pytest.mark.slow
    @pytest.mark.parametrize("method", ["dense", "sparse", "sinkhorn"])
    def test_any_option_of_a_method_too(self, method):
        solver = solvers.METHODS[method]
        for name in inspect.signature(solver).parameters:
            for value in (*RIGHT, *ZOO):
                if name == "on_interval" and callable(value):
                    continue  # it is called with an interval, and its errors are the caller's to see
                evaluate(otdist.w1, x=X, y=Y, method=method, **{name: value})
                evaluate(lambda name=name, value=value: solver(**{name: value}))


class TestErrors:
    @pytest.mark.parametrize("value", ["a", None, True, 1j, [0.1], math.nan, -0.5, np.array([0.1])])
    def test_tolerance(self, value):
        refused(otdist.w1, "tol", X, Y, tol=value)

    @pytest.mark.parametrize("value", ["1", True, 0, -1.0, math.nan, [1]])
    def test_time_limit(self, value):
        refused(otdist.w1, "max_seconds", X, Y, max_seconds=value)

    @pytest.mark.parametrize("axis", [(0, 1), None, 1.0, "0", True, 7])
    def test_axis(self, axis):
        with pytest.raises(InputError) as caught:
            otdist.wasserstein_1d(X, X, axis=axis)
        assert caught.value.argument == ("x" if axis == 7 else "axis")

    @pytest.mark.parametrize(
        ("metric", "remedy"),
        [
            ("haversine", "otdist.metrics.great_circle()"),
            ("haversine", "(latitude, longitude) in degrees"),
            ("Haversin", "'haversine'? Then use metric=otdist.metrics.great_circle()"),
            ("geodesic", "ellipsoid"),
            ("geo", "great_circle"),
            ("lat-lon", "great_circle"),
            ("hamming", "categorical"),
            ("jaccard", "otdist.emd(scipy.spatial.distance.cdist(x, y, 'jaccard'), a, b)"),
            ("jacard", "'jaccard'?"),
            ("mahalanobis", "Cholesky"),
            ("correlation", "mean"),
            ("nan_euclidean", "nan_policy='omit'"),
            ("euclidian", "did you mean 'euclidean'?"),
            ("manhatten", "did you mean 'cityblock'?"),
            ("great_circel", "did you mean 'great_circle'?"),
            ("circular", "periodic(360.0)"),
            ("no such name", "use one of 'euclidean'"),
            ("", "use one of 'euclidean'"),
            (metrics.periodic, "otdist.metrics.periodic(...)"),
            (lambda u: 1.0, "two points"),
            (return_none, "finite"),
            (lambda u, v: "far", "finite"),
        ],
    )
    def test_metrics_that_are_none_get_a_way_on(self, metric, remedy):
        assert remedy in refused(otdist.w1, "metric", X, Y, metric=metric).remedy

    def test_an_error_within_the_caller_s_metric_is_left_as_it_is(self):
        def broken(u, v):
            return len(1.0)

        with pytest.raises(TypeError, match="has no len"):
            otdist.w1(X, Y, metric=broken)

    @pytest.mark.parametrize(
        ("name", "expected_name"),
        [
            *((name, "cityblock") for name in ("manhattan", "taxicab", "L1", "City-Block", " cityblock ")),
            *((name, "euclidean") for name in ("Euclidean", "l2", "L2")),
            *((name, "chebyshev") for name in ("Chebyshev", "linf", "L-inf", "max", "infinity")),
            *((name, "sqeuclidean") for name in ("SqEuclidean", "squared Euclidean")),
            *((name, "great_circle") for name in ("great circle", "Great-Circle", "greatcircle")),
            *((name, name.lower()) for name in ("Cosine", "ANGULAR")),
        ],
    )
    def test_names_of_other_packages_for_the_same(self, name, expected_name):
        result, expected = (otdist.w1(X[:, :2], Y[:, :2], metric=metric) for metric in (name, expected_name))
        assert (result.value, result.metric) == (expected.value, expected_name)
        assert otdist.recommend(100, 2, metric=name) == otdist.recommend(100, 2, metric=expected_name)

    def test_other_names_with_infinite_points(self):
        x = [[math.inf, 0.0], [1.0, 2.0]]
        assert otdist.w1(x, Y[:, :2], metric="manhattan").value == math.inf

    def test_the_ways_for_others_of_scipy_are_right(self, rng):
        x, y = rng.random((6, 5)), rng.random((5, 5))
        centred = [z - z.mean(axis=1, keepdims=True) for z in (x, y)]
        by_cosine = otdist.w1(*centred, metric="cosine")
        assert by_cosine.value == pytest.approx(otdist.emd(cdist(x, y, "correlation")).value, rel=1e-12)
        x, y = x > 0.4, y > 0.4

        def jaccard(u, v):
            return np.sum(u != v) / np.sum((u != 0) | (v != 0))

        by_hand = otdist.w1(x.astype(float), y.astype(float), metric=jaccard)
        assert otdist.emd(cdist(x, y, "jaccard")).value == pytest.approx(by_hand.value, rel=1e-12)

    def test_the_way_for_mahalanobis_is_right(self):
        covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
        root = np.linalg.cholesky(np.linalg.inv(covariance))
        step = X[0] - Y[0]
        expected = math.sqrt(step @ np.linalg.inv(covariance) @ step)
        assert otdist.w1(X[:1] @ root, Y[:1] @ root).value == pytest.approx(expected, rel=1e-14)


class TestNumbersInAnyGuise:
    TWO = (2, 2.0, np.int8(2), np.uint64(2), np.float32(2), np.longdouble(2), Fraction(2), Decimal(2))

    @pytest.mark.parametrize("two", [*TWO, np.array(2), np.array(2.0), torch.tensor(2)], ids=repr)
    def test_numbers(self, two):
        assert otdist.wasserstein(X, Y, p=two).value == otdist.wasserstein(X, Y, p=2).value
        assert otdist.wasserstein_1d(X[:, 0], Y[:, 0], p=two) == otdist.wasserstein_1d(X[:, 0], Y[:, 0], p=2)
        assert otdist.unbalanced_w1(X, Y, reach=two).value == otdist.unbalanced_w1(X, Y, reach=2).value
        assert otdist.w1(X, Y, max_seconds=two, tol=two).converged

    @pytest.mark.parametrize("three", [3, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)], ids=repr)
    def test_integers(self, three):
        r = otdist.sliced_w1(X, Y, n_projections=three, rng=three)
        assert r.value == otdist.sliced_w1(X, Y, n_projections=3, rng=3).value and len(r.directions) == 3
        assert len(stats.permutation_test(X, Y, n_resamples=three, rng=0).null) == 3
        assert len(stats.noise_floor(X, 1, 1, n_resamples=three, rng=0).draws) == 3
        assert otdist.recommend(three, three) == otdist.recommend(3, 3)
        assert otdist.wasserstein_1d(np.ones((2, 3)), np.ones((2, 3)), axis=np.int64(1)).shape == (2,)

    @pytest.mark.parametrize("whole", [3.0, np.float64(3), "3", True, np.True_, 0, -3, 10**30])
    def test_floats_and_booleans_are_no_counts(self, whole):
        for check in (check_integer, check_count):
            with pytest.raises(InputError):
                check(whole, "n")

    @pytest.mark.parametrize(
        "value", [True, "1", None, 1j, math.inf, np.array([1.0]), Decimal("sNaN"), pd.NA]
    )
    def test_what_is_no_number(self, value):
        with pytest.raises(InputError, match="got"):
            check_number(value, "eps")


class TestSeeds:
    CALLS = (
        lambda rng: otdist.sliced_w1(X, Y, n_projections=3, rng=rng).directions,
        lambda rng: otdist.max_sliced_w1(X, Y, n_starts=2, max_iter=5, rng=rng).directions,
        lambda rng: stats.permutation_test(X, Y, n_resamples=5, rng=rng).null,
        lambda rng: stats.noise_floor(X, 1, 1, n_resamples=5, rng=rng).draws,
    )

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.filterwarnings("ignore:The distance still rose")
    def test_a_generator_is_a_seed_and_moves_on(self, call):
        assert np.array_equal(call(np.random.default_rng(5)), call(5))
        stream = np.random.default_rng(5)
        call(stream)
        assert stream.random() != np.random.default_rng(5).random()

    @pytest.mark.parametrize("bad", [True, -1, 1.5, "0", torch.Generator(), object()], ids=repr)
    @pytest.mark.parametrize("call", CALLS)
    def test_what_is_no_seed_is_refused(self, call, bad):
        with pytest.raises(InputError) as caught:
            call(bad)
        assert caught.value.argument == "rng"

    def test_a_seed_for_torch_is_a_number_of_the_stream(self):
        assert check_seed(np.int64(7)) == 7
        first, second = (check_seed(np.random.default_rng(1)) for _ in range(2))
        assert first == second != check_seed(np.random.default_rng(2))
        assert check_rng(np.random.default_rng(1)).integers(2**60) == first

    @pytest.mark.slow
    def test_a_critic_as_method_takes_a_generator(self):
        x, y = np.tile(X, (9, 1)), np.tile(Y, (12, 1))
        seeds = np.random.default_rng(1), check_seed(np.random.default_rng(1))
        r = [otdist.w1(x, y, method="critic", steps=2, rng=seed).lower for seed in seeds]
        assert r[0] == r[1]
