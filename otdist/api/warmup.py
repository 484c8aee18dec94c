"""Compile the code of all solvers before the first call, for container images."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from otdist.api.distance import w1, wasserstein
from otdist.api.divergence import sinkhorn_divergence
from otdist.api.unbalanced import partial_w1, unbalanced_w1
from otdist.errors import InputError
from otdist.runtime.progress import track


def compile_solvers(*, progress: bool = False) -> tuple[int, float, Path]:
    """Compile the functions of all solvers for this machine, unless they are cached on disk.

    Parameters
    ----------
    progress : bool
        Show progress on standard error.

    Returns
    -------
    (int, float, Path)
        Number of compiled functions, seconds, and the cache folder.

    Raises
    ------
    InputError
        If there is no folder for compiled code.
    """
    from otdist.solvers.pairs import compiled
    from otdist.solvers.sparse import pivots

    cache = getattr(getattr(pivots.run_pivots, "_cache", None), "cache_path", None)
    if cache is None:
        raise InputError(
            "NUMBA_CACHE_DIR",
            "must be a folder for compiled code where the package's own cannot be written to, got none",
            "set it to a folder that persists",
        )
    before, start = len(compiled.COMPILED_FUNCTIONS), time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a small problem that stops early has been compiled as well
        for call in track(list(_calls()), progress, "compiling"):
            call()
    return len(compiled.COMPILED_FUNCTIONS) - before, time.monotonic() - start, Path(cache)


def _calls() -> Iterator[Callable[[], object]]:
    """Yield small problems that call every compiled function, with every type of argument."""
    rng = np.random.default_rng(0)
    plane, space = rng.normal(size=(2, 300, 2)), rng.normal(size=(2, 300, 5))
    a, b = rng.random((2, 300))
    for x, y in (plane, space):
        for method in ("sparse", "sinkhorn"):
            for metric in ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "angular"):
                yield partial(w1, x, y, method=method, metric=metric)
            yield partial(w1, x, y[:200], a, b[:200], method=method)
            yield partial(wasserstein, x, y, p=2, method=method)
        yield partial(w1, x, y, method="sinkhorn", eps=0.1)
        yield partial(sinkhorn_divergence, x, y)
        yield partial(sinkhorn_divergence, x, y, a, b, reach=1.0)
        yield partial(unbalanced_w1, x, y, a, b, reach=1.0)
        yield partial(unbalanced_w1, x, y, a, b, reach=1.0, penalty="kl")
        yield partial(partial_w1, x, y, a, b, moved=50.0)
    large = rng.normal(size=(2, 2500, 2))
    yield partial(w1, *large, method="sparse")
    yield partial(w1, *large, method="sinkhorn", tol=0.01)
