"""Expected seconds and bytes of methods, from the measured table ``costs.json``.

Between measured sizes and columns the seconds are ``log s = a + b log n + c log d``, with separate
coefficients in every cell of the table: one power law for all sizes was wrong by a factor of two and more.
``benchmarks/atlas/fit.py`` writes the table.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

TABLE_PATH = Path(__file__).with_name("costs.json")
MAX_GROWTH_POWER = 3.0  # largest power of n in the extrapolation beyond the last measured size
BYTES_PER_PAIR, BYTES_PER_COORDINATE, BYTES_PER_COST = (
    41,
    40,
    8,
)  # bytes that the solvers require before they start
MEASURED_BYTES_PER_NODE = 1250  # measured in the plane, where "sparse" takes 1.5 times the required bytes
SINKHORN_BYTES_PER_NODE = 7000  # measured in three columns, where the shortlist of "sinkhorn" is longest
PROCESSES_PER_COMPILATION = 100  # that share the compilation, which a machine does once for each version
LINE_BYTES_PER_POINT = 48  # measured
Curve = tuple[list[float], list[float]]  # log n, log seconds


@lru_cache(maxsize=1024)
def find_cheapest_exact(n: int, m: int, d: int, tol: float = 0.0) -> str:
    """Find the exact method with the least expected seconds for one call of a new process.

    Parameters
    ----------
    n, m, d : int
        Numbers of points of both samples, and of columns.
    tol : float
        Sufficient relative gap.

    Returns
    -------
    str
        "dense", or "sparse", whose code must be compiled once. ``method="auto"`` takes it where no closed
        form exists.
    """
    dense = get_startup_seconds("dense") + (estimate_seconds("dense", n, m, d) or 0.0)
    sparse = get_startup_seconds("sparse") + (estimate_seconds("sparse", n, m, d, tol) or 0.0)
    return "dense" if dense <= sparse else "sparse"


def estimate_seconds(method: str, n: int, m: int, d: int, tol: float = 0.0) -> float | None:
    """Estimate the seconds of a call whose code is loaded; None for a gap below all measured ones.

    Parameters
    ----------
    method : str
        "line", "dense", "sparse" or "sinkhorn".
    n, m, d : int
        Numbers of points of both samples, and of columns. Measured with n = m: for other sizes the geometric
        mean is used, on the line the mean.
    tol : float
        Relative gap to stop at; interpolated logarithmically between measured gaps. "sparse" below 0.01: as
        for an exact solution.

    Returns
    -------
    float or None
        Expected seconds.
    """
    curves = _load_curves()[method]
    size = math.log((n + m) / 2 if method == "line" else math.sqrt(n) * math.sqrt(m))
    index = bisect_right(list(curves), tol) - 1
    if index < 0:
        return None
    low_gap = list(curves)[index]
    if low_gap == 0 or index + 1 == len(curves):
        return math.exp(_interpolate(curves[low_gap], size, d))
    high_gap = list(curves)[index + 1]
    share = math.log(tol / low_gap) / math.log(high_gap / low_gap)
    return math.exp(
        (1 - share) * _interpolate(curves[low_gap], size, d) + share * _interpolate(curves[high_gap], size, d)
    )


def get_largest_size(method: str, d: int, tol: float = 0.0) -> float:
    """Return the largest measured sample size of a method, in the columns next to ``d``."""
    curves = _load_curves()[method]
    curves_by_columns = curves[max((grid for grid in curves if grid <= tol), default=min(curves))]
    low_columns, high_columns, _ = _find_neighbours(sorted(curves_by_columns), math.log(d))
    return math.exp(min(curves_by_columns[low_columns][0][-1], curves_by_columns[high_columns][0][-1]))


def get_smallest_gap(method: str) -> float:
    """Return the smallest measured gap of a method."""
    return min(_load_curves()[method])


def get_largest_columns(method: str) -> int:
    """Return the largest measured number of columns of a method."""
    return round(
        math.exp(max(max(curves_by_columns) for curves_by_columns in _load_curves()[method].values()))
    )


def get_loading_seconds(method: str) -> float:
    """Return the additional seconds of the first call of a process."""
    return float(_load_table()["loading"].get(method, 0.0))


def get_startup_seconds(method: str) -> float:
    """Return the additional seconds of the first call of a process, with a share of the compilation."""
    return (
        get_loading_seconds(method)
        + float(_load_table()["compiling"].get(method, 0.0)) / PROCESSES_PER_COMPILATION
    )


def estimate_memory(method: str, n: int, m: int, d: int, matrix: bool = False) -> int:
    """Estimate the bytes of a method; ``matrix``: whether it must store the costs of all pairs."""
    if method in ("line", "circle"):
        return LINE_BYTES_PER_POINT * (n + m)
    if method == "dense":
        return BYTES_PER_PAIR * n * m
    point = BYTES_PER_COORDINATE * d + (
        SINKHORN_BYTES_PER_NODE if method == "sinkhorn" else MEASURED_BYTES_PER_NODE
    )
    return (n + m) * point + (BYTES_PER_COST * n * m if matrix else 0)


def _interpolate(curves_by_columns: dict[float, Curve], size: float, d: int) -> float:
    """Interpolate log seconds along n on the two measured columns around d, then between these.

    Beyond the last column the last slope continues, clipped to [0, 1]: passes are linear in d.
    """
    low_columns, high_columns, share = _find_neighbours(sorted(curves_by_columns), math.log(d))
    low, high = (
        _interpolate_curve(curves_by_columns[low_columns], size),
        _interpolate_curve(curves_by_columns[high_columns], size),
    )
    if share <= 1:
        return (1 - share) * low + share * high
    return high + min(max(high - low, 0.0), high_columns - low_columns) * (share - 1)


def _find_neighbours(grid: list[float], value: float) -> tuple[float, float, float]:
    """Find the neighbours of a value in a grid, and its relative position between them, at least 0."""
    if len(grid) == 1:
        return grid[0], grid[0], 0.0
    index = min(max(bisect_right(grid, value) - 1, 0), len(grid) - 2)
    low, high = grid[index], grid[index + 1]
    return low, high, max((value - low) / (high - low), 0.0)


def _interpolate_curve(curve: Curve, size: float) -> float:
    """Interpolate linearly; beyond the last point the last slope continues, from 1 to MAX_GROWTH_POWER."""
    sizes, values = curve
    if size <= sizes[0]:
        return values[0]
    index = min(bisect_right(sizes, size) - 1, len(sizes) - 2)
    if index < 0:  # a single point
        return values[0] + 2.0 * (size - sizes[0])
    slope = (values[index + 1] - values[index]) / (sizes[index + 1] - sizes[index])
    if size > sizes[-1]:
        return values[-1] + min(max(slope, 1.0), MAX_GROWTH_POWER) * (size - sizes[-1])
    return values[index] + slope * (size - sizes[index])


@cache
def _load_table() -> dict[str, Any]:
    return dict(json.loads(TABLE_PATH.read_text()))


@cache
def _load_curves() -> dict[str, dict[float, dict[float, Curve]]]:
    """Return the curves by method, gap (ascending) and log d."""
    curves: dict[str, dict[float, dict[float, Curve]]] = {}
    for method, gaps in _load_table()["seconds"].items():
        curves[method] = {}
        for gap in sorted(gaps, key=float):
            curves[method][float(gap)] = {
                math.log(int(d)): ([math.log(n) for n, _ in nodes], [math.log(s) for _, s in nodes])
                for d, nodes in gaps[gap].items()
            }
    return curves
