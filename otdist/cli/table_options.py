"""Options of commands that read tables from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter

from otdist.errors import InputError
from otdist.tables.files.settings import Reading

if TYPE_CHECKING:
    from otdist.tables.files.read import FileTable

FILE_ARGUMENTS = {"compare": ("REFERENCE", "CURRENT"), "w1": ("X", "Y")}

MaybeFile = Annotated[str | None, Parameter(allow_leading_hyphen=True)]  # - is standard input


@Parameter(name="*")
@dataclass(frozen=True)
class TextOptions:
    """Layout of text files, where it is not to be recognised.

    Parameters
    ----------
    sep
        Separator of columns in text files, such as ";" or tab.
    decimal
        Decimal mark in text files.
    encoding
        Encoding of text files, such as cp1252 or utf-16.
    header
        Whether the first row of text files holds names.
    date_format
        Format of dates that are not ISO 8601, such as "%d/%m/%Y".
    """

    sep: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    header: bool | None = None
    date_format: str | None = None

    def to_reading(
        self,
        columns: list[str] | None = None,
        categorical: list[str] | None = None,
        numeric: list[str] | None = None,
    ) -> Reading:
        """Convert the options to the settings of the file readers."""
        return Reading(
            **vars(self),
            columns=None if columns is None else tuple(columns),
            text=tuple(categorical or ()),
            numeric=tuple(numeric or ()),
        )


def resolve_files(
    command: str, first: str | None, second: str | None, *lists: list[str] | None
) -> tuple[str, str]:
    """Return both files; files at the end of an option with several values are moved to the arguments.

    Raises
    ------
    InputError
        If a file is missing.
    """
    files = [name for name in (first, second) if name is not None]
    missing = 2 - len(files)
    for names in filter(None, lists):
        if missing and len(names) > missing and all(_is_file(name) for name in names[-missing:]):
            files += [names.pop(-missing + k) for k in range(missing)]
            missing = 0
    if missing:
        arguments = FILE_ARGUMENTS[command]
        hint = "; options with several values, such as --columns, go last" if any(lists) else ""
        usage = " ".join(("otdist", command, *arguments))
        raise InputError(arguments[len(files)], "is missing", f"usage: {usage}{hint}")
    if files[0] == files[1] == "-":
        raise InputError("-", "is both files", "read one of them from a file")
    return files[0], files[1]


def select_columns(table: FileTable, columns: list[str] | None, name: str) -> FileTable:
    """Select columns of a table.

    Raises
    ------
    InputError
        If a column does not exist, or the table is an array without names.
    """
    if columns is None:
        return table
    if isinstance(table, np.ndarray):
        raise InputError("columns", f"need a table, and {name} is an array", "leave them out")
    unknown = [column for column in columns if column not in table.column_names]
    if unknown or not columns:
        problem = f"there is no {unknown[0]!r} in {name}" if unknown else "must name a column, got none"
        raise InputError("columns", problem, f"choose from {table.column_names}")
    return table.select(columns)


def _is_file(name: str) -> bool:
    return name == "-" or Path(name).exists() or Path(name.partition(".npz:")[0] + ".npz").is_file()
