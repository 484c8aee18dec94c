"""Separator, decimal mark and header of a text file, from its first rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO

from otdist.tables.files.settings import Reading
from otdist.tables.numerals import common_decimals, decimals_of, is_open

CANDIDATES = ",;\t|"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
MISSING = [
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "Null", "None", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"),  # errors of spreadsheets
]
SAMPLE_ROWS = 200
YEARS = range(1900, 2101)

Rows = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """How the text is laid out. ``decimal`` is None where the first rows leave it open."""

    sep: str
    header: bool
    names: tuple[str, ...]
    decimal: str | None
    skipped: int = 0
    notes: tuple[str, ...] = field(default=())


def recognise(sample: str, default: str, reading: Reading) -> Dialect:
    """Dialect of a text; ``default`` is the separator that the file's ending promises, "" for none."""
    skipped, declared = 0, re.match(r"sep=(.)\r?\n", sample)
    if declared:  # a line that Excel writes and reads
        sample, skipped = sample[declared.end() :], 1
    sep = reading.sep or (declared[1] if declared else _separator(sample, default))
    rows = rows_of(sample, sep)
    notes: list[str] = []
    if reading.sep is None and sep != (default or ",") and not declared and len(rows[0]) > 1:
        notes.append(f"separated by {NAMES.get(sep, repr(sep))}")
    first = rows[0] if rows else []
    header, note = (reading.header, "") if reading.header is not None else _header(rows)
    notes += [note] if note else []
    names = tuple(first) if header else tuple(f"x{k}" for k in range(len(first)))
    decimal = reading.decimal or _decimal(rows[1:] if header else rows)
    if reading.decimal is None and decimal == ",":
        notes.append("decimal commas")
    return Dialect(sep, header, names, decimal, skipped, tuple(notes))


def rows_of(sample: str, sep: str) -> Rows:
    """The first rows, without empty lines."""
    if sep == " ":
        lines = (line.split() for line in sample.splitlines())
        return [row for row in lines if row][:SAMPLE_ROWS]
    rows: Rows = []
    try:
        for row in csv.reader(StringIO(sample, newline=""), delimiter=sep):
            if row:
                rows.append(row)
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:  # a field without an end: Arrow will say so
        pass
    return rows


def _separator(sample: str, default: str) -> str:
    tables = {sep: rows_of(sample, sep) for sep in CANDIDATES}
    even = {sep: rows for sep, rows in tables.items() if len({len(row) for row in rows}) == 1}
    wide = {sep: rows for sep, rows in even.items() if len(rows[0]) > 1}
    if wide:
        return max(wide, key=lambda sep: (_clean(wide[sep], sep), sep == default, len(wide[sep][0])))
    first = sample.split("\n", 1)[0]
    if default == "":
        words = rows_of(sample, " ")
        if len({len(row) for row in words}) == 1 and len(words[0]) > 1:
            return " "
    counts = Counter(letter for letter in first if letter in CANDIDATES)
    if counts:
        return default if default in counts else max(counts, key=lambda sep: counts[sep])
    one_column = [row for row in sample.splitlines()[1:] if row.strip()]
    if one_column and common_decimals(one_column) == {","} and ";" not in sample:
        return ";"  # one column of decimal commas
    return default or ","


def _clean(rows: Rows, sep: str) -> float:
    """Share of fields that are numbers, or hold no other separator."""
    others = set(CANDIDATES) - {sep}
    fields = [item for row in rows for item in row]
    return sum(not others & set(item) or bool(decimals_of(item)) for item in fields) / len(fields)


def _header(rows: Rows) -> tuple[bool, str]:
    """Whether the first row holds names, and what to say where that is not plain."""
    numeric = [all(decimals_of(item.strip()) or item in MISSING for item in row) for row in rows]
    if not rows or not all(numeric) or all(item in MISSING for item in rows[0]):
        return True, ""
    first = [item.strip() for item in rows[0]]
    if all(item.isdecimal() for item in first):
        start = int(first[0])
        counted = [start + k for k in range(len(first))] == [int(item) for item in first]
        if counted and (start == 0 or (start in YEARS and len(first) > 1)):
            return True, f"the first row ({', '.join(first[:4])}{', ...' * (len(first) > 4)}) taken as names"
    return False, "no header: the first row is data"


def _decimal(rows: Rows) -> str | None:
    """Decimal mark that the columns of numbers agree on."""
    marks: set[str] = set()
    for column in zip(*rows, strict=False):
        texts = [item.strip() for item in column if item.strip() not in MISSING]
        found = common_decimals(texts) if texts else frozenset()
        if len(found) == 1 and not is_open(texts):
            marks |= found
    return marks.pop() if len(marks) == 1 else None
