"""Deadline of a call, checked between two blocks of work over all pairs.

A solver makes one :class:`Deadline` when it starts. Work within ``with deadline.enforce():`` ends
with :class:`OutOfTimeError` at the first block of rows that would begin too late, at any depth of the call.
The solver then returns the best interval so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SETUP_SECONDS = 0.1  # beyond the limit, for preparing small problems, which improves their interval
GRACE_SHARE = 0.05  # of the limit, beyond it, for the last pass of an interval, and
DEADLINE_GRACE_SECONDS = 0.3  # so many seconds

_interrupt_at: ContextVar[float] = ContextVar("deadline", default=math.inf)


class OutOfTimeError(Exception):
    """The deadline has passed; solvers catch it, and it never reaches callers of otdist."""


class Deadline:
    """Time at which a solver has to stop.

    Parameters
    ----------
    seconds : float or None
        Time from now. None: no limit.
    """

    seconds: float
    at: float

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else float(seconds)
        self.at = time.monotonic() + self.seconds if math.isfinite(self.seconds) else math.inf

    @property
    def is_finite(self) -> bool:
        """Whether there is a limit."""
        return self.at < math.inf

    @property
    def seconds_left(self) -> float:
        """Remaining seconds; negative once the deadline has passed."""
        return self.at - time.monotonic() if self.is_finite else math.inf

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether the deadline has passed, or will have passed in so many seconds."""
        return self.is_finite and time.monotonic() + seconds > self.at

    @property
    def grace(self) -> float:
        """Seconds after the deadline for work that has begun, or that the interval requires."""
        return GRACE_SHARE * self.seconds + DEADLINE_GRACE_SECONDS if self.is_finite else 0.0

    def earlier_by(self, seconds: float) -> Deadline:
        """Return a deadline that is so many seconds earlier."""
        other = Deadline(self.seconds)
        other.at = self.at - seconds
        return other

    def later_by(self, seconds: float) -> Deadline:
        """Return a deadline that is so many seconds later."""
        return self.earlier_by(-seconds)

    @contextmanager
    def enforce(self, *, grace: bool = False) -> Iterator[None]:
        """Let blocks of the work inside raise :class:`OutOfTimeError` once the deadline has passed.

        ``grace``: later by ``self.grace``. Of nested contexts the innermost counts.
        """
        token = _interrupt_at.set(self.at + self.grace if grace else self.at)
        try:
            yield
        finally:
            _interrupt_at.reset(token)


NO_DEADLINE = Deadline()


def active_deadline() -> float:
    """Return the ``time.monotonic()`` after which no block may begin (innermost ``enforce``)."""
    return _interrupt_at.get()


def check_deadline(at: float | None = None) -> None:
    """Raise :class:`OutOfTimeError` if no further block may begin.

    ``at``: value of ``active_deadline`` in the calling thread.
    """
    at = _interrupt_at.get() if at is None else at
    if at < math.inf and time.monotonic() > at:
        raise OutOfTimeError
