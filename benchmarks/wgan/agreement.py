"""Does the critic say how good a generator is? Its figures against exact transport, check by check.

Per run, 60 checks at steps that grow by a factor, as the distance falls: most at even steps would look at a
generator that has arrived, where what differs is noise. Spearman's rank correlation with the exact distance
between the same held-out points and those of the same latent numbers: of the critic's gap on these points, as
it trains; of that of a copy that has made 100 steps more while the generator stood still; of ``lower`` with
the averaged generator's; and of both losses of a classic GAN. Correlations are per run, and not filtered.
Run with ``python -m benchmarks.wgan.agreement``.
"""

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.wgan.laws import CLASSIC, TASKS, draw_given
from benchmarks.wgan.rows import Study, cross, format_rows, grid, run
from benchmarks.wgan.steps import advance_critic, compare, follow, measure_gap
from otdist.learn.wgan.monitor.probe import clone_state
from otdist.learn.wgan.monitor.run_check import generate_fakes, run_check

CHECKS, STEPS = 60, 3_000
MORE = 100  # steps of the copy
POINTS = 1_000  # a side, in the exact distance
METHODS = {"w1": {}, "gan": CLASSIC}
KEYS = ("task", "method", "seed")
FIGURES = ("heldout_gap", "refreshed_gap", "lower", "critic_loss", "generator_loss")
ROWS = cross(seed=range(3), task=[name for name in TASKS if name != "stacked"], method=METHODS)


def measure(row):
    """Rank correlations of a run, 1 for what falls with the distance, and the curves they are of."""
    data, method = draw_given(row["task"], row["seed"]), METHODS[row["method"]]
    curves = follow(data, method, row["seed"], choose_steps(), look)
    # `lower` is about the averaged generator, as the distance that the trainer shows is.
    pairs = [(name, "averaged" if name == "lower" else "exact") for name in FIGURES]
    told = {name: float(spearmanr(curves[name], curves[other]).statistic) for name, other in pairs}
    return told | {"curves": curves}


def choose_steps():
    """As many steps as checks, each about the same factor after the last."""
    count, steps = CHECKS, set()
    while len(steps) < CHECKS:
        steps = {round(step) for step in np.geomspace(min(5, STEPS // CHECKS), STEPS, count)}
        count += 1
    return steps


def look(state, real):
    """The exact distance, and what is held against it; the generator is the one the critic was trained on."""
    check, x, twin = run_check(state, real, 0.0), real.heldout[:POINTS], clone_state(state)
    y = generate_fakes(state, len(x), averaged=False, stream=torch.Generator().manual_seed(3))
    advance_critic(twin, real.train, MORE)
    told = compare(state, x, y) | {"averaged": check.estimate, "lower": check.lower}
    return told | {"heldout_gap": told.pop("gap"), "refreshed_gap": measure_gap(twin, x, y)}


def table(rows):
    """Correlations of every run, of the losses of the classic GAN alone, and the first and last distance."""
    head = "run | held-out gap | 100 steps on | lower | critic's loss | generator's loss | exact W1, scaled"
    line = "{name} | {heldout_gap:+.3f} | {refreshed_gap:+.3f} | {losses} | {first:.3g} to {last:.3g}"
    losses = {"w1": "{lower:+.3f} |  | ", "gan": " | {critic_loss:+.3f} | {generator_loss:+.3f}"}

    def describe(row):
        first, *_, last = row["curves"]["exact"]
        return {"losses": losses[row["method"]].format(**row), "first": first, "last": last}

    return grid(head, format_rows(line, rows, KEYS, describe), "lr")


if __name__ == "__main__":
    run(Study("wgan_agreement", KEYS, ROWS, measure, table))
