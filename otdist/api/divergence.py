"""Sinkhorn divergences: debiased entropic transport, with proved intervals.

A divergence is neither W1 nor a bound of it: it is smooth in points and weights, 0 between equal samples, and
approaches an energy distance as ``eps`` grows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.batch import ResultBatch, is_batch, solve_each
from otdist.errors import InputError
from otdist.gradient import guard_tensors
from otdist.inputs.arguments import check_flag, check_integer, check_number, check_on_fail, check_order
from otdist.problem import Problem
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.solve import warn_or_raise
from otdist.typing import Array, ArrayInput, GroundMetric, Inputs, MassRule, NanPolicy, OnFail


@guard_tensors
@isolate_errstate
def sinkhorn_divergence(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    metric: GroundMetric = "euclidean",
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
        Points of the first sample, one a row, as in :func:`w1`. A third axis in front, of an array
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
        change of units. It is the same for all three terms.
    eps_abs : float, optional
        Regularisation in units of the cost, instead of ``eps``: for comparing answers, and for losses.
    reach : float, optional
        Unbalanced: the marginals have a penalty of ``reach**p`` times their Kullback-Leibler divergence from
        the weights, which are then not normalised. In units of the metric: mass hardly travels farther.
        None: all mass is transported.
    debias : bool
        False: the first term alone, named "OT_eps".
    max_residual : float
        Largest L1 error of the marginals of each term, for a mass of 1.
    max_iter : int
        Maximal number of updates of each term.
    max_seconds : float, optional
        Time after which the best proved interval is returned, as in :func:`w1`.
    nan_policy, on_fail
        As in :func:`w1`.
    mass : {"normalize", "strict"}
        "strict": different totals of a and b are an error.

    Returns
    -------
    Result or ResultBatch
        ``value`` in [``lower``, ``upper``]: proved bounds of the divergence of the given samples at
        ``info["eps_abs"]``, in units of the cost. Where all terms are finished it is non-negative up to
        ``upper - lower`` for Euclidean metrics; unfinished ones may make it negative, which is not
        clamped. ``info`` holds the ``residual`` and each of the ``terms`` as (value, lower, upper).
        ``potentials`` are the potentials of the first term minus those of the others: the gradient of the
        divergence in the weights. There is no plan.

        Torch tensors get a value with gradient with respect to x, y, a and b (envelope theorem; ``eps_abs``
        is held fixed; 0 from points that coincide). Second derivatives are refused; for ``|x - y|**p``
        :func:`otdist.learn.divergence` has them. A batch gets a :class:`ResultBatch`, a sequence of
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
        If it did, or if float64 cannot tell the residual from its rounding: the interval is proved all the
        same.

    Notes
    -----
    Cost: O((n + m)^2 d) an iteration in memory of O((n + m) d) for "euclidean" with p = 1 and 2, and
    "sqeuclidean", "cityblock", "chebyshev" with p = 1; for others 8 bytes a pair, in three
    matrices. Iterations grow about like 1 / eps; where they stall, Newton steps by conjugate gradients take
    over, each of which counts as an iteration. Float32 sums find the potentials; values, intervals
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
    choice: dict[str, Any] = {
        "p": p,
        "metric": metric,
        "nan_policy": nan_policy,
        "mass": mass,
        "max_seconds": max_seconds,
    }
    choice |= {"rooted": False}  # the answer is a cost
    eps, max_residual = check_number(eps, "eps", above=0), check_number(max_residual, "max_residual", above=0)
    max_iter, debias = check_integer(max_iter, "max_iter"), check_flag(debias, "debias")
    eps_abs = None if eps_abs is None else check_number(eps_abs, "eps_abs", above=0)
    reach = None if reach is None else check_number(reach, "reach", above=0)
    check_on_fail(on_fail)
    from otdist.solvers.divergence.divergence import DivergenceSolver  # numba is loaded when it is needed

    if reach is not None:
        check_order(p)
        power_of_reach(reach, p)
    solve = DivergenceSolver(eps, eps_abs, reach, debias, max_residual, max_iter)

    def solve_one(*arguments: object) -> Result:
        inputs = Inputs(*arguments)
        problem = make_finite_problem(inputs, **choice)
        return warn_or_raise(solve(problem, _masses(problem, reach), inputs), on_fail)

    return solve_each(solve_one, (x, y, a, b)) if is_batch(x, y) else solve_one(x, y, a, b)


def _masses(problem: Problem, reach: float | None) -> tuple[Array, Array]:
    if reach is None:
        return problem.a / problem.mass, problem.b / problem.mass
    return caller_masses(problem)


def caller_masses(problem: Problem) -> tuple[Array, Array]:
    """Return the caller's weights of a problem's rows, not normalised; without weights the total is 1."""
    found = []
    for side, (name, rows) in enumerate((("a", problem.rows), ("b", problem.cols))):
        w = problem.weights[side]
        points = (problem.x, problem.y)[side]
        if w is None:
            w = np.full(len(points), 1.0 / len(points))
        elif rows is not None:
            w = w[rows]
        with np.errstate(over="ignore"):
            if not math.isfinite(w.sum()):
                raise InputError(
                    name, "sums to more than the largest float64", "divide a and b by the same number"
                )
        found.append(w)
    return found[0], found[1]


def make_finite_problem(inputs: Inputs, **question: Any) -> Problem:
    """Make a problem whose points must be finite; raises InputError."""
    problem = Problem.of(*inputs, **question)
    if problem.fixed_value is None:
        problem = problem.rescale()
        _require_costs_in_range(problem)
        return problem
    problem.refuse_infinity()
    return problem


def _require_costs_in_range(problem: Problem) -> None:
    """Raise InputError if costs over- or underflow in the caller's units, as the answer is a cost."""
    power = problem.exponent * problem.degree * problem.p
    if -1060 < power < 1024:
        return
    kind = "overflow" if power > 0 else "vanish"
    raise InputError(
        "x",
        f"and y have costs metric**p of about 2**{power:.0f}, which {kind} in float64",
        "scale the points, or compare otdist.wasserstein, which takes the root",
    )


def power_of_reach(reach: float, p: float) -> float:
    """Compute ``reach**p``; raises InputError if it over- or underflows."""
    try:
        price = float(float(reach) ** p)
    except OverflowError:
        price = math.inf
    if not 0 < price < math.inf:
        problem = f"{reach:g} to the power {p:g} {'overflows' if price else 'vanishes'} in float64"
        raise InputError("reach", problem, "scale points and reach by the same factor, or use a smaller p")
    return price
