"""Wasserstein distances between two samples, with proved intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, overload

from otdist.gradient import (
    guard_tensors,
    with_gradient,
    with_longest_step_gradient,
)
from otdist.inputs.arguments import check_choice, check_names, check_on_fail, get_option_names
from otdist.problem import Problem, is_infinite_order
from otdist.result import Result
from otdist.runtime.errstate import isolate_errstate
from otdist.solvers.solve import Solver, solve
from otdist.typing import ArrayInput, GroundMetric, Inputs, MassRule, NanPolicy, OnFail

if TYPE_CHECKING:
    from typing import Unpack

    from torch import Tensor

    from otdist.typing import DistanceOptions, MethodOptions, OrderOptions, TensorInput


@overload
def w1(
    x: TensorInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    **options: Unpack[DistanceOptions],
) -> Result[Tensor]: ...
@overload
def w1(
    x: ArrayInput,
    y: TensorInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    **options: Unpack[DistanceOptions],
) -> Result[Tensor]: ...
@overload
def w1(
    x: ArrayInput,
    y: ArrayInput,
    a: TensorInput,
    b: ArrayInput | None = None,
    **options: Unpack[DistanceOptions],
) -> Result[Tensor]: ...
@overload
def w1(
    x: ArrayInput, y: ArrayInput, a: ArrayInput | None, b: TensorInput, **options: Unpack[DistanceOptions]
) -> Result[Tensor]: ...
@overload
def w1(
    x: ArrayInput, y: ArrayInput, *, b: TensorInput, **options: Unpack[DistanceOptions]
) -> Result[Tensor]: ...
@overload
def w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    metric: GroundMetric = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result[float]: ...
@guard_tensors
@isolate_errstate
def w1(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    metric: GroundMetric = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result:
    r"""Wasserstein-1 distance between two weighted samples, with a proved interval.

    .. math:: W_1(x, y) = \min_{P \ge 0} \sum_{ij} P_{ij}\, d(x_i, y_j)
              \quad\text{with}\quad P 1 = a,\; P^\top 1 = b

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first sample, one a row: NumPy, list, torch tensor, pandas, polars or
        pyarrow table. One axis: samples on the line; (1, d) is one point. The unit is yours; the
        answer has the same, and names it where the points have one (astropy, pint, unyt). Dates,
        times and durations are answered in seconds.
    y : array_like, shape (m, d) or (m,)
        Points of the second sample. Table columns are matched by name, units are converted to
        those of ``x``.
    a, b : array_like, shape (n,) and (m,), optional
        Non-negative weights, each side divided by its sum. None: all equal. Where weights and points
        both have pandas labels they are matched by label, whatever their order; other
        labels are an error, also for the default index 0, 1, 2, ... of one of them. Pass
        ``a.to_numpy()`` to go by position.
    metric : str, Metric or callable
        Ground metric: "euclidean", "cityblock", "chebyshev", "angular", "gower", "great_circle"
        (latitude, longitude), one made by :mod:`otdist.metrics`, or a function of two points.
        "sqeuclidean" and "cosine" are costs, not metrics: the answer is then named "EMD", not "W1".
    method : str or solver
        "auto" takes the closed form on the line (one column) or the circle (one periodic
        column), and otherwise the exact linear programme: "dense", on all pairs of points,
        and from about a million pairs on "sparse", which keeps few arcs and checks all pairs. Or
        one of "line", "circle", "dense", "sparse", "sinkhorn", "critic". The last two
        approximate: "sinkhorn" is entropic, see :class:`~otdist.solvers.Sinkhorn`; "critic" trains
        a 1-Lipschitz function, which proves a lower bound, see
        :class:`~otdist.solvers.NeuralDual`. All other methods are exact.
    tol : float
        Relative gap that is good enough. 0: exact ("sinkhorn": 0.01). "sparse" and "sinkhorn"
        stop as soon as they have proved this gap; the others are always exact.
    max_seconds : float, optional
        Time after which the best proved interval is returned, with ``converged=False``: kept to 10 % and a
        second at any size, but for the first call of a method, which may compile or load code.
    progress : bool
        Show progress on standard error: "sparse" shows its interval, "dense" the time.
    nan_policy : {"raise", "omit", "propagate"}
        Rows with missing values: an error, left out and counted in ``info["omitted"]``, or a
        distance of NaN.
    mass : {"normalize", "strict"}
        "strict": different totals of a and b are an error.
    on_fail : {"warn", "raise"}
        Action if the goal is not reached: return the interval with a ConvergenceWarning, or raise a
        ConvergenceError that contains it.
    **options
        Options of the method, which are the fields of its class: ``eps`` of "sinkhorn", for example.
        "auto" only takes ``max_bytes``, which applies to the method that it chooses.

    Returns
    -------
    Result
        ``value`` in [``lower``, ``upper``]: proved bounds of W1 between the given samples, in ``unit``
        if that is known.

        Torch tensors get a value that carries its derivatives with respect to x, y, a and b (envelope
        theorem). At a kink the gradient is one element of the generalised gradient, determined by the plan
        and potentials of the result; a matched pair that coincides adds 0. Second derivatives are computed
        for exact methods and refused for others, and refused between points and weights if several
        potentials are optimal, as for equal masses. See :doc:`/theory`.

    Raises
    ------
    InputError
        If an argument cannot be used; the message says which, where and what to do.
    BudgetError
        If the method would need more than half of the free memory.
    ConvergenceError
        With ``on_fail="raise"``, if the goal was not reached.

    Warns
    -----
    PrecisionWarning
        If integers beyond 2**53, or times, had to be rounded. Those that a metric allows to be shifted
        are shifted in integers first, so identifiers and nanoseconds near each other are exact.
    MetricWarning
        If table columns called latitude and longitude are taken for coordinates in a plane.

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
    W1 = 1 (exact)  dense, n=2/2, d=2, euclidean
    """
    check_on_fail(on_fail)
    problem = Problem.of(
        x,
        y,
        a,
        b,
        metric=metric,
        nan_policy=nan_policy,
        mass=mass,
        tol=tol,
        max_seconds=max_seconds,
        progress=progress,
    )
    return with_gradient(solve(problem, method, on_fail, **options), problem, Inputs(x, y, a, b))


@overload
def wasserstein(
    x: TensorInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    **options: Unpack[OrderOptions],
) -> Result[Tensor]: ...
@overload
def wasserstein(
    x: ArrayInput,
    y: TensorInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    **options: Unpack[OrderOptions],
) -> Result[Tensor]: ...
@overload
def wasserstein(
    x: ArrayInput, y: ArrayInput, a: TensorInput, b: ArrayInput | None = None, **options: Unpack[OrderOptions]
) -> Result[Tensor]: ...
@overload
def wasserstein(
    x: ArrayInput, y: ArrayInput, a: ArrayInput | None, b: TensorInput, **options: Unpack[OrderOptions]
) -> Result[Tensor]: ...
@overload
def wasserstein(
    x: ArrayInput, y: ArrayInput, *, b: TensorInput, **options: Unpack[OrderOptions]
) -> Result[Tensor]: ...
@overload
def wasserstein(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 2,
    metric: GroundMetric = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result[float]: ...
@guard_tensors
@isolate_errstate
def wasserstein(
    x: ArrayInput,
    y: ArrayInput,
    a: ArrayInput | None = None,
    b: ArrayInput | None = None,
    *,
    p: float = 2,
    metric: GroundMetric = "euclidean",
    method: str | Solver = "auto",
    tol: float = 0.0,
    max_seconds: float | None = None,
    progress: bool = False,
    nan_policy: NanPolicy = "raise",
    mass: MassRule = "normalize",
    on_fail: OnFail = "warn",
    **options: Unpack[MethodOptions],
) -> Result:
    r"""Wasserstein-p distance between two weighted samples: rooted, in the units of x.

    .. math:: W_p(x, y) = \Bigl( \min_P \sum_{ij} P_{ij}\, d(x_i, y_j)^p \Bigr)^{1/p}

    Parameters
    ----------
    x, y, a, b
        As in :func:`w1`.
    p : float
        At least 1. ``math.inf``: the bottleneck distance, the smallest possible longest step of a plan.
    metric, method, tol, max_seconds, progress, nan_policy, mass, on_fail, **options
        As in :func:`w1`. For p = infinity the methods are "auto", "line" and "dense", and weights
        must be uniform or whole numbers.

    Returns
    -------
    Result
        ``value`` in [``lower``, ``upper``]. ``plan`` is optimal for the cost d^p, and
        ``potentials`` are in units of that cost (None for p = infinity, which has none). Derivatives as
        in :func:`w1`; if the distance is 0 and p > 1 they are 0, and second ones are refused where
        ``metric**p`` has none, as for 1 < p < 2 if matched points coincide. For p = infinity they are the
        gradient of the longest step, the first of equal ones, and 0 in the weights.

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
    >>> round(otdist.wasserstein([0.0, 1.0], [0.0, 3.0], p=2).value ** 2, 12)  # half of the mass moves by 2
    2.0
    """
    check_on_fail(on_fail)
    is_bottleneck = is_infinite_order(p)
    if is_bottleneck:
        method, options = _choose_bottleneck(method, options), {}
    problem = Problem.of(
        x,
        y,
        a,
        b,
        metric=metric,
        p=1.0 if is_bottleneck else p,  # of p = infinity, distances themselves are compared
        nan_policy=nan_policy,
        mass=mass,
        tol=tol,
        max_seconds=max_seconds,
        progress=progress,
    )
    result = solve(problem, method, on_fail, **options)
    attach_gradient = with_longest_step_gradient if is_bottleneck else with_gradient
    return attach_gradient(result, problem, Inputs(x, y, a, b))


def _choose_bottleneck(method: str | Solver, options: Mapping[str, object]) -> Solver:
    """Return the solver of p = infinity for a method name; raises InputError for a name that it has not."""
    from otdist.solvers.bottleneck import Bottleneck

    if not isinstance(method, str):
        check_names(options, (), "a solver object, which has its own")
        return method
    remedy = "use method='auto' for p = infinity, or a large finite p"
    check_choice(method, "method", ("auto", "line", "dense"), remedy=remedy)
    check_names(options, get_option_names(Bottleneck), "p = infinity")
    make: Callable[..., Solver] = Bottleneck
    return make(**options)
