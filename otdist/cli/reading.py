"""Options of commands that read tables from text files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from otdist.errors import InputError
from otdist.tables.files.settings import Reading

ARGUMENTS = {"compare": ("REFERENCE", "CURRENT"), "w1": ("X", "Y")}

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

    def reading(
        self,
        columns: list[str] | None = None,
        categorical: list[str] | None = None,
        numeric: list[str] | None = None,
    ) -> Reading:
        """The options as the readers of files take them."""
        return Reading(
            **vars(self),
            columns=None if columns is None else tuple(columns),
            text=tuple(categorical or ()),
            numeric=tuple(numeric or ()),
        )


def two_files(
    command: str, first: str | None, second: str | None, *lists: list[str] | None
) -> tuple[str, str]:
    """Both files; those that an option with several values took as its last ones are given back.

    Raises
    ------
    InputError
        If a file is missing.
    """
    files = [name for name in (first, second) if name is not None]
    lacking = 2 - len(files)
    for names in filter(None, lists):
        if lacking and len(names) > lacking and all(_is_file(name) for name in names[-lacking:]):
            files += [names.pop(-lacking + k) for k in range(lacking)]
            lacking = 0
    if lacking:
        arguments = ARGUMENTS[command]
        hint = "; options with several values, such as --columns, go last" if any(lists) else ""
        usage = " ".join(("otdist", command, *arguments))
        raise InputError(arguments[len(files)], "is missing", f"usage: {usage}{hint}")
    if files[0] == files[1] == "-":
        raise InputError("-", "is both files", "read one of them from a file")
    return files[0], files[1]


def chosen(table: Any, columns: list[str] | None, name: str) -> Any:
    """Only these columns of a table.

    Raises
    ------
    InputError
        If one is not there, or this is an array without names.
    """
    if columns is None:
        return table
    if not hasattr(table, "column_names"):
        raise InputError("columns", f"need a table, and {name} is an array", "leave them out")
    if unknown := [column for column in columns if column not in table.column_names]:
        raise InputError(
            "columns", f"there is no {unknown[0]!r} in {name}", f"choose from {table.column_names}"
        )
    return table.select(columns)


def _is_file(name: str) -> bool:
    return name == "-" or Path(name).exists() or Path(name.partition(".npz:")[0] + ".npz").is_file()
