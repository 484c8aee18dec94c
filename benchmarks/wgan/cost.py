"""What the checks of ``fit_wgan`` cost: the share of a run's time that goes into looking at it.

Each task of modes.py is trained with the default settings. Every check is made once more on a copy and timed,
by the wall and by the processor: where others work on the machine as well, the second is the one to trust.
Run with ``python -m benchmarks.wgan.cost``.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.wgan.laws import TASKS, draw_given
from benchmarks.wgan.rows import Row, Study, cross, format_rows, grid, is_ok, run
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import Check
from otdist.learn.wgan.monitor.run_check import run_check

STEPS = 2_000
AIM = 0.10
KEYS = ("task", "seed")


def read_clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])  # wall, processor


def measure(row: Row) -> Row:
    """Seconds of a run, and of its checks."""
    looks, checks = [], []

    def look(check: Check, trained: WGAN) -> None:
        start, state = read_clocks(), copy.deepcopy(trained.state)
        before = read_clocks()
        run_check(state, trained.real, check.seconds, [None, *trained.history][-2])
        checks.append(read_clocks() - before)
        looks.append(read_clocks() - start)

    points = draw_given(row["task"], row["seed"])
    fit_wgan(points[:200], steps=2, check_every=1, check_points=16)  # loads and compiles what checks need
    start = read_clocks()
    fit_wgan(points, steps=STEPS, seed=row["seed"], stop=False, device="cpu", on_check=look)
    whole, spent = read_clocks() - start - np.sum(looks, 0), np.sum(checks, 0)
    told: Row = {"checks": len(checks)}
    for name, (wall, busy) in {"spent": spent, "whole": whole, "share": spent / whole}.items():
        told[name] = {"wall": float(wall), "processor": float(busy)}
    return told


def table(rows: Sequence[Row]) -> str:
    """Seconds and shares of every run."""
    head = f"run | checks | s in checks | s in all | share of processor (wall) | aim {AIM:.0%}"
    line = "{name} | {checks} | {spent[processor]:.2f} | {whole[processor]:.1f} | "
    line += "{share[processor]:.1%} ({share[wall]:.1%}) | "
    missed = [is_ok(row) and row["share"]["processor"] > AIM for row in rows]
    lines = format_rows(line, rows, KEYS)
    return grid(head, [told + "above the aim" * miss for told, miss in zip(lines, missed, strict=True)], "lr")


if __name__ == "__main__":
    run(Study("wgan_cost", KEYS, cross(seed=range(2), task=TASKS), measure, table, timed=True))
