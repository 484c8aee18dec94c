"""How often the gate of ``otdist compare`` fails on tables with a planted break, and on tables without.

Run with ``python benchmarks/gate_breaks.py``; ``--tables 20`` for a quick look. Each table has 12 columns of
several kinds; the gate is that of ``--fail``. Writes results/gate_breaks.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd
from harness import save

import otdist
from otdist.tables.gate import Gate

ROWS = 400
Break = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def table(rng: np.random.Generator, rows: int = ROWS) -> pd.DataFrame:
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


def _shift(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(score=frame["score"] + 0.5)


def _spread(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(score=frame["score"] * 1.6)


def _unit(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(weight=frame["weight"] * 1000)


def _lost_values(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(amount=frame["amount"].where(rng.random(len(frame)) > 0.3))


def _sentinel(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(age=frame["age"].where(rng.random(len(frame)) > 0.1, -999))


def _lost_label(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(country=frame["country"].replace("PL", "DE"))


def _new_label(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    changed = rng.random(len(frame)) < 0.12
    return frame.assign(channel=frame["channel"].where(~changed, "partner"))


def _gone(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.drop(columns="items")


def _renamed(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.rename(columns={"items": "Items"})


def _retyped(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(age=[str(k) if k != 40 else "unknown" for k in frame["age"]])


def _frozen(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(items=4)


def _shuffled(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.assign(weight=rng.permutation(frame["weight"].to_numpy()))


BREAKS: dict[str, Break] = {
    "mean moved by half a standard deviation": _shift,
    "spread 1.6 times as large": _spread,
    "another unit": _unit,
    "30 % of values lost": _lost_values,
    "10 % set to -999": _sentinel,
    "label lost": _lost_label,
    "12 % with a new label": _new_label,
    "column gone": _gone,
    "column renamed": _renamed,
    "numbers read as text": _retyped,
    "column frozen": _frozen,
    "dependence of two columns lost": _shuffled,
}


def main() -> None:
    """Simulate, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=200, help="tables with a break, and without")
    options = parser.parse_args()
    gate = Gate(p=0.05)
    caught: dict[str, list[bool]] = {name: [] for name in BREAKS}
    alarms = []
    for k in range(options.tables):
        rng = np.random.default_rng(k)
        reference, current = table(rng), table(rng)
        alarms.append(bool(gate.violations(otdist.compare(reference, current, rng=k))))
        name = list(BREAKS)[k % len(BREAKS)]
        broken = BREAKS[name](table(rng), rng)
        caught[name].append(bool(gate.violations(otdist.compare(reference, broken, rng=k))))
    for name, found in caught.items():
        print(f"{name:42s} {sum(found):4d} of {len(found)}")
    total = sum(map(sum, caught.values()))
    print(f"{'breaks caught':42s} {total:4d} of {options.tables}")
    print(f"{'alarms without a break':42s} {sum(alarms):4d} of {options.tables}")
    rows = {
        "tables": options.tables,
        "rows": ROWS,
        "caught": {name: [sum(found), len(found)] for name, found in caught.items()},
        "alarms": sum(alarms),
    }
    print(save("gate_breaks", rows))


if __name__ == "__main__":
    main()
