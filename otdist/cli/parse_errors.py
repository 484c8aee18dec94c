"""One-line error messages for command lines that cannot be parsed."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

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
from otdist.errors import shorten

if TYPE_CHECKING:
    from cyclopts.argument import Argument

MAX_ECHO_CHARACTERS = 60  # characters of the input that a message repeats
MIN_SIMILARITY = 0.6  # smallest similarity of a suggested name
TYPE_TEXTS: dict[object, tuple[str, str]] = {
    int: ("a whole number", "give one such as 100"),
    float: ("a number", "give one such as 0.01"),
    bool: ("true or false", "or leave the value out"),
    Path: ("a path", "give one such as report.html"),
}


def explain_error(error: CycloptsError) -> str:
    """Explain which word of a command line is wrong, why, and the correction."""
    if isinstance(error, UnknownOptionError):
        return _explain_unknown_option(error)
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(map(_quote, error.unused_tokens or []))
        return f"{words}: must not follow the other arguments; {_format_usage(error)}"
    if isinstance(error, UnknownCommandError):
        return _explain_unknown_command(error)
    if isinstance(error, MissingArgumentError):
        return _explain_missing(error)
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: must be given once, got it twice; leave one out"
    if isinstance(error, CoercionError):
        return _explain_coercion(error)
    return str(error)


def _explain_unknown_option(error: UnknownOptionError) -> str:
    name = str(error.token.keyword or error.token.value).partition("=")[0]
    if name == "-":
        return "-: must be the name of a file, got standard input; save it to a file first"
    options = [n for a in error.argument_collection if a.parse for n in a.names if n.startswith("--")]
    matches = difflib.get_close_matches(
        name.strip("-"), [n.strip("-") for n in options], n=1, cutoff=MIN_SIMILARITY
    )
    remedy = f"did you mean --{matches[0]}?" if matches else f"use one of {', '.join(options)}"
    return f"{shorten(name, MAX_ECHO_CHARACTERS)}: must be an option of {_format_command(error)}; {remedy}"


def _explain_unknown_command(error: UnknownCommandError) -> str:
    word = (error.unused_tokens or [""])[0]
    commands = [name for name in app if not name.startswith("-")]
    matches = difflib.get_close_matches(word, commands, n=1, cutoff=MIN_SIMILARITY)
    remedy = f"did you mean {matches[0]}?" if matches else f"use one of {', '.join(commands)}"
    return f"{shorten(word, MAX_ECHO_CHARACTERS)}: must be a command of otdist; {remedy}"


def _explain_missing(error: MissingArgumentError) -> str:
    argument = error.argument
    name = error.keyword or (argument.name if argument is not None else "an argument")
    if name.startswith("--"):
        return f"{name}: must be followed by a value, got none; write {name} VALUE"
    hint = "; options with several values, such as --columns, go last" if _has_list_option(error) else ""
    return f"{name}: is missing; {_format_usage(error)}{hint}"


def _explain_coercion(error: CoercionError) -> str:
    token, argument = error.token, error.argument
    if token is None or argument is None:
        return str(error)
    name = token.keyword or argument.name.lstrip("-").upper()
    hint = _strip_none(argument.hint)
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        matches = difflib.get_close_matches(token.value, choices, n=1, cutoff=MIN_SIMILARITY)
        remedy = f"did you mean {matches[0]}?" if matches else f"use {choices[0]}"
        return f"{name}: must be one of {', '.join(choices)}, got {_quote(token.value)}; {remedy}"
    kind, remedy = TYPE_TEXTS.get(hint, ("of another kind", "see --help"))
    return f"{name}: must be {kind}, got {_quote(token.value)}; {remedy}"


def _strip_none(hint: object) -> object:
    """Return the type of an optional value without None."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is Literal or len(parts) != 1:
        return hint
    return _strip_none(parts[0])


def _format_command(error: CycloptsError) -> str:
    return " ".join(("otdist", *(error.command_chain or ())))


def _format_usage(error: CycloptsError) -> str:
    """Format the usage of a command."""
    collection = _collect_arguments(error)
    names = [argument.name.lstrip("-").upper() for argument in collection if argument.index is not None]
    command = _format_command(error)
    return f"usage: {' '.join((command, *names))}" if names else f"see {command} --help"


def _has_list_option(error: CycloptsError) -> bool:
    """Return whether the command line has an option that takes all following words."""
    words = error.root_input_tokens or []
    options = [a for a in _collect_arguments(error) if a.parameter.consume_multiple]
    return any(name in words for argument in options for name in argument.names)


def _collect_arguments(error: CycloptsError) -> list[Argument]:
    command = app
    for name in error.command_chain or ():
        command = command[name]
    return [] if command.default_command is None else list(command.assemble_argument_collection())


def _quote(text: str) -> str:
    return repr(shorten(text, MAX_ECHO_CHARACTERS))
