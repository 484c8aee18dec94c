"""Adapter of OTT-JAX: cost of an entropic transport plan; epsilon is relative to the mean cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from ott.geometry import costs, pointcloud
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear import sinkhorn

if TYPE_CHECKING:
    from otdist.typing import Array


COMPILED_CALLS: dict[Any, Any] = {}


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute the cost of the entropic plan of OTT."""
    samples = _to_float32(x, y)
    key = tuple(points.shape for points in samples)
    call = COMPILED_CALLS.get(key) or _compile(samples, options)
    value, converged = jax.block_until_ready(call(*samples))
    return {"value": float(value), "converged": bool(converged)}


def prepare(x: Array, y: Array, options: dict[str, Any]) -> None:
    """Compile the solver for these sizes; not timed."""
    samples = _to_float32(x, y)
    COMPILED_CALLS[tuple(points.shape for points in samples)] = _compile(samples, options)


def _to_float32(x: Array, y: Array) -> list[Any]:
    return [jnp.asarray(points, jnp.float32) for points in (x, y)]


def _compile(samples: list[Any], options: dict[str, Any]) -> Any:
    solver = sinkhorn.Sinkhorn(threshold=1e-3, max_iterations=int(options.get("iterations", 10_000)))
    epsilon = float(options.get("epsilon", 0.05))

    def solve_points(x: Any, y: Any) -> Any:
        geometry = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=epsilon, scale_cost="mean")
        out = solver(LinearProblem(geometry))
        mean = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean()).mean_cost_matrix
        return out.primal_cost * mean, out.converged

    return jax.jit(solve_points).lower(*samples).compile()
