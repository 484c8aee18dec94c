"""Measure how fast W1 on the line is, against scipy and POT on the same points."""

import numpy as np
import ot
from scipy.stats import wasserstein_distance

import otdist
from benchmarks.common.script import contest, format_contest, run_script


def measure(options):
    rng, n = np.random.default_rng(0), options.points
    x, y = rng.normal(size=n), rng.normal(0.3, 1, size=n)
    a, b = rng.random(n), rng.random(n)
    left, right = rng.normal(size=(n // 100, 100)), rng.normal(0.3, 1, size=(n // 100, 100))
    size = f"n = {n:.0e}".replace("+0", "")
    uniform = {
        "otdist.w1": lambda: otdist.w1(x, y),
        "scipy": lambda: wasserstein_distance(x, y),
        "ot.wasserstein_1d": lambda: ot.wasserstein_1d(x, y),
    }
    weighted = {
        "otdist.w1": lambda: otdist.w1(x, y, a, b),
        "scipy": lambda: wasserstein_distance(x, y, a, b),
        "ot.wasserstein_1d": lambda: ot.wasserstein_1d(x, y, a / a.sum(), b / b.sum()),
    }
    many = {
        "otdist.wasserstein_1d": lambda: otdist.wasserstein_1d(left, right),
        "scipy": lambda: [wasserstein_distance(u, v) for u, v in zip(left, right, strict=True)],
        "ot.wasserstein_1d": lambda: ot.wasserstein_1d(left.T, right.T),
    }
    yield f"uniform, {size}", contest(uniform, runs=7)
    yield f"weighted, {size}", contest(weighted, runs=7)
    yield f"{n // 100:,} pairs of 100", contest(many, runs=7)


if __name__ == "__main__":
    run_script("line_vs_peers", __doc__, measure, format_contest, points=(10**6, "points a side"))
