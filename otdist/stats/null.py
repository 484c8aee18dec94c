"""The permutation test and the noise floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.errors import InputError
from otdist.inputs.arguments import (
    Rng,
    check_choice,
    check_count,
    check_jobs,
    check_number,
    check_rng,
)
from otdist.inputs.arrays import read_table
from otdist.inputs.numbers import is_missing
from otdist.inputs.units import convert_unit, get_unit_name, strip_unit
from otdist.metrics import Metric
from otdist.metrics.base import require_costs
from otdist.metrics.names import is_gower, resolve
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.budget import require_memory
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.answer import describe
from otdist.solvers.line import power_on_line
from otdist.solvers.solve import solve
from otdist.stats.describe import describe_floor, describe_test, show_floor, show_test
from otdist.stats.draws import DistanceSampler, LinePool, MatrixPool, shrink_sizes
from otdist.stats.relabelling import TIE_TOLERANCE, Engine, Units, UnitsLine, UnitsMatrix
from otdist.typing import Array, ArrayInput, NanPolicy

Ground = str | Metric | Callable[..., float]


@dataclass(frozen=True, eq=False)
class NullTest:
    """A distance with its permutation p-value.

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

    def __str__(self) -> str:
        return describe_test(self)

    def __repr__(self) -> str:
        return f"<NullTest: {self}>"

    def _repr_html_(self) -> str:
        return show_test(self)


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """Distances between two samples of one distribution.

    Attributes
    ----------
    draws : ndarray
        Distances between disjoint random subsets of the reference.
    n, m : int
        Sizes of these subsets; smaller than requested when the reference is short.
    unit : str
        Unit of the draws, as in :class:`otdist.Result`.
    """

    draws: Array
    n: int
    m: int
    unit: str = ""

    def quantile(self, level: float = 0.95) -> float:
        """Quantile of the distances under the null hypothesis, exceeded with probability ``1 - level``."""
        level = check_number(level, "level", at_least=0, at_most=1, remedy="use a share such as 0.95")
        return float(np.quantile(self.draws, level))

    @property
    def mean(self) -> float:
        """Mean distance under the null hypothesis: the upward bias of W1 between finite samples."""
        return float(self.draws.mean())

    def __str__(self) -> str:
        return describe_floor(self)

    def __repr__(self) -> str:
        return f"<NoiseFloor: {self}>"

    def _repr_html_(self) -> str:
        return show_floor(self)


@isolate_errstate
def permutation_test(
    x: ArrayInput,
    y: ArrayInput,
    *,
    metric: Ground = "euclidean",
    n_resamples: int = 999,
    groups: tuple[ArrayInput, ArrayInput] | None = None,
    blocks: int | None = None,
    rng: Rng = None,
    n_jobs: int | None = None,
    nan_policy: NanPolicy = "raise",
) -> NullTest:
    """Test whether two samples come from one distribution, by W1 and permutation.

    Under the null hypothesis all relabellings of the pooled rows are equally likely, so the p-value
    is exact: ``pvalue <= alpha`` has probability at most ``alpha``. **Assumption:** rows are independent;
    otherwise relabel independent units, by ``groups`` or ``blocks``.

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
    groups : pair of array_like, optional
        Group of each row of x and of y, such as a customer: rows of one group are relabelled together.
    blocks : int, optional
        Number of consecutive rows that are relabelled together, for rows in order of time.
    rng : int or Generator, optional
        Seed or random generator.
    n_jobs : int, optional
        Number of threads for more than one column, as in joblib.
    nan_policy : {"raise", "omit", "propagate"}
        As in :func:`otdist.w1`; with "propagate" a missing value makes the p-value NaN.

    Returns
    -------
    NullTest
        The distance with its interval, the p-value, and the null distances.

    Raises
    ------
    InputError
        As :func:`otdist.w1`, and if values are infinite.
    BudgetError
        If the (n + m)^2 cost matrix does not fit.

    Notes
    -----
    Cost: on the line O(n + m) for each relabelling; otherwise one exact solve each, O(n^2.5). The
    observed labelling counts as a relabelling: Phipson, Smyth (2010), *Permutation p-values should never be
    zero*.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> rng = np.random.default_rng(0)
    >>> test = otdist.stats.permutation_test(rng.normal(size=80), rng.normal(1, 1, size=60), rng=1)
    >>> test.pvalue
    0.001
    """
    n_resamples, generator, n_jobs = check_count(n_resamples), check_rng(rng), check_jobs(n_jobs)
    problem = Problem.of(x, y, metric=metric, nan_policy=nan_policy)
    result = solve(problem)
    problem = problem if problem.fixed_value is not None else problem.rescale()
    if problem.fixed_value is not None:
        if math.isinf(problem.fixed_value):
            raise InputError("x", "and y have infinite values", "drop them before a permutation test")
        return NullTest(result, math.nan, np.empty(0))
    n, m = len(problem.x), len(problem.y)
    pooled = np.concatenate([problem.x, problem.y])
    units = pool_units(groups, blocks, problem)
    if units is None:
        null = _make_sampler(problem, pooled, n_jobs)(n, m, n_resamples, generator)
    else:
        null = _make_unit_engine(problem, pooled, units, generator).draw([0], n_resamples)[:, 0]
    null = np.asarray(problem.to_caller_costs(null))
    return NullTest(result, compute_pvalue(float(result), null), null)


@isolate_errstate
def noise_floor(
    reference: ArrayInput,
    n: int,
    m: int,
    *,
    metric: Ground = "euclidean",
    n_resamples: int = 199,
    rng: Rng = None,
    n_jobs: int | None = None,
    nan_policy: NanPolicy = "raise",
) -> NoiseFloor:
    """Sample W1 between disjoint random subsets of one sample.

    This is the distance between n and m rows of one distribution, which is not 0: for d = 10
    and n = m = 1000 standard normal rows it is 2.0.

    Parameters
    ----------
    reference : array_like, shape (N, d) or (N,)
        Sample of the distribution.
    n, m : int
        Sample sizes of the floor. If ``n + m > N`` the subsets are smaller, in the same ratio; on
        the line the draws are then rescaled to (n, m) by the rate (1/n + 1/m)^(1/2). In more
        dimensions, where the rate is unknown, they are not rescaled: the floor is then too high.
    metric, rng, n_jobs
        As in :func:`permutation_test`.
    n_resamples : int
        Number of splits.
    nan_policy : {"raise", "omit"}
        Whether rows with missing values raise an error or are omitted.

    Returns
    -------
    NoiseFloor
        Distances, in the units of the reference.

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
    n_resamples, generator, n_jobs = check_count(n_resamples), check_rng(rng), check_jobs(n_jobs)
    n, m = check_count(n, "n"), check_count(m, "m")
    problem = _read_reference(reference, metric, nan_policy)
    k, l = shrink_sizes(n, m, len(problem.x))  # noqa: E741
    draws = _make_sampler(problem, problem.x, n_jobs)(k, l, n_resamples, generator)
    draws = np.asarray(problem.to_caller_costs(draws))
    if is_on_line(problem):
        draws = draws * compute_line_rate(n, m, k, l)
    return NoiseFloor(draws, k, l, describe(problem)["unit"])


def _read_reference(reference: ArrayInput, metric: Ground, nan_policy: NanPolicy) -> Problem:
    check_choice(nan_policy, "nan_policy", ("raise", "omit"))
    reference = list(reference) if isinstance(reference, Iterator) else reference
    points_unit = "" if is_gower(metric) else resolve(metric).points_unit
    if points_unit:
        reference = convert_unit(reference, "reference", points_unit)
    table = read_table(strip_unit(reference, "reference"), "reference")
    if not np.isfinite(table.values).all() and not np.isnan(table.values).any():
        raise InputError("reference", "has infinite values", "drop them")
    try:
        problem = Problem.of(table, table, metric=metric, nan_policy=nan_policy)
    except InputError as error:  # the caller passed one sample, not x and y
        name = "reference" if error.argument in ("x", "y") else error.argument
        raise InputError(name, error.problem, error.remedy) from None
    if len(problem.x) < 2:
        raise InputError("reference", "has one row, which cannot be split", "give at least two rows")
    if unit := get_unit_name(reference):
        problem = replace(problem, conversion=replace(problem.conversion, name=unit))
    return problem.rescale()


def is_on_line(problem: Problem) -> bool:
    """Return whether W1 of this problem is a distance on the line."""
    return power_on_line(problem.metric, problem.d, problem.p) == 1


def compute_line_rate(n: int, m: int, k: int, l: int) -> float:  # noqa: E741
    """Compute the factor from the noise of W1 on the line at sizes (k, l) to that at (n, m)."""
    return math.sqrt((1 / n + 1 / m) / (1 / k + 1 / l))


def compute_pvalue(value: float, null: Array) -> float:
    """Compute the permutation p-value; the observed labelling counts as one of the relabellings."""
    return (1 + int(np.sum(null >= value * (1 - TIE_TOLERANCE)))) / (1 + len(null))


def pool_units(
    groups: tuple[ArrayInput, ArrayInput] | None, blocks: int | None, problem: Problem
) -> Units | None:
    """Return the units of pooled rows that are relabelled together; None where each row is a unit."""
    if groups is None and blocks is None:
        return None
    if groups is not None and blocks is not None:
        raise InputError("blocks", "and groups are both given", "give one of them")
    sides = (problem.x, problem.rows), (problem.y, problem.cols)
    rows_used = [np.arange(len(z)) if rows is None else rows for z, rows in sides]
    if blocks is not None:
        length = check_count(blocks, "blocks")
        labels: list[NDArray[Any]] = [rows // length for rows in rows_used]
    else:
        assert groups is not None
        group_labels = read_groups(groups, problem.shape)
        labels = [side[rows] for side, rows in zip(group_labels, rows_used, strict=True)]
    codes = [np.unique(side, return_inverse=True) for side in labels]
    sizes = [len(names) for names, _ in codes]
    if min(sizes) < 2:
        argument = "groups" if blocks is None else "blocks"
        raise InputError(argument, "leave one unit on a side", "use smaller ones, or more rows")
    row_units = np.concatenate([codes[0][1].ravel(), codes[1][1].ravel() + sizes[0]])
    return Units(row_units, np.ones(len(row_units)), sizes[0], sum(sizes))


def read_groups(
    groups: tuple[ArrayInput, ArrayInput], sizes: tuple[int, int]
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Read the groups of the rows of both samples; raise InputError."""
    try:
        left, right = groups
    except (TypeError, ValueError):
        problem = f"must be a pair, one entry for each row of x and of y, got {type(groups).__name__}"
        raise InputError("groups", problem, "give (groups_of_x, groups_of_y)") from None
    sides = np.asarray(left), np.asarray(right)
    for name, side, size in zip(("x", "y"), sides, sizes, strict=True):
        if side.shape != (size,):
            problem = f"must have shape ({size},), got {side.shape}, for {name}"
            raise InputError("groups", problem, "give one a row")
        missing = np.array([is_missing(value) for value in side.tolist()], dtype=bool)
        if missing.any():
            raise InputError(
                "groups", f"row {int(np.argmax(missing))} of {name} has no group", "name one in each row"
            )
    return sides[0].astype(str), sides[1].astype(str)


def _make_unit_engine(problem: Problem, pooled: Array, units: Units, rng: np.random.Generator) -> Engine:
    if is_on_line(problem):
        order = np.argsort(pooled[:, 0], kind="stable")
        return UnitsLine(np.diff(pooled[order, 0]), units.take(order), rng)
    size = len(pooled)
    require_memory(
        8 * size * size, f"the cost matrix of {size} pooled rows", "test a random subset of the rows"
    )
    return UnitsMatrix(problem.costs(pooled, pooled), units, rng)


def _make_sampler(problem: Problem, points: Array, n_jobs: int | None) -> DistanceSampler:
    if is_on_line(problem):
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
    return MatrixPool.of(cost, n_jobs)
