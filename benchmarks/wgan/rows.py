"""Rows of a study: each is measured in a process of its own, and kept as soon as it is there.

A study goes on where it was stopped, and several programs may fill one at once, but for those of time.
"""

import fcntl
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.common.apart import alone, apart
from benchmarks.common.harness import commit, load, save
from benchmarks.common.quiet import Others
from benchmarks.common.script import read_options, shorten

LIMIT = 4 * 3600.0  # seconds after which a run is given up


@dataclass(frozen=True)
class Study:
    """A question, as rows to measure, and the table that they make."""

    name: str  # of the file in results; that of the module is the same without wgan_
    keys: tuple[str, ...]  # entries that make a row another one, and name it
    rows: list[dict]  # with their keys alone, in the order in which they are measured and kept
    measure: Callable
    table: Callable
    timed: bool = False  # two programs at once would spoil each other's times

    def read(self):
        """Rows that were measured, by name."""
        return {name_row(row, self.keys): row for row in load(self.name) or []}

    def keep(self, row):
        """Add a row to the results, while nobody else does."""
        order = {name_row(row, self.keys): k for k, row in enumerate(self.rows)}
        with (Path(tempfile.gettempdir()) / f"{self.name}.rows.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = self.read() | {name_row(row, self.keys): row}
            save(self.name, [rows[name] for name in sorted(rows, key=lambda n: order.get(n, len(order)))])


def run(study):
    """Do what the command line says."""
    options = read_options(
        sys.modules["__main__"].__doc__,
        only=("", "pattern of the names of rows, as --list tells them"),
        limit=(10**6, "rows to measure, at most"),
        threads=(1, "of torch"),
        again=(False, "measure what is selected anew"),
        list=(False, "name what is missing, and stop"),
        row=("", "measure this row, given as JSON, print it, and stop"),
    )
    if options.row:
        print(json.dumps(answer(study, json.loads(options.row))))
    elif options.table:
        print(study.table(load(study.name) or []))
    else:
        known = {} if options.again else study.read()
        named = {name_row(row, study.keys): row for row in study.rows}
        missing = {k: row for k, row in named.items() if re.search(options.only, k) and k not in known}
        if options.list:
            print("\n".join(missing))
        elif not missing:
            sys.exit("nothing is missing")
        else:
            fill(study, missing, options)


def fill(study, missing, options):
    """Measure rows in turn, but for those that another program has measured meanwhile."""
    with alone(study.name) if study.timed else nullcontext():
        for name in list(missing)[: options.limit]:
            if options.again or name not in study.read():
                row = measure_apart(study, missing[name], options.threads)
                study.keep(row)
                print(name, shorten({k: v for k, v in row.items() if isinstance(v, str | float)}), flush=True)


def measure_apart(study, row, threads):
    """One row, with the code it was measured on and how busy others kept the machine."""
    # numpy's threads beside torch's would make steps several times slower
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": "1"}
    others, version = Others(), commit()
    module = f"benchmarks.wgan.{study.name.removeprefix('wgan_')}"
    told = apart([sys.executable, "-W", "ignore", "-m", module, "--row", json.dumps(row)], LIMIT)
    stamp = {"others": round(others.share(), 3), "commit": version, "date": time.strftime("%Y-%m-%d")}
    return row | told | stamp | {"threads": threads}


def answer(study, row):
    """What is found, and the processor's seconds; values that are not finite are an answer as well."""
    start = time.process_time()
    try:
        told = {"status": "ok"} | study.measure(row)
    except FloatingPointError as error:
        told = {"status": "not finite", "reason": str(error)}
    return told | {"row_seconds": round(time.process_time() - start, 1)}


def cross(**choices):
    """Rows of all combinations, where the last entry changes first."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def name_row(row, keys):
    """A row in words: numbers with the name of their entry."""
    values = {key: row[key] for key in keys if row.get(key, "") != ""}
    return " ".join(v if isinstance(v, str) else f"{key}={v}" for key, v in values.items())


def is_ok(row):
    return row.get("status", "ok") == "ok"


def format_rows(line, rows, keys, describe=lambda row: {}):
    """Every row by a format, or how it ended; it may have ``name``, and what ``describe`` says of the row."""
    told = []
    for row in rows:
        name = name_row(row, keys)
        told.append(
            line.format(name=name, **row | describe(row)) if is_ok(row) else f"{name} | {row['status']}"
        )
    return told


def grid(head, lines, align="l"):
    """A table in Markdown, r for numbers; the last letter goes on, and short lines are filled up."""
    count = head.count("|")
    rule = " | ".join("---:" if side == "r" else "---" for side in align.ljust(count + 1, align[-1]))
    body = [line + " | " * (count - line.count("|")) for line in lines]
    return "\n".join(f"| {line} |" for line in [head, rule, *body])
