"""The neural critic against known W1: how close its lower bound comes, and whether it ever overstates.

Tracks: B the critic as shipped on fresh points of the 28 published pairs; A critics without distance
units on the same; C samples of finite size, beside critics as others train them; D laws whose potentials
are no minimum of cones; E the interval for given samples; S accuracy against seconds; H published methods,
to hold this program against their figures; P steps per second. Every row is measured in a process of its
own. Run with ``python -m benchmarks.critic.measure``; writes results/critic_w1bench.json row by row and goes
on where it was stopped. deel-torchlip is asked where OTDIST_BENCH_TORCHLIP names a Python that has it.
"""

import json
import os
import re
import sys
import time

from benchmarks.common.apart import alone, apart
from benchmarks.common.harness import commit, load, save
from benchmarks.common.quiet import Others
from benchmarks.common.script import read_options, shorten
from benchmarks.critic.questions import key_of, make_rows, name_of
from benchmarks.critic.tables import tables

TORCHLIP = "OTDIST_BENCH_TORCHLIP"  # a Python with otdist[torch] and deel-torchlip
NAME = "critic_w1bench"
SHOWN = ("status", "reason", "family", "steps", "per_second", "cosine", "deviation", "overstates", "others")
EVALUATION_SECONDS = 180.0  # to judge a critic, at most


def measure(row):
    """A row, with who measured it and how busy others kept the machine."""
    others, threads = Others(), len(os.sched_getaffinity(0))
    python = os.environ[TORCHLIP] if row["method"] == "torchlip" else sys.executable
    command = [python, "-W", "ignore", "-m", "benchmarks.critic.methods", json.dumps(row), str(threads)]
    answer = apart(command, row["seconds"] + EVALUATION_SECONDS)
    stamp = {"others": round(others.share(), 3), "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    return row | answer | stamp | {"threads": threads}


def main():
    options = read_options(
        __doc__,
        only=("", "pattern of the rows, as --list names them; the first letter is the track"),
        seconds=(0.0, "of training on published pairs"),
        limit=(10**6, "rows to measure, at most; exits with 1 where none is missing"),
        again=(False, "measure what is selected anew"),
        list=(False, "name what is missing, and stop"),
    )
    if options.table:
        print(tables(load(NAME) or []))
        return
    with alone(NAME):
        known = {key_of(row): row for row in load(NAME) or []}
        rows = [row for row in make_rows(options.seconds) if re.search(options.only, name_of(row))]
        rows = [row for row in rows if row["method"] != "torchlip" or TORCHLIP in os.environ]
        missing = [row for row in rows if options.again or key_of(row) not in known][: options.limit]
        if options.list:
            print("\n".join(map(name_of, missing)))
            return
        if not missing:
            sys.exit("nothing is missing")
        for row in map(measure, missing):
            known[key_of(row)] = row
            save(NAME, list(known.values()))
            print(name_of(row), shorten({name: row[name] for name in SHOWN if name in row}), flush=True)


if __name__ == "__main__":
    main()
