"""Sinkhorn divergences: entropic transport without its bias, and with what is proved of it.

Not W1 and no bound of it: smooth in points and weights, 0 between equal samples, and the larger ``eps``,
the closer to an energy distance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.batch import ResultBatch, each, is_batch
from otdist.clouds import NanPolicy
from otdist.distance import Ground, OnFail, require_on_fail, told
from otdist.errors import InputError
from otdist.problem import MassRule, Problem
from otdist.result import Result
from otdist.weights import read_weights

Array = NDArray[np.float64]
Given = tuple[Any, Any, Any, Any]


def sinkhorn_divergence(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike | None = None,
    b: ArrayLike | None = None,
    *,
    p: float = 1,
    metric: Ground = "euclidean",
    eps: float = 0.05,
    eps_abs: float | None = None,
    reach: float | None = None,
    debias: bool = True,
    max_residual: float = 1e-5,
    max_iter: int = 2000,
    max_seconds: float | None = None,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
) -> Result | ResultBatch:
    r"""Sinkhorn divergence between two weighted samples, with a proved interval.

    .. math:: S_\varepsilon(x, y) = OT_\varepsilon(x, y) - \tfrac12 OT_\varepsilon(x, x)
              - \tfrac12 OT_\varepsilon(y, y), \qquad OT_\varepsilon = \min_{P \in \Pi(a, b)}
              \langle P, C \rangle + \varepsilon \, KL(P \,|\, a b^\top), \quad C_{ij} = d(x_i, y_j)^p

    Parameters
    ----------
    x : array_like, shape (n, d), (n,) or (B, n, d)
        Points of the first sample, one a row. A third axis in front, of an array
        or tensor, numbers problems.
    y : array_like, shape (m, d), (m,) or (B, m, d)
        Points of the second sample. Where only one of them has a third axis, the other serves all.
    a, b : array_like, shape (n,) and (m,), or (B, n) and (B, m), optional
        Non-negative weights, each side divided by its sum, unless ``reach`` is given. None: all equal,
        1 in all.
    p : float
        At least 1. The cost is ``metric**p``, and so is the unit of the answer: it is not rooted.
    metric : str, Metric or callable
        As in :func:`w1`.
    eps : float
        Regularisation, relative to the mean cost between the two samples, so that the answer follows a
        change of units. All three terms have the same.
    eps_abs : float, optional
        Regularisation in units of the cost, instead of ``eps``: for answers that are compared with
        each other, and for losses.
    reach : float, optional
        Unbalanced: marginals may be missed, at ``reach**p`` times their Kullback-Leibler divergence from
        the weights, which are then not normalised. In units of the metric: mass hardly travels farther.
        None: all mass is moved.
    debias : bool
        False: the first term alone, named "OT_eps".
    max_residual : float
        What the marginals of each term may be off, in all, for a mass of 1.
    max_iter : int
        Updates of each term.
    max_seconds : float, optional
        Time after which the iterations stop.
    nan_policy, on_fail
        As in :func:`w1`.
    mass : {"normalize", "strict"}
        "strict": different totals of a and b are an error.

    Returns
    -------
    Result or ResultBatch
        ``value`` in [``lower``, ``upper``]: proved bounds of the divergence of the given samples at
        ``info["eps_abs"]``, in units of the cost. Where all terms are finished it is non-negative up to
        ``upper - lower`` for Euclidean metrics; unfinished ones may leave it negative, which is shown and
        never clamped. ``info`` holds the ``residual`` and each of the ``terms`` as (value, lower, upper).
        ``potentials`` are those of the first term minus those of the others: how the divergence
        changes with the weights. There is no plan.

        Torch tensors get a value with gradient with respect to x, y, a and b (envelope theorem; ``eps_abs``
        is held fixed; 0 from points that coincide). A batch gets a :class:`ResultBatch`, a sequence of
        Results whose ``value`` is an array or tensor (B,).

    Raises
    ------
    InputError
        If an argument cannot be used; the message says which, where and what to do.
    BudgetError
        If a metric that needs its cost matrix would need more than half of the free memory.
    ConvergenceError
        With ``on_fail="raise"``, if the residual stayed above ``max_residual``.

    Warns
    -----
    ConvergenceWarning
        If it did: the interval is proved all the same.

    Notes
    -----
    Cost: O((n + m)^2 d) an iteration in memory of O((n + m) d) for "euclidean" with p = 1 and 2, and
    "sqeuclidean", "cityblock", "chebyshev" with p = 1; for others 8 bytes a pair, in three
    matrices. Iterations grow about like 1 / eps. Float32 sums find the potentials; values, intervals
    and gradients are from float64 sums. The problems of a batch are solved one after the other.

    Source: Genevay, Peyre, Cuturi (2018); Feydy, Sejourne, Vialard, Amari, Trouve, Peyre (2019), equation 3;
    with ``reach`` Sejourne, Feydy, Vialard, Trouve, Peyre (2019), definition 5. Differs in the interval,
    and in that ``eps`` is relative: their ``blur**p`` is ``eps_abs``.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) + [1.0, 0.0]
    >>> r = otdist.sinkhorn_divergence(x, y)
    >>> round(r.value, 3), r.converged, otdist.sinkhorn_divergence(x, x).value
    (0.763, True, 0.0)
    """
    choice = {"p": p, "metric": metric, "nan_policy": nan_policy, "mass": mass, "max_seconds": max_seconds}
    require_positive(eps=eps, max_residual=max_residual, max_iter=max_iter)
    require_positive(**{k: v for k, v in (("eps_abs", eps_abs), ("reach", reach)) if v is not None})
    require_on_fail(on_fail)
    from otdist.solvers.divergence import Divergence  # numba is loaded when it is needed

    solve = Divergence(eps, eps_abs, reach, debias, max_residual, max_iter)

    def one(*given: Any) -> Result:
        problem = finite_problem(given, **choice)
        return told(solve(problem, _masses(problem, given, reach), given), on_fail)

    return each(one, (x, y, a, b)) if is_batch(x, y) else one(x, y, a, b)


def _masses(problem: Problem, given: Given, reach: float | None) -> tuple[Array, Array]:
    if reach is None:
        return problem.a / problem.mass, problem.b / problem.mass
    return own_masses(problem, given)


def own_masses(problem: Problem, given: Given) -> tuple[Array, Array]:
    """Weights of the rows of a problem as the caller gave them; without weights 1 in all."""
    found = []
    for side, (name, rows) in enumerate((("a", problem.rows), ("b", problem.cols))):
        w = read_weights(given[2 + side], name, problem.shape[side])
        points = (problem.x, problem.y)[side]
        if w is None:
            w = np.full(len(points), 1.0 / len(points))
        elif rows is not None:
            w = w[rows]
        with np.errstate(over="ignore"):
            if not math.isfinite(w.sum()):
                raise InputError(
                    name, "sums to more than the largest float64", "divide a and b by one and the same number"
                )
        found.append(w)
    return found[0], found[1]


def finite_problem(given: Given, **question: Any) -> Problem:
    """Check what the caller gave, of which no point may be infinite."""
    problem = Problem.of(*given, **question)
    if problem.verdict is None:
        return problem.tamed()
    if math.isinf(problem.verdict):
        for points, rows, name in ((problem.x, problem.rows, "x"), (problem.y, problem.cols, "y")):
            if np.isinf(points).any():
                row = int(np.argmax(np.isinf(points).any(axis=1)))
                row = row if rows is None else int(rows[row])
                raise InputError(name, f"row {row} is infinite", "drop it; otdist.w1 allows infinity")
    return problem


def require_positive(**options: Any) -> None:
    """Raise InputError unless all options are positive, finite numbers."""
    for name, value in options.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (number and 0 < value < math.inf):
            raise InputError(name, f"{value!r} is not a positive number", "give a positive number")
