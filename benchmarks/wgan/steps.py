"""Networks that are trained step by step, to be looked at between the steps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import otdist
from benchmarks.wgan.rows import Row
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import State, build_state


def start(data: np.ndarray, settings: Row, seed: int) -> tuple[State, RealData]:
    """Networks and data before the first step."""
    chosen = make_settings(settings, False)
    real = RealData.of(data, held_out=chosen.held_out, scale=chosen.scale, seed=seed)
    return build_state(chosen, real.shape, seed, None, None, torch.device("cpu")), real


def advance_critic(state: State, train: Tensor, steps: int) -> None:
    """So many steps of the critic."""
    if not all(state.critic_step(train) for _ in range(steps)):
        raise FloatingPointError(f"values of the critic are not finite at step {state.step}")


def advance(state: State, train: Tensor) -> None:
    """One round, at constant rates."""
    advance_critic(state, train, state.n_critic)
    if not state.generator_step():
        raise FloatingPointError(f"values are not finite at step {state.step}")


@torch.no_grad()
def score(state: State, *sets: Tensor) -> list[Tensor]:
    """Scores of the critic for each set of points."""
    state.critic.eval()
    return [state.scores(points) for points in sets]


def measure_gap(state: State, x: Tensor, y: Tensor) -> float:
    """Mean score of x less that of y."""
    f, g = score(state, x, y)
    return float(f.mean() - g.mean())


def measure_w1(x: Tensor, y: Tensor) -> float:
    """W1 between samples."""
    return float(otdist.w1(x.double().numpy(), y.double().numpy()))
