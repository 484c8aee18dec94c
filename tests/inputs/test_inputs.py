"""Bad input as a whole: nothing is left untested, options are checked, and chance finds nothing more."""

from __future__ import annotations

import ast
import copy
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import COVERED, EXEMPT, LATER, PUBLIC, case, exact_line, refused, samples
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import examples

import otdist
from otdist import ConvergenceWarning, InputError, PrecisionWarning
from otdist.errors import Option, PublicName, Remedy

TESTS = Path(__file__).parents[1]


def numbers_of_cases():
    """Numbers of the kinds of bad input for which there is a test: those of its decorator ``case``."""
    trees = [ast.parse(path.read_text()) for path in TESTS.rglob("test_*.py")]
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    decorators = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "case"]
    return {ast.literal_eval(number) for call in decorators for number in call.args}


def public_functions():
    names = [(otdist, name) for name in otdist.__all__] + [
        (otdist.stats, name) for name in otdist.stats.__all__
    ]
    return {name for home, name in names if callable(f := getattr(home, name)) and not isinstance(f, type)}


class TestComplete:
    def test_every_case_has_a_test_or_a_reason_to_wait(self):
        waiting = {number for number, (_, reason) in LATER.items() if reason}
        assert not set(range(1, 45)) - numbers_of_cases() - waiting

    @pytest.mark.parametrize("number", LATER)
    def test_what_waits_is_still_missing(self, number):
        assert not hasattr(otdist, LATER[number][0]), "write its tests, then take it out of LATER"

    def test_every_public_function_is_tried_on_bad_input_or_exempt_with_a_reason(self):
        unknown = public_functions() - COVERED - set(EXEMPT)
        assert not unknown, f"add {unknown} to PUBLIC and COVERED in cases.py, or to EXEMPT with a reason"
        assert all(EXEMPT.values()) and not (COVERED | set(EXEMPT)) - public_functions()

    def test_every_covered_function_stands_in_the_list(self):
        assert {f.name.split("-")[0] for f in PUBLIC} == COVERED


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            *[("metric", v) for v in ("euclid", "precomputed", "minkowski", "mixed", None, 3, "")],
            *[("method", v) for v in ("emd", "", None, 3, "circle")],
            *[("nan_policy", v) for v in ("drop", None, True)],
            *[("mass", v) for v in ("keep", None)],
            *[("on_fail", v) for v in ("ignore", None)],
            *[("tol", v) for v in (-1.0, math.nan, math.inf)],
            *[("max_seconds", v) for v in (0.0, -1.0, math.nan)],
        ],
    )
    def test_an_option_that_is_unknown_or_out_of_range_is_refused(self, option, value):
        refused(otdist.w1, option, *samples(), **{option: value})

    @pytest.mark.parametrize("p", [0.5, 0, -1, -math.inf, math.nan, "2", None, True, 1j])
    def test_an_order_below_one_is_refused(self, p):
        refused(otdist.wasserstein, "p", *samples(), p=p)
        refused(otdist.wasserstein_1d, "p", *samples(), p=p)

    def test_an_infinite_order_is_refused_where_there_is_none(self):
        for call in (otdist.wasserstein_1d, otdist.sliced_w1, otdist.partial_w1):
            refused(call, "p", *samples(), p=math.inf)

    @pytest.mark.parametrize("count", [0, -1, 2.5, None, "9"])
    def test_a_number_of_resamples_that_is_no_count_is_refused(self, count):
        refused(otdist.stats.permutation_test, "n_resamples", *samples(), n_resamples=count)
        refused(otdist.stats.noise_floor, "n_resamples", samples()[0], 2, 2, n_resamples=count)
        refused(otdist.compare, "n_resamples", *samples(), n_resamples=count)

    @pytest.mark.parametrize(("n", "m", "at_fault"), [(0, 2, "n"), (2, 0, "m"), (-1, 2, "n"), (1.5, 2, "n")])
    def test_sizes_of_a_noise_floor_that_are_no_counts_are_refused(self, n, m, at_fault):
        refused(otdist.stats.noise_floor, at_fault, samples()[0], n, m)

    def test_an_unknown_option_of_a_method_is_refused_with_those_it_has(self):
        refused(
            otdist.w1, "max_iters", *samples(2), max_iters=5, method="dense", says=("max_iter", "max_bytes")
        )
        refused(otdist.w1, "eps", *samples(2), eps=0.1, method="line", says=("without",))

    @pytest.mark.parametrize("n", [5, 1500])
    @pytest.mark.parametrize("d", [1, 2])
    def test_automatic_choice_takes_the_same_options_at_every_size(self, n, d):
        x = np.random.default_rng(0).normal(size=(n, d))
        refused(otdist.w1, "max_iter", x, x[::-1], max_iter=10, says=("max_bytes",))
        assert otdist.w1(x, x[::-1], max_bytes=10**9).value == 0.0
        refused(otdist.w1, "max_bytes", x, x[::-1], max_bytes="1 GB")

    def test_a_limit_of_memory_holds_for_closed_forms_too(self):
        with pytest.raises(otdist.BudgetError):
            otdist.w1(np.zeros(1000), np.ones(1000), max_bytes=1000)

    def test_a_solver_object_takes_no_options_and_is_no_class(self):
        from otdist.solvers import Dense

        refused(otdist.w1, "max_iter", *samples(2), method=Dense(), max_iter=5)
        refused(otdist.w1, "method", *samples(2), method=Dense, says=("Dense()",))
        refused(otdist.w1, "method", *samples(2), method=lambda problem: 3.0, says=("float",))


class TestErrors:
    @case(1)
    def test_an_input_error_survives_pickling_and_copying(self):
        error = refused(otdist.w1, "x", [math.nan], [0.0])
        for duplicate in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (str(duplicate), duplicate.argument, duplicate.remedy) == (
                str(error),
                error.argument,
                error.remedy,
            )
        assert isinstance(error, ValueError)

    def test_a_remedy_is_text_for_python_and_names_its_options(self):
        error = refused(otdist.w1, "x", [math.nan], [0.0])
        for duplicate in (error, pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert duplicate.remedy.endswith("nan_policy='omit'") and str(error).endswith(duplicate.remedy)
            assert duplicate.remedy.parts == (Option("nan_policy", "'omit'", "omit"),)
            assert duplicate.remedy.render(lambda part: part.name.upper()).endswith("NAN_POLICY")

    def test_a_remedy_within_a_remedy_is_rendered_as_well(self):
        inner = Remedy("use {}", PublicName("compare"))
        remedy = Remedy("did you mean {}? Then {}", "'{x}'", inner)
        assert remedy == "did you mean '{x}'? Then use otdist.compare"
        assert remedy.render(lambda part: f"<{part.name}>") == "did you mean '{x}'? Then use <compare>"

    @case(45)
    def test_a_stopped_solver_warns_or_raises_and_keeps_its_interval(self):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
        exact = otdist.w1(x, y).value
        with pytest.warns(ConvergenceWarning) as caught:
            r = otdist.w1(x, y, method="dense", max_iter=1)
        assert not r.converged and r.message and r.lower <= exact <= r.upper
        assert caught[0].filename == __file__
        with pytest.raises(otdist.ConvergenceError) as raised:
            otdist.w1(x, y, method="dense", max_iter=1, on_fail="raise")
        assert raised.value.result.lower <= exact <= raised.value.result.upper


one_or_two = st.integers(1, 2)
any_floats = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 5e-324, -2.3e-308, 1e308, -1.7e308, math.inf, -math.inf, math.nan, 1.0]),
)
moderate_floats = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))
METHODS = ["auto", "dense"]
HERE, HERE_OR_THERE = np.array([[1.0]]), np.array([[1.0], [0.0]])


@st.composite
def problems(draw, points, masses, d=one_or_two):
    """Two small samples and their weights, or None for a side without."""
    columns, sizes = draw(d), [draw(st.integers(1, 4)) for _ in range(2)]
    x, y = (draw(hnp.arrays(np.float64, (n, columns), elements=points)) for n in sizes)
    if masses is None:
        return x, y, None, None
    a, b = (draw(st.none() | hnp.arrays(np.float64, n, elements=masses)) for n in sizes)
    return x, y, a, b


def answer(call, *args, **options):
    """The result, or None for an InputError; no other exception and no warning but PrecisionWarning."""
    before = [None if v is None else v.tobytes() for v in args]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PrecisionWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)  # an honest interval, wide
        try:
            result = call(*args, **options)
        except InputError:
            result = None
    assert before == [None if v is None else v.tobytes() for v in args]
    return result


class TestFuzz:
    @pytest.mark.slow
    @case(1, 3, 5, 6, 22, 26, 27)
    @examples(100)
    @given(
        problems(any_floats, any_floats),
        st.sampled_from(METHODS),
        st.sampled_from(["raise", "omit", "propagate"]),
    )
    def test_any_numbers_give_an_interval_or_an_input_error(self, problem, method, policy):
        r = answer(otdist.w1, *problem, method=method, nan_policy=policy)
        assert (
            r is None or (math.isnan(r.value) and policy == "propagate") or 0 <= r.lower <= r.value <= r.upper
        )

    @pytest.mark.slow
    @case(5, 6, 26, 27)
    @examples(100)
    @given(
        problems(
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(0, allow_infinity=False, exclude_min=True),
        ),
        st.sampled_from(METHODS),
    )
    def test_finite_numbers_and_positive_weights_always_give_an_interval(self, problem, method):
        x, y, a, b = problem
        r = answer(otdist.w1, x, y, a, b, method=method)
        assert r is not None and 0 <= r.lower <= r.value <= r.upper

    @pytest.mark.slow
    @case(5, 6)
    @examples(100)
    @given(problems(any_floats, any_floats), st.sampled_from([1, 2, 3]))
    def test_any_numbers_in_any_order_and_on_the_line(self, problem, p):
        x, y, a, b = problem
        for call in (otdist.wasserstein, otdist.wasserstein_1d):
            flat = (z[:, 0] for z in (x, y))
            answer(call, *(flat if call is otdist.wasserstein_1d else (x, y)), a, b, p=p)

    @pytest.mark.slow
    @case(7, 26)
    @examples(100)
    @given(problems(moderate_floats, st.floats(1e-9, 1e9), d=st.just(1)), st.sampled_from(METHODS))
    @example((HERE, HERE_OR_THERE, None, np.array([17.0, 0.5])), "dense")  # little is left of the mass
    @example((HERE, HERE_OR_THERE, None, np.array([6.0475897e7, 2.5])), "dense")
    def test_the_interval_holds_the_exact_rational_answer(self, problem, method):
        x, y, a, b = problem
        r = answer(otdist.w1, x, y, a, b, method=method)
        true = exact_line(x[:, 0], y[:, 0], a, b)
        rounding = 1 + 2.0**-51  # of the final sum
        assert r.lower <= true * rounding and true <= r.upper * rounding
        assert r.upper - r.lower <= 1e-9 * r.upper + 1e-13 * np.ptp(np.concatenate([x, y]))

    @pytest.mark.slow
    @case(1, 3, 4, 6)
    @given(problems(any_floats, None))
    def test_compare_reports_any_numbers(self, problem):
        x, y, _, _ = problem
        report = answer(otdist.compare, x, y, n_resamples=9, joint=False)
        for column in () if report is None else report.columns:
            assert column.w1 >= 0 or column.status in ("all_missing", "infinite")
