"""Pairs in many dimensions that differ in one coordinate only: a radius or a projection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from otdist.bench.problems.lines import LinePair, compute_w1
from otdist.bench.problems.pair import FloatArray, Pair, divide_rows, normalise_rows, return_known_w1
from otdist.closed.checks import read_vector
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_count, check_number, check_rng
from otdist.typing import Array, ArrayInput, FloatType, Frozen

TOOTH_WIDTH, TOOTH_CONTRAST = (
    2.0,
    0.8,
)  # width of a tooth; relative difference of density between its halves and their mean


def radial(d: int, mu: Frozen | None = None, nu: Frozen | None = None) -> Pair:
    r"""Two radial distributions about 0.

    ``W1`` equals W1 between the distributions of the radii, and a potential is their potential at
    :math:`|z|`.

    Parameters
    ----------
    d : int
        Number of columns.
    mu, nu : frozen continuous distribution of scipy.stats, optional
        Distributions of :math:`|x|` under P and of :math:`|y|` under Q, on ``[0, inf)``. None: P is standard
        normal, and Q normal with standard deviation 3/2.

    Returns
    -------
    Pair
        ``w1`` and ``w1_error`` as in `laws_1d`.

    Raises
    ------
    InputError
        If d is not an integer >= 1, or as in `laws_1d`, or for radii below 0.

    Notes
    -----
    Moving mass along rays from 0 costs ``E |r - s|`` for coupled radii r, s; a function of :math:`|z|`
    with slopes in [-1, 1] is 1-Lipschitz. So an optimal coupling and a potential of the radii are optimal in
    R^d. The potential need not be monotone.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.radial(3)
    >>> round(pair.w1, 4)  # half the mean length of a standard normal vector
    0.7979
    """
    check_count(d, "d")
    return _make_radial_pair((d, d), mu, nu, None, "radial distributions")


def cylinder(
    d: int, k: int, mu: Frozen | None = None, nu: Frozen | None = None, *, rotation: Rng = None
) -> Pair:
    """Two distributions that differ only in the distance to a (d - k)-dimensional subspace.

    ``W1`` equals W1 between the distributions of this distance r, and a potential is their potential at r.

    Parameters
    ----------
    d : int
        Number of columns.
    k : int
        Number of columns in which the distributions are radial, 1 to d; the others are standard normal in
        both, and independent of these.
    mu, nu : frozen continuous distribution of scipy.stats, optional
        Distributions of r under P and Q, on ``[0, inf)``. None: as in `radial` with k columns.
    rotation : int or Generator, optional
        Seed of a random rotation of the subspace. None: in the subspace the first k columns are 0.

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
    not a minimum of few cones, unlike the potential of `funnels`.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.cylinder(32, 8, rotation=0)
    >>> round(pair.w1, 4), pair.sample(5, rng=0)[0].shape
    (1.3708, (5, 32))
    """
    for count, name in ((d, "d"), (k, "k")):
        check_count(count, name)
    check_number(k, "k", at_most=d, remedy="pass a number from 1 to d")
    basis = None if rotation is None else _draw_rotation(d, check_rng(rotation))
    return _make_radial_pair((d, k), mu, nu, basis, f"cylinder, k={k}")


def ridge(w: ArrayInput, mu: Frozen | None = None, nu: Frozen | None = None, *, teeth: int = 6) -> Pair:
    """Two distributions that differ along one direction only.

    ``W1`` equals W1 between the distributions of ``s = z.w / |w|``, and a potential is their piecewise linear
    potential at s.

    Parameters
    ----------
    w : array_like, shape (d,)
        Direction; its length does not matter. Orthogonal to it both distributions are standard normal and
        independent of s.
    mu, nu : frozen continuous distribution of scipy.stats, optional
        Distributions of s under P and Q. None: Q is uniform on ``teeth`` intervals of width 2, with the same
        mass of P in each: 9/10 of it on the left half of the first, third, ... and on the right half of
        the others.
    teeth : int
        Number of intervals; the potential turns between them.

    Returns
    -------
    Pair
        ``w1`` is exactly 0.4 by default, else as in `laws_1d`.

    Raises
    ------
    InputError
        If w is 0, not finite or not a vector, teeth is not an integer >= 1, or only one of mu and nu is
        passed; or as in `laws_1d`.

    Notes
    -----
    Moving mass along w costs ``E |s - t|`` for coupled s, t. Within an interval, F - G is a triangle of
    height ``0.4 / teeth``.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.ridge([1.0, 0.0], teeth=2)
    >>> pair.w1, pair.gradient([[-1.0, 7.0], [1.0, 7.0]])[:, 0]
    (0.4, array([-1.,  1.]))
    """
    direction = read_vector(w, "w")
    if not direction.any():
        raise InputError("w", "must not be 0", "pass the vector of a direction")
    check_count(teeth, "teeth")
    given = _pair_given(mu, nu)
    w1_and_error = compute_w1(*given) if given else (TOOTH_WIDTH * TOOTH_CONTRAST / 4, 0.0)
    line = LinePair.from_distributions(*(given or _make_comb(teeth)))
    distributions = RidgePair(normalise_rows(direction[None])[0], line)
    return Pair(
        "ridge" if given else f"ridge, teeth={teeth}",
        distributions,
        partial(return_known_w1, *w1_and_error),
    )


def _pair_given(mu: Frozen | None, nu: Frozen | None) -> tuple[Frozen, Frozen] | None:
    """Return mu and nu if they are passed, else None; raise InputError if only one is."""
    if mu is not None and nu is not None:
        return mu, nu
    if mu is not None or nu is not None:
        missing = "mu" if mu is None else "nu"
        raise InputError(missing, "must be passed with the other distribution", "pass both, or neither")
    return None


def _make_radial_pair(
    size: tuple[int, int], mu: Frozen | None, nu: Frozen | None, basis: Array | None, name: str
) -> Pair:
    d, k = size
    mu, nu = _pair_given(mu, nu) or (stats.chi(k), stats.chi(k, scale=1.5))
    distributions = LinePair.from_distributions(mu, nu)
    for distribution, argument in ((mu, "mu"), (nu, "nu")):
        if distribution.support()[0] < 0:
            problem = f"must have support in [0, inf), got a lower end of {distribution.support()[0]:g}"
            raise InputError(argument, problem, "pass a distribution of radii")
    return Pair(name, RadialPair(d, k, distributions, basis), partial(return_known_w1, *compute_w1(mu, nu)))


def _make_comb(teeth: int) -> tuple[Frozen, Frozen]:
    """Return an uneven and a uniform distribution on the same intervals."""
    edges = np.linspace(-teeth / 2, teeth / 2, 2 * teeth + 1) * TOOTH_WIDTH
    left = np.where(np.arange(teeth) % 2 == 0, 1 + TOOTH_CONTRAST, 1 - TOOTH_CONTRAST)
    uneven = np.stack([left, 2 - left], axis=1).ravel()
    return stats.rv_histogram((uneven, edges))(), stats.uniform(edges[0], edges[-1] - edges[0])


def _draw_rotation(d: int, rng: np.random.Generator) -> Array:
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    return np.asarray(q * np.sign(np.diag(r)))  # uniform with these signs: Mezzadri (2007)


@dataclass(frozen=True, eq=False)
class RadialPair:
    """Distributions that are radial in k columns and standard normal in the others, then rotated."""

    d: int
    k: int
    radii: LinePair
    basis: Array | None

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        (x,) = self._embed([self.radii.sample_p(count, rng, dtype)], rng)
        return x

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        (y,) = self._embed([self.radii.sample_q(count, rng, dtype)], rng)
        return y

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw coupled radii with a common direction."""
        x, y = self._embed(list(self.radii.sample_coupling(count, rng)), rng)
        return x, y

    def potential(self, z: Array) -> Array:
        """Evaluate the potential of the radii."""
        return self.radii.piecewise_potential.evaluate(self._compute_radius(self._project(z)))

    def gradient(self, z: Array) -> Array:
        """Evaluate the gradient, orthogonal to the subspace; 0 on it."""
        inner = self._project(z)
        slope = self.radii.piecewise_potential.compute_slope(self._compute_radius(inner))
        out = np.zeros_like(z)
        out[:, : self.k] = normalise_rows(inner) * slope[:, None]
        return out if self.basis is None else out @ self.basis.T

    def _embed(self, radii: list[FloatArray], rng: np.random.Generator) -> list[FloatArray]:
        normals: FloatArray = rng.standard_normal((len(radii[0]), self.d), dtype=radii[0].dtype)
        inner, outer = normals[:, : self.k], normals[:, self.k :]
        directions = divide_rows(inner, np.sqrt(np.einsum("ij,ij->i", inner, inner)))
        points = [np.hstack([radius * directions, outer]) for radius in radii]
        if self.basis is None:
            return points
        return [rows @ self.basis.T.astype(rows.dtype) for rows in points]

    def _project(self, z: Array) -> Array:
        return z[:, : self.k] if self.basis is None else z @ self.basis[:, : self.k]

    @staticmethod
    def _compute_radius(inner: Array) -> Array:
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", inner, inner)))


@dataclass(frozen=True, eq=False)
class RidgePair:
    """Any two distributions along a direction, standard normal in the orthogonal complement."""

    direction: Array
    line: LinePair

    @property
    def d(self) -> int:
        """Number of columns."""
        return len(self.direction)

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        (x,) = self._embed([self.line.sample_p(count, rng, dtype)], rng)
        return x

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        (y,) = self._embed([self.line.sample_q(count, rng, dtype)], rng)
        return y

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw coupled coordinates along the direction, with equal orthogonal parts."""
        x, y = self._embed(list(self.line.sample_coupling(count, rng)), rng)
        return x, y

    def potential(self, z: Array) -> Array:
        """Evaluate the potential along the direction."""
        return self.line.piecewise_potential.evaluate(z @ self.direction)

    def gradient(self, z: Array) -> Array:
        """Evaluate the gradient, the direction or its opposite."""
        slope = self.line.piecewise_potential.compute_slope(z @ self.direction)
        return np.asarray(slope[:, None] * self.direction)

    def _embed(self, along: list[FloatArray], rng: np.random.Generator) -> list[FloatArray]:
        across: FloatArray = rng.standard_normal((len(along[0]), self.d), dtype=along[0].dtype)
        direction = self.direction.astype(across.dtype)
        across -= (across @ direction)[:, None] * direction
        return [across + s * direction for s in along]
