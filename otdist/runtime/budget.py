"""Memory that a method may take, checked before it is allocated."""

from __future__ import annotations

import sys

from otdist.errors import BudgetError
from otdist.runtime.limits import can_map, group_memory, machine_memory, process_is_limited, process_memory

ALWAYS_GRANTED = 2**28  # below 256 MB the question costs more than the answer
SHARE = 0.5  # of the memory that is free
# Address space that every method may need beside its arrays: where it ends, OpenBLAS ends the process
# or tries for ever.
BUFFERS = 2**26  # of OpenBLAS, on two threads
LIBRARIES = 2**28  # with them the parts of scipy that compute distances


def free_memory() -> int | None:
    """Bytes that can be allocated now, or None where the system does not say.

    The least of what the machine, the control groups of the process and its own limits leave.
    """
    known = [size for size in (machine_memory(), group_memory(), process_memory()) if size is not None]
    return min(known, default=None)


def require_memory(needed: int, purpose: str, remedy: str, max_bytes: int | None = None) -> None:
    """Raise BudgetError if ``needed`` bytes exceed ``max_bytes`` (default: half of free memory)."""
    limited = process_is_limited()
    if limited:
        libraries = BUFFERS if "scipy.spatial" in sys.modules else LIBRARIES
        require_room(libraries, f"loading the libraries for {purpose}", remedy)
    if max_bytes is None:
        small = needed <= ALWAYS_GRANTED
        if small and not limited:
            return
        free = process_memory() if small else free_memory()
        if free is None:
            return
        max_bytes = int(SHARE * free)
    if needed > max_bytes:
        raise BudgetError(
            f"{purpose} needs {format_bytes(needed)}, the budget is {format_bytes(max_bytes)}", remedy
        )


def require_room(needed: int, purpose: str, remedy: str) -> None:
    """Raise BudgetError unless the process can map ``needed`` bytes more.

    For calls that raise no MemoryError but end the process: compiled solvers whose exceptions
    nothing catches, compilers, and the loading of large libraries. No share is kept free here, so
    ``needed`` says all that the call may take at its peak.
    """
    if not can_map(needed):
        raise BudgetError(
            f"{purpose} needs {format_bytes(needed)} of address space, and the system grants no more", remedy
        )


def format_bytes(count: float) -> str:
    """Format a number of bytes with three significant digits."""
    rounded = float(f"{count:.3g}")
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if rounded >= size:
            return f"{rounded / size:g} {unit}"
    return f"{rounded:g} B"
