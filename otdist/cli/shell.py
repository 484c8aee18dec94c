"""Functions shared by all commands: errors, options, messages and JSON of the shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from otdist.errors import BudgetError, InputError, Option, PublicName, Remedy
from otdist.result import to_plain
from otdist.runtime.files import check_target

OPTION_NAMES = {
    "n_resamples": "--resamples",
    "rng": "--seed",
}  # options with other names than their Python arguments


def dump_json(record: Mapping[str, object]) -> str:
    """Convert a record to strict JSON: infinities become words, NaN becomes null."""
    return json.dumps(to_plain(record), indent=2, allow_nan=False)


def check_html(html: Path | None) -> None:
    """Raise InputError if a report could not be written, before the computation starts."""
    if html is not None:
        check_target(html, "--html")


@contextmanager
def shell_errors(names: dict[str, str]) -> Iterator[None]:
    """Re-raise errors of the library with the names of files and options in the shell.

    Parameters
    ----------
    names
        Shell names of Python arguments: files, and options with other names.
    """
    shell_names = OPTION_NAMES | names
    try:
        yield
    except InputError as error:
        root, bracket, remainder = error.argument.partition("[")
        is_file_name = root in names.values() or error.argument in names.values()  # names of files
        name = root if is_file_name else shell_names.get(root) or _to_option(root)
        remedy = _render_remedy(error.remedy, shell_names)
        mentions_columns = isinstance(error.remedy, Remedy) and error.remedy.mentions("columns")
        if remainder[:1] in ("'", '"') and not mentions_columns:  # the error refers to one column of a file
            remedy += "; --columns leaves columns out"
        raise InputError(f"{name}{bracket}{remainder}", error.problem, remedy) from error
    except BudgetError as error:
        raise BudgetError(error.problem, _render_remedy(error.remedy, shell_names)) from error


def _render_remedy(remedy: str, names: dict[str, str]) -> str:
    """Return a remedy with options and commands in place of arguments and functions."""

    def write(part: Option | PublicName) -> str:
        if isinstance(part, PublicName):
            return f"otdist {part.name}"
        return f"{names.get(part.name) or _to_option(part.name)} {part.word}".rstrip()

    return remedy.render(write) if isinstance(remedy, Remedy) else remedy


def _to_option(name: str) -> str:
    """Convert a Python argument to an option of the shell; paths are unchanged."""
    is_path = Path(name).suffix or not name.isidentifier() or not name.islower()
    return name if is_path else f"--{name.replace('_', '-')}"


def find_unused_name(default: str) -> Path:
    """Find the first of report.html, report-2.html and so on that does not exist."""
    path, count = Path(default), 1
    while path.exists() or path.is_symlink():
        count += 1
        path = path.with_stem(f"{Path(default).stem}-{count}")
    return path


def print_message(text: object) -> None:
    """Print one line on standard error."""
    from otdist.pages.formatting import escape_unprintable

    with suppress(OSError, ValueError):  # standard error may be closed
        print(f"otdist: {escape_unprintable(str(text))}", file=sys.stderr)
