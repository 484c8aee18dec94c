"""Encoding of a mixed table as points, and of points as a table of the same kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from otdist.errors import InputError
from otdist.learn.wgan.columns.codecs import Codec, fit_codec, read_codec
from otdist.learn.wgan.columns.containers import Container, open_container
from otdist.learn.wgan.columns.labels import LabelCodec
from otdist.learn.wgan.columns.numbers import NumberCodec
from otdist.tables.column import Column, UnsupportedColumn
from otdist.tables.columns import open_table
from otdist.typing import Array, Index

if TYPE_CHECKING:
    import pyarrow as pa

    from otdist.learn.wgan.columns.containers import Take
    from otdist.typing import Json, TableInput


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Encoder of a mixed table as points (n, d), fitted on the data.

    Numbers and times are a number each, labels a one-hot code, or one number for two levels. A column of
    numbers with gaps has an indicator beside it; a gap among labels is one of their levels.

    Attributes
    ----------
    container : Container
        Kind of the table.
    codecs : tuple of NumberCodec or LabelCodec
        Encoding of each column, in the order of the table.
    categorical : tuple of str
        Columns that are read as labels whatever their type.
    """

    container: Container
    codecs: tuple[Codec, ...]
    categorical: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, data: TableInput, categorical: Sequence[str] = (), label: str | None = None
    ) -> FittedTable | None:
        """Fit an encoder on all columns of a table but ``label``; None for data that are not a table.

        Raises
        ------
        InputError
            If a column cannot be encoded: its type is not known, its labels are too many or of several types,
            or a number is infinite.
        """
        opened = open_container(data)
        if opened is None:
            return None
        container, take = opened
        columns = read_table_columns(data, categorical)
        names = tuple(column.name for column in columns)
        if label is not None and label not in names:
            raise InputError("y", f"names {label!r}, which is not a column", f"use one of {list(names)}")
        features = [column for column in columns if column.name != label]
        if not features:
            raise InputError("y", f"names {label!r}, the only column", "give a table with other columns")
        labels = next((column for column in columns if column.name == label), None)
        codecs = tuple(fit_codec(column, take) for column in features)
        return FittedTable(cls(container, codecs, tuple(categorical)), features, labels, names, take)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return tuple(codec.name for codec in self.codecs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers of a point, such as ``sex=male`` or ``age missing``."""
        return tuple(name for codec in self.codecs for name in codec.names)

    @property
    def d(self) -> int:
        """Number of entries of a point."""
        return len(self.names)

    @property
    def is_plain(self) -> bool:
        """Whether all columns are numbers without gaps or small steps, so that points need no correction."""
        return all(isinstance(codec, NumberCodec) and not codec.gaps for codec in self.codecs)

    @property
    def starts(self) -> tuple[int, ...]:
        """Index of the first number of each column."""
        return tuple(np.cumsum([0, *(len(codec.names) for codec in self.codecs)])[:-1].tolist())

    def encode(self, data: TableInput) -> Array:
        """Return a table with the same columns as points (n, d).

        Raises
        ------
        InputError
            If columns are missing, or hold labels or gaps that the data of the fit had not.
        """
        columns = {column.name: column for column in read_table_columns(data, self.categorical)}
        if missing := [name for name in self.columns if name not in columns]:
            raise InputError("data", f"must have the columns of the run, {missing} are missing", "add them")
        return self.encode_columns([columns[name] for name in self.columns])

    def encode_columns(self, columns: Sequence[Column]) -> Array:
        """Return columns in the order of the table as points (n, d)."""
        parts = [codec.encode(column) for codec, column in zip(self.codecs, columns, strict=True)]
        return np.concatenate(parts, axis=1)

    def decode(
        self, points: Array, *, clip: bool = True, label: tuple[int, LabelCodec, Index] | None = None
    ) -> object:
        """Return points (n, d) as a table of the kind of the data.

        ``clip``: within the range of the data. ``label``: place, codec and codes of a column of classes.
        """
        table = self.to_arrow(points, clip=clip)
        if label is not None:
            place, codec, codes = label
            field = codec.example.schema.field(0)
            table = table.add_column(place, field, codec.from_codes(codes))
        return self.container.restore(table)

    def to_arrow(self, points: Array, *, clip: bool = True) -> pa.Table:
        """Return points (n, d) as an Arrow table."""
        import pyarrow as pa

        parts = [
            codec.decode(points[:, start : start + len(codec.names)], clip)
            for codec, start in zip(self.codecs, self.starts, strict=True)
        ]
        schema = pa.schema(
            [
                codec.example.schema.field(0).with_type(part.type)
                for codec, part in zip(self.codecs, parts, strict=True)
            ]
        )
        return pa.table(parts, schema=schema)

    def to_json(self) -> dict[str, Json]:
        """Return the encoder for JSON."""
        return {
            "container": self.container.to_json(),
            "codecs": [codec.to_json() for codec in self.codecs],
            "categorical": list(self.categorical),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TableEncoder:
        """Read :meth:`to_json`."""
        codecs = tuple(read_codec(codec) for codec in record["codecs"])
        return cls(Container.from_json(record["container"]), codecs, tuple(record["categorical"]))


class FittedTable(NamedTuple):
    """Encoder of a table, its columns, the column of classes, the names of all, and a function for rows."""

    encoder: TableEncoder
    columns: list[Column]
    label: Column | None
    names: tuple[str, ...]
    take: Take


def read_table_columns(data: TableInput, categorical: Sequence[str]) -> list[Column]:
    """Read the columns of a table in order.

    Raises
    ------
    InputError
        If the type of a column is not known, or ``categorical`` names no column.
    """
    table = open_table(data, "data", categorical=categorical)
    if unknown := [name for name in categorical if name not in table.names]:
        raise InputError(
            "categorical", f"names {unknown[0]!r}, which is not a column", f"use {list(table.names)}"
        )
    columns = []
    for name in table.names:
        column = table.read(name)
        if isinstance(column, UnsupportedColumn):
            problem = f"has type {column}, which cannot be learned"
            raise InputError(f"data[{name!r}]", problem, "leave it out, or convert it to numbers or labels")
        columns.append(column)
    return columns
