"""Functions compiled by numba, and a type for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile on the first call, and keep the machine code on disk for the next process.

    The interpreter lock is released, so threads run side by side. No fast-math: what these
    functions compute goes into certificates.
    """
    made: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    return made
