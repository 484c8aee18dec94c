"""Networks that are trained step by step, to be looked at between the steps."""

import torch

import otdist
from otdist.learn.wgan.objectives import critic_loss, generator_loss
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import build_state


def start(data, settings, seed):
    """State of a run before its first step, and its data."""
    chosen = make_settings(settings, False)
    real = RealData.of(data, held_out=chosen.held_out, scale=chosen.scale, seed=seed)
    return build_state(chosen, real.shape, seed, None, None, torch.device("cpu")), real


def advance_critic(state, train, steps):
    if not all(state.critic_step(train) for _ in range(steps)):
        raise FloatingPointError(f"values of the critic are not finite at step {state.step}")


def follow(data, settings, seed, steps, look):
    """What is seen after these steps of the generator, at constant rates, as lists by name."""
    state, real = start(data, settings, seed)
    told = []
    for step in range(1, max(steps) + 1):
        advance_critic(state, real.train, state.n_critic)
        if not state.generator_step():
            raise FloatingPointError(f"values are not finite at step {step}")
        if step in steps:
            told.append(look(state, real))
    return {name: [check[name] for check in told] for name in told[0]}


@torch.no_grad()
def compare(state, x, y):
    """W1 between points, and what the critic says of them."""
    state.critic.eval()
    f, g = state.scores(x), state.scores(y)
    objective = state.settings.objective
    return {
        "exact": measure_w1(x, y),
        "gap": float(f.mean() - g.mean()),
        "critic_loss": float(critic_loss(objective, f, g)) / len(x),
        "generator_loss": float(generator_loss(objective, g)) / len(x),
    }


@torch.no_grad()
def measure_gap(state, x, y):
    state.critic.eval()
    return float(state.scores(x).mean() - state.scores(y).mean())


def measure_w1(x, y):
    return float(otdist.w1(x.double().numpy(), y.double().numpy()))
