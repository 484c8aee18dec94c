"""Helpers shared by all commands: names of files and options in error messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from otdist.errors import BudgetError, InputError, Option, PublicName, Remedy
from otdist.result import plain

OPTIONS = {"n_resamples": "--resamples", "rng": "--seed"}  # where an option has another name in Python


def dumped(record: dict[str, Any]) -> str:
    """Strict JSON: infinities are words, and what is no number is null."""
    return json.dumps(_strict(record), indent=2, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list | tuple) else plain(value)


def require_folder(html: Path | None) -> None:
    """Say before long work that its report could not be written."""
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError("--html", f"there is no folder {html.absolute().parent}", "make it first")
    if html is not None and html.is_dir():
        raise InputError("--html", f"{html} is a folder", "give a file name, such as report.html")


@contextmanager
def shell_errors(names: dict[str, str]) -> Iterator[None]:
    """Raise errors of the library with files and options as they are typed in a shell.

    Parameters
    ----------
    names
        Names of Python arguments in the shell: files, and options with other names.
    """
    known = OPTIONS | names
    try:
        yield
    except InputError as error:
        root, bracket, rest = error.argument.partition("[")
        typed = root in names.values() or error.argument in names.values()  # files, as they were named
        name = root if typed else known.get(root) or _option(root)
        remedy = _shell_remedy(error.remedy, known)
        if rest[:1] in ("'", '"') and "--columns" not in remedy:  # the error is about one column of a file
            remedy += "; --columns leaves columns out"
        raise InputError(f"{name}{bracket}{rest}", error.problem, remedy) from error
    except BudgetError as error:
        raise BudgetError(error.problem, _shell_remedy(error.remedy, known)) from error


def _shell_remedy(remedy: str, names: dict[str, str]) -> str:
    """Return a remedy with options and commands in place of arguments and functions."""

    def write(part: Option | PublicName) -> str:
        if isinstance(part, PublicName):
            return f"otdist {part.name}"
        return f"{names.get(part.name) or _option(part.name)} {part.word}".rstrip()

    return remedy.render(write) if isinstance(remedy, Remedy) else remedy


def _option(name: str) -> str:
    """Option of the shell for an argument of Python; paths stay as they are."""
    is_path = Path(name).suffix or not name.isidentifier() or not name.islower()
    return name if is_path else f"--{name.replace('_', '-')}"


def unused_name(default: str) -> Path:
    """First of report.html, report-2.html and so on that does not exist: a file is not replaced unasked."""
    path, count = Path(default), 1
    while path.exists() or path.is_symlink():
        count += 1
        path = path.with_stem(f"{Path(default).stem}-{count}")
    return path


def complain(text: object) -> None:
    """One line on standard error."""
    from otdist.pages.words import visible

    with suppress(OSError, ValueError):  # nobody reads it any more
        print(f"otdist: {visible(str(text))}", file=sys.stderr)
