"""Fréchet distance between Gaussian fits of two samples."""

from __future__ import annotations

import math
import warnings

import numpy as np

from otdist.inputs.arrays import caller_level
from otdist.learn.evaluation.inputs import read_samples
from otdist.typing import Array, ArrayInput


def frechet_distance(real: ArrayInput, fake: ArrayInput) -> float:
    r"""Compute the Fréchet distance as published, the squared W2 between Gaussian fits.

    .. math:: |\bar x - \bar y|^2 + \mathrm{tr}\bigl(A + B - 2 (A^{1/2} B A^{1/2})^{1/2}\bigr)

    with means and covariances (divided by n - 1) of the two samples. On Inception features this is the FID.

    Parameters
    ----------
    real : array_like, shape (n, ...)
        Rows, n at least 2; all axes but the first are one row.
    fake : array_like, shape (m, ...)
        Rows, m at least 2.

    Returns
    -------
    float
        Squared distance, at least 0, in squared units of the points.

    Raises
    ------
    InputError
        If columns differ, a sample has fewer than two rows, or a value is not finite.

    Warns
    -----
    UserWarning
        If a sample has no more rows than columns: its covariance is singular, and the value far above that of
        the distributions.

    Notes
    -----
    A value of 0 means that means and covariances agree, not the distributions. The estimate is biased upwards
    by O(d / n): compare at equal sizes only. Cost: O((n + m) d^2 + d^3) time, in float64. Source: Dowson,
    Landau (1982); Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017). Differs in the form: with A = F
    F', B = G G' the trace is ``|F - G U|^2`` for the polar factor U of G'F (Bhatia, Jain, Lim 2019), which
    needs no square root of a product, is never negative, and admits singular covariances. For given
    covariances see :func:`otdist.closed.gaussian`.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import frechet_distance
    >>> x = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(frechet_distance(x, x + [3.0, 4.0, 0.0]), 9)
    25.0
    """
    x, y = read_samples(2, real=real, fake=fake)
    if min(len(x), len(y)) <= x.shape[1]:
        warnings.warn(
            f"{len(x)} real and {len(y)} fake rows in {x.shape[1]} columns: a covariance is singular, the "
            "Fréchet distance far too large; give more rows, or fewer features",
            UserWarning,
            stacklevel=caller_level(),
        )
    return frechet_of_rows(x, y)


def frechet_of_rows(x: Array, y: Array) -> float:
    """Compute :func:`frechet_distance` of checked rows, without warnings."""
    mean_difference, left, right = _mean_difference_and_factors(x, y)
    u, _, vt = np.linalg.svd(right @ left.T, full_matrices=False)
    differences = left - (u @ vt).T @ right
    return float(mean_difference @ mean_difference + np.einsum("ij,ij->", differences, differences))


def _mean_difference_and_factors(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Return the difference of means, and factors F' and G' of the covariances with equally many rows."""
    # Relative to one row, so that large offsets do not cancel.
    x, y = x - x[0], y - x[0]
    left, right = _covariance_factor(x), _covariance_factor(y)
    n_rows = max(len(left), len(right))
    left, right = (np.pad(z, ((0, n_rows - len(z)), (0, 0))) for z in (left, right))
    return x.mean(axis=0) - y.mean(axis=0), left, right


def _covariance_factor(points: Array) -> Array:
    """Return the upper triangle R, of min(n, d) rows, with R'R the covariance."""
    triangle = np.asarray(np.linalg.qr(points - points.mean(axis=0), mode="r"))
    return triangle / math.sqrt(len(points) - 1)
