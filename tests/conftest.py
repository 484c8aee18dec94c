"""Profiles for hypothesis, processes for pytest-xdist, and what every test may ask for."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.internal.entropy import deterministic_PRNG

try:
    import fcntl
except ImportError:  # Windows: processes may compile the same function twice
    fcntl = None

ROOT = Path(__file__).parents[1]
WORKER_BYTES = 2 * 2**30  # torch, numba, pandas, scikit-learn and what a test allocates
MOST_WORKERS = 8  # each of them collects all tests, which takes as long as a twentieth of the run

# They start processes, or train for seconds.
LONG_EXAMPLES = {"otdist.bench.runs.run", "otdist.learn.w1loss.loss.W1Loss", "otdist.learn.critic.Critic"}

# The same examples every time.
settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Others every time, or by --hypothesis-seed; what fails is printed, and kept for the next run.
settings.register_profile(
    "fresh",
    settings.get_profile("ci"),
    derandomize=False,
    max_examples=60,
    database=DirectoryBasedExampleDatabase(ROOT / ".hypothesis/examples"),
    print_blob=True,
)
settings.register_profile("thorough", settings.get_profile("fresh"), max_examples=1000)
settings.register_profile("fuzz", settings.get_profile("fresh"), max_examples=100_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Register the hook of without_torch: those of this file do not hold for docstrings of the package."""
    config.pluginmanager.register(import_module("without_torch"))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Processes for ``-n auto``: one for each core that there is memory for, and none for a few files."""
    if asked := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return int(asked)
    names = [Path(str(name).split("::")[0]) for name in config.args]
    cores = available_cores()
    workers = min(cores, MOST_WORKERS, available_bytes() // WORKER_BYTES)
    if workers < 2 or (len(names) < 4 and all(name.is_file() for name in names)):
        return 0
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(cores // workers))  # the workers inherit it
    return workers


def available_cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # none, or "max"
        return cores


def available_bytes() -> int:
    """Memory for the tests; that of a large machine where nothing tells."""
    from otdist.runtime.budget import free_memory

    return int(free_memory() or 2**40)


# Most objects of a session are made by collecting, and stay. To go through all of them takes half a second
# each time; so it is not done while they are made, and not later either.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the folders, and mark as slow lone tests and examples of docstrings that cannot say so."""
    for item in items:
        if item.name in LONG_EXAMPLES or item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.slow)
    # Tests of torch first: one process runs them while another compiles what the rest need.
    items.sort(key=lambda item: "learn" not in item.path.parts)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Leave addresses out of the names of tests: all processes must have the same."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        name = mark.kwargs.get("ids")
        if name in (repr, str):
            mark.kwargs["ids"] = partial(without_address, name)


def without_address(name: Callable[[Any], str], value: Any) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", name(value))


def pytest_collection_finish() -> None:
    """Leave out of garbage collection what there is after collecting."""
    # Registers numpy's generator, for which older versions of hypothesis look through objects not frozen.
    with deterministic_PRNG():
        pass
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let one process compile a function, and the others load it from numba's cache."""
    if fcntl is None or "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    folder = tmp_path_factory.getbasetemp().parent  # that of all workers
    compile_here = Dispatcher.compile
    held: set[str] = set()

    @contextmanager
    def lock(name: str) -> Iterator[None]:
        if name in held:  # it calls itself
            yield
            return
        with (folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held.add(name)
            try:
                yield
            finally:
                held.remove(name)

    def compile_locked(self: Any, signature: Any) -> Any:
        name = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
        # numba's own lock first: two threads could otherwise wait for each other.
        with global_compiler_lock, lock(name):
            return compile_here(self, signature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", compile_locked)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)
