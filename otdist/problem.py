"""The question, checked once: two weighted clouds and a ground cost."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otdist.arrays import caller_level, read
from otdist.clouds import NanPolicy, as_points, not_finite, present, two_clouds
from otdist.errors import InputError, PrecisionWarning
from otdist.metrics import Metric
from otdist.metrics.names import resolve
from otdist.metrics.tables import gower
from otdist.weights import masses, read_weights, require_same_total

Array = NDArray[np.float64]
Index = NDArray[np.intp]
MassRule = Literal["normalize", "strict"]

ORDINARY = 64  # data up to 2**64 are left at their scale: nothing over- or underflows there


@dataclass(frozen=True, eq=False)
class Problem:
    """Two weighted clouds, ready for arithmetic; made by :meth:`Problem.of`.

    Attributes
    ----------
    x, y : ndarray, shape (n, d) and (m, d)
        Points with positive mass, shifted by ``centre`` and scaled by ``2**-exponent``: both
        exact in float64, so a solver proves something about the caller's own numbers.
    a, b : ndarray, shape (n,) and (m,)
        Masses, both with total ``mass``; whole numbers where the weights allow it.
    metric : Metric
        Ground metric.
    p : float
        The cost is ``metric**p``.
    rooted : bool
        Whether the answer is a distance (the cost to the power 1/p) or the cost itself.
    rows, cols : ndarray or None
        The caller's indices of ``x`` and ``y``; None when no row was left out.
    shape : (int, int)
        How many rows the caller gave.
    omitted : (int, int)
        Rows left out because they were missing.
    given : (ndarray, ndarray)
        The caller's points, left-out rows included.
    verdict : float or None
        The answer when it needs no solver: NaN (nan_policy="propagate") or infinity.
    tol, max_seconds, progress
        When to stop, and whether to show how far it is.
    """

    x: Array
    y: Array
    a: Array
    b: Array
    mass: float
    metric: Metric
    p: float = 1.0
    rooted: bool = True
    exponent: int = 0
    centre: Array | None = None
    rows: Index | None = None
    cols: Index | None = None
    shape: tuple[int, int] = (0, 0)
    omitted: tuple[int, int] = (0, 0)
    verdict: float | None = None
    given: tuple[Array, Array] = (np.empty((0, 0)), np.empty((0, 0)))
    tol: float = 0.0
    max_seconds: float | None = None
    progress: bool = False

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any,
        a: Any = None,
        b: Any = None,
        *,
        metric: str | Metric | Callable[..., float] = "euclidean",
        p: float = 1.0,
        nan_policy: NanPolicy = "raise",
        mass: MassRule = "normalize",
        **stop: Any,
    ) -> Problem:
        """Check what the caller gave and bring it to one form; raises InputError.

        Options that are not listed (``rooted``, ``tol``, ...) become fields as they are.
        """
        _check_options(p, nan_policy, mass, stop)
        points_x, points_y = two_clouds(x, y, a is not None or b is not None)
        n, m = len(points_x), len(points_y)
        a, b = read_weights(a, "a", n), read_weights(b, "b", m)
        if mass == "strict":
            require_same_total(a, b, n, m)
        given = (points_x, points_y)
        points_x, a, rows, gone_x = present(points_x, a, "x", nan_policy)
        points_y, b, cols, gone_y = present(points_y, b, "y", nan_policy)
        where: dict[str, Any] = {
            "rows": rows,
            "cols": cols,
            "shape": (n, m),
            "omitted": (gone_x, gone_y),
            "given": given,
        }
        left, right, total = masses(a, b, len(points_x), len(points_y))
        low, high = _range(points_x, points_y)
        verdict = None
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            verdict = not_finite(points_x, points_y, left / total, right / total)
        ground = gower(points_x, points_y) if metric == "gower" else resolve(metric)
        if verdict is None:
            for points, name in ((points_x, "x"), (points_y, "y")):
                if ground.check is not None:
                    ground.check(points, name)
        problem = cls(points_x, points_y, left, right, total, ground, p, verdict=verdict, **where, **stop)
        keep = verdict is not None or ground.degree is None
        return problem if keep else problem._normalised(low, high)

    def _normalised(self, low: Array, high: Array) -> Problem:
        """Shift and scale both clouds together, without any rounding."""
        # Sterbenz: x - c is exact for c/2 <= x <= 2c. A column whose offset is smaller than that
        # has a spread as large as its offset, and needs no shift.
        offset = np.where((low > 0) & (high / 2 <= low), low, 0.0)
        offset = np.where((high < 0) & (low / 2 >= high), high, offset)
        exponent = scale_exponent(float(max(np.max(high - offset), np.max(offset - low))))
        x, y = _moved(self.x, offset, exponent), _moved(self.y, offset, exponent)
        changes = {"x": x, "y": y, "centre": offset if offset.any() else None, "exponent": exponent}
        return Problem(**{**vars(self), **changes})

    @property
    def d(self) -> int:
        """Dimension of the points."""
        return int(self.x.shape[1])

    @property
    def degree(self) -> int:
        """How the metric grows with the scale of the points; 0 where they are left as they are."""
        return self.metric.degree or 0

    def place(self, z: ArrayLike) -> Array:
        """Bring the caller's points into the units of ``x`` and ``y``."""
        points = as_points(read(z, "z"), "z")
        if points.shape[1] != self.d:
            raise InputError("z", f"has {points.shape[1]} columns, x has {self.d}", "give the same columns")
        if not np.isfinite(points).all():
            row = int(np.argmax(~np.isfinite(points).all(axis=1)))
            raise InputError("z", f"row {row} is not finite", "drop it")
        return self.moved(points)

    def moved(self, points: Array) -> Array:
        """Shift and scale points as ``x`` and ``y`` were."""
        if self.metric.degree is None:
            return points
        return _moved(points, np.zeros(self.d) if self.centre is None else self.centre, self.exponent)

    def costs(self, x: Array, y: Array) -> Array:
        """Cost matrix between points on the problem's scale: ``metric**p``."""
        matrix = self.metric.matrix(x, y)
        if self.p == 2:
            return np.multiply(matrix, matrix, out=matrix)
        return matrix if self.p == 1 else np.power(matrix, self.p, out=matrix)

    def cost_units(self, cost: Any) -> Any:
        """Bring costs from the problem's scale to the caller's units."""
        degree = self.degree * self.p
        if self.exponent == 0 or degree == 0:
            return cost
        shift = self.exponent * degree
        if float(shift).is_integer():
            with np.errstate(over="ignore", under="ignore"):
                return np.ldexp(cost, int(shift))
        return cost * 2.0**shift

    def answer(self, cost: float) -> float:
        """Turn a transport cost on the problem's scale into the caller's answer."""
        if not self.rooted or self.p == 1:
            value = float(self.cost_units(cost))
        else:
            with np.errstate(over="ignore"):
                value = float(np.ldexp(cost ** (1.0 / self.p), self.exponent * self.degree))
        if math.isinf(value) and math.isfinite(cost):
            warnings.warn(
                "the distance exceeds the largest float64", PrecisionWarning, stacklevel=caller_level()
            )
        return value


def check_order(p: float) -> None:
    """Raise InputError unless p is an order that W_p is defined for."""
    if isinstance(p, bool) or not isinstance(p, int | float | np.number) or not (1 <= p < math.inf):
        raise InputError("p", f"{p!r} is not a finite number of at least 1", "use p=1 or p=2")


def check_policy(nan_policy: str) -> None:
    """Raise InputError unless the policy is known."""
    if nan_policy not in ("raise", "omit", "propagate"):
        raise InputError("nan_policy", f"{nan_policy!r} is unknown", "use 'raise', 'omit' or 'propagate'")


def _check_options(p: float, nan_policy: str, mass: str, stop: dict[str, Any]) -> None:
    check_order(p)
    check_policy(nan_policy)
    if mass not in ("normalize", "strict"):
        raise InputError("mass", f"{mass!r} is unknown", "use 'normalize' or 'strict'")
    tol, seconds = stop.get("tol", 0.0), stop.get("max_seconds")
    if not 0 <= tol < math.inf:
        raise InputError("tol", f"{tol} is not a non-negative number", "give the relative gap to stop at")
    if seconds is not None and not seconds > 0:
        raise InputError("max_seconds", f"{seconds} is not positive", "give a time in seconds, or None")


def _range(x: Array, y: Array) -> tuple[Array, Array]:
    return np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))


def scale_exponent(size: float) -> int:
    """Power of two that brings data of this size to 1; 0 where their own scale is harmless."""
    exponent = math.frexp(size)[1]
    return 0 if abs(exponent) < ORDINARY else exponent


def _moved(points: Array, offset: Array, exponent: int) -> Array:
    shifted = points - offset if offset.any() else points
    if exponent == 0:
        return shifted
    if -1000 < exponent < 1000:
        return np.asarray(shifted * 2.0**-exponent)
    return np.asarray(np.ldexp(shifted, -exponent))
