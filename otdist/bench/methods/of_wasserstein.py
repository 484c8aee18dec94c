"""Adapter of the package wasserstein: the network simplex of particle physics. It needs numpy < 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from wasserstein import EMD

if TYPE_CHECKING:
    from otdist.typing import Array


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by wasserstein."""
    solver = EMD(R=1.0, beta=1.0, norm=True, n_iter_max=10**9)
    value = solver(np.full(len(x), 1 / len(x)), x, np.full(len(y), 1 / len(y)), y)
    if solver.status() != 0:
        raise RuntimeError(f"wasserstein ends with status {solver.status()}")
    return {"value": float(value)}
