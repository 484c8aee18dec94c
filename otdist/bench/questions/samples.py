"""Pairs of samples, with their W1 where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from otdist.errors import InputError
from otdist.inputs.arrays import read
from otdist.typing import Array


@dataclass(frozen=True, eq=False)
class Question:
    """Two samples with equal weights.

    Attributes
    ----------
    name : str
        Name in results.
    x, y : ndarray, shape (n, d), (m, d)
        The samples.
    known : float or None
        W1 between these samples, where a formula exists.
    laws : float or None
        W1 between the distributions they were drawn from, which differs from W1 between the samples.
    """

    name: str
    x: Array
    y: Array
    known: float | None = None
    laws: float | None = None

    @classmethod
    def of(cls, name: str, x: ArrayLike, y: ArrayLike) -> Question:
        """Create a question from the user's samples, checked as by :func:`otdist.w1`."""
        from otdist.problem import Problem

        problem = Problem.of(x, y)
        if problem.fixed_value is not None:
            raise InputError("x", "and y must be finite, got non-finite values", "drop such rows first")
        return cls(name, _read_points(x, "x"), _read_points(y, "y"))


def _read_points(points: Any, name: str) -> Array:
    values = read(points, name).values
    return values[:, None] if values.ndim == 1 else values
