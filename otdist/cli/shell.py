"""What all commands say alike: files, options and errors in the words of the shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otdist.errors import BudgetError, InputError
from otdist.result import plain

OPTIONS = {"n_resamples": "--resamples", "rng": "--seed"}  # where an option has another name in Python
REMEDIES = {
    "nan_policy='omit'": "--nan-policy omit",
    "columns=[...]": "--columns",
    "or use otdist.compare": "or use otdist compare",
}


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
def in_words_of_the_shell(names: dict[str, str], remedies: dict[str, str] | None = None) -> Iterator[None]:
    """Name files and options as the caller typed them, not as Python calls them.

    Parameters
    ----------
    names
        What an argument of Python is called in the shell: a file, or an option with another name.
    remedies
        Words for words, in what is advised.
    """
    known = OPTIONS | names
    try:
        yield
    except InputError as error:
        root, bracket, rest = error.argument.partition("[")
        name = known.get(root) or (f"--{root.replace('_', '-')}" if root.islower() else root)
        if root not in known and (Path(root).suffix or not root.isidentifier()):
            name = root  # a path
        remedy = _reworded(error.remedy, remedies)
        raise InputError(f"{name}{bracket}{rest}", error.problem, remedy) from error
    except BudgetError as error:
        raise BudgetError(_reworded(str(error), remedies)) from error


def _reworded(text: str, remedies: dict[str, str] | None) -> str:
    for python, shell in ((remedies or {}) | REMEDIES).items():
        text = text.replace(python, shell)
    return text


def complain(text: object) -> None:
    """One line on standard error."""
    from otdist.pages.words import visible

    print(f"otdist: {visible(str(text))}", file=sys.stderr)
