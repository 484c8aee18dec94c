"""The neural critic against known W1: how close its lower bound comes, and whether it ever overstates.

Track A: critics without distance units on the 28 published pairs, fresh points; track B: the critic as
shipped on the same. Every row is measured in a process of its own. Run with
``python benchmarks/critic_w1bench.py``; writes results/critic_w1bench.json row by row and goes on where it
was stopped. ``--tracks BA`` selects and orders, ``--only PATTERN`` selects problems, ``--limit 1`` ends after
as many rows (and exits with 1 where none is missing), ``--again`` measures anew, ``--table`` prints tables
and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

from apart import alone, apart
from critic_problems import Row, key, rows
from critic_tables import tables
from harness import commit, load, save
from quiet import Others

WORKER = Path(__file__).with_name("critic_methods.py")
NAME = "critic_w1bench"
EVALUATION = 180.0  # seconds to judge a critic, at most


def named(row: Row) -> str:
    size = f"d={row['d']} n={row['n']}" + (f" samples={row['samples']}" if row["samples"] else "")
    return f"{row['track']} {row['problem']} {size} {row['method']} {row['seconds']:g}s seed={row['seed']}"


def measured(row: Row) -> Row:
    """One row, with who measured it and how busy others kept the machine."""
    # numpy's threads beside torch's would make steps several times slower
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    others = Others()
    command = [sys.executable, "-W", "ignore", str(WORKER), json.dumps(row)]
    answer = apart(command, row["seconds"] + EVALUATION)
    stamp = {"others": round(others.share(), 3), "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    return row | answer | stamp


def line(row: Row) -> str:
    if row["status"] != "ok":
        return f"{named(row)}: {row['status']}: {row['reason']}"
    told = [f"{row['family']}, {row['steps']} steps" if "family" in row else ""]
    told += [f"cosine {row['cosine']:.3f}"] if "cosine" in row else []
    told += [f"deviation {row['deviation']:+.2%}", "OVERSTATES" if row["overstates"] else ""]
    return f"{named(row)}: {', '.join(part for part in told if part)}  others {row['others']:.1f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tracks", default="", metavar="BA", help="only these, in this order")
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name matches")
    parser.add_argument("--seconds", type=float, default=45.0, help="of training on published pairs")
    parser.add_argument("--limit", type=int, default=10**6, help="rows to measure, at most")
    parser.add_argument("--again", action="store_true", help="measure what is selected anew")
    parser.add_argument("--list", action="store_true", help="name what is selected, and stop")
    parser.add_argument("--table", action="store_true", help="print the tables in Markdown, and stop")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Row]:
    every = [row for row in rows(options.seconds) if re.search(options.only, named(row))]
    if not options.tracks:
        return every
    return [row for track in options.tracks for row in every if row["track"] == track]


def main() -> None:
    options = arguments()
    if options.table:
        print(tables(load(NAME) or []))
        return
    with alone(NAME):
        known = {key(row): row for row in load(NAME) or []}
        missing = [row for row in chosen(options) if options.again or key(row) not in known]
        if options.list:
            print("\n".join(named(row) for row in missing))
            return
        if not missing:
            sys.exit("nothing is missing")
        for row in missing[: options.limit]:
            row = measured(row)
            known[key(row)] = row
            save(NAME, list(known.values()))
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
