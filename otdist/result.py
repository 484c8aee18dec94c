"""Result of a solver: a value, and the interval that proves it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from otdist.errors import ConvergenceError, InputError
from otdist.number import Number, V_co, can_pickle, constant
from otdist.pages.formatting import escape_unprintable, format_count, round_outward
from otdist.runtime.errstate import isolate_errstate
from otdist.typing import Array, ArrayInput, Json

if TYPE_CHECKING:
    from scipy.sparse import coo_array
    from torch import Tensor


class Result(Number[V_co]):
    """A distance, the interval that proves it, and how it was found.

    A Result is a float and can be used as one: formatted, rounded, compared, sorted, averaged, put into
    arrays and tables. See the notes.

    Attributes
    ----------
    value : float
        The distance, in the units of the points. A 0-d float64 tensor that carries the
        gradient when torch tensors went in.
    lower, upper : float
        Proved bounds: the true value for the given samples lies between them.
    method : str
        The solver that answered.
    converged : bool
        Whether the solver reached its goal. If not, ``message`` says what happened and what
        to change; the interval is proved all the same.
    message : str
        One sentence for a person.
    name : str
        The quantity: ``"W1"``, ``"W2"``, ``"EMD"``.
    metric : str
        The ground metric.
    n, m, d : int
        Sizes of the two samples and their dimension (0 for a precomputed cost).
    info : dict
        Figures of the solver, such as iterations or omitted rows.
    unit : str
        Unit of the value: that of the points where they came with one, "s" for times. "" where
        the caller named none.

    Notes
    -----
    Two results are equal if their values are, and so are a result and a number; the hash is that of the
    value, and a distance of 0 is False. Arithmetic gives plain floats, without an interval, or a tensor where
    the value is one: it keeps its graph, in functions of torch as well.

    Results can be copied and pickled. ``copy.copy`` shares the tensor of the value; ``copy.deepcopy`` and
    pickle take it without its graph. Plan and potentials that were not made yet are made afterwards when they
    are asked for, or before where what makes them cannot be pickled, such as a metric that is a lambda.

    Examples
    --------
    >>> import otdist
    >>> near, far = otdist.w1([0.0, 1.0], [1.0, 2.0]), otdist.w1([0.0, 1.0], [3.0, 4.0])
    >>> f"{near:.3f}", near < far, max(near, far) - near
    ('1.000', True, 2.0)
    """

    lower: float
    upper: float
    method: str
    converged: bool
    message: str
    name: str
    metric: str
    n: int
    m: int
    d: int
    info: dict[str, Any]
    unit: str
    # Plan and potentials are made when first asked for: on the line they cost more than the value.
    _make_plan: Callable[[], coo_array] | None
    _make_potentials: Callable[[], tuple[Array, Array]] | None
    _extend: Callable[[Array, ArrayInput], Array] | None

    def __init__(
        self,
        value: float | Tensor,
        lower: float,
        upper: float,
        method: str,
        converged: bool = True,
        message: str = "",
        name: str = "W1",
        metric: str = "euclidean",
        n: int = 0,
        m: int = 0,
        d: int = 0,
        info: dict[str, Any] | None = None,
        unit: str = "",
        *,
        _make_plan: Callable[[], coo_array] | None = None,
        _make_potentials: Callable[[], tuple[Array, Array]] | None = None,
        _extend: Callable[[Array, ArrayInput], Array] | None = None,
    ) -> None:
        super().__init__(
            value=value,
            lower=lower,
            upper=upper,
            method=method,
            converged=converged,
            message=message,
            name=name,
            metric=metric,
            n=n,
            m=m,
            d=d,
            info={} if info is None else info,
            unit=unit,
            _make_plan=_make_plan,
            _make_potentials=_make_potentials,
            _extend=_extend,
        )

    @property
    def gap(self) -> float:
        """Proved relative error, ``(upper - lower) / upper``; 0 when both are equal."""
        if self.upper == self.lower:
            return 0.0
        if self.upper <= 0:  # only a divergence can be negative
            return math.inf
        return (self.upper - self.lower) / self.upper if math.isfinite(self.upper) else math.inf

    @cached_property
    @isolate_errstate
    def plan(self) -> coo_array | None:
        """Optimal plan as a sparse (n, m) array with marginals a and b, or None."""
        return None if self._make_plan is None else self._make_plan()

    @cached_property
    @isolate_errstate
    def potentials(self) -> tuple[Array, Array] | None:
        """Dual potentials (f, g) with ``f[i] + g[j] <= cost[i, j]``, or None."""
        return None if self._make_potentials is None else self._make_potentials()

    @isolate_errstate
    def critic(self, z: ArrayInput) -> Array:
        """Evaluate the Kantorovich potential at any points.

        ``f(z) = min_j d(z, y_j) - g_j`` is 1-Lipschitz on the whole space, and
        ``sum_i a_i f(x_i) - sum_j b_j f(y_j)`` is again a lower bound of W1.

        Parameters
        ----------
        z : array_like, shape (k, d) or (k,) when d = 1
            Points, in the units of ``x``.

        Returns
        -------
        ndarray, shape (k,)
            Potential, in the units of ``x``.

        Raises
        ------
        InputError
            If the cost is not a metric, or the method has no potentials.
        """
        if self._extend is None or self.potentials is None:
            raise InputError(
                "critic",
                f"{self.name} by {self.method!r} with metric {self.metric!r} has no Lipschitz potential",
                "use otdist.w1 with a metric such as 'euclidean'",
            )
        return self._extend(self.potentials[1], z)

    def require_converged(self) -> Self:
        """Return self, or raise ConvergenceError (which carries this result)."""
        if not self.converged:
            raise ConvergenceError(f"{self.message} Proved so far: {self}", self)
        return self

    def to_dict(self) -> dict[str, Json]:
        """Plain numbers and strings, ready for JSON; NaN and infinity become None and "inf"."""
        return {
            "name": self.name,
            "value": to_plain(float(self)),
            "lower": to_plain(self.lower),
            "upper": to_plain(self.upper),
            "gap": to_plain(self.gap),
            "method": self.method,
            "converged": self.converged,
            "message": self.message,
            "metric": self.metric,
            "n": self.n,
            "m": self.m,
            "d": self.d,
            "info": dict(self.info),
            "unit": self.unit,
        }

    def __getstate__(self) -> dict[str, Any]:
        """State for pickle, with plan and potentials made where their makers cannot be pickled."""
        state = super().__getstate__()
        for name in ("plan", "potentials"):
            make = state[f"_make_{name}"]
            if make is not None and not can_pickle(make):
                state[name] = getattr(self, name)
                state[f"_make_{name}"] = partial(constant, state[name])
        if state["_extend"] is not None and not can_pickle(state["_extend"]):
            state["_extend"] = _extend_lost
        return state

    @property
    def _is_exact(self) -> bool:
        """Whether the solver reached its goal and both bounds have the same six significant digits."""
        return self.converged and f"{self.lower:.6g}" == f"{self.upper:.6g}" != "nan"

    def __str__(self) -> str:
        state = "" if self.converged else "  NOT CONVERGED"
        return escape_unprintable(f"{self.name} = {self._figure()}{self._proof()}{state}  {self._source()}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def _repr_html_(self) -> str:
        from otdist.pages.notebook import render_line

        main = f"{self.name} = {self._figure()}{'' if self.converged else '  NOT CONVERGED'}"
        return render_line(
            main, self._proof().strip(" ()"), self._source(), "" if self.converged else self.message
        )

    def _figure(self) -> str:
        """Value with its unit."""
        return f"{float(self):.6g}{f' {self.unit}' if self.unit else ''}"

    def _proof(self) -> str:
        """Description of the proved interval of the value."""
        if self._is_exact:
            return " (exact)"
        if math.isnan(self.lower) or math.isnan(self.upper):
            return ""
        ends = round_outward(self.lower, self.upper, 6)
        return f"  proved interval [{ends[0]:.6g}, {ends[1]:.6g}]"

    def _source(self) -> str:
        """Method, sizes and metric."""
        return f"{self.method}, n={self.n}/{self.m}, d={self.d}, {self.metric}"


class SlicedResult(Result[V_co]):
    """A Result from projections, with the directions and the distance along each.

    Attributes
    ----------
    directions : ndarray, shape (k, d)
        Unit vectors: those that were averaged over, or, best first, those that ascents ended at.
    distances : ndarray, shape (k,)
        W_p between the projections on each, in the units of the points: each is at most W_p
        between the points themselves.
    """

    directions: Array
    distances: Array

    def __init__(
        self, *fields: Any, directions: Array | None = None, distances: Array | None = None, **named: Any
    ) -> None:
        super().__init__(*fields, **named)
        directions = np.empty((0, 0)) if directions is None else directions
        distances = np.empty(0) if distances is None else distances
        self.__dict__.update(directions=directions, distances=distances)

    @property
    def direction(self) -> Array:
        """Unit vector (d,) along which the samples are farthest apart, of those in ``directions``."""
        return np.asarray(self.directions[int(np.argmax(self.distances))])

    def _proof(self) -> str:
        """Format the proved interval, after the standard error of a mean over random directions."""
        error = self.info.get("stderr")
        if error is None:
            return super()._proof()
        return f" (standard error {error:.2g}){'' if self._is_exact else super()._proof()}"

    def _source(self) -> str:
        return f"{super()._source()}, {format_count(len(self.directions), 'direction')}"


def _extend_lost(g: Array, z: ArrayInput) -> Array:
    raise InputError(
        "critic",
        "was lost when the result was pickled: its metric cannot be pickled",
        "evaluate it in the process that made it, or define the metric at the top level of a module",
    )


def to_plain(value: object) -> Any:
    """Convert a value, and what it contains, for strict JSON: NaN to None, infinities to "inf" and "-inf"."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
