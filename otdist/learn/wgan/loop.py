"""The loop of training, and what follows from each check."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from otdist.arrays import caller_level
from otdist.errors import ConvergenceWarning
from otdist.learn.critics.processes import numbers_of_first, rank_and_world
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.alarms import Alarm, of_checks
from otdist.learn.wgan.health import look
from otdist.learn.wgan.journal import Journal, told
from otdist.learn.wgan.probe import followed
from otdist.learn.wgan.real import Real
from otdist.learn.wgan.stopping import ended, following
from otdist.learn.wgan.wgan import WGAN
from otdist.progress import working

ROLLBACKS = 3  # after which values that are not finite are no accident


@dataclass(eq=False)
class Loop:
    """A run on its way: rounds, checks, and what follows from them."""

    run: WGAN
    real: Real
    folder: Path | None
    progress: bool
    began: float = 0.0
    kept: tuple[dict[str, Tensor], int, int] = field(init=False)
    falls: int = 0

    def go(self) -> WGAN:
        """Train until the budget is used, nothing more is gained, or the caller interrupts."""
        run, state = self.run, self.run.state
        self.began = time.perf_counter() - run.seconds
        if not run.strips.checks:
            run.strips.add(state, 0)
        self._keep()
        self._save()
        first = rank_and_world()[0] == 0
        self.journal = Journal(self.folder if first else None, run.history, run.alarms)
        with interruptions() as asked, working(self.progress, "training") as tell:
            tell(told(run))
            while True:
                share, stop = self._agreed(asked())
                if stop or share >= run.schedule.end or self.falls > ROLLBACKS:
                    break
                state.set_rates(run.schedule.factor(share))
                if not self._round():
                    self._fall_back()
                elif state.step % state.settings.check_every == 0:
                    tell(self._check())
        return self._ended(interrupted=bool(stop))

    def _agreed(self, asked: bool) -> tuple[float, float]:
        """Share of the budget and whether to stop, as the first process has them."""
        run = self.run
        run.seconds = time.perf_counter() - self.began
        share = run.schedule.share(run.state.step, run.seconds)
        first, stop = numbers_of_first([share, float(asked)], run.state.device)
        return first, stop

    def _round(self) -> bool:
        """Steps of the critic, then one of the generator; False where values were not finite."""
        state = self.run.state
        return (
            all(state.critic_step(self.real.train) for _ in range(state.n_critic)) and state.generator_step()
        )

    def _check(self) -> str:
        run, state = self.run, self.run.state
        check = look(state, self.real, run.seconds, run.history[-1] if run.history else None)
        run.history.append(check)
        run.strips.add(state, len(run.history))
        alarms = of_checks(run.history, run.settings)
        run.alarms.extend(alarms)
        state.gaps.clear()
        if run.settings.n_critic == "auto":
            state.n_critic = followed(state.n_critic, check.probe)
        if run.settings.stop:
            run.schedule = following(run.schedule, run.history, run.seconds)
        self._keep()
        self._save()
        self.journal.write(check, run.alarms)
        return told(run)

    def _keep(self) -> None:
        """Remember a good state."""
        state = self.run.state
        self.kept = checkpoint.tensors_of(state), state.step, state.n_critic

    def _fall_back(self) -> None:
        """Go back to the last good state, with half the learning rates."""
        run, state = self.run, self.run.state
        self.falls += 1
        seen = state.step
        checkpoint.restore(state, self.kept[0])
        state.step, state.n_critic = self.kept[1:]
        state.gaps.clear()
        state.rate_scale /= 2
        cause = "values of the critic or generator are not finite"
        remedy = f"went back to step {state.step} with half the learning rates; lower them if it comes again"
        run.alarms.append(Alarm(seen, "exploding", cause, remedy))

    def _save(self) -> None:
        if self.folder is not None and rank_and_world()[0] == 0:
            self.run.save(self.folder)

    def _ended(self, *, interrupted: bool) -> WGAN:
        run, state = self.run, self.run.state
        if interrupted:
            run.message = f"interrupted at step {state.step}"
        elif self.falls > ROLLBACKS:
            run.message = f"values are not finite, also after going back {ROLLBACKS} times"
        else:
            # At the end of a budget that is no multiple of check_every; an interrupted run goes on without.
            if not run.history or run.history[-1].step != state.step:
                self._check()
            run.message = ended(run.history, run.schedule.end < 1)
        self._save()
        self.journal.close()
        if interrupted or self.falls > ROLLBACKS:
            warnings.warn(run.message, ConvergenceWarning, stacklevel=caller_level())
        return run


@contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait for the end of a step; a second one does not wait."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
