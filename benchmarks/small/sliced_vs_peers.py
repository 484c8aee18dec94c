"""Measure sliced distances against POT: the same directions for the mean, what is found for the maximum."""

import numpy as np
import ot
import torch

import otdist
from benchmarks.common.script import contest, format_contest, get_number, run_script

PROJECTIONS, RUNS = 1_000, 3
CLOUDS = ((2_000, 8, 0.3), (2_000, 32, 0.3), (10_000, 32, 0.3), (2_000, 128, 0.3), (2_000, 32, 0.0))


def draw_clouds(rng, n, d, shift=0.3):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    y[:, 0] += shift
    return x, y


def compare_means(thetas, x, y, a=None, b=None, p=1):
    """Both answer with the same number."""
    pots = {"p": p, "projections": thetas.T}
    contestants = {
        "otdist": lambda: otdist.sliced_w1(x, y, a, b, p=p, directions=thetas),
        "POT": lambda: ot.sliced_wasserstein_distance(x, y, a, b, **pots),
    }
    return contest(contestants, RUNS)


def compare_gradients(thetas, x, y):
    """Value and gradient, each asked as its own users would."""

    def differentiate(distance):
        value = distance(torch.tensor(x, requires_grad=True), torch.tensor(y))
        value.backward()
        return value.detach()

    pots = {"p": 1, "projections": torch.tensor(thetas.T)}
    contestants = {
        "otdist": lambda: differentiate(lambda x, y: otdist.sliced_w1(x, y, directions=thetas).value),
        "POT": lambda: differentiate(lambda x, y: ot.sliced_wasserstein_distance(x, y, **pots)),
    }
    return contest(contestants, RUNS)


def compare_maxima(x, y):
    """Seconds and lower bounds of W1: an ascent, and the best of POT's random directions."""
    contestants = {
        "otdist": lambda: otdist.max_sliced_w1(x, y, rng=0),
        "POT": lambda: ot.max_sliced_wasserstein_distance(x, y, p=1, n_projections=PROJECTIONS, seed=0),
    }
    found = {name: get_number(call()) for name, call in contestants.items()}
    return contest(contestants, RUNS, same=False) | {"value": found}


def measure(options):
    n, rng = options.points, np.random.default_rng(0)
    x, y = draw_clouds(rng, n, 32)
    a, b = (mass / mass.sum() for mass in (rng.random(n), rng.random(n)))
    thetas = otdist.sliced_w1(x[:2], y[:2], n_projections=PROJECTIONS, rng=0).directions
    few, small = n * 4 // 5, n // 5
    yield f"n = m = {n:,}, d = 32, p = 1", compare_means(thetas, x, y)
    yield f"n = m = {n:,}, d = 32, p = 2", compare_means(thetas, x, y, p=2)
    yield f"n = {n:,}, m = {few:,}", compare_means(thetas, x, y[:few])
    yield "weighted, p = 1", compare_means(thetas, x, y, a, b)
    yield "weighted, p = 2", compare_means(thetas, x, y, a, b, p=2)
    yield f"gradient, n = m = {small:,}", compare_gradients(thetas, x[:small], y[:small])
    for points, d, shift in CLOUDS:
        k = points * n // 10_000
        cell = f"max-sliced, n = m = {k:,}, d = {d}, shift {shift:g}"
        yield cell, compare_maxima(*draw_clouds(rng, k, d, shift))


if __name__ == "__main__":
    run_script("sliced_vs_peers", __doc__, measure, format_contest, points=(10_000, "points a side, at most"))
