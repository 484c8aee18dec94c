"""W1 on the Earth: ``great_circle`` against POT's ``emd2`` on scikit-learn's ``haversine_distances``.

n = m points, two mixtures of 20 cities with a standard deviation of 2 degrees, equal weights; all in one
process, in turn. POT's default cap of 100,000 pivots is raised, so that it finishes. ``error`` is relative to
the dense answer, which is proved to 1e-9. The time of the matrix alone is there, too.
"""

import numpy as np
import ot
from sklearn.metrics.pairwise import haversine_distances

import otdist
from benchmarks.common.script import contest, run_script, shorten
from otdist.metrics import great_circle

RADIUS = 6371.0088
KM = great_circle()


def draw_cities(n, rng):
    """Points (latitude, longitude) around 20 places between 60 S and 70 N."""
    centres = np.column_stack([rng.uniform(-60, 70, 20), rng.uniform(-180, 180, 20)])
    points = centres[rng.integers(20, size=n)] + rng.normal(0, 2.0, size=(n, 2))
    return np.column_stack([np.clip(points[:, 0], -90, 90), points[:, 1]])


def compare(n, runs):
    rng = np.random.default_rng(0)
    x, y, a = draw_cities(n, rng), draw_cities(n, rng), np.full(n, 1 / n)
    matrices = {
        "matrix, scikit-learn": lambda: RADIUS * haversine_distances(np.radians(x), np.radians(y)),
        "matrix, otdist": lambda: KM.matrix(x, y),
    }
    answers = {
        "POT emd2, scikit-learn": lambda: ot.emd2(a, a, matrices["matrix, scikit-learn"](), numItermax=10**9),
        "otdist dense": lambda: otdist.w1(x, y, metric=KM, method="dense"),
        "otdist sparse": lambda: otdist.w1(x, y, metric=KM, method="sparse"),
    }
    truth = answers["otdist dense"]()
    assert truth.converged
    for group in (answers, matrices):
        for task, row in contest(group, runs, same=False).items():
            error = {"error": abs(float(answers[task]()) / truth.value - 1)} if task in answers else {}
            yield {"n": n, "task": task} | row | error


def measure(options):
    yield from compare(min(1000, options.largest), runs=5)
    yield from compare(options.largest, runs=3)


if __name__ == "__main__":
    run_script("great_circle_vs_peers", __doc__, measure, shorten, largest=(3000, "points a side, at most"))
