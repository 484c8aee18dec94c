"""Adapter of pyemd: two histograms over the points of both samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pyemd import emd
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from otdist.bench.worker import Samples
    from otdist.typing import Answer, Options


def solve(name: str, samples: Samples, options: Options) -> Answer:
    """Compute W1 by pyemd."""
    both = np.concatenate([samples.x, samples.y])
    a, b = samples.shares
    first, second = np.concatenate([a, np.zeros(len(b))]), np.concatenate([np.zeros(len(a)), b])
    return {"value": float(emd(first, second, cdist(both, both, samples.metric)))}
