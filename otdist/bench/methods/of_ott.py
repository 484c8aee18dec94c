"""Adapter of OTT-JAX: cost of an entropic transport plan; epsilon is relative to the mean cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from ott.geometry import costs, epsilon_scheduler, pointcloud
from ott.geometry.geometry import Geometry
from ott.problems.linear.linear_problem import LinearProblem
from ott.solvers.linear import acceleration, sinkhorn

if TYPE_CHECKING:
    from collections.abc import Callable

    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options

    Solve = Callable[..., tuple[jax.Array, ...]]


THRESHOLD = 1e-3  # error of the marginals at which it stops, OTT's default
COMPILED_CALLS: dict[tuple[tuple[int, ...], ...], Solve] = {}


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute the cost of the entropic plan of OTT in float32.

    ``decay`` lets epsilon fall to its value, ``momentum`` over-relaxes, and ``geometry=matrix`` stores the
    costs of all pairs.
    """
    arrays = _to_float32(samples)
    key = tuple(array.shape for array in arrays)
    call = COMPILED_CALLS.get(key) or _compile(samples, options)
    value, dual, iterations, converged, f, g = jax.block_until_ready(call(*arrays))

    def compute_residual() -> float:
        epsilon = _compute_epsilon(samples, options)
        a, b = samples.shares
        with np.errstate(divide="ignore"):
            logs_f, logs_g = (
                np.asarray(f, float) - epsilon * np.log(a),
                np.asarray(g, float) - epsilon * np.log(b),
            )
        return samples.compute_residual(logs_f, logs_g, epsilon)

    answer: Answer = {"value": float(value), "dual": float(dual), "iterations": int(iterations)}
    return answer | {"converged": bool(converged), "residual": compute_residual}


def prepare(name: str, samples: Samples, options: Options) -> None:
    """Compile the solver for these sizes; not timed."""
    COMPILED_CALLS[tuple(array.shape for array in _to_float32(samples))] = _compile(samples, options)


def _to_float32(samples: Samples) -> list[jax.Array]:
    return [jnp.asarray(part, jnp.float32) for part in (samples.x, samples.y, *samples.shares)]


def _compute_epsilon(samples: Samples, options: Options) -> float:
    return float(options.get("epsilon", 0.05)) * samples.mean_cost


def _compile(samples: Samples, options: Options) -> Solve:
    epsilon: float | epsilon_scheduler.Epsilon = _compute_epsilon(samples, options)
    if "decay" in options:
        epsilon = epsilon_scheduler.Epsilon(
            target=epsilon, init=samples.mean_cost, decay=float(options["decay"])
        )
    solver = sinkhorn.Sinkhorn(
        threshold=THRESHOLD,
        max_iterations=int(options.get("iterations", 10_000)),
        momentum=acceleration.Momentum(value=float(options.get("momentum", 1.0))),
    )

    def solve_points(x: jax.Array, y: jax.Array, a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
        if options.get("geometry") == "matrix":
            squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
            geometry = Geometry(cost_matrix=jnp.sqrt(jnp.maximum(squares, 0)), epsilon=epsilon)
        else:
            geometry = pointcloud.PointCloud(x, y, cost_fn=costs.Euclidean(), epsilon=epsilon)
        out = solver(LinearProblem(geometry, a, b))
        return out.primal_cost, out.dual_cost, out.n_iters, out.converged, out.f, out.g

    compiled: Solve = jax.jit(solve_points).lower(*_to_float32(samples)).compile()
    return compiled
