"""Kernel measures: the kernel distance of two samples, and the Vendi score of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arguments import Rng, check_choice, check_count, check_number, check_rng
from otdist.learn.evaluation.inputs import read_sample, read_samples
from otdist.learn.evaluation.neighbours import all_squared_distances, blocks, make_clouds
from otdist.typing import Array, ArrayInput, FloatOrArray

Kernel = Literal["rbf", "cosine"]


@dataclass(frozen=True)
class KernelDistance:
    """Estimate of a squared kernel distance, with its standard error.

    Attributes
    ----------
    value : float
        Squared maximum mean discrepancy; unbiased, so it may be negative.
    stderr : float
        Standard error of ``value`` over the draw of the samples.
    """

    value: float
    stderr: float

    def __float__(self) -> float:
        return self.value


def kernel_distance(real: ArrayInput, fake: ArrayInput) -> KernelDistance:
    r"""Compute the unbiased squared MMD with the cubic kernel :math:`k(x, y) = (x \cdot y / d + 1)^3`.

    .. math:: \mathrm{MMD}^2 = \frac{\sum_{i \ne i'} k(x_i, x_{i'})}{n(n-1)}
              + \frac{\sum_{j \ne j'} k(y_j, y_{j'})}{m(m-1)} - \frac{2}{nm} \sum_{i,j} k(x_i, y_j)

    On Inception features this is the KID.

    Parameters
    ----------
    real : array_like, shape (n, ...)
        Rows, n at least 3; all axes but the first are one row.
    fake : array_like, shape (m, ...)
        Rows, m at least 3.

    Returns
    -------
    KernelDistance
        Value, and its standard error by the jackknife, which is biased upwards (Efron, Stein 1981).

    Raises
    ------
    InputError
        If columns differ, a sample has fewer than three rows, or a value is not finite.

    Notes
    -----
    The kernel compares moments up to order three about the origin, in the sixth power of the points' unit:
    features must be of order 1, and a value of 0 means that these moments agree. Cost: O((n + m)^2 d) time,
    a few blocks of memory. Source: Binkowski, Sutherland, Arbel, Gretton (2018). Differs in that all rows are
    used at once instead of 100 random subsets of 1,000, whose spread is not the error of their mean: the
    expectation is the same, the noise smaller. Jackknife: Arvesen (1969).

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import kernel_distance
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
    >>> same, moved = kernel_distance(x, y), kernel_distance(x, y + 1.0)
    >>> abs(same.value) < 3 * same.stderr, moved.value > 10 * moved.stderr
    (True, True)
    """
    x, y = read_samples(3, real=real, fake=fake)
    n, m = len(x), len(y)
    (self_x, _), (self_y, _), (cross_x, cross_y) = _kernel_sums(x, x), _kernel_sums(y, y), _kernel_sums(x, y)
    sum_x, sum_y, between = self_x.sum(), self_y.sum(), cross_x.sum()
    value = _mmd(sum_x, sum_y, between, n, m)
    # Without row i a sum over pairs loses the pairs of i, which count twice within a sample.
    without_x = _mmd(sum_x - 2 * self_x, sum_y, between - cross_x, n - 1, m)
    without_y = _mmd(sum_x, sum_y - 2 * self_y, between - cross_y, n, m - 1)
    variance = (n - 1) * np.var(without_x) + (m - 1) * np.var(without_y)
    return KernelDistance(float(value), math.sqrt(float(variance)))


def _mmd(sum_x: FloatOrArray, sum_y: FloatOrArray, between: FloatOrArray, n: int, m: int) -> FloatOrArray:
    return sum_x / (n * (n - 1)) + sum_y / (m * (m - 1)) - 2 * between / (n * m)


def _kernel_sums(x: Array, y: Array) -> tuple[Array, Array]:
    """Sum the kernel over y for each row of x, and over x for each row of y, without i = j if x is y."""
    row_sums, column_sums = np.empty(len(x)), np.zeros(len(y))
    transposed = np.ascontiguousarray(y.T) / y.shape[1]
    for rows in blocks(len(x), len(y)):
        values = x[rows] @ transposed
        values += 1.0
        cubes = values * values
        cubes *= values
        if x is y:
            diagonal = np.arange(rows.stop - rows.start)
            cubes[diagonal, diagonal + rows.start] = 0.0
        row_sums[rows] = cubes.sum(axis=1)
        column_sums += cubes.sum(axis=0)
    return row_sums, column_sums


def vendi_score(
    points: ArrayInput,
    kernel: Kernel = "rbf",
    *,
    bandwidth: float | None = None,
    max_rows: int = 1000,
    rng: Rng = 0,
) -> float:
    r"""Compute the Vendi score, the effective number of different points, from 1 to n.

    .. math:: \mathrm{VS} = \exp\Bigl(-\sum_i \lambda_i \log \lambda_i\Bigr)

    with the eigenvalues :math:`\lambda_i` of K / n, :math:`K_{ij} = k(x_i, x_j)`. A sample of k equally large
    groups of equal points, far from each other, has the score k.

    Parameters
    ----------
    points : array_like, shape (n, ...)
        Rows; all axes but the first are one row.
    kernel : {"rbf", "cosine"}
        "rbf": :math:`\exp(-|x - y|^2 / (2 h^2))`. "cosine": cosine of the angle about the origin; the
        score is at most d, and rows of zeros are an error.
    bandwidth : float, optional
        h, in the units of the points. None: the median distance of the points, so that the score does not
        depend on their scale. To compare two samples, use the same bandwidth for both:
        :func:`median_distance` of the real rows. 0: the limit, in which only equal rows are alike.
    max_rows : int
        Largest number of rows with kernel "rbf", a random subset. The score grows with it.
    rng : int or Generator
        Seed of the subset.

    Returns
    -------
    float
        Score from 1 (all rows equal) to the number of rows.

    Raises
    ------
    InputError
        If an option is unknown or a value is not finite.

    Notes
    -----
    The score does not depend on the real data: noise scores highest. Cost: O(n^3) time and O(n^2) memory with
    n at most ``max_rows``; "cosine" O(n d^2) if d is below n. Source: Friedman, Dieng (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from otdist.learn import vendi_score
    >>> three = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 50, axis=0)
    >>> round(vendi_score(three, bandwidth=1.0), 6)
    3.0
    """
    rows = read_sample(points, "points")
    if check_choice(kernel, "kernel", ("rbf", "cosine")) == "cosine":
        return _exp_entropy(_cosine_matrix(rows))
    check_count(max_rows, "max_rows")
    if len(rows) > max_rows:
        rows = rows[check_rng(rng).choice(len(rows), max_rows, replace=False)]
    if bandwidth is not None:
        bandwidth = check_number(bandwidth, "bandwidth", at_least=0, remedy="give a distance")
    squares, unit = _squared_distances(rows)
    width = _median_distance(squares) if bandwidth is None else bandwidth / unit
    if width == 0:  # the limit: rows are equal or unrelated
        return _exp_entropy(np.asarray(squares == 0, dtype=np.float64) / len(rows))
    squares *= -0.5 / width**2
    return _exp_entropy(np.exp(squares, out=squares) / len(rows))


def median_distance(points: ArrayInput, *, max_rows: int = 1000, rng: Rng = 0) -> float:
    """Compute the median distance between different rows, a bandwidth for :func:`vendi_score`.

    Parameters
    ----------
    points : array_like, shape (n, ...)
        Rows, n at least 2.
    max_rows : int
        Largest number of rows, a random subset.
    rng : int or Generator
        Seed of the subset.

    Returns
    -------
    float
        Median, in the units of the points; 0 if most rows are equal.

    Examples
    --------
    >>> from otdist.learn import median_distance
    >>> median_distance([[0.0], [1.0], [3.0]])
    2.0
    """
    rows = read_sample(points, "points", 2)
    check_count(max_rows, "max_rows")
    if len(rows) > max_rows:
        rows = rows[check_rng(rng).choice(len(rows), max_rows, replace=False)]
    squares, unit = _squared_distances(rows)
    return _median_distance(squares) * unit


def _squared_distances(rows: Array) -> tuple[Array, float]:
    (cloud,), unit = make_clouds(rows)
    return all_squared_distances(cloud), unit


def _median_distance(squares: Array) -> float:
    if len(squares) < 2:
        return 1.0  # a single point has score 1 at any bandwidth
    return math.sqrt(float(np.median(squares[np.triu_indices(len(squares), 1)])))


def _cosine_matrix(rows: Array) -> Array:
    """Return a matrix of order min(n, d) with the nonzero eigenvalues of K / n."""
    lengths = np.linalg.norm(rows, axis=1)
    if not lengths.all():
        problem = f"must have no zero rows with kernel='cosine', row {int(np.argmin(lengths))} is zero"
        raise InputError("points", problem, "use kernel='rbf'")
    rows = rows / lengths[:, None]
    return (rows.T @ rows if rows.shape[1] < len(rows) else rows @ rows.T) / len(rows)


def _exp_entropy(matrix: Array) -> float:
    values = np.linalg.eigvalsh(matrix)
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))
