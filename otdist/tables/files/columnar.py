"""Tables from Parquet, Feather (Arrow IPC) and JSON lines."""

from __future__ import annotations

from typing import Any


def read_parquet(source: Any, columns: tuple[str, ...] | None) -> Any:
    """Read a Parquet file, of which only these columns if it has them all."""
    from pyarrow import parquet

    with parquet.ParquetFile(_opened(source), memory_map=isinstance(source, str)) as file:
        return _without_index(file.read(columns=chosen_columns(file.schema_arrow, columns)))


def read_feather(source: Any, columns: tuple[str, ...] | None) -> Any:
    """Read a Feather file or an Arrow stream."""
    import pyarrow as pa
    from pyarrow import feather, ipc

    try:
        table = feather.read_table(_opened(source))
    except pa.ArrowInvalid:
        with ipc.open_stream(pa.memory_map(source) if isinstance(source, str) else source) as stream:
            table = stream.read_all()
    chosen = chosen_columns(table.schema, columns)
    return _without_index(table if chosen is None else table.select(chosen))


def read_json_lines(source: Any, columns: tuple[str, ...] | None) -> Any:
    """Read one JSON object a line."""
    from pyarrow import json

    table = _with_times(json.read_json(_opened(source)))
    chosen = chosen_columns(table.schema, columns)
    return table if chosen is None else table.select(chosen)


def _with_times(table: Any) -> Any:
    """The table with times for texts of ISO 8601: JSON has no other spelling of them."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if not pa.types.is_string(field.type) or table[place].null_count == len(table):
            continue
        for form in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                times = table[place].cast(form)
            except pa.ArrowInvalid:
                continue
            table = table.set_column(place, field.name, times)
            break
    return table


def _opened(source: Any) -> Any:
    import pyarrow as pa

    return source if isinstance(source, str) else pa.BufferReader(source)


def chosen_columns(schema: Any, columns: tuple[str, ...] | None) -> list[str] | None:
    """Columns to load; all where one is not there, so that a message can list what is."""
    if columns is None or not set(columns) <= set(schema.names):
        return None
    return list(dict.fromkeys(columns))


def _without_index(table: Any) -> Any:
    # pandas stores its row index as a column; it numbers the rows and measures nothing.
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return table.drop_columns([name for name in index if name in table.column_names])
