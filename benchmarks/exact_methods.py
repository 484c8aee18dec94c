"""One solve in this process, measured: what exact_vs_peers runs for each of its rows.

``python exact_methods.py METHOD POINTS.npz SECONDS BYTES`` prints one line of JSON. otdist is imported
by its own methods only, so that a peer can run in an environment of its own.
"""

from __future__ import annotations

import gc
import json
import math
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
MANY = 10**9  # pivots: POT and wasserstein stop at 100,000 by default, below the optimum
COST_BITS, MASS_BITS = 30, 50  # of the integers that ortools gets
GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-9)
BRIEF = 0.5  # seconds: what is shorter is run up to eight times more


@dataclass(frozen=True)
class Task:
    """Points, and weights that may be None: all equal."""

    x: Array
    y: Array
    a: Array | None
    b: Array | None
    metric: str

    @classmethod
    def load(cls, path: str) -> Task:
        """Read what exact_vs_peers has written."""
        with np.load(path) as file:
            weights = (file.get(side) for side in "ab")
            return cls(file["x"], file["y"], *weights, str(file["metric"]))

    def warm_up(self) -> Task:
        """A smaller task that calls the same code: "sparse" takes other ways from 1,000 points on."""
        rng = np.random.default_rng(0)
        n = min(1100, len(self.x))
        m, d = n if len(self.x) == len(self.y) else min(1050, len(self.y)), self.x.shape[1]
        a = None if self.a is None else rng.random(n)
        b = None if self.b is None else rng.random(m)
        return Task(rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3, a, b, self.metric)

    @property
    def shares(self) -> tuple[Array, Array]:
        """Weights that sum to 1."""
        a = np.ones(len(self.x)) if self.a is None else self.a
        b = np.ones(len(self.y)) if self.b is None else self.b
        return a / a.sum(), b / b.sum()

    def matrix(self) -> Array:
        """All costs, in the faster of two ways; scipy's is as fast or faster but for many columns."""
        if self.metric == "euclidean" and self.x.shape[1] >= 32:
            import ot

            return ot.dist(self.x, self.y, metric="euclidean")
        from scipy.spatial.distance import cdist

        return cdist(self.x, self.y, self.metric)


def otdist_method(method: str, task: Task, **options: float) -> dict[str, Any]:
    import otdist

    reached: dict[str, float] = {}
    if method == "sparse":
        _watch(reached)
    result = otdist.w1(task.x, task.y, task.a, task.b, metric=task.metric, method=method, **options)
    keys = ("lower", "upper", "gap", "converged", "info", "message")
    answer = {key: getattr(result, key) for key in keys}
    return answer | {"value": float(result), "reached": reached, "solver": result.method}


def _watch(reached: dict[str, float]) -> None:
    """Note the seconds at which the proved gap of the whole problem falls below each of GAPS."""
    from otdist.solvers.sparse import multiscale, prepared_problem

    start = time.perf_counter()

    class Watched(multiscale.MultiscaleSolver):
        def _update_best(self, certificate: Any) -> Any:
            best = super()._update_best(certificate)
            for gap in GAPS:
                if best.reaches(gap):
                    reached.setdefault(f"{gap:.0e}", time.perf_counter() - start)
            return best

    prepared_problem.MultiscaleSolver = Watched


def pot(task: Task) -> dict[str, Any]:
    import ot

    start = time.perf_counter()
    cost = task.matrix()
    prepared = time.perf_counter() - start
    return {"value": ot.emd2(*task.shares, cost, numItermax=MANY), "matrix_seconds": prepared}


def pot_lazy(task: Task) -> dict[str, Any]:
    import ot

    value = ot.emd2_lazy(
        task.x, task.y, *task.shares, metric=task.metric, numItermax=MANY, return_matrix=False
    )
    return {"value": value}


def scipy_assignment(task: Task) -> dict[str, Any]:
    from scipy.optimize import linear_sum_assignment

    cost = task.matrix()
    return {"value": cost[linear_sum_assignment(cost)].mean()}


def lapx(task: Task) -> dict[str, Any]:
    import lap

    return {"value": lap.lapjv(task.matrix())[0] / len(task.x)}


def ortools(task: Task) -> dict[str, Any]:
    """Cost scaling on all n m arcs: costs rounded to 2^-30 of the largest, masses to 2^-50 of their sum.

    The value is that of its plan at the costs before rounding.
    """
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    cost = task.matrix()
    n, m = cost.shape
    if task.a is None and n == m:
        a = b = np.ones(n, np.int64)
    else:
        a, b = (_whole(share) for share in task.shares)
    exponent = COST_BITS - math.frexp(float(cost.max()) or 1.0)[1]
    flow = SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        np.repeat(np.arange(n, dtype=np.int32), m),
        np.tile(np.arange(n, n + m, dtype=np.int32), n),
        np.minimum(a[:, None], b).ravel(),
        np.rint(np.ldexp(cost, exponent)).astype(np.int64).ravel(),
    )
    flow.set_nodes_supplies(np.arange(n + m, dtype=np.int32), np.concatenate([a, -b]))
    status = flow.solve()
    if status != SimpleMinCostFlow.OPTIMAL:
        raise RuntimeError(f"ortools says {status.name}")
    return {"value": float(flow.flows(arcs) @ cost.ravel()) / float(a.sum())}


def _whole(share: Array) -> Array:
    mass = np.rint(np.ldexp(share, MASS_BITS)).astype(np.int64)
    mass[np.argmax(mass)] += 2**MASS_BITS - mass.sum()
    return mass


def wasserstein(task: Task) -> dict[str, Any]:
    """The package ``wasserstein``: Euclidean distances are its own, others come as a matrix."""
    from wasserstein import EMD

    versions = {name: metadata.version(name) for name in ("wasserstein", "numpy")}
    power = 2 if task.metric == "sqeuclidean" else 1
    solver = EMD(R=1.0, beta=power, norm=True, n_iter_max=MANY)
    a, b = task.shares
    own = task.metric in ("euclidean", "sqeuclidean")
    value = solver(a, task.x, b, task.y) if own else solver(a, b, task.matrix())
    if solver.status() != 0:
        raise RuntimeError(f"wasserstein ends with status {solver.status()}")
    return {"value": value, "versions": versions}


METHODS: dict[str, Callable[..., dict[str, Any]]] = {
    "POT": pot,
    "POT lazy": pot_lazy,
    "scipy LSA": scipy_assignment,
    "lapx": lapx,
    "ortools": ortools,
    "wasserstein": wasserstein,
}


def solver(method: str) -> Callable[[Task], dict[str, Any]]:
    """Find what a row's method stands for, such as ``"sparse tol=1e-2"``."""
    if method in METHODS:
        return METHODS[method]
    name, *options = method.split()
    values = {key: float(value) for key, value in (option.split("=") for option in options)}
    return lambda task: otdist_method(name, task, **values)


def measured(
    solve: Callable[[Task], dict[str, Any]], task: Task, limit: float, memory: int
) -> dict[str, Any]:
    """Solve it; seconds of each time, bytes added by the first."""
    gc.collect()
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    before = _reset_peak()
    signal.setitimer(signal.ITIMER_REAL, limit)  # ends the process, whatever it is doing
    start = time.perf_counter()
    answer = solve(task)
    times = [time.perf_counter() - start]
    signal.setitimer(signal.ITIMER_REAL, 0)
    answer["memory"] = _status("VmHWM") - before
    for _ in range(8):
        if times[0] < BRIEF and sum(times) < 2 * BRIEF:
            start = time.perf_counter()
            solve(task)
            times.append(time.perf_counter() - start)
    return answer | {"times": times}


def _reset_peak() -> int:
    """Resident bytes now, from where the peak is counted."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def plain(value: Any) -> Any:
    """Value that strict JSON can hold."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def main() -> None:
    method, path, limit, memory = sys.argv[1:]
    task, solve = Task.load(path), solver(method)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            solve(task.warm_up())  # imports, and compiled code from its cache
            caught.clear()
            answer = {"status": "ok"} | measured(solve, task, float(limit), int(memory))
        except Exception as error:
            short = isinstance(error, MemoryError) or type(error).__name__ == "BudgetError"
            answer = {"status": "memory" if short else "error", "reason": f"{type(error).__name__}: {error}"}
    answer["warnings"] = sorted({str(warning.message) for warning in caught})
    print(json.dumps(plain(answer)))


if __name__ == "__main__":
    main()
