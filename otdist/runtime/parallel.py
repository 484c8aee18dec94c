"""Work on several cores, if it is long enough to pay."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np

from otdist.runtime.deadline import active_deadline, check_deadline
from otdist.typing import Array

T = TypeVar("T")

MIN_SIZE_THREADED = 100_000  # entries a side from which a second thread pays


def run_both(
    function: Callable[..., T], left: tuple[object, ...], right: tuple[object, ...], size: int
) -> tuple[T, T]:
    """Apply ``function`` to both argument lists in parallel; NumPy releases the interpreter lock inside."""
    if size < MIN_SIZE_THREADED:
        return function(*left), function(*right)
    with ThreadPoolExecutor(1) as pool:
        try:
            other = pool.submit(function, *right)
        except RuntimeError:  # the system grants no thread: see _pool
            return function(*left), function(*right)
        return function(*left), other.result()


def run_in_parts(function: Callable[[int, int], object], count: int, largest: int) -> None:
    """Call ``function(first, last)`` for parts of ``range(count)``, on all cores.

    The function must release the interpreter lock and write its results. An interrupt waits for the running
    parts only, of at most ``largest``; so does a deadline, which raises ``OutOfTimeError``.
    """
    cores, at = _cores(), active_deadline()

    def part(first: int, last: int) -> None:
        check_deadline(at)
        function(first, last)

    step = max(1, min(largest, -(-count // (4 * cores))))
    few = cores == 1 or count <= max(largest // 16, 64)
    pool = None if few else _pool(cores, os.getpid())
    if pool is None:
        for first in range(0, count, max(1, largest)):
            part(first, min(first + max(1, largest), count))
        return
    starts = iter(range(0, count, step))  # taking the next one is atomic
    ended = threading.Event()

    def work() -> None:
        for first in starts:
            if ended.is_set():
                return
            try:
                part(first, min(first + step, count))
            except BaseException:
                ended.set()
                raise

    jobs = [pool.submit(work) for _ in range(cores)]
    try:
        for job in jobs:
            job.result()
    finally:
        ended.set()
        for job in jobs:
            job.cancel()


def add_in_parts(
    function: Callable[[int, int, Array], object], count: int, largest: int, width: int
) -> Array:
    """Sum arrays of ``width`` numbers to which ``function(first, last, out)`` adds, over ``range(count)``.

    As :func:`run_in_parts`, with an array for each of at most 33 parts, which limits their memory. Within a
    part calls cover at most ``largest``, in order, so that a deadline is checked as often.
    """
    sums: dict[int, Array] = {}
    at = active_deadline()

    def add(first: int, last: int) -> None:
        out = sums[first] = np.zeros(width)
        for start in range(first, last, largest):
            check_deadline(at)
            function(start, min(start + largest, last), out)

    run_in_parts(add, count, max(largest, count // 32))
    return np.asarray(np.sum([sums[first] for first in sorted(sums)], axis=0))


def _pool(cores: int, process: int) -> ThreadPoolExecutor | None:
    """Return persistent threads, or None if the system grants none.

    That is the case if there is no address space for their stacks (RLIMIT_AS), or if the process may have no
    more threads (RLIMIT_NPROC).
    """
    try:
        return _start_pool(cores, process)
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def _start_pool(cores: int, process: int) -> ThreadPoolExecutor:
    """Start the threads once, as starting them takes as long as a pass over half a million pairs.

    All threads are started now, so that none is missing in the middle of a call.
    ``process``: a fork does not inherit its parent's threads.
    """
    pool = ThreadPoolExecutor(cores, "otdist")
    gate = threading.Event()
    try:
        for _ in range(cores):  # no thread is idle before the gate opens, so each call starts one
            pool.submit(gate.wait)
    except RuntimeError:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        gate.set()
    return pool


def _cores() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
