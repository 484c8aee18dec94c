"""Does the WGAN trainer stop when it should? Each run is made twice: to the end of its budget, and stopped.

W1 is measured apart from the run: 32 x 512 fresh points of the law, that neither training nor checks have
seen, against as many of the generator, always the same ones; and above the floor, less half of what either
are apart among themselves; every 400 steps of the full run, and at the end of either. A stop is right if
W1, floor included, ends within 10 % of the best that the full run ever had. Above the floor it is told
beside that, as is whether the difference is within its noise (two standard errors over the pairs). Run with
``python benchmarks/wgan_stop.py``, several at once if need be; writes results/wgan_stop.json run by run and
goes on where it was stopped. ``--table`` prints the table in Markdown and measures nothing. ``--critic
auto`` makes the same runs with n_critic="auto".
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from harness import commit, load, save
from wgan_alarms import one_at_a_time
from wgan_faults import DATA, POINTS, points

import otdist
from otdist.learn import fit_wgan
from otdist.learn.wgan import loop

NAME = "wgan_stop"
STEPS, EVERY, LOOKS = 8_000, 200, 400
SEEDS = (2, 3)  # the rule was chosen on 0 and 100
PAIRS, N = 32, 512

Row = dict[str, Any]
Array = np.ndarray


class Judge:
    """W1 above the floor, from points that no run has seen."""

    def __init__(self, data: str, seed: int) -> None:
        self.x = points(data, PAIRS * N, 1_000 + seed, law=seed).reshape(PAIRS, N, -1)
        self.floor = among(self.x)

    def __call__(self, state: Any, scale: Any) -> list[float]:
        """Distance of the averaged generator, four times."""
        z = torch.randn(PAIRS * N, state.latent, generator=torch.Generator().manual_seed(5))
        state.average.eval()
        with torch.no_grad():
            y = scale.inverse_transform(state.average(z).flatten(1)).reshape(PAIRS, N, -1)
        offset = (self.floor + among(y)) / 2
        return [float(otdist.w1(a, b)) - offset for a, b in zip(self.x, y, strict=True)]


def among(z: Array) -> float:
    """Mean W1 between samples of one law."""
    return float(np.mean([float(otdist.w1(a, b)) for a, b in zip(z[::2], z[1::2], strict=True)]))


def trained(row: Row, stop: bool, judge: Judge | None) -> tuple[Any, list[tuple[int, list[float]]]]:
    """A run, and what the judge saw on the way."""
    seen: list[tuple[int, list[float]]] = []
    plain = loop.run_check

    def looking(state: Any, real: Any, *more: Any) -> Any:
        if judge is not None and state.step % LOOKS == 0:
            seen.append((state.step, judge(state, real.scale)))
        return plain(state, real, *more)

    loop.run_check = looking
    try:
        data = points(row["data"], POINTS, row["seed"])
        run = fit_wgan(
            data,
            steps=STEPS,
            check_every=EVERY,
            seed=row["seed"],
            stop=stop,
            n_critic=row["critic"],
            device="cpu",
        )
    finally:
        loop.run_check = plain
    return run, seen


def measured(row: Row) -> Row:
    """Both runs."""
    start = time.perf_counter()
    judge = Judge(row["data"], row["seed"])
    full, seen = trained(row, False, judge)
    short, _ = trained(row, True, None)
    ended = judge(short.state, short.scale)
    best = min((values for _, values in seen), key=np.mean)
    noise = float(np.std(np.subtract(ended, best), ddof=1)) / np.sqrt(PAIRS)
    return row | {
        "floor": judge.floor,
        "curve": [[step, float(np.mean(values))] for step, values in seen],
        "best": float(np.mean(best)),
        "last": float(np.mean(seen[-1][1])),
        "stopped": float(np.mean(ended)),
        "noise": noise,
        "steps": short.steps,
        "saved": 1 - short.steps / STEPS,
        "alarms": [[a.step, a.name, a.cause] for a in full.alarms],
        "n_critic": [check.n_critic for check in full.history],
        "critic_steps": sum(check.n_critic for check in full.history) * EVERY,
        "message": short.message,
        "seconds": time.perf_counter() - start,
        "commit": commit(),
    }


def within(row: Row) -> bool:
    """Whether the stop lost no more than 10 % of W1 between samples."""
    return bool(row["stopped"] + row["floor"] <= 1.1 * (row["best"] + row["floor"]))


def table(rows: list[Row]) -> str:
    """Distances, steps and the share of stops that are right."""
    lines = ["| data | seed | n_critic | floor | best | at the end | at the stop | noise | steps | saved | |"]
    lines.append("| --- " + "| ---: " * 9 + "| --- |")
    for row in rows:
        numbers = [f"{row[name]:.4f}" for name in ("floor", "best", "last", "stopped", "noise")]
        verdict = "within 10 %" if within(row) else ("within noise" if quiet(row) else "worse")
        cells = [row["data"], str(row["seed"]), str(row["critic"]), *numbers, str(row["steps"])]
        lines.append("| " + " | ".join([*cells, f"{row['saved']:.0%}", verdict]) + " |")
    if rows:
        above = [row["stopped"] <= 1.1 * row["best"] or quiet(row) for row in rows]
        lines.append(f"\nWithin 10 % of the best W1: {np.mean([within(row) for row in rows]):.0%}.")
        lines.append(f"Above the floor, within 10 % or noise: {np.mean(above):.0%}.")
        lines.append(f"Steps saved: {np.median([row['saved'] for row in rows]):.0%} (median).")
    return "\n".join(lines)


def quiet(row: Row) -> bool:
    """Whether what the stop lost is noise."""
    return bool(row["stopped"] - row["best"] <= 2 * row["noise"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the table in Markdown, and stop")
    parser.add_argument("--critic", default="1", help='steps of the critic, or "auto"')
    parser.add_argument("--only", nargs="+", default=DATA, help="data sets")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    if options.table:
        print(table(load(NAME) or []))
        return
    torch.set_num_threads(1)
    critic = options.critic if options.critic == "auto" else int(options.critic)
    for seed in options.seeds:
        for data in options.only:
            row = {"data": data, "seed": seed, "critic": critic}
            with one_at_a_time():
                known = [(done["data"], done["seed"], done["critic"]) for done in load(NAME) or []]
            if (data, seed, critic) in known:
                continue
            row = measured(row)
            with one_at_a_time():
                save(NAME, [*(load(NAME) or []), row])
            print(table([row]), flush=True)


if __name__ == "__main__":
    main()
