"""Functions compiled by numba, and a type for them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from otdist.runtime.budget import require_room
from otdist.runtime.progress import announce_compiling

F = TypeVar("F", bound=Callable[..., Any])

# Address space. If it is exhausted, LLVM ends the process, and OpenBLAS never returns.
NUMBA_IMPORT_BYTES = 400 * 2**20  # numba, and what it imports
COMPILE_BYTES = 2**28  # one function with all that it calls: 150 MB were measured
COMPILED_FOLDERS = ("pairs", "entropic", "sparse")  # of solvers; a test compares them with the functions
ADDRESS_SPACE_REMEDY = "raise the limit of the process (ulimit -v), or use method='dense'"

if "numba" not in sys.modules:
    require_room(NUMBA_IMPORT_BYTES, "loading numba", ADDRESS_SPACE_REMEDY)

# The types as well, so that no file of compiled functions loads numba before the check above.
from numba import float32 as float32  # noqa: E402
from numba import int32 as int32  # noqa: E402
from numba import njit  # noqa: E402


def _fingerprint_sources() -> str:
    """Fingerprint of all files of the folders with compiled functions."""
    solvers = Path(__file__).parents[1]
    files = sorted(file for folder in COMPILED_FOLDERS for file in (solvers / folder).glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


SOURCE_FINGERPRINT = _fingerprint_sources()
COMPILED_FUNCTIONS: list[str] = []  # functions that this process compiled


def jit(function: F, **options: object) -> F:
    """Compile on the first call, and keep the machine code on disk for the next process.

    The interpreter lock is released, so threads run in parallel. No fast-math: the results are used in
    certificates.
    """
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        dispatcher: F = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to write to: every process compiles again
        dispatcher = njit(**options)(function)
    # Numba compiles again when the function's own file is newer. That misses changes in the functions that it
    # calls, and installed files may all have one date: after an update, old machine code would still run.
    stored: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if hasattr(stored, "_source_stamp"):
        stored._source_stamp = (stored._source_stamp, SOURCE_FINGERPRINT)
    _require_room_to_compile(dispatcher, function.__name__)
    _watch_cache(dispatcher, function.__name__)
    return dispatcher


def _watch_cache(dispatcher: Any, name: str) -> None:
    """Record and announce functions that are compiled because no code is on disk."""
    cache = getattr(dispatcher, "_cache", None)
    if cache is None:  # NUMBA_DISABLE_JIT
        return
    load = cache.load_overload

    def load_or_announce(signature: Any, context: Any) -> Any:
        loaded = load(signature, context)
        if loaded is None:
            COMPILED_FUNCTIONS.append(name)
            announce_compiling()
        return loaded

    cache.load_overload = load_or_announce


def _require_room_to_compile(dispatcher: Any, name: str) -> None:
    """Make the dispatcher check the memory before it compiles, or loads compiled code."""
    compile_for = getattr(dispatcher, "_compile_for_args", None)
    if compile_for is None:  # NUMBA_DISABLE_JIT: the function itself
        return

    def compile_with_room(*args: Any, **kws: Any) -> Any:
        require_room(COMPILE_BYTES, f"compiling {name!r}", ADDRESS_SPACE_REMEDY)
        return compile_for(*args, **kws)

    dispatcher._compile_for_args = compile_with_room


def jit_fma(function: F) -> F:
    """Compile as :func:`jit`, with fused multiply and add: for the float32 test, whose margin covers it.

    A fused step rounds once instead of twice, so error bounds hold. No other part of fast-math.
    """
    return jit(function, fastmath={"contract"})


def jit_sum(function: F) -> F:
    """Compile as :func:`jit`, for sums of terms that are never NaN, in any order for vectorisation.

    Not for bounds that depend on the order of a sum, or on one rounding a step.
    """
    return jit(function, fastmath={"contract", "reassoc", "nnan", "nsz"})


def jit_inline(function: F) -> F:
    """Compile as a part of each caller: passing arrays counts references, for which threads would contend."""
    dispatcher: F = njit(inline="always", error_model="numpy")(function)
    return dispatcher
