"""Signs of life for long work, on standard error; nothing is imported unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def working(show: bool, text: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner while the block runs; call what it gives to say how far it is."""
    if not show:
        yield lambda news: None
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    room = console.width - 2  # the spinner and a blank

    def tell(news: str) -> None:
        line = f"{text}: {news}"
        # One line, whatever the terminal: Text, since brackets are no markup here.
        status.update(Text(line if len(line) <= room else line[: room - 1] + "…"))

    with console.status(text) as status:
        yield tell
