"""Weights as masses: two vectors with one total, exact where that is possible."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import EXACT_INTEGER, read
from otdist.errors import InputError
from otdist.parallel import both

Array = NDArray[np.float64]

EXACT_SUM = 20_000  # weights up to this number are summed without rounding
STRICT = 1e-6  # totals of float32 weights differ by rounding up to about this share


def read_weights(values: Any, name: str, n: int) -> Array | None:
    """Check weights: one a row, finite, non-negative, not all zero. None stays None (uniform)."""
    if values is None:
        return None
    w = read(values, name).values
    if w.ndim == 2 and 1 in w.shape:
        w = w.ravel()
    if w.shape != (n,):
        raise InputError(name, f"has shape {w.shape} for {n} rows", f"give one weight a row, shape ({n},)")
    if not np.isfinite(w).all():
        i = int(np.argmax(~np.isfinite(w)))
        raise InputError(
            name, f"weight {i} is {w[i]}", "weights must be finite: drop the row or set its weight to 0"
        )
    if w.min() < 0:
        i = int(np.argmax(w < 0))
        raise InputError(name, f"weight {i} is negative ({w[i]})", "weights must be non-negative")
    if not w.any():
        raise InputError(name, "all weights are zero", "give at least one row a positive weight")
    return w


class Masses(NamedTuple):
    """Weights of both sides with one total.

    ``whole``: all are whole numbers, so their sums are exact. ``error``: bound of the mass that
    rounding has moved between the sides.
    """

    a: Array
    b: Array
    total: float
    whole: bool
    error: float


def masses(a: Array | None, b: Array | None, n: int, m: int) -> Masses:
    """Scale both sides to one common total.

    Uniform weights, counts and other weights with few digits become whole numbers (n rows
    against m rows: m and n each, over their common divisor), so that sums, merged duplicates and
    cancelled mass are exact in float64. Other weights are divided by their sum.
    """
    a, b = _distinct(a), _distinct(b)
    whole_a, whole_b = _whole(a, n), _whole(b, m)
    if whole_a is not None and whole_b is not None:
        divisor = math.gcd(whole_a[1], whole_b[1])
        total = whole_a[1] // divisor * whole_b[1]
        if total <= EXACT_INTEGER:
            left = np.broadcast_to(whole_a[0] * float(whole_b[1] // divisor), n)
            right = np.broadcast_to(whole_b[0] * float(whole_a[1] // divisor), m)
            return Masses(left, right, float(total), True, 0.0)
    left, right = both(_normalised, (a, n), (b, m), min(n, m))
    return Masses(left, right, 1.0, False, 0.0 if _alike(a, b) else _rounding(max(n, m)))


def _distinct(w: Array | None) -> Array | None:
    """None (uniform) for weights that are all equal."""
    return None if w is None or (w[0] == w[-1] and bool((w == w[0]).all())) else w


def _whole(w: Array | None, n: int) -> tuple[Array, int] | None:
    """Weights times a power of two that are whole numbers, and their total; None if too long."""
    if w is None:
        return np.ones(1), n
    with np.errstate(over="ignore"):
        limit = float(w.sum()) / EXACT_INTEGER
    # One weight is mostly enough to say no, and saves the passes.
    if not (_last_digit(w[:1])[0] >= limit and (digits := _last_digit(w)).min() >= limit):
        return None
    scaled = w / digits.min()
    total = scaled.sum()
    return (scaled, int(total)) if total <= EXACT_INTEGER else None


def _last_digit(w: Array) -> Array:
    """Value of the last binary digit that is not zero: the largest power of two that divides."""
    fraction, exponent = np.frexp(w)
    whole = np.ldexp(fraction, 53).astype(np.int64)
    digit = np.ldexp((whole & -whole).astype(np.float64), exponent - 53)
    return np.where(w > 0, digit, np.inf)


def _normalised(w: Array | None, n: int) -> Array:
    if w is None:
        return np.broadcast_to(1.0 / n, n)
    scaled = w / w.max()  # a sum of weights near 1e308 must not overflow
    # Both sums are the same, to the bit, for the same weights in another order.
    scaled /= math.fsum(scaled) if n <= EXACT_SUM else np.sort(scaled).sum()
    return np.asarray(scaled)


def _alike(a: Array | None, b: Array | None) -> bool:
    """Whether both sides have the same weights, in any order: then one number divided them all."""
    if a is None or b is None or len(a) != len(b) or a.max() != b.max():
        return False
    return np.array_equal(np.sort(a), np.sort(b))


def _rounding(n: int) -> float:
    return (4.0 if n <= EXACT_SUM else 2 * (24 + math.log2(n))) * 2.0**-52


def require_same_total(a: Array | None, b: Array | None) -> None:
    """Raise InputError unless the weights of both sides have one sum (``mass="strict"``)."""
    if a is None or b is None:
        return
    unit = max(float(a.max()), float(b.max()))  # sums of weights near 1e308 must not overflow
    left, right = float((a / unit).sum()), float((b / unit).sum())
    if abs(left - right) > STRICT * max(left, right):
        sums = f"a sums to {left:g} and b to {right:g} times {unit:g}"
        if max(left, right) < EXACT_INTEGER / unit:
            sums = f"a sums to {a.sum():g} and b to {b.sum():g}"
        raise InputError("mass", sums, "rescale one side, or use mass='normalize'")
