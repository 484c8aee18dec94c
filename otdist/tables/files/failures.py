"""Failures of parsers in words: which file cannot be read, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otdist.errors import InputError, Option, Remedy


class PickledError(Exception):
    """An array that only an unsafe reader would load; NumPy's own advice is to use one."""


@contextmanager
def name_failures(name: str, *, is_text: bool = False) -> Iterator[None]:
    """Raise whatever a parser raises on a broken file as an InputError that names the file.

    Parameters
    ----------
    name : str
        The file.
    is_text : bool
        Whether a wrong separator may be the cause.
    """
    try:
        yield
    except InputError:
        raise
    except PickledError as error:
        raise InputError(
            name,
            "is no complete NPY or NPZ file of numbers",
            "save it again by numpy.save; pickled objects are not read",
        ) from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        remedy = "check that it is complete"
        if is_text:
            remedy = Remedy("check that it is complete, and its separator ({})", Option("sep", "..."))
        raise InputError(name, f"cannot be read ({reason})", remedy) from error
