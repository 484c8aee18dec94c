"""Signs of life for long work, on standard error; nothing is imported unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def working(show: bool, text: str) -> Iterator[None]:
    """Show a spinner while the block runs."""
    if not show:
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
