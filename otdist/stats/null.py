"""The permutation test and the noise floor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import read
from otdist.budget import require_memory
from otdist.clouds import NanPolicy
from otdist.distance import solve
from otdist.errors import InputError
from otdist.metrics import Metric
from otdist.metrics.names import require_costs
from otdist.problem import Problem
from otdist.result import Result
from otdist.solvers.line import power_on_line
from otdist.stats.draws import Draws, LinePool, MatrixPool, shrunk

Array = NDArray[np.float64]
Rng = int | np.random.Generator | None
Ground = str | Metric | Callable[..., float]

TIE = 1e-9  # two equal splits may differ by rounding; counting them as equal is conservative


@dataclass(frozen=True, eq=False)
class NullTest:
    """A distance, and how often chance alone gives one as large.

    Attributes
    ----------
    result : Result
        W1 between the two samples.
    pvalue : float
        ``(1 + number of null distances >= value) / (1 + n_resamples)``.
    null : ndarray, shape (n_resamples,)
        Distances between random relabellings of the pooled rows.
    """

    result: Result
    pvalue: float
    null: Array


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """What two samples of one law are apart by chance.

    Attributes
    ----------
    draws : ndarray
        Distances between disjoint random parts of the reference.
    n, m : int
        Sizes of these parts; smaller than asked for when the reference is short.
    """

    draws: Array
    n: int
    m: int

    def quantile(self, level: float = 0.95) -> float:
        """Distance that chance exceeds in a share ``1 - level`` of the cases."""
        if not 0 <= level <= 1:
            raise InputError("level", f"{level!r} is not a share", "use a number from 0 to 1, such as 0.95")
        return float(np.quantile(self.draws, level))

    @property
    def mean(self) -> float:
        """Mean distance by chance: the upward bias of W1 between finite samples."""
        return float(self.draws.mean())


def permutation_test(
    x: ArrayLike,
    y: ArrayLike,
    *,
    metric: Ground = "euclidean",
    n_resamples: int = 999,
    rng: Rng = None,
    n_jobs: int | None = None,
    nan_policy: NanPolicy = "raise",
) -> NullTest:
    """Test whether two samples come from one law, by W1 and permutation.

    Under the hypothesis all relabellings of the pooled rows are equally likely, so the p-value
    is exact: at most ``alpha`` of such pairs have ``pvalue <= alpha``.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        First sample.
    y : array_like, shape (m, d) or (m,)
        Second sample.
    metric
        As in :func:`otdist.w1`.
    n_resamples : int
        Relabellings; the smallest possible p-value is ``1 / (1 + n_resamples)``.
    rng : int or Generator, optional
        Seed.
    n_jobs : int, optional
        Threads for more than one column, as joblib understands it.
    nan_policy : {"raise", "omit", "propagate"}
        As in :func:`otdist.w1`; with "propagate" a missing value makes the p-value NaN.

    Returns
    -------
    NullTest
        The distance with its interval, the p-value, and the null distances.

    Raises
    ------
    InputError
        As :func:`otdist.w1`, and for infinite values.
    BudgetError
        If the (n + m)^2 cost matrix does not fit.

    Notes
    -----
    Cost: on the line O(n + m) a relabelling; otherwise one exact solve each, O(n^2.5). The
    add-one rule: Phipson, Smyth (2010), *Permutation p-values should never be zero*.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> rng = np.random.default_rng(0)
    >>> test = otdist.stats.permutation_test(rng.normal(size=80), rng.normal(1, 1, size=60), rng=1)
    >>> test.pvalue
    0.001
    """
    require_count(n_resamples)
    problem = Problem.of(x, y, metric=metric, nan_policy=nan_policy)
    result = solve(problem)
    problem = problem if problem.verdict is not None else problem.tamed()
    if problem.verdict is not None:
        if math.isinf(problem.verdict):
            raise InputError("x", "and y have infinite values", "drop them before a permutation test")
        return NullTest(result, math.nan, np.empty(0))
    draws = _pool(problem, np.concatenate([problem.x, problem.y]), n_jobs)
    n, m = len(problem.x), len(problem.y)
    null = draws(n, m, n_resamples, generator(rng))
    null = np.asarray(problem.cost_units(null))
    return NullTest(result, add_one(float(result), null), null)


def noise_floor(
    reference: ArrayLike,
    n: int,
    m: int,
    *,
    metric: Ground = "euclidean",
    n_resamples: int = 199,
    rng: Rng = None,
    n_jobs: int | None = None,
    nan_policy: NanPolicy = "raise",
) -> NoiseFloor:
    """Measure W1 between disjoint random parts of one sample.

    That is what a distance between n and m rows is made of when nothing has changed: for d = 10
    and n = m = 1000 standard normal rows it is 2.0, not 0.

    Parameters
    ----------
    reference : array_like, shape (N, d) or (N,)
        A sample of the law in question.
    n, m : int
        Sizes to measure the floor for. If ``n + m > N`` the parts are made smaller in the same
        ratio; on the line the draws are then brought to (n, m) by the rate (1/n + 1/m)^(1/2),
        in more dimensions, where the rate is not known, they are left as they are: too high.
    metric, rng, n_jobs
        As in :func:`permutation_test`.
    n_resamples : int
        Number of splits.
    nan_policy : {"raise", "omit"}
        Rows with missing values: an error, or left out.

    Returns
    -------
    NoiseFloor
        The draws, in the units of the reference.

    Raises
    ------
    InputError
        If the reference has fewer than two rows, or n or m is below 1.

    Notes
    -----
    Cost as :func:`permutation_test`. Rate on the line: Bobkov, Ledoux (2019), *One-dimensional
    empirical measures, order statistics, and Kantorovich transport distances*, theorem 3.2.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> floor = otdist.stats.noise_floor(np.random.default_rng(0).normal(size=2000), 500, 500, rng=1)
    >>> bool(0.02 < floor.mean < 0.1 < 3 * floor.quantile(0.95))
    True
    """
    require_count(n_resamples)
    require_count(n, "n")
    require_count(m, "m")
    problem = _alone(reference, metric, nan_policy)
    k, l = shrunk(n, m, len(problem.x))  # noqa: E741
    draws = _pool(problem, problem.x, n_jobs)(k, l, n_resamples, generator(rng))
    draws = np.asarray(problem.cost_units(draws))
    if on_the_line(problem):
        draws = draws * line_rate(n, m, k, l)
    return NoiseFloor(draws, k, l)


def _alone(reference: ArrayLike, metric: Ground, nan_policy: NanPolicy) -> Problem:
    values = read(reference, "reference")
    if not np.isfinite(values.values).all() and not np.isnan(values.values).any():
        raise InputError("reference", "has infinite values", "drop them")
    if nan_policy == "propagate":
        raise InputError("nan_policy", "a floor of NaN says nothing", "use 'raise' or 'omit'")
    one = np.ones(len(values.values)) if values.values.ndim else None  # (1, d) is one point
    try:
        problem = Problem.of(values.values, values.values, one, one, metric=metric, nan_policy=nan_policy)
    except InputError as error:  # the caller knows one sample, not x and y
        raise InputError("reference", error.problem, error.remedy) from None
    if len(problem.x) < 2:
        raise InputError("reference", "has one row, which cannot be split", "give at least two rows")
    return problem.tamed()


def on_the_line(problem: Problem) -> bool:
    """Whether W1 of this problem is a distance on the line."""
    return power_on_line(problem.metric, problem.d, problem.p) == 1


def line_rate(n: int, m: int, k: int, l: int) -> float:  # noqa: E741
    """Brings W1 by chance on the line from sizes (k, l) to (n, m)."""
    return math.sqrt((1 / n + 1 / m) / (1 / k + 1 / l))


def add_one(value: float, null: Array) -> float:
    """Permutation p-value: the observed labelling counts as one of the relabellings."""
    return (1 + int(np.sum(null >= value * (1 - TIE)))) / (1 + len(null))


def generator(rng: Rng) -> np.random.Generator:
    """Make a random generator from a seed; raises InputError."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError("rng", f"{rng!r} is no seed ({error})", "use a non-negative whole number") from None


def require_count(count: Any, name: str = "n_resamples") -> None:
    """Raise InputError unless the number is a positive whole number."""
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise InputError(name, f"{count!r} is not a whole number of at least 1", "use a number such as 999")


def _pool(problem: Problem, points: Array, n_jobs: int | None) -> Draws:
    if on_the_line(problem):
        return LinePool(points[:, 0])
    size = len(points)
    require_memory(
        8 * size * size,
        f"the cost matrix of {size} pooled rows",
        "test a random subset of the rows",
    )
    cost = problem.costs(points, points)
    if problem.metric.pairs is None:
        require_costs(cost, problem.metric.name, np.arange(size), np.arange(size))
    return MatrixPool(cost, n_jobs)
