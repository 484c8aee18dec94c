"""Parquet files whose columns are read one at a time: one file, or the parts of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otdist.errors import InputError
from otdist.progress import Progress, ignore_progress
from otdist.tables.files.failures import name_failures
from otdist.tables.files.said import table_notes, with_notes
from otdist.tables.labels import encode

BATCH_ROWS = 2**19


@dataclass(frozen=True, eq=False)
class Part:
    """One file of a table.

    Attributes
    ----------
    file : Path
        Where it is.
    metadata : pyarrow.parquet.FileMetaData
        Its footer, read once.
    schema : pyarrow.Schema
        Its columns and those that its folders name.
    folders : dict of str to str
        Values of columns that are folders called ``key=value``.
    """

    file: Path
    metadata: Any
    schema: Any
    folders: dict[str, str]

    @classmethod
    def open(cls, file: Path, folder: Path | None) -> Part:
        """Read the footer of a file; ``folder``: of which it is a part."""
        import pyarrow as pa
        from pyarrow import parquet

        with name_failures(str(file)), parquet.ParquetFile(str(file)) as opened:
            metadata, schema = opened.metadata, opened.schema_arrow
        # pandas stores its row index as a column; it numbers the rows and measures nothing.
        index = [
            name for name in (schema.pandas_metadata or {}).get("index_columns", []) if name in schema.names
        ]
        schema = pa.schema([field for field in schema if field.name not in index], schema.metadata)
        folders = {
            key: value for key, value in folder_values(file, folder).items() if key not in schema.names
        }
        for key in folders:
            schema = schema.append(pa.field(key, pa.string()))
        return cls(file, metadata, schema, folders)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.metadata.num_rows)

    def batches(self, name: str) -> Iterator[Any]:
        """Values of a column, some rows at a time."""
        import pyarrow as pa
        from pyarrow import parquet

        if name not in self.schema.names or self.rows == 0:
            yield pa.nulls(self.rows)
        elif name in self.folders:
            yield pa.repeat(pa.scalar(self.folders[name], pa.string()), self.rows)
        else:
            with (
                name_failures(str(self.file)),
                parquet.ParquetFile(str(self.file), metadata=self.metadata) as opened,
            ):
                for batch in opened.iter_batches(BATCH_ROWS, columns=[name]):
                    yield batch.column(name)  # with "a" also "a.b" is read


@dataclass(frozen=True, eq=False)
class ParquetTable:
    """A table in Parquet files, of which only footers are in memory.

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns, of the types that hold the values of all parts.
    parts : tuple of Part
        The files, in order.
    """

    schema: Any
    parts: tuple[Part, ...]

    @classmethod
    def open(cls, name: str, files: Sequence[Path], folder: Path | None) -> ParquetTable:
        """Read the footers of files.

        Raises
        ------
        InputError
            If one is broken, or parts hold columns of different types.
        """
        import pyarrow as pa

        parts = tuple(Part.open(file, folder) for file in files)
        for part in parts:
            if twice := [column for column in part.schema.names if part.schema.names.count(column) > 1]:
                problem = f"has two columns of one name ({twice[0]!r})"
                raise InputError(str(part.file), problem, "rename one of them")
        if len(parts) == 1:
            return cls(parts[0].schema, parts)
        try:
            schema = pa.unify_schemas([part.schema for part in parts], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(name, *different_types(error)) from error
        notes = list(dict.fromkeys(note for part in parts for note in table_notes(part)))
        return cls(with_notes(schema.empty_table(), notes).schema, parts)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)

    @property
    def num_rows(self) -> int:
        """Number of rows of all parts."""
        return sum(part.rows for part in self.parts)

    def select(self, columns: Sequence[str]) -> ParquetTable:
        """The table with some of its columns."""
        import pyarrow as pa

        fields = [self.schema.field(name) for name in dict.fromkeys(columns)]
        return replace(self, schema=pa.schema(fields, self.schema.metadata))

    def read_column(self, name: str, report_progress: Progress = ignore_progress) -> tuple[Any, bool]:
        """Read one column.

        Returns
        -------
        chunks : pyarrow.ChunkedArray
            Its values; text and bytes as codes with dictionaries, which take a fraction of the memory.
        is_text : bool
            Whether these are text or bytes.
        """
        import pyarrow as pa

        dtype = self.schema.field(name).type
        types = [part.schema.field(name).type for part in self.parts if name in part.schema.names]
        is_text = all(map(_is_text, [dtype, *types]))
        chunks: list[Any] = []
        count, total = 0, max(self.num_rows, 1)
        for place, part in enumerate(self.parts, 1):
            where = f" (file {place} of {len(self.parts)})" if len(self.parts) > 1 else ""
            for batch in part.batches(name):
                report_progress(f"{name}: {count / total:.0%} read{where}")
                count += len(batch)
                chunks.append(encode(batch.cast(dtype)) if is_text else batch)
        if is_text or all(chunk.type == dtype for chunk in chunks):
            return pa.chunked_array(chunks), is_text
        tables = [pa.table({name: chunk}) for chunk in chunks]
        return pa.concat_tables(tables, promote_options="permissive").column(0), False


def folder_values(file: Path, folder: Path | None) -> dict[str, str]:
    """Columns that the folders between ``folder`` and a file name, as in ``year=2026``."""
    values: dict[str, str] = {}
    for part in file.relative_to(folder).parts[:-1] if folder else ():
        key, equals, value = part.partition("=")
        if equals:
            values.setdefault(key, value)
    return values


def different_types(error: Exception) -> tuple[str, str]:
    """Problem and remedy of parts that do not fit together."""
    return f"has parts of other types ({str(error).splitlines()[0]})", "write all parts alike"


def _is_text(dtype: Any) -> bool:
    import pyarrow as pa

    return dtype in (pa.string(), pa.large_string(), pa.binary())
