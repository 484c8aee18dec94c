"""What the checks of ``fit_wgan`` cost: the share of a run's time that goes into looking at it.

Each task of wgan_modes is trained with the default settings, and every check is timed from inside the run,
by the wall and by the processor: where others work on the machine as well, the second is the one to trust.
Run with ``python benchmarks/wgan_cost.py``; writes results/wgan_cost.json row by row and goes on where it was
stopped. ``--only``, ``--limit``, ``--again``, ``--list``, ``--table`` as in wgan_modes.py.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from wgan_modes_problems import TASKS, Row
from wgan_modes_tables import grid
from wgan_rows import fill

STEPS = 2_000
SEEDS = (0, 1)
AIM = 0.10


def rows() -> list[Row]:
    return [{"task": name, "seed": seed} for seed in SEEDS for name in TASKS]


def named(row: Row) -> str:
    return f"{row['task']} seed={row['seed']}"


def timed(row: Row) -> Row:
    """A run, and the seconds of its checks."""
    from wgan_modes_runs import source

    from otdist.learn import fit_wgan
    from otdist.learn.wgan import loop

    task, plain = TASKS[row["task"]], loop.run_check
    spent = {"wall": 0.0, "processor": 0.0}

    def looking(*given: Any, **more: Any) -> Any:
        wall, busy = time.perf_counter(), time.process_time()
        check = plain(*given, **more)
        spent["wall"] += time.perf_counter() - wall
        spent["processor"] += time.process_time() - busy
        return check

    loop.run_check = looking
    points = task.draw(source(row["task"], row["seed"], "given"), task.given)
    fit_wgan(points[:200], steps=2, check_every=1, check_points=16)  # loads and compiles what checks need
    spent.update(wall=0.0, processor=0.0)
    wall, busy = time.perf_counter(), time.process_time()
    run = fit_wgan(points, steps=STEPS, seed=row["seed"], stop=False, device="cpu")
    whole = {"wall": time.perf_counter() - wall, "processor": time.process_time() - busy}
    share = {name: spent[name] / whole[name] for name in whole}
    return {"checks": len(run.history), "spent": spent, "whole": whole, "share": share}


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if row["status"] != "ok":
            lines.append([named(row), row["status"], "", "", "", ""])
            continue
        cells = [str(row["checks"]), f"{row['spent']['processor']:.2f}", f"{row['whole']['processor']:.1f}"]
        share = row["share"]
        verdict = "" if share["processor"] <= AIM else "above the aim"
        lines.append([named(row), *cells, f"{share['processor']:.1%} ({share['wall']:.1%})", verdict])
    head = ["run", "checks", "s in checks", "s in all", "share of processor (wall)", f"aim {AIM:.0%}"]
    return grid(head, lines)


if __name__ == "__main__":
    fill(Path(__file__), rows(), named, timed, table)
