"""Tables from text: the dialect is recognised or stated, and Arrow reads."""

from __future__ import annotations

import re
from typing import Any

from otdist.tables.files.dialect import MISSING, Dialect, recognise
from otdist.tables.files.encoding import as_utf8
from otdist.tables.files.fields import recognise_fields
from otdist.tables.files.said import with_notes
from otdist.tables.files.settings import Reading

SAMPLE_BYTES = 1 << 16
ZEROS = re.compile(rb'(?:^|[,;\t| "\n])[+-]?0[0-9]+(?=[,;\t| "\r\n]|\Z)')


def read_text(name: str, content: Any, default: str, reading: Reading) -> Any:
    """Read a table from the bytes of a text file; ``default`` is the separator its ending promises."""
    content, note = as_utf8(content, reading.encoding, name)
    content = _without_comment_sign(content)
    sample = _sample(content)
    dialect = recognise(sample, default, reading)
    if dialect.sep == " ":
        content = _single_spaced(content)
    reader = _Reader(content, dialect, reading)
    table = reader.table()
    _ = table.column_names  # names that are not UTF-8 raise here, where the file is known
    table = reader.with_large_integers(table)
    table, more = _without_row_numbers(table, dialect.header)
    table = recognise_fields(table, dialect.decimal, reading, reader.zeros(table))
    label = [note] if note else []
    return with_notes(table, [f"{name}: {text}" for text in (*label, *dialect.notes, *more)])


def _sample(content: Any) -> str:
    head = content[:SAMPLE_BYTES].to_pybytes() if content.size else b""
    if content.size > SAMPLE_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head
    return head.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _without_comment_sign(content: Any) -> Any:
    """The text without the # that numpy.savetxt writes before the names."""
    head = content[:64].to_pybytes() if content.size else b""
    found = re.match(rb"#[ \t]*(?=[^\s,;|#])", head)
    return content[found.end() :] if found else content


def _single_spaced(content: Any) -> Any:
    import pyarrow as pa

    lines = content.to_pybytes().splitlines()
    return pa.py_buffer(b"\n".join(b" ".join(line.split()) for line in lines if line.strip()) + b"\n")


class _Reader:
    """Arrow's reader on one text."""

    def __init__(self, content: Any, dialect: Dialect, reading: Reading) -> None:
        self.content, self.dialect, self.reading = content, dialect, reading
        self.quoted = re.search(b'"', memoryview(content)) is not None if content.size else False

    def table(self) -> Any:
        """The table, with numbers where Arrow sees numbers."""
        import pyarrow as pa

        columns, names = self.reading.columns, self.dialect.names
        chosen = list(dict.fromkeys(columns)) if columns is not None and set(columns) <= set(names) else None
        wanted = [name for name in self.reading.text if name in names]
        return self._read(chosen, dict.fromkeys(wanted, pa.string()))

    def zeros(self, table: Any) -> dict[str, Any]:
        """Columns of whole numbers of which some begin with a zero, as written: codes, not numbers."""
        import pyarrow as pa
        from pyarrow import compute

        whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
        if not whole or not self.content.size or ZEROS.search(memoryview(self.content)) is None:
            return {}
        written = self._read(whole, dict.fromkeys(whole, pa.string()))
        matched = {name: compute.match_substring_regex(written[name], r"^[+-]?0[0-9]") for name in whole}
        return {name: written[name] for name in whole if compute.any(matched[name]).as_py()}

    def with_large_integers(self, table: Any) -> Any:
        """The table with whole numbers beyond 2**63, which Arrow takes for floats, as whole numbers."""
        import pyarrow as pa
        from pyarrow import compute

        for place, field in enumerate(table.schema):
            if not pa.types.is_floating(field.type) or not len(table):
                continue
            extremes = compute.min_max(table[place])
            low, high = extremes["min"].as_py(), extremes["max"].as_py()
            if low is None or not 0 <= low <= high or not 2.0**63 <= high <= 2.0**64:
                continue
            try:
                column = self._read([field.name], {field.name: pa.uint64()})[field.name]
            except pa.ArrowInvalid:  # floats after all
                continue
            table = table.set_column(place, field.name, column)
        return table

    def _read(self, columns: list[str] | None, types: dict[str, Any]) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        dialect, form = self.dialect, self.reading.date_format
        names = None if dialect.header else list(dialect.names)
        if len(set(dialect.names)) < len(dialect.names):
            columns, types = None, {}  # a table with two columns of one name is refused later, by name
        return csv.read_csv(
            pa.BufferReader(self.content),
            csv.ReadOptions(column_names=names, skip_rows=dialect.skipped),
            csv.ParseOptions(delimiter=dialect.sep, newlines_in_values=self.quoted),
            csv.ConvertOptions(
                null_values=MISSING,
                strings_can_be_null=True,
                include_columns=columns,
                column_types=types,
                decimal_point="," if dialect.decimal == "," and dialect.sep != "," else ".",
                timestamp_parsers=[csv.ISO8601, form] if form else [],
            ),
        )


def _without_row_numbers(table: Any, header: bool) -> tuple[Any, list[str]]:
    """The table without a first column that only labels its rows, as pandas and R write one."""
    from pyarrow import compute

    if not header or table.num_columns == 0 or len(set(table.column_names)) < table.num_columns:
        return table, []
    notes = []
    first = table.column_names[0]
    if table.num_columns > 1 and re.fullmatch(r"|Unnamed: 0(\.\d+)?", first):
        count = compute.count_distinct(table[0], mode="all").as_py()
        if count == len(table):
            table = table.remove_column(0)
            notes.append(f"first column {first!r} labels the rows: left out")
    if "" in table.column_names:
        place = table.column_names.index("")
        if table.num_columns > 1 and table[place].null_count == len(table):
            return table.remove_column(place), [*notes, "an empty column without a name left out"]
        names = [name or f"Unnamed: {place}" for name in table.column_names]
        table = table.rename_columns(names)
    return table, notes
