"""What a reader of files says of a table and of its columns, kept in the metadata of the Arrow schema."""

from __future__ import annotations

import json
from typing import Any

KEY = b"otdist"


def with_notes(table: Any, notes: list[str]) -> Any:
    """The table with notes on how it was read."""
    metadata = dict(table.schema.metadata or {})
    if notes:
        metadata[KEY] = json.dumps(notes).encode()
    return table.replace_schema_metadata(metadata)


def table_notes(table: Any) -> tuple[str, ...]:
    """Notes on how a table was read; none for what is not a table of a file."""
    metadata = getattr(getattr(table, "schema", None), "metadata", None)
    if not isinstance(metadata, dict) or KEY not in metadata:
        return ()
    return tuple(json.loads(metadata[KEY]))


def with_column(table: Any, name: str, values: Any, note: str, unit: str = "") -> Any:
    """The table with other values in a column, and a note on it."""
    import pyarrow as pa

    field = pa.field(name, values.type, metadata={KEY: json.dumps([note, unit]).encode()})
    return table.set_column(table.column_names.index(name), field, values)


def column_note(table: Any, name: str) -> tuple[str, str]:
    """Note on a column of an Arrow table, and the unit of its numbers."""
    import pyarrow as pa

    schema = getattr(table, "schema", None)
    if not isinstance(schema, pa.Schema) or name not in schema.names:
        return "", ""
    metadata = schema.field(schema.names.index(name)).metadata or {}
    if KEY not in metadata:
        return "", ""
    note, unit = json.loads(metadata[KEY])
    return note, unit
