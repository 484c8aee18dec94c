"""Alarms of a run: rules that find a failure in its checks, with cause and remedy."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.monitor.probe import NOISE_ERRORS
from otdist.learn.wgan.monitor.stopping import PATIENCE_CHECKS, has_no_progress
from otdist.learn.wgan.networks import DEFAULT_WIDTH, UNITS_PER_COLUMN
from otdist.learn.wgan.real import DataNote
from otdist.learn.wgan.settings import PENALTY_WEIGHTS, Settings
from otdist.typing import Json

Finding = tuple[str, str] | None
Rule = Callable[[Sequence[Check], Settings], Finding]

CONFIRMING_CHECKS = 3  # checks in a row that must agree, since one alone may be noise
QUIET_CHECKS = 8  # checks without a finding after which the same alarm may be raised again
WARMUP_CHECKS = 4  # first checks, in which the generator is not expected to be good
MIN_GAP_RATIO = 0.05  # smallest gap of the critic, as a share of exact transport on the same points
MIN_DISTANCE_FLOORS = 0.25  # distance in floors below which the critic has little to find
PROGRESS_RATIO = 0.9  # ratio of distances below which the generator makes progress
# Excess of the training gap over the held-out gap: as a share of the gap, and in standard errors.
MIN_EXCESS_SHARE, MIN_EXCESS_ERRORS = 0.25, 2.0
# Gradient norms of a critic, which should be 1.
PENALISED_GRAD_NORM, MAX_GRAD_NORM, MIN_GRAD_NORM = 1.2, 3.0, 0.1
# Fakes that circle: between checks their mean moves by a share of its distance from the real mean and by more
# than the gap of the critic, and the distance is above its best by a share of the estimate, off the floor.
MIN_DRIFT_SHARE, MIN_RISE_SHARE, CIRCLING_FLOORS = 0.4, 0.03, 0.1
CIRCLING_FACTOR = 4.0  # by which a faster critic, or a slower generator, stopped it on digits
MAX_GROWTH = 10.0  # ratio to the median of earlier checks
MIN_VENDI, MIN_SPREAD, MAX_DUPLICATES, MIN_COVERAGE_RATIO = 0.6, 0.3, 0.5, 0.5  # of real points, or before
MIN_BEST_COVERAGE = 0.2  # coverage that a generator must have reached before it can lose it
SIGNIFICANCE = 0.01  # p-value below which a difference is significant
MIN_CLOSER = 0.6  # probability that a fake is nearer to training points than a held-out point
MAX_SPREAD_RATIO = 3.0  # ratio to the spread of real points
MAX_OUTSIDE_SHARE = 0.01  # share of numbers outside the range of the generator
MIN_UNITS_PER_COLUMN = 2  # width over columns below which a chosen width is remarked on
LARGE_INPUT = 1e4  # latent numbers at which a squashed output saturates


@dataclass(frozen=True)
class Alarm:
    """Alarm: a failure found in a check.

    Attributes
    ----------
    step : int
        Step of the generator at the check.
    name : str
        Kind of failure.
    cause, remedy : str
        Cause of the failure, and what to do.
    """

    step: int
    name: str
    cause: str
    remedy: str

    def to_dict(self) -> dict[str, Json]:
        """Return names and values, for files."""
        return asdict(self)

    def __str__(self) -> str:
        return f"step {self.step}: {self.name}: {self.cause}; {self.remedy}"


def data_alarms(notes: Sequence[DataNote]) -> list[Alarm]:
    """Return alarms about oddities of the data, before the first step."""
    return [Alarm(0, "data", note.cause, note.remedy) for note in notes]


def settings_alarms(settings: Settings, d: int) -> list[Alarm]:
    """Return an alarm if the chosen width is too small for points of d numbers, before the first step."""
    width = settings.width
    if settings.constraint != "orthogonal" or width is None or width >= MIN_UNITS_PER_COLUMN * d:
        return []
    cause = f"width={width} is below {MIN_UNITS_PER_COLUMN} units for each of the {d} numbers of a point"
    remedy = f"use {min(UNITS_PER_COLUMN * d, DEFAULT_WIDTH)} or more, or look at the alarm circling"
    return [Alarm(0, "width", cause, remedy)]


@torch.no_grad()
def output_range_alarms(generator: nn.Module, latent: int, train: Tensor) -> list[Alarm]:
    """Return an alarm if data lie outside the range of a squashed generator, before the first step."""
    z = torch.randn(64, latent, generator=torch.Generator().manual_seed(0)).to(train.device)
    generator.eval()
    outputs = generator(LARGE_INPUT * z).flatten(1)
    # A squashed output saturates for large inputs; any other output is far away, or anywhere.
    for low, high, head in ((-1.0, 1.0, "tanh"), (0.0, 1.0, "sigmoid")):
        ends = torch.minimum((outputs - low).abs(), (outputs - high).abs()) < 1e-3
        if ends.float().mean() < 0.9 or bool(((outputs < low - 1e-3) | (outputs > high + 1e-3)).any()):
            continue
        outside = float(((train < low) | (train > high)).float().mean())
        if outside > MAX_OUTSIDE_SHARE:
            cause = f"{outside:.0%} of the scaled numbers are outside the range of the generator's {head}"
            return [Alarm(0, "data", cause, "end the generator with a linear layer")]
    return []


def new_alarms(history: Sequence[Check], settings: Settings) -> list[Alarm]:
    """Return alarms that the last check raises and the checks shortly before did not."""
    alarms = []
    earlier_histories = [history[:k] for k in range(max(len(history) - QUIET_CHECKS, 1), len(history))]
    for name, rule in RULES.items():
        finding = rule(history, settings)
        if finding is not None and not any(rule(earlier, settings) for earlier in earlier_histories):
            alarms.append(Alarm(history[-1].step, name, *finding))
    return alarms


def active_alarms(history: Sequence[Check], settings: Settings) -> list[str]:
    """Return the names of all rules that the last checks violate."""
    return [name for name, rule in RULES.items() if history and rule(history, settings)]


def circling(history: Sequence[Check], settings: Settings) -> Finding:
    """Find fakes that circle around the data, because the critic turns more slowly than they move.

    Then the distance rises above its best although both networks train, and a weaker critic or a faster
    generator makes it worse.
    """
    last = _take_recent(history)
    if len(history) <= CONFIRMING_CHECKS or not _is_turning(history):
        return None
    best = min(history[: -len(last)], key=lambda c: c.debiased)
    rise = statistics.fmean(c.debiased for c in last) - best.debiased
    if rise < MIN_RISE_SHARE * last[-1].estimate or not _all_agree(
        last, lambda c: c.debiased > max(best.debiased, CIRCLING_FLOORS * c.floor)
    ):
        return None
    drift = statistics.fmean(c.drift for c in last if c.drift is not None)
    cause = (
        f"the mean of fakes moves by {drift:.3g} between checks, {last[-1].mean_error:.3g} from the real "
        f"mean, and W1 above the floor rose from {best.debiased:.3g} at step {best.step:,} to "
        f"{last[-1].debiased:.3g}: the critic is too slow for the generator"
    )
    remedy = "raise critic_rate, or lower learning_rate"
    if settings.critic_rate is not None and settings.learning_rate is not None:
        faster, slower = settings.critic_rate * CIRCLING_FACTOR, settings.learning_rate / CIRCLING_FACTOR
        remedy = f"use critic_rate={faster:.2g}, or learning_rate={slower:.2g}"
    return cause, remedy


def _is_turning(history: Sequence[Check]) -> bool:
    """Return True if the mean of the fakes moves by more than the critic's gap and its distance explain."""
    last = _take_recent(history)

    def is_moving(c: Check) -> bool:
        if c.drift is None or c.mean_error is None:
            return False
        return c.drift > max(
            c.heldout_gap + NOISE_ERRORS * c.heldout_gap_error, MIN_DRIFT_SHARE * c.mean_error
        )

    return _all_agree(last, is_moving)


def _has_circled(history: Sequence[Check], settings: Settings) -> bool:
    """Return True if the fakes circle, or did before, so that a weaker critic is no remedy."""
    if _is_turning(history):
        return True
    return any(circling(history[:k], settings) for k in range(1, len(history)))


def critic_under_trained(history: Sequence[Check], settings: Settings) -> Finding:
    """Find a critic whose gap is far below the exact distance on the same points."""
    last = _take_recent(history)
    if not _all_agree(
        last,
        lambda c: (
            c.gap_ratio is not None
            and c.gap_ratio < MIN_GAP_RATIO
            and c.debiased > MIN_DISTANCE_FLOORS * c.floor
        ),
    ):
        return None
    if last[-1].debiased < PROGRESS_RATIO * last[0].debiased:  # the generator makes progress with this critic
        return None
    cause = f"the critic reaches {last[-1].gap_ratio:.0%} of the exact distance"
    return cause, 'raise critic_rate or n_critic, or use n_critic="auto"'


def critic_over_fitted(history: Sequence[Check], settings: Settings) -> Finding:
    """Find a critic whose gap on training points is well above the held-out gap."""

    def is_over_fitted(c: Check) -> bool:
        excess = c.gap - c.heldout_gap
        return excess > MIN_EXCESS_ERRORS * c.excess_error and excess > MIN_EXCESS_SHARE * abs(c.gap)

    last = _take_recent(history)
    if not _all_agree(last, is_over_fitted) or _has_circled(history, settings):
        return None
    gap, heldout_gap = last[-1].gap, last[-1].heldout_gap
    cause = f"the critic's gap is {gap:.3g} on training points and {heldout_gap:.3g} on held-out points"
    return cause, "give more data, or lower width or n_critic"


def gradient_norms(history: Sequence[Check], settings: Settings) -> Finding:
    """Find a critic whose gradient norms are far from 1, so that its gap is not a distance."""
    last = _take_recent(history)
    if settings.objective != "w1" or settings.is_certified:
        return None
    allowed = _max_grad_norm(settings) if settings.constraint in PENALTY_WEIGHTS else MAX_GRAD_NORM
    if _all_agree(last, lambda c: c.slope_99 > allowed):
        remedy = "raise penalty" if settings.constraint in PENALTY_WEIGHTS else 'use constraint="orthogonal"'
        cause = (
            f"the critic's gradient norms reach {last[-1].slope_99:.3g} instead of 1: its gap is no distance"
        )
        return cause, remedy
    if _all_agree(last, lambda c: c.slope_99 < MIN_GRAD_NORM):
        cause = f"the critic's gradient norms are {last[-1].slope:.2g} instead of 1: its gap has no unit"
        return cause, 'use constraint="orthogonal"; clipped weights fix no unit'
    return None


def _max_grad_norm(settings: Settings) -> float:
    """Return the largest plausible gradient norm, ``1 + W / (2 weight)`` with a penalty and W below 2."""
    return min(PENALISED_GRAD_NORM * (1 + 1 / settings.weight), MAX_GRAD_NORM)


def explosion(history: Sequence[Check], settings: Settings) -> Finding:
    """Find scores or gradients many times their median, or fakes far outside the data."""
    if len(history) <= WARMUP_CHECKS:
        return None
    remedy = "lower learning_rate and critic_rate, or go back to a saved run"
    for name, quantity in (("score", "scores of the critic"), ("gradient", "gradients of the generator")):
        median = statistics.median(getattr(c, name) for c in history[:-1])
        current = getattr(history[-1], name)
        if median > 0 and current > MAX_GROWTH * median:
            return f"{quantity} are {current / median:.0f} times what they were", remedy
    last = history[-1]
    if last.spread > MAX_SPREAD_RATIO and last.debiased > min(c.debiased for c in history[:-1]):
        return f"fakes spread {last.spread:.0f} times as far as real points", remedy
    return None


def collapse(history: Sequence[Check], settings: Settings) -> Finding:
    """Find fakes that are less diverse than real points."""
    last = _take_recent(history)
    tests: dict[str, Callable[[Check], bool]] = {
        "fakes have {0.vendi:.0%} of the diversity of real points": lambda c: c.vendi < MIN_VENDI,
        "fakes spread {0.spread:.0%} as far as real points": lambda c: c.spread < MIN_SPREAD,
        "{0.duplicates:.0%} of the fakes have a near copy, {0.real_duplicates:.0%} of real points": (
            lambda c: c.duplicates - c.real_duplicates > MAX_DUPLICATES
        ),
    }
    # A generator starts with little diversity, so the first checks do not count.
    for cause, test in tests.items():
        if len(history) > WARMUP_CHECKS and _all_agree(last, test):
            return cause.format(last[-1]), "raise n_critic, use packing=2 or more, or lower learning_rate"
    best = max(c.coverage for c in history)
    if _all_agree(last, lambda c: c.coverage < MIN_COVERAGE_RATIO * best) and best > MIN_BEST_COVERAGE:
        cause = f"fakes cover {last[-1].coverage:.0%} of real points, after {best:.0%} before"
        return cause, "lower learning_rate, or use packing=2 or more"
    return None


def generator_limited(history: Sequence[Check], settings: Settings) -> Finding:
    """Find a distance that no longer falls and is significant."""
    last = history[-PATIENCE_CHECKS:]
    if not has_no_progress(history) or not _all_agree(last, lambda c: c.pvalue < SIGNIFICANCE):
        return None
    # The generator has no gradient to follow, or one that is out of date.
    if critic_under_trained(history, settings) or _has_circled(history, settings):
        return None
    cause = f"W1 stays at {statistics.fmean(c.debiased for c in last):.3g} above the floor"
    return cause, "give the generator a larger width or latent, or more steps for its learning rate to fall"


def memorisation(history: Sequence[Check], settings: Settings) -> Finding:
    """Find fakes that are copies of training points."""
    last = _take_recent(history)
    if not _all_agree(last, lambda c: c.memorisation_pvalue < SIGNIFICANCE and c.closer > MIN_CLOSER):
        return None
    cause = f"fakes are nearer to training points than held-out points are, in {last[-1].closer:.0%} of pairs"
    return cause, "give more data, or use a smaller width or fewer steps"


RULES: dict[str, Rule] = {
    "circling": circling,
    "critic under-trained": critic_under_trained,
    "critic over-fitted": critic_over_fitted,
    "slopes": gradient_norms,
    "exploding": explosion,
    "collapse": collapse,
    "generator-limited": generator_limited,
    "memorisation": memorisation,
}


def _take_recent(history: Sequence[Check]) -> Sequence[Check]:
    return history[-CONFIRMING_CHECKS:]


def _all_agree(checks: Sequence[Check], test: Callable[[Check], bool]) -> bool:
    """Return True if enough checks in a row satisfy a test."""
    return len(checks) >= CONFIRMING_CHECKS and all(test(check) for check in checks)
