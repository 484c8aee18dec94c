"""Many problems in one call, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from otdist.arrays import is_torch
from otdist.errors import InputError
from otdist.result import Result

Given = tuple[Any, Any, Any, Any]


@dataclass(frozen=True, eq=False)
class ResultBatch(Sequence[Result]):
    """Answers to a batch of problems, in their order: a sequence of Results.

    Attributes
    ----------
    results : tuple of Result
        One for each problem.
    """

    results: tuple[Result, ...]

    @property
    def value(self) -> Any:
        """Values, shape (B,): an array, or a tensor with gradient when torch tensors went in."""
        values = [result.value for result in self.results]
        if any(is_torch(value) for value in values):
            import torch

            return torch.stack(values)
        return np.array(values)

    @property
    def lower(self) -> NDArray[np.float64]:
        """Proved lower bounds, shape (B,)."""
        return np.array([result.lower for result in self.results])

    @property
    def upper(self) -> NDArray[np.float64]:
        """Proved upper bounds, shape (B,)."""
        return np.array([result.upper for result in self.results])

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Which of them reached their goal, shape (B,)."""
        return np.array([result.converged for result in self.results])

    def __len__(self) -> int:
        return len(self.results)

    @overload
    def __getitem__(self, k: int) -> Result: ...
    @overload
    def __getitem__(self, k: slice) -> ResultBatch: ...
    def __getitem__(self, k: int | slice) -> Result | ResultBatch:
        return ResultBatch(self.results[k]) if isinstance(k, slice) else self.results[k]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __str__(self) -> str:
        return "\n".join(str(result) for result in self.results)


def is_batch(x: Any, y: Any) -> bool:
    """Whether one of the samples has an axis that numbers problems: shape (B, n, d)."""
    return any(_axes(points) == 3 for points in (x, y))


def each(function: Callable[..., Result], given: Given) -> ResultBatch:
    """Answer the problems of a batch one after the other.

    A sample of shape (n, d) and weights of shape (n,) serve all of them.
    """
    axes = (3, 3, 2, 2)
    named = list(zip("xyab", given, axes, strict=True))
    counts = {name: len(part) for name, part, full in named if _axes(part) == full}
    size = max(counts.values())
    for name, count in counts.items():
        if count != size:
            raise InputError(
                name,
                f"has {count} problems along its first axis, another argument {size}",
                "give each as many",
            )
    if size == 0:
        raise InputError("x", "has no problems along its first axis", "give at least one")
    answers = []
    for k in range(size):
        parts = [part[k] if _axes(part) == full else part for _, part, full in named]
        try:
            answers.append(function(*parts))
        except InputError as error:
            if error.argument not in counts:
                raise
            raise InputError(f"{error.argument}[{k}]", error.problem, error.remedy) from None
    return ResultBatch(tuple(answers))


def _axes(values: Any) -> int:
    """Axes of an array or tensor. Nested lists are no batch: three levels may as well be a mistake."""
    return int(getattr(values, "ndim", 0))
