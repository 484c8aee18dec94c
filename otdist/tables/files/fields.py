"""Recognition of text columns that are numbers or dates in a local format, or codes with leading zeros."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from otdist.tables.files.notes import replace_column
from otdist.tables.files.settings import Reading
from otdist.tables.labels import from_arrow
from otdist.tables.numerals import MISSING_SIGNS, detect_date_format, parse_numbers
from otdist.typing import Array

if TYPE_CHECKING:
    import pyarrow as pa

LEADING_ZEROS_NOTE = "leading zeros: read as labels"
TIME_FORMATS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")


def recognise_fields(
    table: pa.Table, decimal: str | None, reading: Reading, zeros: dict[str, pa.ChunkedArray]
) -> pa.Table:
    """Convert text columns that are unambiguously numbers or dates, and add a note on each."""
    import pyarrow as pa

    if len(set(table.column_names)) < table.num_columns:
        return table
    for name in table.column_names:
        if name in zeros and name not in (*reading.text, *reading.numeric):
            table = replace_column(table, name, zeros[name], LEADING_ZEROS_NOTE)
        elif pa.types.is_string(table.schema.field(name).type) and name not in reading.text:
            table = _recognise_column(table, name, decimal, reading)
    return table


def _recognise_column(table: pa.Table, name: str, decimal: str | None, reading: Reading) -> pa.Table:
    codes, texts = from_arrow(table[name])
    candidates = [text for text in texts if text.strip() not in MISSING_SIGNS]
    signs = [text for text in texts if text.strip() in MISSING_SIGNS]
    if not candidates or any(len(text) > 1 and text[0] == "0" and text.isdigit() for text in candidates):
        return table
    notes = [f"{', '.join(map(repr, signs))} read as missing"] if signs else []
    numerals = parse_numbers(candidates, decimal)
    if numerals is not None and (not numerals.affix or name in reading.numeric):
        notes += (
            [f"read as numbers, such as {_find_unusual(candidates)!r}"] if _find_unusual(candidates) else []
        )
        values: Mapping[str, float | datetime] = dict(zip(candidates, numerals.values.tolist(), strict=True))
    else:
        dates = _parse_dates(candidates, reading.date_format)
        if dates is None:
            return table
        values = dates
        notes.append(f"read as dates, such as {candidates[0]!r}: {_format_date(dates[candidates[0]])}")
    unit = numerals.affix if numerals is not None else ""
    return replace_column(table, name, _take_values(codes, texts, values), "; ".join(notes), unit)


def _find_unusual(texts: list[str]) -> str:
    """Return the first text that is not a plain integer; "" if there is none."""
    return next((text for text in texts if not text.isdigit()), "")


def _take_values(codes: Array, texts: tuple[str, ...], values: Mapping[str, float | datetime]) -> pa.Array:
    import pyarrow as pa

    entries = pa.array([values.get(text) for text in texts])
    indices = pa.array(np.where(np.isnan(codes), -1, codes).astype(np.int64), mask=np.isnan(codes))
    return entries.take(indices)


def _parse_dates(texts: list[str], form: str | None) -> dict[str, datetime] | None:
    form = form or detect_date_format(texts)
    if not form:
        return None
    try:
        return {text: _parse_date(text.strip(), form) for text in texts}
    except ValueError:
        return None


def _parse_date(text: str, form: str) -> datetime:
    for time in TIME_FORMATS:
        try:
            return datetime.strptime(text, form + time)
        except ValueError:
            continue
    raise ValueError(text)


def _format_date(day: datetime) -> str:
    return f"{day:%d %B %Y}"
