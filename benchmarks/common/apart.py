"""One run in a process of its own, how several of them become a row, and one program at a time."""

from __future__ import annotations

import fcntl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from otdist.bench.runs import run_worker

QUICK = 20.0  # seconds below which a run is repeated
GRACE = 180.0  # seconds for a process to start and warm up, compiling if need be

Row = dict[str, Any]


def apart(command: list[str], limit: float) -> Row:
    """What a process that ends itself after ``limit`` seconds prints, as JSON; or how it ended."""
    return run_worker(command, limit, GRACE, reports_start=False)


def joined(row: Row, answer: Row) -> Row:
    """Take one more run into a row."""
    times = answer.pop("times", [])
    if "runs" not in row:
        row |= answer | {"runs": []}
    elif answer["status"] != "ok":
        row |= answer
    else:
        row["memory"] = max(row["memory"], answer["memory"])
        row["same_value"] = row.get("same_value", True) and row["value"] == answer["value"]
    if times:
        row["runs"].append(float(np.median(times)))
        row["seconds"] = float(np.median(row["runs"]))
        row["range"] = [min(row["runs"]), max(row["runs"])]
    return row


def finished(row: Row, repeats: int) -> bool:
    """Whether it needs no further run."""
    return row["status"] != "ok" or row["runs"][0] >= QUICK or len(row["runs"]) >= repeats


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else measures meanwhile; ends the program where somebody does."""
    with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another run is measuring: two at once would spoil each other's times")
        yield
