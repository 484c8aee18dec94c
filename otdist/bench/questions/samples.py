"""Two samples, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from otdist.arrays import Array, read
from otdist.errors import InputError


@dataclass(frozen=True, eq=False)
class Question:
    """Two samples, all points of equal weight.

    Attributes
    ----------
    name : str
        What it is called in results.
    x, y : ndarray, shape (n, d), (m, d)
        The samples.
    known : float or None
        W1 between these samples, where a formula gives it.
    laws : float or None
        W1 between the laws they were drawn from. What samples of n points are apart is another number.
    """

    name: str
    x: Array
    y: Array
    known: float | None = None
    laws: float | None = None

    @classmethod
    def of(cls, name: str, x: ArrayLike, y: ArrayLike) -> Question:
        """Question about the caller's samples; they are judged as :func:`otdist.w1` judges them."""
        from otdist.problem import Problem

        problem = Problem.of(x, y)
        if problem.fixed_value is not None:
            raise InputError("x", "and y hold values that are not finite", "drop such rows first")
        return cls(name, _rows(x, "x"), _rows(y, "y"))


def _rows(points: Any, name: str) -> Array:
    values = read(points, name).values
    return values[:, None] if values.ndim == 1 else values
