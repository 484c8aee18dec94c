"""What tests/learn/test_critic_processes.py starts on several processes: each writes what it found."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.distributed as dist

from otdist.learn import Critic
from otdist.learn.critics import selection

# An odd batch: two processes have shares of different sizes.
CASES = {
    "anchors": {"family": "anchors", "steps": 60, "anchors": 16},
    "weighted": {"family": "anchors", "steps": 60, "anchors": 16},
    "few directions": {"family": "anchors", "steps": 20, "anchors": 16},
    # Sums differ by rounding in float32; from some 15 steps on, single points follow another branch for it.
    "orthogonal": {"family": "orthogonal", "steps": 10, "precision": "float32"},
    "pieces": {"family": "pieces", "steps": 30, "anchors": 8},
    "landmarks": {"metric": "angular", "steps": 60, "anchors": 16},
    "early stop": {"family": "pieces", "steps": 300, "anchors": 8},
}
SECONDS = 0.5


def samples(case):
    """Points and weights of a case, the same wherever it is called."""
    rng = np.random.default_rng(len(case))
    if case == "early stop":  # one law: what is learned is noise, and the held-out gap soon stops to grow
        return rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), None, None
    x, y = rng.normal(size=(600, 3)) + 4.0, rng.normal(size=(500, 3)) + np.array([5.0, 4.0, 3.0])
    if case in ("anchors", "weighted", "orthogonal"):
        # A shift alone needs few columns; it is learned at once, and then rounding decides when it stops.
        y = y * np.array([1.5, 0.3, 1.0])
    weights = (rng.uniform(0.5, 2.0, size=len(x)), None) if case == "weighted" else (None, None)
    return x, y, *weights


def fitted(case):
    """A critic of a case."""
    return Critic(batch=255, rng=1, **CASES[case]).fit(*samples(case))


def streams(seed):
    """Two sources 2 apart, and the numbers of points they were asked for."""
    rng, asked = np.random.default_rng(seed), []

    def draw(n, shift):
        asked.append(n)
        return rng.normal(size=(n, 2)) + np.array([shift, 0.0])

    return lambda n: draw(n, 2.0), lambda n: draw(n, 0.0), asked


def record(critic):
    """What has to be the same on all processes."""
    state = {name: tensor.clone() for name, tensor in critic.fitted.module.state_dict().items()}
    return {
        "name": critic.name,
        "state": state,
        "centre": critic.fitted.feature_map.centre,
        "history": critic.history,
        "gaps": critic.gaps,
        "confidence": tuple(critic.confidence),
        "trouble": critic.message,
    }


def refused(call, *arguments):
    """Text of the error that a call ends with."""
    try:
        call(*arguments)
    except ValueError as error:
        return str(error)
    return None


def main(folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    found = {case: record(fitted(case)) for case in CASES}
    x, y, asked = streams(rank)
    critic = Critic(family="anchors", anchors=16, steps=40, batch=101, rng=0).fit(x, y)
    found["streams"] = record(critic) | {"asked": list(asked)}
    found["resumed"] = record(critic.fit(x, y, resume=True))

    bad = lambda n: np.full((n, 2), np.nan if n == 50 else 1.0)  # noqa: E731, those held back are finite
    critic = Critic(family="anchors", anchors=16, steps=40, batch=100, rng=0)
    found["not finite"] = record(critic.fit(x, bad if rank == 1 else y))

    found["other samples"] = refused(Critic(steps=4).fit, samples("a" * (rank + 1))[0], samples("b")[1])
    found["other options"] = refused(Critic(steps=4 + rank).fit, *samples("a")[:2])
    found["same seed"] = refused(Critic(steps=4).fit, *streams(0)[:2])

    # The clock of the second process runs five times as fast, and must not count.
    selection.time = SimpleNamespace(monotonic=lambda: time.monotonic() * (1 + 4 * rank))
    found["seconds"] = record(Critic(family="pieces", anchors=8, max_seconds=SECONDS).fit(x, y))
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
