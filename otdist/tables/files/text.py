"""Reader of text tables by Arrow, with a detected or stated dialect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otdist.tables.files.dialect import MISSING_VALUES, Dialect, recognise_dialect
from otdist.tables.files.encoding import to_utf8
from otdist.tables.files.fields import recognise_fields
from otdist.tables.files.notes import add_notes
from otdist.tables.files.settings import Reading

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_BYTES = 1 << 16
LEADING_ZERO_PATTERN = re.compile(rb'(?:^|[,;\t| "\n])[+-]?0[0-9]+(?=[,;\t| "\r\n]|\Z)')


def read_text(name: str, content: pa.Buffer, default: str, reading: Reading) -> pa.Table:
    """Read a table from the bytes of a text file; ``default`` is the separator of its ending."""
    content, note = to_utf8(content, reading.encoding, name)
    content = _drop_comment_sign(content)
    sample = _decode_sample(content)
    dialect = recognise_dialect(sample, default, reading)
    if dialect.sep == " ":
        content = _collapse_spaces(content)
    reader = _Reader(content, dialect, reading)
    table = reader.read_table()
    _ = table.column_names  # names that are not UTF-8 raise an error here, where the file is known
    table = reader.restore_large_integers(table)
    table, index_notes = _drop_row_numbers(table, dialect.header)
    table = recognise_fields(table, dialect.decimal, reading, reader.read_leading_zeros(table))
    encoding_notes = [note] if note else []
    notes = (*encoding_notes, *dialect.notes, *index_notes)
    return add_notes(table, [f"{name}: {text}" for text in notes])


def _decode_sample(content: pa.Buffer) -> str:
    head = content[:SAMPLE_BYTES].to_pybytes() if content.size else b""
    if content.size > SAMPLE_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head
    return head.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _drop_comment_sign(content: pa.Buffer) -> pa.Buffer:
    """Drop the # that numpy.savetxt writes before the names."""
    head = content[:64].to_pybytes() if content.size else b""
    match = re.match(rb"#[ \t]*(?=[^\s,;|#])", head)
    return content[match.end() :] if match else content


def _collapse_spaces(content: pa.Buffer) -> pa.Buffer:
    import pyarrow as pa

    lines = content.to_pybytes().splitlines()
    return pa.py_buffer(b"\n".join(b" ".join(line.split()) for line in lines if line.strip()) + b"\n")


class _Reader:
    """Arrow's CSV reader for one text."""

    def __init__(self, content: pa.Buffer, dialect: Dialect, reading: Reading) -> None:
        self.content, self.dialect, self.reading = content, dialect, reading
        self.has_quotes = re.search(b'"', memoryview(content)) is not None if content.size else False

    def read_table(self) -> pa.Table:
        """Read the table, with the types that Arrow infers."""
        import pyarrow as pa

        columns, names = self.reading.columns, self.dialect.names
        has_all = columns is not None and set(columns) <= set(names)
        selected = list(dict.fromkeys(columns)) if columns is not None and has_all else None
        text_columns = [name for name in self.reading.text if name in names]
        return self._read(selected, dict.fromkeys(text_columns, pa.string()))

    def read_leading_zeros(self, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """Read columns of integers of which some have leading zeros as text: they are codes, not numbers."""
        import pyarrow as pa
        from pyarrow import compute

        whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
        if (
            not whole
            or not self.content.size
            or LEADING_ZERO_PATTERN.search(memoryview(self.content)) is None
        ):
            return {}
        texts = self._read(whole, dict.fromkeys(whole, pa.string()))
        masks = {name: compute.match_substring_regex(texts[name], r"^[+-]?0[0-9]") for name in whole}
        return {name: texts[name] for name in whole if compute.any(masks[name]).as_py()}

    def restore_large_integers(self, table: pa.Table) -> pa.Table:
        """Convert integers beyond 2**63, which Arrow reads as floats, back to integers."""
        import pyarrow as pa
        from pyarrow import compute

        for index, field in enumerate(table.schema):
            if not pa.types.is_floating(field.type) or not len(table):
                continue
            extremes = compute.min_max(table[index])
            low, high = extremes["min"].as_py(), extremes["max"].as_py()
            if low is None or not 0 <= low <= high or not 2.0**63 <= high <= 2.0**64:
                continue
            try:
                column = self._read([field.name], {field.name: pa.uint64()})[field.name]
            except pa.ArrowInvalid:  # floats after all
                continue
            table = table.set_column(index, field.name, column)
        return table

    def _read(self, columns: list[str] | None, types: dict[str, pa.DataType]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv

        dialect, form = self.dialect, self.reading.date_format
        names = None if dialect.header else list(dialect.names)
        if len(set(dialect.names)) < len(dialect.names):
            columns, types = None, {}  # two columns of one name raise an error later
        return csv.read_csv(
            pa.BufferReader(self.content),
            csv.ReadOptions(column_names=names, skip_rows=dialect.skipped),
            csv.ParseOptions(delimiter=dialect.sep, newlines_in_values=self.has_quotes),
            csv.ConvertOptions(
                null_values=MISSING_VALUES,
                strings_can_be_null=True,
                include_columns=columns,
                column_types=types,
                decimal_point="," if dialect.decimal == "," and dialect.sep != "," else ".",
                timestamp_parsers=[csv.ISO8601, form] if form else [],
            ),
        )


def _drop_row_numbers(table: pa.Table, header: bool) -> tuple[pa.Table, list[str]]:
    """Drop a first column that only labels the rows, as pandas and R write one."""
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
        index = table.column_names.index("")
        if table.num_columns > 1 and table[index].null_count == len(table):
            return table.remove_column(index), [*notes, "an empty column without a name left out"]
        names = [name or f"Unnamed: {index}" for name in table.column_names]
        table = table.rename_columns(names)
    return table, notes
