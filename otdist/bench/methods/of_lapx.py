"""Adapter of lapx: one-to-one assignment by the algorithm of Jonker and Volgenant."""

from __future__ import annotations

from typing import Any

import lap
import numpy as np
from scipy.spatial.distance import cdist

Array = np.ndarray[Any, np.dtype[np.float64]]


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by an optimal assignment."""
    if len(x) != len(y):
        raise ValueError("x and y must have equally many points for an assignment")
    return {"value": float(lap.lapjv(cdist(x, y))[0]) / len(x)}
