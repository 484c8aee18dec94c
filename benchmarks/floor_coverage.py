"""Measure how often a column that has not changed stays at or below its noise floor.

The floor is the 95th percentile of W1 between samples of one distribution, so about 95 % of the pairs should
be at or below it, whatever the number of labels and however rare they are. The sizes of the samples differ
in some rows. Each row also holds the mean distance and the mean floor.

Run with ``python benchmarks/floor_coverage.py``; ``--pairs 20`` for a quick look. Writes
results/floor_coverage.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from harness import save

import otdist

SIZES = [(300, 300), (2000, 2000), (2000, 200), (200, 2000)]
LABELS = [2, 5, 30, 300, 3000]
SHARES: dict[str, Callable[[int], np.ndarray]] = {
    "equal": np.ones,
    "one over the rank": lambda count: 1 / np.arange(1.0, count + 1),
    "0.97 to the rank": lambda count: 0.97 ** np.arange(count),
}
COLUMNS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=1.5, size=n),
    "Poisson(4)": lambda rng, n: rng.poisson(4, n),
}


def coverage(
    draw: Callable[[np.random.Generator, int], np.ndarray], n: int, m: int, pairs: int
) -> dict[str, float]:
    """Share of pairs at or below the floor, mean distance and mean floor."""
    reports = []
    for pair in range(pairs):
        rng = np.random.default_rng(pair)
        reports.append(otdist.compare({"c": draw(rng, n)}, {"c": draw(rng, m)}, joint=False, rng=pair)["c"])
    return {
        "covered": float(np.mean([column.w1 <= column.floor for column in reports])),
        "w1": float(np.mean([column.w1 for column in reports])),
        "floor": float(np.mean([column.floor for column in reports])),
    }


def labels(
    share: Callable[[int], np.ndarray], count: int
) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Draw n labels of ``count`` with the shares given."""
    shares = share(count) / share(count).sum()
    return lambda rng, n: np.char.add("label ", rng.choice(count, n, p=shares).astype(str))


def main() -> None:
    """Simulate, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="pairs for each row of the table")
    pairs = parser.parse_args().pairs
    rows = []
    for n, m in SIZES:
        columns = {
            f"{count} labels, {name}": labels(share, count)
            for count in LABELS
            for name, share in SHARES.items()
        }
        for name, draw in (columns | COLUMNS).items():
            rows.append({"n": n, "m": m, "column": name} | coverage(draw, n, m, pairs))
            print(
                "{n:5d} {m:5d} {column:34s} {covered:6.1%}  W1 {w1:.3g}  floor {floor:.3g}".format(**rows[-1])
            )
    print(save("floor_coverage", {"pairs": pairs, "columns": rows}))


if __name__ == "__main__":
    main()
