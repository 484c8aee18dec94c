"""The recommendation agrees with the measurements of the atlas and with the choice of "auto"."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import otdist
from otdist.atlas import advice, costs
from otdist.metrics import NAMED, minkowski, periodic
from otdist.problem import Problem
from otdist.solvers import choose

ROOT = Path(__file__).parents[2]
AMPLE_BYTES = 10**13  # memory that never limits
EXACT = ("line", "circle", "dense", "sparse")


@pytest.fixture
def script(monkeypatch):
    """Import a script of the atlas by name."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.atlas.{name}")


def choose_by_auto(n, m, d, tol, metric="euclidean", p=1.0):
    """Return the method that ``method="auto"`` takes; the points are not read."""
    x, y = (np.broadcast_to(0.0, (count, d)) for count in (n, m))
    weights = np.ones(1)
    ground = NAMED.get(metric, metric) if isinstance(metric, str) else metric
    problem = Problem(x, y, weights, weights, 1.0, True, ground, p, tol=tol)
    return type(choose("auto", problem, {})).__name__.lower()


def list_in_order(recommendation):
    return [recommendation, *recommendation.alternatives]


class TestOneTable:
    @pytest.mark.parametrize("metric", ["euclidean", "cityblock", minkowski(3), periodic([1.0])])
    @pytest.mark.parametrize("tol", [0.0, 1e-4, 0.01, 0.03, 0.1, 0.5])
    def test_auto_takes_what_is_recommended_first_among_the_exact(self, tol, metric):
        sizes = (1, 50, 400, 900, 1200, 1500, 2000, 5000, 40_000, 10**6)
        for n, m, d in itertools.product(sizes, sizes, (1, 2, 3, 5, 20, 128, 1000)):
            if metric not in ("euclidean", "cityblock") and metric.period is not None and d > 1:
                continue
            named = otdist.recommend(n, d, tol, m=m, metric=metric, max_bytes=AMPLE_BYTES * 100)
            first = next(choice.method for choice in list_in_order(named) if choice.method in EXACT)
            assert choose_by_auto(n, m, d, tol, metric) == first, (n, m, d)

    def test_the_table_is_that_of_the_committed_rows(self, script):
        rows = script("rows").load()
        shipped = json.loads(costs.TABLE_PATH.read_text())
        assert script("fit").table(rows) == shipped["seconds"]
        assert script("fit").loading(rows) == shipped["loading"]
        assert script("fit").loading(rows, script("measure").NEW) == shipped["compiling"]

    def test_at_a_measured_size_it_expects_what_was_measured(self, script):
        for row in script("fit").usable(script("rows").load(), "grid"):
            method, gap = script("fit").kind(row)
            expected = costs.estimate_seconds(method, row["n"], row["m"], row["d"], gap)
            assert expected == pytest.approx(row["seconds"], rel=0.01)

    @pytest.mark.parametrize("calls", [1, 1000])
    def test_it_is_within_twice_the_best_on_questions_that_it_has_not_seen(self, script, calls):
        judge = script("judge")
        factors = [choice.factor for choice in judge.verdicts(script("rows").load()) if choice.calls == calls]
        assert len(factors) >= 60
        assert np.mean(np.array(factors) <= judge.WITHIN) >= 0.9

    def test_memory_is_what_the_solvers_ask_for(self):
        from otdist.solvers.linear import dense
        from otdist.solvers.sparse import prepared_problem

        assert dense.DENSE_BYTES_PER_PAIR == costs.BYTES_PER_PAIR
        assert (prepared_problem.BYTES_PER_COORDINATE, prepared_problem.BYTES_PER_COST) == (
            costs.BYTES_PER_COORDINATE,
            costs.BYTES_PER_COST,
        )
        assert prepared_problem.BYTES_PER_NODE < costs.MEASURED_BYTES_PER_NODE  # measured

    def test_rows_of_the_atlas_keep_to_that_memory(self, script):
        for row in script("fit").usable(script("rows").load(), "grid"):
            required_bytes = costs.estimate_memory(script("fit").kind(row)[0], row["n"], row["m"], row["d"])
            if required_bytes > 2e7:  # below, the process itself counts
                assert row["memory"] < 1.1 * required_bytes, row["question"]

    def test_metrics_with_loops_are_those_of_the_solver(self):
        from otdist.solvers.pairs.point_costs import cost_kernel

        for metric in (*NAMED.values(), minkowski(3), periodic([None, 1.0])):
            x = np.zeros((2, 2))
            problem = Problem(x, x, np.ones(2), np.ones(2), 2.0, True, metric)
            assert advice._Request(2, 2, 2, 0.0, metric, 1, AMPLE_BYTES).has_compiled_costs == (
                cost_kernel(problem) is not None
            )


class TestAnswers:
    @pytest.mark.slow
    @pytest.mark.parametrize(("n", "d", "tol"), [(60, 2, 0.0), (60, 3, 0.05), (90, 1, 0.0), (1500, 4, 0.02)])
    def test_every_recommendation_can_be_called_and_keeps_its_promise(self, rng, n, d, tol):
        x, y = rng.normal(size=(2, n, d))
        truth = otdist.w1(x, y)
        for choice in list_in_order(otdist.recommend(n, d, tol)):
            answer = otdist.w1(x, y, **choice.options)
            assert answer.converged and answer.method == choice.method
            assert answer.gap <= (1e-9 if choice.exact else tol)
            assert answer.lower <= truth.upper and truth.lower <= answer.upper

    def test_one_column_has_a_closed_form(self):
        assert otdist.recommend(10**8, 1, max_bytes=AMPLE_BYTES).method == "line"
        circle = otdist.recommend(1000, 1, metric=periodic([24.0]))
        assert (circle.method, circle.seconds) == ("circle", None)
        assert "not measured" in str(circle)

    def test_others_come_in_order_with_their_costs(self):
        for n, d, tol, calls in itertools.product((100, 3000, 50_000), (2, 64), (0.0, 0.01), (1, 50)):
            recommendations = list_in_order(otdist.recommend(n, d, tol, calls=calls, max_bytes=AMPLE_BYTES))
            totals = [advice._compute_ranking_seconds(choice, calls) for choice in recommendations]
            assert totals == sorted(totals) and min(totals) > 0
            assert len({choice.method for choice in recommendations}) == (3 if tol else 2)

    def test_what_does_not_fit_is_left_out_with_the_reason(self):
        small = otdist.recommend(5000, 2, 0.01, max_bytes=10**8)
        assert "needs 1.02 GB" in small.left_out["dense"]
        assert "dense" not in [choice.method for choice in list_in_order(small)]
        assert "not exact" in otdist.recommend(100, 2).left_out["sinkhorn"]
        assert "0.001" in otdist.recommend(100, 2, 1e-4).left_out["sinkhorn"]
        assert "loops" in otdist.recommend(100, 2, 0.1, metric="gower").left_out["sinkhorn"]
        for name in ("sliced", "critic"):
            assert "lower bound" in small.left_out[name]

    def test_a_matrix_of_costs_is_counted(self):
        with_loops, without = (
            next(
                choice
                for choice in list_in_order(otdist.recommend(4000, 2, metric=metric))
                if choice.method == "sparse"
            )
            for metric in ("cityblock", lambda u, v: abs(u - v).sum())
        )
        assert without.bytes == with_loops.bytes + 8 * 4000**2
        with pytest.raises(otdist.BudgetError, match=r"no method takes .* random subset"):
            otdist.recommend(10**5, 2, metric="gower", max_bytes=10**9)

    def test_without_a_limit_it_keeps_to_the_free_memory(self, monkeypatch):
        monkeypatch.setattr(advice, "free_memory", lambda: 10**7)
        assert "dense" in otdist.recommend(1000, 2).left_out
        monkeypatch.setattr(advice, "free_memory", lambda: None)
        assert "dense" not in otdist.recommend(1000, 2).left_out

    def test_it_says_what_it_rests_on(self):
        assert "extrapolated" not in otdist.recommend(2000, 20).why
        assert "extrapolated" in otdist.recommend(10**6, 2).why
        assert "extrapolated" in otdist.recommend(2000, 1000).why
        assert "copied to the CPU" in otdist.recommend(2000, 20, device="cuda").why
        assert "those of 'euclidean'" in otdist.recommend(2000, 20, metric="chebyshev").why
        text = str(otdist.recommend(2000, 20, 0.03))
        assert "tol=0.03" in text and "gap at most 0.03" in text and "not critic: " in text


class TestCosts:
    def test_seconds_grow_with_points_beyond_the_table(self):
        for method, tol in (("line", 0.0), ("dense", 0.0), ("sparse", 0.0), ("sinkhorn", 0.01)):
            expected = [costs.estimate_seconds(method, n, n, 8, tol) for n in (10**5, 10**6, 10**7)]
            for low, high in itertools.pairwise(expected):
                assert high / low * 1.0000001 >= 10 and high / low <= 10**costs.MAX_GROWTH_POWER * 1.0000001

    def test_between_gaps_they_are_between(self):
        for method in ("sparse", "sinkhorn"):
            ends = sorted(costs.estimate_seconds(method, 5000, 5000, 5, tol) for tol in (0.01, 0.1))
            assert ends[0] <= costs.estimate_seconds(method, 5000, 5000, 5, 0.03) <= ends[1]
        assert costs.estimate_seconds("sparse", 5000, 5000, 5, 1e-5) == costs.estimate_seconds(
            "sparse", 5000, 5000, 5
        )
        assert costs.estimate_seconds("sinkhorn", 5000, 5000, 5, 1e-5) is None

    def test_unequal_sides_count_by_their_pairs(self):
        unequal = costs.estimate_seconds("sparse", 1000, 9000, 4)
        assert math.isclose(unequal, costs.estimate_seconds("sparse", 3000, 3000, 4))
        assert otdist.recommend(300, 3, m=500).bytes in (
            41 * 300 * 500,
            800 * (120 + costs.MEASURED_BYTES_PER_NODE),
        )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"n": 0}, "n"),
        ({"n": 2.0}, "n"),
        ({"n": True}, "n"),
        ({"n": "7"}, "n"),
        ({"d": 0}, "d"),
        ({"d": -3}, "d"),
        ({"m": 0}, "m"),
        ({"tol": -0.1}, "tol"),
        ({"tol": 1.0}, "tol"),
        ({"tol": math.nan}, "tol"),
        ({"tol": None}, "tol"),
        ({"calls": 0}, "calls"),
        ({"max_bytes": 0.5}, "max_bytes"),
        ({"device": "gpu"}, "device"),
        ({"metric": "euclid"}, "metric"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(otdist.InputError) as caught:
        otdist.recommend(**({"n": 10, "d": 2} | arguments))
    assert caught.value.argument == name and caught.value.remedy


@pytest.mark.slow
def test_asking_loads_neither_numba_nor_torch_nor_scipy():
    code = "import otdist, sys; otdist.recommend(5000, 3, 0.01); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numba", "torch", "scipy", "ot"} & set(done.stdout.split())


def test_a_quicker_sinkhorn_that_waits_is_told():
    recommendation = otdist.recommend(20_000, 16, tol=0.01, max_bytes=10**11)
    quicker = [
        choice
        for choice in recommendation.alternatives
        if choice.method == "sinkhorn" and choice.seconds < recommendation.seconds
    ]
    assert quicker and "'sinkhorn' has to be 2 times as quick" in recommendation.why
    assert "times as quick" not in otdist.recommend(500, 2).why
