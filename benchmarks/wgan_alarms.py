"""Do the alarms of the WGAN trainer find what is wrong, and only that? Faults are planted on purpose.

Each fault is planted in four runs of seconds, on four kinds of points in the plane and in five columns; 26
healthy runs go beside them, 20 with the default critic. A fault is found if one of the alarms that fit it is
raised; latency is the generator's step at which it is. A healthy run with any alarm is a false one. The
thresholds were chosen on runs with seeds from 100 on. Run with ``python benchmarks/wgan_alarms.py``, several
at once if need be; writes results/wgan_alarms.json run by run and goes on where it was stopped. ``--table``
prints the tables in Markdown and measures nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import commit, load, save
from wgan_faults import DATA, EXPECTED, trained

NAME = "wgan_alarms"
SEEDS = range(4)
OTHERS = ("gp", "lp", "spectral")  # constraints of further healthy runs

Row = dict[str, Any]


def rows() -> list[Row]:
    """All runs: what goes wrong, on which points, by which seed."""
    every = []
    for k, fault in enumerate(EXPECTED):
        # Faults go round the kinds of points, so that each meets four of the five.
        every += [{"fault": fault, "data": DATA[(k + seed) % len(DATA)], "seed": seed} for seed in SEEDS]
    every += [{"fault": "", "data": data, "seed": seed} for data in DATA for seed in SEEDS]
    every += [
        {"fault": f"healthy {name}", "data": DATA[k + seed], "seed": seed}
        for k, name in enumerate(OTHERS)
        for seed in (0, 1)
    ]
    return every


def key(row: Row) -> tuple[str, str, int]:
    """What names a run."""
    return row["fault"], row["data"], row["seed"]


def measured(row: Row) -> Row:
    """One run, and what it was told."""
    start = time.perf_counter()
    healthy = not row["fault"] or row["fault"].startswith("healthy")
    try:
        run = trained(row["fault"], row["data"], row["seed"])
    except Exception as error:  # a run that cannot go on is a row as well
        return row | {"status": "error", "reason": repr(error)}
    alarms = [[alarm.step, alarm.name, alarm.cause] for alarm in run.alarms]
    fitting = [step for step, name, _ in alarms if name in EXPECTED.get(row["fault"], ())]
    last = run.history[-1] if run.history else None
    return row | {
        "status": "ok",
        "healthy": healthy,
        "found": bool(fitting),
        "latency": min(fitting, default=None),
        "alarms": alarms,
        "steps": run.steps,
        "debiased": last and last.debiased,
        "floor": last and last.floor,
        "seconds": time.perf_counter() - start,
        "commit": commit(),
    }


def table(done: list[Row]) -> str:
    """What was found, and what was told for nothing."""
    lines = ["| planted | found | of | steps until then | also told |", "| --- | ---: | ---: | ---: | --- |"]
    for fault in EXPECTED:
        of = [row for row in done if row["fault"] == fault]
        found = [row for row in of if row.get("found")]
        steps = ", ".join(str(row["latency"]) for row in found)
        names = {name for row in of for _, name, _ in row.get("alarms", ())} - EXPECTED[fault]
        lines.append(f"| {fault} | {len(found)} | {len(of)} | {steps} | {', '.join(sorted(names))} |")
    planted = [row for row in done if row["fault"] in EXPECTED]
    healthy = [row for row in done if row.get("healthy")]
    false = [row for row in healthy if row["alarms"]]
    latency = [row["latency"] for row in planted if row.get("found")]
    if planted and healthy:
        share = sum(row.get("found", False) for row in planted) / len(planted)
        lines.append(
            f"\nFound: {share:.0%} of {len(planted)}, after {np.median(latency):.0f} steps (median)."
        )
        lines.append(
            f"Alarms in {len(false)} of {len(healthy)} healthy runs ({len(false) / len(healthy):.0%})."
        )
        lines += [f"- {row['data']}, seed {row['seed']}: {row['alarms']}" for row in false]
    return "\n".join(lines)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Nobody else reads or writes the results meanwhile."""
    with (Path(tempfile.gettempdir()) / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the tables in Markdown, and stop")
    parser.add_argument("--backwards", action="store_true", help="from the last run, beside another program")
    parser.add_argument("--limit", type=int, default=10**6, help="runs, at most")
    options = parser.parse_args()
    if options.table:
        print(table(load(NAME) or []))
        return
    torch.set_num_threads(1)  # runs are small; several at once pay
    order = rows()[::-1] if options.backwards else rows()
    count = 0
    for row in order:
        with one_at_a_time():
            known = {key(done) for done in load(NAME) or []}
        if key(row) in known or count == options.limit:
            continue
        count += 1
        row = measured(row)
        with one_at_a_time():
            save(NAME, [*(load(NAME) or []), row])
        told = [f"{step} {name}" for step, name, _ in row.get("alarms", ())]
        print(key(row), row["status"], row.get("found"), told, row.get("reason", ""), flush=True)


if __name__ == "__main__":
    main()
