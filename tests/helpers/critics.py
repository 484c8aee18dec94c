"""Critics of every kind, and samples to fit them to."""

from __future__ import annotations

import numpy as np

from otdist.metrics import Metric

FEW = {"steps": 20, "anchors": 16, "batch": 64}
METRICS = ["euclidean", "cityblock", "chebyshev", "angular"]
OWN = Metric("own", lambda x, y: np.abs(x[:, None] - y[None]).sum(-1), triangle=True)
KINDS = [
    *(("anchors", metric) for metric in METRICS),
    ("orthogonal", "euclidean"),
    ("folds", "euclidean"),
    ("pieces", "euclidean"),
]


def clouds(seed, d=2, n=50, m=40):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 0.7 + 1.0
