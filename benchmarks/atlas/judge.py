"""Is the recommended method the best one? On questions that the cost models have not seen.

``python -m benchmarks.atlas.judge`` takes each held-out question and gap, and holds the seconds of the method
that ``otdist.recommend`` names against the least of all measured ones that meet the gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import otdist
from benchmarks.atlas.fit import kind, loading, usable
from benchmarks.atlas.rows import Row, load

GAPS = (0.0, 0.001, 0.01, 0.1)
MANY = 1000  # calls in one process
WITHIN = 2.0


class Verdict(NamedTuple):
    """One question and gap: what was recommended, what was best, and by which factor they differ."""

    law: str
    n: int
    d: int
    gap: float
    calls: int
    recommended: str
    best: str
    factor: float


def verdicts(rows: list[Row]) -> Iterator[Verdict]:
    """All held-out questions and gaps, for one call in a new process and for many."""
    loads = loading(rows)
    questions: dict[tuple[str, int, int], dict[tuple[str, float], float]] = {}
    for row in usable(rows, "held out") + usable(rows, "held out later"):
        questions.setdefault((row["law"], row["n"], row["d"]), {})[kind(row)] = row["seconds"]
    for (law, n, d), seconds in questions.items():
        for gap in GAPS:
            for calls in (1, MANY):
                costs = {key: one + loads[key[0]] / calls for key, one in seconds.items()}
                costs = {key: cost for key, cost in costs.items() if _meets(key, gap)}
                best = min(costs, key=lambda key: costs[key])
                named = otdist.recommend(n, d, gap, calls=calls, max_bytes=10**12)
                mine = costs[_measured((named.method, named.options.get("tol", 0.0)), costs)]
                words = (named.method, f"{best[0]} tol={best[1]:g}")
                yield Verdict(law, n, d, gap, calls, *words, mine / costs[best])


def _meets(key: tuple[str, float], gap: float) -> bool:
    """Whether a method at its own gap is good enough."""
    return key[1] <= gap or key[0] == "dense"


def _measured(key: tuple[str, float], costs: dict[tuple[str, float], float]) -> tuple[str, float]:
    """Row of a method; "sparse" was not measured at 0.001, where it is as slow as if exact at most."""
    return key if key in costs else (key[0], 0.0)


def main() -> None:
    found = list(verdicts(load()))
    for calls in (1, MANY):
        factors = np.array([one.factor for one in found if one.calls == calls])
        told = f"90 % within {np.quantile(factors, 0.9):.2f}, worst {factors.max():.2f}"
        print(
            f"{calls:5d} calls: {np.mean(factors <= WITHIN):.1%} of {len(factors)} within {WITHIN:g}; {told}"
        )
        for law in sorted({one.law for one in found}):
            same = np.array([one.factor for one in found if one.calls == calls and one.law == law])
            print(f"            {law}: {np.mean(same <= WITHIN):.1%} of {len(same)}")
    for one in sorted(found, key=lambda one: -one.factor):
        if one.factor > WITHIN:
            print(*one[:5], one.recommended, "best:", one.best, f"{one.factor:.2f}")


if __name__ == "__main__":
    main()
