"""Precision, recall, density, coverage: balls around the points of one sample that hold those of another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.learn.evaluation.inputs import Array, samples
from otdist.learn.evaluation.neighbours import Cloud, blocks, clouds, nearest, squared, within


class Neighbourhoods(NamedTuple):
    """Four shares from the balls of k nearest neighbours; what they mean: :func:`neighbourhoods`."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(real: Any, fake: Any, k: int = 5) -> Neighbourhoods:
    r"""Precision, recall, density and coverage by k nearest neighbours, in one pass.

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
        Neighbours, at least 1 and below n and m.

    Returns
    -------
    Neighbourhoods
        ``precision``, ``recall`` and ``coverage`` in [0, 1], ``density`` in [0, n / k]. For two samples of
        one law density is about 1, and coverage about 1 - 2^-k at n = m; precision and recall depend on k, n
        and the law, and are below 1.

    Raises
    ------
    InputError
        If k is no such number, columns differ, or a value is not finite.

    Notes
    -----
    Cost: O((n + m)^2 d) time, blocks of a few rows in memory. Balls are closed, as in Kynkaanniemi, Karras,
    Laine, Lehtinen, Aila (2019), and Naeem, Oh, Uh, Choi, Yoo (2020) for density and
    coverage. The package prdc takes open balls: that differs where points coincide only. Distances are
    computed by products of matrices, and anew from differences wherever rounding could decide.

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
    real, fake = _checked(real, fake, k)
    (x, y), _ = clouds(real, fake)
    return _measured(x, y, nearest(x, x, k), nearest(y, y, k), k)


def precision_recall(real: Any, fake: Any, k: int = 5) -> tuple[float, float]:
    """Share of fakes in a ball of the real rows, and of real rows in a ball of the fakes.

    Parameters, errors, cost and source as for :func:`neighbourhoods`, which gives all four.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import precision_recall
    >>> line = np.arange(10.0)[:, None]
    >>> precision_recall(line, line[:5] + 0.5, k=1)  # five fakes between ten points, one apart
    (1.0, 0.6)
    """
    both = neighbourhoods(real, fake, k)
    return both.precision, both.recall


def density_coverage(real: Any, fake: Any, k: int = 5) -> tuple[float, float]:
    """Number of real balls that hold a fake, divided by k; and the share of real balls that hold a fake.

    Parameters, errors, cost and source as for :func:`neighbourhoods`, which gives all four.

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import density_coverage
    >>> line = np.arange(10.0)[:, None]
    >>> density_coverage(line, line[:5] + 0.5, k=1)  # each is within 1 of two points; these are 0 to 5
    (2.0, 0.6)
    """
    real, fake = _checked(real, fake, k)
    (x, y), _ = clouds(real, fake)
    both = _measured(x, y, nearest(x, x, k), None, k)
    return both.density, both.coverage


def _checked(real: Any, fake: Any, k: int) -> list[Array]:
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise InputError("k", f"{k!r} is no number of neighbours", "give a whole number from 1 on")
    read = samples(real=real, fake=fake)
    for name, rows in zip(("real", "fake"), read, strict=True):
        if len(rows) <= k:
            what = f"has {len(rows)} rows, and {k} neighbours need {k + 1}"
            raise InputError(name, what, "give more rows, or a smaller k")
    return read


def _measured(x: Cloud, y: Cloud, real: Array, fake: Array | None, k: int) -> Neighbourhoods:
    """Shares from squared radii of the real balls, and of the fake ones if recall is wanted."""
    held = np.zeros(len(y), dtype=np.int64)  # real balls that hold a fake
    covered = recalled = 0
    for rows in blocks(len(x), len(y)):
        near = squared(x, y, rows)
        inside = within(x, y, rows, near, real[rows, None])
        held += inside.sum(axis=0)
        covered += int(inside.any(axis=1).sum())
        if fake is not None:
            recalled += int(within(x, y, rows, near, fake[None]).any(axis=1).sum())
    return Neighbourhoods(
        precision=float((held > 0).mean()),
        recall=recalled / len(x),
        density=float(held.mean()) / k,
        coverage=covered / len(x),
    )
