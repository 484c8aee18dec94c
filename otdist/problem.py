"""The question, checked once: two weighted clouds and a ground cost."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
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

FAR = 2.0**890
BEYOND = "a distance exceeds the largest float64"
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
        Masses, both with total ``mass``.
    whole : bool
        Whether all masses are whole numbers, so that their sums are exact.
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
    mass_error : float
        Bound of the mass that rounding of the weights has moved between the sides.
    blurred : bool
        Whether scaling has rounded points (to multiples of 2**-1074 on the new scale): only for
        data from 1e-300 to 1e300 at once.
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
    whole: bool
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
    mass_error: float = 0.0
    blurred: bool = False
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
        given = two_clouds(x, y, a, b)
        n, m = len(given[0]), len(given[1])
        a, b = read_weights(a, "a", n), read_weights(b, "b", m)
        if mass == "strict":
            require_same_total(a, b)
        points_x, a, rows, gone_x = present(given[0], a, "x", nan_policy)
        points_y, b, cols, gone_y = present(given[1], b, "y", nan_policy)
        where: dict[str, Any] = {"rows": rows, "cols": cols, "shape": (n, m), "given": given}
        where["omitted"] = (gone_x, gone_y)
        sides = masses(a, b, len(points_x), len(points_y))
        left, right, total = sides[:3]
        low, high = _range(points_x, points_y)
        verdict = None
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            verdict = not_finite((points_x, left / total, rows), (points_y, right / total, cols), metric)
        ground = gower(points_x, points_y) if metric == "gower" else resolve(metric)
        if verdict is None and ground.check is not None:
            ground.check(points_x, "x", rows)
            ground.check(points_y, "y", cols)
        if verdict is None and ground.canonical is not None:
            points_x, points_y = ground.canonical(points_x), ground.canonical(points_y)
        where["verdict"] = verdict
        where["mass_error"] = sides.error
        problem = cls(points_x, points_y, left, right, total, sides.whole, ground, p, **where, **stop)
        keep = verdict is not None or ground.degree is None
        return problem if keep else problem._normalised(low, high)

    def _normalised(self, low: Array, high: Array) -> Problem:
        """Shift both clouds together, without any rounding."""
        # Sterbenz: x - c is exact for c/2 <= x <= 2c. A column whose offset is smaller than that
        # has a spread as large as its offset, and needs no shift.
        offset = np.where((low > 0) & (high / 2 <= low), low, 0.0)
        offset = np.where((high < 0) & (low / 2 >= high), high, offset)
        centred = self
        if offset.any():
            centred = replace(self, x=self.x - offset, y=self.y - offset, centre=offset)
        return centred.rescaled(far_exponent(low, high))

    def tamed(self) -> Problem:
        """Scale all points so that their costs neither over- nor underflow."""
        size = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
        return self.rescaled(scale_exponent(size, self.p))

    def rescaled(self, exponent: int) -> Problem:
        """Scale the points by ``2**-exponent``, for costs that would over- or underflow."""
        if exponent < 0:  # what lies far from the rest must not overflow
            size = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
            exponent = min(max(exponent, math.frexp(size)[1] - 1000), 0)
        if exponent == 0 or self.metric.degree is None:
            return self
        x, y = np.ldexp(self.x, -exponent), np.ldexp(self.y, -exponent)
        lost = any((np.ldexp(new, exponent) != old).any() for new, old in ((x, self.x), (y, self.y)))
        return replace(self, x=x, y=y, exponent=self.exponent + exponent, blurred=self.blurred or lost)

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
        shifted = points if self.centre is None else points - self.centre
        return shifted if self.exponent == 0 else np.asarray(np.ldexp(shifted, -self.exponent))

    def costs(self, x: Array, y: Array) -> Array:
        """Cost matrix between points on the problem's scale: ``metric**p``."""
        matrix = self.metric.matrix(x, y)
        if self.p == 2:
            return np.multiply(matrix, matrix, out=matrix)
        return matrix if self.p == 1 else np.power(matrix, self.p, out=matrix)

    def cost_units(self, cost: Any) -> Any:
        """Bring costs from the problem's scale to the caller's units."""
        return self._unscaled(cost, self.exponent * self.degree * self.p)

    def answer(self, cost: float, exponent: int = 0) -> float:
        """Turn a cost into the caller's answer; ``exponent``: what its points were divided by."""
        exponent += self.exponent
        if not self.rooted or self.p == 1:
            return float(self._unscaled(cost, exponent * self.degree * self.p))
        return float(self._unscaled(cost ** (1.0 / self.p), exponent * self.degree))

    def sharp(self, upper: float) -> float:
        """Widen an upper bound by what the points were moved when they were rounded."""
        if not self.blurred:
            return upper
        power = self.degree * (1 if self.rooted else self.p)
        return float((upper ** (1 / power) + math.ldexp(self.d, self.exponent - 1074)) ** power)

    def _unscaled(self, value: Any, shift: float) -> Any:
        if shift == 0:
            return value
        whole = math.floor(shift)
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(value * 2.0 ** (shift - whole), whole)
        if np.isinf(out).any() and np.isfinite(value).all():
            warnings.warn(BEYOND, PrecisionWarning, stacklevel=caller_level())
        return out


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
    if seconds is not None and not (isinstance(seconds, int | float | np.number) and seconds > 0):
        raise InputError(
            "max_seconds", f"{seconds!r} is not a positive number", "give a time in seconds, or None"
        )


def _range(x: Array, y: Array) -> tuple[Array, Array]:
    return np.minimum(x.min(axis=0), y.min(axis=0)), np.maximum(x.max(axis=0), y.max(axis=0))


def far_exponent(low: Array, high: Array) -> int:
    """Power of two to divide by so that differences, and sums of them, do not overflow."""
    with np.errstate(over="ignore"):
        return 128 if float(np.max(high - low)) > FAR else 0


def scale_exponent(size: float, power: float = 1.0) -> int:
    """Power of two that brings data of this size to 1; 0 where their own scale is harmless."""
    exponent = math.frexp(size)[1]
    return 0 if abs(exponent) * power < ORDINARY else exponent
