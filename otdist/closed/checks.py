"""What the arguments of the closed forms must satisfy, said once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from otdist.arrays import Array, read
from otdist.errors import InputError
from otdist.result import Result

LARGEST_ORDER = 2.0**53  # beyond it float64 no longer tells p from p + 1


def number(value: Any, name: str) -> float:
    """Read one finite real number."""
    array = read(value, name).values
    if array.ndim != 0:
        raise InputError(name, f"has shape {array.shape}, not one number", "pass a number such as 1.0")
    if not math.isfinite(array[()]):
        raise InputError(name, f"is {float(array[()])}", "pass a finite number")
    return float(array[()])


def scale(value: Any, name: str) -> float:
    """Read one finite number >= 0."""
    size = number(value, name)
    if size < 0:
        raise InputError(name, f"is {size:g}, below 0", "pass a number >= 0; 0 means a single point")
    return size


def order(p: Any) -> float:
    """Read the order p of W_p: finite and at least 1."""
    exponent = number(p, "p")
    if not 1 <= exponent < LARGEST_ORDER:
        raise InputError("p", f"is {exponent:g}, outside [1, 2**53)", "pass p = 1, 2 or another order >= 1")
    return exponent


def points(values: Any, name: str, dimensions: tuple[int, ...]) -> Array:
    """Read a non-empty array of finite numbers with one of the given numbers of axes."""
    array = read(values, name).values
    if array.ndim not in dimensions:
        wanted = " or ".join(f"{k}-D" for k in dimensions)
        raise InputError(name, f"has shape {array.shape}", f"pass a {wanted} array")
    if array.size == 0:
        raise InputError(name, f"is empty, of shape {array.shape}", "pass at least one value")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        raise InputError(
            name,
            f"{float(array[where])} at index {where if len(where) > 1 else where[0] if where else 0} "
            f"({len(bad)} of {array.size} values not finite)",
            "remove or impute these values first",
        )
    return array


def vector(values: Any, name: str) -> Array:
    """Read a point: a vector of finite numbers, or one number as a vector of length 1."""
    return np.atleast_1d(points(values, name, (0, 1)))


def weights(a: Any, name: str, n: int) -> Array:
    """Non-negative weights with a positive sum; divided by the largest, not yet normalised."""
    mass = points(a, name, (1,))
    if len(mass) != n:
        raise InputError(name, f"has {len(mass)} weights for {n} points", "pass one weight a point")
    if mass.min() < 0:
        first = int(np.argmax(mass < 0))
        raise InputError(name, f"weight {mass[first]:g} at index {first} is negative", "pass weights >= 0")
    if mass.max() == 0:
        raise InputError(name, "all weights are 0", "give at least one point a positive weight")
    scaled: Array = mass / mass.max()
    return scaled


def distance_of(step: Array, name: str) -> float:
    """Euclidean length of a vector, without overflow or underflow on the way."""
    return finite(math.hypot(*step.tolist()), name)


def finite(value: float, name: str) -> float:
    """``value``, or InputError where finite inputs lie too far apart for float64."""
    if not math.isfinite(value):
        raise InputError(
            name, "the distance exceeds the largest float64", "divide all inputs by a common scale"
        )
    return value


def exact(value: float, p: float, d: int, n: int = 0, m: int = 0) -> Result:
    """Make the result of a formula: the interval is the value itself."""
    return Result(value, value, value, "closed", name=f"W{p:g}", n=n, m=m, d=d)
