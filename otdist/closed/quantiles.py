"""Laws on the line as quantile functions, read from both ends.

Every function of ``u`` comes with ``top``: the mass u in (0, 1/2] is counted from the bottom where ``top`` is
False (``ppf``) and from the top where it is True (``isf``), so that both tails are reached to 1e-299.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import Array
from otdist.closed.shapes import Shape
from otdist.errors import InputError

Mask = NDArray[np.bool_]

# Powers of two down to 2^-992: exact, also as 1 - u as far as that can be represented.
DYADIC: Array = 2.0 ** -np.concatenate([np.arange(1, 64), np.arange(64, 256, 4), np.arange(256, 993, 16)])
ROUNDING = 1e-13  # allowed for scipy's quantiles, relative to their size and to the spread of the law


class Law(Protocol):
    """A law on the line; ``Steps`` and ``Smooth`` implement it."""

    @property
    def label(self) -> str:
        """How messages name it."""

    @property
    def size(self) -> int:
        """Number of samples; 0 for a law that is not a sample."""

    @property
    def bent(self) -> bool:
        """Whether the quantile function is convex or concave on every cell."""

    def slip(self, size: Array) -> Array:
        """Error allowed for quantiles of this size."""

    def edges(self, top: bool) -> Array:
        """Masses at which cells must end, in [0, 1/2]."""

    def floor(self, top: bool) -> float:
        """Smallest mass down to which the quantiles are known; 0 on a bounded side."""

    def ends(self, start: Array, stop: Array, top: Mask) -> Array:
        """Quantiles at the start, the middle and the end of cells, shape (3, k)."""

    def at(self, u: Array, top: Mask) -> Array:
        """Quantiles inside cells."""

    def tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Upper bound of ``(int_0^mass |X - centre|^p du)^(1/p)``; inf if none is known."""

    def finite_moment(self, p: float) -> bool | None:
        """Whether ``E|X|^p`` is finite; None if that is not known."""


@dataclass(frozen=True)
class Moments:
    """Mean, variance and excess kurtosis as scipy states them; nan where it does not."""

    mean: float
    variance: float
    kurtosis: float

    def finite(self, p: float) -> bool | None:
        """Whether ``E|X|^p`` is finite; None if that does not follow from these moments."""
        if not math.isfinite(self.mean):
            return False  # scipy gives nan for a mean that does not exist (Cauchy), inf for an infinite one
        if p == 1 or (p <= 2 and math.isfinite(self.variance)):
            return True
        if p <= 4 and math.isfinite(self.variance) and math.isfinite(self.kurtosis):
            return True
        infinite = (p >= 2 and self.variance == math.inf) or (p >= 4 and self.kurtosis == math.inf)
        return False if infinite else None

    def tail(self, mass: float, p: float, centre: float) -> float:
        """Hoelder's inequality: ``|X 1_tail|_p <= |X|_r mass^(1/p - 1/r)`` for r = 2 and r = 4."""
        bound = math.inf
        if p < 2 and math.isfinite(self.variance):
            norm = math.sqrt(self.variance) + abs(self.mean - centre)
            bound = norm * mass ** (1 / p - 1 / 2)
        if p < 4 and math.isfinite(self.variance) and math.isfinite(self.kurtosis):
            norm = (self.variance**2 * (self.kurtosis + 3)) ** 0.25 + abs(self.mean - centre)
            bound = min(bound, norm * mass ** (1 / p - 1 / 4))
        return bound


def _bounded_tail(end: float, start: float, mass: float, p: float, centre: float) -> float:
    return float(max(abs(end - centre), abs(start - centre)) * mass ** (1 / p))


@dataclass(frozen=True, eq=False)
class Steps:
    """A law with atoms: weighted samples, or a discrete law between two far quantiles.

    Attributes
    ----------
    values : ndarray, shape (k,)
        Atoms, increasing.
    below, above : ndarray, shape (k,)
        Mass up to and including each atom, counted from the bottom and (in reverse order) from the top.
    missing : (float, float)
        Mass beyond the first and the last atom.
    moments : Moments or None
        Of the whole law where mass is missing.
    """

    label: str
    size: int
    values: Array
    below: Array
    above: Array
    missing: tuple[float, float] = (0.0, 0.0)
    moments: Moments | None = None
    bent: bool = True

    def slip(self, size: Array) -> Array:
        """None: samples are numbers as they stand."""
        return np.zeros_like(size)

    def edges(self, top: bool) -> Array:
        """Masses at which the law steps."""
        steps = self.above if top else self.below
        return steps[steps < 0.5]

    def floor(self, top: bool) -> float:
        """Mass beyond the outermost atom."""
        return self.missing[top]

    def ends(self, start: Array, stop: Array, top: Mask) -> Array:
        """Give the same value three times: the law is constant on a cell."""
        return np.tile(self.at((start + stop) / 2, top), (3, 1))

    def at(self, u: Array, top: Mask) -> Array:
        """Atoms that hold the masses u."""
        last = len(self.values) - 1
        low = np.minimum(np.searchsorted(self.below, u), last)
        high = last - np.minimum(np.searchsorted(self.above, u), last)
        found: Array = self.values[np.where(top, high, low)]
        return found

    def tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Exact ends for samples, Hoelder's inequality for a discrete law."""
        if self.missing[top] > 0:
            return math.inf if self.moments is None else self.moments.tail(mass, p, centre)
        inner = float(self.at(np.array([mass]), np.array([top]))[0])
        return _bounded_tail(float(self.values[-1 if top else 0]), inner, mass, p, centre)

    def finite_moment(self, p: float) -> bool | None:
        """Whether ``E|X|^p`` is finite: samples have every moment."""
        if max(self.missing) == 0 or self.moments is None:
            return True
        return self.moments.finite(p)


@dataclass(frozen=True, eq=False)
class Smooth:
    """A continuous law of scipy.stats.

    Attributes
    ----------
    law, standard
        The frozen law, and the same at loc 0 and scale 1.
    loc, scale : float
        Position and scale.
    support : (float, float)
        Ends, possibly infinite.
    floors : (float, float)
        Smallest masses whose quantiles scipy finds.
    spread : float
        Distance of the quartiles.
    shape : Shape or None
        Known facts on the family, at ``arguments``.
    """

    label: str
    law: Any
    standard: Any
    loc: float
    scale: float
    support: tuple[float, float]
    floors: tuple[float, float]
    moments: Moments
    spread: float
    shape: Shape | None
    arguments: tuple[float, ...]
    size: int = 0

    @property
    def bent(self) -> bool:
        """Known shape, and cells end at its turning points."""
        return self.shape is not None

    def slip(self, size: Array) -> Array:
        """Error of scipy's quantiles, which near a root follows the spread instead."""
        return ROUNDING * (size + self.spread)

    def edges(self, top: bool) -> Array:
        """Powers of two, and the turning points of the density."""
        masses = [DYADIC, np.zeros(1)]
        if self.shape is not None:
            turns = np.array(self.shape.turns(*self.arguments))
            masses.append(np.asarray(self.standard.sf(turns) if top else self.standard.cdf(turns)))
        joined = np.concatenate(masses)
        return joined[(joined <= 0.5) & (joined >= self.floors[top])]

    def floor(self, top: bool) -> float:
        """Smallest mass whose quantile scipy finds."""
        return self.floors[top]

    def ends(self, start: Array, stop: Array, top: Mask) -> Array:
        """Quantiles at both ends and in the middle."""
        return np.stack([self.at(start, top), self.at((start + stop) / 2, top), self.at(stop, top)])

    def at(self, u: Array, top: Mask) -> Array:
        """Quantiles by ``ppf`` from the bottom and ``isf`` from the top."""
        out = np.empty_like(u)
        try:
            out[~top], out[top] = self.law.ppf(u[~top]), self.law.isf(u[top])
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

    def tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Bound by the support, by a power law for known families, or by Hoelder's inequality."""
        end = self.support[top]
        here = np.array([top])
        if math.isfinite(end):
            start = float(self.at(np.array([mass]), here)[0])
            return _bounded_tail(end, start, mass, p, centre)
        # Not both: scipy continues some infinite moments to finite ones (the kurtosis of invweibull(2.2)).
        if self.shape is None:
            return self.moments.tail(mass, p, centre)
        return self._power_tail(top, mass, p, centre)

    def _power_tail(self, top: bool, mass: float, p: float, centre: float) -> float:
        """Integrate the power law that the tail lies below.

        ``1 - F`` is log-concave in log x, so its slope -g at the quantile x of ``mass`` is at
        most that of the chord to a quantile further in, and ``int_0^mass X^p du <= mass x^p g / (g - p)``.
        """
        quantile = self.standard.isf if top else self.standard.ppf
        outer, inner = abs(float(quantile(mass))), float(quantile(16 * mass)) * (1 if top else -1)
        if not 0 < inner < outer:
            return math.inf
        power = math.log(16) / math.log(outer / inner) * (1 - 1e-6)  # the logarithm's rounding, generously
        if power <= p:
            return math.inf
        size = outer * (mass * power / (power - p)) ** (1 / p)
        return float(self.scale * size + abs(self.loc - centre) * mass ** (1 / p))

    def finite_moment(self, p: float) -> bool | None:
        """By the family where it is known, by scipy's moments elsewhere."""
        if all(math.isfinite(end) for end in self.support):
            return True
        if self.shape is not None:
            return p < self.shape.index(*self.arguments)
        return self.moments.finite(p)
