"""Curves of critics: against the exact distance, on too few points, after few and many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

import otdist
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import State, build_state

Row = dict[str, Any]
Points = NDArray[np.float64]

SMALL: dict[str, Any] = {"width": 32, "latent": 8, "batch_size": 64, "average": 0.99}
CLASSIC: dict[str, Any] = {"objective": "gan", "constraint": "none"}
SETTINGS: tuple[dict[str, Any], ...] = (
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 1},
    {"width": 64, "learning_rate": 4e-3, "critic_rate": 4e-3, "n_critic": 4},
    {"width": 64, "learning_rate": 1e-3, "critic_rate": 4e-3, "n_critic": 10},
)
RATIO = (1, 2, 5, 10)  # steps of the critic
POINTS = 400  # a side, in the exact distance
MODES, SPREAD = 8, 0.05


def ring(n: int, seed: int) -> Points:
    """Eight Gaussians on a circle of radius 1."""
    rng = np.random.default_rng(seed)
    return centres()[rng.integers(MODES, size=n)] + SPREAD * rng.standard_normal((n, 2))


def centres() -> Points:
    """Means of the Gaussians."""
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def digits(seed: int) -> Points:
    """1,797 images of 8 x 8 pixels, on [0, 1], in random order."""
    values = load_digits().data / 16.0
    return np.asarray(values[np.random.default_rng(seed).permutation(len(values))])


def started(data: Points, settings: Row, seed: int) -> tuple[State, RealData]:
    """Networks and data before the first step."""
    chosen = make_settings(SMALL | settings, False)
    real = RealData.of(data, held_out=0.3, scale="auto", seed=seed)
    return build_state(chosen, real.shape, seed, None, None, torch.device("cpu")), real


def advance(state: State, train: Tensor, n_critic: int) -> None:
    """One round."""
    if not (all(state.critic_step(train) for _ in range(n_critic)) and state.generator_step()):
        raise FloatingPointError(f"values are not finite at step {state.step}")


@torch.no_grad()
def made(state: State, n: int) -> Tensor:
    """Fresh points of the generator as it is now, not of the averaged one."""
    z = torch.randn(n, state.latent, generator=state.streams["check"])
    return state.generator(z).flatten(1)


def rows_of(points: Tensor, n: int, state: State) -> Tensor:
    """Rows without replacement."""
    return points[torch.randperm(len(points), generator=state.streams["check"])[:n]]


@torch.no_grad()
def scored(state: State, points: Tensor) -> Tensor:
    """Scores of the critic."""
    state.critic.eval()
    return state.scores(points)


def exact(x: Tensor, y: Tensor) -> float:
    """W1 between samples."""
    return float(otdist.w1(x.double().numpy(), y.double().numpy()))


def short(values: list[float]) -> list[float]:
    """Five digits are plenty in a file."""
    return [float(f"{value:.5g}") for value in values]


def loss(row: Row, steps: int = 600, checks: int = 25) -> Row:
    """What the critic says at each check, on held-out points, and what exact transport says."""
    data = ring(4_000, row["seed"]) if row["data"] == "ring" else digits(row["seed"])
    settings = SETTINGS[row["setting"]] | (CLASSIC if row["method"] == "gan" else {})
    state, real = started(data, settings, row["seed"])
    told: dict[str, list[float]] = {name: [] for name in ("exact", "gap", "critic_loss", "generator_loss")}
    for step in range(1, steps + 1):
        advance(state, real.train, state.n_critic)
        if step % (steps // checks) == 0:
            x, y = rows_of(real.heldout, POINTS, state), made(state, POINTS)
            f, g = scored(state, x), scored(state, y)
            told["exact"].append(exact(x, y))
            told["gap"].append(float(f.mean() - g.mean()))
            told["critic_loss"].append(float(critic_loss(state.settings.objective, f, g)) / POINTS)
            told["generator_loss"].append(float(generator_loss(state.settings.objective, g)) / POINTS)
    return {"steps": steps, "curves": {name: short(values) for name, values in told.items()}}


def overfit(row: Row, steps: int = 1_000, every: int = 40) -> Row:
    """Critics of 128 units on 200 and on 800 digits, against a generator that stays as it is, and is good.

    It gives other digits with noise of a twentieth of the range of a pixel. 297 digits are seen by nobody.
    """
    data, rng = digits(row["seed"]), np.random.default_rng(row["seed"])
    length = RealData.of(data, held_out=0.3, scale="auto", seed=row["seed"]).scale.length

    def noisy(points: Points, n: int) -> Tensor:
        drawn = points[rng.integers(len(points), size=n)]
        return torch.from_numpy((drawn + 0.05 * rng.standard_normal(drawn.shape)) / length).float()

    held = torch.from_numpy(data[1_500:] / length).float()
    fake, fresh = noisy(data[800:1_150], 4_000), noisy(data[1_150:1_500], 1_000)
    curves = {}
    for constraint in ("orthogonal", "gp"):
        for n in (200, 800):
            state, _ = started(data, {"width": 128, "constraint": constraint}, row["seed"])
            x = torch.from_numpy(data[:n] / length).float()
            state.fakes = drawn_from(state, fake)  # type: ignore[method-assign]
            told: dict[str, list[float]] = {"step": [], "train": [], "held": []}
            for step in range(1, steps + 1):
                if not state.critic_step(x):
                    raise FloatingPointError(f"values are not finite at step {step}")
                if step % every == 0:
                    told["step"].append(step)
                    told["train"].append(float(scored(state, x).mean() - scored(state, fake).mean()) * length)
                    told["held"].append(
                        float(scored(state, held).mean() - scored(state, fresh).mean()) * length
                    )
            curves[f"{constraint} {n}"] = {name: short(values) for name, values in told.items()}
    return {"steps": steps, "curves": curves}


def drawn_from(state: State, points: Tensor) -> Any:
    """In place of a generator: points that it made before."""

    def fakes(size: int, *, grad: bool = False) -> Tensor:
        return points[torch.randint(len(points), (size,), generator=state.streams["latent"])]

    return fakes


def ratio(row: Row, rounds: int = 400, first: int = 150, every: int = 25) -> Row:
    """Held-out gap over W1 less its noise, while the generator trains on the ring; means over checks.

    All run 400 rounds; those with few critic steps go on until as many steps of either network were made as
    five critic steps a round take in 400: what is best at equal cost?
    """
    settings = {"learning_rate": 8e-3, "critic_rate": 8e-3, "n_critic": row["n_critic"]}
    state, real = started(ring(4_000, row["seed"]), settings, row["seed"])
    same_cost = 6 * rounds // (row["n_critic"] + 1)
    steps, gaps, distances = [], [], []
    for step in range(1, max(rounds, same_cost) + 1):
        advance(state, real.train, row["n_critic"])
        if step > first and step % every == 0:
            x, y = rows_of(real.heldout, 2 * POINTS, state), made(state, 2 * POINTS)
            (x1, x2), (y1, y2) = x.split(POINTS), y.split(POINTS)
            distances.append(exact(x1, y1) - (exact(x1, x2) + exact(y1, y2)) / 2)
            gaps.append(float(scored(state, x).mean() - scored(state, y).mean()))
            steps.append(step)
    length = real.scale.length
    early = [k for k, step in enumerate(steps) if step <= rounds]
    priced = [k for k, step in enumerate(steps) if step <= same_cost]
    return {
        "ratio": float(np.mean([gaps[k] for k in early]) / np.mean([distances[k] for k in early])),
        "last": float(np.mean([distances[k] for k in early[-4:]])) * length,
        "same_cost": same_cost,
        "last_same_cost": float(np.mean([distances[k] for k in priced[-4:]])) * length,
        "steps": steps,
        "gaps": short([gap * length for gap in gaps]),
        "distances": short([distance * length for distance in distances]),
    }
