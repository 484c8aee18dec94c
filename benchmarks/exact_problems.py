"""What exact_vs_peers asks: problems by name, each made anew from a fixed seed, and what is aimed at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import exact_clouds as clouds
import exact_hard as hard
import numpy as np
from exact_clouds import Points

OURS = ("sparse", "dense", "auto")
PEERS = ("POT", "POT lazy", "ortools", "wasserstein")
ASSIGNMENT = ("scipy LSA", "lapx")  # only n = m, all weights equal
SHORT, LONG = 600.0, 1800.0  # seconds for one solve

SIZES = (500, 1000, 2000)
GROWTH = (2000, 5000, 10_000, 20_000, 50_000)
IMAGES = ("WhiteNoise", "GRFrough", "GRFsmooth", "CauchyDensity")
GROUNDS = ("euclidean", "cityblock", "chebyshev")


@dataclass(frozen=True)
class Problem:
    """A question to all methods.

    Attributes
    ----------
    name : str
        What it is called in the results.
    kind : str
        The table it belongs to: ``"target"``, ``"small"``, ``"large"``, ``"growth"`` or ``"hard"``.
    make : callable
        ``make(scale)`` gives the points; scale 1 is the question, less is a trial of the benchmark.
    methods : tuple of str
        Who is asked.
    goal : dict
        What issue 3 aims at: ``ratio`` (POT's time over ours), ``auto`` (the dense method's time over
        auto's), at most ``seconds``, ``memory`` (bytes) or ``gap``.
    limit : float
        Seconds after which a solve is ended.
    repeats : int
        Runs of what takes less than 20 s.
    """

    name: str
    kind: str
    make: Callable[[float], Points]
    methods: tuple[str, ...]
    goal: dict[str, float] = field(default_factory=dict)
    limit: float = SHORT
    repeats: int = 3


def gauss(n: int, d: int, weighted: bool, kind: str, methods: tuple[str, ...], **extra) -> Problem:
    name = f"gauss n={n} d={d} {'random' if weighted else 'uniform'}"
    return Problem(name, kind, partial(clouds.gauss, n, d, weighted), methods, **extra)


def targets() -> Iterator[Problem]:
    """Whatever is compared with POT's time."""
    for d in (16, 64):
        yield gauss(10_000, d, False, "target", ("sparse", *PEERS, *ASSIGNMENT), goal={"ratio": 20})
    for d in (2, 3):
        yield gauss(10_000, d, False, "target", ("sparse", *PEERS, *ASSIGNMENT), goal={"ratio": 10})
        yield gauss(10_000, d, True, "target", ("sparse", *PEERS), goal={"ratio": 10})
    for d in (2, 3, 8, 16, 64):
        yield gauss(5000, d, False, "target", ("sparse", "dense", *PEERS, *ASSIGNMENT), goal={"ratio": 6})
        yield gauss(5000, d, True, "target", ("sparse", "dense", *PEERS), goal={"ratio": 6})
    for recipe in IMAGES:
        for metric in GROUNDS:
            yield image(recipe, 64, metric, ("sparse", "dense", *PEERS), 8)
    for recipe in IMAGES:
        for metric in GROUNDS:
            # POT takes minutes and 9 GB for each: one recipe in all metrics, the others in one.
            rough, plain = recipe == "GRFrough", metric == "euclidean"
            slow = PEERS if rough and plain else ("POT",) if rough or plain else ()
            yield image(recipe, 128, metric, ("sparse", *slow), 20)


def image(recipe: str, side: int, metric: str, methods: tuple[str, ...], ratio: float) -> Problem:
    return Problem(
        f"image {recipe} {side}x{side} {metric}",
        "target",
        partial(clouds.images, recipe, side, metric),
        methods,
        {"ratio": ratio} if "POT" in methods else {},
        LONG if side > 64 else SHORT,
    )


def small() -> Iterator[Problem]:
    """Where the dense method is hard to beat."""
    for n in SIZES:
        for d in (2, 16, 64):
            for weighted in (False, True):
                yield gauss(n, d, weighted, "small", (*OURS, "POT"), goal={"auto": 1})


def large() -> Iterator[Problem]:
    """Beyond what peers can hold."""
    anytime = tuple(f"sparse tol={tol}" for tol in ("1e-2", "1e-3", "1e-4", "1e-6"))
    yield gauss(
        100_000,
        2,
        False,
        "large",
        ("sparse", "sparse max_seconds=86400", *anytime, "POT", "POT lazy"),
        goal={"seconds": 180, "memory": 2e9, "gap": 1e-9},
        limit=LONG,
    )
    for n in (20_000, 50_000):
        yield Problem(
            f"cells n={n} d=60",
            "large",
            partial(clouds.cells, n),
            ("sparse", "POT lazy") if n == 20_000 else ("sparse",),
            {"memory": 4e9, "gap": 1e-9},
            LONG,
        )
    yield gauss(10**6, 2, False, "large", ("sparse max_seconds=120",), goal={"gap": 0.05})


def growth() -> Iterator[Problem]:
    """Sizes for the exponent that no other table has."""
    taken = {problem.name for problem in (*targets(), *small())}
    for d in (2, 16):
        for n in GROWTH:
            problem = gauss(n, d, False, "growth", ("sparse",), limit=LONG)
            if problem.name not in taken:
                yield problem


def hard_ones() -> Iterator[Problem]:
    """Where other methods come to grief."""
    everybody = (*OURS, *PEERS, *ASSIGNMENT)
    for name, make in hard.LARGE.items():
        yield Problem(f"hard {name}", "hard", make, ("sparse", "dense", *PEERS))
    for name in hard.SMALL:
        for power in (1, 2):
            if not (power == 2 and name in hard.ONLY_W1):
                make = partial(hard.small, name, power)
                yield Problem(f"nasty {name} p={power}", "hard", make, everybody, repeats=1)


def problems() -> dict[str, Problem]:
    """All of them, the most telling first."""
    parts = (small(), targets(), large(), growth(), hard_ones())
    return {problem.name: problem for part in parts for problem in part}


def extent(points: Points) -> float:
    """Largest range of a coordinate: the unit for differences where the answer is tiny."""
    return float(np.ptp(np.concatenate([points.x, points.y]), axis=0).max())
