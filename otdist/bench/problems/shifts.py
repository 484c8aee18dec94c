"""A law and its translate: the one pair whose potential is linear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from otdist.arrays import Array
from otdist.bench.problems.pair import Floating, Pair, known, require_finite, unit
from otdist.closed.checks import distance_of, vector
from otdist.errors import InputError

Base = Callable[[int, np.random.Generator], ArrayLike]


def shift(v: ArrayLike, base: Base | None = None) -> Pair:
    """Any law and its translate by v.

    ``W1 = |v|``, and a potential is the linear function ``f(z) = -z.v / |v|``.

    Parameters
    ----------
    v : array_like, shape (d,)
        Translation, not 0: Q is P moved by v.
    base : callable, optional
        ``base(n, rng)`` draws n points of P, shape (n, d). None: the standard normal law, which makes
        the pair that of two Gaussian laws with one covariance.

    Returns
    -------
    Pair
        ``w1`` is exact.

    Raises
    ------
    InputError
        If v is 0, not finite or no vector; when sampling, if ``base`` gives another shape or what is not
        finite.

    Notes
    -----
    Sampling costs what ``base`` costs. By Jensen's inequality every coupling costs at least the distance
    of the means, and the translation costs no more.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.shift([3.0, 4.0], base=lambda n, rng: rng.uniform(size=(n, 2)))
    >>> pair.w1, pair.gradient([[0.0, 0.0]])
    (5.0, array([[-0.6, -0.8]]))
    """
    step = vector(v, "v")
    length = distance_of(step, "v")
    if length == 0:
        raise InputError("v", "is 0, so that the laws are equal", "pass a vector that is not 0")
    return Pair("shift", Shift(step, base or partial(_normal, len(step))), partial(known, length))


@dataclass(frozen=True, eq=False)
class Shift:
    """A law and its translate."""

    step: Array
    base: Base

    @property
    def d(self) -> int:
        """Number of columns."""
        return len(self.step)

    def first(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from P."""
        x = np.asarray(self.base(count, rng), dtype=dtype)
        if x.shape != (count, self.d):
            raise InputError("base", f"gave shape {x.shape}, not {(count, self.d)}", "return one point a row")
        require_finite(x, "base")
        return x

    def second(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from Q."""
        y: Floating = self.first(count, rng, dtype) + self.step.astype(dtype)
        return y

    def coupled(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw points and their translates."""
        x = self.first(count, rng, np.dtype(np.float64))
        return x, x + self.step

    def potential(self, z: Array) -> Array:
        """Evaluate the linear function."""
        out: Array = z @ self.gradient(z[:1])[0] if len(z) else np.zeros(0)
        return out

    def gradient(self, z: Array) -> Array:
        """Its direction."""
        return np.repeat(-unit(self.step[None]), len(z), axis=0)


def _normal(d: int, n: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((n, d))
