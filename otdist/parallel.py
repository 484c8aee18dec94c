"""The same work on several cores, where it is long enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

WORTH = 100_000  # entries a side from which a second thread pays


def both(function: Callable[..., T], left: tuple[Any, ...], right: tuple[Any, ...], size: int) -> tuple[T, T]:
    """Apply ``function`` to both argument lists; NumPy releases the interpreter lock inside."""
    if size < WORTH:
        return function(*left), function(*right)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(function, *right)
        return function(*left), other.result()


def in_parts(function: Callable[[int, int], Any], count: int, largest: int) -> None:
    """Call ``function(first, last)`` for parts of ``range(count)``, on all cores.

    It must release the interpreter lock and write what it finds. An interrupt waits for no more
    than the parts at work, of at most ``largest``.
    """
    cores = _cores()
    step = max(1, min(largest, -(-count // (4 * cores))))
    if cores == 1 or count <= max(largest // 16, 64):
        for first in range(0, count, max(1, largest)):
            function(first, min(first + max(1, largest), count))
        return
    pool = _pool(cores, os.getpid())
    jobs = [pool.submit(function, first, min(first + step, count)) for first in range(0, count, step)]
    try:
        for job in jobs:
            job.result()
    finally:
        for job in jobs:
            job.cancel()


@lru_cache(maxsize=1)
def _pool(cores: int, process: int) -> ThreadPoolExecutor:
    """Threads that stay: to start new ones takes as long as a pass over half a million pairs.

    ``process``: a fork has none of its parent's threads.
    """
    return ThreadPoolExecutor(cores, "otdist")


def _cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
