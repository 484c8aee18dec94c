"""``read_file``: which reader a file needs; folders, patterns, compressed files and standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from otdist.errors import InputError
from otdist.tables.files import arrays, columnar, text
from otdist.tables.files.failures import PickledError, name_failures
from otdist.tables.files.fields import CODES
from otdist.tables.files.parquet import ParquetTable, different_types, folder_values
from otdist.tables.files.said import column_note, table_notes, with_notes
from otdist.tables.files.settings import Reading

ENDINGS = ".csv, .tsv, .txt, .parquet, .feather, .arrow, .jsonl, .npy or .npz"
TEXT = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "", ".dat": ""}
COLUMNAR = {
    ".parquet": columnar.read_parquet,
    ".pq": columnar.read_parquet,
    ".feather": columnar.read_feather,
    ".arrow": columnar.read_feather,
    ".ipc": columnar.read_feather,
    ".jsonl": columnar.read_json_lines,
    ".ndjson": columnar.read_json_lines,
}
PARQUET = ({(".parquet", None)}, {(".pq", None)})  # endings of files that are read column by column
ARRAYS = (".npy", ".npz")
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
FIRST_BYTES = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz"}
FIRST_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz"}
PATTERN = set("*?[")


def read_file(name: str, reading: Reading | None = None) -> Any:
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
        Notes on how it was read are in :func:`table_notes` and :func:`column_note`.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read as its ending says.
    """
    reading = reading or Reading()
    if name == "-":
        with _failures_of(name):
            return _from_stdin(reading)
    files, folder, key = _locate(name)
    if files != [_path_and_key(name)[0]]:
        return _from_parts(name, files, reading, folder)
    with _failures_of(name):
        return _from_path(files[0], key, reading)


def open_file(name: str, reading: Reading | None = None) -> Any:
    """Open Parquet files without reading their columns; read others as :func:`read_file` does.

    Returns
    -------
    ParquetTable, pyarrow.Table or ndarray
        With the columns that ``reading`` names, if the table has them all.
    """
    reading = reading or Reading()
    if name != "-":
        files, folder, _ = _locate(name)
        if files and {_endings(file) for file in files} in PARQUET:
            table = ParquetTable.open(name, files, folder)
            chosen = columnar.chosen_columns(table.schema, reading.columns)
            return table if chosen is None else table.select(chosen)
    return read_file(name, reading)


def open_alike(names: Sequence[str], reading: Reading) -> list[Any]:
    """Open several files; a column whose codes have leading zeros in one of them is text in all."""
    tables = [open_file(name, reading) for name in names]
    codes = [name for table in tables for name in _codes(table)]
    more = tuple(name for name in dict.fromkeys(codes) if name not in reading.numeric)
    if not more:
        return tables
    again = replace(reading, text=(*reading.text, *more))
    return [
        table if name == "-" or set(more) <= set(_codes(table)) else open_file(name, again)
        for name, table in zip(names, tables, strict=True)
    ]


def _locate(name: str) -> tuple[list[Path], Path | None, str]:
    """Files of a table, the folder that holds its parts, and the array of an NPZ file."""
    file, key = _path_and_key(name)
    if name and file.is_dir():
        return sorted(path for path in file.rglob("*") if _is_part(path, file)), file, ""
    if file.is_file():
        return [file], None, key
    if found := _matches(name):
        return found, None, ""
    raise InputError(name or "file", "no such file", f"give the path of a {ENDINGS} file")


def _path_and_key(name: str) -> tuple[Path, str]:
    path, _, key = name.partition(".npz:")
    return Path(f"{path}.npz" if key else name), key


def _failures_of(name: str) -> AbstractContextManager[None]:
    return name_failures(name, is_text=name == "-" or _endings(Path(name))[0] in TEXT)


def _codes(table: Any) -> list[str]:
    names = getattr(table, "column_names", [])
    return [name for name in names if column_note(table, name)[0] == CODES]


def _from_path(file: Path, key: str, reading: Reading) -> Any:
    ending, packed = _endings(file)
    if ending not in TEXT and ending not in COLUMNAR and ending not in ARRAYS:
        shown = file.suffix.lower()
        raise InputError(str(file), f"cannot read files ending in {shown!r}", f"use {ENDINGS}")
    if packed is None and ending in COLUMNAR:
        return COLUMNAR[ending](str(file), reading.columns)
    return _from_bytes(str(file), _content(file, packed), ending, key, reading)


def _endings(file: Path) -> tuple[str, str | None]:
    """Ending that tells the format, in small letters, and the compression around it."""
    last = file.suffix.lower()
    if last in PACKED:
        return Path(file.stem).suffix.lower(), PACKED[last]
    return last, None


def _content(file: Path, packed: str | None) -> Any:
    """Bytes of a file as an Arrow buffer; mapped, not read, where they are not compressed."""
    import pyarrow as pa

    if packed is None:
        if file.stat().st_size == 0:
            return pa.py_buffer(b"")
        with pa.memory_map(str(file)) as source:
            return source.read_buffer()
    return _unpacked(file.read_bytes(), packed)


def _unpacked(content: bytes, packed: str) -> Any:
    import lzma

    import pyarrow as pa

    if packed == "xz":
        return pa.py_buffer(lzma.decompress(content))
    with pa.CompressedInputStream(pa.BufferReader(content), packed) as stream:
        return stream.read_buffer()


def _from_bytes(name: str, content: Any, ending: str, key: str, reading: Reading) -> Any:
    if ending in ARRAYS:
        try:
            return arrays.read_array(BytesIO(content), name, key)
        except InputError:
            raise
        except Exception as error:
            raise PickledError from error
    if ending in COLUMNAR:
        return COLUMNAR[ending](content, reading.columns)
    return text.read_text(name, content, TEXT[ending], reading)


def _from_stdin(reading: Reading) -> Any:
    import pyarrow as pa

    content = sys.stdin.buffer.read()
    for magic, packed in FIRST_PACKED.items():
        if content.startswith(magic):
            content = _unpacked(content, packed).to_pybytes()
            break
    if not content:
        raise InputError("-", "standard input is empty", "pipe a table into it")
    ending = next((end for magic, end in FIRST_BYTES.items() if content.startswith(magic)), "")
    if not ending:
        ending = ".jsonl" if content[:64].lstrip().startswith(b"{") else ".csv"
    return _from_bytes("-", pa.py_buffer(content), ending, "", reading)


def _matches(pattern: str) -> list[Path]:
    if not PATTERN & set(pattern):
        return []
    return [path for path in sorted(map(Path, glob.glob(pattern, recursive=True))) if path.is_file()]


def _is_part(path: Path, folder: Path) -> bool:
    """Whether a file belongs to a table: not hidden, and no marker such as ``_SUCCESS``."""
    within = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith((".", "_")) for part in within)


def _from_parts(name: str, files: list[Path], reading: Reading, folder: Path | None) -> Any:
    """One table of many files of one format; folders named ``key=value`` are columns."""
    import pyarrow as pa

    if not files:
        raise InputError(name, "is a folder without files", f"name {ENDINGS} files")
    endings = {_endings(file)[0] for file in files}
    unknown = endings - set(TEXT) - set(COLUMNAR)
    if unknown or len(endings) > 1:
        listed = ", ".join(sorted(end or "none" for end in endings))
        remedy = "name one format by a pattern, such as 'parts/*.parquet'"
        raise InputError(name, f"holds files ending in {listed}", remedy)
    tables = [_from_part(file, reading, folder) for file in files]
    notes = list(dict.fromkeys(note for table in tables for note in table_notes(table)))
    try:
        joined = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(name, *different_types(error)) from error
    return with_notes(joined, notes)


def _from_part(file: Path, reading: Reading, folder: Path | None) -> Any:
    import pyarrow as pa

    with _failures_of(str(file)):
        table = _from_path(file, "", reading)
    for key, value in folder_values(file, folder).items():
        if key not in table.column_names:
            table = table.append_column(key, pa.array([value] * len(table), pa.string()))
    return table
