"""W_p between any two laws on the line: quantile quadrature with a proved bracket."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from otdist.arrays import Array
from otdist.closed.checks import number, order
from otdist.closed.quantiles import Law, Mask
from otdist.closed.readlaws import read_law, same_law
from otdist.errors import ConvergenceWarning, InputError
from otdist.errstate import isolate_errstate
from otdist.result import Result

SUM_ROUNDING = 1e-14  # of the pairwise sum over at most a few million cells


@isolate_errstate
def laws(mu: Any, nu: Any, *, p: float = 1, rtol: float = 1e-6, max_cells: int = 2**18) -> Result:
    """W_p between two laws on the line, with a proved bracket.

    ``W_p^p = int_0^1 |P(u) - Q(u)|^p du`` with P, Q the quantile functions of mu, nu.

    Parameters
    ----------
    mu, nu : frozen scipy.stats law, array_like of shape (n,), or tuple (values, weights)
        The laws: continuous or discrete, samples, or samples with weights >= 0 (normalised to mass 1).
    p : float in [1, 2**53)
        Order of the distance.
    rtol : float in (0, 1)
        Goal for ``(upper - lower) / upper``.
    max_cells : int >= 1
        Stop before there are more cells than this; the jumps of samples count, but are never left out.

    Returns
    -------
    Result
        ``[lower, upper]`` contains W_p, provided that scipy's quantiles are right to 1e-13 of their size
        and of the spread of the law, and that its moments are right for families of unknown shape.
        ``value`` is far closer than the interval shows; ``info["estimated_error"]`` estimates its error
        (not proved). Where rtol is not reached, ``converged`` is False and a ConvergenceWarning is
        given. If exactly one law has an infinite p-th moment, all three are inf.

    Raises
    ------
    InputError
        If both p-th moments are infinite, a law is not one-dimensional or not frozen, samples are
        empty, not finite or complex, weights are negative or of the wrong length, or an option is out
        of range.

    Notes
    -----
    Time O(k log k) and memory O(k) for k cells; ``k ~ 1 / sqrt(rtol)`` where both laws are samples,
    discrete or of a family in ``otdist.closed.shapes`` (some 10 ms by default), else
    ``k ~ 1 / rtol``, which is more than max_cells by default: pass rtol=1e-4 or so.

    Cells end at the jumps of samples, at powers of two towards 0 and 1 and where the density turns;
    those with the largest gaps are halved. On a cell P - Q lies in ``[l, h]`` by monotonicity, and its
    mean in ``[c, C]`` by monotonicity or, for known families, by convexity (Hermite-Hadamard, and
    Bullen 1978). Jensen's inequality at the mean gives the lower bound, the chord of ``|.|^p`` over
    ``[l, h]`` (Edmundson 1956, Madansky 1959) the upper one. Tails beyond the last cell: Hoelder's
    inequality, or a power law (Lariviere 2006). The quantile formula: Santambrogio (2015), Prop. 2.17.
    The value is a three-point Gauss rule on the same cells; its estimated error is the difference to
    Simpson's rule plus the tails.

    Examples
    --------
    >>> from scipy import stats
    >>> from otdist import closed
    >>> r = closed.laws(stats.norm(0, 1), stats.norm(1, 1))
    >>> round(r.value, 9), r.converged, r.lower <= 1.0 <= r.upper
    (1.0, True, True)
    >>> closed.laws([0.0, 1.0], ([0.0, 2.0], [1, 3])).value
    1.0
    """
    power, goal, most = order(p), _tolerance(rtol), _count(max_cells)
    laws_ = read_law(mu, "mu"), read_law(nu, "nu")
    name, n, m = f"W{power:g}", laws_[0].size, laws_[1].size
    if _infinite(laws_, power):
        message = f"one law has an infinite moment of order {power:g}, the other has not"
        return Result(math.inf, math.inf, math.inf, "closed", message=message, name=name, n=n, m=m, d=1)
    if same_law(mu, nu):
        return Result(0.0, 0.0, 0.0, "closed", message="both laws are the same", name=name, n=n, m=m, d=1)
    floors = _floors(laws_)
    tails = _tails(laws_, floors, power)
    cells, lower, upper = _refine(laws_, _first_cells(laws_, floors), tails, power, goal, most)
    value, error = _value(laws_, cells, power)
    if math.isfinite(upper):
        error += _total(np.array([value]), power, tails) - value
    value = min(max(value, lower), upper)
    converged = math.isfinite(upper) and upper - lower <= goal * upper
    message = "" if converged else _why(lower, upper, goal, tails, laws_, cells.count >= most)
    if not converged:
        warnings.warn(f"closed.laws: {message}", ConvergenceWarning, stacklevel=2)
    info = {"cells": cells.count, "tail": sum(tails), "estimated_error": min(error, upper - lower)}
    return Result(value, lower, upper, "closed", converged, message, name, n=n, m=m, d=1, info=info)


def _tolerance(rtol: float) -> float:
    goal = number(rtol, "rtol")
    if not 0 < goal < 1:
        raise InputError("rtol", f"is {goal:g}, outside (0, 1)", "pass a relative width such as 1e-6")
    return goal


def _count(max_cells: int) -> int:
    most = number(max_cells, "max_cells")
    if most < 1 or most != int(most):
        raise InputError("max_cells", f"is {most:g}", "pass a whole number >= 1 such as 2**18")
    return int(most)


def _infinite(laws_: tuple[Law, Law], p: float) -> bool:
    """Whether W_p is infinite because exactly one p-th moment is."""
    known = [law.finite_moment(p) for law in laws_]
    if known == [False, False]:
        raise InputError(
            "mu, nu",
            f"both laws have an infinite moment of order {p:g}, so that W{p:g} need not exist",
            "use a smaller p, truncate the laws, or closed.shift if one is a translate of the other",
        )
    return sorted(map(str, known)) == ["False", "True"]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of mass with the quantiles of both laws at start, middle and end, each of shape (3, k)."""

    start: Array
    stop: Array
    top: Mask
    first: Array
    second: Array

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.start)


def _floors(laws_: tuple[Law, Law]) -> tuple[float, float]:
    """Mass left to the tail bounds at the bottom and at the top."""
    return max(law.floor(False) for law in laws_), max(law.floor(True) for law in laws_)


def _tails(laws_: tuple[Law, Law], floors: tuple[float, float], p: float) -> tuple[float, float]:
    """Upper bounds of ``(int_tail |P - Q|^p du)^(1/p)`` at both ends, by Minkowski's inequality."""
    # Tails are measured from a point amid the laws: a common offset must not count.
    centre = float(laws_[0].at(np.array([0.5]), np.array([False]))[0])

    def bound(top: bool) -> float:
        return sum(law.tail(top, floors[top], p, centre) for law in laws_) if floors[top] else 0.0

    return bound(False), bound(True)


def _first_cells(laws_: tuple[Law, Law], floors: tuple[float, float]) -> Cells:
    starts, stops, tops = [], [], []
    for top in (False, True):
        edges = np.concatenate([law.edges(top) for law in laws_] + [np.array([floors[top], 0.5])])
        edges = np.unique(edges[edges >= floors[top]])
        starts.append(edges[:-1])
        stops.append(edges[1:])
        tops.append(np.full(len(edges) - 1, top))
    start, stop, top_ = np.concatenate(starts), np.concatenate(stops), np.concatenate(tops)
    return Cells(start, stop, top_, *(law.ends(start, stop, top_) for law in laws_))


def _split(laws_: tuple[Law, Law], cells: Cells, chosen: Mask) -> Cells:
    """Halve the chosen cells; only the two new middles of each are evaluated."""
    start, stop, top = cells.start[chosen], cells.stop[chosen], cells.top[chosen]
    middle = (start + stop) / 2
    left, right = (start + middle) / 2, (middle + stop) / 2
    both = []
    for law, old in zip(laws_, (cells.first, cells.second), strict=True):
        new, kept = law.at(np.concatenate([left, right]), np.concatenate([top, top])), old[:, chosen]
        halves = [
            np.stack([kept[0], new[: len(left)], kept[1]]),
            np.stack([kept[1], new[len(left) :], kept[2]]),
        ]
        both.append(np.concatenate([old[:, ~chosen], *halves], axis=1))
    return Cells(
        np.concatenate([cells.start[~chosen], start, middle]),
        np.concatenate([cells.stop[~chosen], middle, stop]),
        np.concatenate([cells.top[~chosen], top, top]),
        *both,
    )


def _range_and_mean(x: Array, law: Law) -> tuple[Array, Array, Array, Array]:
    """Bounds of a quantile function on cells, and of its mean there, rounding included."""
    low, high = np.minimum(x[0], x[2]), np.maximum(x[0], x[2])
    if law.bent:
        # Hermite-Hadamard: the middle lies on one side of the mean; Bullen: the two chords on the other.
        one, other = x[1], (x[0] + 2 * x[1] + x[2]) / 4
    else:
        one, other = (x[0] + x[1]) / 2, (x[1] + x[2]) / 2
    slip = law.slip(np.maximum(np.abs(low), np.abs(high)))
    return low - slip, high + slip, np.minimum(one, other) - slip, np.maximum(one, other) + slip


def _bounds(laws_: tuple[Law, Law], cells: Cells, p: float) -> tuple[Array, Array]:
    """Lower and upper bounds of ``(int_cell |P - Q|^p du)^(1/p)``; roots, so that nothing overflows."""
    low1, high1, least1, most1 = _range_and_mean(cells.first, laws_[0])
    low2, high2, least2, most2 = _range_and_mean(cells.second, laws_[1])
    low, high = low1 - high2, high1 - low2
    least, most = np.clip(least1 - most2, low, high), np.clip(most1 - least2, low, high)
    nearest = np.maximum(np.maximum(least, -most), 0.0)
    # The chord of |.|^p over [low, high] is linear in the mean: it is largest at one end of the mean's range.
    mean = np.where(np.abs(high) >= np.abs(low), most, least)
    size = np.maximum(np.abs(low), np.abs(high))
    safe = np.where(size > 0, size, 1.0)
    share = np.where(high > low, (mean - low) / np.where(high > low, high - low, 1.0), 0.0)
    chord = (1 - share) * (np.abs(low) / safe) ** p + share * (np.abs(high) / safe) ** p
    width = (cells.stop - cells.start) ** (1 / p)
    return width * nearest, width * size * chord ** (1 / p)


def _total(roots: Array, p: float, extra: tuple[float, ...] = ()) -> float:
    """``(sum roots^p)^(1/p)``, scaled by the largest."""
    every = np.concatenate([roots, np.array(extra)])
    largest = float(every.max(initial=0.0))
    if largest == 0 or math.isinf(largest):
        return largest
    return float(largest * np.sum((every / largest) ** p) ** (1 / p))


def _refine(
    laws_: tuple[Law, Law], cells: Cells, tails: tuple[float, float], p: float, goal: float, most: int
) -> tuple[Cells, float, float]:
    """Halve the cells that hold most of the gap until the goal, the limit or a standstill."""
    previous = math.inf
    known = (
        tails if math.isfinite(sum(tails)) else (0.0, 0.0)
    )  # the lower bound is worth refining all the same
    while True:
        below, above = _bounds(laws_, cells, p)
        lower, upper = _total(below, p) * (1 - SUM_ROUNDING), _total(above, p, known) * (1 + SUM_ROUNDING)
        lower = min(lower, upper)
        room = most - cells.count
        if upper - lower <= goal * upper or room <= 0:
            break
        largest = float(above.max())
        gaps = (above / largest) ** p - (below / largest) ** p
        total = float(gaps.sum())
        # A standstill: what is left of the gap lies in the tails or in the rounding of the quantiles.
        # In logarithms, because the gap itself may overflow.
        size = math.log(total) + p * math.log(largest) if total > 0 else -math.inf
        if total <= 0 or size > previous - 0.03:
            break
        previous = size
        cells = _split(laws_, cells, _largest(gaps, total, room))
    return cells, lower, upper if known == tails else math.inf


def _largest(gaps: Array, total: float, room: int) -> Mask:
    """Mark the fewest cells that hold 60 % of the gap, at most ``room``."""
    rank = np.argsort(-gaps, kind="stable")
    count = int(np.searchsorted(np.cumsum(gaps[rank]), 0.6 * total)) + 1
    chosen = np.zeros(len(gaps), dtype=bool)
    chosen[rank[: min(count, room)]] = True
    return chosen


def _value(laws_: tuple[Law, Law], cells: Cells, p: float) -> tuple[float, float]:
    """Three-point Gauss rule for the distance, and its difference to Simpson's rule."""
    half = (cells.stop - cells.start) / 2
    centre = (cells.start + cells.stop) / 2
    left, right = (np.abs(_difference(laws_, centre + k * math.sqrt(0.6) * half, cells.top)) for k in (-1, 1))
    ends, middle = np.abs(cells.first[::2] - cells.second[::2]), np.abs(cells.first[1] - cells.second[1])
    largest = max(float(ends.max()), float(middle.max()))
    if largest == 0:
        return 0.0, 0.0
    gauss = (5 * (left / largest) ** p + 8 * (middle / largest) ** p + 5 * (right / largest) ** p) / 9
    simpson = ((ends[0] / largest) ** p + 4 * (middle / largest) ** p + (ends[1] / largest) ** p) / 3
    total = float(np.sum(gauss * half))
    error = float(np.sum(np.abs(gauss - simpson) * half))
    value = largest * total ** (1 / p)
    return value, value * error / (p * total) if total > 0 else largest * error ** (1 / p)


def _difference(laws_: tuple[Law, Law], u: Array, top: Mask) -> Array:
    difference: Array = laws_[0].at(u, top) - laws_[1].at(u, top)
    return difference


def _why(
    lower: float, upper: float, goal: float, tails: tuple[float, float], laws_: tuple[Law, Law], full: bool
) -> str:
    """Say what happened, and what to change."""
    if math.isinf(upper):
        return "no bound of the tails is known: upper is inf; truncate the laws, or use a smaller p"
    width = f"the interval has relative width {(upper - lower) / upper:.1e}, more than rtol = {goal:.1e}"
    if lower == 0:
        return f"{width}: only W <= {upper:.3e} is proved, the laws may be equal; compare it with your scale"
    if max(tails) > 0.25 * (upper - lower):
        return f"{width}, because of the tails ({max(tails):.1e}); truncate the laws, or raise rtol"
    if full:
        slow = [law.label for law in laws_ if not law.bent]
        why = f" ({' and '.join(slow)}: of no family with a known shape)" if slow else ""
        return f"{width}{why}; raise max_cells or rtol"
    return f"{width}, because of the rounding of the quantiles; raise rtol"
