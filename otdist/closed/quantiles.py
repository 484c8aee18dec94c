"""Distributions on the line as quantile functions, evaluated from both ends.

Every function of ``u`` takes ``top``: the mass u in (0, 1/2] is counted from the bottom where ``top`` is
False (``ppf``) and from the top where it is True (``isf``), so that both tails are reached to 1e-299.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from otdist.closed.shapes import Shape
from otdist.errors import InputError
from otdist.typing import Array, Frozen, Mask

# Powers of two down to 2^-992: exact, also as 1 - u as far as that can be represented.
DYADIC: Array = 2.0 ** -np.concatenate([np.arange(1, 64), np.arange(64, 256, 4), np.arange(256, 993, 16)])
QUANTILE_RTOL = (
    1e-13  # error allowed for scipy's quantiles, relative to their size and to the quartile distance
)


class LineDistribution(Protocol):
    """Distribution on the line; see ``DiscreteDistribution`` and ``ContinuousDistribution``."""

    @property
    def label(self) -> str:
        """Name of the distribution in messages."""

    @property
    def size(self) -> int:
        """Number of samples; 0 for a distribution that is not a sample."""

    @property
    def convex_or_concave(self) -> bool:
        """True if the quantile function is convex or concave on every cell."""

    def bound_error(self, size: Array) -> Array:
        """Bound the errors of quantiles of this size."""

    def compute_edges(self, top: bool) -> Array:
        """Compute the masses in [0, 1/2] at which cells must end."""

    def get_smallest_mass(self, top: bool) -> float:
        """Return the smallest mass down to which the quantiles are known; 0 on a bounded side."""

    def evaluate_cells(self, start: Array, stop: Array, top: Mask) -> Array:
        """Compute quantiles at the start, the middle and the end of cells, shape (3, k)."""

    def evaluate(self, u: Array, top: Mask) -> Array:
        """Compute quantiles inside cells."""

    def bound_tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Bound ``(int_0^mass |X - centre|^p du)^(1/p)`` from above; inf if no bound is known."""

    def has_finite_moment(self, p: float) -> bool | None:
        """Return whether ``E|X|^p`` is finite; None if unknown."""


@dataclass(frozen=True)
class Moments:
    """Mean, variance and excess kurtosis as stated by scipy; nan where it states none."""

    mean: float
    variance: float
    kurtosis: float

    def has_finite_moment(self, p: float) -> bool | None:
        """Return whether ``E|X|^p`` is finite; None if these moments do not tell."""
        if not math.isfinite(self.mean):
            return False  # scipy gives nan for a mean that does not exist (Cauchy), inf for an infinite one
        if p == 1 or (p <= 2 and math.isfinite(self.variance)):
            return True
        if p <= 4 and math.isfinite(self.variance) and math.isfinite(self.kurtosis):
            return True
        infinite = (p >= 2 and self.variance == math.inf) or (p >= 4 and self.kurtosis == math.inf)
        return False if infinite else None

    def bound_tail(self, mass: float, p: float, centre: float) -> float:
        """Bound the tail by Hoelder: ``|X 1_tail|_p <= |X|_r mass^(1/p - 1/r)`` for r = 2 and r = 4."""
        bound = math.inf
        if p < 2 and math.isfinite(self.variance):
            norm = math.sqrt(self.variance) + abs(self.mean - centre)
            bound = norm * mass ** (1 / p - 1 / 2)
        if p < 4 and math.isfinite(self.variance) and math.isfinite(self.kurtosis):
            norm = (self.variance**2 * (self.kurtosis + 3)) ** 0.25 + abs(self.mean - centre)
            bound = min(bound, norm * mass ** (1 / p - 1 / 4))
        return bound


def _bound_finite_tail(end: float, start: float, mass: float, p: float, centre: float) -> float:
    return float(max(abs(end - centre), abs(start - centre)) * mass ** (1 / p))


@dataclass(frozen=True, eq=False)
class DiscreteDistribution:
    """Distribution with atoms: weighted samples, or a discrete distribution between two far quantiles.

    Attributes
    ----------
    values : ndarray, shape (k,)
        Atoms, increasing.
    mass_below, mass_above : ndarray, shape (k,)
        Mass up to and including each atom, counted from the bottom and (in reverse order) from the top.
    missing_mass : (float, float)
        Mass beyond the first and the last atom.
    moments : Moments or None
        Moments of the whole distribution where mass is missing.
    """

    label: str
    size: int
    values: Array
    mass_below: Array
    mass_above: Array
    missing_mass: tuple[float, float] = (0.0, 0.0)
    moments: Moments | None = None
    convex_or_concave: bool = True

    def bound_error(self, size: Array) -> Array:
        """Return 0: atoms are exact."""
        return np.zeros_like(size)

    def compute_edges(self, top: bool) -> Array:
        """Compute the cumulative masses of the atoms."""
        steps = self.mass_above if top else self.mass_below
        return steps[steps < 0.5]

    def get_smallest_mass(self, top: bool) -> float:
        """Return the mass beyond the outermost atom."""
        return self.missing_mass[top]

    def evaluate_cells(self, start: Array, stop: Array, top: Mask) -> Array:
        """Return the same value three times: the quantile function is constant on a cell."""
        return np.tile(self.evaluate((start + stop) / 2, top), (3, 1))

    def evaluate(self, u: Array, top: Mask) -> Array:
        """Return the atoms at the masses u."""
        last = len(self.values) - 1
        from_below = np.minimum(np.searchsorted(self.mass_below, u), last)
        from_above = last - np.minimum(np.searchsorted(self.mass_above, u), last)
        atoms: Array = self.values[np.where(top, from_above, from_below)]
        return atoms

    def bound_tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Bound by the outermost atom for samples, by Hoelder's inequality for a discrete distribution."""
        if self.missing_mass[top] > 0:
            return math.inf if self.moments is None else self.moments.bound_tail(mass, p, centre)
        quantile = float(self.evaluate(np.array([mass]), np.array([top]))[0])
        return _bound_finite_tail(float(self.values[-1 if top else 0]), quantile, mass, p, centre)

    def has_finite_moment(self, p: float) -> bool | None:
        """Return whether ``E|X|^p`` is finite: samples have every moment."""
        if max(self.missing_mass) == 0 or self.moments is None:
            return True
        return self.moments.has_finite_moment(p)


@dataclass(frozen=True, eq=False)
class ContinuousDistribution:
    """Continuous distribution of scipy.stats.

    Attributes
    ----------
    frozen, standard
        The frozen distribution, and the same at loc 0 and scale 1.
    loc, scale : float
        Position and scale.
    support : (float, float)
        Ends, possibly infinite.
    smallest_masses : (float, float)
        Smallest masses whose quantiles scipy finds.
    iqr : float
        Distance of the quartiles, the interquartile range.
    shape : Shape or None
        Known properties of the family, with the shape parameters ``arguments``.
    """

    label: str
    frozen: Frozen
    standard: Frozen
    loc: float
    scale: float
    support: tuple[float, float]
    smallest_masses: tuple[float, float]
    moments: Moments
    iqr: float
    shape: Shape | None
    arguments: tuple[float, ...]
    size: int = 0

    @property
    def convex_or_concave(self) -> bool:
        """True if the shape is known: cells then end at its turning points."""
        return self.shape is not None

    def bound_error(self, size: Array) -> Array:
        """Bound the errors of scipy's quantiles, which near a root are relative to the quartile distance."""
        return QUANTILE_RTOL * (size + self.iqr)

    def compute_edges(self, top: bool) -> Array:
        """Compute powers of two, and the masses at the turning points of the density."""
        masses = [DYADIC, np.zeros(1)]
        if self.shape is not None:
            turning_points = np.array(self.shape.turning_points(*self.arguments))
            masses.append(
                np.asarray(self.standard.sf(turning_points) if top else self.standard.cdf(turning_points))
            )
        edges = np.concatenate(masses)
        return edges[(edges <= 0.5) & (edges >= self.smallest_masses[top])]

    def get_smallest_mass(self, top: bool) -> float:
        """Return the smallest mass whose quantile scipy finds."""
        return self.smallest_masses[top]

    def evaluate_cells(self, start: Array, stop: Array, top: Mask) -> Array:
        """Compute quantiles at both ends and in the middle."""
        return np.stack(
            [self.evaluate(start, top), self.evaluate((start + stop) / 2, top), self.evaluate(stop, top)]
        )

    def evaluate(self, u: Array, top: Mask) -> Array:
        """Compute quantiles by ``ppf`` from the bottom and ``isf`` from the top."""
        out = np.empty_like(u)
        try:
            out[~top], out[top] = self.frozen.ppf(u[~top]), self.frozen.isf(u[top])
        except RuntimeError as error:
            raise InputError(
                self.label, f"scipy finds no quantile ({error})", "pass samples of it"
            ) from error
        if not np.isfinite(out).all():
            first = float(u[~np.isfinite(out)][0])
            raise InputError(
                self.label, f"scipy's quantile at mass {first:g} is not finite", "check its parameters"
            )
        return out

    def bound_tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Bound by the support, by a power law for known families, or by Hoelder's inequality."""
        end = self.support[top]
        tops = np.array([top])
        if math.isfinite(end):
            start = float(self.evaluate(np.array([mass]), tops)[0])
            return _bound_finite_tail(end, start, mass, p, centre)
        # Never both bounds: scipy states finite values for some infinite moments (kurtosis of invweibull).
        if self.shape is None:
            return self.moments.bound_tail(mass, p, centre)
        return self._bound_power_tail(top, mass, p, centre)

    def _bound_power_tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Bound the tail by the integral of a power law.

        ``1 - F`` is log-concave in log x, so its slope -g at the quantile x of ``mass`` is at
        most that of the chord to a quantile further in, and ``int_0^mass X^p du <= mass x^p g / (g - p)``.
        """
        quantile = self.standard.isf if top else self.standard.ppf
        outer, inner = abs(float(quantile(mass))), float(quantile(16 * mass)) * (1 if top else -1)
        if not 0 < inner < outer:
            return math.inf
        power = (
            math.log(16) / math.log(outer / inner) * (1 - 1e-6)
        )  # a generous bound of the rounding of the logarithms
        if power <= p:
            return math.inf
        size = outer * (mass * power / (power - p)) ** (1 / p)
        return float(self.scale * size + abs(self.loc - centre) * mass ** (1 / p))

    def has_finite_moment(self, p: float) -> bool | None:
        """Return whether ``E|X|^p`` is finite, by the family if known, else by scipy's moments."""
        if all(math.isfinite(end) for end in self.support):
            return True
        if self.shape is not None:
            return p < self.shape.moment_index(*self.arguments)
        return self.moments.has_finite_moment(p)
