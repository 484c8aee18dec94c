"""What do the certificate and the checks cost? ``w1`` against bare ``ot.emd2``.

Time and peak memory for n = m points, Gaussian samples shifted by 0.3, with POT's cost matrix by
scipy's cdist. POT's default cap of 100,000 pivots is raised, so that both finish.
Run with ``python benchmarks/dense_vs_peers.py``; writes results/dense_vs_peers.json.
"""

from __future__ import annotations

import numpy as np
import ot
from harness import paired, peak_memory, save, summary
from scipy.spatial.distance import cdist

import otdist

SETUP = """
import numpy as np, ot, otdist
from scipy.spatial.distance import cdist
rng = np.random.default_rng(0)
x, y = rng.normal(size=({n}, {d})), rng.normal(0.3, 1, size=({n}, {d}))
a = np.full({n}, 1 / {n})
otdist.w1(x[:50], y[:50], method='dense')
ot.emd2(a[:50] * {n} / 50, a[:50] * {n} / 50, cdist(x[:50], y[:50]))
"""


def main() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in (100, 200, 500, 1000, 2000):
        for d in (2, 16, 64):
            x, y = rng.normal(size=(n, d)), rng.normal(0.3, 1, size=(n, d))
            a = np.full(n, 1 / n)

            def bare(x=x, y=y, a=a):
                return ot.emd2(a, a, cdist(x, y), numItermax=10**9)

            def proved(x=x, y=y):
                return otdist.w1(x, y, method="dense")

            result = proved()
            assert result.converged and abs(result.value - bare()) < 1e-9
            times = paired({"ot.emd2": bare, "otdist.w1": proved}, runs=max(5, 20000 // n))
            row = summary(times, "ot.emd2")["otdist.w1"] | {"n": n, "d": d, "gap": result.gap}
            if n >= 1000:
                setup = SETUP.format(n=n, d=d)
                peer = peak_memory(setup, "ot.emd2(a, a, cdist(x, y), numItermax=10**9)")
                row["memory_ratio"] = peak_memory(setup, "otdist.w1(x, y, method='dense')") / peer
            rows.append(row)
            print(
                {
                    key: value if isinstance(value, int | list) else float(f"{value:.3g}")
                    for key, value in row.items()
                }
            )
    print(save("dense_vs_peers", rows))


if __name__ == "__main__":
    main()
