"""Two laws on the line: the potential of W1 turns wherever their distribution functions cross."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from otdist import closed
from otdist.arrays import Array
from otdist.bench.problems.pair import Floating, Pair, known
from otdist.closed.readlaws import read_law
from otdist.errors import InputError

LEVELS = 2**12  # at which the distribution functions are compared, and as many powers of two as pay
DEEPEST = 40  # 2^-40 of the mass at either end
ROUNDING = 4e-16  # of a distribution function
LOST = 1e-6  # share of W1 that crossings between the levels may cost the potential


def laws_1d(mu: Any, nu: Any) -> Pair:
    r"""Two laws on the line with densities.

    With distribution functions F and G of P and Q,
    :math:`W_1 = \int |F - G|\,dt`, the monotone coupling is optimal, and so is the potential with
    :math:`f' = \mathrm{sign}(G - F)`.

    Parameters
    ----------
    mu, nu : frozen continuous law of scipy.stats
        P and Q, with finite means.

    Returns
    -------
    Pair
        d = 1, points of shape (n, 1). ``w1`` is `otdist.closed.laws`, ``w1_error`` half the width of its
        proved bracket: a share of at most 1e-4. What the potential loses by crossings of F and G within
        1/4096 of the mass of each other is measured, and at most a share of 1e-6.

    Raises
    ------
    InputError
        If a law is not continuous or not frozen, the two are equal, W1 is infinite, or F and G cross
        more often than can be resolved.

    Notes
    -----
    Some 20 ms for known families; a draw costs what scipy's ``rvs`` costs, a coupled one two quantiles.
    Source: Santambrogio (2015), Prop. 2.17.

    Examples
    --------
    >>> from scipy import stats
    >>> from otdist.bench import problems
    >>> pair = problems.laws_1d(stats.norm(0, 1), stats.norm(0, 3))  # F and G cross at 0
    >>> round(pair.w1, 4), pair.potential([[-2.0], [0.0], [2.0]])
    (1.5958, array([-2.,  0., -2.]))
    """
    laws, truth = LineLaws.of(mu, nu), measured(mu, nu)
    return Pair("laws on the line", laws, partial(known, *truth))


def measured(mu: Any, nu: Any) -> tuple[float, float]:
    """W1 between two laws on the line, and half the width of its bracket."""
    # Where the shape of a quantile function is unknown, cells grow with 1 / rtol, else with its root.
    bent = all(read_law(law, name).bent for law, name in ((mu, "mu"), (nu, "nu")))
    result = closed.laws(mu, nu, rtol=1e-6 if bent else 1e-4)
    if not np.isfinite(result.upper):
        raise InputError("mu, nu", "W1 between them is infinite", "pass laws with finite means")
    return result.value, (result.upper - result.lower) / 2


@dataclass(frozen=True, eq=False)
class Zigzag:
    """A piecewise linear function with slopes 1 and -1; 0 at its first knot."""

    knots: Array  # (k,), k >= 1
    slopes: Array  # (k + 1,)
    heights: Array  # (k,)

    @classmethod
    def of(cls, knots: Array, slopes: Array) -> Zigzag:
        """Make it continuous."""
        return cls(knots, slopes, np.concatenate([[0.0], np.cumsum(slopes[1:-1] * np.diff(knots))]))

    def value(self, t: Array) -> Array:
        """Evaluate it."""
        piece = np.searchsorted(self.knots, t)
        before = np.maximum(piece - 1, 0)
        out: Array = self.heights[before] + self.slopes[piece] * (t - self.knots[before])
        return out

    def slope(self, t: Array) -> Array:
        """Derivative, from the left at a knot."""
        out: Array = self.slopes[np.searchsorted(self.knots, t)]
        return out


@dataclass(frozen=True, eq=False)
class LineLaws:
    """P and Q on the line, with their potential."""

    mu: Any
    nu: Any
    profile: Zigzag
    d: int = 1

    @classmethod
    def of(cls, mu: Any, nu: Any) -> LineLaws:
        """Check both laws and find their potential."""
        for law, name in ((mu, "mu"), (nu, "nu")):
            if not isinstance(getattr(law, "dist", None), stats.rv_continuous):
                raise InputError(
                    name,
                    f"a {type(law).__name__} is not a frozen continuous law of scipy.stats",
                    "pass one such as scipy.stats.norm(0, 1)",
                )
            read_law(law, name)  # refuses parameters outside their range
        laws = cls(mu, nu, _profile(mu, nu))
        x, y = laws._matched((np.arange(2999) + 0.5) / 2999)  # not the levels of _profile
        distances = np.abs(x - y)
        lost = distances.sum() - (laws.profile.value(x) - laws.profile.value(y)).sum()
        if lost > LOST * distances.sum():
            problem = f"the potential found misses {lost / distances.sum():.1e} of W1"
            raise InputError("mu, nu", problem, "pass laws whose distribution functions cross less often")
        return laws

    def first(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from P."""
        return self._drawn(self.mu, count, rng)[:, None].astype(dtype)

    def second(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from Q."""
        return self._drawn(self.nu, count, rng)[:, None].astype(dtype)

    def coupled(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw equal quantiles."""
        # Inside (0, 1): a quantile at 0 or 1 may be infinite.
        x, y = self._matched((rng.integers(2**52, size=count) + 0.5) / 2**52)
        return x[:, None], y[:, None]

    def potential(self, z: Array) -> Array:
        """Evaluate the zigzag."""
        return self.profile.value(z[:, 0])

    def gradient(self, z: Array) -> Array:
        """Evaluate its slope."""
        return self.profile.slope(z[:, 0])[:, None]

    def _matched(self, u: Array) -> tuple[Array, Array]:
        return np.asarray(self.mu.ppf(u), dtype=float), np.asarray(self.nu.ppf(u), dtype=float)

    @staticmethod
    def _drawn(law: Any, count: int, rng: np.random.Generator) -> Array:
        return np.asarray(law.rvs(size=count, random_state=rng), dtype=float)


def _lead(mu: Any, nu: Any, t: Array) -> Array:
    """G - F, from whichever end is nearer: 1 - cdf would lose the upper tail."""
    low, high = mu.cdf(t), nu.cdf(t)
    lead: Array = np.where(low + high < 1, high - low, mu.sf(t) - nu.sf(t))
    lead[np.abs(lead) <= ROUNDING] = 0
    return lead


def _profile(mu: Any, nu: Any) -> Zigzag:
    """Zigzag that turns wherever F and G cross."""
    ends = 2.0 ** -np.arange(DEEPEST, np.log2(LEVELS), -1)
    u = np.concatenate([ends, (np.arange(LEVELS) + 0.5) / LEVELS, 1 - ends[::-1]])
    t = np.unique(np.concatenate([np.asarray(law.ppf(u), dtype=float) for law in (mu, nu)]))
    lead = _lead(mu, nu, t)
    t, sign = t[lead != 0], np.sign(lead[lead != 0])
    if len(t) == 0:
        raise InputError("nu", "is the same law as mu", "pass two laws that differ")
    turns = np.flatnonzero(sign[1:] != sign[:-1])
    if len(turns) == 0:
        return Zigzag.of(t[:1], np.array([sign[0], sign[0]]))
    knots = [_crossing(mu, nu, t[k], t[k + 1]) for k in turns]
    return Zigzag.of(np.array(knots), np.concatenate([[sign[0]], sign[turns + 1]]))


def _crossing(mu: Any, nu: Any, low: float, high: float) -> float:
    root = brentq(lambda t: float(_lead(mu, nu, np.array([t]))[0]), low, high, xtol=1e-15 * (high - low))
    return float(root)
