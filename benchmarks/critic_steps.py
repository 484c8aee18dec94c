"""Steps per second of one critic, and which operations they are spent in."""

from __future__ import annotations

import time

import torch
from critic_problems import Row
from torch.profiler import ProfilerActivity, profile

from otdist.learn import Anchors, Orthogonal
from otdist.learn.critics.training import Training

BATCH = 512
WARM, PROFILED, LARGEST = 30, 50, 6


def timed(row: Row) -> Row:
    """Steps on one batch that stays, so that drawing points is not in them."""
    d, units = row["d"], row["n"]
    generator = torch.Generator().manual_seed(row["seed"])
    if row["method"] == "orthogonal":
        module, rate = Orthogonal(d, width=units, generator=generator), 0.01
    else:
        module, rate = Anchors(torch.randn(units, d, generator=generator), orientation="max"), 0.016
    training = Training(row["method"], module, rate)
    z = torch.randn(2 * BATCH, d, generator=generator)
    signs = torch.cat([torch.ones(BATCH), -torch.ones(BATCH)]) / BATCH
    rounds = []
    for _ in range(WARM):
        training.step(z, signs, 0.5, False)
    began = time.perf_counter()
    while time.perf_counter() - began < row["seconds"]:
        since = time.perf_counter()
        training.step(z, signs, 0.5, False)
        rounds.append(time.perf_counter() - since)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(PROFILED):
            training.step(z, signs, 0.5, False)
    events = [(event.key, event.self_cpu_time_total) for event in seen.key_averages()]
    total = sum(spent for _, spent in events)
    largest = sorted(events, key=lambda event: -event[1])[:LARGEST]
    median = float(torch.tensor(rounds).median())
    retraction = _share_of_retraction(module, median)
    shares = {name: spent / total for name, spent in largest}
    told = {"per_second": 1 / median, "milliseconds": 1e3 * median, "shares": shares}
    return told | {"retraction": retraction, "batch": BATCH}


def _share_of_retraction(module: torch.nn.Module, step: float) -> float:
    rounds = []
    for _ in range(PROFILED):
        since = time.perf_counter()
        module.retract()
        rounds.append(time.perf_counter() - since)
    return float(torch.tensor(rounds).median()) / step
