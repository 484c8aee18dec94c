"""Work in parts, on threads that stay."""

import multiprocessing
import sys
import threading
import time

import numpy as np
import pytest

from otdist.runtime import parallel
from otdist.runtime.deadline import Deadline, OutOfTimeError


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(parallel, "_cores", lambda: 2)


def filled(count=1000, largest=100):
    """Numbers that parts have written, and the threads that wrote them."""
    out, threads = np.full(count, -1), set()

    def work(first, last):
        out[first:last] = np.arange(first, last)
        threads.add(threading.get_ident())

    parallel.run_in_parts(work, count, largest)
    return out, threads


@pytest.mark.parametrize(
    ("count", "largest"), [(1, 1), (64, 1), (65, 1), (1000, 100), (1001, 10**6), (999, 7)]
)
def test_every_part_is_done_once(count, largest):
    np.testing.assert_array_equal(filled(count, largest)[0], np.arange(count))


def test_threads_stay():
    before = filled()[1]
    assert threading.get_ident() not in before
    filled()
    after = {thread.ident for thread in threading.enumerate()}
    assert before <= after
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("otdist")]) <= 2


@pytest.mark.slow
def test_an_error_ends_the_parts_that_have_not_begun():
    begun = []

    def work(first, last):
        begun.append(first)
        if first == 0:
            raise ValueError("first")
        time.sleep(0.05)

    with pytest.raises(ValueError, match="first"):
        parallel.run_in_parts(work, 10_000, 100)
    time.sleep(0.2)
    assert len(begun) < 20
    np.testing.assert_array_equal(filled()[0], np.arange(1000))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    filled()
    child = multiprocessing.get_context("fork").Process(target=filled)
    child.start()
    child.join(20)
    ended = child.exitcode
    child.kill()
    assert ended == 0


@pytest.mark.parametrize(("count", "largest"), [(1, 1), (1000, 1), (1000, 7), (1001, 10**6)])
def test_sums_over_parts_are_those_of_all(count, largest):
    values = np.random.default_rng(0).integers(0, 100, size=(count, 5)).astype(float)
    calls = []

    def add(first, last, out):
        calls.append((first, last))
        out += values[first:last].sum(axis=0)

    np.testing.assert_array_equal(parallel.add_in_parts(add, count, largest, 5), values.sum(axis=0))
    assert max(last - first for first, last in calls) <= max(1, largest)
    assert sorted(calls) == sorted({first: (first, last) for first, last in calls}.values())


def test_a_deadline_is_seen_within_the_part_of_a_sum():
    def add(first, last, out):
        time.sleep(0.01)

    with pytest.raises(OutOfTimeError), Deadline(0.1).enforce():
        parallel.add_in_parts(add, 32_000, 10, 1)  # a part of 1,000 would take a second
