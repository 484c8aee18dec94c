"""Pairs of distributions with known W1: the common interface of all families of problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_count, check_rng
from otdist.inputs.arrays import read
from otdist.inputs.clouds import require_finite
from otdist.typing import Array, ArrayInput, FloatType

FloatArray = NDArray[Any]  # float64 or float32


class DistributionPair(Protocol):
    """Interface of a family of problems with distributions P and Q."""

    @property
    def d(self) -> int:
        """Number of columns."""

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType, /) -> FloatArray:
        """Draw from P."""

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType, /) -> FloatArray:
        """Draw from Q."""

    def sample_coupling(self, count: int, rng: np.random.Generator, /) -> tuple[Array, Array]:
        """Draw from an optimal coupling."""

    def potential(self, z: Array, /) -> Array:
        """Evaluate a Kantorovich potential."""

    def gradient(self, z: Array, /) -> Array:
        """Evaluate the gradient of the potential."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Distributions P and Q on R^d with known W1, optimal coupling, Kantorovich potential and gradient.

    Created by the functions of `otdist.bench.problems`. For every pair (x, y) of the coupling
    ``f(x) - f(y) = |x - y|`` with a 1-Lipschitz potential f, so that both are optimal:

    ``W1(P, Q) = E |x - y| = E_P f - E_Q f``.

    Attributes
    ----------
    name : str
        Name of the problem.
    d : int
        Number of columns.
    w1 : float
        W1 between P and Q.
    w1_error : float
        Standard error of `w1`, or half the width of a proved bracket; 0 where a formula exists.

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
    _distributions: DistributionPair
    _compute_w1: Callable[[], tuple[float, float]]

    @property
    def d(self) -> int:
        """Number of columns."""
        return self._distributions.d

    @cached_property
    def _w1_and_error(self) -> tuple[float, float]:
        return self._compute_w1()

    @property
    def w1(self) -> float:
        """W1 between P and Q."""
        return self._w1_and_error[0]

    @property
    def w1_error(self) -> float:
        """Standard error of `w1`, or half the width of a proved bracket; 0 where a formula exists."""
        return self._w1_and_error[1]

    def __repr__(self) -> str:
        return f"Pair({self.name}, d={self.d})"  # without W1, which may not be computed yet

    def sample(
        self, n: int, m: int | None = None, rng: Rng = None, dtype: DTypeLike = np.float64
    ) -> tuple[FloatArray, FloatArray]:
        """Draw independent samples of both distributions.

        Parameters
        ----------
        n, m : int
            Numbers of points; ``m=None`` means n.
        rng : int or Generator, optional
            Seed. Equal seeds give identical bytes.
        dtype : {float64, float32}
            Type of the samples. float32 is for training: faster, with the accuracy of its digits.

        Returns
        -------
        x : ndarray, shape (n, d)
            Points of P, all finite.
        y : ndarray, shape (m, d)
            Points of Q, independent of them.

        Raises
        ------
        InputError
            If a number is not a positive integer, or the seed or the dtype is invalid.
        """
        check_count(n, "n")
        if m is not None:
            check_count(m, "m")
        float_type, random = _check_dtype(dtype), check_rng(rng)
        x = self._distributions.sample_p(n, random, float_type)
        y = self._distributions.sample_q(n if m is None else m, random, float_type)
        return x, y

    def sample_coupling(self, n: int, rng: Rng = None) -> tuple[Array, Array]:
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
            Coupled points: row i of x in P is transported to row i of y in Q.

        Raises
        ------
        InputError
            If n is not a positive integer, or the seed is invalid.
        """
        check_count(n, "n")
        return self._distributions.sample_coupling(n, check_rng(rng))

    def potential(self, z: ArrayInput) -> Array:
        """Evaluate a 1-Lipschitz f with ``E_P f - E_Q f = W1``.

        Parameters
        ----------
        z : array_like, shape (n, d)
            Any points.

        Returns
        -------
        ndarray, shape (n,)
            Potential in float64, from direct differences; determined up to a constant.

        Raises
        ------
        InputError
            If z has another number of columns, or is not finite.
        """
        return self._distributions.potential(read_points(z, self.d))

    def gradient(self, z: ArrayInput) -> Array:
        """Evaluate the gradient of `potential`.

        Parameters
        ----------
        z : array_like, shape (n, d)
            Any points.

        Returns
        -------
        ndarray, shape (n, d)
            Unit vectors; 0 at tips, where the potential has no gradient.

        Raises
        ------
        InputError
            If z has another number of columns, or is not finite.
        """
        return self._distributions.gradient(read_points(z, self.d))


def return_known_w1(w1: float, error: float = 0.0) -> tuple[float, float]:
    """Return W1 and its error, for problems where both are known in advance."""
    return w1, error


def _check_dtype(dtype: DTypeLike) -> FloatType:
    try:
        float_type: np.dtype[Any] | None = np.dtype(dtype)
    except TypeError:
        float_type = None
    if float_type is None or float_type not in (np.float32, np.float64):
        raise InputError("dtype", f"must be float64 or float32, got {dtype!r}", "pass numpy.float64")
    return float_type


def read_points(values: ArrayInput, d: int, name: str = "z") -> Array:
    """Read finite points with d columns."""
    z = read(values, name).values
    if z.ndim != 2 or z.shape[1] != d:
        raise InputError(name, f"must have shape (n, {d}), got {z.shape}", "pass one point per row")
    require_finite(z, name, "make all values finite")
    return z


def normalise_rows(vectors: Array) -> Array:
    """Divide rows by their norms; rows of 0 stay 0."""
    # First by the largest entry: squares of differences below 1e-154 would underflow.
    scaled = divide_rows(vectors, np.abs(vectors).max(axis=1))
    return divide_rows(scaled, np.sqrt((scaled**2).sum(axis=1)))


def divide_rows(vectors: Array, lengths: Array) -> Array:
    """Divide each row by its length; rows of length 0 are divided by 1."""
    out: Array = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
    return out
