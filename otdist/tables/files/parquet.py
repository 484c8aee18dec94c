"""Parquet tables of one or several files, whose columns are read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from otdist.errors import InputError, get_reason
from otdist.runtime.progress import Progress, ignore_progress
from otdist.tables.files.failures import name_failures
from otdist.tables.files.notes import add_notes, table_notes
from otdist.tables.labels import encode_dictionary

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

PARQUET_BATCH_ROWS = 2**19


@dataclass(frozen=True, eq=False)
class Part:
    """One file of a table.

    Attributes
    ----------
    file : Path
        Path of the file.
    metadata : pyarrow.parquet.FileMetaData
        Footer, read once.
    schema : pyarrow.Schema
        Columns of the file and of its folders.
    folders : dict of str to str
        Values of the columns of folders named ``key=value``.
    """

    file: Path
    metadata: parquet.FileMetaData
    schema: pa.Schema
    folders: dict[str, str]

    @classmethod
    def open(cls, file: Path, folder: Path | None) -> Part:
        """Read the footer of a file; ``folder`` is the root of the table."""
        import pyarrow as pa
        from pyarrow import parquet

        with name_failures(str(file)), parquet.ParquetFile(str(file)) as reader:
            metadata, schema = reader.metadata, reader.schema_arrow
        # pandas stores its row index as a column, which is not data.
        index = [
            name for name in (schema.pandas_metadata or {}).get("index_columns", []) if name in schema.names
        ]
        schema = pa.schema([field for field in schema if field.name not in index], schema.metadata)
        folders = {
            key: value for key, value in read_folder_values(file, folder).items() if key not in schema.names
        }
        for key in folders:
            schema = schema.append(pa.field(key, pa.string()))
        return cls(file, metadata, schema, folders)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.metadata.num_rows)

    def iterate_batches(self, name: str) -> Iterator[pa.Array]:
        """Yield the values of a column in batches of rows."""
        import pyarrow as pa
        from pyarrow import parquet

        if name not in self.schema.names or self.rows == 0:
            yield pa.nulls(self.rows)
        elif name in self.folders:
            yield pa.repeat(pa.scalar(self.folders[name], pa.string()), self.rows)
        else:
            with (
                name_failures(str(self.file)),
                parquet.ParquetFile(str(self.file), metadata=self.metadata) as reader,
            ):
                count = 0
                for batch in reader.iter_batches(PARQUET_BATCH_ROWS, columns=[name]):
                    count += len(batch)
                    yield batch.column(name)  # columns=["a"] also reads "a.b"
                if count != self.rows:
                    raise InputError(
                        str(self.file),
                        f"must hold {self.rows} rows of {name!r} by its footer, got {count}",
                        "check that it is complete",
                    )


@dataclass(frozen=True, eq=False)
class ParquetTable:
    """Table in Parquet files, of which only footers are in memory.

    Attributes
    ----------
    schema : pyarrow.Schema
        Columns, with types that can represent the values of all parts.
    parts : tuple of Part
        Files, in order.
    """

    schema: pa.Schema
    parts: tuple[Part, ...]

    @classmethod
    def open(cls, name: str, files: Sequence[Path], folder: Path | None) -> ParquetTable:
        """Read the footers of files.

        Raises
        ------
        InputError
            If a file is broken, or parts have columns of incompatible types.
        """
        import pyarrow as pa

        parts = tuple(Part.open(file, folder) for file in files)
        for part in parts:
            names = part.schema.names
            if duplicates := [column for column in names if names.count(column) > 1]:
                problem = f"has two columns of one name ({duplicates[0]!r})"
                raise InputError(str(part.file), problem, "rename one of them")
        if len(parts) == 1:
            return cls(parts[0].schema, parts)
        try:
            schema = pa.unify_schemas([part.schema for part in parts], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(name, *describe_type_mismatch(error)) from error
        notes = list(dict.fromkeys(note for part in parts for note in table_notes(part)))
        return cls(add_notes(schema.empty_table(), notes).schema, parts)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)

    @property
    def num_rows(self) -> int:
        """Number of rows of all parts."""
        return sum(part.rows for part in self.parts)

    def select(self, columns: Sequence[str]) -> ParquetTable:
        """Return the table with some of its columns."""
        import pyarrow as pa

        fields = [self.schema.field(name) for name in dict.fromkeys(columns)]
        return replace(self, schema=pa.schema(fields, self.schema.metadata))

    def read_column(
        self, name: str, report_progress: Progress = ignore_progress
    ) -> tuple[pa.ChunkedArray, bool]:
        """Read one column.

        Returns
        -------
        chunks : pyarrow.ChunkedArray
            Values; text and bytes are dictionary-encoded, which takes a fraction of the memory.
        is_text : bool
            Whether the values are text or bytes.
        """
        import pyarrow as pa

        dtype = self.schema.field(name).type
        types = [part.schema.field(name).type for part in self.parts if name in part.schema.names]
        is_text = all(map(_is_text, [dtype, *types]))
        chunks: list[pa.Array] = []
        count, total = 0, max(self.num_rows, 1)
        for number, part in enumerate(self.parts, 1):
            suffix = f" (file {number} of {len(self.parts)})" if len(self.parts) > 1 else ""
            for batch in part.iterate_batches(name):
                report_progress(f"{name}: {count / total:.0%} read{suffix}")
                count += len(batch)
                chunks.append(encode_dictionary(batch.cast(dtype)) if is_text else batch)
        if is_text or all(chunk.type == dtype for chunk in chunks):
            return pa.chunked_array(chunks), is_text
        tables = [pa.table({name: chunk}) for chunk in chunks]
        return pa.concat_tables(tables, promote_options="permissive").column(0), False


def read_folder_values(file: Path, folder: Path | None) -> dict[str, str]:
    """Return the columns of the folders between ``folder`` and a file, such as ``year=2026``."""
    values: dict[str, str] = {}
    for part in file.relative_to(folder).parts[:-1] if folder else ():
        key, equals, value = part.partition("=")
        if equals:
            values.setdefault(key, value)
    return values


def describe_type_mismatch(error: Exception) -> tuple[str, str]:
    """Return the problem and the remedy for parts with incompatible types."""
    return f"has parts of other types ({get_reason(error)})", "write all parts alike"


def _is_text(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    return dtype in (pa.string(), pa.large_string(), pa.binary())
