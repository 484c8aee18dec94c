"""Parts of ground costs for numpy and torch, with derivatives that are finite everywhere.

At a kink the derivative in torch is 0. Where the first derivative is 0 and the second derivative does not
exist, the second derivative raises an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otdist.typing import ArrayOrTensor

if TYPE_CHECKING:
    from types import ModuleType


def detach(values: ArrayOrTensor) -> ArrayOrTensor:
    """Return the same numbers without a derivative."""
    return values.detach() if hasattr(values, "detach") else values


def safe_sqrt(xp: ModuleType, square: ArrayOrTensor, smallest: float = 0.0) -> ArrayOrTensor:
    """Compute a square root whose derivative is 0 up to ``smallest``."""
    positive = square > smallest
    return xp.where(positive, xp.where(positive, square, 1.0) ** 0.5, detach(square) ** 0.5)


def absolute_power(xp: ModuleType, values: ArrayOrTensor, power: float, name: str) -> ArrayOrTensor:
    """Compute ``abs(values)**power`` for a power of at least 1.

    Below 2 the second derivative at 0 is infinite: it raises an error that names the metric ``name``.
    """
    if power == 1:
        return abs(values)
    if power == 2:  # the square of abs(values) would have the second derivative 0 at 0
        return values * values
    zero = values == 0
    if power > 2 or not hasattr(values, "detach") or not bool(zero.any()):
        return abs(values) ** power
    from otdist.autograd import zero_refusing_second_derivative

    power_away = abs(xp.where(zero, 1.0, values)) ** power
    return xp.where(
        zero, zero_refusing_second_derivative(f"{name} is not twice differentiable here", values), power_away
    )


def norm(xp: ModuleType, differences: ArrayOrTensor, power: float, name: str) -> ArrayOrTensor:
    """Compute ``(sum_k abs(differences_k)**power)**(1/power)`` over the last axis; derivative 0 at 0."""
    if power == 1 or differences.shape[-1] == 1:
        return abs(differences).sum(-1)
    # Relative to the largest entry, so that powers neither overflow nor underflow.
    unit = detach(xp.amax(abs(differences), -1))
    positive = unit > 0
    unit = xp.where(positive, unit, 1.0)
    total = absolute_power(xp, differences / unit[..., None], power, name).sum(-1)
    return xp.where(positive, unit * xp.where(positive, total, 1.0) ** (1.0 / power), 0.0)


def squared_norm(xp: ModuleType, differences: ArrayOrTensor) -> ArrayOrTensor:
    """Compute ``sum_k differences_k**2`` over the last axis."""
    return (differences * differences).sum(-1)
