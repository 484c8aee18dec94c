"""Pace of a run: when it is checked, and how long it will take on this machine."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Literal

from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.schedule import Schedule
from otdist.learn.wgan.state import State

FIRST_CHECK_SECONDS = 10.0  # time of the first check by the clock; it has ended before 20 s
MIN_SECONDS_BETWEEN = 20.0  # smallest time between two checks by the clock
MAX_CHECK_SHARE = 0.05  # largest share of the time that checks take
TIMED_ROUNDS = 2  # the first one allocates memory


@dataclass
class CheckClock:
    """When a run is checked: every so many steps, or by the clock.

    By the clock the first check comes after 10 s. Later ones take at most a twentieth of the time, and are
    20 s or more apart.
    """

    every: int | Literal["clock"]
    next_seconds: float

    @classmethod
    def of(cls, every: int | Literal["clock"], seconds: float) -> CheckClock:
        """Make a clock for a run that has taken some seconds so far."""
        return cls(every, seconds + FIRST_CHECK_SECONDS)

    def is_time(self, seconds: float) -> bool:
        """Return True if the clock asks for a check."""
        return self.every == "clock" and seconds >= self.next_seconds

    def is_due(self, step: int, is_time: bool) -> bool:
        """Return True if there is a check after this step."""
        return is_time if self.every == "clock" else step % self.every == 0

    def restart(self, start: float, end: float) -> None:
        """Set the time of the next check from the start and the end of the last one."""
        self.next_seconds = end + max(MIN_SECONDS_BETWEEN, (end - start) * (1 / MAX_CHECK_SHARE - 1))


def estimate_seconds(state: State, real: RealData, schedule: Schedule, seconds: float) -> float:
    """Estimate the time to the end of the budget from rounds on a copy of the state.

    The run stops before that where there is no more progress.
    """
    remaining = 1.0 - schedule.share(state.step, seconds)
    times = [] if schedule.max_seconds is None else [remaining * schedule.max_seconds]
    if schedule.steps is not None:
        trial = copy.deepcopy(state)
        for _ in range(TIMED_ROUNDS):
            start = time.perf_counter()
            for _ in range(trial.n_critic):
                trial.critic_step(real.train)
            trial.generator_step()
            trial.is_finite()  # waits for the device
            round_seconds = time.perf_counter() - start
        times.append(remaining * schedule.steps * round_seconds / (1 - MAX_CHECK_SHARE))
    return min(times)
