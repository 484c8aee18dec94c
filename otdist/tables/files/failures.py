"""Conversion of parser errors to InputErrors that name the file and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otdist.errors import InputError, Option, Remedy, get_reason


class PickledError(Exception):
    """Error for an array that only an unsafe reader would load, as the message of NumPy advises."""


@contextmanager
def name_failures(name: str, *, is_text: bool = False) -> Iterator[None]:
    """Convert any exception of a parser on a broken file to an InputError that names the file.

    Parameters
    ----------
    name : str
        Name of the file.
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
            "is not a complete NPY or NPZ file of numbers",
            "save it again by numpy.save; pickled objects are not read",
        ) from error
    except Exception as error:
        remedy = "check that it is complete"
        if is_text:
            remedy = Remedy("check that it is complete, and its separator ({})", Option("sep", "..."))
        raise InputError(name, f"cannot be read ({get_reason(error)})", remedy) from error
