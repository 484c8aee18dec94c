"""Parts of ground costs for numpy and torch, with derivatives that are finite everywhere.

Where a part has a kink its derivative in torch is 0. Where its first derivative is 0 and its second one does
not exist, the second one is refused.
"""

from __future__ import annotations

from typing import Any


def constant(values: Any) -> Any:
    """Return the same numbers, without a derivative."""
    return values.detach() if hasattr(values, "detach") else values


def root(xp: Any, square: Any, smallest: float = 0.0) -> Any:
    """Square root whose derivative is 0 up to ``smallest``."""
    apart = square > smallest
    return xp.where(apart, xp.where(apart, square, 1.0) ** 0.5, constant(square) ** 0.5)


def absolute_power(xp: Any, values: Any, power: float, what: str) -> Any:
    """``abs(values)**power`` for a power of at least 1.

    Below 2 the second derivative at 0 is infinite: it is refused in the name of ``what``.
    """
    if power == 1:
        return abs(values)
    if power == 2:  # the square of abs(values) would have the second derivative 0 at 0
        return values * values
    zero = values == 0
    if power > 2 or not hasattr(values, "detach") or not bool(zero.any()):
        return abs(values) ** power
    from otdist.autograd import flat_once

    rest = abs(xp.where(zero, 1.0, values)) ** power
    return xp.where(zero, flat_once(f"{what} is not twice differentiable here", values), rest)


def norm(xp: Any, differences: Any, power: float, what: str) -> Any:
    """``(sum_k abs(differences_k)**power)**(1/power)`` over the last axis; derivative 0 at the origin."""
    if power == 1 or differences.shape[-1] == 1:
        return abs(differences).sum(-1)
    # In units of the largest one: powers neither overflow nor vanish.
    unit = constant(xp.amax(abs(differences), -1))
    apart = unit > 0
    unit = xp.where(apart, unit, 1.0)
    total = absolute_power(xp, differences / unit[..., None], power, what).sum(-1)
    return xp.where(apart, unit * xp.where(apart, total, 1.0) ** (1.0 / power), 0.0)


def squared_norm(xp: Any, differences: Any) -> Any:
    """``sum_k differences_k**2`` over the last axis."""
    return (differences * differences).sum(-1)
