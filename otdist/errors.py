"""What can go wrong, by name.

Every message says which argument is at fault, where, and what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otdist.result import Result


class InputError(ValueError):
    """An argument cannot be used as it stands.

    Parameters
    ----------
    argument
        Name of the argument at fault.
    problem
        What is wrong with it, and where (the first bad index).
    remedy
        What the caller can do.
    """

    def __init__(self, argument: str, problem: str, remedy: str) -> None:
        # All three go to the base class so that the error survives pickling.
        super().__init__(argument, problem, remedy)
        self.argument = argument
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.argument}: {self.problem}; {self.remedy}"


class ConvergenceError(RuntimeError):
    """A solver stopped before it had a proof; ``result`` holds the interval it reached."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return str(self.args[0])


class BudgetError(MemoryError):
    """The method would need more memory than it may use; nothing was allocated."""


class ConvergenceWarning(UserWarning):
    """A result is an interval that is wider than asked for."""


class PrecisionWarning(UserWarning):
    """Numbers were too large for float64 to hold exactly."""
