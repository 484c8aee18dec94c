"""Does the WGAN trainer stop when it should? Each run is made twice: to the end of its budget, and stopped.

W1 is measured apart from the run: 32 x 512 fresh points of the law, that neither training nor checks have
seen, against as many of the generator, always the same ones; and above the floor, less half of what either
are apart among themselves; every 400 steps of the full run, and at the end of either. A stop is right if
W1, floor included, ends within 10 % of the best that the full run ever had. Above the floor it is told
beside that, as is whether the difference is within its noise (two standard errors over the pairs). Run with
``python -m benchmarks.wgan.stop``; without ``--only critic=1`` also with n_critic="auto".
"""

import numpy as np

import otdist
from benchmarks.wgan.alarms import DATA, POINTS, draw_points
from benchmarks.wgan.rows import Study, cross, format_rows, grid, is_ok, run
from otdist.learn import fit_wgan

STEPS, EVERY, LOOKS = 8_000, 200, 400
PAIRS, N = 32, 512
# The rule was chosen on the seeds 0 and 100.
KEYS = ("data", "seed", "critic")
ROWS = cross(critic=(1, "auto"), seed=(2, 3), data=DATA)


def measure_pairs(x, y):
    return np.array([float(otdist.w1(a, b)) for a, b in zip(x, y, strict=True)])


def measure(row):
    """Both runs, by their distances from fresh points."""
    x = draw_points(row["data"], PAIRS * N, 1_000 + row["seed"], law=row["seed"]).reshape(PAIRS, N, -1)
    floor = measure_pairs(x[::2], x[1::2]).mean()
    curve = {}

    def judge(trained):
        """W1 of the averaged generator above the floor, from each part of the fresh points."""
        y = trained.sample(PAIRS * N, rng=5, state="last").reshape(PAIRS, N, -1)
        return measure_pairs(x, y) - (floor + measure_pairs(y[::2], y[1::2]).mean()) / 2

    def look(check, trained):
        if check.step % LOOKS == 0:
            curve[check.step] = judge(trained)

    settings = {"steps": STEPS, "check_every": EVERY, "seed": row["seed"], "n_critic": row["critic"]}
    data = draw_points(row["data"], POINTS, row["seed"])
    full = fit_wgan(data, stop=False, on_check=look, device="cpu", **settings)
    short = fit_wgan(data, stop=True, device="cpu", **settings)
    ended, best = judge(short), min(curve.values(), key=np.mean)
    means = [[step, float(values.mean())] for step, values in curve.items()]
    return {
        "floor": float(floor),
        "curve": means,
        "best": float(best.mean()),
        "last": means[-1][1],
        "stopped": float(ended.mean()),
        "noise": float((ended - best).std(ddof=1) / np.sqrt(PAIRS)),
        "steps": short.steps,
        "saved": 1 - short.steps / STEPS,
        "alarms": [[a.step, a.name, a.cause] for a in full.alarms],
        "n_critic": [check.n_critic for check in full.history],
        "critic_steps": sum(check.n_critic for check in full.history) * EVERY,
        "message": short.message,
    }


def is_within(row):
    """Whether the stop lost no more than 10 % of W1 between samples."""
    return row["stopped"] + row["floor"] <= 1.1 * (row["best"] + row["floor"])


def is_noise(row):
    return row["stopped"] - row["best"] <= 2 * row["noise"]


def describe(row):
    return {"verdict": is_within(row) * "within 10 %" or is_noise(row) * "within noise" or "worse"}


def table(rows):
    """Distances, steps and the share of stops that are right."""
    head = "data | seed | n_critic | floor | best | at the end | at the stop | noise | steps | saved |"
    line = "{data} | {seed} | {critic} | {floor:.4f} | {best:.4f} | {last:.4f} | {stopped:.4f} | {noise:.4f}"
    line += " | {steps} | {saved:.0%} | {verdict}"
    good = [row for row in rows if is_ok(row)]
    within = np.mean([is_within(row) for row in good])
    above = np.mean([row["stopped"] <= 1.1 * row["best"] or is_noise(row) for row in good])
    saved = np.median([row["saved"] for row in good])
    return (
        f"{grid(head, format_rows(line, rows, KEYS, describe), 'lrrrrrrrrrl')}\n\n"
        f"Within 10 % of the best W1: {within:.0%}.\n"
        f"Above the floor, within 10 % or noise: {above:.0%}.\nSteps saved: {saved:.0%} (median)."
    )


if __name__ == "__main__":
    run(Study("wgan_stop", KEYS, ROWS, measure, table))
