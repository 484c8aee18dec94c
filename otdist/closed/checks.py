"""Arguments of the closed forms, checked in one place."""

from __future__ import annotations

import math

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import read
from otdist.result import Result
from otdist.typing import Array


def read_number(value: object, name: str) -> float:
    """Read one finite real number."""
    array = read(value, name).values
    if array.ndim != 0:
        raise InputError(name, f"must be one number, got shape {array.shape}", "pass a number such as 1.0")
    if not math.isfinite(array[()]):
        raise InputError(name, f"must be finite, got {float(array[()])}", "pass a finite number")
    return float(array[()])


def read_scale(value: object, name: str) -> float:
    """Read one finite number >= 0."""
    number = read_number(value, name)
    if number < 0:
        raise InputError(name, f"must be >= 0, got {number:g}", "pass a number >= 0; 0 means a single point")
    return number


def read_points(values: object, name: str, dimensions: tuple[int, ...]) -> Array:
    """Read a non-empty array of finite numbers with one of the given numbers of axes."""
    array = read(values, name).values
    if array.ndim not in dimensions:
        wanted = " or ".join(f"{k}-D" for k in dimensions)
        raise InputError(name, f"must be {wanted}, got shape {array.shape}", f"pass a {wanted} array")
    if array.size == 0:
        raise InputError(name, f"must not be empty, got shape {array.shape}", "pass at least one value")
    not_finite = np.argwhere(~np.isfinite(array))
    if len(not_finite):
        index = tuple(int(i) for i in not_finite[0])
        position = index if len(index) > 1 else index[0] if index else 0
        raise InputError(
            name,
            f"must be finite, got {float(array[index])} at index {position} "
            f"({len(not_finite)} of {array.size} are not)",
            "remove or impute these values first",
        )
    return array


def read_vector(values: object, name: str) -> Array:
    """Read a point: a vector of finite numbers, or one number as a vector of length 1."""
    return np.atleast_1d(read_points(values, name, (0, 1)))


def read_weights(a: object, name: str, n: int) -> Array:
    """Read non-negative weights with a positive sum, divided by the largest and not yet normalised."""
    mass = read_points(a, name, (1,))
    if len(mass) != n:
        raise InputError(
            name, f"must have {n} weights, one a point, got {len(mass)}", "pass one weight a point"
        )
    if mass.min() < 0:
        first = int(np.argmax(mass < 0))
        raise InputError(name, f"must be >= 0, got {mass[first]:g} at index {first}", "pass weights >= 0")
    if mass.max() == 0:
        raise InputError(
            name, "must have a positive sum, got zeros only", "give at least one point a positive weight"
        )
    scaled: Array = mass / mass.max()
    return scaled


def compute_length(step: Array, name: str) -> float:
    """Compute the Euclidean length of a vector without intermediate overflow or underflow."""
    return require_finite(math.hypot(*step.tolist()), name)


def require_finite(value: float, name: str) -> float:
    """Return ``value``; raise InputError where finite inputs lie too far apart for float64."""
    if not math.isfinite(value):
        raise InputError(
            name, "the distance exceeds the largest float64", "divide all inputs by a common scale"
        )
    return value


def make_result(value: float, p: float, d: int, n: int = 0, m: int = 0) -> Result:
    """Make the result of a formula, whose interval is the value itself."""
    return Result(value, value, value, "closed", name=f"W{p:g}", n=n, m=m, d=d)
