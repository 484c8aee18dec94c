"""W_p between any two distributions on the line: quantile quadrature with a proved bracket."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from otdist.closed.quantiles import LineDistribution
from otdist.closed.reading import is_same_distribution, read_distribution
from otdist.errors import ConvergenceWarning, InputError
from otdist.inputs.arguments import check_integer, check_number, check_order
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.typing import Array, Distribution, Mask

SUM_ROUNDING = 1e-14  # relative error of a pairwise sum over at most a few million cells


@isolate_errstate
def laws(
    mu: Distribution, nu: Distribution, *, p: float = 1, rtol: float = 1e-6, max_cells: int = 2**18
) -> Result:
    """Compute W_p between two distributions on the line, with a proved bracket.

    ``W_p^p = int_0^1 |P(u) - Q(u)|^p du`` with P, Q the quantile functions of mu, nu.

    Parameters
    ----------
    mu, nu : frozen scipy.stats distribution, array_like of shape (n,), or tuple (values, weights)
        The distributions: continuous or discrete, samples, or samples with weights >= 0 (normalised to
        mass 1).
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
        and of the quartile distance, and that its moments are right for families of unknown shape.
        ``value`` is far closer than the interval shows; ``info["estimated_error"]`` estimates its error
        (not proved). Where rtol is not reached, ``converged`` is False and a ConvergenceWarning is
        given. If exactly one distribution has an infinite p-th moment, all three are inf.

    Raises
    ------
    InputError
        If both p-th moments are infinite, a distribution is not one-dimensional or not frozen, samples are
        empty, not finite or complex, weights are negative or of the wrong length, or an option is out
        of range.

    Notes
    -----
    Time O(k log k) and memory O(k) for k cells; ``k ~ 1 / sqrt(rtol)`` where both distributions are
    samples, discrete or of a family in ``otdist.closed.shapes`` (some 10 ms by default), else
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
    power = check_order(p)
    tolerance = check_number(rtol, "rtol", above=0, below=1, remedy="pass a relative width such as 1e-6")
    cell_limit = check_integer(max_cells, "max_cells", remedy="pass a number such as 2**18")
    distributions = read_distribution(mu, "mu"), read_distribution(nu, "nu")
    name, n, m = f"W{power:g}", distributions[0].size, distributions[1].size
    if _is_infinite(distributions, power):
        message = f"one distribution has an infinite moment of order {power:g}, the other a finite one"
        return Result(math.inf, math.inf, math.inf, "closed", message=message, name=name, n=n, m=m, d=1)
    if is_same_distribution(mu, nu):
        return Result(
            0.0, 0.0, 0.0, "closed", message="both distributions are the same", name=name, n=n, m=m, d=1
        )
    tail_masses = _compute_tail_masses(distributions)
    tails = _bound_tails(distributions, tail_masses, power)
    cells, lower, upper = _refine(
        distributions, _make_initial_cells(distributions, tail_masses), tails, power, tolerance, cell_limit
    )
    value, error = _estimate_value(distributions, cells, power)
    if math.isfinite(upper):
        error += _compute_p_norm(np.array([value]), power, tails) - value
    value = min(max(value, lower), upper)
    converged = math.isfinite(upper) and upper - lower <= tolerance * upper
    message = (
        ""
        if converged
        else _explain_width(lower, upper, tolerance, tails, distributions, cells.count >= cell_limit)
    )
    if not converged:
        warnings.warn(f"closed.laws: {message}", ConvergenceWarning, stacklevel=2)
    info = {"cells": cells.count, "tail": sum(tails), "estimated_error": min(error, upper - lower)}
    return Result(value, lower, upper, "closed", converged, message, name, n=n, m=m, d=1, info=info)


def _is_infinite(distributions: tuple[LineDistribution, LineDistribution], p: float) -> bool:
    """Return whether W_p is infinite because exactly one p-th moment is."""
    finite = [distribution.has_finite_moment(p) for distribution in distributions]
    if finite == [False, False]:
        raise InputError(
            "mu, nu",
            f"both distributions have an infinite moment of order {p:g}, so that W{p:g} need not exist",
            "use a smaller p, truncate the distributions, or closed.shift if one is a translate of the other",
        )
    return sorted(map(str, finite)) == ["False", "True"]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of mass, with the quantiles of both distributions at start, middle and end, shape (3, k)."""

    start: Array
    stop: Array
    top: Mask
    first: Array
    second: Array

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.start)


def _compute_tail_masses(distributions: tuple[LineDistribution, LineDistribution]) -> tuple[float, float]:
    """Compute the masses left to the tail bounds at the bottom and at the top."""
    return max(distribution.get_smallest_mass(False) for distribution in distributions), max(
        distribution.get_smallest_mass(True) for distribution in distributions
    )


def _bound_tails(
    distributions: tuple[LineDistribution, LineDistribution], tail_masses: tuple[float, float], p: float
) -> tuple[float, float]:
    """Compute upper bounds of ``(int_tail |P - Q|^p du)^(1/p)`` at both ends, by Minkowski's inequality."""
    # Tails are measured from a median, so that a common offset does not enlarge the bounds.
    centre = float(distributions[0].evaluate(np.array([0.5]), np.array([False]))[0])

    def bound(top: bool) -> float:
        return (
            sum(distribution.bound_tail(top, tail_masses[top], p, centre) for distribution in distributions)
            if tail_masses[top]
            else 0.0
        )

    return bound(False), bound(True)


def _make_initial_cells(
    distributions: tuple[LineDistribution, LineDistribution], tail_masses: tuple[float, float]
) -> Cells:
    starts, stops, tops = [], [], []
    for top in (False, True):
        edges = np.concatenate(
            [distribution.compute_edges(top) for distribution in distributions]
            + [np.array([tail_masses[top], 0.5])]
        )
        edges = np.unique(edges[edges >= tail_masses[top]])
        starts.append(edges[:-1])
        stops.append(edges[1:])
        tops.append(np.full(len(edges) - 1, top))
    start, stop, top_ = np.concatenate(starts), np.concatenate(stops), np.concatenate(tops)
    return Cells(
        start, stop, top_, *(distribution.evaluate_cells(start, stop, top_) for distribution in distributions)
    )


def _halve_cells(
    distributions: tuple[LineDistribution, LineDistribution], cells: Cells, chosen: Mask
) -> Cells:
    """Halve the chosen cells; quantiles are evaluated at the two new middles of each cell only."""
    start, stop, top = cells.start[chosen], cells.stop[chosen], cells.top[chosen]
    middle = (start + stop) / 2
    left, right = (start + middle) / 2, (middle + stop) / 2
    quantiles = []
    for distribution, old in zip(distributions, (cells.first, cells.second), strict=True):
        new, parents = (
            distribution.evaluate(np.concatenate([left, right]), np.concatenate([top, top])),
            old[:, chosen],
        )
        halves = [
            np.stack([parents[0], new[: len(left)], parents[1]]),
            np.stack([parents[1], new[len(left) :], parents[2]]),
        ]
        quantiles.append(np.concatenate([old[:, ~chosen], *halves], axis=1))
    return Cells(
        np.concatenate([cells.start[~chosen], start, middle]),
        np.concatenate([cells.stop[~chosen], middle, stop]),
        np.concatenate([cells.top[~chosen], top, top]),
        *quantiles,
    )


def _bound_quantiles(x: Array, distribution: LineDistribution) -> tuple[Array, Array, Array, Array]:
    """Bound a quantile function and its mean on cells, rounding errors included."""
    low, high = np.minimum(x[0], x[2]), np.maximum(x[0], x[2])
    if distribution.convex_or_concave:
        # Hermite-Hadamard: the middle lies on one side of the mean; Bullen: the two chords on the other.
        mean_bound1, mean_bound2 = x[1], (x[0] + 2 * x[1] + x[2]) / 4
    else:
        mean_bound1, mean_bound2 = (x[0] + x[1]) / 2, (x[1] + x[2]) / 2
    error = distribution.bound_error(np.maximum(np.abs(low), np.abs(high)))
    return (
        low - error,
        high + error,
        np.minimum(mean_bound1, mean_bound2) - error,
        np.maximum(mean_bound1, mean_bound2) + error,
    )


def _bound_cells(
    distributions: tuple[LineDistribution, LineDistribution], cells: Cells, p: float
) -> tuple[Array, Array]:
    """Compute lower and upper bounds of ``(int_cell |P - Q|^p du)^(1/p)``; p-th roots do not overflow."""
    low1, high1, mean_low1, mean_high1 = _bound_quantiles(cells.first, distributions[0])
    low2, high2, mean_low2, mean_high2 = _bound_quantiles(cells.second, distributions[1])
    low, high = low1 - high2, high1 - low2
    mean_low, mean_high = (
        np.clip(mean_low1 - mean_high2, low, high),
        np.clip(mean_high1 - mean_low2, low, high),
    )
    nearest = np.maximum(np.maximum(mean_low, -mean_high), 0.0)
    # The chord of |.|^p over [low, high] is linear in the mean: it is largest at one end of the mean's range.
    mean = np.where(np.abs(high) >= np.abs(low), mean_high, mean_low)
    size = np.maximum(np.abs(low), np.abs(high))
    safe = np.where(size > 0, size, 1.0)
    share = np.where(high > low, (mean - low) / np.where(high > low, high - low, 1.0), 0.0)
    chord = (1 - share) * (np.abs(low) / safe) ** p + share * (np.abs(high) / safe) ** p
    width = (cells.stop - cells.start) ** (1 / p)
    return width * nearest, width * size * chord ** (1 / p)


def _compute_p_norm(roots: Array, p: float, more: tuple[float, ...] = ()) -> float:
    """Compute ``(sum roots^p)^(1/p)`` relative to the largest entry, without overflow."""
    values = np.concatenate([roots, np.array(more)])
    largest = float(values.max(initial=0.0))
    if largest == 0 or math.isinf(largest):
        return largest
    return float(largest * np.sum((values / largest) ** p) ** (1 / p))


def _refine(
    distributions: tuple[LineDistribution, LineDistribution],
    cells: Cells,
    tails: tuple[float, float],
    p: float,
    tolerance: float,
    cell_limit: int,
) -> tuple[Cells, float, float]:
    """Halve the cells with most of the gap until the tolerance, the cell limit or stagnation."""
    previous = math.inf
    finite_tails = (
        tails if math.isfinite(sum(tails)) else (0.0, 0.0)
    )  # with infinite tails the lower bound is refined all the same
    while True:
        cell_lower, cell_upper = _bound_cells(distributions, cells, p)
        lower, upper = (
            _compute_p_norm(cell_lower, p) * (1 - SUM_ROUNDING),
            _compute_p_norm(cell_upper, p, finite_tails) * (1 + SUM_ROUNDING),
        )
        lower = min(lower, upper)
        room = cell_limit - cells.count
        if upper - lower <= tolerance * upper or room <= 0:
            break
        largest = float(cell_upper.max())
        gaps = (cell_upper / largest) ** p - (cell_lower / largest) ** p
        total = float(gaps.sum())
        # Stagnation: the remaining gap lies in the tails or in the rounding of the quantiles.
        # In logarithms, because the gap itself may overflow.
        log_gap = math.log(total) + p * math.log(largest) if total > 0 else -math.inf
        if total <= 0 or log_gap > previous - 0.03:
            break
        previous = log_gap
        cells = _halve_cells(distributions, cells, _select_cells(gaps, total, room))
    return cells, lower, upper if finite_tails == tails else math.inf


def _select_cells(gaps: Array, total: float, room: int) -> Mask:
    """Select the fewest cells that hold 60 % of the gap, at most ``room``."""
    rank = np.argsort(-gaps, kind="stable")
    count = int(np.searchsorted(np.cumsum(gaps[rank]), 0.6 * total)) + 1
    chosen = np.zeros(len(gaps), dtype=bool)
    chosen[rank[: min(count, room)]] = True
    return chosen


def _estimate_value(
    distributions: tuple[LineDistribution, LineDistribution], cells: Cells, p: float
) -> tuple[float, float]:
    """Estimate the distance by a three-point Gauss rule, and its error by Simpson's rule."""
    half = (cells.stop - cells.start) / 2
    centre = (cells.start + cells.stop) / 2
    left, right = (
        np.abs(_compute_difference(distributions, centre + k * math.sqrt(0.6) * half, cells.top))
        for k in (-1, 1)
    )
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


def _compute_difference(
    distributions: tuple[LineDistribution, LineDistribution], u: Array, top: Mask
) -> Array:
    difference: Array = distributions[0].evaluate(u, top) - distributions[1].evaluate(u, top)
    return difference


def _explain_width(
    lower: float,
    upper: float,
    tolerance: float,
    tails: tuple[float, float],
    distributions: tuple[LineDistribution, LineDistribution],
    limit_reached: bool,
) -> str:
    """Return why the tolerance was not reached, with a remedy."""
    if math.isinf(upper):
        return "no bound of the tails is known: upper is inf; truncate the distributions, or use a smaller p"
    width = f"the interval has relative width {(upper - lower) / upper:.1e}, more than rtol = {tolerance:.1e}"
    if lower == 0:
        equal = f"only W <= {upper:.3e} is proved, the distributions may be equal"
        return f"{width}: {equal}; compare it with your scale"
    if max(tails) > 0.25 * (upper - lower):
        return f"{width}, because of the tails ({max(tails):.1e}); truncate the distributions, or raise rtol"
    if limit_reached:
        unshaped = [
            distribution.label for distribution in distributions if not distribution.convex_or_concave
        ]
        reason = f" ({' and '.join(unshaped)}: of no family with a known shape)" if unshaped else ""
        return f"{width}{reason}; raise max_cells or rtol"
    return f"{width}, because of the rounding of the quantiles; raise rtol"
