"""What the critic is measured on: tracks of rows, each a problem, a method and its settings."""

from __future__ import annotations

from typing import Any

from otdist.bench import problems
from otdist.bench.problems import Pair

DIMENSIONS, COUNTS = (2, 4, 8, 16, 32, 64, 128), (4, 16, 64, 256)
AGAIN = ((2, 64), (8, 256), (32, 64), (64, 256), (128, 16), (128, 256))  # on further seeds
PLAIN = "orthogonal,pieces"  # families whose units are no distances

Row = dict[str, Any]


def pair_of(name: str, d: int, n: int) -> Pair:
    """Pair of laws with known W1."""
    return {"w1bench": problems.w1bench}[name](d, n)


def key(row: Row) -> tuple[Any, ...]:
    """What makes a row another one."""
    return tuple(row[name] for name in ("track", "problem", "d", "n", "method", "samples", "seconds", "seed"))


def rows(seconds: float) -> list[Row]:
    """All rows, in the order in which they are measured."""
    return [*published("B", "auto", seconds), *published("A", PLAIN, seconds)]


def published(track: str, method: str, seconds: float) -> list[Row]:
    """Rows of the 28 published pairs, then some of them on other seeds."""
    cells = [(d, n, 0) for d in DIMENSIONS for n in COUNTS]
    cells += [(d, n, seed) for seed in (1, 2) for d, n in AGAIN] if track == "B" else []
    return [row(track, "w1bench", d, n, method, seconds, seed) for d, n, seed in cells]


def row(
    track: str,
    problem: str,
    d: int,
    n: int,
    method: str,
    seconds: float,
    seed: int = 0,
    samples: int | None = None,
) -> Row:
    return {
        "track": track,
        "problem": problem,
        "d": d,
        "n": n,
        "method": method,
        "samples": samples,
        "seconds": seconds,
        "seed": seed,
    }
