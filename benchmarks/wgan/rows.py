"""Rows of a study: each is measured in a process of its own, and kept as soon as it is there.

A study goes on where it was stopped, and several programs may fill one at once, but for those of time.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common.apart import alone, apart
from benchmarks.common.harness import commit, load, save
from benchmarks.common.quiet import Others

LIMIT = 4 * 3600.0  # seconds after which a run is given up
OPTIONS: dict[str, dict[str, Any]] = {
    "only": {"default": "", "metavar": "PATTERN", "help": "rows whose name matches"},
    "limit": {"type": int, "default": 10**6, "help": "rows to measure, at most"},
    "threads": {"type": int, "default": 1, "help": "of torch"},
    "again": {"action": "store_true", "help": "measure what is selected anew"},
    "list": {"action": "store_true", "help": "name what is missing, and stop"},
    "table": {"action": "store_true", "help": "print tables in Markdown, and stop"},
    "row": {"metavar": "JSON", "help": "measure this row, print it, and stop"},
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A question, as rows to measure, and the table that they make."""

    name: str  # of the file in results; that of the module is the same without wgan_
    keys: tuple[str, ...]  # entries that make a row another one, and name it
    rows: Sequence[Row]  # with their keys alone, in the order in which they are measured and kept
    measure: Callable[[Row], Row]
    table: Callable[[Sequence[Row]], str]
    timed: bool = False  # two programs at once would spoil each other's times

    def read(self) -> dict[str, Row]:
        """Rows that were measured, by name."""
        return {name_row(row, self.keys): row for row in load(self.name) or []}

    def keep(self, row: Row) -> None:
        """Add a row to the results, while nobody else does."""
        order = {name_row(row, self.keys): k for k, row in enumerate(self.rows)}
        with (Path(tempfile.gettempdir()) / f"{self.name}.rows.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = self.read() | {name_row(row, self.keys): row}
            save(self.name, [rows[name] for name in sorted(rows, key=lambda n: order.get(n, len(order)))])


def run(study: Study) -> None:
    """Do what the command line says."""
    text = sys.modules["__main__"].__doc__
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawTextHelpFormatter)
    for name, option in OPTIONS.items():
        parser.add_argument(f"--{name}", **option)
    options = parser.parse_args()
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


def fill(study: Study, missing: dict[str, Row], options: argparse.Namespace) -> None:
    """Measure rows in turn, but for those that another program has measured meanwhile."""
    with alone(study.name) if study.timed else nullcontext():
        for name in list(missing)[: options.limit]:
            if options.again or name not in study.read():
                row = measure_apart(study, missing[name], options.threads)
                study.keep(row)
                told = [f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, float)]
                print(f"{name}: {', '.join([row['status'], *told])} {row.get('reason', '')}", flush=True)


def measure_apart(study: Study, row: Row, threads: int) -> Row:
    """One row, with the code it was measured on and how busy others kept the machine."""
    # numpy's threads beside torch's would make steps several times slower
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": "1"}
    others, version = Others(), commit()
    module = f"benchmarks.wgan.{study.name.removeprefix('wgan_')}"
    told = apart([sys.executable, "-W", "ignore", "-m", module, "--row", json.dumps(row)], LIMIT)
    stamp = {"others": round(others.share(), 3), "commit": version, "date": time.strftime("%Y-%m-%d")}
    return row | told | stamp | {"threads": threads}


def answer(study: Study, row: Row) -> Row:
    """What is found, and the processor's seconds; values that are not finite are an answer as well."""
    start = time.process_time()
    try:
        told = {"status": "ok"} | study.measure(row)
    except FloatingPointError as error:
        told = {"status": "not finite", "reason": str(error)}
    return told | {"row_seconds": round(time.process_time() - start, 1)}


def cross(**choices: Iterable[Any]) -> list[Row]:
    """Rows of all combinations, where the last entry changes first."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def name_row(row: Row, keys: Iterable[str]) -> str:
    """A row in words: numbers with the name of their entry."""
    values = {key: row[key] for key in keys if row.get(key, "") != ""}
    return " ".join(v if isinstance(v, str) else f"{key}={v}" for key, v in values.items())


def is_ok(row: Row) -> bool:
    return bool(row.get("status", "ok") == "ok")


def format_rows(line: str, rows: Iterable[Row], keys: Iterable[str]) -> list[str]:
    """Every row by a format, in which it may be ``name``, or how it ended."""
    names = [(name_row(row, keys), row) for row in rows]
    return [line.format(name=n, **row) if is_ok(row) else f"{n} | {row['status']}" for n, row in names]


def grid(head: str, lines: Iterable[str], align: str = "l") -> str:
    """A table in Markdown, r for numbers; the last letter goes on, and short lines are filled up."""
    count = head.count("|")
    rule = " | ".join("---:" if side == "r" else "---" for side in align.ljust(count + 1, align[-1]))
    body = [line + " | " * (count - line.count("|")) for line in lines]
    return "\n".join(f"| {line} |" for line in [head, rule, *body])
