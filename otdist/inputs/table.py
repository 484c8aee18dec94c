"""Numbers read from a container, with its column names, labels and clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otdist.inputs.times import Clock, convert_ticks
from otdist.typing import Array, Labels


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers read from a container, with its column names, labels and clock.

    Attributes
    ----------
    values : ndarray
        The numbers as float64, each rounded to nearest; NaN if missing.
    columns : tuple of str or None
        Names of the columns.
    raw : ndarray, tuple of ndarray or None
        The numbers in a type that represents them exactly, if float64 does not: an array of the shape of
        ``values``, or one array per column. Missing entries are arbitrary.
    labels : (Index or None, Index or None)
        Labels of rows and columns.
    clock : Clock or None
        Clock of times, whose ticks are the numbers.
    """

    values: Array
    columns: tuple[str, ...] | None = None
    raw: NDArray[Any] | tuple[NDArray[Any], ...] | None = None
    labels: tuple[Labels, Labels] = (None, None)
    clock: Clock | None = None

    def get_column(self, k: int) -> NDArray[Any]:
        """Return the exact numbers of a column of points."""
        if isinstance(self.raw, tuple):
            return self.raw[k]
        whole = self.values if self.raw is None else self.raw
        return whole if whole.ndim == 1 else whole[:, k]

    def to_exact_array(self) -> NDArray[Any]:
        """Return the exact numbers in the shape of ``values``."""
        if not isinstance(self.raw, tuple):
            return self.values if self.raw is None else self.raw
        alike = len({part.dtype for part in self.raw}) == 1
        return np.column_stack(self.raw if alike else [part.astype(object) for part in self.raw])

    def take_columns(self, order: list[int]) -> Table:
        """Return the same rows with the columns in another order."""
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

    def convert_ticks(self, tick: Fraction) -> Table:
        """Convert times to a finer tick."""
        if self.clock is None or self.clock.tick == tick:
            return self
        parts = self.raw if isinstance(self.raw, tuple) else (self.to_exact_array(),)
        finer = tuple(convert_ticks(part, self.clock, tick) for part in parts)
        raw = finer if isinstance(self.raw, tuple) else finer[0]
        clock = replace(self.clock, tick=tick)
        return replace(self, values=self.values * float(self.clock.tick / tick), raw=raw, clock=clock)
