"""What a run tells while it trains: a line a check, on the screen and in a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from otdist.learn.wgan.health import Check

FILE = "log.jsonl"


class Journal:
    """Lines of a run in a folder, or nowhere if there is none.

    Parameters
    ----------
    folder : Path or None
        Where the file is.
    history : list of Check
        Checks that are known: later lines, of a run that was cut off, are dropped.
    """

    def __init__(self, folder: Path | None, history: list[Check]) -> None:
        self.path = None if folder is None else folder / FILE
        if self.path is not None:
            part = self.path.with_suffix(".part")
            part.write_text("".join(_line(check, ()) for check in history), encoding="utf-8")
            os.replace(part, self.path)

    def write(self, check: Check, alarms: tuple[Any, ...]) -> None:
        """Add a line."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(check, alarms))


def told(check: Check, alarms: int) -> str:
    """One line for people."""
    health = "ok" if not alarms else f"{alarms} alarms"
    return (
        f"step {check.step}  W1 in [{check.lower:.3g}, {check.upper:.3g}]  "
        f"at {check.n} points {check.estimate:.3g}, floor {check.floor:.3g}  {health}"
    )


def _line(check: Check, alarms: tuple[Any, ...]) -> str:
    record = check.to_dict() | ({"alarms": [alarm.to_dict() for alarm in alarms]} if alarms else {})
    return json.dumps(record) + "\n"
