"""Gain of the critic by extra training steps, measured on a copy."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from otdist.learn.wgan.monitor.bracket import mean_difference
from otdist.learn.wgan.state import STREAM_NAMES, State

PROBE_STEPS = 20  # extra steps of the critic
RAISE_ABOVE, LOWER_BELOW = 0.15, 0.03  # relative increases that raise and lower n_critic
MAX_CRITIC_STEPS = 20  # upper limit of n_critic="auto"
RAISE_FACTOR, LOWER_FACTOR = 2.0, 0.75  # quickly up, since a critic that lags lets the generator circle
FIRST_PROBE_STEP = 10  # first step with a probe; the next ones are at 20, 40, ... until the first check
NOISE_ERRORS = 2.0  # standard errors below which a gap is not significant


@torch.no_grad()
def probe(state: State, train: Tensor, real: Tensor, fake: Tensor) -> float | None:
    """Measure the relative increase of the critic's held-out gap after extra training steps on a copy.

    The run does not change, except for the random stream "check".

    Parameters
    ----------
    state : State
        Training state of the run.
    train : Tensor, shape (n, d)
        Training points for the copy.
    real, fake : Tensor, shape (m, d * packing)
        Held-out points and points of the generator in training, packed.

    Returns
    -------
    float or None
        Increase divided by the gap after it; 0 if the increase is not significant. None if the gap is not
        significant, or values are not finite.
    """
    clone = clone_state(state)
    before = _scores(state, real), _scores(state, fake)
    with torch.enable_grad():
        if not all(clone.critic_step(train) for _ in range(PROBE_STEPS)) or not clone.is_finite():
            return None
    after = _scores(clone, real), _scores(clone, fake)
    gap, error = mean_difference(*after)
    rise, rise_error = mean_difference(after[0] - before[0], after[1] - before[1])
    if not gap > NOISE_ERRORS * error:
        return None
    return rise / gap if abs(rise) > NOISE_ERRORS * rise_error else 0.0


def adapt_n_critic(n_critic: int, rise: float | None) -> int:
    """Return the number of critic steps per generator step, after a probe."""
    if rise is None or LOWER_BELOW <= rise <= RAISE_ABOVE:
        return n_critic
    factor = RAISE_FACTOR if rise > RAISE_ABOVE else LOWER_FACTOR
    return min(max(int(n_critic * factor), 1), MAX_CRITIC_STEPS)


def is_early_probe(step: int) -> bool:
    """Return True at steps 10, 20, 40, ..."""
    doublings, remainder = divmod(step, FIRST_PROBE_STEP)
    return remainder == 0 and doublings.bit_count() == 1


def clone_state(state: State) -> State:
    """Clone a state for extra critic steps: networks are copies, all streams are the stream of checks."""
    clone = copy.copy(state)
    # In one call, so that the copy of the optimiser updates the copy of the critic.
    clone.critic, optimiser = copy.deepcopy((state.critic, state.optimisers["critic"]))
    clone.generator = copy.deepcopy(state.generator)  # it may have running statistics
    clone.optimisers = {"critic": optimiser}
    clone.draw_singly(dict.fromkeys(STREAM_NAMES, state.streams["check"]))
    clone.gaps = []
    return clone


def _scores(state: State, packed: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    state.critic.eval()
    return state.scores(packed).cpu().double().numpy()
