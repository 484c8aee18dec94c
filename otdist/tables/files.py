"""Tables and arrays from files, by their ending. Nothing is read by pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from otdist.errors import InputError

ENDINGS = ".csv, .tsv, .parquet, .npy or .npz"


def read_file(name: str) -> Any:
    """Read a table (CSV, TSV, Parquet) or an array (NPY, NPZ).

    One array of several in an NPZ file is named after a colon: ``points.npz:x``.
    """
    path, _, key = name.partition(".npz:")
    file = Path(f"{path}.npz" if key else name)
    if name and file.is_dir():
        raise InputError(name, "is a folder", f"give the path of a {ENDINGS} file")
    if not file.is_file():
        raise InputError(name or "file", "no such file", f"give the path of a {ENDINGS} file")
    readers = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet, ".npy": _array, ".npz": _array}
    ending = file.suffix.lower()
    if ending not in readers:
        raise InputError(name, f"cannot read files ending in {ending!r}", f"use {ENDINGS}")
    try:
        return readers[ending](file, key)
    except InputError:
        raise
    except Exception as error:
        # Whatever a parser raises on a broken file, the caller needs its name and the reason.
        if readers[ending] is _array:  # NumPy's own advice is to load pickles, which are not safe
            raise InputError(
                name,
                "is no complete NPY or NPZ file of numbers",
                "save it again by numpy.save; pickled objects are not read",
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            name,
            f"cannot be read ({reason})",
            "check that it is complete and separated by commas (.csv) or tabs (.tsv)",
        ) from error


def _csv(file: Path, key: str) -> Any:
    from pyarrow import csv

    missing = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a"]
    table = csv.read_csv(
        file,
        parse_options=csv.ParseOptions(delimiter="\t" if file.suffix.lower() == ".tsv" else ","),
        convert_options=csv.ConvertOptions(null_values=missing, strings_can_be_null=True),
    )
    return table


def _parquet(file: Path, key: str) -> Any:
    from pyarrow import parquet

    table = parquet.read_table(file)
    # pandas stores its row index as a column; it numbers the rows and measures nothing.
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return table.drop_columns([name for name in index if name in table.column_names])


def _array(file: Path, key: str) -> Any:
    with file.open("rb") as stream:
        return _loaded(file, key, np.load(stream, allow_pickle=False))


def _loaded(file: Path, key: str, loaded: Any) -> Any:
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        return loaded
    with loaded as arrays:
        names = arrays.files
        if key and key not in names:
            raise InputError(f"{file}:{key}", "no such array", f"choose from {names}")
        if not key and len(names) != 1:
            remedy = f"name one: {file}:{names[0]}" if names else "save an array into it"
            raise InputError(str(file), f"holds {len(names)} arrays: {names}", remedy)
        return arrays[key or names[0]]
