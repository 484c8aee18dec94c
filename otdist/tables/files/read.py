"""Readers of files, folders, patterns, compressed files and standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from otdist.errors import InputError
from otdist.tables.files import arrays, columnar, text
from otdist.tables.files.failures import PickledError, name_failures
from otdist.tables.files.fields import LEADING_ZEROS_NOTE
from otdist.tables.files.notes import add_notes, column_note, table_notes
from otdist.tables.files.parquet import ParquetTable, describe_type_mismatch, read_folder_values
from otdist.tables.files.settings import Reading

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    FileTable: TypeAlias = pa.Table | NDArray[np.generic]

ENDINGS = ".csv, .tsv, .txt, .parquet, .feather, .arrow, .jsonl, .npy or .npz"
TEXT_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "", ".dat": ""}
COLUMNAR_READERS = {
    ".parquet": columnar.read_parquet,
    ".pq": columnar.read_parquet,
    ".feather": columnar.read_feather,
    ".arrow": columnar.read_feather,
    ".ipc": columnar.read_feather,
    ".jsonl": columnar.read_json_lines,
    ".ndjson": columnar.read_json_lines,
}
PARQUET_ENDINGS = ({(".parquet", None)}, {(".pq", None)})  # endings of files that are read column by column
ARRAY_ENDINGS = (".npy", ".npz")
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
FORMAT_SIGNATURES = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz"}
COMPRESSION_SIGNATURES = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz"}
PATTERN_CHARACTERS = set("*?[")


def read_file(name: str, reading: Reading | None = None) -> FileTable:
    """Read a table or an array from a file, a folder or pattern of parts, or standard input (``-``).

    One array of several in an NPZ file is named after a colon: ``points.npz:x``.

    Parameters
    ----------
    name : str
        Path, folder, pattern such as ``parts/*.parquet``, or ``"-"``.
    reading : Reading or None
        Options of text files.

    Returns
    -------
    pyarrow.Table or ndarray
        :func:`table_notes` and :func:`column_note` return notes on how it was read.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read in the format of its ending.
    """
    reading = reading or Reading()
    if name == "-":
        with _name_failures(name):
            return _read_stdin(reading)
    files, folder, key = _locate(name)
    if files != [_split_key(name)[0]]:
        return _read_parts(name, files, reading, folder)
    with _name_failures(name):
        table = _read_path(files[0], key, reading)
        _ = getattr(table, "column_names", None)  # names that are not UTF-8 raise an error here
        return table


def open_file(name: str, reading: Reading | None = None) -> FileTable | ParquetTable:
    """Open Parquet files without reading their columns; read others by :func:`read_file`.

    Returns
    -------
    ParquetTable, pyarrow.Table or ndarray
        Table with the columns of ``reading``, if it has them all.
    """
    reading = reading or Reading()
    if name != "-":
        files, folder, _ = _locate(name)
        if files and {_split_endings(file) for file in files} in PARQUET_ENDINGS:
            table = ParquetTable.open(name, files, folder)
            with _name_failures(name):
                _ = table.column_names  # names that are not UTF-8 raise an error here
            selected = columnar.select_columns(table.schema, reading.columns)
            return table if selected is None else table.select(selected)
    return read_file(name, reading)


def open_alike(names: Sequence[str], reading: Reading) -> list[FileTable | ParquetTable]:
    """Open several files; a column whose codes have leading zeros in one of them is text in all."""
    tables = [open_file(name, reading) for name in names]
    codes = [name for table in tables for name in _find_code_columns(table)]
    more = tuple(name for name in dict.fromkeys(codes) if name not in reading.numeric)
    if not more:
        return tables
    again = replace(reading, text=(*reading.text, *more))
    return [
        table if name == "-" or set(more) <= set(_find_code_columns(table)) else open_file(name, again)
        for name, table in zip(names, tables, strict=True)
    ]


def _locate(name: str) -> tuple[list[Path], Path | None, str]:
    """Return the files of a table, the folder of its parts, and the key of an array in an NPZ file."""
    file, key = _split_key(name)
    if name and file.is_dir():
        return sorted(path for path in file.rglob("*") if _is_part(path, file)), file, ""
    if file.is_file():
        return [file], None, key
    if files := _match_pattern(name):
        return files, None, ""
    raise InputError(name or "file", "no such file", f"give the path of a {ENDINGS} file")


def _split_key(name: str) -> tuple[Path, str]:
    path, _, key = name.partition(".npz:")
    return Path(f"{path}.npz" if key else name), key


def _name_failures(name: str) -> AbstractContextManager[None]:
    return name_failures(name, is_text=name == "-" or _split_endings(Path(name))[0] in TEXT_SEPARATORS)


def _find_code_columns(table: object) -> list[str]:
    names = getattr(table, "column_names", [])
    return [name for name in names if column_note(table, name)[0] == LEADING_ZEROS_NOTE]


def _read_path(file: Path, key: str, reading: Reading) -> FileTable:
    ending, compression = _split_endings(file)
    if ending not in TEXT_SEPARATORS and ending not in COLUMNAR_READERS and ending not in ARRAY_ENDINGS:
        suffix = file.suffix.lower()
        raise InputError(str(file), f"cannot read files ending in {suffix!r}", f"use {ENDINGS}")
    if compression is None and ending in COLUMNAR_READERS:
        return COLUMNAR_READERS[ending](str(file), reading.columns)
    return _read_bytes(str(file), _load_content(file, compression), ending, key, reading)


def _split_endings(file: Path) -> tuple[str, str | None]:
    """Return the ending of the format, in lower case, and the compression."""
    last = file.suffix.lower()
    if last in COMPRESSIONS:
        return Path(file.stem).suffix.lower(), COMPRESSIONS[last]
    return last, None


def _load_content(file: Path, compression: str | None) -> pa.Buffer:
    """Return the bytes of a file as an Arrow buffer, memory-mapped if they are not compressed."""
    import pyarrow as pa

    if compression is None:
        if file.stat().st_size == 0:
            return pa.py_buffer(b"")
        with pa.memory_map(str(file)) as source:
            return source.read_buffer()
    return _decompress(file.read_bytes(), compression)


def _decompress(content: bytes, compression: str) -> pa.Buffer:
    import lzma

    import pyarrow as pa

    if compression == "xz":
        return pa.py_buffer(lzma.decompress(content))
    with pa.CompressedInputStream(pa.BufferReader(content), compression) as stream:
        return stream.read_buffer()


def _read_bytes(name: str, content: pa.Buffer, ending: str, key: str, reading: Reading) -> FileTable:
    if ending in ARRAY_ENDINGS:
        try:
            return arrays.read_array(BytesIO(content), name, key)
        except InputError:
            raise
        except Exception as error:
            raise PickledError from error
    if ending in COLUMNAR_READERS:
        return COLUMNAR_READERS[ending](content, reading.columns)
    return text.read_text(name, content, TEXT_SEPARATORS[ending], reading)


def _read_stdin(reading: Reading) -> FileTable:
    import pyarrow as pa

    content = sys.stdin.buffer.read()
    for magic, compression in COMPRESSION_SIGNATURES.items():
        if content.startswith(magic):
            content = _decompress(content, compression).to_pybytes()
            break
    if not content:
        raise InputError("-", "standard input is empty", "pipe a table into it")
    ending = next((end for magic, end in FORMAT_SIGNATURES.items() if content.startswith(magic)), "")
    if not ending:
        ending = ".jsonl" if content[:64].lstrip().startswith(b"{") else ".csv"
    return _read_bytes("-", pa.py_buffer(content), ending, "", reading)


def _match_pattern(pattern: str) -> list[Path]:
    if not PATTERN_CHARACTERS & set(pattern):
        return []
    return [path for path in sorted(map(Path, glob.glob(pattern, recursive=True))) if path.is_file()]


def _is_part(path: Path, folder: Path) -> bool:
    """Return whether a file is part of a table: not hidden, and not a marker such as ``_SUCCESS``."""
    within = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith((".", "_")) for part in within)


def _read_parts(name: str, files: list[Path], reading: Reading, folder: Path | None) -> pa.Table:
    """Read many files of one format as one table; folders named ``key=value`` are columns."""
    import pyarrow as pa

    if not files:
        raise InputError(name, "is a folder without files", f"name {ENDINGS} files")
    endings = {_split_endings(file)[0] for file in files}
    unknown = endings - set(TEXT_SEPARATORS) - set(COLUMNAR_READERS)
    if unknown or len(endings) > 1:
        listed = ", ".join(sorted(end or "none" for end in endings))
        remedy = "name one format by a pattern, such as 'parts/*.parquet'"
        raise InputError(name, f"holds files ending in {listed}", remedy)
    tables = [_read_part(file, reading, folder) for file in files]
    notes = list(dict.fromkeys(note for table in tables for note in table_notes(table)))
    try:
        merged = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(name, *describe_type_mismatch(error)) from error
    return add_notes(merged, notes)


def _read_part(file: Path, reading: Reading, folder: Path | None) -> pa.Table:
    import pyarrow as pa

    with _name_failures(str(file)):
        table = _read_path(file, "", reading)
        assert not isinstance(table, np.ndarray)
    for key, value in read_folder_values(file, folder).items():
        if key not in table.column_names:
            table = table.append_column(key, pa.array([value] * len(table), pa.string()))
    return table
