"""Signs of life for long work, on standard error; nothing is imported unless asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from otdist.errors import shorten

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
Progress = Callable[[str], None]  # called with how far a task is

LINE_SECONDS = 5.0  # between two lines where a line cannot be overwritten
COMPILING = "compiling for this machine, once (about 15 s; 'otdist warmup' does it ahead)"

# How many blocks show progress, and whether it was said that code is compiled.
_state = {"shown": 0, "announced": 0}


def ignore_progress(text: str) -> None:
    """Show nothing of how far a task is."""


@contextmanager
def display_progress(show: bool, text: str) -> Iterator[Progress]:
    """Show a spinner while the block runs; call what it gives to say how far it is.

    Where standard error is not a terminal, as in a notebook or a log, there is a line at the start, and then
    one every few seconds.
    """
    if not show:
        yield ignore_progress
        return
    console = _console()
    display = _spinner(console, text) if console.is_terminal else _lines(text)
    _state["shown"] += 1
    try:
        with display as tell:
            yield tell
    finally:
        _state["shown"] -= 1


def track(items: Iterable[T], show: bool, text: str) -> Iterator[T]:
    """Go through items, and show how many are done.

    Parameters
    ----------
    items : iterable with a length
        What is gone through.
    show : bool
        Whether to show it.
    text : str
        What the items are.
    """
    done = list(items)
    with display_progress(show, text) as tell:
        for k, item in enumerate(done):
            tell(f"{k} of {len(done)}")
            yield item


def announce_compiling() -> None:
    """Say, once in a process, why the first call takes long, if somebody may be waiting for it."""
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    if _state["announced"] or not (is_watched or _state["shown"]):
        return
    _state["announced"] = 1
    _print(f"otdist: {COMPILING}")


def _console() -> Console:
    from rich.console import Console

    # In a notebook rich would ask for ipywidgets, and warn where they are missing.
    return Console(stderr=True, force_jupyter=False)


@contextmanager
def _spinner(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    from rich.text import Text

    room = console.width - 2  # the spinner and a blank

    def tell(news: str) -> None:
        line = f"{text}: {news}"
        # One line, whatever the terminal: Text, since brackets are no markup here.
        status.update(Text(shorten(line, room)))

    with console.status(Text(text)) as status:
        yield tell


@contextmanager
def _lines(text: str) -> Iterator[Callable[[str], None]]:
    last = time.monotonic()
    _print(f"otdist: {text}")

    def tell(news: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            _print(f"otdist: {text}: {news}")

    yield tell


def _print(line: str) -> None:
    with suppress(OSError, ValueError):  # standard error may be closed
        print(line, file=sys.stderr, flush=True)
