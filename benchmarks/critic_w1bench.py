"""The neural critic against known W1: how close its lower bound comes, and whether it ever overstates.

Tracks: B the critic as shipped on fresh points of the 28 published pairs; A critics without distance
units on the same; C samples of finite size, beside critics as others train them; D laws whose potentials
are no minimum of cones; E the interval for given samples; S accuracy against seconds; H published methods,
to hold this program against their figures; P steps per second. Every row is measured in a process of its
own. Run with ``python benchmarks/critic_w1bench.py``; writes results/critic_w1bench.json row by row and goes
on where it was stopped. ``--tracks BA`` selects and orders, ``--only PATTERN`` selects rows by name,
``--seconds`` sets those of A and B, ``--at-once 2`` measures two rows at a time, each on its share of the
cores, ``--limit 1`` ends after as many rows (and exits with 1 where none is missing), ``--again`` measures
anew, ``--list`` names what is missing, ``--table`` prints tables and measures nothing. deel-torchlip is asked
where OTDIST_BENCH_TORCHLIP names a Python that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from apart import alone, apart
from critic_problems import Row, key, named, rows
from critic_tables import tables
from harness import commit, load, save
from quiet import Others

TORCHLIP = "OTDIST_BENCH_TORCHLIP"  # a Python with otdist[torch] and deel-torchlip
WORKER = Path(__file__).with_name("critic_methods.py")
NAME = "critic_w1bench"
EVALUATION = 180.0  # seconds to judge a critic, at most


def measured(together: list[Row]) -> list[Row]:
    """Rows measured at the same time, with who measured them and how busy others kept the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    others, threads = Others(), max(1, cores // len(together))
    with ThreadPoolExecutor(len(together)) as pool:
        answers = list(pool.map(partial(answered, threads=threads), together))
    stamp = {"others": round(others.share(), 3), "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    return [
        row | answer | {"threads": threads} | stamp for row, answer in zip(together, answers, strict=True)
    ]


def answered(row: Row, threads: int) -> Row:
    """What a process of its own says of a row, with ``threads`` of torch's."""
    python = os.environ[TORCHLIP] if row["method"] == "torchlip" else sys.executable
    command = [python, "-W", "ignore", str(WORKER), json.dumps(row), str(threads)]
    return apart(command, row["seconds"] + EVALUATION)


def line(row: Row) -> str:
    if row["status"] != "ok":
        return f"{named(row)}: {row['status']}: {row['reason']}"
    told = [row.get("family", ""), f"{row['steps']} steps" if "steps" in row else ""]
    told += [f"{row['per_second']:.0f} steps/s"] if "per_second" in row else []
    told += [f"cosine {row['cosine']:.3f}"] if "cosine" in row else []
    told += [f"deviation {row['deviation']:+.2%}"] if "deviation" in row else []
    told += ["OVERSTATES"] if row.get("overstates") else []
    return f"{named(row)}: {', '.join(part for part in told if part)}  others {row['others']:.1f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tracks", default="", metavar="BA", help="only these, in this order")
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name matches")
    parser.add_argument("--seconds", type=float, help="of training on published pairs")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="rows measured at a time")
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


def answerable(row: Row) -> bool:
    """Whether the package that a row asks is at hand."""
    return row["method"] != "torchlip" or TORCHLIP in os.environ


def main() -> None:
    options = arguments()
    if options.table:
        print(tables(load(NAME) or []))
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads beside torch's would slow every step
    with alone(NAME):
        known = {key(row): row for row in load(NAME) or []}
        missing = [row for row in chosen(options) if options.again or key(row) not in known]
        missing = [row for row in missing if answerable(row)]
        if options.list:
            print("\n".join(named(row) for row in missing))
            return
        if not missing:
            sys.exit("nothing is missing")
        missing = missing[: options.limit]
        for first in range(0, len(missing), options.at_once):
            done = measured(missing[first : first + options.at_once])
            known |= {key(row): row for row in done}
            save(NAME, list(known.values()))
            print("\n".join(map(line, done)), flush=True)


if __name__ == "__main__":
    main()
