"""Numbers read from a container, with what it says about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.inputs.times import Clock, at_tick

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers read from a container, with what it says about them.

    Attributes
    ----------
    values : ndarray
        The numbers as float64, each rounded to the nearest; NaN where one is missing.
    columns : tuple of str or None
        Names of the columns.
    raw : ndarray, tuple of ndarray or None
        The numbers in a type that holds them exactly, where float64 does not: an array of the
        shape of ``values``, or one array a column. Missing ones are any number.
    labels : (Index or None, Index or None)
        Labels of rows and columns.
    clock : Clock or None
        How to read times, whose ticks are the numbers.
    """

    values: Array
    columns: tuple[str, ...] | None = None
    raw: NDArray[Any] | tuple[NDArray[Any], ...] | None = None
    labels: tuple[Any, Any] = (None, None)
    clock: Clock | None = None

    def column(self, k: int) -> NDArray[Any]:
        """Exact numbers of a column of points."""
        if isinstance(self.raw, tuple):
            return self.raw[k]
        whole = self.values if self.raw is None else self.raw
        return whole if whole.ndim == 1 else whole[:, k]

    def whole(self) -> NDArray[Any]:
        """Exact numbers in the shape of ``values``."""
        if not isinstance(self.raw, tuple):
            return self.values if self.raw is None else self.raw
        alike = len({part.dtype for part in self.raw}) == 1
        return np.column_stack(self.raw if alike else [part.astype(object) for part in self.raw])

    def take_columns(self, order: list[int]) -> Table:
        """The same rows with the columns in another order."""
        raw, names = self.raw, self.columns
        if isinstance(raw, tuple):
            raw = tuple(raw[k] for k in order)
        elif raw is not None:
            raw = raw[:, order]
        names = None if names is None else tuple(names[k] for k in order)
        labels = self.labels[1] if self.labels[1] is None else self.labels[1][order]
        return replace(
            self, values=self.values[:, order], columns=names, raw=raw, labels=(self.labels[0], labels)
        )

    def at(self, tick: Fraction) -> Table:
        """The same times in a finer tick."""
        if self.clock is None or self.clock.tick == tick:
            return self
        parts = self.raw if isinstance(self.raw, tuple) else (self.whole(),)
        finer = tuple(at_tick(part, self.clock, tick) for part in parts)
        raw = finer if isinstance(self.raw, tuple) else finer[0]
        clock = replace(self.clock, tick=tick)
        return replace(self, values=self.values * float(self.clock.tick / tick), raw=raw, clock=clock)
