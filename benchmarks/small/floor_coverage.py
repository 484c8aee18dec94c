"""Measure how often a column that has not changed stays at or below its noise floor.

The floor is the 95th percentile of W1 between samples of one distribution, so about 95 % of the pairs should
be at or below it, whatever the number of labels and however rare they are. The sizes of the samples differ
in some rows. Each row also holds the mean distance and the mean floor.
"""

import numpy as np

import otdist
from benchmarks.common.script import run_script

SIZES = [(300, 300), (2000, 2000), (2000, 200), (200, 2000)]
LABELS = [2, 5, 30, 300, 3000]
SHARES = {
    "equal": np.ones,
    "one over the rank": lambda count: 1 / np.arange(1.0, count + 1),
    "0.97 to the rank": lambda count: 0.97 ** np.arange(count),
}
COLUMNS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=1.5, size=n),
    "Poisson(4)": lambda rng, n: rng.poisson(4, n),
}
LINE = "{n:5d} {m:5d} {column:34s} {covered:6.1%}  W1 {w1:.3g}  floor {floor:.3g}"


def labels(share, count):
    shares = share(count) / share(count).sum()
    return lambda rng, n: np.char.add("label ", rng.choice(count, n, p=shares).astype(str))


def measure(options):
    """Share of pairs at or below the floor, mean distance and mean floor, by sizes and column."""
    columns = {f"{k} labels, {name}": labels(share, k) for k in LABELS for name, share in SHARES.items()}
    for n, m in SIZES:
        for name, draw in (columns | COLUMNS).items():
            found = []
            for pair in range(options.pairs):
                rng = np.random.default_rng(pair)
                report = otdist.compare({"c": draw(rng, n)}, {"c": draw(rng, m)}, joint=False, rng=pair)["c"]
                found.append((report.w1 <= report.floor, report.w1, report.floor))
            means = zip(("covered", "w1", "floor"), np.mean(found, axis=0).tolist(), strict=True)
            yield {"n": n, "m": m, "column": name} | dict(means)


if __name__ == "__main__":
    pairs = (200, "pairs for each row of the table")
    run_script(
        "floor_coverage", __doc__, measure, lambda row: LINE.format(**row), field="columns", pairs=pairs
    )
