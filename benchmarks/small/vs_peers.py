"""How fast distances are beside those of others, in turn; the first argument says which ones.

``line``: W1 on the line against scipy and POT. ``sliced``: against POT, the mean by the same directions, for
the maximum what is found. ``dense``: what certificate and checks cost, ``w1`` against bare ``ot.emd2`` with
its matrix by scipy's cdist, seconds and peak memory. ``great_circle``: W1 on the Earth, between points around
20 cities, against ``emd2`` on scikit-learn's ``haversine_distances``; the time of the matrix alone; ``error``
is relative to the dense answer, which is proved to 1e-9. POT's default cap of 100,000 pivots is raised.
"""

from functools import partial
from itertools import product

import numpy as np
import ot
import torch
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from sklearn.metrics.pairwise import haversine_distances

import otdist
from benchmarks.common.harness import peak_memory
from benchmarks.common.script import contest, format_contest, get_number, run_one_of, shorten
from otdist.metrics import great_circle

PIVOTS = 10**9
PROJECTIONS, RUNS = 1_000, 3
CLOUDS = ((2_000, 8, 0.3), (2_000, 32, 0.3), (10_000, 32, 0.3), (2_000, 128, 0.3), (2_000, 32, 0.0))
RADIUS, KM = 6371.0088, great_circle()
DENSE = f"ot.emd2(a, a, cdist(x, y), numItermax={PIVOTS})", "otdist.w1(x, y, method='dense')"
SETUP = """
import numpy as np, ot, otdist
from scipy.spatial.distance import cdist
rng = np.random.default_rng(0)
x, y = rng.normal(size=({n}, {d})), rng.normal(0.3, 1, size=({n}, {d}))
a = np.full({n}, 1 / {n})
otdist.w1(x[:50], y[:50], method='dense')
ot.emd2(a[:50] * {n} / 50, a[:50] * {n} / 50, cdist(x[:50], y[:50]))
"""


def compare_on_line(x, y, *masses):
    contestants = {
        "otdist.w1": lambda: otdist.w1(x, y, *masses),
        "scipy": lambda: wasserstein_distance(x, y, *masses),
        "ot.wasserstein_1d": lambda: ot.wasserstein_1d(x, y, *(mass / mass.sum() for mass in masses)),
    }
    return contest(contestants, runs=7)


def measure_line(options):
    rng, n = np.random.default_rng(0), options.largest
    x, y = rng.normal(size=n), rng.normal(0.3, 1, size=n)
    masses = rng.random(n), rng.random(n)
    left, right = rng.normal(size=(n // 100, 100)), rng.normal(0.3, 1, size=(n // 100, 100))
    size = f"n = {n:.0e}".replace("+0", "")
    many = {
        "otdist.wasserstein_1d": lambda: otdist.wasserstein_1d(left, right),
        "scipy": lambda: [wasserstein_distance(u, v) for u, v in zip(left, right, strict=True)],
        "ot.wasserstein_1d": lambda: ot.wasserstein_1d(left.T, right.T),
    }
    yield f"uniform, {size}", compare_on_line(x, y)
    yield f"weighted, {size}", compare_on_line(x, y, *masses)
    yield f"{n // 100:,} pairs of 100", contest(many, runs=7)


def draw_clouds(rng, n, d, shift=0.3):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    y[:, 0] += shift
    return x, y


def contest_sliced(ours, theirs, same=True):
    return contest({"otdist": ours, "POT": theirs}, RUNS, same)


def compare_means(thetas, x, y, a=None, b=None, p=1):
    """Both answer with the same number."""
    return contest_sliced(
        lambda: otdist.sliced_w1(x, y, a, b, p=p, directions=thetas),
        lambda: ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=thetas.T),
    )


def compare_gradients(thetas, x, y):
    """Value and gradient, each asked as its own users would."""

    def differentiate(distance):
        value = distance(torch.tensor(x, requires_grad=True), torch.tensor(y))
        value.backward()
        return value.detach()

    pots = {"p": 1, "projections": torch.tensor(thetas.T)}
    return contest_sliced(
        lambda: differentiate(lambda x, y: otdist.sliced_w1(x, y, directions=thetas).value),
        lambda: differentiate(lambda x, y: ot.sliced_wasserstein_distance(x, y, **pots)),
    )


def compare_maxima(x, y):
    """Seconds and lower bounds of W1: an ascent, and the best of POT's random directions."""
    contestants = (
        partial(otdist.max_sliced_w1, x, y, rng=0),
        partial(ot.max_sliced_wasserstein_distance, x, y, p=1, n_projections=PROJECTIONS, seed=0),
    )
    value = dict(zip(("otdist", "POT"), (get_number(call()) for call in contestants), strict=True))
    return contest_sliced(*contestants, same=False) | {"value": value}


def measure_sliced(options):
    n, rng = options.largest, np.random.default_rng(0)
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


def measure_dense(options):
    rng = np.random.default_rng(0)
    for n, d in product((100, 200, 500, 1000, 2000), (2, 16, 64)):
        if n <= options.largest:
            yield compare_dense(rng.normal(size=(n, d)), rng.normal(0.3, 1, size=(n, d)))


def compare_dense(x, y):
    n, a, result = len(x), np.full(len(x), 1 / len(x)), otdist.w1(x, y, method="dense")
    assert result.converged
    contestants = {
        "ot.emd2": lambda: ot.emd2(a, a, cdist(x, y), numItermax=PIVOTS),
        "otdist.w1": lambda: otdist.w1(x, y, method="dense"),
    }
    row = contest(contestants, max(5, 20000 // n))["otdist.w1"] | {"n": n, "d": x.shape[1], "gap": result.gap}
    if n >= 1000:
        peer, ours = (peak_memory(SETUP.format(n=n, d=x.shape[1]), call) for call in DENSE)
        row["memory_ratio"] = ours / peer
    return row


def draw_cities(n, rng):
    """Points (latitude, longitude) around 20 places between 60 S and 70 N."""
    centres = np.column_stack([rng.uniform(-60, 70, 20), rng.uniform(-180, 180, 20)])
    points = centres[rng.integers(20, size=n)] + rng.normal(0, 2.0, size=(n, 2))
    return np.column_stack([np.clip(points[:, 0], -90, 90), points[:, 1]])


def measure_great_circle(options):
    for n, runs in ((min(1000, options.largest), 5), (options.largest, 3)):
        rng = np.random.default_rng(0)
        x, y, a = draw_cities(n, rng), draw_cities(n, rng), np.full(n, 1 / n)
        yield from compare_on_earth(x, y, a, runs)


def compare_on_earth(x, y, a, runs):
    matrices = {
        "matrix, scikit-learn": lambda: RADIUS * haversine_distances(np.radians(x), np.radians(y)),
        "matrix, otdist": lambda: KM.matrix(x, y),
    }
    answers = {
        "POT emd2, scikit-learn": lambda: ot.emd2(
            a, a, matrices["matrix, scikit-learn"](), numItermax=PIVOTS
        ),
        "otdist dense": lambda: otdist.w1(x, y, metric=KM, method="dense"),
        "otdist sparse": lambda: otdist.w1(x, y, metric=KM, method="sparse"),
    }
    truth = answers["otdist dense"]()
    assert truth.converged
    for group in (answers, matrices):
        for task, row in contest(group, runs, same=False).items():
            error = {"error": abs(float(answers[task]()) / truth.value - 1)} if task in answers else {}
            yield {"n": len(x), "task": task} | row | error


STUDIES = {  # measure, a row on the screen, points a side
    "line": (measure_line, format_contest, None, 10**6),
    "sliced": (measure_sliced, format_contest, None, 10_000),
    "dense": (measure_dense, shorten, None, 2000),
    "great_circle": (measure_great_circle, shorten, None, 3000),
}

if __name__ == "__main__":
    run_one_of(__doc__, STUDIES, "{}_vs_peers", largest="points a side, at most")
