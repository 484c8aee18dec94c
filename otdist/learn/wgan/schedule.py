"""How long a run goes on, and how its learning rates fall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from otdist.errors import InputError

FALL = 2.5  # times the time until rates begin to fall, where they are 0; a quick fall loses a quarter of W1
SOONER = 0.75  # of the time so far, in which low rates come to 0 where nothing more is gained
STEPS = 20_000  # of the generator, where nothing else is asked for


@dataclass(frozen=True)
class Schedule:
    """A budget, and the part of it in which learning rates fall linearly to 0.

    Attributes
    ----------
    steps : int or None
        Of the generator.
    max_seconds : float or None
        Of training, checks included. What follows from a clock is another run each time.
    start, end : float
        Shares of the budget between which rates fall; the run is over at ``end``.
    """

    steps: int | None
    max_seconds: float | None
    start: float
    end: float = 1.0

    @classmethod
    def of(cls, steps: Any, max_seconds: Any, decay_from: float) -> Schedule:
        """Schedule of what the caller asked for."""
        if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
            raise InputError("steps", f"{steps!r} is no number of steps", "give a whole number from 1 on")
        number = isinstance(max_seconds, int | float) and not isinstance(max_seconds, bool)
        if max_seconds is not None and not (number and max_seconds > 0):
            raise InputError("max_seconds", f"{max_seconds!r} is no time", "give seconds above 0")
        return cls(STEPS if steps is None and max_seconds is None else steps, max_seconds, decay_from)

    def share(self, step: int, seconds: float) -> float:
        """Part of the budget that is used."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.max_seconds is not None:
            shares.append(seconds / self.max_seconds)
        return max(shares)

    def factor(self, share: float) -> float:
        """What learning rates are multiplied by."""
        if share <= self.start or self.end <= self.start:
            return 1.0
        return max(1.0 - (share - self.start) / (self.end - self.start), 0.0)

    def extended(self, other: Schedule) -> Schedule:
        """The same if ``other`` has the same budget, else that one."""
        same = (self.steps, self.max_seconds) == (other.steps, other.max_seconds)
        return self if same else replace(other, start=self.start if self.end == 1 else other.start)

    def settle(self, share: float) -> Schedule:
        """Let full rates fall from now on, for a time; those that have fallen to half, to 0 sooner."""
        if share <= self.start:
            return replace(self, start=share, end=min(FALL * share, self.end))
        factor = self.factor(share)
        if factor > 0.5:
            return self
        left = SOONER * share * factor
        if factor == 0 or share + left >= self.end:
            return self
        # From where they are: no jump.
        return replace(self, start=share + left - left / factor, end=share + left)
