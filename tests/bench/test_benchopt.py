"""The solver file for benchopt supports the calls of a benchmark, with or without benchopt installed."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import otdist

FILE = Path(__file__).parents[2] / "benchmarks/benchopt/solvers/otdist.py"


@pytest.fixture
def solver_class(monkeypatch):
    try:
        import benchopt  # noqa: F401
    except ImportError:
        stand_in = types.ModuleType("benchopt")
        stand_in.BaseSolver = type("BaseSolver", (), {})
        monkeypatch.setitem(sys.modules, "benchopt", stand_in)
    spec = importlib.util.spec_from_file_location("benchopt_solver", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Solver


def objective(P, cost, a, b):  # noqa: N803
    """Return the objective of the benchmark: cost of the plan, 100 times more if marginals are violated."""
    violation = 0.5 * ((P.sum(axis=1) - a) ** 2).sum() + 0.5 * ((P.sum(axis=0) - b) ** 2).sum()
    value = float((P * cost).sum())
    return value if violation < 1e-5 else (1 + value) * 100


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "sparse", "sinkhorn"])
def test_plans_come_to_the_optimum_as_benchopt_asks_for_less(solver_class, method, rng):
    x, y = rng.normal(size=(60, 2)), rng.normal(3.0, 1.0, size=(61, 2))
    a, b = np.full(60, 1 / 60), np.full(61, 1 / 61)
    cost = np.linalg.norm(x[:, None] - y[None], axis=2)
    solver = solver_class()
    solver.method = method
    solver.set_objective(x=x, a=a, y=y, b=b)
    solver.warm_up()
    exact = otdist.w1(x, y, a, b).value
    tolerance = 3e38  # initial value of benchopt
    for _ in range(3):
        solver.run(tolerance)
        gap = min(tolerance, 0.9)
        result = solver.get_result()
        assert set(result) == {"P"}
        value = objective(**result, cost=cost, a=a, b=b)
        assert exact * (1 - 1e-9) <= value <= exact / (1 - gap) + 1e-12
        tolerance = solver.get_next(tolerance)
    assert tolerance < 1e-4


def test_every_method_of_the_solver_is_one_of_ours(solver_class):
    assert set(solver_class.parameters["method"]) <= {"auto", *otdist.solvers.METHODS}
    assert solver_class.sampling_strategy == "tolerance"
