"""Curves of critics: against the exact distance, on too few points, after few and many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.wgan.laws import CLASSIC, RING, Mixture, Points, digits
from benchmarks.wgan.rows import Row
from benchmarks.wgan.steps import advance, advance_critic, measure_gap, measure_w1, score, start
from otdist.learn.wgan.monitor.run_check import generate_fakes
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.state import State

SMALL: dict[str, Any] = {"width": 32, "latent": 8, "batch_size": 64, "average": 0.99}
SETTINGS: tuple[dict[str, Any], ...] = (
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 1},
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 4},
    {"width": 64, "learning_rate": 1e-3, "critic_rate": 4e-3, "n_critic": 10},
)
RATIO = (1, 2, 5, 10)  # steps of the critic
POINTS = 400  # a side, in the exact distance
WIDE_RING = Mixture(RING.means, 0.05)


def draw_ring(n: int, seed: int) -> Points:
    """Eight Gaussians on a circle of radius 1."""
    return WIDE_RING(np.random.default_rng(seed), n)


def draw_digits(seed: int) -> Points:
    """1,797 images of 8 x 8 pixels, on [0, 1], in random order."""
    return digits(np.random.default_rng(seed), 1_797).reshape(-1, 64)


def start_small(data: Points, settings: Row, seed: int) -> tuple[State, RealData]:
    """Small networks and data before the first step."""
    return start(data, SMALL | {"held_out": 0.3} | settings, seed)


def draw_pair(state: State, real: RealData, n: int) -> tuple[Tensor, Tensor]:
    """Held-out points without replacement, and points of the generator as it is, not of the averaged one."""
    rows = torch.randperm(len(real.heldout), generator=state.streams["check"])[:n]
    return real.heldout[rows], generate_fakes(state, n, averaged=False)


def shorten(values: list[float]) -> list[float]:
    """Five digits are plenty in a file."""
    return [float(f"{value:.5g}") for value in values]


def measure_loss(row: Row, steps: int = 600, checks: int = 25) -> Row:
    """What the critic says at each check, on held-out points, and what exact transport says."""
    data = draw_ring(4_000, row["seed"]) if row["data"] == "ring" else draw_digits(row["seed"])
    settings = SETTINGS[row["setting"]] | (CLASSIC if row["method"] == "gan" else {})
    state, real = start_small(data, settings, row["seed"])
    told: list[tuple[float, ...]] = []
    for step in range(1, steps + 1):
        advance(state, real.train)
        if step % (steps // checks) == 0:
            x, y = draw_pair(state, real, POINTS)
            f, g = score(state, x, y)
            losses = critic_loss(state.settings.objective, f, g), generator_loss(state.settings.objective, g)
            told.append((measure_w1(x, y), float(f.mean() - g.mean()), *(float(v) / POINTS for v in losses)))
    names = ("exact", "gap", "critic_loss", "generator_loss")
    curves = dict(zip(names, map(shorten, map(list, zip(*told, strict=True))), strict=True))
    return {"steps": steps, "curves": curves}


def measure_overfit(row: Row, steps: int = 1_000, every: int = 40) -> Row:
    """Critics of 128 units on 200 and on 800 digits, against a generator that stays as it is, and is good.

    It gives other digits with noise of a twentieth of the range of a pixel. 297 digits are seen by nobody.
    """
    data, rng = draw_digits(row["seed"]), np.random.default_rng(row["seed"])
    length = RealData.of(data, held_out=0.3, scale="auto", seed=row["seed"]).scale.distance_unit

    def add_noise(points: Points, n: int) -> Tensor:
        drawn = points[rng.integers(len(points), size=n)]
        return torch.from_numpy((drawn + 0.05 * rng.standard_normal(drawn.shape)) / length).float()

    held = torch.from_numpy(data[1_500:] / length).float()
    fake, fresh = add_noise(data[800:1_150], 4_000), add_noise(data[1_150:1_500], 1_000)
    curves = {}
    for constraint, n in (("orthogonal", 200), ("orthogonal", 800), ("gp", 200), ("gp", 800)):
        state, _ = start_small(data, {"width": 128, "constraint": constraint}, row["seed"])
        x = torch.from_numpy(data[:n] / length).float()
        state.generator = Fixed(fake, row["seed"])
        told: list[tuple[float, ...]] = []
        for step in range(every, steps + 1, every):
            advance_critic(state, x, every)
            gaps = measure_gap(state, x, fake), measure_gap(state, held, fresh)
            told.append((step, *(gap * length for gap in gaps)))
        columns = map(shorten, map(list, zip(*told, strict=True)))
        curves[f"{constraint} {n}"] = dict(zip(("step", "train", "held"), columns, strict=True))
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
    settings = {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": row["n_critic"]}
    state, real = start_small(draw_ring(4_000, row["seed"]), settings, row["seed"])
    same_cost = 6 * rounds // (row["n_critic"] + 1)
    steps, gaps, distances = [], [], []
    for step in range(1, max(rounds, same_cost) + 1):
        advance(state, real.train)
        if step > first and step % every == 0:
            x, y = draw_pair(state, real, 2 * POINTS)
            (x1, x2), (y1, y2) = x.split(POINTS), y.split(POINTS)
            distances.append(measure_w1(x1, y1) - (measure_w1(x1, x2) + measure_w1(y1, y2)) / 2)
            gaps.append(measure_gap(state, x, y))
            steps.append(step)
    length = real.scale.distance_unit
    n_early, n_priced = (sum(step <= end for step in steps) for end in (rounds, same_cost))
    return {
        "ratio": float(np.mean(gaps[:n_early]) / np.mean(distances[:n_early])),
        "last": float(np.mean(distances[:n_early][-4:])) * length,
        "same_cost": same_cost,
        "last_same_cost": float(np.mean(distances[:n_priced][-4:])) * length,
        "steps": steps,
        "gaps": shorten([gap * length for gap in gaps]),
        "distances": shorten([distance * length for distance in distances]),
    }
