"""Seconds, bytes and true errors of methods for W1, from 100 to 100,000 points and from 1 to 128 columns.

Run with ``python -m benchmarks.atlas.measure`` on a machine that does nothing else, for about a quarter of
an hour. Rows are written to results/atlas.json as they come, and what is there is not measured again.
``--seconds 150`` stops in time, to be gone on with; ``--only PATTERN`` selects questions; ``--list`` names
what is missing.

A call is timed in this process after one on fewer points, so that loading and compiling do not count; what
takes less than half a second is repeated, and the median counts. What loading costs is measured by itself:
the first call of a new process, less the second.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads beside torch's make both slower

import ctypes
import re
import tempfile
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.atlas.cells import EXACT, Cell, cells
from benchmarks.atlas.rows import Row, load, save
from benchmarks.common.first_calls import time_first_calls
from benchmarks.common.harness import RESULTS, commit
from benchmarks.common.script import read_options
from otdist.bench import question
from otdist.bench.methods import METHODS, parse_method
from otdist.bench.worker import Samples, measure_call

LONGEST = 60.0  # seconds that a call may take
LIKELY = 45.0  # seconds that it may be expected to take, from the row with fewer points
SMALL = 1100  # points of the call before, at most
GROWTH = 2.0  # seconds grow like n to this power, where nothing is known yet
FIRST = "first call"
BARE = "first call, bare"  # with none of the packages that POT loads where it finds them
NEW = "first call, not compiled"
LOADED = ("otdist line", "otdist dense", EXACT, "otdist sinkhorn tol=0.01")
HIDDEN = ("torch", "sklearn", "pandas", "geomloss", "jax", "tensorflow", "cupy")


def solver(method: str) -> tuple[Any, str, dict[str, Any]]:
    """Adapter, name and options of a method."""
    name, options = parse_method(method)
    if name == "otdist":
        options["method"] = method.split()[1]
    if "tol" in options:  # it stops itself
        options["max_seconds"] = LONGEST
    return import_module(f"otdist.bench.methods.{METHODS[name][0]}"), name, options


def loading(method: str, asked: str) -> Row:
    """What the first call of a process takes more than the next ones: the median of three processes.

    Machine code is on disk; for NEW it is not, and there is one process.
    """
    given = (1200 if asked == NEW else 100), (1 if method == "otdist line" else 3), 1.0, solver(method)[2]
    runs = []
    for _ in range(1 if asked == NEW else 3):
        with tempfile.TemporaryDirectory() as folder:
            hidden, cache = HIDDEN if asked == BARE else (), folder if asked == NEW else ""
            _, first, *later = time_first_calls(*given, hidden, cache)
        runs.append(first - min(later))
    return {"seconds": float(np.median(runs)), "seconds_range": [min(runs), max(runs)], "status": "ok"}


class Session:
    """Rows on disk, and how to measure those that are missing."""

    def __init__(self, folder: Path, end: float) -> None:
        self.folder, self.end = folder, end
        self.rows = load(folder)
        self.known = {(row["question"], row["method"], row["seed"]): row for row in self.rows}
        self.warmed: set[tuple[int, str]] = set()
        self.facts: Row = {"commit": commit(), "date": time.strftime("%Y-%m-%d"), "budget": LONGEST}

    def keep(self, row: Row) -> None:
        """Put a row among the results, on disk and on the screen."""
        self.rows.append(row | self.facts)
        self.known[row["question"], row["method"], row["seed"]] = row
        save(self.rows, self.folder)
        seconds = f"{row['seconds']:.4g} s" if "seconds" in row else row["reason"]
        print(f"{row['question']:24}{row['method']:32}{seconds}", flush=True)

    def expected(self, cell: Cell) -> float:
        """Seconds by the rows with fewer points, 1 where there is none."""
        alike = (row for row in self.known.values() if (row["method"], row["d"]) == (cell.method, cell.d))
        last = max((row for row in alike if row["n"] < cell.n), key=lambda row: row["n"], default=None)
        if last is None:
            return 1.0
        if last["status"] != "ok" or not last.get("converged", True):
            return 10 * LONGEST
        return float(max(1.0, last["seconds"] * (cell.n / last["n"]) ** GROWTH))

    def measure(self, cell: Cell) -> None:
        """One row; a method that is expected to take too long has one as well."""
        place = {"question": cell.question, "method": cell.method, "seed": cell.seed}
        place |= {"part": cell.part, "law": cell.law, "n": cell.n, "m": cell.n, "d": cell.d}
        expected = self.expected(cell)
        if expected > LIKELY and "critic" not in cell.method:
            self.keep(place | {"status": "skipped", "reason": f"about {expected:.0f} s expected"})
            return
        if time.monotonic() + 1.3 * expected + 2 > self.end:
            raise TimeoutError
        asked = question(cell.question, rng=cell.seed)
        samples = Samples(asked.x, asked.y)
        adapter, name, options = solver(cell.method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if (cell.d, cell.method) not in self.warmed:
                less = options | ({"max_seconds": 1.0} if name == "otdist critic" else {})
                adapter.solve(name, samples.take_first(SMALL), less)
                self.warmed.add((cell.d, cell.method))
            _give_back()
            answer = measure_call(lambda: adapter.solve(name, samples, options), 4 * LONGEST)
        known = {"known": asked.known, "laws": asked.laws, "status": "ok"}
        self.keep(place | known | answer)

    def load_all(self) -> None:
        """Rows of what first calls cost."""
        for asked, methods in ((FIRST, LOADED), (BARE, LOADED[1:]), (NEW, LOADED[2:])):
            for method in methods:
                if (asked, method, 0) not in self.known:
                    place = {"question": asked, "method": method, "seed": 0, "n": 100, "m": 100, "d": 3}
                    self.keep(place | {"part": asked} | loading(method, asked))


def _give_back() -> None:
    """Return freed memory to the system, so that a peak counts what the next call adds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main() -> None:
    options = read_options(
        __doc__,
        only=("", "pattern of questions"),
        seconds=(1e9, "after which to stop"),
        largest=(10**9, "points, at most"),
        folder=(RESULTS, "where rows are kept"),
        list=(False, "name what is missing, and stop"),
    )
    session = Session(options.folder, time.monotonic() + options.seconds)
    todo = [cell for cell in cells() if cell.key not in session.known and cell.n <= options.largest]
    todo = [cell for cell in todo if re.search(options.only, cell.question)]
    if options.list:
        print("\n".join(f"{cell.question}: {cell.method}" for cell in todo))
        return
    if not options.only:
        session.load_all()
    try:
        for cell in todo:
            session.measure(cell)
    except TimeoutError:
        print("to be gone on with")


if __name__ == "__main__":
    main()
