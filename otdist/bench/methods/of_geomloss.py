"""Adapter of GeomLoss with p = 1, in float32; blur is relative to the mean cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from geomloss import SamplesLoss

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


MAX_POINTS_TENSORIZED = 5000  # beyond, cost matrices are not stored


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute the Sinkhorn loss of GeomLoss, as it does: the sum of its potentials."""
    blur = float(options.get("blur", 0.05)) * samples.mean_cost
    is_debiased = name == "GeomLoss debiased" or bool(options.get("debias", 0))
    few = len(samples.x) <= MAX_POINTS_TENSORIZED
    backend = str(options.get("backend", "tensorized" if few else "online"))
    if backend != "tensorized":
        import pykeops  # noqa: F401  # its absence would end in a NameError
    loss = SamplesLoss(
        "sinkhorn",
        p=1,
        blur=blur,
        scaling=float(options.get("scaling", 0.5)),
        debias=is_debiased,
        backend=backend,
        potentials=True,
    )
    x, y = (torch.tensor(points, dtype=torch.float32) for points in (samples.x, samples.y))
    a, b = (torch.tensor(weights, dtype=torch.float32) for weights in samples.shares)
    f, g = (potential.flatten() for potential in loss(a, x, b, y))  # one backend adds an axis
    answer: Answer = {"value": float(a @ f + b @ g)}
    if not is_debiased:
        answer["residual"] = lambda: samples.compute_residual(f.double().numpy(), g.double().numpy(), blur)
    return answer


def prepare(name: str, samples: Samples, options: Options) -> None:
    """Compute the unit of ``blur``; not timed."""
    _ = samples.mean_cost
