"""How often floors, p-values and the gate of ``otdist.compare`` are right; the first argument says which.

``floor_coverage``: how often a column that has not changed stays at or below its noise floor, the 95th
percentile of W1 between samples of one distribution: about 95 % should, whatever the number of labels and
however rare they are. ``gate_dependence``: false alarms of p-values at 5 % where rows depend on each other,
with and without ``groups`` and ``blocks``; nothing has changed. ``gate_breaks``: how often the gate, that of
``--fail``, fails on tables of 12 columns of several kinds with a planted break, and on tables without.
"""

import numpy as np
import pandas as pd
from scipy.signal import lfilter

import otdist
from benchmarks.common.script import run_one_of
from otdist.tables.gate import Gate

SIZES = [(300, 300), (2000, 2000), (2000, 200), (200, 2000)]
LABELS = [2, 5, 30, 300, 3000]
LEVEL, ROWS = 0.05, 400  # of p-values; of a table with a break
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


def labels(share, count):
    shares = share(count) / share(count).sum()
    return lambda rng, n: np.char.add("label ", rng.choice(count, n, p=shares).astype(str))


def compare_column(seed, x, y, **options):
    return otdist.compare({"c": x}, {"c": y}, joint=False, rng=seed, **options)["c"]


def measure_floors(options):
    """Share of pairs at or below the floor, mean distance and mean floor, by sizes and column."""
    columns = {f"{k} labels, {name}": labels(share, k) for k in LABELS for name, share in SHARES.items()}
    for n, m in SIZES:
        for name, draw in (columns | COLUMNS).items():
            found = []
            for seed in range(options.count):
                rng = np.random.default_rng(seed)
                column = compare_column(seed, draw(rng, n), draw(rng, m))
                found.append((column.w1 <= column.floor, column.w1, column.floor))
            means = zip(("covered", "w1", "floor"), np.mean(found, axis=0).tolist(), strict=True)
            yield {"n": n, "m": m, "column": name} | dict(means)


def compare_halves(seed, phi, n, block):
    """Two consecutive halves of one stationary AR(1) series, n rows each."""
    noise = np.random.default_rng(seed).normal(size=2 * n + 500)
    series = lfilter([1.0], [1.0, -phi], noise)[500:]
    return compare_column(seed, series[:n], series[n:], blocks=block)


def compare_customers(seed, grouped, count, rows):
    """Customers with some rows each on both sides: a level of each one's own, and noise as large."""
    rng, owner = np.random.default_rng(seed), np.repeat(np.arange(count), rows)
    x, y = (rng.normal(size=count)[owner] + rng.normal(size=count * rows) for _ in range(2))
    return compare_column(seed, x, y, groups=(owner, owner) if grouped else None)


def measure_dependence(options):
    def share(compare, *given):
        return sum(bool(compare(k, *given).pvalue <= LEVEL) for k in range(options.count)) / options.count

    for phi in (0.0, 0.5, 0.9):
        for block in (None, 50, 100):
            yield f"AR(1) phi={phi}, n=500, blocks={block}", share(compare_halves, phi, 500, block)
    for grouped in (False, True):
        yield f"50 customers x 10 rows, groups={grouped}", share(compare_customers, grouped, 50, 10)


def make_table(rng, rows=ROWS):
    """Orders, as a shop has them; amount and weight go together."""
    size = rng.normal(size=rows)
    days = pd.to_timedelta(rng.random(rows) * 30, unit="D")
    columns = {
        "amount": np.round(np.exp(3 + 0.8 * size + 0.3 * rng.normal(size=rows)), 2),
        "weight": np.exp(1 + 0.8 * size + 0.3 * rng.normal(size=rows)),
        "score": rng.normal(size=rows),
        "age": rng.integers(18, 90, rows),
        "items": rng.poisson(4, rows),
        "express": rng.random(rows) < 0.3,
        "channel": rng.choice(["web", "app", "shop"], rows, p=[0.5, 0.3, 0.2]),
        "country": rng.choice(["DE", "FR", "IT", "ES", "PL"], rows),
        "ordered": pd.Timestamp("2026-01-01") + days,
        "discount": np.where(rng.random(rows) < 0.1, np.nan, rng.random(rows)),
        "version": 3,
        "row": [f"{int(k):08x}" for k in rng.integers(0, 2**31, rows)],
    }
    return pd.DataFrame(columns)


BREAKS = {
    "mean moved by half a standard deviation": lambda t, rng: t.assign(score=t.score + 0.5),
    "spread 1.6 times as large": lambda t, rng: t.assign(score=t.score * 1.6),
    "another unit": lambda t, rng: t.assign(weight=t.weight * 1000),
    "30 % of values lost": lambda t, rng: t.assign(amount=t.amount.where(rng.random(len(t)) > 0.3)),
    "10 % set to -999": lambda t, rng: t.assign(age=t.age.where(rng.random(len(t)) > 0.1, -999)),
    "label lost": lambda t, rng: t.assign(country=t.country.replace("PL", "DE")),
    "12 % with a new label": lambda t, rng: t.assign(
        channel=t.channel.where(~(rng.random(len(t)) < 0.12), "partner")
    ),
    "column gone": lambda t, rng: t.drop(columns="items"),
    "column renamed": lambda t, rng: t.rename(columns={"items": "Items"}),
    "numbers read as text": lambda t, rng: t.assign(age=[str(k) if k != 40 else "unknown" for k in t.age]),
    "column frozen": lambda t, rng: t.assign(items=4),
    "dependence of two columns lost": lambda t, rng: t.assign(weight=rng.permutation(t.weight.to_numpy())),
}


def measure_breaks(options):
    """Breaks that were caught, of how many, and alarms without one."""

    def fails(seed, reference, current):
        return bool(Gate(p=LEVEL).violations(otdist.compare(reference, current, rng=seed)))

    caught, alarms = {name: [0, 0] for name in BREAKS}, 0
    for k in range(options.count):
        rng, name = np.random.default_rng(k), list(BREAKS)[k % len(BREAKS)]
        reference, current = make_table(rng), make_table(rng)
        alarms += fails(k, reference, current)
        caught[name][0] += fails(k, reference, BREAKS[name](make_table(rng), rng))
        caught[name][1] += 1
    yield from {"tables": options.count, "rows": ROWS, "caught": caught, "alarms": alarms}.items()


def format_breaks(item):
    if item[0] != "caught":
        return f"{item[0]:42s} {item[1]:4d}"
    total = [sum(counts) for counts in zip(*item[1].values(), strict=True)]
    counts = item[1] | {"breaks caught": total}
    return "\n".join(f"{name:42s} {found:4d} of {count}" for name, (found, count) in counts.items())


def format_floors(row):
    return "{n:5d} {m:5d} {column:34s} {covered:6.1%}  W1 {w1:.3g}  floor {floor:.3g}".format(**row)


STUDIES = {  # measure, a row on the screen, where rows are in the file, pairs for each row or tables
    "floor_coverage": (measure_floors, format_floors, "columns", 200),
    "gate_dependence": (measure_dependence, "{0[0]:44s} {0[1]:7.1%}".format, "alarms", 1000),
    "gate_breaks": (measure_breaks, format_breaks, None, 200),
}

if __name__ == "__main__":
    run_one_of(__doc__, STUDIES, "{}", count="pairs for each row, or tables with a break and without")
