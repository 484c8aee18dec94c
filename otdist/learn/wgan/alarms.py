"""What can go wrong in a run, how it is seen in its checks, and what to do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from otdist.learn.wgan.check import Check
from otdist.learn.wgan.settings import PENALTIES, Settings
from otdist.learn.wgan.stopping import PATIENCE, no_progress

Found = tuple[str, str] | None
Rule = Callable[[Sequence[Check], Settings], Found]

LASTING = 3  # checks that must agree: one alone is noise
QUIET = 8  # checks without a finding after which the same may be told again
FIRST = 4  # checks in which a generator is still on its way
REACH = 0.05  # of what exact transport makes of the same points
NEAR = 0.25  # of the floor, below which there is little to reach
FALLING = 0.9
EXCESS, ERRORS = 0.25, 2.0  # share of the gap that is not there on held-out points; in standard errors
STEEP, STEEPEST, FLAT = 1.2, 3.0, 0.1  # slopes of a critic that should have 1
GROWTH = 10.0  # times the median so far
KINDS, SPREAD, COPIES, LOST = 0.6, 0.3, 0.5, 0.5
TOLD = 0.01  # p-value below which a difference is no chance
NEARER = 0.6
AWAY = 3.0  # times the spread of real points
FAR = 0.01  # share of numbers beyond what a generator can give
HUGE = 1e4


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


@torch.no_grad()
def of_reach(generator: nn.Module, latent: int, train: Tensor) -> list[Alarm]:
    """Data that lie beyond what a generator can give, before the first step."""
    z = torch.randn(64, latent, generator=torch.Generator().manual_seed(0)).to(train.device)
    generator.eval()
    made = generator(HUGE * z).flatten(1)
    # A squashed output is at its ends where its input is huge; any other one is far away, or anywhere.
    for low, high, head in ((-1.0, 1.0, "tanh"), (0.0, 1.0, "sigmoid")):
        ends = torch.minimum((made - low).abs(), (made - high).abs()) < 1e-3
        if ends.float().mean() < 0.9 or bool(((made < low - 1e-3) | (made > high + 1e-3)).any()):
            continue
        beyond = float(((train < low) | (train > high)).float().mean())
        if beyond > FAR:
            cause = f"{beyond:.0%} of the numbers, centred and scaled, are beyond the {head} of the generator"
            return [Alarm(0, "data", cause, "end the generator with a linear layer")]
    return []


def of_checks(history: Sequence[Check], settings: Settings) -> list[Alarm]:
    """What the last check shows and none of the few before did: one alarm for a cause until it clears."""
    alarms = []
    before = [history[:k] for k in range(max(len(history) - QUIET, 1), len(history))]
    for name, rule in RULES.items():
        found = rule(history, settings)
        if found is not None and not any(rule(earlier, settings) for earlier in before):
            alarms.append(Alarm(history[-1].step, name, *found))
    return alarms


def standing(history: Sequence[Check], settings: Settings) -> list[str]:
    """Names of what is wrong now."""
    return [name for name, rule in RULES.items() if history and rule(history, settings)]


def critic_under_trained(history: Sequence[Check], settings: Settings) -> Found:
    """The critic makes next to nothing of a distance that exact transport shows on the same points."""
    last = _last(history)
    if not _all(last, lambda c: c.reach is not None and c.reach < REACH and c.debiased > NEAR * c.floor):
        return None
    if last[-1].debiased < FALLING * last[0].debiased:  # the generator gets on with what the critic knows
        return None
    cause = f"the critic reaches {last[-1].reach:.0%} of the distance that exact transport shows"
    return cause, 'raise critic_rate or n_critic, or use n_critic="auto"'


def critic_over_fitted(history: Sequence[Check], settings: Settings) -> Found:
    """The critic tells training points from held-out ones."""

    def fitted(c: Check) -> bool:
        excess = c.gap - c.heldout_gap
        return excess > ERRORS * c.excess_error and excess > EXCESS * abs(c.gap)

    last = _last(history)
    if not _all(last, fitted):
        return None
    cause = f"the critic makes {last[-1].gap:.3g} of training points and {last[-1].heldout_gap:.3g} of others"
    return cause, "give more data, a smaller width, or fewer n_critic"


def slopes(history: Sequence[Check], settings: Settings) -> Found:
    """The critic's slopes are not about 1, so its gap is no distance."""
    last = _last(history)
    if settings.objective != "w1" or settings.certain:
        return None
    allowed = _allowed(settings) if settings.constraint in PENALTIES else STEEPEST
    if _all(last, lambda c: c.slope_99 > allowed):
        remedy = "raise penalty" if settings.constraint in PENALTIES else 'use constraint="orthogonal"'
        return f"the critic's slopes reach {last[-1].slope_99:.3g}, not 1: its gap is no distance", remedy
    if _all(last, lambda c: c.slope_99 < FLAT):
        cause = f"the critic's slopes are {last[-1].slope:.2g}, not 1: the unit of its gap is unknown"
        return cause, 'use constraint="orthogonal"; clipped weights give no unit'
    return None


def _allowed(settings: Settings) -> float:
    """Steepest slope: a penalty bends it to ``1 + W / (2 weight)``, W below 2 on the networks' scale."""
    return min(STEEP * (1 + 1 / settings.weight), STEEPEST)


def exploding(history: Sequence[Check], settings: Settings) -> Found:
    """Scores or gradients are many times what they were, or fakes run away."""
    if len(history) <= FIRST:
        return None
    remedy = "lower learning_rate and critic_rate, or go back to a saved run"
    for name, what in (("score", "scores of the critic"), ("gradient", "gradients of the generator")):
        usual = statistics.median(getattr(c, name) for c in history[:-1])
        now = getattr(history[-1], name)
        if usual > 0 and now > GROWTH * usual:
            return f"{what} are {now / usual:.0f} times what they were", remedy
    last = history[-1]
    if last.spread > AWAY and last.debiased > min(c.debiased for c in history[:-1]):
        return f"fakes spread {last.spread:.0f} times as far as real points", remedy
    return None


def collapse(history: Sequence[Check], settings: Settings) -> Found:
    """Fakes are less diverse than real points."""
    last = _last(history)
    tests: dict[str, Callable[[Check], bool]] = {
        "fakes are worth {0.vendi:.0%} of the kinds of real points": lambda c: c.vendi < KINDS,
        "fakes spread {0.spread:.0%} as far as real points": lambda c: c.spread < SPREAD,
        "{0.duplicates:.0%} of the fakes have a near copy, {0.real_duplicates:.0%} of real points": (
            lambda c: c.duplicates - c.real_duplicates > COPIES
        ),
    }
    # A generator begins with few kinds of points; one that gets better is not told.
    for cause, test in tests.items():
        if len(history) > FIRST and _all(last, test):
            return cause.format(last[-1]), "raise n_critic, use packing=2 or more, or lower learning_rate"
    best = max(c.coverage for c in history)
    if _all(last, lambda c: c.coverage < LOST * best) and best > 0.2:
        cause = f"fakes cover {last[-1].coverage:.0%} of real points, and covered {best:.0%} before"
        return cause, "lower learning_rate, or use packing=2 or more"
    return None


def generator_limited(history: Sequence[Check], settings: Settings) -> Found:
    """The distance no longer falls, and is more than noise."""
    last = history[-PATIENCE:]
    if not no_progress(history) or not _all(last, lambda c: c.pvalue < TOLD):
        return None
    if critic_under_trained(history, settings):  # there is nothing that the generator could follow
        return None
    cause = f"W1 stays at {statistics.fmean(c.debiased for c in last):.3g} above the floor"
    return cause, "give the generator a larger width or latent, or its learning rate time to fall"


def memorised(history: Sequence[Check], settings: Settings) -> Found:
    """Fakes are copies of training points."""
    last = _last(history)
    if not _all(last, lambda c: c.memorised < TOLD and c.nearer > NEARER):
        return None
    cause = f"fakes are nearer to training points than held-out points are, in {last[-1].nearer:.0%} of pairs"
    return cause, "give more data, or a smaller width; fewer steps"


RULES: dict[str, Rule] = {
    "critic under-trained": critic_under_trained,
    "critic over-fitted": critic_over_fitted,
    "slopes": slopes,
    "exploding": exploding,
    "collapse": collapse,
    "generator-limited": generator_limited,
    "memorisation": memorised,
}


def _last(history: Sequence[Check]) -> Sequence[Check]:
    return history[-LASTING:]


def _all(checks: Sequence[Check], test: Callable[[Check], bool]) -> bool:
    """Whether enough checks in a row agree."""
    return len(checks) >= LASTING and all(test(check) for check in checks)
