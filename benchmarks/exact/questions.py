"""Questions of the exact comparison, each made anew from a fixed seed, with methods and what is aimed at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

from benchmarks.common.comparison import Comparison
from benchmarks.exact import clouds, hard

SPARSE, DENSE, AUTO, POT = "otdist sparse", "otdist dense", "otdist auto", "POT emd2"
PEERS = (POT, "POT lazy", "ortools", "wasserstein")
ASSIGNMENT = ("scipy assignment", "lapx")  # only n = m, all weights equal
SHORT, LONG = 600.0, 1800.0  # seconds for one solve

SIZES = (500, 1000, 2000)
GROWTH = (2000, 5000, 10_000, 20_000, 50_000)
IMAGES = ("WhiteNoise", "GRFrough", "GRFsmooth", "CauchyDensity")
GROUNDS = ("euclidean", "cityblock", "chebyshev")


def ask(
    name: str, kind: str, make: Callable[[float], clouds.Points], methods: tuple[str, ...], **more: object
) -> Comparison:
    """Put a question to methods that are independent of each other."""
    return Comparison(name, kind, make, tuple((method,) for method in methods), **more)  # type: ignore[arg-type]


def gauss(n: int, d: int, weighted: bool, kind: str, methods: tuple[str, ...], **more: object) -> Comparison:
    name = f"gauss n={n} d={d} {'random' if weighted else 'uniform'}"
    return ask(name, kind, partial(clouds.gauss, n, d, weighted), methods, **more)


def targets() -> Iterator[Comparison]:
    """Whatever is compared with POT's time."""
    for d in (16, 64):
        yield gauss(10_000, d, False, "target", (SPARSE, *PEERS, *ASSIGNMENT), goal={"ratio": 20})
    for d in (2, 3):
        yield gauss(10_000, d, False, "target", (SPARSE, *PEERS, *ASSIGNMENT), goal={"ratio": 10})
        yield gauss(10_000, d, True, "target", (SPARSE, *PEERS), goal={"ratio": 10})
    for d in (2, 3, 8, 16, 64):
        yield gauss(5000, d, False, "target", (SPARSE, DENSE, *PEERS, *ASSIGNMENT), goal={"ratio": 6})
        yield gauss(5000, d, True, "target", (SPARSE, DENSE, *PEERS), goal={"ratio": 6})
    for recipe, metric in product(IMAGES, GROUNDS):
        yield image(recipe, 64, metric, (SPARSE, DENSE, *PEERS), 8)
    for recipe, metric in product(IMAGES, GROUNDS):
        # POT takes minutes and 9 GB for each: one recipe in all metrics, the others in one.
        rough, plain = recipe == "GRFrough", metric == "euclidean"
        slow = PEERS if rough and plain else (POT,) if rough or plain else ()
        yield image(recipe, 128, metric, (SPARSE, *slow), 20)


def image(recipe: str, side: int, metric: str, methods: tuple[str, ...], ratio: float) -> Comparison:
    return ask(
        f"image {recipe} {side}x{side} {metric}",
        "target",
        partial(clouds.images, recipe, side, metric),
        methods,
        goal={"ratio": ratio} if POT in methods else {},
        limit=LONG if side > 64 else SHORT,
    )


def small() -> Iterator[Comparison]:
    """Where the dense method is hard to beat."""
    for n, d, weighted in product(SIZES, (2, 16, 64), (False, True)):
        yield gauss(n, d, weighted, "small", (AUTO, SPARSE, DENSE, POT), goal={"auto": 1})


def large() -> Iterator[Comparison]:
    """Beyond what peers can hold."""
    anytime = tuple(f"{SPARSE} tol={tol}" for tol in ("1e-2", "1e-3", "1e-4", "1e-6"))
    methods = (SPARSE, f"{SPARSE} max_seconds=86400", *anytime, POT, "POT lazy")
    goal = {"seconds": 180, "memory": 2e9, "gap": 1e-9}
    yield gauss(100_000, 2, False, "large", methods, goal=goal, limit=LONG)
    for n, methods in ((20_000, (SPARSE, "POT lazy")), (50_000, (SPARSE,))):
        make, goal = partial(clouds.cells, n), {"memory": 4e9, "gap": 1e-9}
        yield ask(f"cells n={n} d=60", "large", make, methods, goal=goal, limit=LONG)
    yield gauss(10**6, 2, False, "large", (f"{SPARSE} max_seconds=120",), goal={"gap": 0.05})


def growth() -> Iterator[Comparison]:
    """Sizes for the exponent that no other table has."""
    taken = {problem.name for problem in (*targets(), *small())}
    found = (gauss(n, d, False, "growth", (SPARSE,), limit=LONG) for d, n in product((2, 16), GROWTH))
    yield from (problem for problem in found if problem.name not in taken)


def hard_ones() -> Iterator[Comparison]:
    """Where other methods come to grief."""
    everybody = (SPARSE, DENSE, AUTO, *PEERS, *ASSIGNMENT)
    for name in hard.LARGE:
        yield ask(f"hard {name}", "hard", partial(hard.make_large, name), (SPARSE, DENSE, *PEERS))
    for name, power in product(hard.SMALL, (1, 2)):
        if power == 1 or name not in hard.ONLY_W1:
            make = partial(hard.small, name, power)
            yield ask(f"nasty {name} p={power}", "hard", make, everybody, repeats=1)


def comparisons() -> list[Comparison]:
    """All of them, the most telling first."""
    parts = (small(), targets(), large(), growth(), hard_ones())
    return list({one.name: one for part in parts for one in part}.values())
