"""Application ``otdist``, to which each module adds a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter, Token

from otdist.runtime.versions import get_version

EXIT_RULE_BROKEN = 1  # a threshold was exceeded
EXIT_FAILED = 2  # the command could not compute its result
EXIT_INTERRUPTED = 130  # by Ctrl-C, the convention of shells

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Names = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


def _parse_integer(kind: object, tokens: Sequence[Token]) -> int:
    # Otherwise 1.5 would be rounded silently.
    return int(tokens[0].value)


Integer = Annotated[int, Parameter(converter=_parse_integer)]

app = App(
    name="otdist",
    help="How far apart are two sets of samples? W1 with a proved interval and its sampling noise.",
    version=lambda: get_version(missing="unknown (run from a source tree that is not installed)"),
)
