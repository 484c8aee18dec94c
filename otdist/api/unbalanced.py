"""Transport between samples of unequal mass: weights are not normalised.

Surplus mass is left behind and missing mass created, at a price (:func:`unbalanced_w1`), or a given mass is
transported and the rest stays (:func:`partial_w1`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from otdist.api.divergence import caller_masses, make_finite_problem, power_of_reach
from otdist.batch import ResultBatch, is_batch, solve_each
from otdist.errors import InputError
from otdist.gradient import guard_tensors, with_gradient
from otdist.inputs.arguments import check_choice, check_integer, check_number, check_on_fail, check_order
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.answer import make_fixed_result
from otdist.solvers.solve import warn_or_raise
from otdist.solvers.unbalanced.results import solve_kl, solve_partial, solve_tv
from otdist.typing import Array, ArrayInput, GroundMetric, Inputs, NanPolicy, OnFail

if TYPE_CHECKING:
    from otdist.solvers.unbalanced.results import Label

Penalty = Literal["tv", "kl"]

DEFAULT_GAP = 1e-2  # relative gap for the penalty "kl" with tol=None


@guard_tensors
@isolate_errstate
def unbalanced_w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    reach: float,
    penalty: Penalty = "tv",
    p: float = 1,
    metric: GroundMetric = "euclidean",
    tol: float | None = None,
    max_iter: int = 2000,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    on_fail: OnFail = "warn",
) -> Result | ResultBatch:
    r"""Unbalanced transport between two weighted samples, with a proved interval.

    .. math:: \min_{P \ge 0} \langle P, C \rangle + \rho\, D(P 1 \,|\, a) + \rho\, D(P^\top 1 \,|\, b),
              \qquad C_{ij} = d(x_i, y_j)^p, \quad \rho = \text{reach}^p

    with :math:`D` the total variation :math:`\sum_i |r_i - a_i|` ("tv"), or the relative entropy
    :math:`\sum_i r_i \log(r_i / a_i) - r_i + a_i` ("kl").

    Parameters
    ----------
    x : array_like, shape (n, d), (n,) or (B, n, d)
        Points of the first sample, one a row, as in :func:`w1`. A third axis in front, of an array
        or tensor, numbers problems.
    y : array_like, shape (m, d), (m,) or (B, m, d)
        Points of the second sample.
    a, b : array_like, shape (n,) and (m,), or (B, n) and (B, m), optional
        Masses: non-negative, not normalised. None: equal, with a total of 1.
    reach : float
        Price of mass, in units of the metric: positive. Under "tv" one unit of mass that is left behind, or
        created, costs ``reach**p``. So no mass travels where ``d**p > 2 reach**p``, and with p = 1 no farther
        than ``2 reach``. Under "kl" mass thins out gradually beyond that.
    penalty : {"tv", "kl"}
        "tv": exact. With p = 1 and a metric this is the flat norm (also Kantorovich-Rubinstein, or bounded
        Lipschitz), a metric between measures of any mass: the largest difference of the integrals of a
        1-Lipschitz function with values in [-reach, reach]. "kl": relative entropy, which never drops a
        point altogether.
    p : float
        At least 1. The answer is a cost, in units of ``metric**p`` times mass: it is not rooted.
    metric : str, Metric or callable
        As in :func:`w1`.
    tol : float, optional
        Relative gap that is good enough. None: exact for "tv" (proved to 1e-9), and 0.01 for "kl".
    max_iter : int
        Maximal number of updates for "kl".
    max_seconds : float, optional
        Time after which the best proved interval is returned, with ``converged=False``.
    progress, nan_policy, on_fail
        As in :func:`w1`.

    Returns
    -------
    Result or ResultBatch
        ``value`` in [``lower``, ``upper``]: proved bounds of the minimum above, without regularisation.
        ``plan`` is the transported mass, (n, m): its marginals are the matched parts of a and b.
        ``potentials`` (f, g) have ``f_i + g_j <= C_ij`` and prove ``lower``; under "tv" both are at most
        ``reach**p``. ``info`` holds ``moved``, the transported mass. ``critic`` for "tv" with p = 1.

        Torch tensors get a value with gradient with respect to x, y, a and b, from plan and potentials; under
        "kl" these are near the optimum as ``gap`` says. Second derivatives are computed for "tv", in points
        and in weights, and refused between them and for "kl". A batch gets a :class:`ResultBatch`.

    Raises
    ------
    InputError
        If an argument cannot be used; the message says which, where and what to do.
    BudgetError
        If the cost matrix would need more than half of the free memory.
    ConvergenceError
        With ``on_fail="raise"``, if the goal was not reached.

    Warns
    -----
    ConvergenceWarning
        If it was not: a gap above ``tol`` is never ``converged``, whether time or float64 ended it.

    Notes
    -----
    "tv": a linear programme on the cost matrix with one point more on each side, where mass is left or
    created; time and memory as for :func:`emd`. "kl": streamed, O(n m d) an update and O((n + m) d)
    memory for the same metrics as in :func:`sinkhorn_divergence`, for others 8 n m bytes more; entropic
    plans whose regularisation falls until the gap is ``tol``. Where float32 sums end that before, or the
    reach is far beyond all points, up to 4 million pairs are solved exactly between given marginals, at
    the cost of :func:`emd`.

    Source: Piccoli, Rossi (2014) and Lellmann, Lorenz, Schoenlieb, Valkonen (2014) for "tv"; Liero,
    Mielke, Savare (2018) for "kl", Chizat, Peyre, Schmitzer, Vialard (2018) for its updates. Differs in
    the interval, and in that "kl" is not left regularised.

    Examples
    --------
    >>> import otdist
    >>> # Mass 1 travels by 0.5; mass 1 at 9 is too far away from anything, and is left behind at 1.
    >>> r = otdist.unbalanced_w1([0.0, 9.0], [0.5], [1.0, 1.0], [1.0], reach=1.0)
    >>> r.value, r.info["moved"]
    (1.5, 1.0)
    """
    reach, max_iter = check_number(reach, "reach", above=0), check_integer(max_iter, "max_iter")
    p = check_order(p)
    check_choice(penalty, "penalty", ("tv", "kl"))
    check_on_fail(on_fail)
    power_of_reach(reach, p)
    goal = (DEFAULT_GAP if penalty == "kl" else 0.0) if tol is None else tol
    choice: dict[str, Any] = {"p": p, "metric": metric, "nan_policy": nan_policy}
    choice |= {"tol": goal, "max_seconds": max_seconds, "progress": progress}

    def solve_one(*arguments: object) -> Result:
        inputs = Inputs(*arguments)
        problem = replace(make_finite_problem(inputs, **choice), rooted=False)
        label: Label = {"name": f"UW{p:g}", "info": {"penalty": penalty, "reach": reach}}
        if problem.fixed_value is not None:
            return with_gradient(make_fixed_result(problem, **label), problem, inputs)
        masses = caller_masses(problem)
        if penalty == "kl":
            return warn_or_raise(solve_kl(problem, masses, inputs, reach, max_iter, label), on_fail)
        return warn_or_raise(solve_tv(problem, masses, inputs, reach, label), on_fail)

    return solve_each(solve_one, (x, y, a, b)) if is_batch(x, y) else solve_one(x, y, a, b)


@guard_tensors
@isolate_errstate
def partial_w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    moved: float | None = None,
    p: float = 1,
    metric: GroundMetric = "euclidean",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    on_fail: OnFail = "warn",
) -> Result | ResultBatch:
    r"""Partial transport: the least cost of transporting a given mass, with a proved interval.

    .. math:: \min_{P \ge 0} \langle P, C \rangle \quad\text{with}\quad P 1 \le a,\; P^\top 1 \le b,\;
              \textstyle\sum_{ij} P_{ij} = \text{moved}, \qquad C_{ij} = d(x_i, y_j)^p

    Parameters
    ----------
    x, y, a, b
        As in :func:`unbalanced_w1`: masses are not normalised; by default each side has a total of 1.
    moved : float, optional
        Transported mass: positive, at most the smaller of both totals. None: the smaller of both totals,
        so that the lighter sample is matched to the best part of the heavier one.
    p, metric, tol, max_seconds, progress, nan_policy, on_fail
        As in :func:`unbalanced_w1`.

    Returns
    -------
    Result or ResultBatch
        ``value`` in [``lower``, ``upper``]: proved bounds of the cost of this mass, in units of ``metric**p``
        times mass; untransported mass costs nothing. It is 0 if the samples overlap enough, so it is not
        a distance. Divided by ``moved`` it is the mean cost of the transported mass. ``plan`` has the mass
        ``moved``; ``info["reach"]`` is the reach at which :func:`unbalanced_w1` with "tv" transports as much.
        ``potentials`` are the potentials of that problem.

        Torch tensors get a value with gradient with respect to x, y, a and b, with ``moved`` held
        fixed; second derivatives as for "tv". A batch gets a :class:`ResultBatch`.

    Raises
    ------
    InputError, BudgetError, ConvergenceError
        As in :func:`unbalanced_w1`.

    Notes
    -----
    Cost as for :func:`emd`: a linear programme with one point more on each side. Source: Caffarelli,
    McCann (2010); Figalli (2010); the additional points by Chapel, Alaya, Gasso (2020). Differs in that the
    cost between these is arbitrary: transporting more mass is never cheaper, so the optimum is the same.

    Examples
    --------
    >>> import otdist
    >>> otdist.partial_w1([0.0, 1.0, 50.0], [0.5, 1.5], [1, 1, 1], [1, 1]).value  # the outlier stays
    1.0
    >>> otdist.partial_w1([0.0, 1.0, 50.0], [0.5, 1.5], [1, 1, 1], [1, 1], moved=1).value
    0.5
    """
    check_on_fail(on_fail)
    p = check_order(p)
    moved = None if moved is None else check_number(moved, "moved", above=0)
    choice: dict[str, Any] = {"p": p, "metric": metric, "nan_policy": nan_policy}
    choice |= {"tol": tol, "max_seconds": max_seconds, "progress": progress}

    def solve_one(*arguments: object) -> Result:
        inputs = Inputs(*arguments)
        problem = replace(make_finite_problem(inputs, **choice), rooted=False)
        label: Label = {"name": f"PW{p:g}", "info": {}}
        if problem.fixed_value is not None:
            return with_gradient(make_fixed_result(problem, **label), problem, inputs)
        masses = caller_masses(problem)
        return warn_or_raise(
            solve_partial(problem, masses, inputs, _check_moved(masses, moved), label), on_fail
        )

    return solve_each(solve_one, (x, y, a, b)) if is_batch(x, y) else solve_one(x, y, a, b)


def _check_moved(masses: tuple[Array, Array], moved: float | None) -> float | None:
    """Check the mass to transport; None: all mass of the lighter side."""
    most = min(math.fsum(masses[0]), math.fsum(masses[1]))
    if moved is None:
        return None
    if moved > most * (1 + 1e-12):
        raise InputError(
            "moved", f"must be at most the mass of both sides, {most:g}, got {moved:g}", "lower it"
        )
    return float(moved) if moved < most else None
