"""Problems of funnels: the published pairs, random pairs of the same family, and mirrored funnels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from importlib import resources

import numpy as np

from otdist.bench.problems.funnels import PUBLISHED_HALF_WIDTH, PUBLISHED_POWER, Funnels, drop_hidden_cones
from otdist.bench.problems.pair import FloatArray, Pair, return_known_w1
from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_count, check_number, check_rng
from otdist.typing import Array, FloatType, Mask

PUBLISHED_DIMENSIONS = (2, 4, 8, 16, 32, 64, 128)
PUBLISHED_COUNTS = (4, 16, 64, 256)
OFFSET_STD = 0.04  # standard deviation of the offsets, in half-widths: 0.1 in the published pairs


def w1bench(d: int, n: int) -> Pair:
    r"""Published pair of distributions in high dimension: mass is moved towards n tips along rays.

    With :math:`u(z) = \min_k |z - a_k| + b_k`, Q is uniform on :math:`[-2.5, 2.5]^d` and P its image
    under :math:`y \mapsto a + t^7 (y - a)`, where a is the tip that attains u(y) and t the relative
    position of y on the ray from a through y. A potential is -u.

    Parameters
    ----------
    d : {2, 4, 8, 16, 32, 64, 128}
        Number of columns.
    n : {4, 16, 64, 256}
        Number of funnels.

    Returns
    -------
    Pair
        ``w1`` is a Monte Carlo mean of the Rao-Blackwell form in `funnels`, with a standard error of 0.03 to
        0.4 %.

    Raises
    ------
    InputError
        If d or n is not published.

    Notes
    -----
    Sampling costs O(k d n) for k points: 1,024 in d = 128 from n = 256 take some 2 ms in float32.
    Source: Korotin, Kolesov, Burnaev (2022); tips and offsets are theirs (MIT licence,
    ``otdist/bench/data``), the code is not. Differs in that the gradient is computed in float64 from
    direct differences: their figures in 2 and 4 columns refer to a gradient with float32 rounding errors
    near the tips, and are not comparable.

    A critic that is a maximum or minimum of cones contains the potential of these pairs, so its scores are
    optimistic; evaluate it on the other problems as well.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.w1bench(128, 256)
    >>> round(pair.w1, 4), round(pair.w1_error, 4)
    (1.021, 0.0003)
    """
    for size, name, published in ((d, "d", PUBLISHED_DIMENSIONS), (n, "n", PUBLISHED_COUNTS)):
        check_count(size, name)
        if size not in published:
            raise InputError(
                name, f"must be one of {published}, got {size}", "use problems.funnels for other values"
            )
    with (
        resources.as_file(resources.files("otdist") / "bench" / "data" / "w1bench.npz") as path,
        np.load(path, allow_pickle=False) as data,
    ):
        tips, offsets = (data[f"d{d}_n{n}_{part}"].astype(float) for part in ("centers", "bias"))
        w1_and_error = [float(value) for value in data[f"d{d}_n{n}_w1"]]
    distributions = Funnels(*drop_hidden_cones(tips, offsets))
    return Pair(f"w1bench, n={n}", distributions, partial(return_known_w1, *w1_and_error))


def funnels(
    d: int,
    n: int,
    *,
    half_width: float = PUBLISHED_HALF_WIDTH,
    power: float = PUBLISHED_POWER,
    rng: Rng = None,
) -> Pair:
    r"""Pair of the family of `w1bench`, with random tips.

    .. math:: W_1 = \Bigl(\frac{d}{d+1} - \frac{d}{d+p}\Bigr)\, \mathrm{E}_{y \sim Q}\, R(y)

    with the length R of the ray through y: the regions of the cones are star-shaped about
    their tips, so that the relative position t of y is Beta(d, 1) and independent of the ray.

    Parameters
    ----------
    d : int
        Number of columns.
    n : int
        Number of funnels; those that lie above others everywhere are dropped.
    half_width : float
        Half the width of the cube ``[-half_width, half_width]^d``, in [1e-9, 1e9]. Tips are uniform on the
        cube, offsets normal with standard deviation ``0.04 half_width``.
    power : float
        Exponent p in the formula, greater than 1: y moves to ``a + t^(p-1) (y - a)``.
    rng : int or Generator, optional
        Seed of tips, offsets and the truth.

    Returns
    -------
    Pair
        ``w1`` is the mean over 65,536 rays, computed in float64 at the first access, with its standard
        error.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    W1 takes O(65,536 n d), some 0.2 s for n = 256 and d = 128; sampling as in `w1bench`. Source:
    Korotin, Kolesov, Burnaev (2022), section 4; the formula for W1 is not from there.

    Examples
    --------
    >>> from otdist.bench import problems
    >>> pair = problems.funnels(2, 5, rng=0)
    >>> x, y = pair.sample_coupling(20_000, rng=1)
    >>> mean = ((x - y) ** 2).sum(axis=1) ** 0.5
    >>> bool(abs(mean.mean() - pair.w1) < 4 * (mean.std() / 20_000**0.5 + pair.w1_error))
    True
    """
    random = check_rng(rng)
    distributions = _draw_funnels((d, n), half_width, power, random)
    return Pair(
        f"funnels, n={n}", distributions, partial(_estimate_w1, (distributions,), int(random.integers(2**62)))
    )


def min_max(
    d: int,
    n: int,
    *,
    half_width: float = PUBLISHED_HALF_WIDTH,
    power: float = PUBLISHED_POWER,
    rng: Rng = None,
) -> Pair:
    r"""Mixture of funnels and mirrored funnels, whose potential is neither a minimum nor a maximum of cones.

    In a cube A on the left, mass of P lies nearer to the tips of :math:`u = \min_k |z - a_k| + b_k` than
    mass of Q; in a cube B on the right, Q lies nearer to the tips of another such function v. Each cube has
    half of the mass. With g the distance of the cubes and :math:`\beta` the left face of B, a potential is

    .. math:: f(z) = \max\bigl(-u(z),\; \min(v(z) + e,\; \bar v + e + z_1 - \beta)\bigr).

    Parameters
    ----------
    d : int
        Number of columns.
    n : int
        Number of funnels on each side.
    half_width : float
        Half the width of both cubes.
    power : float
        Exponent greater than 1, as in `funnels`.
    rng : int or Generator, optional
        Seed of tips, offsets and the truth.

    Returns
    -------
    Pair
        ``w1`` is the mean of W1 in both cubes, each computed as in `funnels`.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    f is 1-Lipschitz, since its three parts are, and maxima and minima preserve this. With bounds
    :math:`\underline u \le u \le \bar u` on A and :math:`\underline v \le v \le \bar v` on B,

    - on A the third part is at most :math:`\bar v + e - g`, and f = -u where that is at most :math:`-\bar u`;
    - on B it is at least :math:`\bar v + e`, and :math:`-u \le -\underline u - g`: there f = v + e where
      that is at most :math:`\underline v + e`.

    So :math:`g \ge \max(\bar u + \bar v + e,\; -\underline u - \underline v - e)` is enough; the e that
    makes both equal gives :math:`g = (\bar u - \underline u + \bar v - \underline v) / 2`. Along the rays
    in both cubes f falls by the distance of transport, so the coupling along rays costs
    ``E_P f - E_Q f``: both are optimal. With n = 16 the cubes are about 4 apart in
    d = 2, and 36 in d = 128.

    Cost: twice the cost of `funnels`. Source: McShane (1934) for the extension; the family
    is not from the literature.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.bench import problems
    >>> pair = problems.min_max(3, 4, rng=0)
    >>> x, y = pair.sample_coupling(1000, rng=1)
    >>> distances = ((x - y) ** 2).sum(axis=1) ** 0.5
    >>> bool(np.allclose(pair.potential(x) - pair.potential(y), distances))
    True
    """
    random = check_rng(rng)
    left, right = (_draw_funnels((d, n), half_width, power, random) for _ in range(2))
    compute_w1 = partial(_estimate_w1, (left, right), int(random.integers(2**62)))
    return Pair(f"min-max funnels, n={n}", MirroredFunnels(left, right), compute_w1)


@dataclass(frozen=True, eq=False)
class MirroredFunnels:
    """Funnels in the left cube, and funnels with P and Q exchanged in the right cube."""

    left: Funnels
    right: Funnels

    @property
    def d(self) -> int:
        """Number of columns."""
        return self.left.d

    @property
    def centre_offset(self) -> float:
        """Distance of the centre of each cube from 0."""
        ranges = self.left.upper_bound - self.left.minimum + self.right.upper_bound - self.right.minimum
        return self.left.half_width + ranges / 4

    @property
    def potential_offset(self) -> float:
        """Constant e of the potential."""
        return -(self.left.upper_bound + self.left.minimum + self.right.upper_bound + self.right.minimum) / 2

    def sample_p(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from P."""
        in_left_cube = rng.random(count) < 0.5
        k = int(in_left_cube.sum())
        return self._merge_cubes(
            in_left_cube, self.left.sample_p(k, rng, dtype), self.right.sample_q(count - k, rng, dtype)
        )

    def sample_q(self, count: int, rng: np.random.Generator, dtype: FloatType) -> FloatArray:
        """Draw from Q."""
        in_left_cube = rng.random(count) < 0.5
        k = int(in_left_cube.sum())
        return self._merge_cubes(
            in_left_cube, self.left.sample_q(k, rng, dtype), self.right.sample_p(count - k, rng, dtype)
        )

    def sample_coupling(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw from the optimal coupling: along the rays, away from the tips in the right cube."""
        in_left_cube = rng.random(count) < 0.5
        k = int(in_left_cube.sum())
        near, far = self.left.sample_coupling(k, rng)
        moved, uniform = self.right.sample_coupling(count - k, rng)
        return self._merge_cubes(in_left_cube, near, uniform), self._merge_cubes(in_left_cube, far, moved)

    def potential(self, z: Array) -> Array:
        """Evaluate the maximum of -u and of the minimum of v and the linear part."""
        low, high, linear = self._evaluate_parts(z)
        return np.maximum(low, np.minimum(high, linear))

    def gradient(self, z: Array) -> Array:
        """Evaluate the gradient of the part that attains the potential."""
        low, high, linear = self._evaluate_parts(z)
        out = np.zeros_like(z)
        out[:, 0] = 1
        left = low >= np.minimum(high, linear)
        right = ~left & (high <= linear)
        out[left] = self.left.gradient(self._translate(z[left], self.centre_offset))
        out[right] = -self.right.gradient(self._translate(z[right], -self.centre_offset))
        return out

    def _evaluate_parts(self, z: Array) -> tuple[Array, Array, Array]:
        low = self.left.potential(self._translate(z, self.centre_offset))
        high = self.potential_offset - self.right.potential(self._translate(z, -self.centre_offset))
        linear = (
            self.right.upper_bound
            + self.potential_offset
            + (z[:, 0] - (self.centre_offset - self.right.half_width))
        )
        return low, high, linear

    def _merge_cubes(self, in_left_cube: Mask, left: FloatArray, right: FloatArray) -> FloatArray:
        out = np.empty((len(in_left_cube), self.d), dtype=left.dtype)
        out[in_left_cube] = self._translate(left, -self.centre_offset)
        out[~in_left_cube] = self._translate(right, self.centre_offset)
        return out

    @staticmethod
    def _translate(z: FloatArray, step: float) -> FloatArray:
        out = z.copy()
        out[:, 0] += step
        return out


def _draw_funnels(
    size: tuple[int, int], half_width: float, power: float, rng: np.random.Generator
) -> Funnels:
    """Check the arguments of `funnels` and `min_max`, and draw tips and offsets."""
    for count, name in zip(size, ("d", "n"), strict=True):
        check_count(count, name)
    # Squares of distances must be normal numbers in float32.
    half = check_number(
        half_width, "half_width", at_least=1e-9, at_most=1e9, remedy="pass a number such as 2.5"
    )
    exponent = check_number(power, "power", above=1, remedy="pass a number such as 8; at 1 no mass moves")
    d, n = size
    tips = rng.uniform(-half, half, (n, d))
    return Funnels(*drop_hidden_cones(tips, rng.normal(0, OFFSET_STD * half, n)), half, exponent)


def _estimate_w1(parts: tuple[Funnels, ...], seed: int) -> tuple[float, float]:
    """Estimate W1 of a mixture of parts with equal mass, and its standard error."""
    rng = np.random.default_rng(seed)
    means, errors = zip(*(part.estimate_w1(rng) for part in parts), strict=True)
    return sum(means) / len(parts), math.hypot(*errors) / len(parts)
