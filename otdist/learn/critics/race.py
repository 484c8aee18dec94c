"""Trials of every contender, and all that is left for the best on points that none trains on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from otdist.learn.critics.contenders import Start
from otdist.learn.critics.processes import numbers_of_first, of_first, own, rank_and_world
from otdist.learn.critics.samples import Data
from otdist.learn.critics.training import Training, divisor

HEATS = 0.1  # share of the budget in which every start of every kind is tried
TRIALS = 0.15  # share in which the best start of each kind is
LEAST = 0.3  # of its share, that the last run has whatever the starts took
LATE = 0.5  # of the budget, from which on no further start is made
CHECKS = 25  # looks at the validation points in the last run
FEW = 3  # in a trial
SOME = 4096  # validation points that a look takes in, at most
PATIENCE = 8  # looks without a better one after which a run on given samples stops

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """What may be spent: seconds, steps, or whichever ends first."""

    seconds: float | None = None
    steps: int | None = None

    def part(self, share: float) -> Budget:
        """Return a share of it."""
        return Budget(
            None if self.seconds is None else share * self.seconds,
            None if self.steps is None else max(1, round(share * self.steps)),
        )

    def used(self, since: float, steps: int) -> float:
        """Share that is gone."""
        clock = 0.0 if self.seconds is None else (time.monotonic() - since) / self.seconds
        return max(clock, 0.0 if self.steps is None else steps / self.steps)


@dataclass(eq=False)
class Race:
    """Trains critics in turn.

    Attributes
    ----------
    data : Data
        What they are trained and chosen on.
    batch : int
        Points of each side in a step, over all processes.
    generator : torch.Generator
        For batches and starts.
    tell : callable
        Shows how far it is.
    history : list of dict
        A row for every look: seconds, steps, name, validation gap.
    trouble : str
        What went wrong, if anything did.
    """

    data: Data
    batch: int
    generator: torch.Generator
    tell: Tell
    history: list[dict[str, Any]] = field(default_factory=list)
    trouble: str = ""
    began: float = field(default_factory=time.monotonic)

    def won(self, kinds: Sequence[Sequence[Start]], budget: Budget) -> Training:
        """Find the best start of each kind, then the best kind, and give it the rest.

        Kinds take steps of different cost, and what leads after a moment is the one with quick steps: so
        starts run against their own kind first.
        """
        count = sum(len(kind) for kind in kinds)
        if count == 1:
            one = self._started(kinds[0][0])
            return self.run(one, self.rest(budget, 1.0), final=True)
        heat, trial, left = budget.part(HEATS / count), budget.part(TRIALS / len(kinds)), 1 - HEATS
        found: list[Training] = []
        for kind in kinds:
            tried: list[Training] = []
            for start in kind:
                # A source that failed is not asked again.
                if (found or tried) and (self.trouble or self._late(budget)):
                    break
                tried.append(self.run(self._started(start), heat))
            found += [_best(tried)] if tried else []
        if len(found) > 1 and not self.trouble:
            found, left = [self.run(one, trial) for one in found], left - TRIALS
        return _best(found) if self.trouble else self.run(_best(found), self.rest(budget, left), final=True)

    def rest(self, budget: Budget, share: float) -> Budget:
        """What is left for the last run: starts take time as well, in many columns a good part of it."""
        part = budget.part(share)
        if part.seconds is None or budget.seconds is None:
            return part
        left = budget.seconds - (time.monotonic() - self.began)
        return replace(part, seconds=max(left, LEAST * part.seconds))

    def _late(self, budget: Budget) -> bool:
        """Whether starts have taken so long that no more of them may be made."""
        if budget.seconds is None:
            return False
        share = (time.monotonic() - self.began) / budget.seconds
        return numbers_of_first([share], self._device)[0] > LATE

    def run(self, one: Training, budget: Budget, final: bool = False) -> Training:
        """Train one critic; it ends in the best state it had on the validation points."""
        since, first, looks, stale = time.monotonic(), one.steps, 0, 0
        signs, checks = self._signs(), CHECKS if final else FEW
        if final:  # a critic that is resumed counts as it was, too
            self._look(one)
        while not self.trouble:
            share = self._used(budget, since, one.steps - first)
            if share >= 1.0:
                break
            if share * checks >= looks + 1:
                looks = math.floor(share * checks)
                stale = 0 if self._look(one) else stale + 1
                if final and stale >= PATIENCE and not self.data.plentiful:
                    break
            x, y = self.data.batch(self.batch, self.generator)
            if not one.step(torch.cat([x, y]), signs, share, rank_and_world()[1] > 1):
                self.trouble = (
                    f"Values of '{one.name}' were not finite after {one.steps} steps: the last good state "
                    "was kept. Look for points that are not finite in what the sources give."
                )
        self._look(one)
        one.restore()
        return one

    def _signs(self) -> torch.Tensor:
        count = len(own(self.batch))
        return torch.cat([torch.ones(count), -torch.ones(count)]).to(self._device) / self.batch

    def _started(self, start: Start) -> Training:
        """A contender with the same parameters on all processes, whose fresh points are not the same."""
        one = start(self.generator)
        of_first(*one.module.state_dict().values())
        return one

    def _used(self, budget: Budget, since: float, steps: int) -> float:
        """Share of the budget that is gone, by the clock of the first process: all end at the same step."""
        used = budget.used(since, steps)
        return used if budget.seconds is None else numbers_of_first([used], self._device)[0]

    @property
    def _device(self) -> torch.device:
        return self.data.validation.x.device

    @torch.no_grad()
    def _look(self, one: Training) -> bool:
        """Judge by the validation points."""
        part = self.data.validation.some(SOME)
        score = part.gap(one.module(part.x), one.module(part.y)) / divisor(one.module)
        score, seconds = numbers_of_first([score, time.monotonic() - self.began], self._device)
        if not math.isfinite(score):
            return False
        better = one.keep(score)
        row = {"seconds": seconds, "steps": one.steps, "critic": one.name}
        self.history.append(row | {"validation": score})
        self.tell(f"{one.name}: held-out lower bound {one.best:.4g}")
        return better


def _best(found: Sequence[Training]) -> Training:
    return max(found, key=lambda one: one.best)
