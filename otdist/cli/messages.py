"""Error messages for command lines that cannot be parsed, one line each."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from otdist.cli.app import app

LONGEST = 60  # characters of what was typed that a message repeats
ALIKE = 0.6  # similarity from which a name is suggested
KINDS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "give one such as 100"),
    float: ("a number", "give one such as 0.01"),
    bool: ("true or false", "or leave the value out"),
    Path: ("a path", "give one such as report.html"),
}


def explain(error: CycloptsError) -> str:
    """Say which word of a command line is at fault, why, and what to write instead."""
    if isinstance(error, UnknownOptionError):
        return _unknown_option(error)
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(map(_shown, error.unused_tokens or []))
        return f"{words}: must not follow the other arguments; {_usage(error)}"
    if isinstance(error, UnknownCommandError):
        return _unknown_command(error)
    if isinstance(error, MissingArgumentError):
        return _missing(error)
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: must be given once, got it twice; leave one out"
    if isinstance(error, CoercionError):
        return _wrong_kind(error)
    return str(error)


def _unknown_option(error: UnknownOptionError) -> str:
    name = str(error.token.keyword or error.token.value).partition("=")[0]
    if name == "-":
        return "-: must be the name of a file, got standard input; save it to a file first"
    known = [n for a in error.argument_collection if a.parse for n in a.names if n.startswith("--")]
    near = difflib.get_close_matches(name.strip("-"), [n.strip("-") for n in known], n=1, cutoff=ALIKE)
    remedy = f"did you mean --{near[0]}?" if near else f"use one of {', '.join(known)}"
    return f"{_cut(name)}: must be an option of {_command(error)}; {remedy}"


def _unknown_command(error: UnknownCommandError) -> str:
    word = (error.unused_tokens or [""])[0]
    known = [name for name in app if not name.startswith("-")]
    near = difflib.get_close_matches(word, known, n=1, cutoff=ALIKE)
    remedy = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
    return f"{_cut(word)}: must be a command of otdist; {remedy}"


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    name = error.keyword or (argument.name if argument is not None else "an argument")
    if name.startswith("--"):
        return f"{name}: must be followed by a value, got none; write {name} VALUE"
    hint = "; options with several values, such as --columns, go last" if _lists(error) else ""
    return f"{name}: is missing; {_usage(error)}{hint}"


def _wrong_kind(error: CoercionError) -> str:
    token, argument = error.token, error.argument
    if token is None or argument is None:
        return str(error)
    name = token.keyword or argument.name.lstrip("-").upper()
    hint = _without_none(argument.hint)
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        near = difflib.get_close_matches(token.value, choices, n=1, cutoff=ALIKE)
        remedy = f"did you mean {near[0]}?" if near else f"use {choices[0]}"
        return f"{name}: must be one of {', '.join(choices)}, got {_shown(token.value)}; {remedy}"
    kind, remedy = KINDS.get(hint, ("of another kind", "see --help"))
    return f"{name}: must be {kind}, got {_shown(token.value)}; {remedy}"


def _without_none(hint: Any) -> Any:
    """Type of an option that may be left out."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is Literal or len(parts) != 1:
        return hint
    return _without_none(parts[0])


def _command(error: CycloptsError) -> str:
    return " ".join(("otdist", *(error.command_chain or ())))


def _usage(error: CycloptsError) -> str:
    """Arguments that a command takes."""
    collection = _arguments(error)
    names = [argument.name.lstrip("-").upper() for argument in collection if argument.index is not None]
    command = _command(error)
    return f"usage: {' '.join((command, *names))}" if names else f"see {command} --help"


def _lists(error: CycloptsError) -> bool:
    """Whether the command line has an option that takes all words that follow."""
    typed = error.root_input_tokens or []
    options = [a for a in _arguments(error) if a.parameter.consume_multiple]
    return any(name in typed for argument in options for name in argument.names)


def _arguments(error: CycloptsError) -> list[Any]:
    command = app
    for name in error.command_chain or ():
        command = command[name]
    return [] if command.default_command is None else list(command.assemble_argument_collection())


def _shown(text: str) -> str:
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
