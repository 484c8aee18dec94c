"""What do the certificate and the checks cost? ``w1`` against bare ``ot.emd2``.

Time and peak memory for n = m points, Gaussian samples shifted by 0.3, with POT's cost matrix by
scipy's cdist. POT's default cap of 100,000 pivots is raised, so that both finish.
"""

from itertools import product

import numpy as np
import ot
from scipy.spatial.distance import cdist

import otdist
from benchmarks.common.harness import peak_memory
from benchmarks.common.script import contest, run_script, shorten

SETUP = """
import numpy as np, ot, otdist
from scipy.spatial.distance import cdist
rng = np.random.default_rng(0)
x, y = rng.normal(size=({n}, {d})), rng.normal(0.3, 1, size=({n}, {d}))
a = np.full({n}, 1 / {n})
otdist.w1(x[:50], y[:50], method='dense')
ot.emd2(a[:50] * {n} / 50, a[:50] * {n} / 50, cdist(x[:50], y[:50]))
"""


def compare(n, d, x, y):
    a, result = np.full(n, 1 / n), otdist.w1(x, y, method="dense")
    assert result.converged
    contestants = {
        "ot.emd2": lambda: ot.emd2(a, a, cdist(x, y), numItermax=10**9),
        "otdist.w1": lambda: otdist.w1(x, y, method="dense"),
    }
    row = contest(contestants, max(5, 20000 // n))["otdist.w1"] | {"n": n, "d": d, "gap": result.gap}
    if n >= 1000:
        setup = SETUP.format(n=n, d=d)
        peer = peak_memory(setup, "ot.emd2(a, a, cdist(x, y), numItermax=10**9)")
        row["memory_ratio"] = peak_memory(setup, "otdist.w1(x, y, method='dense')") / peer
    return row


def measure(options):
    rng = np.random.default_rng(0)
    for n, d in product((100, 200, 500, 1000, 2000), (2, 16, 64)):
        if n <= options.largest:
            yield compare(n, d, rng.normal(size=(n, d)), rng.normal(0.3, 1, size=(n, d)))


if __name__ == "__main__":
    run_script("dense_vs_peers", __doc__, measure, shorten, largest=(2000, "points a side, at most"))
