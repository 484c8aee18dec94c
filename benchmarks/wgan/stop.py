"""Does the WGAN trainer stop when it should? Each run is made twice: to the end of its budget, and stopped.

W1 is measured apart from the run: 32 x 512 fresh points of the law, that neither training nor checks have
seen, against as many of the generator, always the same ones; and above the floor, less half of what either
are apart among themselves; every 400 steps of the full run, and at the end of either. A stop is right if
W1, floor included, ends within 10 % of the best that the full run ever had. Above the floor it is told
beside that, as is whether the difference is within its noise (two standard errors over the pairs). Run with
``python -m benchmarks.wgan.stop``; without ``--only critic=1`` also with n_critic="auto".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import otdist
from benchmarks.wgan.alarms import DATA, POINTS, draw_points
from benchmarks.wgan.rows import Row, Study, cross, format_rows, grid, is_ok, run
from otdist.learn import WGAN, fit_wgan
from otdist.learn.wgan import Check

STEPS, EVERY, LOOKS = 8_000, 200, 400
PAIRS, N = 32, 512
# The rule was chosen on the seeds 0 and 100.
KEYS = ("data", "seed", "critic")
ROWS = cross(critic=(1, "auto"), seed=(2, 3), data=DATA)


class Judge:
    """W1 above the floor, from points that no run has seen."""

    def __init__(self, data: str, seed: int) -> None:
        self.x = draw_points(data, PAIRS * N, 1_000 + seed, law=seed).reshape(PAIRS, N, -1)
        self.floor = measure_floor(self.x)

    def __call__(self, trained: WGAN) -> list[float]:
        """Distance of the averaged generator from each part."""
        y = trained.sample(PAIRS * N, rng=5).reshape(PAIRS, N, -1)
        offset = (self.floor + measure_floor(y)) / 2
        return [float(otdist.w1(a, b)) - offset for a, b in zip(self.x, y, strict=True)]


def measure_floor(z: np.ndarray) -> float:
    """Mean W1 between samples of one law."""
    return float(np.mean([float(otdist.w1(a, b)) for a, b in zip(z[::2], z[1::2], strict=True)]))


def measure(row: Row) -> Row:
    """Both runs."""
    judge, seen = Judge(row["data"], row["seed"]), []

    def look(check: Check, trained: WGAN) -> None:
        if check.step % LOOKS == 0:
            seen.append((check.step, judge(trained)))

    settings: Row = {"steps": STEPS, "check_every": EVERY, "seed": row["seed"], "n_critic": row["critic"]}
    data = draw_points(row["data"], POINTS, row["seed"])
    full = fit_wgan(data, stop=False, on_check=look, device="cpu", **settings)
    short = fit_wgan(data, stop=True, device="cpu", **settings)
    ended, best = judge(short), min((values for _, values in seen), key=np.mean)
    return {
        "floor": judge.floor,
        "curve": [[step, float(np.mean(values))] for step, values in seen],
        "best": float(np.mean(best)),
        "last": float(np.mean(seen[-1][1])),
        "stopped": float(np.mean(ended)),
        "noise": float(np.std(np.subtract(ended, best), ddof=1)) / np.sqrt(PAIRS),
        "steps": short.steps,
        "saved": 1 - short.steps / STEPS,
        "alarms": [[a.step, a.name, a.cause] for a in full.alarms],
        "n_critic": [check.n_critic for check in full.history],
        "critic_steps": sum(check.n_critic for check in full.history) * EVERY,
        "message": short.message,
    }


def is_within(row: Row) -> bool:
    """Whether the stop lost no more than 10 % of W1 between samples."""
    return bool(row["stopped"] + row["floor"] <= 1.1 * (row["best"] + row["floor"]))


def is_noise(row: Row) -> bool:
    return bool(row["stopped"] - row["best"] <= 2 * row["noise"])


def table(rows: Sequence[Row]) -> str:
    """Distances, steps and the share of stops that are right."""
    head = "data | seed | n_critic | floor | best | at the end | at the stop | noise | steps | saved |"
    line = "{data} | {seed} | {critic} | {floor:.4f} | {best:.4f} | {last:.4f} | {stopped:.4f} | {noise:.4f}"
    good, lines = [row for row in rows if is_ok(row)], []
    for row in rows:
        verdict = is_ok(row) and (is_within(row) * "within 10 %" or is_noise(row) * "within noise" or "worse")
        lines += format_rows(line + " | {steps} | {saved:.0%} | " + str(verdict), [row], KEYS)
    within = np.mean([is_within(row) for row in good])
    above = np.mean([row["stopped"] <= 1.1 * row["best"] or is_noise(row) for row in good])
    saved = np.median([row["saved"] for row in good])
    return (
        f"{grid(head, lines, 'lrrrrrrrrrl')}\n\nWithin 10 % of the best W1: {within:.0%}.\n"
        f"Above the floor, within 10 % or noise: {above:.0%}.\nSteps saved: {saved:.0%} (median)."
    )


if __name__ == "__main__":
    run(Study("wgan_stop", KEYS, ROWS, measure, table))
