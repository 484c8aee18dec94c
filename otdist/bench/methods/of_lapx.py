"""Adapter of lapx: one-to-one assignment by the algorithm of Jonker and Volgenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lap
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from otdist.typing import Array


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by an optimal assignment."""
    if len(x) != len(y):
        raise ValueError("x and y must have equally many points for an assignment")
    return {"value": float(lap.lapjv(cdist(x, y))[0]) / len(x)}
