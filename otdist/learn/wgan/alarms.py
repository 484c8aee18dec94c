"""What can go wrong in a run, how it is seen in its checks, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from otdist.learn.wgan.check import Check
from otdist.learn.wgan.settings import Settings


@dataclass(frozen=True)
class Alarm:
    """Something is wrong.

    Attributes
    ----------
    step : int
        When it was seen.
    name : str
        What it is.
    cause, remedy : str
        Why, and what to do.
    """

    step: int
    name: str
    cause: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Names and values, for files."""
        return asdict(self)

    def __str__(self) -> str:
        return f"step {self.step}: {self.name}: {self.cause}; {self.remedy}"


def of_data(notes: Sequence[str]) -> list[Alarm]:
    """What is odd about the data, before the first step."""
    return [Alarm(0, "data", *note.split("; ", 1)) for note in notes]


def of_checks(history: Sequence[Check], settings: Settings) -> list[Alarm]:
    """What the last check shows that earlier ones did not."""
    return []
