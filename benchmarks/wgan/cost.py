"""What the checks of ``fit_wgan`` cost: the share of a run's time that goes into looking at it.

Each task of modes.py is trained with the default settings. Every check is made once more on a copy and timed,
by the wall and by the processor: where others work on the machine as well, the second is the one to trust.
Run with ``python -m benchmarks.wgan.cost``.
"""

import copy
import time

import numpy as np

from benchmarks.wgan.laws import TASKS, draw_given
from benchmarks.wgan.rows import Study, cross, format_rows, grid, run
from otdist.learn import fit_wgan
from otdist.learn.wgan.monitor.run_check import run_check

STEPS = 2_000
AIM = 0.10
KEYS = ("task", "seed")


def read_clocks():
    return np.array([time.perf_counter(), time.process_time()])  # wall, processor


def measure(row):
    """Seconds of a run, and of its checks."""
    looks, checks = [], []

    def look(check, trained):
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
    times = {"spent": spent, "whole": whole, "share": spent / whole}
    told = {name: {"wall": float(wall), "processor": float(busy)} for name, (wall, busy) in times.items()}
    return {"checks": len(checks)} | told


def table(rows):
    head = f"run | checks | s in checks | s in all | share of processor (wall) | aim {AIM:.0%}"
    line = "{name} | {checks} | {spent[processor]:.2f} | {whole[processor]:.1f} | "
    line += "{share[processor]:.1%} ({share[wall]:.1%}) | {missed}"
    return grid(head, format_rows(line, rows, KEYS, judge), "lr")


def judge(row):
    return {"missed": "above the aim" * (row["share"]["processor"] > AIM)}


if __name__ == "__main__":
    run(Study("wgan_cost", KEYS, cross(seed=range(2), task=TASKS), measure, table, timed=True))
