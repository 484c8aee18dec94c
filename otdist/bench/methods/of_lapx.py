"""lapx: the assignment of points one to one, by Jonker and Volgenant."""

from __future__ import annotations

from typing import Any

import lap
import numpy as np
from scipy.spatial.distance import cdist

Array = np.ndarray[Any, np.dtype[np.float64]]


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Ask lapx."""
    if len(x) != len(y):
        raise ValueError("an assignment needs as many points on both sides")
    return {"value": float(lap.lapjv(cdist(x, y))[0]) / len(x)}
