"""Measure how fast W1 on the line is, against scipy and POT on the same points.

Run with ``python benchmarks/line_vs_peers.py``; writes results/line_vs_peers.json.
"""

from __future__ import annotations

import numpy as np
import ot
from harness import paired, save, summary
from scipy.stats import wasserstein_distance

import otdist


def main() -> None:
    rng = np.random.default_rng(0)
    n = 10**6
    x, y = rng.normal(size=n), rng.normal(0.3, 1, size=n)
    a, b = rng.random(n), rng.random(n)
    left, right = rng.normal(size=(10_000, 100)), rng.normal(0.3, 1, size=(10_000, 100))
    questions = {
        "uniform, n = 1e6": {
            "otdist.w1": lambda: otdist.w1(x, y),
            "scipy": lambda: wasserstein_distance(x, y),
            "ot.wasserstein_1d": lambda: ot.wasserstein_1d(x, y),
        },
        "weighted, n = 1e6": {
            "otdist.w1": lambda: otdist.w1(x, y, a, b),
            "scipy": lambda: wasserstein_distance(x, y, a, b),
            "ot.wasserstein_1d": lambda: ot.wasserstein_1d(x, y, a / a.sum(), b / b.sum()),
        },
        "10,000 pairs of 100": {
            "otdist.wasserstein_1d": lambda: otdist.wasserstein_1d(left, right),
            "scipy": lambda: [wasserstein_distance(u, v) for u, v in zip(left, right, strict=True)],
            "ot.wasserstein_1d": lambda: ot.wasserstein_1d(left.T, right.T),
        },
    }
    rows = {}
    for question, contestants in questions.items():
        values = [np.ravel(f() if not hasattr(f(), "value") else f().value)[0] for f in contestants.values()]
        assert np.ptp(values) < 1e-9, values  # all answer the same question
        rows[question] = summary(paired(contestants, runs=7), next(iter(contestants)))
        for name, row in rows[question].items():
            low, high = row["ratio_range"]
            ratio = f"{row['ratio']:7.1f}x [{low:.1f}, {high:.1f}]"
            print(f"{question:22s} {name:22s} {row['seconds'] * 1e3:9.1f} ms {ratio}")
    print(save("line_vs_peers", rows))


if __name__ == "__main__":
    main()
