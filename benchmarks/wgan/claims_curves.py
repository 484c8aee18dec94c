"""Curves of critics: against the exact distance, on too few points, after few and many steps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.wgan.laws import CLASSIC, RING, Mixture, Points, digits
from benchmarks.wgan.rows import Row
from benchmarks.wgan.steps import advance_critic, compare, follow, measure_gap, measure_w1, start
from otdist.learn.wgan.monitor.run_check import generate_fakes
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.state import State

NETWORKS: Row = {"width": 32, "latent": 8, "batch_size": 64, "average": 0.99}
SMALL = NETWORKS | {"held_out": 0.3}
SETTINGS: tuple[Row, ...] = (
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 1},
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 4},
    {"width": 64, "learning_rate": 1e-3, "critic_rate": 4e-3, "n_critic": 10},
)
RATIO = (1, 2, 5, 10)  # steps of the critic
POINTS = 400  # a side, in the exact distance
WIDE_RING = Mixture(RING.means, 0.05)


def draw_ring(n: int, seed: int) -> Points:
    return WIDE_RING(np.random.default_rng(seed), n)


def draw_digits(seed: int) -> Points:
    """All digits, in random order."""
    return digits(np.random.default_rng(seed), 1_797).reshape(-1, 64)


def draw_pair(state: State, real: RealData, n: int) -> tuple[Tensor, Tensor]:
    """Held-out points without replacement, and points of the generator as it is, not of the averaged one."""
    rows = torch.randperm(len(real.heldout), generator=state.streams["check"])[:n]
    return real.heldout[rows], generate_fakes(state, n, averaged=False)


def shorten(values: Iterable[float]) -> list[float]:
    """Five digits are plenty in a file."""
    return [float(f"{value:.5g}") for value in values]


def measure_loss(row: Row, steps: int = 600, checks: int = 25) -> Row:
    """What the critic says at each check, on held-out points, and what exact transport says."""
    data = draw_ring(4_000, row["seed"]) if row["data"] == "ring" else draw_digits(row["seed"])
    settings = SMALL | SETTINGS[row["setting"]] | (CLASSIC if row["method"] == "gan" else {})
    looks = range(steps // checks, steps + 1, steps // checks)
    told = follow(data, settings, row["seed"], looks, lambda *now: compare(now[0], *draw_pair(*now, POINTS)))
    return {"steps": steps, "curves": {name: shorten(values) for name, values in told.items()}}


def measure_overfit(row: Row, steps: int = 1_000, every: int = 40) -> Row:
    """Critics of 128 units on 200 and on 800 digits, against a generator that stays as it is, and is good.

    It gives other digits with noise of a twentieth of the range of a pixel. 297 digits are seen by nobody.
    """
    data, rng = draw_digits(row["seed"]), np.random.default_rng(row["seed"])
    length = start(data, SMALL, row["seed"])[1].scale.distance_unit

    def add_noise(points: Points, n: int) -> Tensor:
        drawn = points[rng.integers(len(points), size=n)]
        return torch.from_numpy((drawn + 0.05 * rng.standard_normal(drawn.shape)) / length).float()

    held = torch.from_numpy(data[1_500:] / length).float()
    fake, fresh = add_noise(data[800:1_150], 4_000), add_noise(data[1_150:1_500], 1_000)
    curves = {}
    for constraint, n in (("orthogonal", 200), ("orthogonal", 800), ("gp", 200), ("gp", 800)):
        state, _ = start(data, SMALL | {"width": 128, "constraint": constraint}, row["seed"])
        x = torch.from_numpy(data[:n] / length).float()
        state.generator = Fixed(fake, row["seed"])
        told: Row = {"step": list(range(every, steps + 1, every)), "train": [], "held": []}
        for _ in told["step"]:
            advance_critic(state, x, every)
            told["train"].append(measure_gap(state, x, fake) * length)
            told["held"].append(measure_gap(state, held, fresh) * length)
        curves[f"{constraint} {n}"] = {name: shorten(values) for name, values in told.items()}
    return {"steps": steps, "curves": curves}


class Fixed(nn.Module):
    """In place of a generator: points that it made before."""

    def __init__(self, points: Tensor, seed: int) -> None:
        super().__init__()
        self.points, self.stream = points, torch.Generator().manual_seed(8 * seed + 1)

    def forward(self, z: Tensor) -> Tensor:
        """Rows at random."""
        return self.points[torch.randint(len(self.points), (len(z),), generator=self.stream)]


def measure_ratio(row: Row, rounds: int = 400, first: int = 150, every: int = 25) -> Row:
    """Held-out gap over W1 less its noise, while the generator trains on the ring; means over checks.

    All run 400 rounds; those with few critic steps go on until as many steps of either network were made as
    five critic steps a round take in 400: what is best at equal cost?
    """
    settings = SMALL | {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": row["n_critic"]}
    same_cost = 6 * rounds // (row["n_critic"] + 1)
    steps = range((first // every + 1) * every, max(rounds, same_cost) + 1, every)

    def look(state: State, real: RealData) -> dict[str, float]:
        x, y = draw_pair(state, real, 2 * POINTS)
        (x1, x2), (y1, y2) = x.split(POINTS), y.split(POINTS)
        w1 = measure_w1(x1, y1) - (measure_w1(x1, x2) + measure_w1(y1, y2)) / 2
        length = real.scale.distance_unit
        return {"gaps": measure_gap(state, x, y) * length, "distances": w1 * length}

    told = follow(draw_ring(4_000, row["seed"]), settings, row["seed"], steps, look)
    n_early, n_priced = (sum(step <= end for step in steps) for end in (rounds, same_cost))
    gaps, distances = told["gaps"], told["distances"]
    return {
        "ratio": float(np.mean(gaps[:n_early]) / np.mean(distances[:n_early])),
        "last": float(np.mean(distances[:n_early][-4:])),
        "same_cost": same_cost,
        "last_same_cost": float(np.mean(distances[:n_priced][-4:])),
        **{"steps": list(steps), "gaps": shorten(gaps), "distances": shorten(distances)},
    }
