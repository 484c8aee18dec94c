"""Encoding of one column of a table by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otdist.learn.wgan.columns.containers import load_table
from otdist.learn.wgan.columns.labels import LabelCodec
from otdist.learn.wgan.columns.numbers import NumberCodec

if TYPE_CHECKING:
    from otdist.learn.wgan.columns.containers import Take
    from otdist.tables.column import Column

Codec = NumberCodec | LabelCodec


def fit_codec(column: Column, take: Take) -> Codec:
    """Fit the codec of a column's kind; a column of gaps alone has no levels."""
    is_number = column.kind in ("numeric", "datetime")
    return NumberCodec.fit(column, take) if is_number else LabelCodec.fit(column, take)


def read_codec(record: Mapping[str, Any]) -> Codec:
    """Read a codec from JSON."""
    values = {name: value for name, value in record.items() if name != "type"}
    values["example"] = load_table(values["example"])
    if record["type"] == "number":
        return NumberCodec(**values)
    return LabelCodec(**(values | {"labels": tuple(values["labels"])}))
