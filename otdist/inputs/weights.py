"""Weights as masses: two vectors with equal totals, exact where possible."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import read
from otdist.inputs.exact_numbers import EXACT_INTEGER
from otdist.inputs.labels import match_labels
from otdist.inputs.units import strip_unit, to_common_unit
from otdist.runtime.parallel import run_both
from otdist.typing import Array, Labels

MAX_WEIGHTS_EXACT_SUM = 20_000  # up to so many weights are summed without rounding
MAX_TOTAL_DIFFERENCE = 1e-6  # largest relative difference of totals by the rounding of float32 weights


def plain_weights(a: object, b: object) -> tuple[object, object]:
    """Convert the weights of both sides to numbers in one unit; raises InputError."""
    a, b = (list(w) if isinstance(w, Iterator) else w for w in (a, b))
    if a is None or b is None:
        return strip_unit(a, "a"), strip_unit(b, "b")
    return to_common_unit(a, b, ("a", "b"))[:2]


def read_weights(
    values: object, name: str, n: int, labels: Labels = None, owner: str = "the points"
) -> Array | None:
    """Check weights: one a row, finite, non-negative, not all zero. None stays None (uniform).

    ``labels``: labels of the weighted rows, which messages call ``owner``. Labelled weights are brought into
    their order.
    """
    if values is None:
        return None
    table = read(values, name)
    w, own_labels = table.values, table.labels[0]
    if w.ndim == 2 and 1 in w.shape:
        own_labels = table.labels[1] if w.shape[0] == 1 < w.shape[1] else own_labels
        w = w.ravel()
    order = match_labels(own_labels, labels, name, owner)
    w = w if order is None else w[order]
    if w.shape != (n,):
        raise InputError(name, f"must have shape ({n},), got {w.shape}", "give one weight a row")
    if not np.isfinite(w).all():
        i = int(np.argmax(~np.isfinite(w)))
        raise InputError(
            name, f"must be finite, got {w[i]} at index {i}", "drop the row, or give it weight 0"
        )
    if w.min() < 0:
        i = int(np.argmax(w < 0))
        raise InputError(name, f"must be >= 0, got {w[i]} at index {i}", "drop the row, or give it weight 0")
    if not w.any():
        raise InputError(
            name, "must have a positive sum, got zeros only", "give at least one row a positive weight"
        )
    return w


class Masses(NamedTuple):
    """Weights of both sides with equal totals.

    ``whole``: all are integers, so their sums are exact. ``error``: bound of the mass that rounding has moved
    between the sides.
    """

    a: Array
    b: Array
    total: float
    whole: bool
    error: float


def make_masses(a: Array | None, b: Array | None, n: int, m: int) -> Masses:
    """Scale the weights of both sides to a common total.

    Uniform weights, counts and other weights with few digits become integers (n rows against m rows: m and n
    each, over their common divisor), so that sums, merged duplicates and cancelled mass are exact in
    float64. The same weights in another order have equal totals already, and are only scaled by a power of
    two. Other weights are divided by their sum.
    """
    a, b = _none_if_uniform(a), _none_if_uniform(b)
    whole_a, whole_b = _as_integers(a, n), _as_integers(b, m)
    if whole_a is not None and whole_b is not None:
        divisor = math.gcd(whole_a[1], whole_b[1])
        total = whole_a[1] // divisor * whole_b[1]
        if total <= EXACT_INTEGER:
            left = np.broadcast_to(whole_a[0] * float(whole_b[1] // divisor), n)
            right = np.broadcast_to(whole_b[0] * float(whole_a[1] // divisor), m)
            return Masses(left, right, float(total), True, 0.0)
    if _same_weights(a, b):
        assert a is not None and b is not None
        unit = math.frexp(float(a.max()))[1]
        left, right = np.ldexp(a, -unit), np.ldexp(b, -unit)
        if np.array_equal(np.ldexp(left, unit), a):  # else a weight became subnormal
            return Masses(left, right, math.fsum(left), False, 0.0)
    left, right = run_both(_normalize, (a, n), (b, m), min(n, m))
    return Masses(left, right, 1.0, False, _rounding_error(max(n, m)))


def _none_if_uniform(w: Array | None) -> Array | None:
    """Replace weights that are all equal by None (uniform)."""
    return None if w is None or (w[0] == w[-1] and bool((w == w[0]).all())) else w


def _as_integers(w: Array | None, n: int) -> tuple[Array, int] | None:
    """Scale weights by a power of two to integers; returns these and their total, or None if too large."""
    if w is None:
        return np.ones(1), n
    with np.errstate(over="ignore"):
        limit = float(w.sum()) / EXACT_INTEGER
    # One weight is mostly enough to reject, which saves passes.
    if not (_last_digit(w[:1])[0] >= limit and (digits := _last_digit(w)).min() >= limit):
        return None
    scaled = w / digits.min()
    total = scaled.sum()
    return (scaled, int(total)) if total <= EXACT_INTEGER else None


def _last_digit(w: Array) -> Array:
    """Return the value of the last nonzero bit: the largest power of two that divides the weight."""
    fraction, exponent = np.frexp(w)
    whole = np.ldexp(fraction, 53).astype(np.int64)
    digit = np.ldexp((whole & -whole).astype(np.float64), exponent - 53)
    return np.where(w > 0, digit, np.inf)


def _normalize(w: Array | None, n: int) -> Array:
    if w is None:
        return np.broadcast_to(1.0 / n, n)
    scaled = w / w.max()  # a sum of weights near 1e308 must not overflow
    scaled /= _order_free_sum(scaled)
    return np.asarray(scaled)


def _order_free_sum(w: Array) -> float:
    """Sum weights with a result that does not depend on their order, to the bit."""
    return math.fsum(w) if len(w) <= MAX_WEIGHTS_EXACT_SUM else float(np.sort(w).sum())


def _same_weights(a: Array | None, b: Array | None) -> bool:
    """Whether both sides have the same weights, in any order, so that their totals are exactly equal."""
    if a is None or b is None or len(a) != len(b) or a.max() != b.max():
        return False
    return np.array_equal(np.sort(a), np.sort(b))


def _rounding_error(n: int) -> float:
    return (4.0 if n <= MAX_WEIGHTS_EXACT_SUM else 2 * (24 + math.log2(n))) * 2.0**-52


def require_same_total(a: Array | None, b: Array | None) -> None:
    """Raise InputError unless the weights of both sides have the same sum (``mass="strict"``)."""
    if a is None or b is None:
        return
    unit = max(float(a.max()), float(b.max()))  # sums of weights near 1e308 must not overflow
    left, right = float((a / unit).sum()), float((b / unit).sum())
    if abs(left - right) > MAX_TOTAL_DIFFERENCE * max(left, right):
        sums = f"a sums to {left:g} and b to {right:g} times {unit:g}"
        if max(left, right) < EXACT_INTEGER / unit:
            sums = f"a sums to {a.sum():g} and b to {b.sum():g}"
        raise InputError("mass", sums, "rescale one side, or use mass='normalize'")
