"""Columns of text that are numbers or dates in a local spelling, or codes with leading zeros."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from otdist.tables.files.said import with_column
from otdist.tables.files.settings import Reading
from otdist.tables.labels import from_arrow
from otdist.tables.numerals import EMPTY_SIGNS, date_format, numbers_of

CODES = "leading zeros: read as labels"
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")


def recognise_fields(table: Any, decimal: str | None, reading: Reading, zeros: dict[str, Any]) -> Any:
    """The table with numbers and dates for texts that can be nothing else, and a note on each."""
    import pyarrow as pa

    if len(set(table.column_names)) < table.num_columns:
        return table
    for name in table.column_names:
        if name in zeros and name not in (*reading.text, *reading.numeric):
            table = with_column(table, name, zeros[name], CODES)
        elif pa.types.is_string(table.schema.field(name).type) and name not in reading.text:
            table = _recognised(table, name, decimal, reading)
    return table


def _recognised(table: Any, name: str, decimal: str | None, reading: Reading) -> Any:
    codes, texts = from_arrow(table[name])
    kept = [text for text in texts if text.strip() not in EMPTY_SIGNS]
    signs = [text for text in texts if text.strip() in EMPTY_SIGNS]
    if not kept or any(len(text) > 1 and text[0] == "0" and text.isdigit() for text in kept):
        return table
    notes = [f"{', '.join(map(repr, signs))} read as missing"] if signs else []
    numerals = numbers_of(kept, decimal)
    if numerals is not None and (not numerals.affix or name in reading.numeric):
        notes += [f"read as numbers, such as {_odd(kept)!r}"] if _odd(kept) else []
        values: Any = dict(zip(kept, numerals.values.tolist(), strict=True))
    else:
        values = _dates(kept, reading.date_format)
        if values is None:
            return table
        notes.append(f"read as dates, such as {kept[0]!r}: {_shown(values[kept[0]])}")
    unit = numerals.affix if numerals is not None else ""
    return with_column(table, name, _spread(codes, texts, values), "; ".join(notes), unit)


def _odd(texts: list[str]) -> str:
    """A text that is not the usual spelling of a number."""
    return next((text for text in texts if not text.isdigit()), "")


def _spread(codes: Any, texts: tuple[str, ...], values: dict[str, Any]) -> Any:
    import pyarrow as pa

    entries = pa.array([values.get(text) for text in texts])
    indices = pa.array(np.where(np.isnan(codes), -1, codes).astype(np.int64), mask=np.isnan(codes))
    return entries.take(indices)


def _dates(texts: list[str], form: str | None) -> dict[str, datetime] | None:
    form = form or date_format(texts)
    if not form:
        return None
    try:
        return {text: _parsed(text.strip(), form) for text in texts}
    except ValueError:
        return None


def _parsed(text: str, form: str) -> datetime:
    for time in TIMES:
        try:
            return datetime.strptime(text, form + time)
        except ValueError:
            continue
    raise ValueError(text)


def _shown(day: datetime) -> str:
    return f"{day:%d %B %Y}"
