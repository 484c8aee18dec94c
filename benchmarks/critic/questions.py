"""Questions to the critic: tracks of rows, each a pair of laws with known W1, a method and its settings."""

from itertools import product

import numpy as np
from scipy import stats

from otdist.bench import problems

DIMENSIONS, COUNTS = (2, 4, 8, 16, 32, 64, 128), (4, 16, 64, 256)
AGAIN = ((2, 64), (8, 256), (32, 64), (64, 256), (128, 16), (128, 256))  # on further seeds
FINITE = ((2, 64), (8, 64), (32, 16), (128, 4))
CURVE = ((32, 64), (128, 256))
GIVEN = (("two scales", 1, 0), ("normal, Laplace", 1, 0), ("funnels", 2, 16), ("shift", 2, 0))
OTHERS = {"shift": (0, 0, 0), "radial": (0, 0, 0), "cylinder": (1, 4, 32), "ridge": (6, 6, 6)}
OTHERS["min_max"] = (16, 16, 16)  # in 2, 16 and 128 columns
PLAIN = "orthogonal,folds,pieces"  # families whose units are no distances
PEERS = ("wgan-gp", "wgan-lp", "clipping", "torchlip")
KEY = ("track", "problem", "d", "n", "method", "samples", "seconds", "seed")

PAIRS = {  # n counts funnels, teeth or the columns that are radial
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


def make_rows(seconds=None):
    """All rows, in the order in which they are measured; A and B for so many seconds, or as usual."""
    grid, shipped, plain = list(product(DIMENSIONS, COUNTS)), seconds or 60.0, seconds or 120.0
    others = [(name, d, n) for name, ns in OTHERS.items() for d, n in zip((2, 16, 128), ns, strict=True)]
    methods, sizes = ("auto", *PEERS), (1000, 10_000, 100_000)
    return [
        *(_row("B", *cell, "auto", shipped) for cell in grid),
        *(_row("B", *cell, "auto", shipped, seed=seed) for seed in (1, 2) for cell in AGAIN),
        *(_row("A", *cell, PLAIN, plain) for cell in grid),
        *(_row("E", d, n, "w1", 20.0, problem=name, samples=10_000) for name, d, n in GIVEN),
        *(_row("D", d, n, "auto", 30.0, problem=name) for name, d, n in others),
        *(_row("D", d, 16, "auto", 150.0, problem="min_max") for d in (16, 128)),  # 30 s are not enough there
        *(_row("C", *cell, who, 30.0, samples=k) for k in sizes for cell in FINITE for who in methods),
        *(_row("S", *cell, "auto", given) for cell in CURVE for given in (5.0, 15.0, 120.0)),  # 60: B
        *(_row("H", d, 4, method, 150.0) for d in (8, 32, 2) for method in PEERS[:2]),
        *(_row("P", 32, n, who, 5.0, problem="step") for who, n in (("orthogonal", 256), ("anchors", 512))),
    ]


def _row(track, d, n, method, seconds, **more):
    place = {"track": track, "problem": "w1bench", "d": d, "n": n, "method": method, "samples": None}
    return place | {"seconds": seconds, "seed": 0} | more


def key_of(row):
    """What makes a row another one."""
    return tuple(row[name] for name in KEY)


def name_of(row):
    size = f"d={row['d']} n={row['n']}" + (f" samples={row['samples']}" if row["samples"] else "")
    return f"{row['track']} {row['problem']} {size} {row['method']} {row['seconds']:g}s seed={row['seed']}"
