"""What tests/learn/test_learn_sharded.py starts on several processes: each writes what it found."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist

from otdist.learn import sharded_divergence

CASES = {
    "p=1": {"p": 1},
    "p=2, streamed": {"p": 2, "block": 64},
    "20 columns": {"p": 1},
    "biased": {"p": 2, "debias": False},
    "kl": {"p": 1, "reach": 1.0},
    "tv": {"p": 2, "reach": 1.5, "penalty": "tv"},
    "without weights": {"p": 1},
}


def problem(case, dtype=torch.float64):
    """Points and weights of a case, the same wherever it is called."""
    rng = torch.Generator().manual_seed(len(case))
    d = 20 if case == "20 columns" else 3
    x, y = (torch.randn(n, d, generator=rng, dtype=dtype) for n in (13, 10))
    a, b = (torch.rand(n, generator=rng, dtype=dtype) + 0.1 for n in (13, 10))
    return (x, y + 0.5, None, None) if case == "without weights" else (x, y + 0.5, a, b)


def main(folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    cuts = {1: (0, 99), 2: (0, 5, 99)}[size]  # uneven on purpose
    run = slice(cuts[rank], cuts[rank + 1])
    found = {}
    for case, options in CASES.items():
        mine = [None if t is None else t[run].clone().requires_grad_() for t in problem(case)]
        value, info = sharded_divergence(*mine, tol=1e-9, **options)
        value.backward()
        found[case] = (value.detach(), info["f"], [None if t is None else t.grad for t in mine])
    bad = torch.full((2, 1), float("nan") if rank == 0 else 0.0)
    try:
        sharded_divergence(bad, torch.zeros(2, 1))
    except ValueError as error:
        found["error"] = str(error)
    torch.save(found, Path(folder) / f"{size}-{rank}.pt")
    dist.destroy_process_group()
