"""Functions compiled by numba, and a type for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def _sources() -> str:
    """Fingerprint of all files of the folders with compiled functions."""
    files = sorted(Path(__file__).parents[1].glob("s*/*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


SOURCES = _sources()


def compiled(function: F, **options: Any) -> F:
    """Compile on the first call, and keep the machine code on disk for the next process.

    The interpreter lock is released, so threads run side by side. No fast-math: what these
    functions compute goes into certificates.
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        made: F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to write to: every process compiles for itself
        made = njit(**options)(function)
    # Numba compiles again when the function's own file is newer. That misses changes in what it calls, and
    # installed files may all carry one date: after an update, old machine code would go on running.
    stored: Any = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if hasattr(stored, "_source_stamp"):
        stored._source_stamp = (stored._source_stamp, SOURCES)
    return made


def tested(function: F) -> F:
    """As :func:`compiled`, with fused multiply and add: for the float32 test, whose margin covers it.

    A fused step rounds once instead of twice, so bounds of the error hold. Nothing else of fast-math.
    """
    return compiled(function, fastmath={"contract"})


def summed(function: F) -> F:
    """As :func:`compiled`, for sums of terms that are never NaN: in any order, so that they are vectorised.

    Not for bounds that rest on the order of a sum, or on one rounding a step.
    """
    return compiled(function, fastmath={"contract", "reassoc", "nnan", "nsz"})


def inlined(function: F) -> F:
    """Compile as a part of each caller: arrays passed on are counted, and threads fight over the counts."""
    made: F = njit(inline="always", error_model="numpy")(function)
    return made
