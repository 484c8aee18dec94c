"""Schedule of a run: its budget, and the decay of its learning rates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from otdist.inputs.arguments import check_integer, check_seconds

DECAY_RATIO = 2.5  # end over start of the decay; a shorter decay loses a quarter of the progress in W1
LATE_DECAY_RATIO = 0.75  # time for low rates to fall to the end without progress, relative to the time so far
DEFAULT_STEPS = 20_000  # of the generator, if no budget is given


@dataclass(frozen=True)
class Schedule:
    """Budget, and the part of it in which learning rates fall linearly to a hundredth.

    Attributes
    ----------
    steps : int or None
        Steps of the generator.
    max_seconds : float or None
        Time, including checks. A run that depends on it is not reproducible.
    start, end : float
        Shares of the budget between which rates fall; the run ends at ``end``.
    """

    steps: int | None
    max_seconds: float | None
    start: float
    end: float = 1.0

    @classmethod
    def of(cls, steps: int | None, max_seconds: float | None, decay_from: float) -> Schedule:
        """Make a schedule from the caller's arguments."""
        steps = None if steps is None else check_integer(steps, "steps")
        max_seconds = check_seconds(max_seconds)
        return cls(DEFAULT_STEPS if steps is None and max_seconds is None else steps, max_seconds, decay_from)

    def share(self, step: int, seconds: float) -> float:
        """Return the used share of the budget."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.max_seconds is not None:
            shares.append(seconds / self.max_seconds)
        return max(shares)

    def factor(self, share: float) -> float:
        """Return the factor of the learning rates, down to 0; ``State.set_rates`` keeps a hundredth."""
        if share <= self.start or self.end <= self.start:
            return 1.0
        return max(1.0 - (share - self.start) / (self.end - self.start), 0.0)

    def extend(self, other: Schedule) -> Schedule:
        """Return a schedule with the budget of ``other``, or this one if the budgets are equal."""
        is_same = (self.steps, self.max_seconds) == (other.steps, other.max_seconds)
        return self if is_same else replace(other, start=self.start if self.end == 1 else other.start)

    def start_decay(self, share: float) -> Schedule:
        """Start the decay of full rates now; end the decay of rates below half sooner."""
        if share <= self.start:
            return replace(self, start=share, end=min(DECAY_RATIO * share, self.end))
        factor = self.factor(share)
        if factor > 0.5:
            return self
        remaining = LATE_DECAY_RATIO * share * factor
        if factor == 0 or share + remaining >= self.end:
            return self
        # From the current rates, without a jump.
        return replace(self, start=share + remaining - remaining / factor, end=share + remaining)
