"""Pairs of distributions on the line: the potential turns where the distribution functions cross."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from otdist import closed
from otdist.bench.problems.pair import FloatArray, Pair, return_known_w1
from otdist.closed.reading import read_distribution
from otdist.errors import InputError
from otdist.typing import Array, FloatType, Frozen

QUANTILE_LEVELS = (
    2**12
)  # quantile levels at which the distribution functions are compared, besides levels in the tails
MAX_TAIL_EXPONENT = 40  # the most extreme levels are 2^-40 from 0 and from 1
CDF_ROUNDING = 4e-16  # rounding error of a distribution function
MAX_POTENTIAL_LOSS = 1e-6  # relative to W1: due to crossings between the levels


def laws_1d(mu: Frozen, nu: Frozen) -> Pair:
    r"""Two distributions on the line with densities.

    With distribution functions F and G of P and Q,
    :math:`W_1 = \int |F - G|\,dt`, the monotone coupling is optimal, and so is the potential with
    :math:`f' = \mathrm{sign}(G - F)`.

    Parameters
    ----------
    mu, nu : frozen continuous distribution of scipy.stats
        P and Q, with finite means.

    Returns
    -------
    Pair
        d = 1, points of shape (n, 1). ``w1`` is `otdist.closed.laws`, ``w1_error`` half the width of its
        proved bracket, at most 1e-4 of W1. Crossings of F and G within 1/4096 of the mass of each other
        may be missed; the loss of the potential is measured, and at most 1e-6 of W1.

    Raises
    ------
    InputError
        If a distribution is not continuous or not frozen, both are equal, W1 is infinite, or F and G cross
        more often than can be resolved.

    Notes
    -----
    Some 20 ms for known families; a draw costs one call of scipy's ``rvs``, a coupled draw two quantiles.
    Source: Santambrogio (2015), Prop. 2.17.

    Examples
    --------
    >>> from scipy import stats
    >>> from otdist.bench import problems
    >>> pair = problems.laws_1d(stats.norm(0, 1), stats.norm(0, 3))  # F and G cross at 0
    >>> round(pair.w1, 4), pair.potential([[-2.0], [0.0], [2.0]])
    (1.5958, array([-2.,  0., -2.]))
    """
    pair, w1_and_error = LinePair.from_distributions(mu, nu), compute_w1(mu, nu)
    return Pair("distributions on the line", pair, partial(return_known_w1, *w1_and_error))


def compute_w1(mu: Frozen, nu: Frozen) -> tuple[float, float]:
    """Compute W1 between two distributions on the line, and half the width of its bracket."""
    # Cells grow with 1 / rtol where the shape of a quantile function is unknown, else with its root.
    shape_known = all(
        read_distribution(distribution, name).convex_or_concave
        for distribution, name in ((mu, "mu"), (nu, "nu"))
    )
    result = closed.laws(mu, nu, rtol=1e-6 if shape_known else 1e-4)
    if not np.isfinite(result.upper):
        raise InputError(
            "mu, nu", "must have finite W1, got infinite W1", "pass distributions with finite means"
        )
    return result.value, (result.upper - result.lower) / 2


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """Piecewise linear function with slopes 1 and -1 that is 0 at its first knot."""

    knots: Array  # (k,), k >= 1
    slopes: Array  # (k + 1,)
    values: Array  # (k,)

    @classmethod
    def from_slopes(cls, knots: Array, slopes: Array) -> PiecewiseLinear:
        """Return the continuous function with the given slopes."""
        return cls(knots, slopes, np.concatenate([[0.0], np.cumsum(slopes[1:-1] * np.diff(knots))]))

    def evaluate(self, t: Array) -> Array:
        """Evaluate the function."""
        piece = np.searchsorted(self.knots, t)
        left_knot = np.maximum(piece - 1, 0)
        out: Array = self.values[left_knot] + self.slopes[piece] * (t - self.knots[left_knot])
        return out

    def compute_slope(self, t: Array) -> Array:
        """Compute the derivative, from the left at a knot."""
        out: Array = self.slopes[np.searchsorted(self.knots, t)]
        return out


@dataclass(frozen=True, eq=False)
class LinePair:
    """Distributions P and Q on the line, with their potential."""

    mu: Frozen
    nu: Frozen
    piecewise_potential: PiecewiseLinear
    d: int = 1

    @classmethod
    def from_distributions(cls, mu: Frozen, nu: Frozen) -> LinePair:
        """Check both distributions and find their potential."""
        for distribution, name in ((mu, "mu"), (nu, "nu")):
            if not isinstance(getattr(distribution, "dist", None), stats.rv_continuous):
                raise InputError(
                    name,
                    "must be a frozen continuous distribution of scipy.stats, "
                    f"got {type(distribution).__name__}",
                    "pass one such as scipy.stats.norm(0, 1)",
                )
            read_distribution(distribution, name)  # raises for parameters outside their range
        pair = cls(mu, nu, _find_potential(mu, nu))
        x, y = pair._compute_quantiles((np.arange(2999) + 0.5) / 2999)  # not the levels of _find_potential
        distances = np.abs(x - y)
        loss = (
            distances.sum()
            - (pair.piecewise_potential.evaluate(x) - pair.piecewise_potential.evaluate(y)).sum()
        )
        if loss > MAX_POTENTIAL_LOSS * distances.sum():
            problem = f"must be resolved by the potential, which misses {loss / distances.sum():.1e} of W1"
            raise InputError(
                "mu, nu", problem, "pass distributions whose distribution functions cross less often"
            )
        return pair

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        return self._sample(self.mu, count, rng)[:, None].astype(dtype)

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        return self._sample(self.nu, count, rng)[:, None].astype(dtype)

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw equal quantiles."""
        # Inside (0, 1): a quantile at 0 or 1 may be infinite.
        x, y = self._compute_quantiles((rng.integers(2**52, size=count) + 0.5) / 2**52)
        return x[:, None], y[:, None]

    def potential(self, z: Array) -> Array:
        """Evaluate the piecewise linear potential."""
        return self.piecewise_potential.evaluate(z[:, 0])

    def gradient(self, z: Array) -> Array:
        """Evaluate the slope of the potential."""
        return self.piecewise_potential.compute_slope(z[:, 0])[:, None]

    def _compute_quantiles(self, u: Array) -> tuple[Array, Array]:
        return np.asarray(self.mu.ppf(u), dtype=float), np.asarray(self.nu.ppf(u), dtype=float)

    @staticmethod
    def _sample(distribution: Frozen, count: int, rng: np.random.Generator) -> Array:
        return np.asarray(distribution.rvs(size=count, random_state=rng), dtype=float)


def _compute_cdf_difference(mu: Frozen, nu: Frozen, t: Array) -> Array:
    """Compute G - F from the nearer tail: 1 - cdf would lose accuracy in the upper tail."""
    low, high = mu.cdf(t), nu.cdf(t)
    difference: Array = np.where(low + high < 1, high - low, mu.sf(t) - nu.sf(t))
    difference[np.abs(difference) <= CDF_ROUNDING] = 0
    return difference


def _find_potential(mu: Frozen, nu: Frozen) -> PiecewiseLinear:
    """Find the piecewise linear potential that turns where F and G cross."""
    tails = 2.0 ** -np.arange(MAX_TAIL_EXPONENT, np.log2(QUANTILE_LEVELS), -1)
    u = np.concatenate([tails, (np.arange(QUANTILE_LEVELS) + 0.5) / QUANTILE_LEVELS, 1 - tails[::-1]])
    t = np.unique(np.concatenate([np.asarray(distribution.ppf(u), dtype=float) for distribution in (mu, nu)]))
    difference = _compute_cdf_difference(mu, nu, t)
    t, sign = t[difference != 0], np.sign(difference[difference != 0])
    if len(t) == 0:
        raise InputError(
            "nu", "must differ from mu, got the same distribution", "pass two different distributions"
        )
    crossings = np.flatnonzero(sign[1:] != sign[:-1])
    if len(crossings) == 0:
        return PiecewiseLinear.from_slopes(t[:1], np.array([sign[0], sign[0]]))
    knots = [_find_crossing(mu, nu, t[k], t[k + 1]) for k in crossings]
    return PiecewiseLinear.from_slopes(np.array(knots), np.concatenate([[sign[0]], sign[crossings + 1]]))


def _find_crossing(mu: Frozen, nu: Frozen, low: float, high: float) -> float:
    root = brentq(
        lambda t: float(_compute_cdf_difference(mu, nu, np.array([t]))[0]),
        low,
        high,
        xtol=1e-15 * (high - low),
    )
    return float(root)
