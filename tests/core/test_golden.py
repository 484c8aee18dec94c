"""Numbers that others have published, and what a user sees."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

import otdist


class TestScipysDocumentation:
    def test_one_dimension(self):
        assert otdist.w1([0, 1, 3], [5, 6, 8]).value == 5.0
        assert otdist.w1([0, 1], [0, 1], [3, 1], [2, 2]).value == pytest.approx(0.25)
        r = otdist.w1([3.4, 3.9, 7.5, 7.8], [4.5, 1.4], [1.4, 0.9, 3.1, 7.2], [3.2, 3.5])
        assert r.value == pytest.approx(4.0781331438047861)

    def test_two_dimensions(self):
        assert otdist.w1([[0, 2, 3], [1, 2, 5]], [[3, 2, 3], [4, 2, 5]]).value == pytest.approx(3.0)
        r = otdist.w1(
            [[0, 2.75], [2, 209.3], [0, 0]],
            [[0.2, 0.322], [4.5, 25.1808]],
            [0.4, 5.2, 0.114],
            [0.8, 1.5],
        )
        assert r.value == pytest.approx(174.15840245217169)

    def test_the_functions_themselves(self, rng):
        x, y, a, b = rng.normal(size=30), rng.normal(size=20), rng.random(30), rng.random(20)
        assert otdist.w1(x, y, a, b).value == pytest.approx(wasserstein_distance(x, y, a, b), rel=1e-12)
        x, y = rng.normal(size=(15, 3)), rng.normal(size=(12, 3))
        assert otdist.w1(x, y).value == pytest.approx(wasserstein_distance_nd(x, y), rel=1e-9)


class TestPyemdsAnswers:
    def test_issue_32(self):
        # https://github.com/wmayner/pyemd/issues/32: 1.57897 from pyemd, sqrt(2.5) is right.
        cost = [
            [2.2360679775, 8.7952156412e3, 3.1622776602],
            [8.7964805272e3, 0.0, 8.7921069089e3],
            [0.0, 8.7964805272e3, 5.0],
        ]
        assert otdist.emd(cost, [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]).value == pytest.approx(2.5**0.5, rel=1e-9)


class TestCircle:
    def test_hours_around_midnight(self):
        day = otdist.metrics.periodic(24.0)
        assert otdist.w1([23.0, 23.5], [0.5, 1.0], metric=day).value == pytest.approx(1.5)

    def test_opposite_points(self):
        assert otdist.wasserstein([0.0], [180.0], p=2, metric=otdist.metrics.periodic(360.0)).value == 180.0

    @pytest.mark.parametrize("p", [1, 2])
    def test_uniform_points_against_a_turn_of_themselves(self, p):
        x = np.arange(12) * 30.0
        wheel = otdist.metrics.periodic(360.0)
        assert otdist.wasserstein(x, x + 15.0, p=p, metric=wheel).value == pytest.approx(15.0)
        assert otdist.wasserstein(x, x + 30.0, p=p, metric=wheel).value == 0.0

    def test_rotation_by_a_fiftieth(self, rng):
        # https://github.com/PythonOT/POT/issues/738
        x, y, wheel = rng.random(50), rng.random(60), otdist.metrics.periodic(1.0)
        turned = otdist.w1((x + 0.02) % 1, (y + 0.02) % 1, metric=wheel)
        assert turned.value == pytest.approx(otdist.w1(x, y, metric=wheel).value, rel=1e-12)


class TestWhatAUserSees:
    def test_the_printed_result(self):
        r = otdist.w1([[0, 0], [0, 1]], [[1, 0], [1, 1]])
        assert str(r) == "W1 = 1 (exact)  dense, n=2/2, d=2, euclidean"
        assert "<b>W1 = 1</b>" in r._repr_html_() and "exact" in r._repr_html_()

    def test_the_result_as_json(self):
        record = json.loads(json.dumps(otdist.w1([0.0], [2.0]).to_dict(), allow_nan=False))
        assert record["lower"] <= record["value"] == 2.0 <= record["upper"]
        assert record["method"] == "line" and record["converged"]

    def test_a_result_survives_pickling_with_its_plan(self, rng):
        x, y = rng.normal(size=(9, 2)), rng.normal(size=(7, 2))
        r = otdist.w1(x, y)
        copy = pickle.loads(pickle.dumps(r))
        np.testing.assert_array_equal(copy.plan.toarray(), r.plan.toarray())
        np.testing.assert_array_equal(copy.critic(x), r.critic(x))

    def test_an_error_survives_pickling(self):
        error = otdist.InputError("x", "is empty", "give a row")
        assert str(pickle.loads(pickle.dumps(error))) == str(error) == "x: is empty; give a row"

    def test_a_solver_of_ones_own(self):
        def halfway(problem):
            return otdist.Result(0.5, 0.0, 1.0, "halfway", converged=False, message="A guess.")

        with pytest.warns(otdist.ConvergenceWarning, match="A guess"):
            assert otdist.w1([0.0], [1.0], method=halfway).method == "halfway"

    @pytest.mark.parametrize("method", ["simplex", 3])
    def test_an_unknown_method_is_named(self, method):
        with pytest.raises(otdist.InputError, match="method"):
            otdist.w1([0.0], [1.0], method=method)

    def test_a_mistyped_option_is_named_with_those_there_are(self):
        with pytest.raises(otdist.InputError, match=r"max_itre: .*max_bytes"):
            otdist.w1([0.0], [1.0], max_itre=5)

    @pytest.mark.parametrize("method", ["line", "circle"])
    def test_a_method_that_does_not_fit_says_so(self, method):
        with pytest.raises(otdist.InputError, match=method):
            otdist.w1([[0.0, 0.0]], [[1.0, 1.0], [0.0, 2.0]], method=method)

    def test_progress_goes_to_standard_error(self, capsys, rng):
        otdist.w1(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), progress=True)
        assert capsys.readouterr().out == ""

    def test_nothing_global_is_touched(self, rng):
        import warnings

        state, filters = np.random.get_state()[1].copy(), list(warnings.filters)  # noqa: NPY002
        otdist.w1(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)))
        otdist.stats.permutation_test(rng.normal(size=20), rng.normal(size=20), n_resamples=9)
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
        assert list(warnings.filters) == filters
