"""The front door: from two samples to a distance with its proof."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import caller_level, read
from otdist.clouds import NanPolicy
from otdist.errors import ConvergenceWarning, InputError
from otdist.gradient import with_cost_gradient, with_gradient
from otdist.metrics import Metric
from otdist.problem import MassRule, Problem
from otdist.result import Result
from otdist.solvers import Solver, choose
from otdist.solvers.answer import describe

Array = NDArray[np.float64]
OnFail = Literal["warn", "raise"]
Ground = str | Metric | Callable[..., float]


def w1(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    metric: Ground = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Any,
) -> Result:
    r"""Wasserstein-1 distance between two weighted samples, with a proved interval.

    .. math:: W_1(x, y) = \min_{P \ge 0} \sum_{ij} P_{ij}\, d(x_i, y_j)
              \quad\text{with}\quad P 1 = a,\; P^\top 1 = b

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first sample, one a row: NumPy, list, torch tensor, pandas, polars or
        pyarrow table. The unit is yours; the answer has the same.
    y : array_like, shape (m, d) or (m,)
        Points of the second sample. Table columns are matched by name.
    a, b : array_like, shape (n,) and (m,), optional
        Non-negative weights, each side divided by its sum. None: all equal.
    metric : str, Metric or callable
        Ground metric: "euclidean", "cityblock", "chebyshev", "angular", "gower", one made by
        :mod:`otdist.metrics`, or a function of two points. "sqeuclidean" and "cosine" are
        costs, not metrics: the answer is then named "EMD", not "W1".
    method : str or solver
        "auto" takes the closed form on the line (one column) or the circle (one periodic
        column), and otherwise the exact linear programme: "dense", on all pairs of points,
        and from about a million pairs on "sparse", which keeps few arcs and checks all pairs. Or
        one of "line", "circle", "dense", "sparse", "sinkhorn", "critic". The last two
        approximate: "sinkhorn" is entropic, see :class:`~otdist.solvers.Sinkhorn`; "critic" trains
        a 1-Lipschitz function, which proves a lower bound, see
        :class:`~otdist.solvers.NeuralDual`. No other method ever answers with less than it could.
    tol : float
        Relative gap that is good enough. 0: exact ("sinkhorn": 0.01). "sparse" and "sinkhorn"
        stop as soon as the proved gap is there; the others are exact whatever it is.
    max_seconds : float, optional
        Time after which the best proved interval is returned, with ``converged=False``.
    progress : bool
        Show progress on standard error: "sparse" shows the interval closing, "dense" a sign
        of life.
    nan_policy : {"raise", "omit", "propagate"}
        Rows with missing values: an error, left out and counted in ``info["omitted"]``, or a
        distance of NaN.
    mass : {"normalize", "strict"}
        "strict": different totals of a and b are an error.
    on_fail : {"warn", "raise"}
        What to do when the goal is not reached: return the interval with a
        ConvergenceWarning, or raise a ConvergenceError that carries it.
    **options
        Options of the method, such as ``max_bytes`` of "sparse" or ``eps`` of "sinkhorn".

    Returns
    -------
    Result
        ``value`` in [``lower``, ``upper``]: proved bounds of W1 between the given samples.

    Raises
    ------
    InputError
        If an argument cannot be used; the message says which, where and what to do.
    BudgetError
        If the method would need more than half of the free memory.
    ConvergenceError
        With ``on_fail="raise"``, if the goal was not reached.

    Notes
    -----
    Cost: O((n + m) log(n + m)) on the line. "dense": about O(n^2.5) time and 41 n m bytes.
    "sparse": a few passes of O(n m d) over all pairs, and O((n + m) d + arcs) memory, with
    about ten arcs a point, for "euclidean", "cityblock" and "chebyshev" with p = 1,
    "sqeuclidean", and "euclidean" with p = 2; for all others 8 n m bytes more. "sinkhorn":
    O(n m d) an update, in the same memory. The first call of either on a machine compiles for
    10 to 20 s.
    Definition and duality: Villani (2009), *Optimal Transport*, ch. 5 and 6. "dense":
    Bonneel et al. (2011), in POT's implementation. "sparse": shortlist and column generation
    by Gottschlich, Schuhmacher (2014), coarse to fine by Merigot (2011), Schmitzer (2016);
    differs in that every round over all pairs gives a proved interval.

    Examples
    --------
    >>> import otdist
    >>> r = otdist.w1([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    >>> r.value
    5.0
    >>> square, moved = [[0, 0], [0, 1]], [[1, 0], [1, 1]]
    >>> print(otdist.w1(square, moved))
    W1 = 1  [1, 1]  dense, n=2/2, d=2, euclidean
    """
    question = {"metric": metric, "p": 1.0, "nan_policy": nan_policy, "mass": mass}
    stop = {"tol": tol, "max_seconds": max_seconds, "progress": progress}
    return _distance((x, y, a, b), question, stop, method, on_fail, options)


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 2,
    metric: Ground = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Any,
) -> Result:
    r"""Wasserstein-p distance between two weighted samples: rooted, in the units of x.

    .. math:: W_p(x, y) = \Bigl( \min_P \sum_{ij} P_{ij}\, d(x_i, y_j)^p \Bigr)^{1/p}

    Parameters
    ----------
    x, y, a, b
        As in :func:`w1`.
    p : float
        At least 1.
    metric, method, tol, max_seconds, progress, nan_policy, mass, on_fail, **options
        As in :func:`w1`.

    Returns
    -------
    Result
        ``value`` in [``lower``, ``upper``]. ``plan`` is optimal for the cost d^p, and
        ``potentials`` are in units of that cost.

    Raises
    ------
    InputError, BudgetError, ConvergenceError
        As in :func:`w1`.

    Notes
    -----
    Cost and source as in :func:`w1`.

    Examples
    --------
    >>> import otdist
    >>> otdist.wasserstein([0.0, 1.0], [0.0, 3.0], p=2).value ** 2  # half of the mass moves by 2
    2.0000000000000004
    """
    question = {"metric": metric, "p": p, "nan_policy": nan_policy, "mass": mass}
    stop = {"tol": tol, "max_seconds": max_seconds, "progress": progress}
    return _distance((x, y, a, b), question, stop, method, on_fail, options)


def emd(
    cost: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    method: str | Solver = "auto",
    max_seconds: float | None = None,
    progress: bool = False,
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Any,
) -> Result:
    r"""Earth mover's distance for any cost matrix, with a proved interval.

    .. math:: \min_{P \ge 0} \sum_{ij} P_{ij} C_{ij} \quad\text{with}\quad P 1 = a,\; P^\top 1 = b

    Parameters
    ----------
    cost : array_like, shape (n, m)
        Cost of moving one unit from row to column: finite and non-negative, any unit.
    a, b : array_like, shape (n,) and (m,), optional
        Weights, each side divided by its sum. None: all equal.
    method, max_seconds, progress, mass, on_fail, **options
        As in :func:`w1`.

    Returns
    -------
    Result
        ``value`` is <P, C> at mass 1, in the unit of ``cost``, within [``lower``, ``upper``]. If
        ``cost`` is a tensor, so is the value, and its gradient with respect to it is the plan.

    Raises
    ------
    InputError
        If an entry is NaN, infinite or negative, or a weight cannot be used.
    BudgetError, ConvergenceError
        As in :func:`w1`.

    Notes
    -----
    Cost: "dense" about O(n^2.5) time and 41 n m bytes. "sparse", from about a million entries on:
    a few passes of O(n m) over the matrix, and O(n + m + arcs) memory beside it. The matrix
    itself, 8 bytes a pair, is yours; it is copied if it is no contiguous float64 array, if some
    weights are 0, or if its largest entry is not between 1/16 and 128. Sources as in :func:`w1`;
    here the coarser copies of "sparse" are every other row and column.

    Examples
    --------
    >>> import otdist
    >>> otdist.emd([[0.0, 2.0], [2.0, 1.0]], [0.5, 0.5], [0.25, 0.75]).value
    1.0
    """
    matrix = read(cost, "cost").values
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            "cost", f"has shape {matrix.shape}", "give a matrix (n, m) with at least one row and column"
        )
    _require_costs(matrix)
    x, y, ground = precomputed(matrix)
    question = {"metric": ground, "p": 1.0, "mass": mass, "rooted": False}
    stop = {"max_seconds": max_seconds, "progress": progress}
    result = with_cost_gradient(_distance((x, y, a, b), question, stop, method, on_fail, options), cost)
    if a is not None or b is not None:
        # Rows without mass are looked up in the matrix, which is the caller's and may change.
        _ = result.potentials
    return result


def _distance(
    given: tuple[Any, Any, Any, Any],
    question: dict[str, Any],
    stop: dict[str, Any],
    method: str | Solver,
    on_fail: OnFail,
    options: dict[str, Any],
) -> Result:
    require_on_fail(on_fail)
    x, y, a, b = given
    problem = Problem.of(x, y, a, b, **question, **stop)
    return with_gradient(solve(problem, method, on_fail, **options), problem, *given)


def solve(
    problem: Problem, method: str | Solver = "auto", on_fail: OnFail = "warn", **options: Any
) -> Result:
    """Answer a question that is already checked."""
    solver = choose(method, problem, options)
    return told(_known(problem) if problem.verdict is not None else solver(problem), on_fail)


def told(result: Result, on_fail: OnFail) -> Result:
    """Warn or raise if a result did not reach its goal."""
    if not result.converged:
        if on_fail == "raise":
            result.require_converged()
        warnings.warn(f"{result.message} Proved: {result}", ConvergenceWarning, stacklevel=caller_level())
    return result


def require_on_fail(on_fail: str) -> None:
    """Raise InputError unless it is known what to do about an unfinished result."""
    if on_fail not in ("warn", "raise"):
        raise InputError("on_fail", f"{on_fail!r} is unknown", "use 'warn' or 'raise'")


def _known(problem: Problem) -> Result:
    verdict = float(problem.verdict if problem.verdict is not None else math.nan)
    message = (
        "A value is missing, and nan_policy='propagate' asks for NaN."
        if math.isnan(verdict)
        else "Mass must travel to infinity."
    )
    return Result(verdict, verdict, verdict, "none", message=message, **describe(problem))


def _require_costs(matrix: Array) -> None:
    low, high = float(matrix.min()), float(matrix.max())
    if low >= 0 and high < math.inf:
        return
    bad = ~np.isfinite(matrix)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise InputError(
            "cost",
            f"{bad.sum()} entries are not finite, the first is [{i}, {j}] = {matrix[i, j]}",
            "give every pair a finite cost (a large one for pairs to avoid)",
        )
    i, j = np.argwhere(matrix < 0)[0]
    raise InputError(
        "cost",
        f"entry [{i}, {j}] is negative ({matrix[i, j]})",
        "add a constant to all entries: it raises the answer by that constant and changes no plan",
    )


def precomputed(matrix: Array) -> tuple[Array, Array, Metric]:
    """Points that stand for rows and columns of a matrix, and the metric that looks up their cost."""
    # ~j keeps the two sides apart.
    x, y = np.arange(float(matrix.shape[0])), -1.0 - np.arange(float(matrix.shape[1]))
    return x, y, Metric("precomputed", partial(_looked_up, matrix))


def _looked_up(matrix: Array, x: Array, y: Array) -> Array:
    rows, cols = x[:, 0].astype(np.intp), ~y[:, 0].astype(np.intp)
    if (len(rows), len(cols)) == matrix.shape:
        return np.ascontiguousarray(matrix)
    return np.ascontiguousarray(matrix[np.ix_(rows, cols)])
