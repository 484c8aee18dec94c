"""Laws in many dimensions that differ in one number only: a radius, or a projection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from otdist.arrays import Array
from otdist.bench.problems.lines import LineLaws, measured
from otdist.bench.problems.pair import Floating, Pair, divided, known, unit
from otdist.closed.checks import vector
from otdist.errors import InputError
from otdist.inputs.arguments import Rng
from otdist.inputs.arguments import check_count as require_count
from otdist.inputs.arguments import check_rng as generator

TOOTH, CONTRAST = 2.0, 0.8  # width of a tooth; how uneven the mass within it is


def radial(d: int, mu: Any = None, nu: Any = None) -> Pair:
    r"""Two radial laws about 0.

    ``W1`` is that between the laws of the radii, and a potential is their potential at :math:`|z|`.

    Parameters
    ----------
    d : int
        Number of columns.
    mu, nu : frozen continuous law of scipy.stats, optional
        Laws of :math:`|x|` under P and of :math:`|y|` under Q, on ``[0, inf)``. None: those that make P
        standard normal, and Q normal with standard deviation 3/2.

    Returns
    -------
    Pair
        ``w1`` and ``w1_error`` as in `laws_1d`.

    Raises
    ------
    InputError
        If d is no whole number of at least 1, or as in `laws_1d`, or for radii below 0.

    Notes
    -----
    Moving mass along rays from 0 costs ``E |r - s|`` for coupled radii r, s; a function of :math:`|z|`
    with slopes in [-1, 1] is 1-Lipschitz. So one coupling and one potential of the radii serve in R^d.
    The potential need not be monotone.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.radial(3)
    >>> round(pair.w1, 4)  # half the mean length of a standard normal vector
    0.7979
    """
    require_count(d, "d")
    return _around((d, d), mu, nu, None, "radial laws")


def cylinder(d: int, k: int, mu: Any = None, nu: Any = None, *, rotation: Rng = None) -> Pair:
    """Two laws that differ only in the distance to a (d - k)-dimensional subspace.

    ``W1`` is that between the laws of this distance r, and a potential is their potential at r.

    Parameters
    ----------
    d : int
        Number of columns.
    k : int
        Number of them in which the laws are radial, 1 to d; the others are standard normal in both, and
        independent of these.
    mu, nu : frozen continuous law of scipy.stats, optional
        Laws of r under P and Q, on ``[0, inf)``. None: those of `radial` in k columns.
    rotation : int or Generator, optional
        Seed of a random rotation of the subspace. None: it is where the first k columns are 0.

    Returns
    -------
    Pair
        ``w1`` and ``w1_error`` as in `laws_1d`.

    Raises
    ------
    InputError
        If k is not in 1 to d, or as in `radial`.

    Notes
    -----
    As in `radial`, with equal other columns on both sides of the coupling. The distance to a subspace is
    no minimum of few cones, unlike the potential of `funnels`.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.cylinder(32, 8, rotation=0)
    >>> round(pair.w1, 4), pair.sample(5, rng=0)[0].shape
    (1.3708, (5, 32))
    """
    for count, name in ((d, "d"), (k, "k")):
        require_count(count, name)
    if k > d:
        raise InputError("k", f"is {k}, more than d = {d}", "pass a number from 1 to d")
    basis = None if rotation is None else _rotation(d, generator(rotation))
    return _around((d, k), mu, nu, basis, f"cylinder, k={k}")


def ridge(w: ArrayLike, mu: Any = None, nu: Any = None, *, teeth: int = 6) -> Pair:
    """Two laws that differ along one direction only.

    ``W1`` is that between the laws of ``s = z.w / |w|``, and a potential is their potential at s: a zigzag.

    Parameters
    ----------
    w : array_like, shape (d,)
        The direction; its length does not matter. Across it both laws are standard normal, independent
        of s.
    mu, nu : frozen continuous law of scipy.stats, optional
        Laws of s under P and Q. None: Q is uniform on intervals of width 2, one a tooth, with the same
        mass of P in each: 9/10 of it on the left half of the first, third, ... and on the right half of
        the others.
    teeth : int
        Number of these intervals: the potential turns between them.

    Returns
    -------
    Pair
        ``w1`` is exactly 0.4 by default, else as in `laws_1d`.

    Raises
    ------
    InputError
        If w is 0, not finite or no vector, teeth is no whole number of at least 1, or only one law is
        given; or as in `laws_1d`.

    Notes
    -----
    Moving mass along w costs ``E |s - t|`` for coupled s, t. Within a tooth, of width 2, F - G is a
    triangle of height ``0.4 / teeth``.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.ridge([1.0, 0.0], teeth=2)
    >>> pair.w1, pair.gradient([[-1.0, 7.0], [1.0, 7.0]])[:, 0]
    (0.4, array([-1.,  1.]))
    """
    direction = vector(w, "w")
    if not direction.any():
        raise InputError("w", "is 0, which is no direction", "pass a vector that is not 0")
    require_count(teeth, "teeth")
    if given := _both(mu, nu):
        truth = measured(mu, nu)
    else:
        mu, nu = _comb(teeth)
        truth = TOOTH * CONTRAST / 4, 0.0
    laws = Ridge(unit(direction[None])[0], LineLaws.of(mu, nu))
    return Pair("ridge" if given else f"ridge, teeth={teeth}", laws, partial(known, *truth))


def _both(mu: Any, nu: Any) -> bool:
    """Whether both laws are given; raises InputError if only one is."""
    if (mu is None) != (nu is None):
        missing = "mu" if mu is None else "nu"
        raise InputError(missing, "is missing where the other law is given", "pass both laws, or neither")
    return mu is not None


def _around(size: tuple[int, int], mu: Any, nu: Any, basis: Array | None, name: str) -> Pair:
    d, k = size
    if not _both(mu, nu):
        mu, nu = stats.chi(k), stats.chi(k, scale=1.5)
    laws = LineLaws.of(mu, nu)
    for law, side in ((mu, "mu"), (nu, "nu")):
        if law.support()[0] < 0:
            raise InputError(side, f"reaches down to {law.support()[0]:g}", "pass a law of radii >= 0")
    return Pair(name, Around(d, k, laws, basis), partial(known, *measured(mu, nu)))


def _comb(teeth: int) -> tuple[Any, Any]:
    """Uneven and even mass on the same intervals."""
    edges = np.linspace(-teeth / 2, teeth / 2, 2 * teeth + 1) * TOOTH
    left = np.where(np.arange(teeth) % 2 == 0, 1 + CONTRAST, 1 - CONTRAST)
    uneven = np.stack([left, 2 - left], axis=1).ravel()
    return stats.rv_histogram((uneven, edges))(), stats.uniform(edges[0], edges[-1] - edges[0])


def _rotation(d: int, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return np.asarray(q * np.sign(np.diag(r)))  # with these signs uniform: Mezzadri (2007)


@dataclass(frozen=True, eq=False)
class Around:
    """Radial in k columns, standard normal in the others, then rotated."""

    d: int
    k: int
    radii: LineLaws
    basis: Array | None

    def first(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from P."""
        (x,) = self._placed([self.radii.first(count, rng, dtype)], rng)
        return x

    def second(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from Q."""
        (y,) = self._placed([self.radii.second(count, rng, dtype)], rng)
        return y

    def coupled(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw coupled radii in one direction."""
        x, y = self._placed(list(self.radii.coupled(count, rng)), rng)
        return x, y

    def potential(self, z: Array) -> Array:
        """Evaluate the potential of the radii."""
        return self.radii.profile.value(self._radius(self._inner(z)))

    def gradient(self, z: Array) -> Array:
        """Away from the subspace, or towards it; 0 on it."""
        inner = self._inner(z)
        slope = self.radii.profile.slope(self._radius(inner))
        out = np.zeros_like(z)
        out[:, : self.k] = unit(inner) * slope[:, None]
        return out if self.basis is None else out @ self.basis.T

    def _placed(self, radii: list[Floating], rng: np.random.Generator) -> list[Floating]:
        every: Floating = rng.standard_normal((len(radii[0]), self.d), dtype=radii[0].dtype)
        inner, outer = every[:, : self.k], every[:, self.k :]
        directions = divided(inner, np.sqrt(np.einsum("ij,ij->i", inner, inner)))
        places = [np.hstack([radius * directions, outer]) for radius in radii]
        if self.basis is None:
            return places
        return [place @ self.basis.T.astype(place.dtype) for place in places]

    def _inner(self, z: Array) -> Array:
        return z[:, : self.k] if self.basis is None else z @ self.basis[:, : self.k]

    @staticmethod
    def _radius(inner: Array) -> Array:
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", inner, inner)))


@dataclass(frozen=True, eq=False)
class Ridge:
    """Any two laws along a direction, standard normal across it."""

    direction: Array
    line: LineLaws

    @property
    def d(self) -> int:
        """Number of columns."""
        return len(self.direction)

    def first(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from P."""
        (x,) = self._placed([self.line.first(count, rng, dtype)], rng)
        return x

    def second(self, count: int, rng: np.random.Generator, dtype: Any) -> Floating:
        """Draw from Q."""
        (y,) = self._placed([self.line.second(count, rng, dtype)], rng)
        return y

    def coupled(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw coupled places along the direction, equal across it."""
        x, y = self._placed(list(self.line.coupled(count, rng)), rng)
        return x, y

    def potential(self, z: Array) -> Array:
        """Evaluate the potential along the direction."""
        return self.line.profile.value(z @ self.direction)

    def gradient(self, z: Array) -> Array:
        """Along the direction, forth or back."""
        slope = self.line.profile.slope(z @ self.direction)
        return np.asarray(slope[:, None] * self.direction)

    def _placed(self, along: list[Floating], rng: np.random.Generator) -> list[Floating]:
        across: Floating = rng.standard_normal((len(along[0]), self.d), dtype=along[0].dtype)
        direction = self.direction.astype(across.dtype)
        across -= (across @ direction)[:, None] * direction
        return [across + s * direction for s in along]
