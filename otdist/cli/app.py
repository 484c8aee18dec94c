"""The command ``otdist``, to which each file adds its own."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated, Any

from cyclopts import App, Parameter

MOVED = 1  # a threshold was passed
FAILED = 2  # the question could not be answered
INTERRUPTED = 130  # by Ctrl-C, as shells have it

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Names = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]


def _version() -> str:
    try:
        return metadata.version("otdist")
    except metadata.PackageNotFoundError:
        return "unknown (run from a source tree that is not installed)"


def _whole(kind: Any, tokens: Any) -> int:
    # Otherwise 1.5 would be rounded without a word.
    return int(tokens[0].value)


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="otdist",
    help="How far apart are two sets of samples? W1 with a proved interval and its sampling noise.",
    version=_version,
)
