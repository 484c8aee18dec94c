"""Precision, recall, density and coverage by balls of k nearest neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import check_integer
from otdist.learn.evaluation.inputs import read_samples
from otdist.learn.evaluation.neighbours import (
    Cloud,
    blocks,
    is_within,
    kth_nearest_distances,
    make_clouds,
    squared_distances,
)
from otdist.typing import Array, ArrayInput


class Neighbourhoods(NamedTuple):
    """Precision, recall, density and coverage, as defined by :func:`neighbourhoods`."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(real: ArrayInput, fake: ArrayInput, k: int = 5) -> Neighbourhoods:
    r"""Compute precision, recall, density and coverage by k nearest neighbours, in one pass.

    .. math::

       \text{precision} &= \frac1m \sum_j 1[\exists i: |y_j - x_i| \le R_i], \quad
       \text{recall} = \frac1n \sum_i 1[\exists j: |x_i - y_j| \le F_j] \\
       \text{density} &= \frac1{km} \sum_j \sum_i 1[|y_j - x_i| \le R_i], \quad
       \text{coverage} = \frac1n \sum_i 1[\exists j: |y_j - x_i| \le R_i]

    with n real points x, m fake points y, and :math:`R_i, F_j` the distance of a point to its k-th nearest
    other point of its own sample.

    Parameters
    ----------
    real : array_like, shape (n, ...)
        Real rows; all axes but the first are one row.
    fake : array_like, shape (m, ...)
        Generated rows.
    k : int
        Number of neighbours, at least 1 and below n and m.

    Returns
    -------
    Neighbourhoods
        ``precision``, ``recall`` and ``coverage`` in [0, 1], ``density`` in [0, n / k]. For two samples
        of one distribution density is about 1, and coverage about 1 - 2^-k at n = m; precision and recall
        depend on k, n and the distribution, and are below 1.

    Raises
    ------
    InputError
        If k is not such a number, columns differ, or a value is not finite.

    Notes
    -----
    Cost: O((n + m)^2 d) time, blocks of a few rows in memory. Balls are closed, as in Kynkaanniemi, Karras,
    Laine, Lehtinen, Aila (2019), and Naeem, Oh, Uh, Choi, Yoo (2020) for density and
    coverage. The package prdc uses open balls, which differ only if points coincide. Distances are computed
    by matrix products, and recomputed from differences where rounding could decide.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import neighbourhoods
    >>> rng = np.random.default_rng(0)
    >>> real, collapsed = rng.normal(size=(500, 2)), 0.1 * rng.normal(size=(500, 2))
    >>> seen = neighbourhoods(real, collapsed)
    >>> seen.precision, seen.recall < 0.1, seen.coverage < 0.2
    (1.0, True, True)
    """
    real, fake = _read_inputs(real, fake, k)
    (x, y), _ = make_clouds(real, fake)
    return _compute_shares(x, y, kth_nearest_distances(x, x, k), kth_nearest_distances(y, y, k), k)


def precision_recall(real: ArrayInput, fake: ArrayInput, k: int = 5) -> tuple[float, float]:
    """Compute the share of fakes in a ball of real rows, and of real rows in a ball of fakes.

    Parameters, errors, cost and source as for :func:`neighbourhoods`, which gives all four.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import precision_recall
    >>> line = np.arange(10.0)[:, None]
    >>> precision_recall(line, line[:5] + 0.5, k=1)  # five fakes between ten points, one apart
    (1.0, 0.6)
    """
    shares = neighbourhoods(real, fake, k)
    return shares.precision, shares.recall


def density_coverage(real: ArrayInput, fake: ArrayInput, k: int = 5) -> tuple[float, float]:
    """Compute the mean number of real balls that contain a fake, over k, and the share of such balls.

    Parameters, errors, cost and source as for :func:`neighbourhoods`, which gives all four.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import density_coverage
    >>> line = np.arange(10.0)[:, None]
    >>> density_coverage(line, line[:5] + 0.5, k=1)  # each is within 1 of two points; these are 0 to 5
    (2.0, 0.6)
    """
    real, fake = _read_inputs(real, fake, k)
    (x, y), _ = make_clouds(real, fake)
    shares = _compute_shares(x, y, kth_nearest_distances(x, x, k), None, k)
    return shares.density, shares.coverage


def _read_inputs(real: ArrayInput, fake: ArrayInput, k: int) -> list[Array]:
    check_integer(k, "k", remedy="give a number of neighbours")
    rows_read = read_samples(real=real, fake=fake)
    for name, rows in zip(("real", "fake"), rows_read, strict=True):
        if len(rows) <= k:
            problem = f"must have {k + 1} rows or more for {k} neighbours, got {len(rows)}"
            raise InputError(name, problem, "give more rows, or a smaller k")
    return rows_read


def _compute_shares(x: Cloud, y: Cloud, real: Array, fake: Array | None, k: int) -> Neighbourhoods:
    """Compute the shares from squared radii of the real balls, and of the fake balls if given, for recall."""
    ball_counts = np.zeros(len(y), dtype=np.int64)  # real balls that contain each fake
    n_covered = n_recalled = 0
    for rows in blocks(len(x), len(y)):
        distances = squared_distances(x, y, rows)
        inside = is_within(x, y, rows, distances, real[rows, None])
        ball_counts += inside.sum(axis=0)
        n_covered += int(inside.any(axis=1).sum())
        if fake is not None:
            n_recalled += int(is_within(x, y, rows, distances, fake[None]).any(axis=1).sum())
    return Neighbourhoods(
        precision=float((ball_counts > 0).mean()),
        recall=n_recalled / len(x),
        density=float(ball_counts.mean()) / k,
        coverage=n_covered / len(x),
    )
