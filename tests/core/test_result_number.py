"""A Result is its float: format, order, arithmetic, arrays and tables; tensors keep their graph."""

import copy
import datetime
import json
import math
import operator
import pickle
import statistics
from dataclasses import FrozenInstanceError
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import otdist

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 2)), RNG.normal(size=(9, 2)) + 1.0
ONES = np.ones(12), np.ones(9)
RESULTS = {
    "line": lambda: otdist.w1([0.0, 1.0], [1.0, 2.0]),
    "dense": lambda: otdist.w1(X, Y),
    "sinkhorn": lambda: otdist.w1(X, Y, method="sinkhorn", eps=0.1),
    "emd": lambda: otdist.emd([[0.0, 2.0], [2.0, 1.0]]),
    "sliced": lambda: otdist.sliced_w1(X, Y, n_projections=8),
    "max_sliced": lambda: otdist.max_sliced_w1(X, Y),
    "divergence": lambda: otdist.sinkhorn_divergence(X, Y),
    "tv": lambda: otdist.unbalanced_w1(X, Y, *ONES, reach=1.0),
    "kl": lambda: otdist.unbalanced_w1(X, Y, *ONES, reach=1.0, penalty="kl"),
    "partial": lambda: otdist.partial_w1(X, Y, *ONES, moved=4.0),
    "laws": lambda: otdist.closed.laws(stats.norm(), stats.norm(1.0)),
}
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")


@pytest.fixture(params=RESULTS)
def result(request):
    return RESULTS[request.param]()


class TestAsAFloat:
    def test_format_and_round(self, result):
        v = float(result)
        assert type(v) is float
        assert f"{result:.3f}" == f"{v:.3f}"
        assert f"{result:>12.4e}" == f"{v:>12.4e}"
        assert "%.2f" % result == "%.2f" % v  # noqa: UP031
        assert round(result, 2) == round(v, 2) and round(result) == round(v)
        assert f"{result}" == str(result) != str(v)  # the interval stays in sight
        assert json.loads(json.dumps([result])) == [v]

    def test_conversions(self, result):
        v = float(result)
        assert int(result) == int(v) and bool(result) is (v != 0)
        assert (math.floor(result), math.ceil(result)) == (math.floor(v), math.ceil(v))
        assert math.isclose(result, v) and math.sqrt(result) == math.sqrt(v)
        assert result == pytest.approx(v)

    def test_order_and_equality(self, result):
        v = float(result)
        other = otdist.w1([0.0], [v + 1.0])
        assert result == v == result and v in [result] and hash(result) == hash(v)
        assert result < other and other > result and result <= v and not result > v
        assert result != other and result != "W1" and result is not None
        assert max([result, other]) is other and min([result, other]) is result
        assert sorted([other, result, other])[0] is result
        assert len({result, v}) == 1

    @pytest.mark.parametrize("name", ARITHMETIC)
    @pytest.mark.parametrize("other", [3, 2.5, Fraction(1, 2), np.float64(1.5), np.int64(2)])
    def test_arithmetic_gives_floats(self, name, other):
        result, function = RESULTS["dense"](), getattr(operator, name)
        v = float(result)
        for found, right in (
            (function(result, other), function(v, other)),
            (function(other, result), function(other, v)),
            (function(result, result), function(v, v)),
        ):
            assert found == right and not isinstance(found, otdist.Result)
        assert (-result, +result, abs(-result)) == (-v, v, v)
        assert type(result + 1) is type(-result) is type(abs(result)) is float

    def test_sums(self, result):
        v = float(result)
        assert sum([result, result]) == v + v
        assert type(sum([result, result])) is float

    def test_arrays(self, result):
        v = float(result)
        assert np.array([result]).dtype == np.float64
        assert np.asarray(result).shape == () and np.asarray(result) == v
        assert np.mean([result, result]) == v and np.max([result, 0.0 * result]) == max(v, 0.0)
        assert np.array_equal(np.ones(2) * result, [v, v]) and np.array_equal(
            result - np.ones(2), [v - 1] * 2
        )
        assert np.isfinite(result)

    @pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
    @pytest.mark.parametrize(
        "kind", [np.float64, np.float32, np.int64, np.array, lambda v: np.array([v, v + 1])]
    )
    def test_comparison_with_numpy(self, name, kind):
        result, function = otdist.w1([0.0], [1.0]), getattr(operator, name)
        for other in (kind(0.0), kind(1.0), kind(2.0)):
            assert np.array_equal(function(result, other), function(1.0, other))
            assert np.array_equal(function(other, result), function(other, 1.0))

    def test_tables(self, result):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame([{"w": result}, {"w": 2 * result}])
        assert frame["w"].dtype == np.float64
        assert frame["w"].mean() == pytest.approx(1.5 * float(result))
        assert (result + frame["w"]).iloc[0] == 2 * float(result)

    def test_polars(self, result):
        polars = pytest.importorskip("polars")
        v = float(result)
        for column in (
            polars.Series([result, None]),
            polars.DataFrame({"w": [result]})["w"],
            polars.DataFrame([{"w": result}])["w"],
        ):
            assert column.dtype == polars.Float64 and column[0] == v
        assert (result * polars.Series([2.0]))[0] == 2 * v

    def test_arrow(self, result):
        arrow = pytest.importorskip("pyarrow")
        assert arrow.array([result, None]).to_pylist() == [float(result), None]

    def test_statistics_of_results(self, result):
        v = float(result)
        assert statistics.mean([result, result]) == v == statistics.median([result, result, result])
        assert statistics.mean([result, 2 * v]) == pytest.approx(1.5 * v)
        assert statistics.pvariance([result, result]) == 0 == statistics.pstdev([result, result])
        assert type(statistics.mean([result, result])) is float
        assert math.fsum([result, result]) == 2 * v and math.hypot(result) == v

    def test_other_numbers(self, result):
        v = float(result)
        assert Decimal(result) == Decimal(v) == result and Decimal(-1) < result and not result < Decimal(-1)
        assert Fraction(result) == Fraction(v) == result and Fraction(-1) < result
        with pytest.raises(TypeError):  # as for floats
            result + Decimal(1)
        assert result + 1j == v + 1j and complex(result) == v and True + result == 1 + v
        assert result.as_integer_ratio() == v.as_integer_ratio() and result.hex() == v.hex()
        assert type(result).fromhex("0x1p1") == 2.0
        assert result * datetime.timedelta(days=1) == v * datetime.timedelta(days=1)
        assert result in {v} and {result: 1}[v] == 1 and result in np.array([v])

    @pytest.mark.parametrize("other", [2, 0.7, Fraction(1, 3), np.float64(0.7), np.array([0.7, 2.0])])
    def test_divmod(self, other):
        result = RESULTS["dense"]()
        v = float(result)
        for found, right in (
            (divmod(result, other), divmod(v, other)),
            (divmod(other, result), divmod(other, v)),
            (divmod(result, result), divmod(v, v)),
        ):
            assert all(np.array_equal(one, two) for one, two in zip(found, right, strict=True))
        with pytest.raises(ZeroDivisionError):
            divmod(result, 0)

    @pytest.mark.parametrize(
        "function",
        [
            np.round,
            lambda v: np.round(v, 2),
            np.sqrt,
            np.square,
            np.abs,
            np.mean,
            lambda v: np.clip(v, 0, 0.5),
            lambda v: np.maximum(v, [0.0, 9.0]),
            lambda v: np.linspace(0, v, 3),
            lambda v: np.full(2, v),
            lambda v: np.isclose(v, 1.0),
            lambda v: np.searchsorted([0.0, 1.0, 2.0], v),
            lambda v: np.sort([v, 0.5]),
            lambda v: np.dot([v, v], [1.0, 2.0]),
            lambda v: np.float64(v),
            lambda v: np.longdouble(2) * v,
            lambda v: np.int8(2) + v,
            lambda v: v**2,
            lambda v: 2**v,
            lambda v: pow(v, 2),
        ],
    )
    def test_functions_of_numpy(self, result, function):
        found, right = function(result), function(float(result))
        assert np.array_equal(found, right) and not isinstance(found, otdist.Result)

    def test_arrays_in_place(self, result):
        values = np.ones(2)
        values += result
        values[0] = result
        assert np.array_equal(values, [float(result), 1 + float(result)])

    def test_types_that_floats_do_not_know(self):
        with pytest.raises(TypeError):
            RESULTS["line"]() + "1"
        with pytest.raises(TypeError):
            RESULTS["line"]() < "1"  # noqa: B015


def test_zero_is_false_and_nan_equals_nothing():
    zero = otdist.w1([1.0, 2.0], [2.0, 1.0])
    assert not zero and zero == 0
    nan = otdist.Result(math.nan, 0.0, 1.0, "none")
    assert nan != nan and not nan < 1 and not nan > 1


def test_fields_can_be_read_and_not_assigned_to():
    result = RESULTS["line"]()
    assert isinstance(result.value, float) and result.to_dict()["value"] == 1.0
    assert isinstance(RESULTS["sliced"](), otdist.SlicedResult)
    with pytest.raises(FrozenInstanceError):
        result.lower = 0.0
    with pytest.raises(FrozenInstanceError):
        del result.lower


def test_fields_can_be_changed_in_a_copy():
    result = RESULTS["dense"]()
    plan = result.plan
    new = result.__replace__(unit="m", value=2.0)  # what copy.replace calls
    assert (new.unit, float(new), new.value, new.lower) == ("m", 2.0, 2.0, result.lower)
    assert result.unit == "" and np.array_equal(new.plan.toarray(), plan.toarray())
    with pytest.raises(TypeError):
        result.__replace__(colours="red")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies_are_results(result, copied):
    new = copied(result)
    assert type(new) is type(result) and new == result and str(new) == str(result)


def test_a_number_alone_is_a_float():
    assert type(otdist.Result(2)) is float
    with pytest.raises(TypeError, match="method"):
        otdist.Result(2.0, 1.0, 3.0)


class TestPrinted:
    def test_equal_bounds_are_exact(self):
        assert str(RESULTS["line"]()) == "W1 = 1 (exact)  line, n=2/2, d=1, euclidean"
        assert repr(RESULTS["line"]()) == f"<Result: {RESULTS['line']()}>"

    def test_other_bounds_are_a_proved_interval_also_as_printed(self):
        result = otdist.Result(1.00000049, 0.12345678, 1.2345678, "none", n=3, m=4, d=2, unit="m")
        assert str(result) == "W1 = 1 m  proved interval [0.123456, 1.23457]  none, n=3/4, d=2, euclidean"
        late = result.__replace__(converged=False)
        assert "1.23457]  NOT CONVERGED  none" in str(late)

    def test_what_did_not_converge_is_not_exact(self):
        assert "proved interval [1, 1]" in str(otdist.Result(1.0, 1.0, 1.0, "none", converged=False))

    def test_nothing_is_proved_of_nan_and_infinity_is_exact(self):
        assert str(otdist.w1([math.nan], [1.0], nan_policy="propagate")).startswith("W1 = nan  none")
        assert str(otdist.w1([math.inf], [1.0])).startswith("W1 = inf (exact)  none")
        assert "[1, inf]" in str(otdist.Result(2.0, 1.0, math.inf, "none"))

    def test_a_mean_over_random_directions_has_a_standard_error_and_is_not_exact(self):
        text = str(otdist.sliced_w1(X, Y, n_projections=8, rng=0))
        assert "(standard error 0." in text and "exact" not in text and text.endswith("8 directions")

    def test_every_result_is_one_line_in_text_and_html(self, result):
        for text in (str(result), repr(result)):
            assert text.isprintable()
        assert f"{float(result):.6g}" in result._repr_html_()

    def test_hostile_names_are_escaped(self):
        result = otdist.Result(1.0, 1.0, 1.0, "none", metric="<script>\n\x1b", unit="<b>&")
        assert str(result).isprintable()
        html = result._repr_html_()
        assert "<script" not in html and "&lt;script&gt;\\n\\x1b" in html and "&lt;b&gt;&amp;" in html

    def test_html_says_why_it_did_not_converge(self):
        result = otdist.Result(1.0, 0.5, 1.0, "none", converged=False, message="Stopped at <max_iter>.")
        assert "Stopped at &lt;max_iter&gt;." in result._repr_html_()


class TestTensors:
    """A value with a graph keeps it in arithmetic, on either side, and in functions of torch."""

    @pytest.fixture
    def moving(self):
        self.torch = pytest.importorskip("torch")
        self.x = self.torch.tensor([[0.0], [1.0]], dtype=self.torch.float64, requires_grad=True)
        result = otdist.w1(self.x, self.torch.tensor([[2.0], [4.0]], dtype=self.torch.float64))
        assert float(result) == 2.5
        return result

    def slope(self, value):
        return float(self.torch.autograd.grad(value, self.x, retain_graph=True)[0].sum())

    @pytest.mark.parametrize("other", [3, 2.0, Fraction(1, 2), np.float64(1.5), np.float32(1.5), np.int64(2)])
    @pytest.mark.parametrize("name", ARITHMETIC)
    def test_numbers(self, moving, name, other):
        function, v = getattr(operator, name), moving.value
        exact = other if isinstance(other, int) else float(other)
        for found, right in ((function(moving, other), function(v, exact)),) + (
            ((function(other, moving), function(exact, v)),) if name not in ("floordiv", "mod") else ()
        ):
            assert found.requires_grad and found == right
            if name != "floordiv":  # torch has no derivative of it
                assert self.slope(found) == self.slope(right)

    def test_tensors(self, moving):
        c = self.torch.tensor(3.0, dtype=self.torch.float64)
        for found, slope in (
            (c + moving, -1.0),
            (moving + c, -1.0),
            (c * moving, -3.0),
            (c - moving, 1.0),
            (self.torch.stack([moving, moving]).sum(), -2.0),
            (self.torch.maximum(moving, self.torch.zeros_like(c)), -1.0),
            (self.torch.nn.functional.mse_loss(moving, c), 1.0),
            (sum([moving, moving]), -2.0),
            (-moving, 1.0),
            (abs(moving), -1.0),
            (RESULTS["line"]() * moving, -1.0),
            (moving * RESULTS["line"](), -1.0),
        ):
            assert self.slope(found) == pytest.approx(slope), slope

    def test_in_place_sums_of_a_training_step(self, moving):
        loss = self.torch.zeros((), dtype=self.torch.float64)
        loss = loss + 0.5 * moving
        loss += moving
        loss.backward()
        assert float(self.x.grad.sum()) == pytest.approx(-1.5)

    def test_floats_come_without_a_graph(self, moving):
        assert f"{moving:.3f}" == "2.500" and round(moving, 1) == 2.5 and moving < 3
        assert np.mean([moving, moving]) == 2.5 and np.array_equal(np.ones(2) * moving, [2.5, 2.5])
        assert float(self.torch.tensor(moving)) == 2.5 and hash(moving) == hash(2.5)
