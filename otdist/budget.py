"""How much memory a method may take, asked before it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from otdist.errors import BudgetError

ALWAYS_GRANTED = 2**28  # below 256 MB the question costs more than the answer
SHARE = 0.5  # of the memory that is free


def free_memory() -> int | None:
    """Bytes that can be allocated now, or None where the system does not say."""
    known = [size for size in (_meminfo(), _cgroup()) if size is not None]
    if known:
        return min(known)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def require_memory(needed: int, purpose: str, remedy: str, max_bytes: int | None = None) -> None:
    """Raise BudgetError if ``needed`` bytes exceed ``max_bytes`` (default: half of free memory)."""
    if max_bytes is None:
        if needed <= ALWAYS_GRANTED:
            return
        free = free_memory()
        if free is None:
            return
        max_bytes = int(SHARE * free)
    if needed > max_bytes:
        raise BudgetError(f"{purpose} needs {_size(needed)}, the budget is {_size(max_bytes)}; {remedy}")


def _meminfo() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup() -> int | None:
    """What a container's own limit leaves (cgroup v2)."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text().strip()
        used = int((root / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(int(limit) - used, 0)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
