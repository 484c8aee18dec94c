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

    with Console(stderr=True).status(text) as status:
        yield lambda news: status.update(f"{text}: {news}")
