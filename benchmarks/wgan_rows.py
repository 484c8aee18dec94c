"""Rows that a script measures by calling itself: what is chosen, missing, kept and shown."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from apart import alone, apart
from harness import commit, load, save
from wgan_modes import arguments
from wgan_modes_problems import Row

LIMIT = 4 * 3600.0  # seconds after which a run is given up


def measured(script: Path, row: Row) -> Row:
    """What ``script --row JSON`` prints, with the code it was measured on."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    version = commit()
    answer = apart([sys.executable, "-W", "ignore", str(script), "--row", json.dumps(row)], LIMIT)
    return row | answer | {"commit": version, "date": time.strftime("%Y-%m-%d")}


def fill(
    script: Path,
    rows: Sequence[Row],
    named: Callable[[Row], str],
    one: Callable[[Row], Row],
    table: Callable[[list[Row]], str],
) -> None:
    """Do what the command line says: one row, the table, the list, or all that is missing."""
    if sys.argv[1:2] == ["--row"]:
        print(json.dumps({"status": "ok"} | one(json.loads(sys.argv[2]))))
        return
    options, name = arguments(), script.stem
    if options.table:
        print(table(load(name) or []))
        return
    with alone(name):
        known = {named(row): row for row in load(name) or []}
        chosen = [row for row in rows if re.search(options.only, named(row))]
        missing = [row for row in chosen if options.again or named(row) not in known]
        if options.list:
            print("\n".join(named(row) for row in missing))
            return
        for row in missing[: options.limit]:
            known[named(row)] = measured(script, row)
            save(name, list(known.values()))
            print(table([known[named(row)]]).splitlines()[-1], flush=True)
