"""Notes of file readers on a table and its columns, stored in the metadata of the Arrow schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"otdist"


def add_notes(table: pa.Table, notes: list[str]) -> pa.Table:
    """Add notes on how the table was read."""
    metadata = dict(table.schema.metadata or {})
    if notes:
        metadata[METADATA_KEY] = json.dumps(notes).encode()
    return table.replace_schema_metadata(metadata)


def table_notes(table: object) -> tuple[str, ...]:
    """Return the notes on how a table was read; empty for other objects."""
    metadata = getattr(getattr(table, "schema", None), "metadata", None)
    if not isinstance(metadata, dict) or METADATA_KEY not in metadata:
        return ()
    return tuple(json.loads(metadata[METADATA_KEY]))


def replace_column(
    table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray, note: str, unit: str = ""
) -> pa.Table:
    """Replace the values of a column, and add a note on it."""
    import pyarrow as pa

    field = pa.field(name, values.type, metadata={METADATA_KEY: json.dumps([note, unit]).encode()})
    return table.set_column(table.column_names.index(name), field, values)


def column_note(table: object, name: str) -> tuple[str, str]:
    """Return the note on a column of an Arrow table, and the unit of its numbers."""
    import pyarrow as pa

    schema = getattr(table, "schema", None)
    if not isinstance(schema, pa.Schema) or name not in schema.names:
        return "", ""
    metadata = schema.field(schema.names.index(name)).metadata or {}
    if METADATA_KEY not in metadata:
        return "", ""
    note, unit = json.loads(metadata[METADATA_KEY])
    return note, unit
