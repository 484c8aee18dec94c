"""The same work on the two sides of a problem, at the same time where it is long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
