"""A pair of laws that knows its W1: what every family of problems answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from otdist.arrays import Array, read
from otdist.errors import InputError
from otdist.inputs.arguments import Rng
from otdist.inputs.arguments import check_count as require_count
from otdist.inputs.arguments import check_rng as generator

Floating = NDArray[Any]  # float64 or float32


class Laws(Protocol):
    """What a family knows of its two laws P and Q."""

    @property
    def d(self) -> int:
        """Number of columns."""

    def first(self, count: int, rng: np.random.Generator, dtype: np.dtype[Any], /) -> Floating:
        """Draw from P."""

    def second(self, count: int, rng: np.random.Generator, dtype: np.dtype[Any], /) -> Floating:
        """Draw from Q."""

    def coupled(self, count: int, rng: np.random.Generator, /) -> tuple[Array, Array]:
        """Draw from an optimal coupling."""

    def potential(self, z: Array, /) -> Array:
        """Evaluate a Kantorovich potential."""

    def gradient(self, z: Array, /) -> Array:
        """Evaluate its gradient."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two laws P and Q on R^d with known W1, optimal coupling, Kantorovich potential and gradient.

    Made by the functions of `otdist.bench.problems`. For every pair (x, y) of the coupling
    ``f(x) - f(y) = |x - y|`` with a potential f that is 1-Lipschitz, so that both are optimal:

    ``W1(P, Q) = E |x - y| = E_P f - E_Q f``.

    Attributes
    ----------
    name : str
        What it is.
    d : int
        Number of columns.
    w1 : float
        W1 between P and Q.
    w1_error : float
        Its standard error, or half the width of a proved bracket; 0 where W1 is a formula.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.shift([3.0, 4.0])
    >>> pair.w1, pair.w1_error, pair.d
    (5.0, 0.0, 2)
    >>> x, y = pair.sample(1000, rng=0)
    >>> x.shape, y.shape
    ((1000, 2), (1000, 2))
    """

    name: str
    _laws: Laws
    _truth: Callable[[], tuple[float, float]]

    @property
    def d(self) -> int:
        """Number of columns."""
        return self._laws.d

    @cached_property
    def _known(self) -> tuple[float, float]:
        return self._truth()

    @property
    def w1(self) -> float:
        """W1 between P and Q."""
        return self._known[0]

    @property
    def w1_error(self) -> float:
        """Standard error of `w1`, or half the width of a proved bracket; 0 where it is a formula."""
        return self._known[1]

    def __repr__(self) -> str:
        return f"Pair({self.name}, d={self.d})"  # without W1, which may be still to be computed

    def sample(
        self, n: int, m: int | None = None, rng: Rng = None, dtype: DTypeLike = np.float64
    ) -> tuple[Floating, Floating]:
        """Draw independent samples of both laws.

        Parameters
        ----------
        n, m : int
            Numbers of points; ``m=None`` means n.
        rng : int or Generator, optional
            Seed. The same one gives the same bytes.
        dtype : {float64, float32}
            Of the samples. float32 is for training: quicker, and as close to the law as its digits allow.

        Returns
        -------
        x : ndarray, shape (n, d)
            Points of P, all finite.
        y : ndarray, shape (m, d)
            Points of Q, independent of them.

        Raises
        ------
        InputError
            If a number is not whole and positive, the seed is none, or the dtype is another one.
        """
        require_count(n, "n")
        if m is not None:
            require_count(m, "m")
        kind, random = _dtype(dtype), generator(rng)
        x = self._laws.first(n, random, kind)
        y = self._laws.second(n if m is None else m, random, kind)
        return x, y

    def coupled(self, n: int, rng: Rng = None) -> tuple[Array, Array]:
        """Draw pairs of an optimal coupling: ``E |x - y| = W1``.

        Parameters
        ----------
        n : int
            Number of pairs.
        rng : int or Generator, optional
            Seed.

        Returns
        -------
        x, y : ndarray, shape (n, d)
            Row i of x in P travels to row i of y in Q.

        Raises
        ------
        InputError
            If n is not whole and positive, or the seed is none.
        """
        require_count(n, "n")
        return self._laws.coupled(n, generator(rng))

    def potential(self, z: ArrayLike) -> Array:
        """Evaluate a 1-Lipschitz f with ``E_P f - E_Q f = W1``.

        Parameters
        ----------
        z : array_like, shape (n, d)
            Points anywhere.

        Returns
        -------
        ndarray, shape (n,)
            In float64, from direct differences; determined up to a constant.

        Raises
        ------
        InputError
            If z has another number of columns, or is not finite.
        """
        return self._laws.potential(points_of(z, self.d))

    def gradient(self, z: ArrayLike) -> Array:
        """Evaluate the gradient of `potential`.

        Parameters
        ----------
        z : array_like, shape (n, d)
            Points anywhere.

        Returns
        -------
        ndarray, shape (n, d)
            Unit vectors; 0 where the potential has a tip and no gradient.

        Raises
        ------
        InputError
            If z has another number of columns, or is not finite.
        """
        return self._laws.gradient(points_of(z, self.d))


def known(w1: float, error: float = 0.0) -> tuple[float, float]:
    """Truth that needs no computing."""
    return w1, error


def _dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind is None or kind not in (np.float32, np.float64):
        raise InputError("dtype", f"{dtype!r} is neither float64 nor float32", "pass numpy.float64")
    return kind


def points_of(values: Any, d: int, name: str = "z") -> Array:
    """Read finite points with d columns."""
    z = read(values, name).values
    if z.ndim != 2 or z.shape[1] != d:
        raise InputError(name, f"has shape {z.shape}, not (n, {d})", "pass one point a row")
    require_finite(z, name)
    return z


def require_finite(values: Floating, name: str) -> None:
    """Raise InputError at the first row that is not finite."""
    if not np.isfinite(values).all():
        first = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(name, f"row {first} is not finite", "make all of them finite numbers")


def unit(vectors: Array) -> Array:
    """Divide rows by their lengths; 0 stays 0."""
    # Twice, and by the largest entry first: squares of differences below 1e-154 would vanish.
    scaled = divided(vectors, np.abs(vectors).max(axis=1))
    return divided(scaled, np.sqrt((scaled**2).sum(axis=1)))


def divided(vectors: Array, lengths: Array) -> Array:
    """Divide rows by numbers; by 1 instead of 0."""
    out: Array = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
    return out
