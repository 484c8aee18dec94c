"""Questions of the entropic comparison: samples, ladders of settings for every method, and what is aimed at.

A method is a name and options, such as ``GeomLoss blur=0.01 scaling=0.5``. Regularisation and blur are
relative to the mean cost between the two samples, the same for all. A ladder goes from the loosest
setting to the tightest, and ends where one of them runs out of time or memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.common.comparison import Comparison, Ladder
from benchmarks.exact import clouds

OURS, EXACT = "otdist sinkhorn", "otdist sparse"
PEERS = ("GeomLoss", "GeomLoss debiased", "POT sinkhorn_log", "OTT-JAX", "mdot-tnt")
SIZES, DIMENSIONS = (1000, 4000, 16_000), (2, 16, 64)
EPS = (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4)
TOL = (0.1, 0.03, 0.01, 3e-3, 1e-3)
FLAT = 8  # columns up to which KeOps is the faster of GeomLoss's backends
KERNEL, LARGE = 16_000, 100_000
ENOUGH = 100_000  # iterations: the time limit ends those that do not converge


def ladder(name: str, key: str, values: tuple[float, ...], **fixed: object) -> Ladder:
    rest = "".join(f" {option}={value}" for option, value in fixed.items())
    return tuple(f"{name} {key}={value:g}{rest}" for value in values)


def geomloss(n: int, d: int) -> Iterator[Ladder]:
    """Its two backends for small n, where they are close, then the faster one."""
    backends = ("tensorized", "online") if n <= 1000 else ("online" if d <= FLAT else "tensorized",)
    for backend in backends:
        for scaling in (0.5, 0.9):
            yield ladder("GeomLoss", "blur", EPS, scaling=scaling, backend=backend)
    if n <= 4000:  # beyond, its first setting takes longer than a run may
        yield ladder("GeomLoss", "blur", EPS, scaling=0.99, backend=backends[-1])
    for scaling in (0.5, 0.9):
        yield ladder("GeomLoss debiased", "blur", EPS[1:], scaling=scaling, backend=backends[-1])


def pot(n: int) -> Iterator[Ladder]:
    """POT's own stopping rule in float64, one loose enough for these errors, and that in float32."""
    if n <= 4000:
        yield ladder("POT sinkhorn_log", "reg", EPS, iterations=ENOUGH)
    yield ladder("POT sinkhorn_log", "reg", EPS, stop=1e-4, iterations=ENOUGH)
    yield ladder("POT sinkhorn_log", "reg", EPS, stop=1e-4, backend="torch", iterations=ENOUGH)


def ott(n: int) -> Iterator[Ladder]:
    """As it comes; with eps falling and over-relaxation; the same on a matrix from one product."""
    yield ladder("OTT-JAX", "epsilon", EPS, iterations=ENOUGH)
    if n <= 4000:
        yield ladder("OTT-JAX", "epsilon", EPS, decay=0.9, momentum=1.5, iterations=ENOUGH)
    yield ladder("OTT-JAX", "epsilon", EPS, decay=0.9, momentum=1.5, geometry="matrix", iterations=ENOUGH)


def ask(
    kind: str, n: int, d: int, ladders: tuple[Ladder, ...], goal: dict[str, float], limit: float
) -> Comparison:
    """Put the samples of the exact comparison to ladders of settings."""
    make = partial(clouds.gauss, n, d, False)
    return Comparison(f"{kind} n={n} d={d}", kind, make, ladders, goal, limit)


def accuracy(n: int, d: int) -> Comparison:
    ladders = [(EXACT,)]
    if n <= 4000:
        ladders.append(("POT emd2",))
    ladders += [ladder(OURS, "tol", TOL), ladder(OURS, "eps", EPS)]
    ladders += [*ott(n), *geomloss(n, d), *pot(n)]
    ladders.append(ladder("mdot-tnt", "gamma", tuple(2.0**k for k in (6, 8, 10, 12, 14))))
    return ask("accuracy", n, d, tuple(ladders), {"ratio": 3}, 120.0 if n <= 4000 else 300.0)


def kernel(d: int) -> Comparison:
    passes = tuple((f"{who} eps={eps:g}",) for eps in (0.1, 0.01) for who in ("otdist pass", "torch pass"))
    return ask("kernel", KERNEL, d, passes, {"pair": 2 if d == 2 else 5, "ratio": 3}, 120.0)


def large(d: int) -> Comparison:
    ladders = ladder(OURS, "tol", TOL[:3]), ladder(OURS, "eps", EPS[:1])
    return ask("large", LARGE, d, ladders, {"memory": 1e9}, 3600.0)


def comparisons() -> list[Comparison]:
    """All of them, the quick ones first."""
    found = [accuracy(n, d) for n in SIZES[:-1] for d in DIMENSIONS] + [kernel(d) for d in DIMENSIONS]
    return found + [accuracy(SIZES[-1], d) for d in DIMENSIONS] + [large(d) for d in DIMENSIONS[:-1]]
