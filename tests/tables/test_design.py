"""Groups, blocks, weights and circles: what they change, what they leave, and bad values of each."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

import otdist
from otdist.errors import InputError


def compare(reference, current, **options):
    """``otdist.compare`` with few resamples and, unless asked for, without the rows."""
    return otdist.compare(reference, current, **{"n_resamples": 99, "joint": False, **options})


def customers(rng, count=50, rows=10):
    """Rows of customers who differ from each other."""
    who = np.repeat(np.arange(count), rows)
    return {"who": who, "spent": rng.normal(size=count)[who] + 0.3 * rng.normal(size=count * rows)}


def alarms(make, runs, **options):
    """Share of comparisons of one distribution in which the first column is called moved."""
    alarms = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        report = compare(make(rng), make(rng), rng=seed, **options)
        alarms.append(report.columns[0].pvalue <= 0.05)
    return np.mean(alarms)


class TestGroups:
    @pytest.mark.slow
    def test_repeated_customers_raise_no_false_alarms(self):
        assert alarms(customers, 100, groups="who") <= 0.08
        assert alarms(lambda rng: {"spent": customers(rng)["spent"]}, 40) > 0.3  # which is what it mends

    @pytest.mark.slow
    def test_labels_of_repeated_customers_raise_none_either(self):
        def make(rng):
            who = np.repeat(np.arange(50), 10)
            return {"city": rng.choice(list("abcd"), 50)[who], "who": who}

        assert alarms(make, 60, groups="who") <= 0.12  # 5% and 3 standard errors

    @pytest.mark.slow
    def test_lost_values_of_repeated_customers_raise_none_either(self):
        alarms = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            sides = [customers(rng), customers(rng)]
            for side in sides:
                side["spent"][(rng.random(50) < 0.3)[side["who"]]] = np.nan
            alarms.append(compare(*sides, groups="who")["spent"].missing_pvalue <= 0.05)
        assert np.mean(alarms) <= 0.13

    @pytest.mark.slow
    def test_a_shift_of_all_customers_is_found(self, rng):
        before, after = customers(rng), customers(rng)
        after["spent"] += 2
        report = compare(before, after, groups="who", joint=True, test_rows=60)
        assert report["spent"].verdict == "moved" and report["spent"].w1 > report["spent"].floor
        assert "who" not in report and report.joint.columns == ("spent",)
        assert report.joint.pvalue <= 0.05

    @pytest.mark.slow
    def test_the_floor_is_that_of_new_customers(self):
        rng = np.random.default_rng(0)
        draws = [wasserstein_distance(customers(rng)["spent"], customers(rng)["spent"]) for _ in range(200)]
        floors = [compare(customers(rng), customers(rng), groups="who")["spent"].floor for _ in range(12)]
        assert np.mean(floors) == pytest.approx(np.quantile(draws, 0.95), rel=0.2)

    def test_groups_of_one_row_each_are_single_rows(self, rng):
        x, y = rng.normal(size=200), rng.normal(0.2, 1, size=150)
        plain = compare({"a": x}, {"a": y}, n_resamples=999)["a"]
        each = compare({"a": x}, {"a": y}, groups=(range(200), range(150)), n_resamples=999)["a"]
        assert each.w1 == plain.w1
        assert each.pvalue == pytest.approx(plain.pvalue, abs=5 * plain.pvalue / math.sqrt(10) + 0.01)
        assert each.floor == pytest.approx(plain.floor, rel=0.25)

    def test_a_column_and_its_values_are_the_same_and_names_of_groups_do_not_matter(self, rng):
        before, after = customers(rng, 12, 3), customers(rng, 9, 3)
        named = compare(before, after, groups="who")["spent"]
        alone = [{"spent": side["spent"]} for side in (before, after)]
        pair = compare(*alone, groups=(before["who"], after["who"]))["spent"]
        text = compare(*alone, groups=[[f"c{k:03}" for k in side["who"]] for side in (before, after)])[
            "spent"
        ]
        assert named.to_dict() == pair.to_dict() == text.to_dict()

    def test_a_group_is_a_group_of_its_own_side(self, rng):
        # Customer 0 of both sides is two units: who comes back is not relabelled as one.
        before, after = customers(rng, 12, 3), customers(rng, 12, 3)
        apart = {**after, "who": after["who"] + 100}
        assert (
            compare(before, after, groups="who").to_json() == compare(before, apart, groups="who").to_json()
        )


class TestBlocks:
    @staticmethod
    def remembering(rng, rows=300):
        noise, out = rng.normal(size=rows), np.zeros(rows)
        for k in range(1, rows):
            out[k] = 0.8 * out[k - 1] + noise[k]
        return {"a": out}

    @pytest.mark.slow
    def test_rows_in_time_raise_far_fewer_false_alarms(self):
        assert alarms(self.remembering, 60, blocks=25) <= 0.13
        assert alarms(self.remembering, 30) > 0.3

    def test_blocks_of_one_row_are_single_rows(self, rng):
        x, y = {"a": rng.normal(size=60)}, {"a": rng.normal(size=50)}
        assert (
            compare(x, y, blocks=1)["a"].to_dict()
            == compare(x, y, groups=(range(60), range(50)))["a"].to_dict()
        )

    def test_blocks_are_groups_of_consecutive_rows(self, rng):
        x, y = {"a": rng.normal(size=61)}, {"a": rng.normal(size=50)}
        groups = np.arange(61) // 7, np.arange(50) // 7
        report, expected = compare(x, y, blocks=7), compare(x, y, groups=groups)
        assert report["a"].to_dict() == expected["a"].to_dict()
        assert "blocks of 7 consecutive rows" in report.assumption and "9 and 8 of them" in report.assumption


class TestWeights:
    @pytest.mark.slow
    def test_a_row_of_weight_two_is_two_rows(self, rng):
        sides = [
            {
                "x": rng.normal(size=30),
                "label": rng.choice(list("abc"), 30),
                "truth": rng.random(30) < 0.5,
                "gappy": np.where(rng.random(30) < 0.3, np.nan, rng.normal(size=30)),
            }
            for _ in range(2)
        ]
        weights = [rng.integers(1, 4, 30) for _ in range(2)]
        repeated = [
            {name: np.repeat(values, w) for name, values in side.items()}
            for side, w in zip(sides, weights, strict=True)
        ]
        weighted, plain = compare(*sides, weights=weights, joint=True), compare(*repeated, joint=True)
        for column in weighted:
            other = plain[column.name]
            for figure in ("w1", "scale", "scaled", "shift", "missing_reference", "missing_current"):
                assert getattr(column, figure) == pytest.approx(
                    getattr(other, figure), rel=1e-9, abs=1e-13, nan_ok=True
                ), (column.name, figure)
            if column.sketch.labels is not None:
                shares = dict(zip(other.sketch.labels, other.sketch.current, strict=True))
                for label, share in zip(column.sketch.labels, column.sketch.current, strict=True):
                    assert share == pytest.approx(shares[label], rel=1e-12)
        assert float(weighted.joint.result) == pytest.approx(float(plain.joint.result), rel=1e-6)

    def test_the_distance_is_that_of_scipy_with_weights(self, rng):
        x, y, a, b = rng.normal(size=40), rng.normal(size=30), rng.random(40), rng.random(30)
        report = compare({"x": x, "w": a}, {"x": y, "w": b}, weights="w")
        assert report["x"].w1 == pytest.approx(wasserstein_distance(x, y, a, b), rel=1e-12)
        assert [column.name for column in report] == ["x"]
        mean = np.average(x, weights=a)
        assert report["x"].scale == pytest.approx(
            math.sqrt(np.average((x - mean) ** 2, weights=a)), rel=1e-12
        )
        assert report["x"].shift == pytest.approx(np.average(y, weights=b) - mean, rel=1e-9)

    @pytest.mark.parametrize("factors", [(1, 1000), (1e-3, 1), (2.0**-900, 2.0**900), (1e308, 1e-320)])
    def test_weights_of_a_side_have_no_unit(self, rng, factors):
        sides = [{"x": rng.normal(k / 4, 1, size=40), "l": rng.choice(list("abc"), 40)} for k in range(2)]
        weights = [rng.integers(1, 4, 40).astype(float) for _ in range(2)]
        if 1e308 in factors:
            weights = [np.ones(40)] * 2
        plain = compare(*sides, weights=weights)
        scaled = compare(*sides, weights=[f * w for f, w in zip(factors, weights, strict=True)])
        for column in plain:
            other = scaled[column.name]
            assert other.pvalue == column.pvalue and other.draws == column.draws
            assert other.w1 == pytest.approx(column.w1, rel=1e-9)
            assert other.floor == pytest.approx(column.floor, rel=1e-9)

    @pytest.mark.slow
    def test_equal_weights_are_none(self, rng):
        x, y = rng.normal(size=(300, 2)), rng.normal(0.3, 1, size=(40, 2))
        options = {"joint": True, "n_resamples": 199, "max_rows": 100, "test_rows": 50}
        plain, equal = (
            compare(x, y, weights=weights, **options) for weights in (None, (np.ones(300), np.ones(40)))
        )
        for a, b in zip((*plain, plain.joint), (*equal, equal.joint), strict=True):
            assert a.floor == pytest.approx(b.floor, rel=0.25)
            assert b.pvalue == pytest.approx(a.pvalue, abs=5 * a.pvalue / math.sqrt(10) + 0.02)
        assert float(plain.joint.result) == pytest.approx(float(equal.joint.result), rel=1e-9)

    @pytest.mark.slow
    def test_a_column_that_loses_values_at_random_has_lost_values_and_not_moved(self):
        alarms = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=100), rng.normal(size=100)
            y[:90] = np.nan
            report = compare({"a": x}, {"a": y}, weights=(np.ones(100), np.ones(100)))["a"]
            assert report.missing_verdict == "moved"
            alarms.append(report.pvalue <= 0.05)
        assert np.mean(alarms) <= 0.13

    def test_a_column_whose_values_have_no_weight_is_not_measured(self):
        before = {"a": [1.0, np.nan, 3.0] * 3, "b": range(9), "w": [0, 1, 0] * 3}
        after = {"a": [1.0, 2.0, 3.0] * 3, "b": range(9), "w": [1] * 9}
        report = compare(before, after, weights="w", joint=True)
        assert report["a"].verdict == "not measured" and report["a"].missing_reference == 1
        assert report["b"].verdict != "not measured" and report.joint.columns == ("b",)

    @pytest.mark.slow
    def test_weights_groups_and_a_circle_go_together(self, rng):
        side = {**customers(rng, 20, 4), "hour": rng.uniform(0, 24, 80), "w": rng.random(80)}
        gappy = {**side, "hour": np.where(np.arange(80) < 70, np.nan, side["hour"])}
        for other in (side, gappy):
            report = compare(side, other, groups="who", weights="w", periodic={"hour": 24}, joint=True)
            assert [column.name for column in report] == ["spent", "hour"]
            assert report["spent"].pvalue == 1 and report["spent"].w1 == 0


class TestPeriodic:
    def test_hours_before_and_after_midnight_are_near(self, rng):
        late, early = rng.normal(23.5, 0.2, 60) % 24, rng.normal(0.5, 0.2, 60) % 24
        line = compare({"hour": late}, {"hour": early})["hour"]
        circle = compare({"hour": late}, {"hour": early}, periodic={"hour": 24})["hour"]
        expected = float(otdist.w1(late, early, metric=otdist.metrics.periodic(24)))
        assert line.w1 > 20 and circle.w1 == pytest.approx(expected, rel=1e-9) and circle.w1 < 1.2
        assert circle.verdict == "moved" and math.isnan(circle.shift)

    @pytest.mark.parametrize("design", [{}, {"blocks": 1}])
    def test_nothing_depends_on_where_the_circle_is_cut(self, rng, design):
        x, y = rng.vonmises(0, 1, 80) * 12 / np.pi, rng.vonmises(0.3, 1, 70) * 12 / np.pi
        options = {"periodic": {"a": 24}, "scale": "none", **design}
        plain = compare({"a": x}, {"a": y}, **options)["a"]
        for u, v in ((x % 24, y % 24), (x + 24, y - 240), (x + 24 * rng.integers(-3, 4, 80), y)):
            other = compare({"a": u}, {"a": v}, **options)["a"]
            assert other.w1 == pytest.approx(plain.w1, rel=1e-9)
            assert other.floor == pytest.approx(plain.floor, rel=1e-9)
            assert (other.pvalue, other.draws) == (plain.pvalue, plain.draws)
        turned = compare({"a": x + 5}, {"a": y + 5}, **options)["a"]
        assert turned.w1 == pytest.approx(plain.w1, rel=1e-9)
        error = 5 * plain.pvalue / math.sqrt(10) + 0.01
        assert turned.pvalue == pytest.approx(plain.pvalue, abs=error)

    def test_a_whole_turn_is_no_distance(self):
        report = compare({"a": [0.0] * 9}, {"a": [24.0] * 9}, periodic={"a": 24})["a"]
        assert (report.w1, report.pvalue, report.verdict) == (0, 1, "not moved")

    @pytest.mark.slow
    def test_false_alarms_on_a_circle_are_as_many_as_promised(self):
        def make(rng):
            return {"a": rng.vonmises(3, 1, 50) * 12 / np.pi}

        assert alarms(make, 100, periodic={"a": 24}) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)

    def test_days_of_the_week(self):
        monday = pd.Timestamp("2024-01-01")
        before = pd.DataFrame({"t": [monday + pd.Timedelta(days=7 * k) for k in range(20)]})
        after = before + pd.Timedelta(days=7 * 30 + 6)
        report = compare(before, after, periodic={"t": 7})["t"]
        assert report.w1 == pytest.approx(1, abs=1e-9) and report.unit == "days"

    @pytest.mark.parametrize("values", [[1e-320, 2e-320, 0.0], [1e-300, 2e-300, 0.0]])
    def test_values_far_smaller_than_the_circle(self, values):
        assert compare({"a": values}, {"a": values}, periodic={"a": 24})["a"].w1 == 0


class TestTinyAndHuge:
    @pytest.mark.parametrize("rows", [1, 2, 3])
    @pytest.mark.parametrize("options", [{}, {"weights": True}, {"periodic": {"a": 24}}])
    def test_few_rows_are_compared(self, rows, options):
        if "weights" in options:
            options = {"weights": (np.ones(rows), np.ones(rows))}
        side = {"a": np.arange(rows) + 0.5, "b": list("xyz")[:rows], "c": [True, None, False][:rows]}
        report = compare(side, side, joint=True, **options)
        assert [column.pvalue for column in report] == [1, 1, 1] and report.moved == ()
        assert str(report) and report.to_json()

    @pytest.mark.parametrize("scale", ["std", "none"])
    @pytest.mark.parametrize("factor", [5e-324, 1e-310, 1e307])
    def test_numbers_at_the_ends_of_float64(self, scale, factor):
        x, y = factor * np.arange(5), factor * np.arange(4, 9)
        report = compare({"a": x}, {"a": y}, scale=scale)["a"]
        assert report.w1 == pytest.approx(4 * factor, rel=1e-9) and report.pvalue < 0.2

    def test_labels_and_names_may_hold_anything(self):
        names = ["", "a, b", "a=b", "x\ny", "\ud800", "n" * 300]
        labels = ["x, y", "", "z;w", "\n", "\ud800", "[red]"] * 4
        report = compare(dict.fromkeys(names, labels), dict.fromkeys(names, labels[::-1]))
        assert [column.name for column in report] == names and report.moved == ()
        assert str(report) and report.to_json()

    def test_truth_values_with_gaps_under_weights(self):
        before = {"a": [True, None, False] * 5, "w": [1, 2, 3] * 5}
        after = {"a": [True, True, None] * 5, "w": [1, 1, 2] * 5}
        report = compare(before, after, weights="w")["a"]
        assert report.w1 == pytest.approx(1 - 1 / 4, rel=1e-12)
        assert (report.missing_reference, report.missing_current) == (2 / 6, 2 / 4)


A = {"a": [1.0, 2.0, 3.0, 4.0], "l": list("abcd")}
BAD = {
    "groups unknown": ({"groups": "zz"}, "groups", "'zz' is not in reference; choose from"),
    "groups number": (
        {"groups": 3},
        "groups",
        r"column name or a pair, got int; give \(reference, current\)",
    ),
    "groups three": ({"groups": (1, 2, 3)}, "groups", "a pair, got tuple"),
    "groups short": (
        {"groups": ([1, 2, 3], [1, 2, 3, 4])},
        "groups",
        r"must have shape \(4,\), got \(3,\), for reference",
    ),
    "groups ragged": ({"groups": ([[1], [2, 3], 4, 5], [1, 2, 3, 4])}, "groups", "ragged; give one entry"),
    "groups missing": (
        {"groups": (["x", None, "y", "z"], list("abcd"))},
        "groups",
        "row 1 of reference has no group",
    ),
    "groups nan": ({"groups": ([1, 2, 3, 4], [1, 2, np.nan, 4])}, "groups", "row 2 of current has no group"),
    "groups one": ({"groups": ([1, 1, 1, 1], [1, 2, 3, 4])}, "groups", "one unit on a side; use smaller"),
    "blocks and groups": ({"groups": "l", "blocks": 2}, "blocks", "both given; give one"),
    "blocks 0": ({"blocks": 0}, "blocks", "integer >= 1, got 0"),
    "blocks half": ({"blocks": 1.5}, "blocks", "integer >= 1, got 1.5"),
    "blocks text": ({"blocks": "day"}, "blocks", "integer >= 1, got 'day'"),
    "blocks true": ({"blocks": True}, "blocks", "integer >= 1, got True"),
    "blocks long": ({"blocks": 4}, "blocks", "one unit on a side; use smaller"),
    "weights unknown": ({"weights": "zz"}, "weights", "'zz' is not in reference; choose from"),
    "weights labels": ({"weights": "l"}, "weights", "'l' is categorical in reference; give numbers"),
    "weights text": ({"weights": (list("abcd"), [1] * 4)}, "weights", "not numbers; give numbers"),
    "weights short": ({"weights": ([1] * 4, [1] * 3)}, "weights", r"shape \(4,\), got \(3,\), for current"),
    "weights negative": (
        {"weights": ([1] * 4, [1, -1, 1, 1])},
        "weights",
        ">= 0, got -1.0 in row 1 of current; drop the row",
    ),
    "weights nan": ({"weights": ([1, 1, np.nan, 1], [1] * 4)}, "weights", "got nan in row 2 of reference"),
    "weights inf": ({"weights": ([np.inf, 1, 1, 1], [1] * 4)}, "weights", "got inf in row 0 of reference"),
    "weights zero": (
        {"weights": ([0] * 4, [1] * 4)},
        "weights",
        "of reference are all zero; give at least one",
    ),
    "weights one side": ({"weights": (None, [1] * 4)}, "weights", r"shape \(4,\), got \(\), for reference"),
    "periodic list": ({"periodic": ["a"]}, "periodic", "must be a mapping, got .*; give a mapping"),
    "periodic number": ({"periodic": 24}, "periodic", "must be a mapping, got 24"),
    "periodic unknown": ({"periodic": {"zz": 24}}, "periodic", "names 'zz'.*choose from"),
    "periodic labels": ({"periodic": {"l": 24}}, "periodic", "'l' is categorical; give periods of numeric"),
    "periodic 0": ({"periodic": {"a": 0}}, r"periodic\['a'\]", "finite number > 0, got 0; give a length"),
    "periodic nan": ({"periodic": {"a": np.nan}}, r"periodic\['a'\]", "got nan; give a length"),
    "periodic text": ({"periodic": {"a": "24"}}, r"periodic\['a'\]", "got '24'; give a length"),
    "units text": ({"units": "EUR"}, "units", "must be a mapping, got 'EUR'; give a mapping"),
    "units unknown": ({"units": {"zz": "EUR"}}, "units", "names 'zz'.*choose from"),
    "units labels": ({"units": {"l": "EUR"}}, "units", "'l' is categorical; give units of numeric"),
    "units number": ({"units": {"a": 3}}, "units", "'a' has 3; give a text"),
    "names one": ({"names": ("a",)}, "names", r"pair of names, got \('a',\); give \(reference, current\)"),
    "names text": ({"names": "ab"}, "names", "pair of names, got 'ab'"),
    "names none": ({"names": None}, "names", "pair of names, got None"),
    "level 0": ({"level": 0}, "level", "> 0 and <= 1, got 0; use a rate"),
    "level 5": ({"level": 5}, "level", "> 0 and <= 1, got 5; use a rate"),
    "level nan": ({"level": np.nan}, "level", "> 0 and <= 1, got nan; use a rate"),
    "level text": ({"level": "5%"}, "level", "> 0 and <= 1, got '5%'; use a rate"),
    "columns text": ({"columns": "a"}, "columns", "sequence of names, got 'a'; give a list"),
    "columns number": ({"columns": 3}, "columns", "sequence of names, got 3; give a list"),
    "columns none": ({"columns": []}, "columns", r"not be empty, got \[\]; give a list"),
    "columns unknown": ({"columns": [0]}, "columns", r"\['0'\] in neither table; choose from \['a', 'l'\]"),
}


@pytest.mark.parametrize(("options", "argument", "problem"), BAD.values(), ids=BAD)
def test_a_bad_value_is_an_error_that_names_argument_and_remedy(options, argument, problem):
    with pytest.raises(InputError, match=rf"^{argument}: .*{problem}"):
        compare(A, A, **options)


def test_a_column_that_states_the_design_is_in_both_tables():
    for argument in ("groups", "weights"):
        with pytest.raises(InputError, match=rf"^{argument}: 'w' is not in current; choose from \['a'\]"):
            compare({"a": [1, 2], "w": [1, 2]}, {"a": [1, 2]}, **{argument: "w"})


def test_columns_may_be_any_iterable_of_names_and_numbers(rng):
    frame = pd.DataFrame(rng.normal(size=(9, 3)))
    for columns in ([0, 2], ("0", "2"), np.array([0, 2]), iter([0, 2]), range(0, 3, 2), [0, 2, 0]):
        assert [c.name for c in compare(frame, frame, columns=columns)] == ["0", "2"]


def test_two_columns_of_one_name_are_an_error():
    twice = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    with pytest.raises(InputError, match=r"^reference: .*one name"):
        compare(twice, {"a": [1, 2]})


def test_a_group_that_is_pandas_na_is_no_group():
    pandas = pytest.importorskip("pandas")
    values = [1.0, 2.0, 3.0]
    for absent in (pandas.NA, None, float("nan"), pandas.NaT):
        groups = np.array(["u", absent, "v"], dtype=object)
        with pytest.raises(InputError, match="groups: row 1 of reference has no group"):
            otdist.compare({"x": values}, {"x": values}, groups=(groups, ["a", "b", "c"]))
        with pytest.raises(InputError, match="groups: row 1 of x has no group"):
            otdist.stats.permutation_test(values, values, groups=(groups, ["a", "b", "c"]))
