"""Detection of the separator, the decimal mark and the header of a text file from its first rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO

from otdist.tables.files.settings import Reading
from otdist.tables.numerals import find_common_decimal_marks, find_decimal_marks, is_ambiguous

SEPARATOR_CANDIDATES = ",;\t|"
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
MISSING_VALUES = [
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "Null", "None", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"),  # errors of spreadsheets
]
MAX_SAMPLE_ROWS = 200
YEAR_RANGE = range(1900, 2101)

Rows = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """Layout of a text file; ``decimal`` is None if the first rows do not determine it."""

    sep: str
    header: bool
    names: tuple[str, ...]
    decimal: str | None
    skipped: int = 0
    notes: tuple[str, ...] = field(default=())


def recognise_dialect(sample: str, default: str, reading: Reading) -> Dialect:
    """Detect the dialect of a text; ``default`` is the separator of the file's ending, "" for none."""
    skipped, declared = 0, re.match(r"sep=(.)\r?\n", sample)
    if declared:  # a line written by Excel
        sample, skipped = sample[declared.end() :], 1
    sep = reading.sep or (declared[1] if declared else _detect_separator(sample, default))
    rows = split_rows(sample, sep)
    notes: list[str] = []
    if reading.sep is None and sep != (default or ",") and not declared and len(rows[0]) > 1:
        notes.append(f"separated by {SEPARATOR_NAMES.get(sep, repr(sep))}")
    first = rows[0] if rows else []
    header, note = (reading.header, "") if reading.header is not None else _detect_header(rows)
    notes += [note] if note else []
    names = tuple(first) if header else tuple(f"x{k}" for k in range(len(first)))
    decimal = reading.decimal or _detect_decimal(rows[1:] if header else rows)
    if reading.decimal is None and decimal == ",":
        notes.append("decimal commas")
    return Dialect(sep, header, names, decimal, skipped, tuple(notes))


def split_rows(sample: str, sep: str) -> Rows:
    """Split the first rows into fields, without empty lines."""
    if sep == " ":
        lines = (line.split() for line in sample.splitlines())
        return [row for row in lines if row][:MAX_SAMPLE_ROWS]
    rows: Rows = []
    try:
        for row in csv.reader(StringIO(sample, newline=""), delimiter=sep):
            if row:
                rows.append(row)
            if len(rows) == MAX_SAMPLE_ROWS:
                break
    except csv.Error:  # an unterminated field: Arrow reports it
        pass
    return rows


def _detect_separator(sample: str, default: str) -> str:
    tables = {sep: split_rows(sample, sep) for sep in SEPARATOR_CANDIDATES}
    even = {sep: rows for sep, rows in tables.items() if len({len(row) for row in rows}) == 1}
    wide = {sep: rows for sep, rows in even.items() if len(rows[0]) > 1}
    if wide:
        return max(
            wide, key=lambda sep: (_compute_clean_share(wide[sep], sep), sep == default, len(wide[sep][0]))
        )
    first = sample.split("\n", 1)[0]
    if default == "":
        words = split_rows(sample, " ")
        if len({len(row) for row in words}) == 1 and len(words[0]) > 1:
            return " "
    counts = Counter(letter for letter in first if letter in SEPARATOR_CANDIDATES)
    if counts:
        return default if default in counts else max(counts, key=lambda sep: counts[sep])
    one_column = [row for row in sample.splitlines()[1:] if row.strip()]
    if one_column and find_common_decimal_marks(one_column) == {","} and ";" not in sample:
        return ";"  # one column of decimal commas
    return default or ","


def _compute_clean_share(rows: Rows, sep: str) -> float:
    """Compute the share of fields that are numbers or contain no other separator."""
    others = set(SEPARATOR_CANDIDATES) - {sep}
    fields = [item for row in rows for item in row]
    return sum(not others & set(item) or bool(find_decimal_marks(item)) for item in fields) / len(fields)


def _detect_header(rows: Rows) -> tuple[bool, str]:
    """Return whether the first row holds names, and a note if that is not obvious."""
    numeric = [
        all(find_decimal_marks(item.strip()) or item in MISSING_VALUES for item in row) for row in rows
    ]
    if not rows or not all(numeric) or all(item in MISSING_VALUES for item in rows[0]):
        return True, ""
    first = [item.strip() for item in rows[0]]
    if all(item.isdecimal() for item in first):
        start = int(first[0])
        consecutive = [start + k for k in range(len(first))] == [int(item) for item in first]
        if consecutive and (start == 0 or (start in YEAR_RANGE and len(first) > 1)):
            return True, f"the first row ({', '.join(first[:4])}{', ...' * (len(first) > 4)}) taken as names"
    return False, "no header: the first row is data"


def _detect_decimal(rows: Rows) -> str | None:
    """Return the decimal mark on which numeric columns agree; None if there is none."""
    marks: set[str] = set()
    for column in zip(*rows, strict=False):
        texts = [item.strip() for item in column if item.strip() not in MISSING_VALUES]
        common = find_common_decimal_marks(texts) if texts else frozenset()
        if len(common) == 1 and not is_ambiguous(texts):
            marks |= common
    return marks.pop() if len(marks) == 1 else None
