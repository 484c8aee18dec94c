"""Adapter of pyemd: two histograms over the points of both samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyemd import emd
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from otdist.typing import Array


def solve(name: str, x: Array, y: Array, options: dict[str, Any]) -> dict[str, Any]:
    """Compute W1 by pyemd."""
    both = np.concatenate([x, y])
    first = np.concatenate([np.full(len(x), 1 / len(x)), np.zeros(len(y))])
    second = np.concatenate([np.zeros(len(x)), np.full(len(y), 1 / len(y))])
    return {"value": float(emd(first, second, cdist(both, both)))}
