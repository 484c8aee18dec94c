"""How often the gate of ``otdist compare`` fails on tables with a planted break, and on tables without.

Each table has 12 columns of several kinds; the gate is that of ``--fail``.
"""

import numpy as np
import pandas as pd

import otdist
from benchmarks.common.script import run_script
from otdist.tables.gate import Gate


def make_table(rng, rows):
    """Orders, as a shop has them; amount and weight go together."""
    size = rng.normal(size=rows)
    days = pd.to_timedelta(rng.random(rows) * 30, unit="D")
    return pd.DataFrame(
        {
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
    )


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


def measure(options):
    """Breaks that were caught, of how many, and alarms without one."""

    def fails(k, reference, current):
        return bool(Gate(p=0.05).violations(otdist.compare(reference, current, rng=k)))

    caught, alarms = {name: [0, 0] for name in BREAKS}, 0
    for k in range(options.tables):
        rng, name = np.random.default_rng(k), list(BREAKS)[k % len(BREAKS)]
        reference, current = make_table(rng, options.rows), make_table(rng, options.rows)
        alarms += fails(k, reference, current)
        caught[name][0] += fails(k, reference, BREAKS[name](make_table(rng, options.rows), rng))
        caught[name][1] += 1
    yield from {"tables": options.tables, "rows": options.rows, "caught": caught, "alarms": alarms}.items()


def line_of(item):
    if item[0] != "caught":
        return f"{item[0]:42s} {item[1]:4d}"
    total = [sum(counts) for counts in zip(*item[1].values(), strict=True)]
    counts = item[1] | {"breaks caught": total}
    return "\n".join(f"{name:42s} {found:4d} of {count}" for name, (found, count) in counts.items())


if __name__ == "__main__":
    tables, rows = (200, "tables with a break, and without"), (400, "rows of a table")
    run_script("gate_breaks", __doc__, measure, line_of, tables=tables, rows=rows)
