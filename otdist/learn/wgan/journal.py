"""What a run tells while it trains: a line a check, on the screen and in a file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otdist.learn.wgan.card import counted, duration

if TYPE_CHECKING:
    from otdist.learn.wgan.alarms import Alarm
    from otdist.learn.wgan.check import Check
    from otdist.learn.wgan.wgan import WGAN

FILE = "log.jsonl"
BOARD = "tensorboard"  # folder of its files


class Journal:
    """Lines of a run in a folder, or nowhere if there is none; and scalars, where tensorboard is installed.

    Parameters
    ----------
    folder : Path or None
        Where the file is.
    history : sequence of Check
        Checks that are known: later lines, of a run that was cut off, are dropped.
    alarms : sequence of Alarm
        Alarms that are known; each stands with the first check that followed it.
    """

    def __init__(self, folder: Path | None, history: Sequence[Check], alarms: Sequence[Alarm]) -> None:
        self.path = None if folder is None else folder / FILE
        self.written = 0  # alarms that stand in the file
        lines = []
        for check in history:
            due = [alarm for alarm in alarms[self.written :] if alarm.step <= check.step]
            lines.append(_line(check, due))
            self.written += len(due)
        if self.path is not None:
            part = self.path.with_suffix(".part")
            part.write_text("".join(lines), encoding="utf-8")
            os.replace(part, self.path)
        self.board = None if folder is None else _board(folder, history[-1].step if history else 0)

    def write(self, check: Check, alarms: Sequence[Alarm]) -> None:
        """Add a line: the check, and those of all alarms that no line has told yet."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(check, alarms[self.written :]))
        if self.board is not None:
            for name, value in figures(check).items():
                self.board.add_scalar(name, value, check.step)
            self.board.flush()
        self.written = len(alarms)

    def close(self) -> None:
        """Close what is open; other runs follow in the same process."""
        if self.board is not None:
            self.board.close()


def figures(check: Check) -> dict[str, float]:
    """All numbers of a check that can be drawn, by name."""
    known = check.to_dict().items()
    return {
        name: float(value)
        for name, value in known
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }


def told(run: WGAN) -> str:
    """One line for people, what matters most first: a narrow terminal cuts its end off."""
    step = f"step {run.steps:,}"
    used = run.schedule.share(run.steps, run.seconds)
    rest = max(run.schedule.end - used, 0.0)
    left = f", {duration(run.seconds * rest / used)} left" if used else ""
    health = counted(len(run.alarms), "alarm") if run.alarms else "ok"
    if not run.history:
        return f"{step}  figures from step {run.settings.check_every:,} on  {health}"
    last = run.history[-1]
    bracket = f"W1 in [{last.lower:.3g}, {last.upper:.3g}]"
    samples = f"samples {last.estimate:.3g}, floor {last.floor:.3g}"
    return f"{bracket}  {samples}  {health}  {step}{left}"


def _line(check: Check, alarms: Sequence[Alarm]) -> str:
    record = check.to_dict() | ({"alarms": [alarm.to_dict() for alarm in alarms]} if alarms else {})
    return json.dumps(record) + "\n"


def _board(folder: Path, step: int) -> Any:
    """A writer of scalars that go on after a step, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / BOARD), purge_step=step + 1)
