"""How well every method keeps ``max_seconds``, and how narrow the interval is that it proves by then.

One process; code is compiled and loaded before. A limit counts as kept if the call is at most 10 % and a
second late. Run it on idle cores: ``python benchmarks/deadlines.py``, ``--quick`` for a few minutes, ``--only
PATTERN``, ``--limits 1``, ``--list``; ``--table`` prints what was measured before.
"""

from __future__ import annotations

import argparse
import fnmatch
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import harness
import numpy as np

import otdist

LIMITS = (0.5, 1.0, 4.0)
SIZES = (5_000, 20_000, 50_000)
COLUMNS = (2, 16, 60)
LATE = 0.1, 1.0  # share of the limit, and seconds, that a call may be late
MATRIX = 20_000  # points a side beyond which a cost matrix does not fit
PAIRS = 5_000  # points a side for costs that are slow to compute
Call = Callable[[float], otdist.Result]


@dataclass(frozen=True)
class Case:
    """A method on a problem."""

    name: str
    n: int
    d: int
    make: Callable[[np.ndarray, np.ndarray], Call]

    def __str__(self) -> str:
        return f"{self.name} n={self.n} d={self.d}"

    def call(self) -> Call:
        """Draw the samples, and return what is measured."""
        return self.make(*samples(self.n, self.d))


def samples(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two normal samples, one moved by 0.3 in every column."""
    rng = np.random.default_rng(n + d)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.3


def manhattan(u: Any, v: Any) -> float:
    """Metric as a function of the caller."""
    return float(np.abs(u - v).sum())


def distance(p: float = 1.0, **options: Any) -> Callable[..., Call]:
    """Wasserstein distance with some options."""
    return lambda x, y: lambda s: otdist.wasserstein(x, y, p=p, max_seconds=s, **options)


def unbalanced(**options: Any) -> Callable[..., Call]:
    """Unbalanced transport with some options."""
    return lambda x, y: lambda s: otdist.unbalanced_w1(x, y, reach=1.0, max_seconds=s, **options)


def partial(**options: Any) -> Callable[..., Call]:
    """Partial transport with some options."""
    return lambda x, y: lambda s: otdist.partial_w1(x, y, max_seconds=s, **options)


def divergence(**options: Any) -> Callable[..., Call]:
    """Sinkhorn divergence with some options."""
    return lambda x, y: lambda s: otdist.sinkhorn_divergence(x, y, max_seconds=s, **options)


def matrix(**options: Any) -> Callable[..., Call]:
    """Earth mover's distance for a matrix of random costs."""

    def make(x: np.ndarray, y: np.ndarray) -> Call:
        cost = np.random.default_rng(0).random((len(x), len(y)))
        return lambda s: otdist.emd(cost, max_seconds=s, **options)

    return make


POINTS = {
    "sparse": distance(method="sparse"),
    "sparse W2": distance(p=2, method="sparse"),
    "sinkhorn": distance(method="sinkhorn"),
    "sinkhorn W2": distance(p=2, method="sinkhorn"),
    "sinkhorn eps=0.01": distance(method="sinkhorn", eps=0.01),
    "critic": distance(method="critic"),
    "divergence": divergence(eps=0.01),
    "divergence reach": divergence(eps=0.01, reach=1.0),
    "unbalanced kl": unbalanced(penalty="kl"),
}
DENSE = {  # 41 bytes a pair
    "dense": distance(method="dense"),
    "unbalanced tv": unbalanced(),
    "partial": partial(moved=0.5),
    "minkowski": distance(metric=otdist.metrics.minkowski(3)),
    "callable": distance(metric=manhattan),
    "angular W2": distance(p=2, metric="angular", method="sparse"),
    "minkowski sinkhorn": distance(metric=otdist.metrics.minkowski(3), method="sinkhorn"),
    "minkowski divergence": divergence(metric=otdist.metrics.minkowski(3)),
    "minkowski tv": unbalanced(metric=otdist.metrics.minkowski(3)),
    "minkowski kl": unbalanced(metric=otdist.metrics.minkowski(3), penalty="kl"),
}
MATRICES = {method: matrix(method=method) for method in ("dense", "sparse", "sinkhorn")}


def cases() -> Iterator[Case]:
    """All of them."""
    for n in SIZES:
        yield Case("line", n, 1, distance())
        yield Case("circle", n, 1, distance(metric=otdist.metrics.periodic(7.0)))
        for d in COLUMNS:
            for name, make in POINTS.items():
                yield Case(name, n, d, make)
            if n <= PAIRS:
                for name, make in DENSE.items():
                    yield Case(name, n, d, make)
        for name, make in MATRICES.items():
            if n <= (PAIRS if name == "dense" else MATRIX):
                yield Case(f"emd {name}", n, 1, make)


def warm_up(selected: list[Case]) -> None:
    """Compile and load what the cases run, on small problems and to the end."""
    for case in {case.name: case for case in selected}.values():
        for n in (300, 2500):
            # Two columns take other ways than sixteen.
            for d in (1,) if case.d == 1 else (2, 16):
                measure(Case(case.name, n, d, case.make), 5.0)


def measure(case: Case, limit: float) -> dict[str, Any]:
    """One call."""
    call = case.call()
    start, used = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.ConvergenceWarning)
        result = call(limit)
    took, used = time.perf_counter() - start, time.process_time() - used
    top = abs(result.upper)
    return {
        "case": case.name,
        "n": case.n,
        "d": case.d,
        "limit": limit,
        "took": round(took, 3),
        "cpu": round(used, 3),
        "overrun": round(took - limit, 3),
        "kept": bool(took <= limit * (1 + LATE[0]) + LATE[1]),
        "width": (result.upper - result.lower) / top if 0 < top < np.inf else None,
        "converged": bool(result.converged),
    }


def line_of(row: dict[str, Any]) -> str:
    """One row as text."""
    width = "unknown" if row["width"] is None else f"{row['width']:.1e}"
    text = f"{row['case']:<22}{row['n']:>7}{row['d']:>4}{row['limit']:>6}"
    text += f"{row['took']:>9.2f}{row['overrun']:>9.2f}  {'kept' if row['kept'] else 'LATE'}  {width:>8}"
    return f"{text}  {'converged' if row['converged'] else ''}"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", help="pattern of cases, as --list names them")
    parser.add_argument("--limits", default=",".join(map(str, LIMITS)), help="seconds")
    parser.add_argument("--quick", action="store_true", help="5,000 and 20,000 points, 16 columns, one limit")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    options = parser.parse_args()
    header = f"{'':22}{'n':>7}{'d':>4}{'limit':>6}{'took':>9}{'overrun':>9}          width"
    if options.table:
        print(header, *map(line_of, harness.load("deadlines") or []), sep="\n")
        return
    selected = [case for case in cases() if fnmatch.fnmatch(str(case), options.only)]
    limits = [float(limit) for limit in options.limits.split(",")]
    if options.quick:
        selected, limits = [case for case in selected if case.n < SIZES[-1] and case.d in (1, 16)], [0.5]
    if options.list:
        print(*selected, sep="\n")
        return
    warm_up(selected)
    print(header)
    rows = []
    for case in selected:
        for limit in limits:
            rows.append(measure(case, limit))
            print(line_of(rows[-1]), flush=True)
    late = [row for row in rows if not row["kept"]]
    print(f"{len(rows) - len(late)} of {len(rows)} kept; latest: {max(row['overrun'] for row in rows):.2f} s")
    if options.only == "*" and not options.quick:
        print(harness.save("deadlines", rows))


if __name__ == "__main__":
    main()
