"""Options for reading files."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from otdist.errors import InputError
from otdist.inputs.arguments import check_choice, set_option

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}


@dataclass(frozen=True)
class Reading:
    """Options of text files; None: detected.

    Attributes
    ----------
    sep : str or None
        Separator of columns: one character, or ``"tab"``, ``"space"``.
    decimal : {".", ","} or None
        Decimal mark.
    encoding : str or None
        Encoding, by its name in Python.
    header : bool or None
        Whether the first row holds the names.
    date_format : str or None
        Format of dates besides ISO 8601, such as ``"%d/%m/%Y"``.
    columns : tuple of str or None
        Columns to load, if the file has them all.
    text : tuple of str
        Columns to read as text, whatever their content.
    numeric : tuple of str
        Columns to read as numbers, with a currency or a percent sign as their unit.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    date_format: str | None = None
    columns: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sep is not None:
            set_option(self, "sep", SEPARATORS.get(self.sep, self.sep))
            if len(self.sep) != 1 or not self.sep.isascii() or self.sep in '"\r\n':
                raise InputError(
                    "sep", f"must be one character, got {self.sep!r}", "use one such as ';' or 'tab'"
                )
        if self.decimal is not None:
            check_choice(self.decimal, "decimal", (".", ","))
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise InputError(
                    "encoding", f"{self.encoding!r} is unknown", "use one such as utf-8, utf-16, cp1252"
                ) from None
        if self.date_format is not None and "%" not in self.date_format:
            problem = f"must contain %, got {self.date_format!r}"
            raise InputError("date_format", problem, "use one such as '%d/%m/%Y'")
