"""Pairs of a distribution and its translate, with a linear potential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from otdist.bench.problems.pair import FloatArray, Pair, normalise_rows, return_known_w1
from otdist.closed.checks import compute_length, read_vector
from otdist.errors import InputError
from otdist.inputs.clouds import require_finite
from otdist.typing import Array, ArrayInput, FloatType

Sampler = Callable[[int, np.random.Generator], ArrayInput]


def shift(v: ArrayInput, base: Sampler | None = None) -> Pair:
    """Any distribution and its translate by v.

    ``W1 = |v|``, and a potential is the linear function ``f(z) = -z.v / |v|``.

    Parameters
    ----------
    v : array_like, shape (d,)
        Translation, not 0: Q is P translated by v.
    base : callable, optional
        ``base(n, rng)`` draws n points of P, shape (n, d). None: the standard normal distribution,
        so that P and Q are Gaussian distributions with equal covariances.

    Returns
    -------
    Pair
        ``w1`` is exact.

    Raises
    ------
    InputError
        If v is 0, not finite or not a vector; when sampling, if ``base`` returns another shape or
        non-finite values.

    Notes
    -----
    Sampling costs one call of ``base``. By Jensen's inequality every coupling costs at least the distance
    of the means, which the translation attains.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.shift([3.0, 4.0], base=lambda n, rng: rng.uniform(size=(n, 2)))
    >>> pair.w1, pair.gradient([[0.0, 0.0]])
    (5.0, array([[-0.6, -0.8]]))
    """
    translation = read_vector(v, "v")
    length = compute_length(translation, "v")
    if length == 0:
        raise InputError("v", "must not be 0: the distributions would be equal", "pass another vector")
    return Pair(
        "shift",
        ShiftedPair(translation, base or partial(_draw_normal, len(translation))),
        partial(return_known_w1, length),
    )


@dataclass(frozen=True, eq=False)
class ShiftedPair:
    """A distribution and its translate."""

    translation: Array
    base: Sampler

    @property
    def d(self) -> int:
        """Number of columns."""
        return len(self.translation)

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        x: FloatArray = np.asarray(self.base(count, rng), dtype=dtype)
        if x.shape != (count, self.d):
            raise InputError(
                "base", f"must return shape {(count, self.d)}, got {x.shape}", "return one point per row"
            )
        require_finite(x, "base", "make all values finite")
        return x

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        y: FloatArray = self.sample_p(count, rng, dtype) + self.translation.astype(dtype)
        return y

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw points with their translates."""
        x = self.sample_p(count, rng, np.dtype(np.float64))
        return x, x + self.translation

    def potential(self, z: Array) -> Array:
        """Evaluate the linear function."""
        out: Array = z @ self.gradient(z[:1])[0] if len(z) else np.zeros(0)
        return out

    def gradient(self, z: Array) -> Array:
        """Return the direction of the linear function for each point."""
        return np.repeat(-normalise_rows(self.translation[None]), len(z), axis=0)


def _draw_normal(d: int, n: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((n, d))
