"""One run in this process, measured: what sinkhorn_vs_peers runs for each of its rows.

``python sinkhorn_methods.py METHOD POINTS.npz SECONDS BYTES`` prints one line of JSON. A method first
prepares, outside the clock: it moves points to where it works and compiles; a cost matrix is not
part of that. otdist is imported by its own methods only, so that a peer can run in an environment
of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from exact_methods import MANY, Task, measured, plain
from sinkhorn_passes import otdist_pass, torch_pass

Array = np.ndarray
Answer = dict[str, Any]
Run = Callable[[], Answer]
ROWS = 500  # of a plan, looked at together


def residual(task: Task, f: Array, g: Array, eps: float) -> float:
    """What the marginals of the plan ``a b exp((f + g - c) / eps)`` are off, rows and columns in all."""
    from scipy.spatial.distance import cdist

    a, b = task.shares
    cols, off = np.zeros(len(b)), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(a), ROWS):
            part = slice(first, first + ROWS)
            exponents = (f[part, None] + g - cdist(task.x[part], task.y)) / eps
            plan = np.exp(exponents) * a[part, None] * b
            off += np.abs(plan.sum(axis=1) - a[part]).sum()
            cols += plan.sum(axis=0)
    return float(off + np.abs(cols - b).sum())


def otdist_method(method: str, task: Task, mean: float, **options: float) -> Run:
    import otdist

    def run() -> Answer:
        result = otdist.w1(task.x, task.y, task.a, task.b, metric=task.metric, method=method, **options)
        keys = ("value", "lower", "upper", "gap", "converged", "message")
        scalars = {key: item for key, item in result.info.items() if isinstance(item, int | float)}
        return {key: getattr(result, key) for key in keys} | scalars

    return run


def otdist_sinkhorn(task: Task, mean: float, **options: float) -> Run:
    return otdist_method("sinkhorn", task, mean, **options)


def otdist_sparse(task: Task, mean: float) -> Run:
    return otdist_method("sparse", task, mean)


def pot_exact(task: Task, mean: float) -> Run:
    import ot

    return lambda: {"value": ot.emd2(*task.shares, task.matrix(), numItermax=MANY)}


def pot_sinkhorn(task: Task, mean: float, reg: float, stop: float = 1e-9, backend: str = "numpy") -> Run:
    """Cost of POT's plan, which is not rounded to its marginals; with torch in float32."""
    import ot

    shares = task.shares
    if backend == "torch":
        import torch

        shares = tuple(torch.tensor(share, dtype=torch.float32) for share in shares)
        points = (torch.tensor(side, dtype=torch.float32) for side in (task.x, task.y))
        x, y = points

    def run() -> Answer:
        cost = task.matrix() if backend == "numpy" else torch.cdist(x, y)
        plan, log = ot.sinkhorn(
            *shares,
            cost,
            reg * mean,
            method="sinkhorn_log",
            numItermax=100_000,
            stopThr=stop,
            log=True,
        )
        check = lambda: float(sum(abs(plan.sum(axis) - shares[1 - axis]).sum() for axis in (0, 1)))  # noqa: E731
        return {"value": float((plan * cost).sum()), "iterations": log["niter"], "check": check}

    return run


def geomloss(
    task: Task,
    mean: float,
    blur: float,
    scaling: float,
    backend: str = "tensorized",
    debias: bool = False,
) -> Run:
    """Its value as the sum of its potentials, as it makes it, so that these can be looked at."""
    import torch
    from geomloss import SamplesLoss

    loss = SamplesLoss(
        "sinkhorn", p=1, blur=blur * mean, scaling=scaling, debias=debias, backend=backend, potentials=True
    )
    a, b = (torch.tensor(share, dtype=torch.float32) for share in task.shares)
    x, y = (torch.tensor(side, dtype=torch.float32) for side in (task.x, task.y))

    def run() -> Answer:
        f, g = (potential.flatten() for potential in loss(a, x, b, y))  # the tensorized backend adds an axis
        answer: Answer = {"value": float(a @ f + b @ g)}
        if not debias:
            answer["check"] = lambda: residual(task, f.double().numpy(), g.double().numpy(), blur * mean)
        return answer

    return run


def geomloss_debiased(task: Task, mean: float, **options: Any) -> Run:
    return geomloss(task, mean, debias=True, **options)


def ott(
    task: Task,
    mean: float,
    epsilon: float,
    decay: float | None = None,
    momentum: float = 1.0,
    geometry: str = "points",
) -> Run:
    """Cost of OTT's plan in float32, compiled for this size outside the clock."""
    import jax
    import jax.numpy as jnp
    from ott.geometry import costs, epsilon_scheduler, pointcloud
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear import acceleration, sinkhorn

    eps = epsilon * mean
    falling = epsilon_scheduler.Epsilon(target=eps, init=mean, decay=decay) if decay else eps
    solver = sinkhorn.Sinkhorn(
        threshold=1e-3, max_iterations=100_000, momentum=acceleration.Momentum(value=momentum)
    )

    def solved(x: Any, y: Any) -> tuple[Any, ...]:
        if geometry == "matrix":
            squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
            ground = Geometry(cost_matrix=jnp.sqrt(jnp.maximum(squares, 0)), epsilon=falling)
        else:
            ground = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=falling)
        out = solver(LinearProblem(ground))
        return out.primal_cost, out.dual_cost, out.n_iters, out.converged, out.f, out.g

    x, y = (jnp.asarray(side, jnp.float32) for side in (task.x, task.y))
    compiled = jax.jit(solved).lower(x, y).compile()
    versions = {name: metadata.version(name) for name in ("ott-jax", "jax", "numpy")}

    def run() -> Answer:
        value, dual, iterations, converged, f, g = jax.block_until_ready(compiled(x, y))
        a, b = task.shares
        logs = [np.asarray(p, float) - eps * np.log(share) for p, share in ((f, a), (g, b))]
        answer = {"value": float(value), "dual": float(dual), "iterations": int(iterations)}
        check = lambda: residual(task, *logs, eps)  # noqa: E731
        return answer | {"converged": bool(converged), "check": check, "versions": versions}

    return run


def mdot(task: Task, mean: float, gamma: float) -> Run:
    """Cost of mdot's plan, rounded to its marginals; in float32 up to 2**10, as it asks for."""
    import mdot_tnt
    import torch

    kind = torch.float32 if gamma <= 2**10 else torch.float64
    a, b = (torch.tensor(share, dtype=kind) for share in task.shares)
    x, y = (torch.tensor(side, dtype=kind) for side in (task.x, task.y))

    def run() -> Answer:
        cost = torch.cdist(x, y)
        largest = cost.max()
        value = mdot_tnt.solve_OT(a, b, cost / largest, gamma_f=gamma)
        return {"value": float(value * largest), "residual": 0.0}

    return run


METHODS: dict[str, Callable[..., Run]] = {
    "otdist sinkhorn": otdist_sinkhorn,
    "otdist sparse": otdist_sparse,
    "otdist pass": otdist_pass,
    "torch pass": torch_pass,
    "POT emd2": pot_exact,
    "POT sinkhorn_log": pot_sinkhorn,
    "GeomLoss": geomloss,
    "GeomLoss debiased": geomloss_debiased,
    "OTT-JAX": ott,
    "mdot-tnt": mdot,
}


def prepared(method: str, task: Task, mean: float) -> Run:
    """What a row's method stands for, such as ``"OTT-JAX epsilon=0.01"``, ready to run."""
    words = method.split()
    name = " ".join(word for word in words if "=" not in word)
    options = dict(word.split("=") for word in words if "=" in word)
    return METHODS[name](task, mean, **{key: _number(value) for key, value in options.items()})


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def main() -> None:
    method, path, limit, memory = sys.argv[1:]
    task = Task.load(path)
    with np.load(path) as file:
        mean = float(file["mean"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            prepared(method, task.warm_up(), mean)()  # imports, and compiled code from its cache
            caught.clear()
            run = prepared(method, task, mean)
            answer = {"status": "ok"} | measured(lambda _: run(), task, float(limit), int(memory))
            answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if "check" in answer:
                answer["residual"] = answer.pop("check")()
        except Exception as error:
            short = isinstance(error, MemoryError) or type(error).__name__ in (
                "BudgetError",
                "OutOfMemoryError",
            )
            short = short or "alloc" in str(error) or "RESOURCE_EXHAUSTED" in str(error)
            answer = {"status": "memory" if short else "error", "reason": f"{type(error).__name__}: {error}"}
    answer["warnings"] = sorted({str(warning.message) for warning in caught})
    print(json.dumps(plain(answer)))


if __name__ == "__main__":
    main()
