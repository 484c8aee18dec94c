"""Encoding of a column of labels or booleans, and back to its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from otdist.errors import InputError
from otdist.learn.wgan.columns.containers import dump_table
from otdist.learn.wgan.columns.numbers import GAP
from otdist.tables.column import LABEL_KINDS, Column
from otdist.tables.conversion import to_labels
from otdist.typing import Array, Index

if TYPE_CHECKING:
    import pyarrow as pa

    from otdist.learn.wgan.columns.containers import Take
    from otdist.typing import Json

MAX_LEVELS = 500  # labels of a column, each of which takes a number of a point
MAX_LEVEL_SHARE = 0.5  # labels of a column per row, above which they are identifiers


@dataclass(frozen=True, eq=False)
class LabelCodec:
    """Labels or booleans: a one-hot code, or one number if there are two levels. A gap is a level.

    Attributes
    ----------
    name : str
        Name of the column.
    labels : tuple of str
        Labels that occur, in the order of the data's categories.
    example : Table of Arrow
        A value of each label, in the type of the data.
    gaps : bool
        Whether there are gaps.
    """

    name: str
    labels: tuple[str, ...]
    example: pa.Table
    gaps: bool
    codes_by_label: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes_by_label", {label: k for k, label in enumerate(self.labels)})

    @classmethod
    def fit(cls, column: Column, take: Take, argument: str = "data") -> LabelCodec:
        """Find the labels of a column, and a row of each."""
        column = _as_labels(column)
        present = np.flatnonzero(~column.missing)
        codes, first = np.unique(column.values[present], return_index=True)
        _check_levels(column, len(codes), argument)
        gaps = len(present) < len(column.values)
        rows = present[first] if len(codes) else np.zeros(1, dtype=np.intp)
        example = take(column.name, rows).combine_chunks()
        labels = tuple(column.labels[int(code)] for code in codes)
        return cls(column.name, labels, example if len(codes) else example.slice(0, 0), gaps)

    @property
    def levels(self) -> tuple[str, ...]:
        """Labels, and the gap."""
        return (*self.labels, GAP) if self.gaps else self.labels

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers of a point: none if there is one level, one if there are two."""
        names = tuple(f"{self.name}={label}" for label in self.labels)
        names += (f"{self.name} {GAP}",) if self.gaps else ()
        return names if len(names) > 2 else names[1:]

    @property
    def level_width(self) -> int:
        """Numbers of a point that are levels."""
        return len(self.names)

    def encode(self, column: Column) -> Array:
        """Return the one-hot code (n, width)."""
        codes = self.to_codes(column)
        return self.expand(codes)

    def expand(self, codes: Index) -> Array:
        """Return the one-hot code of levels."""
        hot = np.eye(len(self.levels))[codes]
        return hot if len(self.levels) > 2 else hot[:, 1:]

    def to_codes(self, column: Column, argument: str = "data") -> Index:
        """Return the index of each value's level."""
        column = _as_labels(column)
        table = np.array([self.codes_by_label.get(label, -1) for label in column.labels], dtype=np.intp)
        codes = np.full(len(column.values), len(self.labels) if self.gaps else -1, dtype=np.intp)
        present = ~column.missing
        codes[present] = table[column.values[present].astype(np.intp)] if len(table) else -1
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            found = "a gap" if not present[row] else repr(column.labels[int(column.values[row])])
            place = argument if argument != "data" else f"data[{self.name!r}]"
            problem = f"must be one of {self._list_labels()}, got {found} in row {row}"
            raise InputError(place, problem, "use labels of the run's data")
        return codes

    def _list_labels(self) -> str:
        more = f" and {len(self.labels) - 8} more" if len(self.labels) > 8 else ""
        return ", ".join(map(repr, self.labels[:8])) + more

    def decode(self, points: Array, clip: bool = True) -> pa.Array:
        """Return values in the type of the data."""
        if len(self.levels) > 2:
            return self.from_codes(points.argmax(1))
        if len(self.levels) == 2:
            return self.from_codes((points[:, 0] > 0.5).astype(np.intp))
        return self.from_codes(np.zeros(len(points), dtype=np.intp))

    def from_codes(self, codes: Index) -> pa.Array:
        """Return the values of levels."""
        import pyarrow as pa

        values = self.example.column(0).combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
        if not self.labels:
            return pa.nulls(len(codes), values.type)
        return values.take(pa.array(codes, mask=codes >= len(self.labels)))

    def to_json(self) -> dict[str, Json]:
        """Return the fields for JSON."""
        return {
            "type": "labels",
            "name": self.name,
            "labels": list(self.labels),
            "example": dump_table(self.example),
            "gaps": self.gaps,
        }


def _as_labels(column: Column) -> Column:
    return column if column.kind in LABEL_KINDS or column.kind is None else to_labels(column)


def _check_levels(column: Column, count: int, argument: str) -> None:
    """Raise InputError for labels that are too many, such as identifiers."""
    rows = len(column.values)
    if count <= MAX_LEVELS and (count <= MAX_LEVEL_SHARE * rows or count <= 2):
        return
    place = f"data[{column.name!r}]" if argument == "data" else argument
    problem = f"has {count:,} labels in {rows:,} rows, too many to learn"
    remedy = f"leave it out if it identifies rows, or merge rare labels to at most {MAX_LEVELS}"
    raise InputError(place, problem, f"{column.note}; {remedy}" if column.note else remedy)
