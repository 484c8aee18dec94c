"""Batches of problems in one call, and their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch
from otdist.pages.dataframes import make_frame
from otdist.pages.formatting import escape_unprintable, format_count
from otdist.result import Result
from otdist.typing import Array, ArrayOrTensor, DataFrame, Mask

if TYPE_CHECKING:
    from typing import TypeGuard

FRAME_COLUMNS = (
    "value",
    "lower",
    "upper",
    "unit",
    "method",
    "converged",
    "name",
    "metric",
    "n",
    "m",
    "d",
    "message",
)


@dataclass(frozen=True, eq=False, repr=False)
class ResultBatch(Sequence[Result]):
    """Results of a batch of problems, in their order.

    A sequence: it has a length, can be iterated over, and returns a Result by index or a batch by slice. It
    prints as a line for each Result; a notebook shows a table.

    Attributes
    ----------
    results : tuple of Result
        One for each problem.

    Examples
    --------
    >>> import numpy as np, otdist
    >>> x, y = np.zeros((3, 1, 1)), np.arange(3.0).reshape(3, 1, 1)
    >>> batch = otdist.partial_w1(x, y, np.ones((3, 1)), np.ones((3, 1)), moved=1.0)
    >>> batch
    <ResultBatch: 3 results, PW1 from 0 to 2, all exact>
    >>> len(batch), float(max(batch))
    (3, 2.0)
    """

    results: tuple[Result, ...]

    @property
    def value(self) -> ArrayOrTensor:
        """Values, shape (B,): an array, or a tensor with gradient if torch tensors were passed."""
        values = [result.value for result in self.results]
        if any(is_torch(value) for value in values):
            import torch

            return torch.stack(values)
        return np.array(values)

    @property
    def lower(self) -> Array:
        """Proved lower bounds, shape (B,)."""
        return np.array([result.lower for result in self.results])

    @property
    def upper(self) -> Array:
        """Proved upper bounds, shape (B,)."""
        return np.array([result.upper for result in self.results])

    @property
    def converged(self) -> Mask:
        """Whether each result reached its goal, shape (B,)."""
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

    def to_frame(self) -> DataFrame:
        """Make a table with one row a result, for pandas if it is imported or installed, else polars.

        Returns
        -------
        DataFrame
            Columns value, lower, upper, unit, method, converged, name, metric, n, m, d and message.

        Raises
        ------
        InputError
            If neither pandas nor polars is installed.

        Examples
        --------
        >>> import numpy as np, otdist, pandas
        >>> batch = otdist.sinkhorn_divergence(np.zeros((2, 1, 1)), np.ones((2, 1, 1)))
        >>> float(batch.to_frame()["value"].sum())
        2.0
        """
        rows = [vars(result) | {"value": float(result)} for result in self.results]
        return make_frame({name: [row[name] for row in rows] for name in FRAME_COLUMNS})

    def __str__(self) -> str:
        return "\n".join(str(result) for result in self.results)

    def __repr__(self) -> str:
        return f"<ResultBatch: {self._summary()}>"

    def _summary(self) -> str:
        count = len(self.results)
        if count == 0:
            return "no results"
        names = "/".join(dict.fromkeys(result.name for result in self.results))
        values = [float(result) for result in self.results if not math.isnan(result)]
        span = f"from {min(values):.6g} to {max(values):.6g}" if values else "nan"
        exact = sum(result._is_exact for result in self.results)
        unconverged = sum(not result.converged for result in self.results)
        proof = "all exact" if exact == count else f"{exact} exact"
        proof += f", {unconverged} NOT CONVERGED" if unconverged else ""
        return escape_unprintable(f"{format_count(count, 'result')}, {names} {span}, {proof}")

    def _repr_html_(self) -> str:
        from otdist.pages.notebook import render_table

        header = ("", "", "value", "proved", "method")
        rows = [
            (k, result.name, result._figure(), result._proof().strip(" ()"), result._source())
            for k, result in enumerate(self.results)
        ]
        return render_table(header, rows, caption=self._summary(), words=(1, 3, 4))


def is_batch(x: object, y: object) -> bool:
    """Whether one of the samples has an axis that numbers problems: shape (B, n, d)."""
    return any(_has_axes(points, 3) for points in (x, y))


def solve_each(function: Callable[..., Result], inputs: tuple[object, object, object, object]) -> ResultBatch:
    """Solve the problems of a batch one after the other.

    A sample of shape (n, d) and weights of shape (n,) are used for all problems.
    """
    axes = (3, 3, 2, 2)
    named = list(zip("xyab", inputs, axes, strict=True))
    counts = {name: len(part) for name, part, full in named if _has_axes(part, full)}
    size = max(counts.values())
    for name, count in counts.items():
        if count != size:
            raise InputError(
                name,
                f"must have {size} problems along its first axis, got {count}",
                "give each as many",
            )
    if size == 0:
        raise InputError("x", "has no problems along its first axis", "give at least one")
    answers = []
    for k in range(size):
        parts = [part[k] if _has_axes(part, full) else part for _, part, full in named]
        try:
            answers.append(function(*parts))
        except InputError as error:
            if error.argument not in counts:
                raise
            raise InputError(f"{error.argument}[{k}]", error.problem, error.remedy) from None
    return ResultBatch(tuple(answers))


def _has_axes(values: object, count: int) -> TypeGuard[ArrayOrTensor]:
    """Whether an array or tensor has so many axes; nested lists, whose levels may be a mistake, have none."""
    return int(getattr(values, "ndim", 0)) == count
