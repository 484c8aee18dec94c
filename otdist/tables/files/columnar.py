"""Readers of Parquet, Feather (Arrow IPC) and JSON lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Of JSON lines, which begin with an object each; strings of JSON hold no line breaks.
NO_OBJECT_FIRST = re.compile(rb"(?:\xef\xbb\xbf)?\s*([^\s{])")
NULL_LINE = re.compile(rb"\n[ \t\r]*(null)")


def read_parquet(source: str | pa.Buffer, columns: tuple[str, ...] | None) -> pa.Table:
    """Read a Parquet file; only the given columns, if it has them all."""
    from pyarrow import parquet

    with parquet.ParquetFile(_open_source(source), memory_map=isinstance(source, str)) as file:
        return _drop_index(file.read(columns=select_columns(file.schema_arrow, columns)))


def read_feather(source: str | pa.Buffer, columns: tuple[str, ...] | None) -> pa.Table:
    """Read a Feather file or an Arrow stream."""
    import pyarrow as pa
    from pyarrow import feather, ipc

    try:
        table = feather.read_table(_open_source(source))
    except pa.ArrowInvalid:
        with ipc.open_stream(pa.memory_map(source) if isinstance(source, str) else source) as stream:
            table = stream.read_all()
    selected = select_columns(table.schema, columns)
    table = _drop_index(table if selected is None else table.select(selected))
    for column in table.itercolumns():
        for chunk in column.chunks:
            _check_buffers(chunk)
    return table


def _check_buffers(array: pa.Array) -> None:
    """Raise ValueError if offsets or indices point outside of the buffers, which Arrow maps unchecked.

    Values are not checked: text that is not UTF-8 makes its column unreadable, which does not concern the
    others. Lists and structs are not compared, so they are not read.
    """
    import pyarrow as pa

    if pa.types.is_nested(array.type):
        return
    if pa.types.is_dictionary(array.type):
        _check_buffers(array.dictionary)
        numbers = pa.nulls(len(array.dictionary), pa.int8())
        array = pa.DictionaryArray.from_arrays(array.indices, numbers, safe=False)  # without its text
    elif pa.types.is_string(array.type):
        array = array.view(pa.binary())
    elif pa.types.is_large_string(array.type):
        array = array.view(pa.large_binary())
    elif pa.types.is_string_view(array.type):
        array = array.view(pa.binary_view())
    array.validate(full=not (pa.types.is_primitive(array.type) or pa.types.is_null(array.type)))


def read_json_lines(source: str | pa.Buffer, columns: tuple[str, ...] | None) -> pa.Table:
    """Read one JSON object a line."""
    from pyarrow import json

    _require_objects(source)
    table = _parse_times(json.read_json(_open_source(source)))
    selected = select_columns(table.schema, columns)
    return table if selected is None else table.select(selected)


def _require_objects(source: str | pa.Buffer) -> None:
    """Raise ValueError for values that are no objects: Arrow ends the process if a block begins with null."""
    import pyarrow as pa

    if isinstance(source, str):
        if Path(source).stat().st_size == 0:
            return
        with pa.memory_map(source) as file:
            source = file.read_buffer()
    content = memoryview(source)
    if found := NO_OBJECT_FIRST.match(content) or NULL_LINE.search(content):
        raise ValueError(f"each line must hold a JSON object, one begins with {bytes(found[1])!r}")


def _parse_times(table: pa.Table) -> pa.Table:
    """Convert columns of ISO 8601 text to times, which JSON has no type for."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if not pa.types.is_string(field.type) or table[index].null_count == len(table):
            continue
        for dtype in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                times = table[index].cast(dtype)
            except pa.ArrowInvalid:
                continue
            table = table.set_column(index, field.name, times)
            break
    return table


def _open_source(source: str | pa.Buffer) -> str | pa.BufferReader:
    import pyarrow as pa

    return source if isinstance(source, str) else pa.BufferReader(source)


def select_columns(schema: pa.Schema, columns: tuple[str, ...] | None) -> list[str] | None:
    """Return the columns to load; None for all if one does not exist, so that a message can list them."""
    if columns is None or not set(columns) <= set(schema.names):
        return None
    return list(dict.fromkeys(columns))


def _drop_index(table: pa.Table) -> pa.Table:
    # pandas stores its row index as a column, which is not data.
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return table.drop_columns([name for name in index if name in table.column_names])
