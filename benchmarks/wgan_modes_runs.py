"""One row of wgan_modes, in a process of its own and printed as JSON; OMP_NUM_THREADS is obeyed."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from wgan_modes_problems import METHODS, TASKS, Points, Row, Task, classifier

import otdist
from otdist.learn import fit_wgan

MATCHED = 2_000  # points a side in the exact distance
STREAMS = ("given", "held out", "floor", "real")


def source(task: str, seed: int, stream: str) -> np.random.Generator:
    return np.random.default_rng([seed, list(TASKS).index(task), STREAMS.index(stream)])


def parts(name: str, seed: int) -> tuple[Points, Points, Points]:
    """Points to train on; and two sets that nobody has seen, for the distance and its floor.

    Digits are few, so that those kept from training are the held-out points, and the floor is between them
    and as many of the others.
    """
    task = TASKS[name]
    if name == "digits":
        every = task.draw(source(name, seed, "given"), 1797)
        held = every[task.given :]
        return every[: task.given], held, every[: len(held)]
    given = task.draw(source(name, seed, "given"), task.given)
    return given, *(task.draw(source(name, seed, stream), MATCHED) for stream in ("held out", "floor"))


def trained(row: Row, given: Points) -> tuple[Any, Row]:
    """A generator, and what it took."""
    task = TASKS[row["task"]]
    settings = METHODS[row["method"]] | row.get("settings", {})
    wall, busy = time.perf_counter(), time.process_time()
    run = fit_wgan(given, steps=row.get("steps", task.steps), seed=row["seed"], stop=False, **settings)
    told = {
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - busy,
        "steps": run.steps,
        "message": run.message,
        "alarms": sorted({alarm.name for alarm in run.alarms}),
        "settings": run.settings.to_dict(),
        "bracket": vars(run.w1) if run.history else None,
    }
    return run, told


def scores(task: Task, points: Points, held: Points) -> Row:
    """Modes found, share of high quality, reverse KL, and the exact distance to points nobody has seen."""
    if not np.isfinite(points).all():
        return {"finite": False}
    n = min(len(held), len(points))
    told: Row = {"w1": float(otdist.w1(points[:n].reshape(n, -1), held[:n].reshape(n, -1))), "n": n}
    if task.modes is None:
        return told
    found, good = task.modes(points)
    shares = np.bincount(found, minlength=task.count) / len(found)
    there = shares > 0
    told["modes"] = len(np.unique(found[good]))
    told["quality"] = float(good.mean())
    told["reverse_kl"] = float((shares[there] * np.log(shares[there] * task.count)).sum())
    return told


def measured(row: Row) -> Row:
    task = TASKS[row["task"]]
    given, held, beside = parts(row["task"], row["seed"])
    n = min(len(held), len(beside))
    told: Row = {"floor": float(otdist.w1(held[:n].reshape(n, -1), beside[:n].reshape(n, -1)))}
    if row["task"] in ("digits", "stacked"):
        told["accuracy"] = classifier()[1]
    if row["method"] == "real":
        fresh = source(row["task"], row["seed"], "real")
        points = given if row["task"] == "digits" else task.draw(fresh, task.samples)
        return told | scores(task, points, held)
    run, facts = trained(row, given)
    return told | facts | scores(task, run.sample(task.samples, rng=row["seed"]), held)


def main() -> None:
    print(json.dumps({"status": "ok"} | measured(json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
