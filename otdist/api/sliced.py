"""Sliced Wasserstein distances: lower bounds of W_p from projections on lines."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from otdist.bounds import UNIT_ROUNDOFF
from otdist.errors import ConvergenceWarning, InputError
from otdist.gradient import guard_tensors, with_array_gradients
from otdist.inputs.arguments import Rng, check_integer, check_order, check_rng
from otdist.inputs.arrays import caller_level, is_torch, read
from otdist.problem import Problem
from otdist.result import SlicedResult
from otdist.runtime.budget import require_memory
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.line import Line
from otdist.solvers.sliced.gradients import gradients_along, power_mean_formula
from otdist.solvers.sliced.projections import coupling_cost_along, distances_along, normalize, power_mean
from otdist.solvers.sliced.results import missing_value_result, project_problem, sliced_result
from otdist.solvers.sliced.sphere_ascent import RANDOM_PER_START, ascend, starting_directions
from otdist.typing import Array, ArrayInput, Inputs, MassRule, NanPolicy

DIRECTION_MOVES = (
    "second derivatives of max_sliced_w1 are not computed: its direction moves with the points",
    "use sliced_w1(..., directions=r.direction[None]), which holds it fixed",
)


@guard_tensors
@isolate_errstate
def sliced_w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    n_projections: int = 1000,
    rng: Rng = None,
    directions: ArrayInput | None = None,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
) -> SlicedResult:
    r"""Sliced Wasserstein distance: a lower bound of W1, the mean over projections on lines.

    .. math:: SW_p(x, y) = \Bigl( \frac1K \sum_{k=1}^K W_p(\langle\theta_k, x\rangle,
              \langle\theta_k, y\rangle)^p \Bigr)^{1/p} \le W_p(x, y)

    It is neither W1 nor an approximation of it: a shift v gives :math:`|v|` in W1, and about
    :math:`0.8\,|v| / \sqrt d` here.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first sample, one a row, as in :func:`w1`. The unit is yours; the answer has the
        same.
    y : array_like, shape (m, d) or (m,)
        Points of the second sample.
    a, b : array_like, shape (n,) and (m,), optional
        Non-negative weights, each side divided by its sum. None: all equal.
    p : float
        At least 1. The answer is a distance: rooted, and a lower bound of W_p. The ground metric is
        Euclidean.
    n_projections : int
        Directions that are drawn, where ``directions`` is None. One column needs only one.
    rng : int or Generator, optional
        Seed of the directions.
    directions : array_like, shape (k, d), optional
        Directions to use instead of random ones, one a row (POT has them as columns), of any
        length but 0.
    nan_policy : {"raise", "omit", "propagate"}
        Rows with missing values: an error, left out and counted in ``info["omitted"]``, or a
        distance of NaN.
    mass : {"normalize", "strict"}
        "strict": different totals of a and b are an error.

    Returns
    -------
    SlicedResult
        ``value`` in [``lower``, ``upper``]: the power mean over these directions, exact up to
        rounding. ``lower`` is at most W_p between the given samples, proved, and so is
        ``info["at_least"]``, the largest of the ``distances`` rounded down.

        The directions are a random sample as well: ``info["stderr"]`` is the standard error of ``value``
        as an estimate of the mean over the whole sphere; None if the directions are given or there is
        only one. ``info["shrinkage"]`` is the factor by which projecting reduces a shift, the number c in
        :math:`SW_p \le c\,W_p` for the whole sphere: ``value / c`` estimates a lower bound of W_p,
        and does not prove it.

        Torch tensors get a value with first and second derivatives with respect to x, y, a and b, for
        these directions. Matched projections that coincide add 0 to the gradient, and second
        derivatives are then refused for 1 < p < 2.

    Raises
    ------
    InputError
        If an argument cannot be used. Infinite coordinates have no projection and are refused.
    BudgetError
        If the directions or one block of projections need more than half of the free memory.

    Notes
    -----
    Cost: O(K (n + m) (d + log(n + m))) time on all cores, O((n + m + K) d) memory. Source: Bonneel,
    Rabin, Peyre, Pfister (2015), section 3; Rabin, Peyre, Delon, Bernot (2012). Differs in that the
    error of the Monte Carlo mean is stated.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(500, 3)), rng.normal(size=(400, 3)) + [1.0, 0.0, 0.0]
    >>> r = otdist.sliced_w1(x, y, rng=1)
    >>> round(r.value, 2), round(r.info["stderr"], 2), r.lower <= otdist.w1(x, y).upper
    (0.54, 0.01, True)
    """
    p, n_projections = check_order(p), check_integer(n_projections, "n_projections")
    check_rng(rng)
    problem = _check_inputs(Inputs(x, y, a, b), p, nan_policy, mass)
    thetas = (
        _draw_directions(n_projections, rng, problem.d)
        if directions is None
        else _read_directions(directions, problem.d)
    )
    label: dict[str, Any] = {"name": f"SW{p:g}", "method": "sliced"}
    if problem.fixed_value is not None:
        return missing_value_result(problem, Inputs(x, y, a, b), **label)
    _require_room(problem, len(thetas))
    values, lowers, uppers = distances_along(problem, thetas)
    value, lower, upper = (power_mean(end, p) for end in (values, lowers, uppers))
    lower, upper = (
        lower * (1 - (p + 8) * UNIT_ROUNDOFF),
        upper * (1 + (p + 8) * UNIT_ROUNDOFF),
    )  # roundings of the mean
    unit = replace(problem, p=1.0)  # a distance is scaled back
    info = {
        "n_projections": len(thetas),
        "stderr": None,
        "at_least": unit.to_distance(float(lowers.max())),
        "shrinkage": _shrinkage(problem.d, p),
    }
    if directions is None and (len(thetas) > 1 or problem.d == 1):
        info["stderr"] = unit.to_distance(_standard_error(values, value, p))
    gradients = gradients_along(problem, thetas, values, value)
    result = sliced_result(problem, (value, lower, upper), (thetas, values), info=info, **label)
    formula = partial(power_mean_formula, problem, thetas, value)
    return with_array_gradients(result, problem, Inputs(x, y, a, b), *gradients, formula=formula)


@guard_tensors
@isolate_errstate
def max_sliced_w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 1,
    n_starts: int = 16,
    rng: Rng = None,
    max_iter: int = 500,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
) -> SlicedResult:
    r"""Max-sliced Wasserstein distance: a lower bound of W1, along the direction with the largest distance.

    .. math:: \max_{|\theta| = 1} W_p(\langle\theta, x\rangle, \langle\theta, y\rangle) \le W_p(x, y)

    Parameters
    ----------
    x, y, a, b, p
        As in :func:`sliced_w1`.
    n_starts : int
        Number of initial directions: the difference of the means, main axes of the covariances, and
        the best of 16 times as many random directions.
    rng : int or Generator, optional
        Seed of the random directions.
    max_iter : int
        Maximal number of rounds of the ascent, with all starts in each.
    nan_policy, mass
        As in :func:`sliced_w1`.

    Returns
    -------
    SlicedResult
        ``value`` is W_p between the projections on ``direction``, which points from y to x in the
        mean. Proved for the given samples: ``lower`` <= maximum <= W_p <= ``upper``. The upper bound
        is the cost of coupling the points in the order of their projections (``plan``), and mostly far
        away: it is not proved that a maximum is global. ``potentials`` and ``critic`` belong to the
        projections, and are feasible for the points.

        ``converged``: the best ascent ended at a local maximum, where no step gains a share of 1e-9.
        ``directions`` and ``distances`` hold the ends of all ascents, best first.

        Torch tensors get a value with gradient with respect to x, y, a and b, with the direction
        held fixed (envelope theorem); at a kink it is a one-sided gradient. Second derivatives, for which
        the direction would move, are refused.

    Raises
    ------
    InputError, BudgetError
        As :func:`sliced_w1`.

    Warns
    -----
    ConvergenceWarning
        If that ascent was still rising after ``max_iter`` rounds.

    Notes
    -----
    Cost: a round is about five times :func:`sliced_w1` with ``n_starts`` projections, and some
    hundred are needed; d^3 more for the covariances, which are left out beyond 512 columns. Source:
    Deshpande et al. (2019), *Max-sliced Wasserstein distance and its use for GANs*, for p = 2. Differs
    in that the ascent has a line search, so that no step lowers the distance, and several starts.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 8))
    >>> r = otdist.max_sliced_w1(x + 3 * np.eye(8)[2], x, rng=1)
    >>> round(r.value, 6), np.abs(r.direction).argmax()
    (3.0, np.int64(2))
    """
    p, n_starts, max_iter = (
        check_order(p),
        check_integer(n_starts, "n_starts"),
        check_integer(max_iter, "max_iter"),
    )
    random = check_rng(rng)
    problem = _check_inputs(Inputs(x, y, a, b), p, nan_policy, mass)
    label: dict[str, Any] = {"name": f"max-SW{p:g}", "method": "max-sliced"}
    if problem.fixed_value is not None:
        return missing_value_result(problem, Inputs(x, y, a, b), **label)
    _require_room(problem, RANDOM_PER_START * n_starts)
    thetas, converged, rounds = np.ones((1, 1)), np.ones(1, dtype=bool), 0
    if problem.d > 1:
        thetas, converged, rounds = ascend(problem, starting_directions(problem, n_starts, random), max_iter)
    thetas = _orient_towards_x(problem, thetas)
    bounds = distances_along(problem, thetas)
    order = np.argsort(-bounds[1], kind="stable")
    thetas, converged = thetas[order], converged[order]
    values, lowers, uppers = (end[order] for end in bounds)
    value, upper = float(values[0]), float(uppers[0])
    if problem.d > 1 and upper > 0:
        upper = max(upper, coupling_cost_along(problem, thetas[0]))
    message = "" if converged[0] else f"The distance still rose after max_iter={max_iter} rounds: allow more."
    result = sliced_result(
        problem,
        (value, float(lowers[0]), upper),
        (thetas, values),
        best_result=Line()(project_problem(problem, thetas[0])),
        converged=bool(converged[0]),
        message=message,
        info={"n_starts": len(thetas), "rounds": rounds},
        **label,
    )
    if not result.converged:
        warnings.warn(f"{message} Proved: {result}", ConvergenceWarning, stacklevel=caller_level())
    gradients = gradients_along(problem, thetas[:1], values[:1], value)
    return with_array_gradients(result, problem, Inputs(x, y, a, b), *gradients, refusal=DIRECTION_MOVES)


def _check_inputs(inputs: Inputs, p: float, nan_policy: NanPolicy, mass: MassRule) -> Problem:
    problem = Problem.of(*inputs, p=p, nan_policy=nan_policy, mass=mass)
    if problem.fixed_value is None:
        return problem.rescale()
    problem.refuse_infinity()
    return problem


def _draw_directions(count: int, rng: Rng, d: int) -> Array:
    require_memory(24 * count * d, f"{count} directions in d={d}", "lower n_projections")
    generator = check_rng(rng)
    return np.ones((1, 1)) if d == 1 else normalize(generator.normal(size=(count, d)))


def _read_directions(directions: object, d: int) -> Array:
    if is_torch(directions) and directions.requires_grad:
        raise InputError("directions", "must not require a gradient", "pass directions.detach()")
    vectors = read(directions, "directions").values
    if vectors.ndim != 2 or vectors.shape[1] != d or len(vectors) == 0:
        raise InputError(
            "directions",
            f"must have shape (k, {d}), got {vectors.shape}",
            "give one direction a row; transpose what was made for POT",
        )
    bad = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            "directions",
            "must hold finite vectors other than 0, "
            f"row {row} is {'zero' if np.isfinite(vectors[row]).all() else 'not finite'}",
            "give finite vectors of any length but 0",
        )
    return normalize(vectors)


def _require_room(problem: Problem, count: int) -> None:
    size = len(problem.x) + len(problem.y)
    require_memory(
        8 * (count * problem.d + 40 * size + 2 * size * problem.d),
        f"projecting {size} points on {count} directions",
        "take fewer of them, or a random subset of the rows",
    )


def _orient_towards_x(problem: Problem, thetas: Array) -> Array:
    """Orient directions from y to x in the mean; both orientations give the same distance."""
    difference = (problem.a @ problem.x - problem.b @ problem.y) / problem.mass
    return np.where((thetas @ difference < 0)[:, None], -thetas, thetas)


def _shrinkage(d: int, p: float) -> float:
    """Compute ``(mean of |theta_1|**p over the sphere)**(1/p)``."""
    logarithm = math.lgamma(d / 2) + math.lgamma((p + 1) / 2) - math.lgamma(0.5) - math.lgamma((d + p) / 2)
    return math.exp(logarithm / p)


def _standard_error(distances: Array, value: float, p: float) -> float:
    """Standard error of the power mean of independent distances (delta method)."""
    if value == 0 or len(distances) == 1:
        return 0.0
    powers = (distances / value) ** p  # of mean 1
    return float(value / p * powers.std(ddof=1) / math.sqrt(len(powers)))
