"""Training loop: rounds of steps, checks, rollbacks and the end of a run."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from torch import Tensor

from otdist.errors import ConvergenceWarning
from otdist.inputs.arrays import caller_level
from otdist.learn.distributed import broadcast_numbers, rank_and_world_size
from otdist.learn.wgan import checkpoint
from otdist.learn.wgan.monitor.alarms import Alarm, new_alarms
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.log import RunLog, progress_line
from otdist.learn.wgan.monitor.probe import adapt_n_critic, is_early_probe
from otdist.learn.wgan.monitor.run_check import evaluate_best, probe_critic, run_check
from otdist.learn.wgan.monitor.stopping import end_message, update_schedule
from otdist.learn.wgan.pace import CheckClock, estimate_seconds
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.report.summary import format_duration
from otdist.learn.wgan.wgan import WGAN
from otdist.runtime.progress import display_progress

PROGRESS_SECONDS = 0.5  # time between two lines of progress
READING_STEPS = 50  # steps after which the host reads whether values on a device are finite
MAX_ROLLBACKS = 3  # rollbacks after which values that are not finite end the run


@dataclass(eq=False)
class Loop:
    """Training of a run: rounds of steps, checks and rollbacks."""

    run: WGAN
    real: RealData
    folder: Path | None
    progress: bool
    on_check: Callable[[Check, WGAN], object] | None = None
    start_time: float = 0.0
    good_state: tuple[dict[str, Tensor], int, int] = field(init=False)
    n_rollbacks: int = 0
    share: float = 0.0
    is_check_time: bool = False  # by the clock
    clock: CheckClock = field(init=False)

    def train(self) -> WGAN:
        """Train until the budget is used, there is no more progress, or Ctrl-C is pressed."""
        run, state = self.run, self.run.state
        self.start_time = time.perf_counter() - run.seconds
        if not run.snapshots.checks:
            run.snapshots.add(state, 0)
        self._store_good_state()
        self._save()
        self.clock = CheckClock.of(state.settings.check_every, run.seconds)
        is_first = rank_and_world_size()[0] == 0
        self.log: RunLog = RunLog(self.folder if is_first else None, run.history, run.alarms)
        with (
            defer_interrupts() as stop_requested,
            display_progress(self.progress, self._describe_task()) as report_progress,
        ):
            report_progress(progress_line(run))
            last_report = time.perf_counter()
            while True:
                share, stop = self._shared_progress(stop_requested())
                if stop or share >= run.schedule.end or self.n_rollbacks > MAX_ROLLBACKS:
                    if state.is_finite():
                        break
                    self._roll_back()  # steps since the host last looked
                    continue
                state.set_rates(run.schedule.factor(share))
                if not self._train_round():
                    self._roll_back()
                elif self.clock.is_due(state.step, self.is_check_time):
                    report_progress(self._check())
                elif not run.history:
                    self._probe_early()
                if time.perf_counter() - last_report > PROGRESS_SECONDS:
                    last_report = time.perf_counter()
                    report_progress(progress_line(run))
        return self._finish(interrupted=bool(stop))

    def _describe_task(self) -> str:
        """Describe the task for the display of progress, with its time on this machine."""
        run = self.run
        if not self.progress or rank_and_world_size()[1] > 1:
            return "training"
        seconds = estimate_seconds(run.state, self.real, run.schedule, run.seconds)
        return f"training, about {format_duration(seconds)} at most on this machine"

    def _shared_progress(self, stop_requested: bool) -> tuple[float, float]:
        """Return the used share of the budget and whether to stop, as on the first process."""
        run = self.run
        run.seconds = time.perf_counter() - self.start_time
        if self._is_between_messages():
            self.share, self.is_check_time = max(self.share, run.schedule.share(run.state.step, 0.0)), False
            return self.share, 0.0
        share, is_time = run.schedule.share(run.state.step, run.seconds), self.clock.is_time(run.seconds)
        numbers = [share, float(stop_requested), float(is_time)]
        self.share, stop, is_time_on_first = broadcast_numbers(numbers, run.state.device)
        self.is_check_time = bool(is_time_on_first)
        return self.share, stop

    def _is_between_messages(self) -> bool:
        """Return True in steps without a message between processes, for which their devices would wait."""
        state = self.run.state
        return state.runs_ahead and rank_and_world_size()[1] > 1 and state.step % READING_STEPS > 0

    def _train_round(self) -> bool:
        """Take steps of the critic, then one of the generator; return False if values are not finite.

        On a device they may not be finite for some steps before it is known; weights do not change then.
        """
        state = self.run.state
        finite = (
            all(state.critic_step(self.real.train) for _ in range(state.n_critic)) and state.generator_step()
        )
        # A device computes ahead of the host, which waits for it here.
        return finite and (state.step % READING_STEPS > 0 or state.is_finite())

    def _check(self) -> str:
        run, state = self.run, self.run.state
        if not state.is_finite():  # in one of the steps since the host last looked
            self._roll_back()
            return progress_line(run)
        start = time.perf_counter() - self.start_time
        last, best = run.history[-1] if run.history else None, run.best_generator
        check = run_check(state, self.real, run.seconds, last, best.arrays)
        run.history.append(check)
        best.update(state, check)
        run.snapshots.add(state, len(run.history))
        alarms = new_alarms(run.history, run.settings)
        run.alarms.extend(alarms)
        state.gaps.clear()
        if run.settings.n_critic == "auto":
            state.n_critic = adapt_n_critic(state.n_critic, check.probe)
        if run.settings.stop:
            run.schedule = update_schedule(run.schedule, run.history, run.seconds)
        self._store_good_state()
        self._save()
        self.log.write(check, run.alarms)
        self.clock.restart(start, time.perf_counter() - self.start_time)
        # Last, so that an exception of the caller's leaves a folder from which the run can continue.
        if self.on_check is not None:
            self.on_check(check, run)
        return progress_line(run)

    def _probe_early(self) -> None:
        """Adapt n_critic="auto" before the first check, which may come when the generator circles already."""
        state = self.run.state
        if self.run.settings.n_critic == "auto" and is_early_probe(state.step):
            state.n_critic = adapt_n_critic(state.n_critic, probe_critic(state, self.real))

    def _store_good_state(self) -> None:
        """Store the current state for a rollback."""
        state = self.run.state
        self.good_state = checkpoint.collect_tensors(state), state.step, state.n_critic

    def _roll_back(self) -> None:
        """Restore the last good state, and halve the learning rates."""
        run, state = self.run, self.run.state
        self.n_rollbacks += 1
        failed_step = state.step if state.is_finite() else int(state.failed_at)
        checkpoint.restore(state, self.good_state[0])
        state.step, state.n_critic = self.good_state[1:]
        state.gaps.clear()
        state.rate_scale /= 2
        cause = "values of the critic or generator are not finite"
        remedy = f"went back to step {state.step} with half the learning rates; lower them if it recurs"
        run.alarms.append(Alarm(failed_step, "exploding", cause, remedy))

    def _save(self) -> None:
        if self.folder is not None and rank_and_world_size()[0] == 0:
            self.run.save(self.folder)

    def _finish(self, *, interrupted: bool) -> WGAN:
        run, state = self.run, self.run.state
        if interrupted:
            run.stop_reason, run.message = "interrupted", f"interrupted at step {state.step}"
        elif self.n_rollbacks > MAX_ROLLBACKS:
            run.stop_reason = "diverged"
            run.message = f"values are not finite, also after going back {MAX_ROLLBACKS} times"
        else:
            # At the end of a budget that is not a multiple of check_every; not for an interrupted run.
            if not run.history or run.history[-1].step != state.step:
                self._check()
            by_clock = run.schedule.steps is None or state.step < run.schedule.steps
            run.stop_reason = "converged" if run.schedule.end < 1 else "budget"
            best = run.best_generator
            best.final = evaluate_best(state, self.real, best, len(run.history))
            run.message = end_message(run.history, run.schedule.end < 1, best.check, by_clock=by_clock)
        self._save()
        self.log.close()
        if interrupted or self.n_rollbacks > MAX_ROLLBACKS:
            warnings.warn(run.message, ConvergenceWarning, stacklevel=caller_level())
        return run


@contextmanager
def defer_interrupts() -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C to the end of a step; a second Ctrl-C interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stop_requested: list[int] = []

    def handle_interrupt(number: int, frame: FrameType | None) -> None:
        if stop_requested:
            raise KeyboardInterrupt
        stop_requested.append(number)

    previous_handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, handle_interrupt)
    try:
        yield lambda: bool(stop_requested)
    finally:
        signal.signal(signal.SIGINT, previous_handler)
