"""Errors and warnings, each with its argument, problem and remedy.

Every message says which argument is at fault, where, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from otdist.result import Result


MAX_REASON_CHARACTERS = 160


def shorten(text: str, length: int) -> str:
    """Shorten a text to a number of characters, the last of which is an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def get_reason(error: BaseException) -> str:
    """Return the text of an error of another package as a short line; without text, the name of its type."""
    return shorten(" ".join(str(error).split()) or type(error).__name__, MAX_REASON_CHARACTERS)


@dataclass(frozen=True)
class Option:
    """Argument that a remedy names, with its value in Python and as a word of a command line.

    Parameters
    ----------
    name
        Name of the argument in Python.
    value
        Value as Python code; empty if the remedy names the argument alone.
    word
        The same value in a command line; empty for flags, and for values that the caller has to choose.
    """

    name: str
    value: str = ""
    word: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.value}" if self.value else self.name


@dataclass(frozen=True)
class PublicName:
    """Function of otdist that a remedy names and that is a command as well."""

    name: str

    def __str__(self) -> str:
        return f"otdist.{self.name}"


class Remedy(str):
    """Remedy whose arguments can be written in other ways, such as the options of a command.

    It is the text for a Python caller. ``template`` has a pair of braces for each of ``parts``, which are
    options, functions, texts or remedies.

    Examples
    --------
    >>> remedy = Remedy("use {}, or fill them in", Option("nan_policy", "'omit'", "omit"))
    >>> print(remedy)
    use nan_policy='omit', or fill them in
    >>> print(remedy.render(lambda part: f"--{part.name} {part.word}"))
    use --nan_policy omit, or fill them in
    """

    template: str
    parts: tuple[Option | PublicName | str, ...]

    def __new__(cls, template: str, *parts: Option | PublicName | str) -> Self:
        """Format the template for a Python caller."""
        self = super().__new__(cls, template.format(*parts))
        self.template, self.parts = template, parts
        return self

    def __getnewargs__(self) -> tuple[str, *tuple[Option | PublicName | str, ...]]:  # type: ignore[override]
        return (self.template, *self.parts)

    def mentions(self, name: str) -> bool:
        """Return whether the remedy names an argument."""
        return any(
            part.mentions(name)
            if isinstance(part, Remedy)
            else isinstance(part, Option) and part.name == name
            for part in self.parts
        )

    def render(self, write: Callable[[Option | PublicName], str]) -> str:
        """Return the text with options and functions written by ``write``."""
        return self.template.format(*(_render_part(part, write) for part in self.parts))


def _render_part(part: Option | PublicName | str, write: Callable[[Option | PublicName], str]) -> str:
    if isinstance(part, Remedy):
        return part.render(write)
    return part if isinstance(part, str) else write(part)


class InputError(ValueError):
    """An argument cannot be used as it stands.

    Parameters
    ----------
    argument
        Name of the argument at fault.
    problem
        What is wrong with it, and where (the first bad index).
    remedy
        What the caller can do; a :class:`Remedy` if it names arguments or functions.
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
    """The method would need more memory than it may use; nothing was allocated.

    Parameters
    ----------
    problem
        What is too large.
    remedy
        What the caller can do.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


class ConvergenceWarning(UserWarning):
    """A result is an interval that is wider than asked for."""


class PrecisionWarning(UserWarning):
    """Numbers were too large for float64 to hold exactly."""


class MetricWarning(UserWarning):
    """The ground metric does not fit what the columns of the points are called."""
