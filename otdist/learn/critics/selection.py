"""Model selection: short trials of all candidates, then a long run of the best on validation data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from otdist.learn.critics.candidates import Start
from otdist.learn.critics.samples import Data
from otdist.learn.critics.training import Training, divisor
from otdist.learn.distributed import (
    broadcast_from_first,
    broadcast_numbers,
    local_rows,
    rank_and_world_size,
)
from otdist.typing import Json

FIRST_ROUND_SHARE = 0.1  # share of the budget for trials of all initialisations
TRIAL_SHARE = 0.15  # share of the budget for trials of the best initialisation of each kind
MIN_FINAL_SHARE = 0.3  # of the final share of the budget, kept however long initialisation took
LATE_SHARE = 0.5  # share of the budget after which no further candidate is initialised
FINAL_CHECKS = 25  # evaluations on validation points in the final run
TRIAL_CHECKS = 3  # evaluations on validation points in a trial
CHECK_POINTS = 4096  # maximal number of validation points in an evaluation
PATIENCE_EVALUATIONS = 8  # evaluations without improvement after which a run on given samples stops

ReportProgress = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """Budget in seconds, in steps, or in both, whichever ends first."""

    seconds: float | None = None
    steps: int | None = None

    def share_of(self, share: float) -> Budget:
        """Return a share of the budget."""
        return Budget(
            None if self.seconds is None else share * self.seconds,
            None if self.steps is None else max(1, round(share * self.steps)),
        )

    def used_share(self, start_time: float, steps: int) -> float:
        """Return the share of the budget that is used."""
        clock = 0.0 if self.seconds is None else (time.monotonic() - start_time) / self.seconds
        return max(clock, 0.0 if self.steps is None else steps / self.steps)


@dataclass(eq=False)
class Selection:
    """Training of candidates in turn, and selection of the best one.

    Attributes
    ----------
    data : Data
        Data to train and to select on.
    batch : int
        Points of each side in a step, over all processes.
    generator : torch.Generator
        Random generator for batches and initialisation.
    report_progress : callable
        Callback that shows the progress.
    history : list of dict
        One row per evaluation: seconds, steps, name, validation gap.
    failure : str
        Message of what went wrong; empty if nothing did.
    """

    data: Data
    batch: int
    generator: torch.Generator
    report_progress: ReportProgress
    history: list[dict[str, Json]] = field(default_factory=list)
    failure: str = ""
    start_time: float = field(default_factory=time.monotonic)

    def select(self, groups: Sequence[Sequence[Start]], budget: Budget) -> Training:
        """Select the best initialisation of each kind, then the best kind, and train that further.

        The cost of a step differs between kinds, and after a short time a kind with cheap steps leads. So
        initialisations are compared within their kind first.
        """
        count = sum(len(group) for group in groups)
        if count == 1:
            candidate = self._start(groups[0][0])
            return self.train(candidate, self.get_remaining(budget, 1.0), final=True)
        first_round, trial = (
            budget.share_of(FIRST_ROUND_SHARE / count),
            budget.share_of(TRIAL_SHARE / len(groups)),
        )
        final_share = 1 - FIRST_ROUND_SHARE
        best_of_kind: list[Training] = []
        for group in groups:
            trials: list[Training] = []
            for start in group:
                # A source that failed is not called again.
                if (best_of_kind or trials) and (self.failure or self._is_out_of_time(budget)):
                    break
                trials.append(self.train(self._start(start), first_round))
            best_of_kind += [_best_of(trials)] if trials else []
        if len(best_of_kind) > 1 and not self.failure:
            best_of_kind = [self.train(candidate, trial) for candidate in best_of_kind]
            final_share -= TRIAL_SHARE
        best = _best_of(best_of_kind)
        return best if self.failure else self.train(best, self.get_remaining(budget, final_share), final=True)

    def get_remaining(self, budget: Budget, share: float) -> Budget:
        """Return the budget for the final run, less the time that initialisation has taken."""
        part = budget.share_of(share)
        if part.seconds is None or budget.seconds is None:
            return part
        seconds_left = budget.seconds - (time.monotonic() - self.start_time)
        return replace(part, seconds=max(seconds_left, MIN_FINAL_SHARE * part.seconds))

    def _is_out_of_time(self, budget: Budget) -> bool:
        """Return True if no further candidate may be initialised."""
        if budget.seconds is None:
            return False
        share = (time.monotonic() - self.start_time) / budget.seconds
        return broadcast_numbers([share], self._device)[0] > LATE_SHARE

    def train(self, candidate: Training, budget: Budget, final: bool = False) -> Training:
        """Train one critic, and restore its best state on the validation points."""
        start_time, first_step, checks_done, stale = time.monotonic(), candidate.steps, 0, 0
        signs, n_checks = self._signs(), FINAL_CHECKS if final else TRIAL_CHECKS
        if final:  # the state before a resumed run counts, too
            self._evaluate(candidate)
        while not self.failure:
            share = self._used_share(budget, start_time, candidate.steps - first_step)
            if share >= 1.0:
                break
            if share * n_checks >= checks_done + 1:
                checks_done = math.floor(share * n_checks)
                stale = 0 if self._evaluate(candidate) else stale + 1
                if final and stale >= PATIENCE_EVALUATIONS and not self.data.has_fresh_batches:
                    break
            x, y = self.data.batch(self.batch, self.generator)
            if not candidate.step(torch.cat([x, y]), signs, share, rank_and_world_size()[1] > 1):
                self.failure = (
                    f"Values of '{candidate.name}' were not finite after {candidate.steps} steps: "
                    "the last good state was kept. Check the sources for points that are not finite."
                )
        self._evaluate(candidate)
        candidate.restore()
        return candidate

    def _signs(self) -> torch.Tensor:
        count = len(local_rows(self.batch))
        return torch.cat([torch.ones(count), -torch.ones(count)]).to(self._device) / self.batch

    def _start(self, start: Start) -> Training:
        """Initialise a candidate with the same parameters on all processes."""
        candidate = start(self.generator)
        broadcast_from_first(*candidate.module.state_dict().values())
        return candidate

    def _used_share(self, budget: Budget, start_time: float, steps: int) -> float:
        """Return the used share of the budget by the clock of the first process, the same for all."""
        used = budget.used_share(start_time, steps)
        return used if budget.seconds is None else broadcast_numbers([used], self._device)[0]

    @property
    def _device(self) -> torch.device:
        return self.data.validation.x.device

    @torch.no_grad()
    def _evaluate(self, candidate: Training) -> bool:
        """Evaluate a critic on the validation points, and return True if it has improved."""
        part, module = self.data.validation.head(CHECK_POINTS), candidate.module
        score = part.gap(module(part.x), module(part.y)) / divisor(module)
        score, seconds = broadcast_numbers([score, time.monotonic() - self.start_time], self._device)
        if not math.isfinite(score):
            return False
        is_better = candidate.keep_if_better(score)
        row: dict[str, Json] = {"seconds": seconds, "steps": candidate.steps, "critic": candidate.name}
        self.history.append(row | {"validation": score})
        self.report_progress(f"{candidate.name}: held-out lower bound {candidate.best:.4g}")
        return is_better


def _best_of(candidates: Sequence[Training]) -> Training:
    return max(candidates, key=lambda candidate: candidate.best)
