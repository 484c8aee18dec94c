"""Adapter of POT: network simplex with or without a cost matrix, and entropic and sliced transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ot

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


MAX_PIVOTS = 10**9  # POT stops at 100,000 by default, before the optimum


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 by the named method of POT; ``reg`` is relative to the mean cost."""
    if name == "POT lazy":
        value = ot.emd2_lazy(
            samples.x,
            samples.y,
            *samples.shares,
            metric=samples.metric,
            numItermax=MAX_PIVOTS,
            return_matrix=False,
        )
        return {"value": float(value)}
    if name == "POT sliced":
        count = int(options.get("n_projections", 100))
        value = ot.sliced_wasserstein_distance(
            samples.x, samples.y, *samples.shares, n_projections=count, p=1, seed=0
        )
        return {"value": float(value)}
    if name == "POT emd2":
        return {"value": float(ot.emd2(*samples.shares, samples.compute_costs(), numItermax=MAX_PIVOTS))}
    return _solve_entropic(name, samples, options)


def prepare(name: str, samples: Samples, options: Options) -> None:
    """Compute the unit of ``reg``; not timed."""
    if "reg" in options:
        _ = samples.mean_cost


def _solve_entropic(name: str, samples: Samples, options: Options) -> Answer:
    """Compute the cost of POT's entropic plan, which is not rounded to its marginals.

    With ``backend=torch`` in float32; ``stop`` is the error of the marginals at which it stops.
    """
    a, b = samples.shares
    if options.get("backend") == "torch":
        import torch

        x, y, a, b = (torch.tensor(part, dtype=torch.float32) for part in (samples.x, samples.y, a, b))
        cost = torch.cdist(x, y)
    else:
        cost = samples.compute_costs()
    plan, log = ot.sinkhorn(
        a,
        b,
        cost,
        float(options["reg"]) * samples.mean_cost,
        method=name.removeprefix("POT "),
        numItermax=int(options.get("iterations", 10_000)),
        stopThr=float(options.get("stop", 1e-9)),
        log=True,
    )

    def compute_residual() -> float:
        return float(abs(plan.sum(1) - a).sum() + abs(plan.sum(0) - b).sum())

    value = float((plan * cost).sum())
    return {"value": value, "iterations": log.get("niter"), "residual": compute_residual}
