"""What sinkhorn_vs_peers asks: samples, ladders of settings for every method, and what is aimed at.

A method is a name and options, such as ``GeomLoss blur=0.01 scaling=0.5``. Regularisation and blur are
relative to the mean cost between the two samples, the same for all. A ladder goes from the loosest
setting to the tightest, and ends where one of them runs out of time or memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import exact_clouds as clouds
from exact_clouds import Points

OURS, EXACT = "otdist sinkhorn", "otdist sparse"
PEERS = ("GeomLoss", "GeomLoss debiased", "POT sinkhorn_log", "OTT-JAX", "mdot-tnt")
SIZES, DIMENSIONS = (1000, 4000, 16_000), (2, 16, 64)
EPS = (0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4)
TOL = (0.1, 0.03, 0.01, 3e-3, 1e-3)
FLAT = 8  # columns up to which KeOps is the faster of GeomLoss's backends
KERNEL, LARGE = 16_000, 100_000

Ladder = tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """A question to all methods.

    Attributes
    ----------
    kind : str
        ``"accuracy"``, ``"kernel"`` or ``"large"``.
    n, d : int
        Points a side, and columns.
    ladders : tuple of tuple of str
        Who is asked, with which settings.
    goal : dict
        What is aimed at: ``ratio`` (a peer's time over ours), nanoseconds ``pair``, bytes of ``memory``.
    limit : float
        Seconds after which a run is ended.
    """

    kind: str
    n: int
    d: int
    ladders: tuple[Ladder, ...]
    goal: dict[str, float] = field(default_factory=dict)
    limit: float = 120.0

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.kind} n={self.n} d={self.d}"

    def make(self, scale: float) -> Points:
        """Points, the same as in exact_vs_peers; scale 1 is the question, less is a trial."""
        return clouds.gauss(self.n, self.d, False, scale)


def ladder(name: str, key: str, values: tuple[float, ...], **fixed: object) -> Ladder:
    rest = "".join(f" {option}={value}" for option, value in fixed.items())
    return tuple(f"{name} {key}={value:g}{rest}" for value in values)


def named(method: str) -> str:
    """Name of a method, without its options."""
    return " ".join(word for word in method.split() if "=" not in word)


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
        yield ladder("POT sinkhorn_log", "reg", EPS)
    yield ladder("POT sinkhorn_log", "reg", EPS, stop=1e-4)
    yield ladder("POT sinkhorn_log", "reg", EPS, stop=1e-4, backend="torch")


def ott(n: int) -> Iterator[Ladder]:
    """As it comes; with eps falling and over-relaxation; the same on a matrix from one product."""
    yield ladder("OTT-JAX", "epsilon", EPS)
    if n <= 4000:
        yield ladder("OTT-JAX", "epsilon", EPS, decay=0.9, momentum=1.5)
    yield ladder("OTT-JAX", "epsilon", EPS, decay=0.9, momentum=1.5, geometry="matrix")


def accuracy(n: int, d: int) -> Problem:
    ladders = [(EXACT,)]
    if n <= 4000:
        ladders.append(("POT emd2",))
    ladders += [ladder(OURS, "tol", TOL), ladder(OURS, "eps", EPS)]
    ladders += [*ott(n), *geomloss(n, d), *pot(n)]
    ladders.append(ladder("mdot-tnt", "gamma", tuple(2.0**k for k in (6, 8, 10, 12, 14))))
    limit = 120.0 if n <= 4000 else 300.0
    return Problem("accuracy", n, d, tuple(ladders), {"ratio": 3}, limit)


def kernel(d: int) -> Problem:
    passes = tuple((f"{who} eps={eps:g}",) for eps in (0.1, 0.01) for who in ("otdist pass", "torch pass"))
    return Problem("kernel", KERNEL, d, passes, {"pair": 2 if d == 2 else 5, "ratio": 3})


def problems() -> dict[str, Problem]:
    """All of them, the quick ones first."""
    small, large = SIZES[:-1], SIZES[-1]
    parts = [accuracy(n, d) for n in small for d in DIMENSIONS]
    parts += [kernel(d) for d in DIMENSIONS]
    parts += [accuracy(large, d) for d in DIMENSIONS]
    for d in DIMENSIONS[:-1]:
        ladders = ladder(OURS, "tol", TOL[:3]), ladder(OURS, "eps", EPS[:1])
        parts.append(Problem("large", LARGE, d, ladders, {"memory": 1e9}, 3600.0))
    return {part.name: part for part in parts}
