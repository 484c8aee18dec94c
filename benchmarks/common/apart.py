"""One run in a process of its own, and one program at a time."""

from __future__ import annotations

import fcntl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otdist.bench.runs import run_worker

GRACE = 180.0  # seconds for a process to start and warm up, compiling if need be

Row = dict[str, Any]


def apart(command: list[str], limit: float) -> Row:
    """What a process that ends itself after ``limit`` seconds prints, as JSON; or how it ended."""
    return run_worker(command, limit, GRACE, reports_start=False)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else measures meanwhile; ends the program where somebody does."""
    with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run is measuring: two at once would spoil each other's times")
        yield
