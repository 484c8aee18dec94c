"""What the critic is measured on: tracks of rows, each a problem, a method and its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from otdist.bench import problems
from otdist.bench.problems import Pair

DIMENSIONS, COUNTS = (2, 4, 8, 16, 32, 64, 128), (4, 16, 64, 256)
AGAIN = ((2, 64), (8, 256), (32, 64), (64, 256), (128, 16), (128, 256))  # on further seeds
FINITE = ((2, 64), (8, 64), (32, 16), (128, 4))
CURVE = ((32, 64), (128, 256))
PLAIN = "orthogonal,folds,pieces"  # families whose units are no distances
PEERS = ("wgan-gp", "wgan-lp", "clipping", "torchlip")

Row = dict[str, Any]

PAIRS: dict[str, Callable[[int, int], Pair]] = {
    "w1bench": problems.w1bench,
    "funnels": lambda d, n: problems.funnels(d, n, rng=0),
    "min_max": lambda d, n: problems.min_max(d, n, rng=0),
    "shift": lambda d, n: problems.shift(np.full(d, 2 / d**0.5)),
    "radial": lambda d, n: problems.radial(d),
    "cylinder": lambda d, n: problems.cylinder(d, n, rotation=0),
    "ridge": lambda d, n: problems.ridge(np.ones(d), teeth=n),
    "two scales": lambda d, n: problems.laws_1d(stats.norm(0, 1), stats.norm(0, 3)),
    "normal, Laplace": lambda d, n: problems.laws_1d(stats.norm(0, 1), stats.laplace(0.5, 1)),
}


def pair_of(row: Row) -> Pair:
    """Pair of laws with known W1; n counts funnels, teeth or the columns that are radial."""
    return PAIRS[row["problem"]](row["d"], row["n"])


def key(row: Row) -> tuple[Any, ...]:
    """What makes a row another one."""
    return tuple(row[name] for name in ("track", "problem", "d", "n", "method", "samples", "seconds", "seed"))


def named(row: Row) -> str:
    size = f"d={row['d']} n={row['n']}" + (f" samples={row['samples']}" if row["samples"] else "")
    return f"{row['track']} {row['problem']} {size} {row['method']} {row['seconds']:g}s seed={row['seed']}"


def rows(seconds: float | None = None) -> list[Row]:
    """All rows, in the order in which they are measured; A and B for so many seconds, or as usual."""
    return [
        *published("B", "auto", seconds or 60.0),
        *published("A", PLAIN, seconds or 120.0),
        *given_samples(),
        *other_truths(),
        *finite(),
        *curve(),
        *harness(),
        *speed(),
    ]


def published(track: str, method: str, seconds: float) -> list[Row]:
    """Rows of the 28 published pairs, then some of them on other seeds."""
    cells = [(d, n, 0) for d in DIMENSIONS for n in COUNTS]
    cells += [(d, n, seed) for seed in (1, 2) for d, n in AGAIN] if track == "B" else []
    return [row(track, ("w1bench", d, n), method, seconds, seed=seed) for d, n, seed in cells]


def other_truths() -> list[Row]:
    """Track D: potentials that are no minimum of cones."""
    sizes = {"shift": (0, 0, 0), "radial": (0, 0, 0), "cylinder": (1, 4, 32), "ridge": (6, 6, 6)}
    sizes["min_max"] = (16, 16, 16)
    cells = [(name, d, n) for name, ns in sizes.items() for d, n in zip((2, 16, 128), ns, strict=True)]
    longer = [row("D", ("min_max", d, 16), "auto", 150.0) for d in (16, 128)]  # 30 s are not enough there
    return [row("D", cell, "auto", 30.0) for cell in cells] + longer


def finite() -> list[Row]:
    """Track C: samples of finite size, ours and others for the same time."""
    methods, sizes = ("auto", *PEERS), (1000, 10_000, 100_000)
    cells = [(pair, samples) for samples in sizes for pair in FINITE]
    return [
        row("C", ("w1bench", *pair), method, 30.0, samples=samples)
        for pair, samples in cells
        for method in methods
    ]


def given_samples() -> list[Row]:
    """Track E: the interval for given samples, against the exact distance."""
    cells = [("two scales", 1, 0), ("normal, Laplace", 1, 0), ("funnels", 2, 16), ("shift", 2, 0)]
    return [row("E", cell, "w1", 20.0, samples=10_000) for cell in cells]


def curve() -> list[Row]:
    """Track S: what more seconds are worth; 60 s are in track B."""
    return [row("S", ("w1bench", *pair), "auto", seconds) for pair in CURVE for seconds in (5.0, 15.0, 120.0)]


def harness() -> list[Row]:
    """Track H: published methods at their settings, to hold this program against their figures."""
    cells = [(8, 4), (32, 4), (2, 4)]
    return [row("H", ("w1bench", *pair), method, 150.0) for pair in cells for method in PEERS[:2]]


def speed() -> list[Row]:
    """Track P: steps per second on a batch of 512."""
    return [row("P", ("step", 32, n), method, 5.0) for method, n in (("orthogonal", 256), ("anchors", 512))]


def row(
    track: str,
    cell: tuple[str, int, int],
    method: str,
    seconds: float,
    *,
    seed: int = 0,
    samples: int | None = None,
) -> Row:
    problem, d, n = cell
    place = {"track": track, "problem": problem, "d": d, "n": n}
    return place | {"method": method, "samples": samples, "seconds": seconds, "seed": seed}
