"""Transport problem, checked once: two weighted samples and a ground cost."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from otdist.errors import InputError, PrecisionWarning
from otdist.inputs.arguments import (
    check_flag,
    check_mass,
    check_order,
    check_policy,
    check_seconds,
    check_tol,
)
from otdist.inputs.arrays import caller_level, read_table
from otdist.inputs.clouds import (
    as_points,
    check_points,
    drop_absent_rows,
    find_first_row,
    read_clouds,
    value_at_infinity,
)
from otdist.inputs.unit_conversion import UnitConversion
from otdist.inputs.weights import make_masses, plain_weights, read_weights, require_same_total
from otdist.metrics import Metric
from otdist.metrics.base import bounding_box, make_row_blocks
from otdist.metrics.geographic_columns import check_column_names
from otdist.metrics.names import is_gower, resolve
from otdist.metrics.tables import make_gower
from otdist.typing import Array, ArrayInput, FloatOrArray, Index, MassRule, NanPolicy

MAX_SPREAD = 2.0**890
MAX_SAFE_EXPONENT = 900  # costs and their sums within 2**-900 to 2**900 are finite and lose no digits
COST_CAP = 2.0**1000  # larger costs are cut off; sums of such costs are still finite
MIN_UNIT_EXPONENT = -1000  # for smaller exponents, 2**-exponent overflows
DISTANCE_OVERFLOW = "a distance exceeds the largest float64"
SMALLEST_SUBNORMAL = 2.0**-1074  # smallest positive float64
MAX_DISTANCE = 2.0**1023  # of points that cannot be scaled
MAX_UNSCALED_EXPONENT = 64  # data up to 2**64 are not scaled: nothing over- or underflows


@dataclass(frozen=True, eq=False)
class Problem:
    """Two weighted samples on a safe scale; made by :meth:`Problem.of`.

    Attributes
    ----------
    x, y : ndarray, shape (n, d) and (m, d)
        Points with positive mass, shifted by ``centre`` and scaled by ``2**-exponent``: both
        exact in float64, so that a solver's bounds hold for the caller's own numbers.
    a, b : ndarray, shape (n,) and (m,)
        Masses, both with total ``mass``.
    whole : bool
        Whether all masses are integers, so that their sums are exact.
    metric : Metric
        Ground metric.
    p : float
        The cost is ``metric**p``.
    rooted : bool
        Whether the answer is a distance (the cost to the power 1/p) or the cost itself.
    distance_exponent : int
        ``metric`` divides distances, not points, by ``2**distance_exponent``.
    capped : bool
        Whether costs above ``COST_CAP`` are cut off, which does not change an optimum without such costs.
    rows, cols : ndarray or None
        The caller's indices of ``x`` and ``y``; None if no row was left out.
    shape : (int, int)
        Numbers of the caller's rows.
    omitted : (int, int)
        Numbers of rows left out because of missing values.
    mass_error : float
        Bound of the mass that rounding of the weights has moved between the sides.
    points_rounded : bool
        Whether scaling has rounded points (to multiples of 2**-1074 on the new scale): only for
        data with both 1e-300 and 1e300.
    caller_points : (ndarray, ndarray)
        The caller's points, including left-out rows, in the units of ``conversion``.
    weights : (ndarray or None, ndarray or None)
        The caller's weights in the order of his points, including left-out rows.
    conversion : UnitConversion
        Unit of the points, and the origin that was subtracted before they were rounded to float64.
    fixed_value : float or None
        Answer that needs no solver: NaN (nan_policy="propagate") or infinity.
    tol, max_seconds, progress
        Stopping options, and whether progress is shown.
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
    distance_exponent: int = 0
    capped: bool = False
    centre: Array | None = None
    rows: Index | None = None
    cols: Index | None = None
    shape: tuple[int, int] = (0, 0)
    omitted: tuple[int, int] = (0, 0)
    fixed_value: float | None = None
    mass_error: float = 0.0
    points_rounded: bool = False
    caller_points: tuple[Array, Array] = (np.empty((0, 0)), np.empty((0, 0)))
    weights: tuple[Array | None, Array | None] = (None, None)
    conversion: UnitConversion = field(default_factory=UnitConversion)
    tol: float = 0.0
    max_seconds: float | None = None
    progress: bool = False

    @classmethod
    def of(
        cls,
        x: object,
        y: object,
        a: object = None,
        b: object = None,
        *,
        metric: str | Metric | Callable[..., float] = "euclidean",
        p: float = 1.0,
        nan_policy: NanPolicy = "raise",
        mass: MassRule = "normalize",
        rooted: bool = True,
        tol: float = 0.0,
        max_seconds: float | None = None,
        progress: bool = False,
    ) -> Problem:
        """Check the caller's arguments and bring them to one form; raises InputError."""
        p, tol, max_seconds = check_order(p), check_tol(tol), check_seconds(max_seconds)
        progress = check_flag(progress, "progress")
        check_policy(nan_policy)
        check_mass(mass)
        ground = None if is_gower(metric) else resolve(metric)
        clouds = read_clouds(x, y, a, b, **_allowed_shifts(ground))
        if ground is not None:
            check_column_names(ground, clouds.columns)
        caller_points = clouds.x, clouds.y
        n, m = len(clouds.x), len(clouds.y)
        a, b = plain_weights(a, b)
        a = read_weights(a, "a", n, clouds.labels[0], "x")
        b = read_weights(b, "b", m, clouds.labels[1], "y")
        weights = a, b
        if mass == "strict":
            require_same_total(a, b)
        points_x, a, rows, gone_x = drop_absent_rows(caller_points[0], a, "x", nan_policy)
        points_y, b, cols, gone_y = drop_absent_rows(caller_points[1], b, "y", nan_policy)
        where: dict[str, Any] = {"rows": rows, "cols": cols, "shape": (n, m), "caller_points": caller_points}
        where |= {"omitted": (gone_x, gone_y), "weights": weights, "conversion": clouds.conversion}
        sides = make_masses(a, b, len(points_x), len(points_y))
        left, right, total = sides[:3]
        low, high = bounding_box(points_x, points_y)
        fixed_value = None
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            fixed_value = value_at_infinity(
                (points_x, left / total, rows), (points_y, right / total, cols), ground
            )
        ground = make_gower(points_x, points_y) if ground is None else ground
        if fixed_value is None and ground.check is not None:
            ground.check(points_x, "x", rows)
            ground.check(points_y, "y", cols)
        if fixed_value is None and ground.canonical is not None:
            points_x, points_y = ground.canonical(points_x), ground.canonical(points_y)
        where["fixed_value"] = fixed_value
        where["mass_error"] = sides.error
        where |= {"rooted": rooted, "tol": tol, "max_seconds": max_seconds, "progress": progress}
        problem = cls(points_x, points_y, left, right, total, sides.whole, ground, p, **where)
        if fixed_value is not None:
            return problem
        if ground.degree is None:
            _require_finite(ground, points_x, points_y)
            return problem
        return problem._center_and_scale(low, high)

    def _center_and_scale(self, low: Array, high: Array) -> Problem:
        """Shift both samples together, without rounding, and scale them."""
        # Sterbenz: x - c is exact for c/2 <= x <= 2c. A column with a smaller offset has a spread as large
        # as its offset, and needs no shift.
        offset = np.where((low > 0) & (high / 2 <= low), low, 0.0)
        offset = np.where((high < 0) & (low / 2 >= high), high, offset)
        centred = self
        if offset.any():
            centred = replace(self, x=self.x - offset, y=self.y - offset, centre=offset)
        return centred.scale_by(far_exponent(low, high))

    def rescale(self) -> Problem:
        """Scale all points, or all distances, so that costs neither over- nor underflow."""
        if self.metric.degree is None:
            return self.fit_distance_unit(self.x, self.y)
        size = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
        return self.scale_by(scale_exponent(size, self.p))

    def scale_by(self, exponent: int) -> Problem:
        """Scale the points by ``2**-exponent``."""
        if exponent < 0:  # outliers must not overflow
            size = max(float(np.abs(self.x).max()), float(np.abs(self.y).max()))
            exponent = min(max(exponent, math.frexp(size)[1] - 1000), 0)
        if exponent == 0 or self.metric.degree is None:
            return self
        x, y = np.ldexp(self.x, -exponent), np.ldexp(self.y, -exponent)
        rounded = any((np.ldexp(new, exponent) != old).any() for new, old in ((x, self.x), (y, self.y)))
        return replace(
            self, x=x, y=y, exponent=self.exponent + exponent, points_rounded=self.points_rounded or rounded
        )

    def scale_distances(self, exponent: int) -> Problem:
        """Divide distances by ``2**exponent``, without scaling the points."""
        exponent = max(exponent, MIN_UNIT_EXPONENT)
        return replace(
            self, metric=self.metric.divide(exponent), distance_exponent=self.distance_exponent + exponent
        )

    def fit_distance_unit(self, x: Array, y: Array) -> Problem:
        """Divide distances by a power of two if costs between x and y would over- or underflow."""
        if self.p == 1 or (self.p <= 2 and self.metric.degree is not None):
            return self
        size = self._largest_distance(x, y)
        if self.p * (abs(math.frexp(size)[1]) + 4) < MAX_SAFE_EXPONENT:
            return self
        if self.metric.extent is None:
            size = max(
                float(self.metric.matrix(x[rows], y).max()) for rows in make_row_blocks(len(x), len(y))
            )
        return self.scale_distances(scale_exponent(size, self.p))

    def _largest_distance(self, x: Array, y: Array) -> float:
        """Upper bound of all distances; if none is known, the largest from one point of each side."""
        if self.metric.extent is not None:
            return self.metric.extent(x, y)
        ends = self.metric.matrix(x[:1], y), self.metric.matrix(x, y[:1])
        return max(float(distances.max()) for distances in ends)

    @property
    def d(self) -> int:
        """Dimension of the points."""
        return int(self.x.shape[1])

    @property
    def degree(self) -> int:
        """Exponent by which the metric grows with the scale of the points; 0 if points are not scaled."""
        return self.metric.degree or 0

    def transform(self, z: ArrayInput) -> Array:
        """Transform the caller's points to the units of ``x`` and ``y``."""
        table = read_table(self.conversion.strip_unit(z, "z"), "z")
        points = as_points(table, "z")
        check_points(points, "z", self.d, self.metric)
        return self.shift_and_scale(self.conversion.convert_points(table, points, "z"))

    def refuse_infinity(self) -> None:
        """Raise InputError for a point at infinity, for questions that have no infinite answer."""
        for points, rows, name in ((self.x, self.rows, "x"), (self.y, self.cols, "y")):
            infinite = np.isinf(points).any(axis=1)
            if infinite.any() and self.fixed_value == math.inf:
                problem = f"row {find_first_row(infinite, rows)} is infinite"
                raise InputError(name, problem, "drop it; otdist.w1 allows infinity")

    def to_caller_rows(self, rows: Index, cols: Index) -> tuple[Index, Index]:
        """Convert indices of ``x`` and ``y`` to the caller's."""
        return (
            rows if self.rows is None else self.rows[rows],
            cols if self.cols is None else self.cols[cols],
        )

    def fill_left_out(self, values: Array, side: int, fill: float = math.nan) -> Array:
        """Return values for all rows of the caller, from those for ``x`` (side 0) or ``y`` (side 1)."""
        present = (self.rows, self.cols)[side]
        out = np.full(self.shape[side], fill)
        out[slice(None) if present is None else present] = values
        return out

    def shift_and_scale(self, points: Array) -> Array:
        """Shift and scale points in the same way as ``x`` and ``y``."""
        if self.metric.degree is None:
            return points
        shifted = points if self.centre is None else points - self.centre
        return shifted if self.exponent == 0 else np.asarray(np.ldexp(shifted, -self.exponent))

    def costs(self, x: Array, y: Array) -> Array:
        """Compute the cost matrix between points on the problem's scale: ``metric**p``."""
        return self.costs_of_distances(self.metric.matrix(x, y))

    def costs_of_distances(self, distances: Array) -> Array:
        """Convert distances to costs ``distances**p``, in place."""
        if self.capped:
            np.minimum(distances, COST_CAP ** (1 / self.p), out=distances)
        if self.p == 1:
            return distances
        with np.errstate(under="ignore", over="ignore"):
            if self.p == 2:
                return np.multiply(distances, distances, out=distances)
            return np.asarray(np.power(distances, self.p, out=distances))

    def to_caller_costs(self, cost: FloatOrArray) -> FloatOrArray:
        """Convert costs from the problem's scale to the caller's units."""
        power = self.degree * self.p
        return self._unscale(cost, (self.exponent * self.degree + self.distance_exponent) * self.p, power)

    def from_caller_costs(self, cost: Array) -> Array:
        """Convert costs from the caller's units to the problem's scale."""
        power = self.degree * self.p
        shift = int((self.exponent * self.degree + self.distance_exponent) * self.p)
        return np.asarray(np.ldexp(cost, -shift) / self.conversion.rescale(1.0, power))

    def cost_unit(self, exponent: int) -> float:
        """Return the unit, in the caller's units, of the problem's costs divided by ``2**exponent``.

        Raises InputError if it is beyond float64, since the answer, which is a cost, may be as well.
        """
        shift = (self.exponent * self.degree + self.distance_exponent) * self.p + exponent
        if not -1070 <= shift <= 1023:
            raise InputError(
                "x",
                f"and y: distances to the power {self.p:g} are near 2**{shift:.0f}, beyond float64",
                "use another unit of length",
            )
        return float(self.conversion.rescale(2.0**shift, self.degree * self.p))

    def to_distance(self, cost: float, exponent: int = 0) -> float:
        """Convert a cost to the caller's answer, a distance if the problem is rooted.

        ``exponent``: the points, or distances if points are not scaled, were divided by ``2**exponent``.
        """
        shift = self._shift(exponent)
        if not self.rooted or self.p == 1:
            return float(self._unscale(cost, shift * self.p, self.degree * self.p))
        return float(self._unscale(root(cost, self.p), shift, self.degree))

    def to_distance_interval(self, low: float, high: float, exponent: int = 0) -> tuple[float, float]:
        """Convert bounds of a cost to bounds of the caller's answer, rounded outwards."""
        lower, upper = self.to_distance(low, exponent), self.to_distance(high, exponent)
        if self.rooted and self.p != 1:
            error = max(root_rounding(bound, self.p) for bound in (low, high))
        elif self._shift(exponent) * self.p % 1 != 0:
            error = 4 * 2.0**-53
        else:
            error = 0.0  # a power of two: exact
        # A positive bound that underflows is not 0.
        lower, upper = lower * (1 - error), max(upper * (1 + error), SMALLEST_SUBNORMAL if high > 0 else 0.0)
        return lower, upper

    def _shift(self, exponent: int) -> int:
        """Exponent of the power of two by which distances are smaller than the caller's."""
        return (self.exponent + exponent) * (self.metric.degree or 1) + self.distance_exponent

    def widen_upper(self, upper: float) -> float:
        """Widen an upper bound by the rounding of the points."""
        if not self.points_rounded:
            return upper
        power = self.degree * (1 if self.rooted else self.p)
        return float((upper ** (1 / power) + math.ldexp(self.d, self.exponent - 1074)) ** power)

    def widen(self, lower: float, upper: float) -> tuple[float, float]:
        """Widen bounds of the answer by the errors of distances.

        Errors of distances of at most e change the cost of every plan, to the power 1/p, by at most e
        (Minkowski's inequality).
        """
        if self.metric.error is None or not math.isfinite(upper):
            return lower, upper
        power = 1.0 if self.rooted else self.p
        error = math.ldexp(self.metric.error(self.x, self.y), self.distance_exponent)
        low, high = lower ** (1 / power) - error, upper ** (1 / power) + error
        if power == 1:
            return max(low, 0.0) * (1 - 2.0**-50), high * (1 + 2.0**-50)
        return max(low * (1 - 2.0**-50), 0.0) ** power * (1 - power * 2.0**-50), high**power * (
            1 + power * 2.0**-50
        )

    def _unscale(self, value: FloatOrArray, shift: float, power: float) -> FloatOrArray:
        if shift == 0:
            return self.conversion.rescale(value, power)
        whole = math.floor(shift)
        with np.errstate(over="ignore", under="ignore"):
            out: FloatOrArray = np.ldexp(value * 2.0 ** (shift - whole), whole)
        if np.isinf(out).any() and np.isfinite(value).all():
            warnings.warn(DISTANCE_OVERFLOW, PrecisionWarning, stacklevel=caller_level())
        return self.conversion.rescale(out, power)


def root(cost: float, p: float) -> float:
    """Compute ``cost ** (1 / p)``; for integer p a cost ``2**p`` times as large gives exactly the double."""
    if not _is_reducible(p) or not 0 < cost < math.inf:
        return float(cost ** (1.0 / p))
    fraction, exponent = math.frexp(cost)
    whole, rest = divmod(exponent, int(p))
    reduced = math.ldexp(fraction, rest)
    return math.ldexp(math.sqrt(reduced) if p == 2 else reduced ** (1.0 / p), whole)


def _is_reducible(p: float) -> bool:
    """Whether powers of ``2**p`` are divided out of a cost before its root."""
    return p == int(p) and p <= 512


def root_rounding(cost: float, p: float) -> float:
    """Bound of the relative error of :func:`root`.

    The power rounds, and so does its exponent ``1 / p``, with a factor of ``ln(cost) / p``.
    """
    if _is_reducible(p):
        return 5 * 2.0**-53
    return (4 + abs(math.log(cost)) / p) * 2.0**-53 if 0 < cost < math.inf else 0.0


def is_infinite_order(p: object) -> bool:
    """Whether p is infinite, for the bottleneck distance."""
    return isinstance(p, float | np.floating) and p == math.inf


def _allowed_shifts(ground: Metric | None) -> dict[str, Any]:
    """Return the exact changes that a metric allows before points are rounded to float64; None: gower."""
    if ground is None:
        return {"shift": True, "ticks": False}
    ticks = ground.degree is not None
    shift = ticks or ground.shift_invariant
    return {"shift": shift, "ticks": ticks, "points_unit": ground.points_unit}


def _require_finite(metric: Metric, x: Array, y: Array) -> None:
    """Raise InputError if distances between points that are not scaled exceed float64."""
    if metric.extent is not None and not metric.extent(x, y) < MAX_DISTANCE:
        raise InputError(
            "metric",
            f"{metric.name}: distances between these points exceed {MAX_DISTANCE:.3g}",
            "use larger scales, or a larger unit of the points",
        )


def far_exponent(low: Array, high: Array) -> int:
    """Exponent of the power of two to divide by so that differences and their sums do not overflow."""
    with np.errstate(over="ignore"):
        return 128 if float(np.max(high - low)) > MAX_SPREAD else 0


def scale_exponent(size: float, power: float = 1.0) -> int:
    """Exponent of the power of two that scales data of this size to 1; 0 if their scale is safe."""
    exponent = math.frexp(size)[1]
    return 0 if abs(exponent) * power < MAX_UNSCALED_EXPONENT else exponent
