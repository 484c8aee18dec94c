"""Weights as masses: two vectors with one total, exact where that is possible."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import EXACT_INTEGER, read
from otdist.errors import InputError
from otdist.parallel import both

Array = NDArray[np.float64]

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


def masses(a: Array | None, b: Array | None, n: int, m: int) -> tuple[Array, Array, float]:
    """Scale both sides to one common total, and return it as third item.

    Uniform weights and counts become whole numbers (n rows against m rows: m and n each, over
    their common divisor), so that sums, merged duplicates and cancelled mass are exact in
    float64. Other weights are divided by their sum.
    """
    whole_a, whole_b = _whole(a, n), _whole(b, m)
    if whole_a and whole_b:
        divisor = math.gcd(whole_a, whole_b)
        total = whole_a // divisor * whole_b
        if total <= EXACT_INTEGER:
            unit_a, unit_b = float(whole_b // divisor), float(whole_a // divisor)
            left = np.broadcast_to(unit_a, n) if a is None else a * unit_a
            right = np.broadcast_to(unit_b, m) if b is None else b * unit_b
            return left, right, float(total)
    left, right = both(_normalised, (a, n), (b, m), min(n, m))
    return left, right, 1.0


def _whole(w: Array | None, n: int) -> int:
    """Total of weights that are whole numbers, 0 if they are not."""
    if w is None:
        return n
    if w[0] != np.floor(w[0]):  # mostly enough, and saves the passes
        return 0
    total = float(w.sum()) if w.max() <= EXACT_INTEGER else math.inf
    return int(total) if total <= EXACT_INTEGER and bool((w == np.floor(w)).all()) else 0


def _normalised(w: Array | None, n: int) -> Array:
    if w is None:
        return np.broadcast_to(1.0 / n, n)
    scaled = w / w.max()  # a sum of weights near 1e308 must not overflow
    # Summed in sorted order: the same weights in another order get the same total, to the bit.
    scaled /= np.sort(scaled).sum()
    return np.asarray(scaled)


def require_same_total(a: Array | None, b: Array | None, n: int, m: int) -> None:
    """Raise InputError unless both sides carry the same mass (``mass="strict"``)."""
    left = float(n if a is None else a.sum())
    right = float(m if b is None else b.sum())
    if abs(left - right) > STRICT * max(left, right):
        raise InputError(
            "mass", f"a sums to {left:g} and b to {right:g}", "rescale one side, or use mass='normalize'"
        )
