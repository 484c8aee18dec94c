"""What a solver answers: a value, and the interval that proves it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.errors import ConvergenceError, InputError

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """A distance, the interval that proves it, and how it was found.

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
    """

    value: Any
    lower: float
    upper: float
    method: str
    converged: bool = True
    message: str = ""
    name: str = "W1"
    metric: str = "euclidean"
    n: int = 0
    m: int = 0
    d: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    # Plan and potentials are made when first asked for: on the line they cost more than the value.
    _make_plan: Callable[[], coo_array] | None = field(default=None, repr=False)
    _make_potentials: Callable[[], tuple[Array, Array]] | None = field(default=None, repr=False)
    _extend: Callable[[Array, ArrayLike], Array] | None = field(default=None, repr=False)

    @property
    def gap(self) -> float:
        """Proved relative error, ``(upper - lower) / upper``; 0 when both are equal."""
        if self.upper == self.lower:
            return 0.0
        if self.upper <= 0:  # only a divergence can be negative
            return math.inf
        return (self.upper - self.lower) / self.upper if math.isfinite(self.upper) else math.inf

    @cached_property
    def plan(self) -> coo_array | None:
        """Optimal plan as a sparse (n, m) array with marginals a and b, or None."""
        return None if self._make_plan is None else self._make_plan()

    @cached_property
    def potentials(self) -> tuple[Array, Array] | None:
        """Dual potentials (f, g) with ``f[i] + g[j] <= cost[i, j]``, or None."""
        return None if self._make_potentials is None else self._make_potentials()

    def critic(self, z: ArrayLike) -> Array:
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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON; NaN and infinity become None and "inf"."""
        return {
            "name": self.name,
            "value": plain(float(self)),
            "lower": plain(self.lower),
            "upper": plain(self.upper),
            "gap": plain(self.gap),
            "method": self.method,
            "converged": self.converged,
            "message": self.message,
            "metric": self.metric,
            "n": self.n,
            "m": self.m,
            "d": self.d,
            "info": dict(self.info),
        }

    def __float__(self) -> float:
        value = self.value
        return float(value.detach() if hasattr(value, "detach") else value)

    def __str__(self) -> str:
        state = "" if self.converged else "  NOT CONVERGED"
        return (
            f"{self.name} = {float(self):.6g}  [{self.lower:.6g}, {self.upper:.6g}]{state}  "
            f"{self.method}, n={self.n}/{self.m}, d={self.d}, {self.metric}"
        )

    def _repr_html_(self) -> str:
        return f"<code>{self}</code>"


@dataclass(frozen=True, eq=False)
class SlicedResult(Result):
    """A Result from projections, with the directions and the distance along each.

    Attributes
    ----------
    directions : ndarray, shape (k, d)
        Unit vectors: those that were averaged over, or, best first, those that ascents ended at.
    distances : ndarray, shape (k,)
        W_p between the projections on each, in the units of the points: each is at most W_p
        between the points themselves.
    """

    directions: Array = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    distances: Array = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def direction(self) -> Array:
        """Unit vector (d,) along which the samples are farthest apart, of those in ``directions``."""
        return np.asarray(self.directions[int(np.argmax(self.distances))])

    def __str__(self) -> str:
        error = self.info.get("stderr")
        noise = "" if error is None else f", standard error {error:.2g}"
        count = len(self.directions)
        return f"{super().__str__()}, {count} direction{'s' if count > 1 else ''}{noise}"


def plain(value: Any) -> Any:
    """Value that strict JSON can hold: None for NaN, "inf" and "-inf" for infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value
