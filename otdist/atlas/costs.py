"""Seconds and bytes that a method is expected to take, from the measured table ``costs.json``.

Between measured sizes and columns the seconds are ``log s = a + b log n + c log d``, with coefficients of
their own in every cell of the table: one power law for all sizes was wrong by a factor of two and more.
``benchmarks/atlas/fit.py`` writes the table.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("costs.json")
STEEPEST = 3.0  # power of n by which seconds grow beyond the last size that was measured, at most
PAIR, COORDINATE, ENTRY = 41, 40, 8  # bytes that the solvers ask for before they start
NODE = 1250  # a point: measured in the plane, where "sparse" takes half as much again as it asks for
LISTED = 7000  # a point of "sinkhorn": measured in three columns, where its shortlist is longest
PROCESSES = 100  # that share the time of compiling, which a machine does once for each version
SORTED = 48  # bytes a point, on the line (measured)
Curve = tuple[list[float], list[float]]  # log n, log seconds


@lru_cache(maxsize=1024)
def cheapest_exact(n: int, m: int, d: int, tol: float = 0.0) -> str:
    """Exact method with the least expected seconds for one call of a new process.

    Parameters
    ----------
    n, m, d : int
        Points on each side, and columns.
    tol : float
        Relative gap that is good enough.

    Returns
    -------
    str
        "dense", or "sparse", whose code has to be compiled once. This is what ``method="auto"`` takes where
        no closed form answers.
    """
    dense = start("dense") + (seconds("dense", n, m, d) or 0.0)
    sparse = start("sparse") + (seconds("sparse", n, m, d, tol) or 0.0)
    return "dense" if dense <= sparse else "sparse"


def seconds(method: str, n: int, m: int, d: int, tol: float = 0.0) -> float | None:
    """Expected seconds of a call whose code is loaded; None for a gap below all that were measured.

    Parameters
    ----------
    method : str
        "line", "dense", "sparse" or "sinkhorn".
    n, m, d : int
        Points on each side, and columns. Measured with n = m: of others the geometric mean counts, on the
        line the mean.
    tol : float
        Relative gap to stop at; between measured ones by the logarithm. "sparse" below 0.01: as if exact.

    Returns
    -------
    float or None
        Seconds.
    """
    models = _models()[method]
    size = math.log((n + m) / 2 if method == "line" else math.sqrt(n) * math.sqrt(m))
    place = bisect_right(list(models), tol) - 1
    if place < 0:
        return None
    low = list(models)[place]
    if low == 0 or place + 1 == len(models):
        return math.exp(_at(models[low], size, d))
    high = list(models)[place + 1]
    share = math.log(tol / low) / math.log(high / low)
    return math.exp((1 - share) * _at(models[low], size, d) + share * _at(models[high], size, d))


def largest(method: str, d: int, tol: float = 0.0) -> float:
    """Points a side up to which a method was measured, in the columns on both sides of ``d``."""
    models = _models()[method]
    model = models[max((known for known in models if known <= tol), default=min(models))]
    below, above, _ = _between(sorted(model), math.log(d))
    return math.exp(min(model[below][0][-1], model[above][0][-1]))


def finest(method: str) -> float:
    """Smallest gap that a method was measured at."""
    return min(_models()[method])


def columns(method: str) -> int:
    """Columns up to which a method was measured."""
    return round(math.exp(max(max(model) for model in _models()[method].values())))


def loading(method: str) -> float:
    """Seconds that the first call of a process takes longer."""
    return float(_table()["loading"].get(method, 0.0))


def start(method: str) -> float:
    """The same, with a part of the seconds that the first call of a machine takes to compile."""
    return loading(method) + float(_table()["compiling"].get(method, 0.0)) / PROCESSES


def memory(method: str, n: int, m: int, d: int, matrix: bool = False) -> int:
    """Bytes that a method takes; ``matrix``: whether it has to keep the costs of all pairs."""
    if method in ("line", "circle"):
        return SORTED * (n + m)
    if method == "dense":
        return PAIR * n * m
    point = COORDINATE * d + (LISTED if method == "sinkhorn" else NODE)
    return (n + m) * point + (ENTRY * n * m if matrix else 0)


def _at(model: dict[float, Curve], size: float, d: int) -> float:
    """Log seconds: along n on the two measured columns around d, then between these.

    Beyond the last column they go on at the last slope, from 0 to 1: passes are linear in d.
    """
    below, above, share = _between(sorted(model), math.log(d))
    low, high = _along(model[below], size), _along(model[above], size)
    if share <= 1:
        return (1 - share) * low + share * high
    return high + min(max(high - low, 0.0), above - below) * (share - 1)


def _between(known: list[float], value: float) -> tuple[float, float, float]:
    """Neighbours of a value, and how far it is from the first to the second; not below the first of all."""
    if len(known) == 1:
        return known[0], known[0], 0.0
    place = min(max(bisect_right(known, value) - 1, 0), len(known) - 2)
    low, high = known[place], known[place + 1]
    return low, high, max((value - low) / (high - low), 0.0)


def _along(curve: Curve, size: float) -> float:
    """Broken line; beyond its last point it goes on at the last slope, from 1 to STEEPEST."""
    sizes, values = curve
    if size <= sizes[0]:
        return values[0]
    place = min(bisect_right(sizes, size) - 1, len(sizes) - 2)
    if place < 0:  # one point
        return values[0] + 2.0 * (size - sizes[0])
    slope = (values[place + 1] - values[place]) / (sizes[place + 1] - sizes[place])
    if size > sizes[-1]:
        return values[-1] + min(max(slope, 1.0), STEEPEST) * (size - sizes[-1])
    return values[place] + slope * (size - sizes[place])


@cache
def _table() -> dict[str, Any]:
    return dict(json.loads(TABLE.read_text()))


@cache
def _models() -> dict[str, dict[float, dict[float, Curve]]]:
    """Curves by method, gap (rising) and log d."""
    found: dict[str, dict[float, dict[float, Curve]]] = {}
    for method, gaps in _table()["seconds"].items():
        found[method] = {}
        for gap in sorted(gaps, key=float):
            found[method][float(gap)] = {
                math.log(int(d)): ([math.log(n) for n, _ in nodes], [math.log(s) for _, s in nodes])
                for d, nodes in gaps[gap].items()
            }
    return found
