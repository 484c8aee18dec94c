"""Floating-point errors of numpy: the caller's settings do not reach the arithmetic of this package."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")


def isolate_errstate(function: Callable[P, T]) -> Callable[P, T]:
    """Run a public function under numpy's default error handling, whatever ``np.seterr`` says.

    Exponentials underflow, and minima over infinite costs overflow, on purpose: under
    ``np.errstate(all="raise")`` they would raise FloatingPointError for ordinary data. Threads of this
    package need nothing: numpy keeps the state by context, and a thread starts with the default.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*args, **kwargs)

    return run
