"""Log of a run during training: one line per check, in a file and on the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otdist.learn.wgan.pace import FIRST_CHECK_SECONDS
from otdist.learn.wgan.report.summary import format_duration
from otdist.pages.formatting import format_count
from otdist.runtime.files import replace_files

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from otdist.learn.wgan.monitor.alarms import Alarm
    from otdist.learn.wgan.monitor.check import Check
    from otdist.learn.wgan.wgan import WGAN

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class RunLog:
    """Log of a run in a folder, if there is one, and scalars if tensorboard is installed.

    Parameters
    ----------
    folder : Path or None
        Folder of the log file; None writes nothing.
    history : sequence of Check
        Checks of the run so far; later lines of the file are dropped.
    alarms : sequence of Alarm
        Alarms of the run so far; each is written with the first check after it.
    """

    path: Path | None
    n_written: int
    board: SummaryWriter | None

    def __init__(self, folder: Path | None, history: Sequence[Check], alarms: Sequence[Alarm]) -> None:
        self.path = None if folder is None else folder / LOG_FILE
        self.n_written = 0  # alarms that are in the file
        lines = []
        for check in history:
            new_alarms = [alarm for alarm in alarms[self.n_written :] if alarm.step <= check.step]
            lines.append(_format_record(check, new_alarms))
            self.n_written += len(new_alarms)
        if self.path is not None:
            replace_files({self.path: "".join(lines).encode()}, "folder")
        self.board = None if folder is None else _open_tensorboard(folder, history[-1].step if history else 0)

    def write(self, check: Check, alarms: Sequence[Alarm]) -> None:
        """Write a line with a check and the alarms that are not in the file yet."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_format_record(check, alarms[self.n_written :]))
        if self.board is not None:
            for name, value in finite_figures(check).items():
                self.board.add_scalar(name, value, check.step)
            self.board.flush()
        self.n_written = len(alarms)

    def close(self) -> None:
        """Close the tensorboard writer."""
        if self.board is not None:
            self.board.close()


def finite_figures(check: Check) -> dict[str, float]:
    """Return all finite figures of a check by name."""
    items = check.to_dict().items()
    return {
        name: float(value)
        for name, value in items
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }


def progress_line(run: WGAN) -> str:
    """Format a line of progress, the most important first, since a narrow terminal truncates it."""
    step = f"step {run.steps:,}"
    used_share = run.schedule.share(run.steps, run.seconds)
    remaining = max(run.schedule.end - used_share, 0.0)
    time_left = f", {format_duration(run.seconds * remaining / used_share)} left" if used_share else ""
    alarm_text = format_count(len(run.alarms), "alarm") if run.alarms else "ok"
    if not run.history:
        every = run.settings.check_every
        first_check = f"after {FIRST_CHECK_SECONDS:.0f} s" if every == "clock" else f"at step {every:,}"
        return f"{step}{time_left}  first check {first_check}  {alarm_text}"
    last = run.history[-1]
    bracket = f"W1 in [{last.lower:.3g}, {last.upper:.3g}]"
    samples = f"samples {last.estimate:.3g}, floor {last.floor:.3g}"
    return f"{bracket}  {samples}  {alarm_text}  {step}{time_left}"


def _format_record(check: Check, alarms: Sequence[Alarm]) -> str:
    record = check.to_dict() | ({"alarms": [alarm.to_dict() for alarm in alarms]} if alarms else {})
    return json.dumps(record) + "\n"


def _open_tensorboard(folder: Path, step: int) -> SummaryWriter | None:
    """Open a tensorboard writer that continues after a step, or return None if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=step + 1)
