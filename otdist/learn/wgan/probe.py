"""What more steps of the critic would bring, tried on a copy."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from otdist.learn.wgan.bracket import difference
from otdist.learn.wgan.state import STREAMS, State

FURTHER = 20  # steps of the critic
RISE, LEVEL = 0.15, 0.03  # shares of the gap: more steps above the first, fewer below the second
MOST = 20
NOISE = 2.0  # standard errors below which a gap is none


@torch.no_grad()
def probe(state: State, train: Tensor, real: Tensor, fake: Tensor) -> float | None:
    """By how much of itself the critic's gap on held-out points rises with further steps on a copy.

    Nothing of the run moves but the random stream "check".

    Parameters
    ----------
    state : State
        Of the run.
    train : Tensor, shape (n, d)
        Points that the copy is trained on.
    real, fake : Tensor, shape (m, d * packing)
        Held-out points and those of the generator as it trains, packed.

    Returns
    -------
    float or None
        Rise divided by the gap after it; 0 where it is less than its noise. None where the gap itself is, or
        where values are not finite.
    """
    twin = copied(state)
    before = _scores(state, real), _scores(state, fake)
    with torch.enable_grad():
        if not all(twin.critic_step(train) for _ in range(FURTHER)):
            return None
    after = _scores(twin, real), _scores(twin, fake)
    gap, error = difference(*after)
    rise, rise_error = difference(after[0] - before[0], after[1] - before[1])
    if not gap > NOISE * error:
        return None
    return rise / gap if abs(rise) > NOISE * rise_error else 0.0


def followed(n_critic: int, rise: float | None) -> int:
    """Steps of the critic for one of the generator, after a probe."""
    if rise is None:
        return n_critic
    return min(max(n_critic + (rise > RISE) - (rise < LEVEL), 1), MOST)


def copied(state: State) -> State:
    """A state whose critic can be moved: all that moves is a copy, and all streams are the one of checks."""
    twin = copy.copy(state)
    # Together, so that the copy of the optimiser moves the copy of the critic.
    twin.critic, optimiser = copy.deepcopy((state.critic, state.optimisers["critic"]))
    twin.generator = copy.deepcopy(state.generator)  # its normalisation may count what passes through
    twin.optimisers = {"critic": optimiser}
    twin.streams = dict.fromkeys(STREAMS, state.streams["check"])
    twin.gaps = []
    return twin


def _scores(state: State, packed: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    state.critic.eval()
    return state.scores(packed).double().cpu().numpy()
