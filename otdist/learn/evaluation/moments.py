"""The Frechet distance: what two samples differ by in mean and covariance."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from otdist.arrays import caller_level
from otdist.learn.evaluation.inputs import Array, samples


def frechet_distance(real: Any, fake: Any) -> float:
    r"""Fréchet distance as it is published: the squared W2 between Gaussian fits.

    .. math:: |\bar x - \bar y|^2 + \mathrm{tr}\bigl(A + B - 2 (A^{1/2} B A^{1/2})^{1/2}\bigr)

    with means and covariances (divided by n - 1) of the two samples. On Inception features it is FID.

    Parameters
    ----------
    real : array_like, shape (n, ...)
        Rows, n at least 2; all axes but the first are one row.
    fake : array_like, shape (m, ...)
        Rows, m at least 2.

    Returns
    -------
    float
        At least 0, in squared units of the points.

    Raises
    ------
    InputError
        If columns differ, a sample has fewer than two rows, or a value is not finite.

    Warns
    -----
    UserWarning
        If a sample has no more rows than columns: its covariance is singular, and the value far above the one
        between the laws.

    Notes
    -----
    0 says that means and covariances agree, not that the laws do. The estimate is biased upwards by O(d /
    n): compare at equal sizes only. Cost: O((n + m) d^2 + d^3) time, in float64. Source: Dowson, Landau
    (1982); Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017). Differs in the form: with A = F F', B
    = G G' the trace is ``|F - G U|^2`` for the polar factor U of G'F (Bhatia, Jain, Lim 2019), which needs no
    square root of a product, never turns negative, and takes singular covariances. Between given
    covariances: :func:`otdist.closed.gaussian`.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import frechet_distance
    >>> x = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(frechet_distance(x, x + [3.0, 4.0, 0.0]), 9)
    25.0
    """
    x, y = samples(2, real=real, fake=fake)
    if min(len(x), len(y)) <= x.shape[1]:
        warnings.warn(
            f"{len(x)} real and {len(y)} fake rows in {x.shape[1]} columns: a covariance is singular, the "
            "Fréchet distance far too large; give more rows, or fewer features",
            UserWarning,
            stacklevel=caller_level(),
        )
    return frechet(x, y)


def frechet(x: Array, y: Array) -> float:
    """:func:`frechet_distance` of rows that have been checked, without a word about how few they are."""
    step, left, right = _fitted(x, y)
    turn, _, back = np.linalg.svd(right @ left.T, full_matrices=False)
    gaps = left - (turn @ back).T @ right
    return float(step @ step + np.einsum("ij,ij->", gaps, gaps))


def _fitted(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Difference of the means, and factors F' and G' of the covariances with equally many rows."""
    # About one row, so that sums of large offsets do not cancel.
    x, y = x - x[0], y - x[0]
    left, right = _factor(x), _factor(y)
    size = max(len(left), len(right))
    left, right = (np.pad(z, ((0, size - len(z)), (0, 0))) for z in (left, right))
    return x.mean(axis=0) - y.mean(axis=0), left, right


def _factor(points: Array) -> Array:
    """Upper triangle R with R'R the covariance: min(n, d) rows."""
    triangle = np.asarray(np.linalg.qr(points - points.mean(axis=0), mode="r"))
    return triangle / math.sqrt(len(points) - 1)
