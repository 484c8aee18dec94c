"""Curves of critics: against the exact distance, on too few points, after few and many steps."""

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from benchmarks.wgan.claims_parts import part
from benchmarks.wgan.laws import CLASSIC, RING, Mixture, digits
from benchmarks.wgan.rows import cross
from benchmarks.wgan.steps import advance_critic, compare, follow, measure_gap, measure_w1, start
from otdist.learn.wgan.monitor.run_check import generate_fakes

NETWORKS = {"width": 32, "latent": 8, "batch_size": 64, "average": 0.99}
SMALL = NETWORKS | {"held_out": 0.3}
SETTINGS = (
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 1},
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 4},
    {"width": 64, "learning_rate": 1e-3, "critic_rate": 4e-3, "n_critic": 10},
)
ONCE, TWO = [0], ("w1", "gan")  # seeds, methods
POINTS = 400  # a side, in the exact distance
WIDE_RING = Mixture(RING.means, 0.05)


def draw_ring(n, seed):
    return WIDE_RING(np.random.default_rng(seed), n)


def draw_digits(seed):
    """All digits, in random order."""
    return digits(np.random.default_rng(seed), 1_797).reshape(-1, 64)


def draw_pair(state, real, n):
    """Held-out points without replacement, and points of the generator as it is, not of the averaged one."""
    rows = torch.randperm(len(real.heldout), generator=state.streams["check"])[:n]
    return real.heldout[rows], generate_fakes(state, n, averaged=False)


def shorten(values):
    """Five digits are plenty in a file."""
    return [float(f"{value:.5g}") for value in values]


def rank_curves(row):
    exact = row["curves"]["exact"]
    ranks = {name: spearmanr(curve, exact).statistic for name, curve in row["curves"].items()}
    return [row | ranks | {"first": exact[0], "last": exact[-1]}]


@part(
    cross(data=("ring", "digits"), method=TWO, setting=range(len(SETTINGS)), seed=ONCE),
    "data | method | setting | seed | held-out gap | critic's loss | generator's loss | W1, scaled",
    ("data", "method", "setting", "seed"),
    "{gap:+.2f} | {critic_loss:+.2f} | {generator_loss:+.2f} | {first:.3g} to {last:.3g}",
    rank_curves,
)
def loss(row, steps=600, checks=25):
    """Spearman's correlation with the exact distance, over the checks of a run."""
    data = draw_ring(4_000, row["seed"]) if row["data"] == "ring" else draw_digits(row["seed"])
    settings = SMALL | SETTINGS[row["setting"]] | (CLASSIC if row["method"] == "gan" else {})
    looks = range(steps // checks, steps + 1, steps // checks)
    told = follow(data, settings, row["seed"], looks, lambda *now: compare(now[0], *draw_pair(*now, POINTS)))
    return {"steps": steps, "curves": {name: shorten(values) for name, values in told.items()}}


def split_critics(row):
    told = []
    for name, curve in row["curves"].items():
        best = int(np.argmax(curve["held"]))
        ends = {"train": curve["train"][-1], "held": curve["held"][-1]}
        told.append(row | ends | {"name": name, "best": curve["held"][best], "step": curve["step"][best]})
    return told


@part(
    cross(seed=ONCE),
    "critic, digits | seed | gap at the end | best held-out gap | held-out gap at the end",
    ("name", "seed"),
    "{train:.3g} | {best:.3g} (step {step:.0f}) | {held:.3g}",
    split_critics,
)
def overfit(row, steps=1_000, every=40):
    """Critics of 128 units and few digits; one generator.

    Critics train on 200 and on 800 digits, against a generator that stays as it is, and is good: it gives
    other digits with noise of a twentieth of the range of a pixel. 297 digits are seen by nobody.
    """
    data, rng = draw_digits(row["seed"]), np.random.default_rng(row["seed"])
    length = start(data, SMALL, row["seed"])[1].scale.distance_unit

    def scale(points):
        return torch.from_numpy(points / length).float()

    def add_noise(points, n):
        drawn = points[rng.integers(len(points), size=n)]
        return scale(drawn + 0.05 * rng.standard_normal(drawn.shape))

    held, fake = scale(data[1_500:]), add_noise(data[800:1_150], 4_000)
    fresh, curves = add_noise(data[1_150:1_500], 1_000), {}
    for constraint, n in (("orthogonal", 200), ("orthogonal", 800), ("gp", 200), ("gp", 800)):
        state, _ = start(data, SMALL | {"width": 128, "constraint": constraint}, row["seed"])
        x, state.generator = scale(data[:n]), Fixed(fake, row["seed"])
        told = {"step": list(range(every, steps + 1, every)), "train": [], "held": []}
        for _ in told["step"]:
            advance_critic(state, x, every)
            told["train"].append(measure_gap(state, x, fake) * length)
            told["held"].append(measure_gap(state, held, fresh) * length)
        curves[f"{constraint} {n}"] = {name: shorten(values) for name, values in told.items()}
    return {"steps": steps, "curves": curves}


class Fixed(nn.Module):
    """In place of a generator: points that it made before."""

    def __init__(self, points, seed):
        super().__init__()
        self.points, self.stream = points, torch.Generator().manual_seed(8 * seed + 1)

    def forward(self, z):
        """Rows at random."""
        return self.points[torch.randint(len(self.points), (len(z),), generator=self.stream)]


@part(
    cross(n_critic=(1, 2, 5, 10), seed=ONCE),
    "n_critic | ratio | W1 after 400 rounds | W1 at equal cost",
    ("n_critic",),
    "{ratio:.3g} | {last:.3g} | {same_cost[0]} rounds: {last_same_cost:.3g}",
)
def ratio(row, rounds=400, first=150, every=25):
    """Ring: held-out gap over W1.

    W1 is less its noise; the generator trains meanwhile, and means are over checks. All run 400 rounds; those
    with few critic steps go on until as many steps of either network were made as five critic steps a round
    take in 400: what is best at equal cost?
    """
    settings = SMALL | {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": row["n_critic"]}
    same_cost = 6 * rounds // (row["n_critic"] + 1)
    steps = range((first // every + 1) * every, max(rounds, same_cost) + 1, every)

    def look(state, real):
        x, y = draw_pair(state, real, 2 * POINTS)
        (x1, x2), (y1, y2) = x.split(POINTS), y.split(POINTS)
        w1 = measure_w1(x1, y1) - (measure_w1(x1, x2) + measure_w1(y1, y2)) / 2
        length = real.scale.distance_unit
        return {"gaps": measure_gap(state, x, y) * length, "distances": w1 * length}

    told = follow(draw_ring(4_000, row["seed"]), settings, row["seed"], steps, look)
    gaps, distances = told["gaps"], told["distances"]
    n_early, n_priced = (sum(step <= end for step in steps) for end in (rounds, same_cost))
    return {
        "ratio": float(np.mean(gaps[:n_early]) / np.mean(distances[:n_early])),
        "last": float(np.mean(distances[:n_early][-4:])),
        "same_cost": same_cost,
        "last_same_cost": float(np.mean(distances[:n_priced][-4:])),
        **{"steps": list(steps), "gaps": shorten(gaps), "distances": shorten(distances)},
    }
