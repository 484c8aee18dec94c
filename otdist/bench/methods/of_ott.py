"""OTT-JAX: entropic transport of points, the cost of its plan; epsilon is relative to the mean cost."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry import costs, pointcloud
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear import sinkhorn

Array = np.ndarray[Any, np.dtype[np.float64]]
COMPILED: dict[Any, Any] = {}


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Ask OTT."""
    sides = _sides(x, y)
    key = tuple(side.shape for side in sides)
    call = COMPILED.get(key) or _compiled(sides, options)
    value, converged = jax.block_until_ready(call(*sides))
    return {"value": float(value), "converged": bool(converged)}


def prepare(x: Array, y: Array, options: dict[str, Any]) -> None:
    """Compile for these sizes, outside the clock."""
    sides = _sides(x, y)
    COMPILED[tuple(side.shape for side in sides)] = _compiled(sides, options)


def _sides(x: Array, y: Array) -> list[Any]:
    return [jnp.asarray(side, jnp.float32) for side in (x, y)]


def _compiled(sides: list[Any], options: dict[str, Any]) -> Any:
    solver = sinkhorn.Sinkhorn(threshold=1e-3, max_iterations=int(options.get("iterations", 10_000)))
    epsilon = float(options.get("epsilon", 0.05))

    def solved(x: Any, y: Any) -> Any:
        ground = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=epsilon, scale_cost="mean")
        out = solver(LinearProblem(ground))
        mean = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean()).mean_cost_matrix
        return out.primal_cost * mean, out.converged

    return jax.jit(solved).lower(*sides).compile()
