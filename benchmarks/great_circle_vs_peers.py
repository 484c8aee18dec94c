"""W1 on the Earth: ``great_circle`` against POT's ``emd2`` on scikit-learn's ``haversine_distances``.

n = m points, two mixtures of 20 cities with a standard deviation of 2 degrees, equal weights; all in one
process, in turn. POT's default cap of 100,000 pivots is raised, so that it finishes. ``error`` is relative to
the dense answer, which is proved to 1e-9. The time of the matrix alone is there, too.
Run with ``python benchmarks/great_circle_vs_peers.py``; writes results/great_circle_vs_peers.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
from harness import paired, save, summary
from sklearn.metrics.pairwise import haversine_distances

import otdist
from otdist.metrics import great_circle

RADIUS = 6371.0088
KM = great_circle()


def cities(n: int, rng: np.random.Generator) -> np.ndarray:
    """Points (latitude, longitude) around 20 places between 60 S and 70 N."""
    centres = np.column_stack([rng.uniform(-60, 70, 20), rng.uniform(-180, 180, 20)])
    points = centres[rng.integers(20, size=n)] + rng.normal(0, 2.0, size=(n, 2))
    return np.column_stack([np.clip(points[:, 0], -90, 90), points[:, 1]])


def haversine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return RADIUS * haversine_distances(np.radians(x), np.radians(y))


def compared(n: int, runs: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y, a = cities(n, rng), cities(n, rng), np.full(n, 1 / n)
    answers: dict[str, Any] = {
        "POT emd2, scikit-learn": lambda: ot.emd2(a, a, haversine(x, y), numItermax=10**9),
        "otdist dense": lambda: otdist.w1(x, y, metric=KM, method="dense"),
        "otdist sparse": lambda: otdist.w1(x, y, metric=KM, method="sparse"),
    }
    matrices = {
        "matrix, scikit-learn": lambda: haversine(x, y),
        "matrix, otdist": lambda: KM.matrix(x, y),
    }
    truth = answers["otdist dense"]()
    assert truth.converged
    timed = [summary(paired(group, runs), next(iter(group))) for group in (answers, matrices)]
    rows = [{"n": n, "task": name} | row for part in timed for name, row in part.items()]
    for row in rows:
        if row["task"] in answers:
            row["error"] = abs(float(answers[row["task"]]()) / truth.value - 1)
    return rows


def main() -> None:
    rows = compared(1000, runs=5) + compared(3000, runs=3)
    for row in rows:
        print({key: float(f"{v:.3g}") if isinstance(v, float) else v for key, v in row.items()})
    print(save("great_circle_vs_peers", rows))


if __name__ == "__main__":
    main()
